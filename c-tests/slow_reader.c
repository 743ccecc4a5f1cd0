/*
 * Transparent mode: a program that reads slowly gets every byte that had arrived before the connection broke, then
 * ECONNRESET, and the reason from ssl_get_error; also when a writer was told first that the connection is gone.
 *
 * The peer breaks the connection when everything it sent has been acknowledged. The program stops reading before that
 * and goes on after it, so what is left is in the kernel's queues and the library's.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

#define TOTAL ((size_t)8 * 1024 * 1024)

/* The program reads in pieces of this size, */
#define PIECE 1000

/* and has a queue of its own of this size, so that most of what it has not read waits on the library's side. */
#define QUEUE 200000

/* With a writer it reads all but this, which fits into the program's queue, before the writer has its error. */
#define LAST 4096

/* How the peer breaks the connection. */
struct breakage {
    const char *steps;
    int error;
    uint32_t flags;
};

static const struct breakage truncation = {"fin tell", SSL_ERR_TRUNCATED, 0};
static const struct breakage bad_record = {"bad:100 tell", SSL_ERR_PROTOCOL, 0};
static const struct breakage reset = {"rst tell", SSL_ERR_RESET, 0};
static const struct breakage never_allowed = {"rst tell", SSL_ERR_RESET, SSL_FLAG_ALLOW_TRUNCATION};

struct writer {
    int fd;
    int error;
};

/* Left unread when the connection breaks: as much as the kernel certainly holds. */
static size_t left_unread(const struct way *way)
{
    return has_unix_pair(way) ? 64 * 1024 : 1024 * 1024;
}

static void *write_until_it_fails(void *argument)
{
    static const char data[10000];
    struct writer *writer = argument;

    while (send(writer->fd, data, sizeof data, MSG_NOSIGNAL) > 0) {
    }
    writer->error = errno;
    return NULL;
}

static void await_thread(pthread_t thread)
{
    struct timespec limit;

    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 20;
    if (pthread_timedjoin_np(thread, NULL, &limit) != 0) {
        FAIL("the writer has not been told that the connection is gone");
    }
}

static void read_in_pieces(int fd, size_t from, size_t to)
{
    for (size_t at = from; at < to; at += PIECE) {
        receive_pattern(fd, to - at < PIECE ? to - at : PIECE, at);
    }
}

/* Every byte first; what then comes is the return value: 0, or the errno. */
static int read_through(const struct way *way, const struct breakage *breakage, int with_writer, int *writer_error)
{
    static const int queue = QUEUE;
    static const struct timeval patience = {.tv_sec = 20};
    struct way flagged = *way;
    struct writer writer = {.fd = peer_connect(way->peer), .error = 0};
    int fd = writer.fd;
    size_t pause = TOTAL - left_unread(way);
    pthread_t thread;
    struct seen seen;
    ssl_socket *s;
    ssize_t count;
    int error;
    char byte;

    flagged.flags |= breakage->flags;
    s = upgrade_to_peer(fd, &flagged, "play %s data:%zu acked %s go", peer_ticket(), TOTAL, breakage->steps);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &queue, sizeof queue) == 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    if (with_writer) {
        CHECK(pthread_create(&thread, NULL, write_until_it_fails, &writer) == 0);
    }
    read_in_pieces(fd, 0, PIECE);
    if (!with_writer) {
        /* An AF_UNIX connection is reset by what its peer has not read; it has read its order by now. */
        CHECK(send(fd, "unread", 6, 0) == 6);
    }
    read_in_pieces(fd, PIECE, pause);
    seen = peer_result();
    if (strcmp(seen.end, "open") != 0) {
        FAIL("the peer: %s", seen.end);
    }
    if (with_writer) {
        read_in_pieces(fd, pause, TOTAL - LAST);
        await_thread(thread);
        *writer_error = writer.error;
        pause = TOTAL - LAST;
    }
    read_in_pieces(fd, pause, TOTAL);
    count = recv(fd, &byte, 1, 0);
    error = count < 0 ? errno : 0;
    CHECK(count <= 0);
    for (int again = 0; again < 2; again++) {
        if (ssl_get_error(s) != breakage->error) {
            upgrade_failed("another error", s);
        }
        CHECK(recv(fd, &byte, 1, 0) == 0);
        CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == -1 && (errno == EPIPE || errno == ECONNRESET));
    }
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0);
    peer_go();
    return error;
}

static void every_byte_then_the_reason(const struct way *way, const struct breakage *breakage)
{
    int error = read_through(way, breakage, 0, NULL);

    if (error != ECONNRESET) {
        FAIL("recv answered %s and not ECONNRESET", error == 0 ? "the end" : strerror(error));
    }
}

/* The kernel tells one of the two of the reset. */
static void every_byte_also_after_the_writer_failed(const struct way *way, const struct breakage *breakage)
{
    for (int round = 0; round < rounds(1, 20); round++) {
        int writer_error = 0;
        int error = read_through(way, breakage, 1, &writer_error);

        if (!(writer_error == ECONNRESET && error == 0) && !(writer_error == EPIPE && error == ECONNRESET)) {
            FAIL("the writer was told %s, the reader %s", strerror(writer_error), strerror(error));
        }
    }
}

static void a_truncation_comes_after_every_byte(const struct way *way)
{
    every_byte_then_the_reason(way, &truncation);
}

static void a_bad_record_comes_after_every_byte(const struct way *way)
{
    every_byte_then_the_reason(way, &bad_record);
}

static void a_reset_comes_after_every_byte(const struct way *way)
{
    every_byte_then_the_reason(way, &reset);
}

static void a_reset_is_never_an_allowed_truncation(const struct way *way)
{
    every_byte_then_the_reason(way, &never_allowed);
}

static void a_writer_told_first_of_a_truncation_takes_no_byte_away(const struct way *way)
{
    every_byte_also_after_the_writer_failed(way, &truncation);
}

static void a_writer_told_first_of_a_bad_record_takes_no_byte_away(const struct way *way)
{
    every_byte_also_after_the_writer_failed(way, &bad_record);
}

static void a_writer_told_first_of_a_reset_takes_no_byte_away(const struct way *way)
{
    every_byte_also_after_the_writer_failed(way, &reset);
}

static void a_reset_that_a_writer_was_told_of_is_no_allowed_truncation(const struct way *way)
{
    every_byte_also_after_the_writer_failed(way, &never_allowed);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"a_truncation_comes_after_every_byte", a_truncation_comes_after_every_byte, transparent_ways_and_versions, 0},
        {"a_bad_record_comes_after_every_byte", a_bad_record_comes_after_every_byte, transparent_ways_and_versions, 0},
        {"a_reset_comes_after_every_byte", a_reset_comes_after_every_byte, transparent_ways_and_versions, 0},
        {"a_reset_is_never_an_allowed_truncation", a_reset_is_never_an_allowed_truncation, transparent_ways, 0},
        {"a_writer_told_first_of_a_truncation_takes_no_byte_away",
         a_writer_told_first_of_a_truncation_takes_no_byte_away, transparent_ways, 0},
        {"a_writer_told_first_of_a_bad_record_takes_no_byte_away",
         a_writer_told_first_of_a_bad_record_takes_no_byte_away, transparent_ways, 0},
        {"a_writer_told_first_of_a_reset_takes_no_byte_away", a_writer_told_first_of_a_reset_takes_no_byte_away,
         transparent_ways, 0},
        {"a_reset_that_a_writer_was_told_of_is_no_allowed_truncation",
         a_reset_that_a_writer_was_told_of_is_no_allowed_truncation, transparent_ways, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
