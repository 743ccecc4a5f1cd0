/* System calls by name, and the errors that they can give for want of something. */
#ifndef SSLSOCK_TESTS_CALLS_H
#define SSLSOCK_TESTS_CALLS_H

struct call;

#define ERRORS_MAX 8

/* Writes the call's name and what it is about into its text, as another thread of the same process. Does not allocate. */
void call_describe(struct call *call);

/*
 * The errors that this call is to be tried with, up to a 0. The first is the likeliest. What is not known here gets EPERM,
 * which is what a sandbox answers.
 */
void call_errors(const struct call *call, int errors[ERRORS_MAX]);

/* "EMFILE". */
const char *error_name(int error);

#endif
