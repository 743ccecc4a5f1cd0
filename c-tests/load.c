/* Many connections in one process: when they are over, nothing of them is left. */
#define _GNU_SOURCE

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/peer.h"
#include "common/process.h"
#include "common/quick_peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

/* At once: some tens. A thread of the library carries as many, so there is one. */
#define BATCH 40

struct connection {
    int fd;
    ssl_socket *s;
};

static struct connection opened(const struct quick_peer *peer, const struct way *way)
{
    struct connection connection = {quick_peer_connect(peer), NULL};

    connection.s = upgrade_with(connection.fd, "localhost", way->flags);
    return connection;
}

static void closed(const struct connection *connection)
{
    CHECK(ssl_socket_free(connection->s) == SSL_ERR_OKAY);
    CHECK(close(connection->fd) == 0);
}

/* Half of them in batches, half of them one after another. */
static void have_conversations(const struct quick_peer *peer, const struct way *way, size_t first, size_t count)
{
    struct connection batch[BATCH];
    size_t done = 0;

    for (; done + 2 * BATCH <= count; done += BATCH) {
        for (size_t i = 0; i < BATCH; i++) {
            batch[i] = opened(peer, way);
        }
        for (size_t i = 0; i < BATCH; i++) {
            quick_peer_talk(batch[i].fd, batch[i].s, way, first + done + i, (done + i) * 97 % 20000);
        }
        for (size_t i = 0; i < BATCH; i++) {
            closed(&batch[i]);
        }
        for (size_t i = 0; i < BATCH; i++, done++) {
            struct connection one = opened(peer, way);
            quick_peer_talk(one.fd, one.s, way, first + done + BATCH, (done + i) * 97 % 20000);
            closed(&one);
        }
    }
    for (; done < count; done++) {
        struct connection one = opened(peer, way);
        quick_peer_talk(one.fd, one.s, way, first + done, 100);
        closed(&one);
    }
}

/*
 * What the allocator may keep even when it is told to give back: with several threads at it that varies by some hundred
 * KiB. A connection that left something would leave it a thousand times.
 */
#define ALLOWANCE_KIB rounds(1024, 2048)

static void a_thousand_connections_leave_nothing(const struct way *way)
{
    size_t total = (size_t)rounds(1000, 10000);
    size_t warm = 200;
    struct quick_peer peer;
    unsigned long long blocked;
    int descriptors;
    int relays;
    long resident;
    long growth;

    quick_peer_start(&peer, total);
    have_conversations(&peer, way, 0, warm);
    descriptors = open_descriptors();
    for (int tries = 0; tries < 100 && open_descriptors() > 0; tries++) {
        /* The last ones may still be closing. */
        sleep_ms(10);
        descriptors = open_descriptors() < descriptors ? open_descriptors() : descriptors;
    }
    relays = library_threads(&blocked);
    CHECK(relays <= 1 && threads() == 1 + relays);
    malloc_trim(0);
    resident = resident_kib();

    have_conversations(&peer, way, warm, total - warm);
    quick_peer_expect_all(&peer);
    await_descriptors(descriptors);
    CHECK(open_descriptors() == descriptors);
    CHECK(library_threads(&blocked) == relays && threads() == 1 + relays);
    malloc_trim(0);
    growth = resident_kib() - resident;
    note("%ld KiB after %zu connections, %+ld KiB after %zu", resident, warm, growth, total);
    if (growth > ALLOWANCE_KIB) {
        FAIL("%ld KiB after %zu connections, %ld KiB more after %zu", resident, warm, growth, total);
    }
}

#define IDLE 100
/* What was moved filled 64 KiB in each direction, and as much again of ciphertext. */
#define IDLE_KIB 48

