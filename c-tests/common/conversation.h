/*
 * A text protocol over a plain socket: nothing here knows of TLS.
 *
 * Every function ends the program with a message and the caller's source line when the peer does not do what the
 * conversation needs, so that a test reads as the conversation itself. Waiting ends after TALK_SECONDS.
 */
#ifndef SSLSOCK_TESTS_CONVERSATION_H
#define SSLSOCK_TESTS_CONVERSATION_H

#include <stddef.h>

#define TALK_SECONDS 20
#define TALK_LINE 2048

/* The variable's value. Without it there is no server to talk to: the program is skipped. */
const char *talk_variable(const char *name);

/* Connects to the "host:port" that the variable holds. Returns a blocking descriptor. */
#define talk_connect(variable) talk_connect_at(__FILE__, __LINE__, variable)
int talk_connect_at(const char *file, int line, const char *variable);

/* Sends a line; CR LF is added. The format is printf's. */
#define talk_send(fd, ...) talk_send_at(__FILE__, __LINE__, fd, __VA_ARGS__)
void talk_send_at(const char *file, int line, int fd, const char *format, ...);

/*
 * Receives a line into `text` (TALK_LINE bytes), without its CR LF. Reads byte by byte: what follows the line stays
 * in the kernel, where the upgrade looks for it and where TLS begins.
 */
#define talk_line(fd, text) talk_line_at(__FILE__, __LINE__, fd, text)
void talk_line_at(const char *file, int line, int fd, char *text);

/* Receives a line that has to begin with `prefix`. */
#define talk_expect(fd, prefix) talk_expect_at(__FILE__, __LINE__, fd, prefix)
void talk_expect_at(const char *file, int line, int fd, const char *prefix);

/*
 * Receives lines up to one that is `last`, or `last` and more words. Returns how many lines, this one included, have
 * `wanted` in them. Another line that begins with `refusal`, if that is not NULL, is a failure.
 */
#define talk_until(fd, last, refusal, wanted) talk_until_at(__FILE__, __LINE__, fd, last, refusal, wanted)
size_t talk_until_at(const char *file, int line, int fd, const char *last, const char *refusal, const char *wanted);

/* The peer has nothing more to say and ends in order: recv answers 0. */
#define talk_expect_end(fd) talk_expect_end_at(__FILE__, __LINE__, fd)
void talk_expect_end_at(const char *file, int line, int fd);

#endif
