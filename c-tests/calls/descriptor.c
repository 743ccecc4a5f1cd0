/* What else refers to the connection: duplicates, streams, the standard descriptors; and what kind of file it is. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/check.h"
#include "common/peer.h"
#include "probes.h"

/* Bytes in both directions under this number. */
static void converse(struct connection *c, int fd)
{
    unsigned char buffer[50];

    next_bytes(c, buffer, sizeof buffer);
    tell(c, "%s", answer(send(fd, buffer, sizeof buffer, 0)));
    peer_takes(c, sizeof buffer);
    order(c, "send %zu", sizeof buffer);
    tell(c, "%s", answer(recv(fd, buffer, sizeof buffer, MSG_WAITALL)));
    check_bytes(c, buffer, sizeof buffer);
}

static void duplicates_before(struct connection *c)
{
    int other = dup(c->fd);
    int high = fcntl(c->fd, F_DUPFD_CLOEXEC, 500);

    CHECK(other >= 0 && high >= 500);
    upgrade_here(c);
    converse(c, other);
    converse(c, high);
    converse(c, c->fd);
    CHECK(close(c->fd) == 0);
    converse(c, other);
    CHECK(close(other) == 0);
    converse(c, high);
    CHECK(close(high) == 0);
    tell(c, "the peer gets %s", ask(c, "ending"));
}

static void duplicates_after(struct connection *c)
{
    int other;

    upgrade_here(c);
    other = dup(c->fd);
    CHECK(other >= 0);
    CHECK(dup2(c->fd, 600) == 600);
    converse(c, other);
    converse(c, 600);
    CHECK(close(c->fd) == 0 && close(other) == 0);
    converse(c, 600);
    CHECK(close(600) == 0);
    tell(c, "the peer gets %s", ask(c, "ending"));
}

static void flags(struct connection *c)
{
    int other = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);

    set_nonblocking(c->fd);
    upgrade_here(c);
    tell(c, "%d %d", fcntl(c->fd, F_GETFD), fcntl(other, F_GETFD));
    tell(c, "%#x", (unsigned)fcntl(other, F_GETFL));
    CHECK(fcntl(other, F_SETFL, 0) == 0);
    tell(c, "%#x", (unsigned)fcntl(c->fd, F_GETFL));
}

/* Lines through a stream: the pattern is none, so these have a count of their own. */
static void stream_conversation(struct connection *c, FILE *in, FILE *out)
{
    char text[64];

    for (int i = 0; i < 3; i++) {
        CHECK(fprintf(out, "line %d\n", i) > 0 && fflush(out) == 0);
        tell(c, "%s", ask(c, "line"));
        order(c, "send 20");
        CHECK(fread(text, 1, 20, in) == 20);
        check_bytes(c, text, 20);
    }
    order(c, "end");
    tell(c, "%zu", fread(text, 1, 20, in));
    tell(c, "eof %d, error %d", feof(in) != 0, ferror(in) != 0);
}

static void stream(struct connection *c, int before)
{
    FILE *file = NULL;

    if (before) {
        file = fdopen(c->fd, "r+");
    }
    upgrade_here(c);
    if (!before) {
        file = fdopen(c->fd, "r+");
    }
    CHECK(file != NULL);
    stream_conversation(c, file, file);
    tell(c, "closed %s", answer(fclose(file)));
    tell(c, "the peer gets %s", ask(c, "ending"));
}

static void stream_before(struct connection *c)
{
    stream(c, 1);
}

static void stream_after(struct connection *c)
{
    stream(c, 0);
}

static void two_streams(struct connection *c)
{
    FILE *in = fdopen(c->fd, "r");
    FILE *out = fdopen(dup(c->fd), "w");

    CHECK(in != NULL && out != NULL);
    upgrade_here(c);
    stream_conversation(c, in, out);
    CHECK(fclose(out) == 0 && fclose(in) == 0);
    tell(c, "the peer gets %s", ask(c, "ending"));
}

/* As inetd starts its servers: the connection is standard input and standard output. */
static void standard_input_and_output(struct connection *c)
{
    CHECK(dup2(c->fd, STDIN_FILENO) == STDIN_FILENO && dup2(c->fd, STDOUT_FILENO) == STDOUT_FILENO);
    CHECK(close(c->fd) == 0);
    c->fd = STDIN_FILENO;
    upgrade_here(c);
    converse(c, STDIN_FILENO);
    converse(c, STDOUT_FILENO);
    stream_conversation(c, stdin, stdout);
    CHECK(close(STDIN_FILENO) == 0);
    CHECK(printf("last words\n") > 0 && fclose(stdout) == 0);
    tell(c, "%s", ask(c, "line"));
    tell(c, "the peer gets %s", ask(c, "ending"));
}

static void status(struct connection *c)
{
    struct stat before;
    struct stat after;

    CHECK(fstat(c->fd, &before) == 0);
    upgrade_here(c);
    CHECK(fstat(c->fd, &after) == 0);
    CHECK(S_ISSOCK(after.st_mode) && after.st_mode == before.st_mode && after.st_size == 0);
    CHECK(after.st_uid == before.st_uid && after.st_dev == before.st_dev);
    tell(c, after.st_ino == before.st_ino ? "the same `st_ino`" : "another `st_ino`");
}

static void no_file(struct connection *c)
{
    upgrade_here(c);
    tell(c, "lseek %s", answer(lseek(c->fd, 0, SEEK_CUR)));
    tell(c, "ftruncate %s", answer(ftruncate(c->fd, 0)));
    tell(c, "fsync %s", answer(fsync(c->fd)));
    tell(c, "isatty %d, %s", isatty(c->fd), answer(-1));
    tell(c, "posix_fadvise %d", posix_fadvise(c->fd, 0, 0, POSIX_FADV_NORMAL) == ESPIPE);
}

/* A child that has the descriptor, while this process waits for it. */
static void used_by_a_child(struct connection *c)
{
    int status_of_child = 0;
    pid_t child;

    upgrade_here(c);
    child = quiet_fork();
    CHECK(child >= 0);
    if (child == 0) {
        converse(c, c->fd);
        _exit(0);
    }
    CHECK(waitpid(child, &status_of_child, 0) == child && status_of_child == 0);
    c->sent += 50;
    c->received += 50;
    converse(c, c->fd);
}

const struct probe descriptor_probes[] = {
    {"`dup` before", duplicates_before},
    {"`dup`, `dup2` after", duplicates_after},
    {"`O_NONBLOCK`, `FD_CLOEXEC`", flags},
    {"`fdopen` before", stream_before},
    {"`fdopen` after", stream_after},
    {"two streams on two duplicates", two_streams},
    {"standard input and output, as `inetd` passes them", standard_input_and_output},
    {"`fstat`", status},
    {"`lseek`, `ftruncate`, `fsync`, `isatty`", no_file},
    {"a forked child's `send` and `recv`", used_by_a_child},
    {NULL, NULL},
};