static void idle_connections_hold_little_memory(const struct way *way)
{
    int fds[IDLE];
    long began;
    long before;

    /* What is needed once. */
    echo_with_peer(way, 200000);
    malloc_trim(0);
    before = resident_kib();
    for (int i = 0; i < IDLE; i++) {
        fds[i] = peer_connect(way->peer);
        CHECK(ssl_socket_free(upgrade_to_peer(fds[i], way, "echo")) == SSL_ERR_OKAY);
        send_pattern(fds[i], 200000);
        receive_pattern(fds[i], 200000, 0);
    }
    began = milliseconds();
    do {
        if (milliseconds() - began > 20000) {
            FAIL("%ld KiB for %d idle connections", resident_kib() - before, IDLE);
        }
        sleep_ms(100);
        /* What is free inside the C library is not the library's. */
        malloc_trim(0);
    } while (resident_kib() - before > (long)IDLE * IDLE_KIB);
    note("%ld KiB for each of %d idle connections", (resident_kib() - before) / IDLE, IDLE);
    for (int i = 0; i < IDLE; i++) {
        send_pattern(fds[i], 1000);
        receive_pattern(fds[i], 1000, 0);
        CHECK(close(fds[i]) == 0);
    }
}

/* The peer's process is killed in mid-conversation: no close_notify. */
static void a_killed_peer_is_a_truncation(const struct way *way)
{
    struct quick_peer peer;
    struct connection connection;
    char byte;
    ptrdiff_t count;

    quick_peer_start(&peer, 1);
    connection = opened(&peer, way);
    quick_peer_talk(connection.fd, connection.s, way, 0, 1000);
    CHECK(kill(peer.process, SIGKILL) == 0 && waitpid(peer.process, NULL, 0) == peer.process);
    count = way->flags & SSL_FLAG_EXPLICIT_IO ? ssl_recv(connection.s, &byte, 1, 0) : recv(connection.fd, &byte, 1, 0);
    if (count != -1 || errno != ECONNRESET) {
        FAIL("recv: %td, %s", count, strerror(errno));
    }
    CHECK(ssl_get_error(connection.s) == SSL_ERR_TRUNCATED);
    closed(&connection);
}

static ptrdiff_t send_some(const struct connection *connection, const struct way *way, const void *data, size_t length)
{
    return way->flags & SSL_FLAG_EXPLICIT_IO ? ssl_send(connection->s, data, length, MSG_DONTWAIT)
                                             : send(connection->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The same while data is under way in both directions: the sender is told, and what the reason is. */
static void a_peer_killed_in_mid_transfer_ends_the_sending(const struct way *way)
{
    enum { PERIOD = 251, PIECE = 16384 };
    const uint64_t header[2] = {0, UINT64_C(1) << 40};
    unsigned char pattern[PERIOD + PIECE];
    struct quick_peer peer;
    struct connection connection;
    size_t sent = 0;
    int32_t code;

    pattern_fill(pattern, sizeof pattern, 0);
    quick_peer_start(&peer, 1);
    connection = opened(&peer, way);
    CHECK(send_some(&connection, way, header, sizeof header) == sizeof header);
    for (;;) {
        ptrdiff_t count = send_some(&connection, way, pattern + sent % PERIOD, PIECE);
        if (count >= 0) {
            sent += (size_t)count;
        } else if (errno != EAGAIN) {
            break;
        } else if (peer.process > 0) {
            /* It waits for somebody to take its answer, and everything between is full. */
            CHECK(kill(peer.process, SIGKILL) == 0 && waitpid(peer.process, NULL, 0) == peer.process);
            peer.process = 0;
        } else {
            sleep_ms(1);
        }
    }
    CHECK(errno == EPIPE || errno == ECONNRESET);
    CHECK(peer.process == 0 && sent > 100000);
    code = ssl_get_error(connection.s);
    if (code != SSL_ERR_RESET && code != SSL_ERR_TRUNCATED) {
        FAIL("%s", ssl_error_name(code));
    }
    closed(&connection);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"a_thousand_connections_leave_nothing", a_thousand_connections_leave_nothing, each_mode, 300},
        {"idle_connections_hold_little_memory", idle_connections_hold_little_memory, pair_ways, 0},
        {"a_killed_peer_is_a_truncation", a_killed_peer_is_a_truncation, each_mode, 0},
        {"a_peer_killed_in_mid_transfer_ends_the_sending",
         a_peer_killed_in_mid_transfer_ends_the_sending, each_mode, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
