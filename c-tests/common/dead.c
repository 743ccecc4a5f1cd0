#define _GNU_SOURCE

#include "dead.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static ssize_t send_somehow(int fd, int how)
{
    struct iovec piece = {.iov_base = (char *)PASSWORD, .iov_len = strlen(PASSWORD)};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};

    switch (how) {
    case 0:
        return send(fd, PASSWORD, strlen(PASSWORD), MSG_NOSIGNAL);
    case 1:
        return write(fd, PASSWORD, strlen(PASSWORD));
    case 2:
        return writev(fd, &piece, 1);
    default:
        return sendmsg(fd, &message, MSG_NOSIGNAL);
    }
}

static ssize_t receive_somehow(int fd, int how)
{
    char bytes[64];
    struct iovec piece = {.iov_base = bytes, .iov_len = sizeof bytes};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};

    switch (how) {
    case 0:
        return recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    case 1:
        return recv(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_PEEK);
    case 2:
        return recvmsg(fd, &message, MSG_DONTWAIT);
    default:
        /* A dead connection does not wait. */
        return read(fd, bytes, sizeof bytes);
    }
}

void expect_dead_at(const char *file, int line, int fd)
{
    enum { TIMES = 2, HOW = 4 };

    /* write has no MSG_NOSIGNAL. */
    signal(SIGPIPE, SIG_IGN);
    for (int time = 0; time < TIMES; time++) {
        for (int how = 0; how < HOW; how++) {
            ssize_t count = send_somehow(fd, how);
            if (count >= 0 || (errno != EPIPE && errno != ECONNRESET)) {
                FAIL("%s:%d: way %d of sending gave %zd: %s", file, line, how, count, count < 0 ? strerror(errno) : "");
            }
        }
        for (int how = 0; how < HOW; how++) {
            ssize_t count = receive_somehow(fd, how);
            /* EAGAIN would say that something may still come. */
            if (count > 0 || (count < 0 && errno != ECONNRESET && errno != EPIPE && errno != ENOTCONN)) {
                FAIL("%s:%d: way %d of receiving gave %zd: %s", file, line, how, count,
                     count < 0 ? strerror(errno) : "");
            }
        }
    }
}

struct forked fork_with(int fd, int other)
{
    struct forked child;
    int ends[2];

    CHECK(pipe(ends) == 0);
    /* It makes system calls only, so that another thread's lock does not hold it up. */
    child.pid = fork();
    CHECK(child.pid >= 0);
    if (child.pid == 0) {
        char byte;
        close(ends[1]);
        if (read(ends[0], &byte, 1) != 1) {
            _exit(EXIT_FAILURE);
        }
        expect_dead(fd);
        expect_dead(other);
        _exit(EXIT_SUCCESS);
    }
    close(ends[0]);
    child.go = ends[1];
    return child;
}

void expect_dead_in(struct forked child)
{
    int status = 0;

    CHECK(write(child.go, "", 1) == 1);
    CHECK(waitpid(child.pid, &status, 0) == child.pid);
    close(child.go);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS) {
        FAIL("in the child it is alive: status %#x", (unsigned)status);
    }
}
