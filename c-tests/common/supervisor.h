/*
 * Sees every system call of a thread and of those that it starts, and can have one of them fail.
 *
 * The kernel asks a thread of ours (SECCOMP_RET_USER_NOTIF), which answers "go on" or an errno. So it does not matter how
 * a call is made, nor which signals the calling thread blocks. Memory and clock calls, futexes, signal masks and close
 * pass unasked: see supervisor.c.
 */
#ifndef SSLSOCK_TESTS_SUPERVISOR_H
#define SSLSOCK_TESTS_SUPERVISOR_H

#include <stdint.h>

#define CALLS_MAX 1024
#define CALL_TEXT 96

/* Whose call it is. */
enum caller { UPGRADING_THREAD, OTHER_THREAD };

struct call {
    int number;
    enum caller caller;
    /* How many calls of this number the caller had made before, from the first mark on. */
    unsigned earlier;
    uint64_t arguments[6];
    /* Name, and the argument that says most: "fcntl F_GETFL", "openat /proc/thread-self/fd". */
    char text[CALL_TEXT];
};

/* What is seen and what is to fail; in memory that is shared with who wants to know. */
struct watch {
    /* The call that is to fail, with this errno; 0: none is. Only its caller's calls are written down. */
    struct call target;
    int error;
    /* Whether it came. */
    int done;
    int count;
    struct call calls[CALLS_MAX];
};

/*
 * Begins, for the calling thread and those that it starts from now on. Returns 0 or the errno of what the kernel does not
 * allow.
 */
int supervise(struct watch *watch);

/* What the calling thread, or others, do between the marks is written down, and may fail. */
void mark_begin(void);
void mark_end(void);

#endif
