/*
 * Transparent mode: the program's own end of a connection, half of it or all, and what the library then holds. The
 * peer's steps are those of tests/peer_steps.py.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/conversation.h"
#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

#define MEGABYTE ((size_t)1024 * 1024)

static ssl_socket *play(int fd, const struct way *way, const char *steps)
{
    return upgrade_to_peer(fd, way, "play %s %s", peer_ticket(), steps);
}

/* The same with another limit for what comes after the program's close. */
static ssl_socket *play_with_limit(int fd, const struct way *way, uint32_t ms, const char *steps)
{
    ssl_socket *s = ssl_socket_new(fd);
    char order[256];
    int length = snprintf(order, sizeof order, "play %s %s\n", peer_ticket(), steps);

    CHECK(s != NULL && ssl_set_flags(s, SSL_FLAG_DEFER_HANDSHAKE | way->flags) == SSL_ERR_OKAY);
    CHECK(ssl_set_timeout(s, SSL_TIMEOUT_CLOSE, ms) == SSL_ERR_OKAY);
    CHECK(ssl_add_trust_file(s, pki_file("ca.pem")) == SSL_ERR_OKAY);
    if (ssl_perform_handshake(s, "localhost") != SSL_ERR_OKAY) {
        upgrade_failed("ssl_perform_handshake", s);
    }
    send_all(fd, order, (size_t)length);
    return s;
}

static void freed(ssl_socket *s)
{
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
}

static void expect_seen(size_t bytes, const char *end)
{
    struct seen seen = peer_result();

    if (seen.bytes != bytes || strcmp(seen.end, end) != 0) {
        FAIL("the peer got %zu bytes and %s instead of %zu and %s", seen.bytes, seen.end, bytes, end);
    }
}

/* How many descriptors there are when the library has its own, and nothing else is open. */
static int without_connections(const struct way *way)
{
    int fd = peer_connect(way->peer);

    freed(upgrade_to_peer(fd, way, "source 1"));
    receive_pattern(fd, 1, 0);
    expect_end(fd);
    CHECK(close(fd) == 0);
    /* The library keeps an epoll instance and what wakes it. */
    await_descriptors(3 + 2);
    return 3 + 2;
}

/* Another connection comes and goes: whatever the library does meanwhile, it has had the time for. */
static void meanwhile_another_connection(const struct way *way)
{
    int fd = peer_connect(way->peer);

    freed(upgrade_to_peer(fd, way, "echo"));
    send_pattern(fd, MEGABYTE / 8);
    receive_pattern(fd, MEGABYTE / 8, 0);
    CHECK(shutdown(fd, SHUT_WR) == 0);
    expect_end(fd);
    CHECK(close(fd) == 0);
}

static void a_closed_idle_connection_is_freed_at_once(const struct way *way)
{
    int before = without_connections(way);
    int fd = peer_connect(way->peer);

    /* Not by a limit, but by seeing the close and the peer's answer. */
    freed(play_with_limit(fd, way, UINT32_MAX, "read closed"));
    meanwhile_another_connection(way);
    CHECK(close(fd) == 0);
    expect_seen(0, "close_notify");
    await_descriptors(before);
}

static void closing_the_last_duplicate_is_the_close(const struct way *way)
{
    int before = without_connections(way);
    int fd = peer_connect(way->peer);
    int duplicate = dup(fd);

    freed(play_with_limit(fd, way, UINT32_MAX, "data:1 read closed"));
    receive_pattern(fd, 1, 0);
    CHECK(close(fd) == 0);
    meanwhile_another_connection(way);
    send_pattern(duplicate, 1000);
    CHECK(close(duplicate) == 0);
    expect_seen(1000, "close_notify");
    await_descriptors(before);
}

static void a_half_closed_idle_connection_is_kept(const struct way *way)
{
    int before = without_connections(way);
    int fd = peer_connect(way->peer);
    int with;

    freed(play_with_limit(fd, way, 1, "read tell go data:1048576+notify closed"));
    with = open_descriptors();
    CHECK(shutdown(fd, SHUT_WR) == 0);
    expect_seen(0, "close_notify");
    meanwhile_another_connection(way);
    await_descriptors(with);
    peer_go();
    receive_pattern(fd, MEGABYTE, 0);
    expect_end(fd);
    CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
    CHECK(close(fd) == 0);
    await_descriptors(before);
}

static void an_idle_connection_half_closed_by_the_peer_is_kept(const struct way *way)
{
    int before = without_connections(way);
    int fd = peer_connect(way->peer);
    int with;

    freed(play_with_limit(fd, way, UINT32_MAX, "notify+fin read closed"));
    with = open_descriptors();
    expect_end(fd);
    meanwhile_another_connection(way);
    await_descriptors(with);
    send_pattern(fd, MEGABYTE);
    CHECK(close(fd) == 0);
    expect_seen(MEGABYTE, "close_notify");
    await_descriptors(before);
}

static void both_half_close_and_the_library_lets_go(const struct way *way)
{
    int before = without_connections(way);

    for (int round = 0; round < rounds(10, 200); round++) {
        int fd = peer_connect(way->peer);

        freed(play_with_limit(fd, way, UINT32_MAX, "line data:10+notify read closed"));
        send_all(fd, "now\n", 4);
        /* With the peer's end under way, or before it, or after it. */
        send_pattern(fd, 10);
        CHECK(shutdown(fd, SHUT_WR) == 0);
        receive_pattern(fd, 10, 0);
        expect_end(fd);
        expect_seen(10, "close_notify");
        /* The program's descriptor is what is left. */
        await_descriptors(before + 1);
        CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
        CHECK(close(fd) == 0);
    }
}

static void both_close_at_once(const struct way *way)
{
    int before = without_connections(way);

    for (int round = 0; round < rounds(10, 200); round++) {
        int fd = peer_connect(way->peer);

        freed(play_with_limit(fd, way, UINT32_MAX, "line notify+fin read closed"));
        send_all(fd, "now\n", 4);
        send_pattern(fd, 10000);
        CHECK(close(fd) == 0);
        expect_seen(10000, "close_notify");
        await_descriptors(before);
    }
}

static void write_only_then_close(const struct way *way)
{
    for (int round = 0; round < rounds(5, 100); round++) {
        int fd = peer_connect(way->peer);

        freed(upgrade_to_peer(fd, way, "sink %s", peer_ticket()));
        send_pattern(fd, 2 * MEGABYTE);
        CHECK(close(fd) == 0);
        peer_got(2 * MEGABYTE);
    }
}

/* It does not answer close_notify, nor does it close; it goes on when the library is known to have given up. */
static void a_peer_that_never_answers_close_notify(const struct way *way)
{
    int before = without_connections(way);
    int fd = peer_connect(way->peer);

    freed(play_with_limit(fd, way, 300, "data:1 go read closed"));
    receive_pattern(fd, 1, 0);
    send_pattern(fd, 10000);
    CHECK(close(fd) == 0);
    await_descriptors(before);
    peer_go();
    expect_seen(10000, "close_notify");
}

/* Both directions had to be closed by hand: shutdown, then close, the peer silent all the time. */
static void a_peer_that_never_answers_a_half_close(const struct way *way)
{
    int before = without_connections(way);
    int fd = peer_connect(way->peer);
    int with;

    freed(play_with_limit(fd, way, 300, "data:1 go read closed"));
    with = open_descriptors();
    receive_pattern(fd, 1, 0);
    CHECK(shutdown(fd, SHUT_WR) == 0);
    meanwhile_another_connection(way);
    /* It may still answer; only after the close is there a limit. */
    await_descriptors(with);
    CHECK(close(fd) == 0);
    await_descriptors(before);
    peer_go();
    expect_seen(0, "close_notify");
}

/* Neither is what the peer goes on saying without end awaited after the close. */
static void a_peer_that_does_not_stop_talking_is_cut_off(const struct way *way)
{
    int before = without_connections(way);
    int fd = peer_connect(way->peer);
    struct seen seen;

    freed(play_with_limit(fd, way, UINT32_MAX, "data:1 line data:268435456"));
    receive_pattern(fd, 1, 0);
    send_all(fd, "now\n", 4);
    CHECK(close(fd) == 0);
    await_descriptors(before);
    seen = peer_result();
    CHECK(strstr(seen.end, "could not go on") != NULL);
}

static void nothing_is_sent_after_the_own_end(const struct way *way)
{
    int fd = peer_connect(way->peer);

    freed(play(fd, way, "read go data:1000+notify"));
    send_pattern(fd, 1000);
    CHECK(shutdown(fd, SHUT_WR) == 0);
    for (int again = 0; again < 3; again++) {
        CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
    }
    CHECK(shutdown(fd, SHUT_WR) == 0);
    peer_go();
    receive_pattern(fd, 1000, 0);
    expect_end(fd);
    expect_seen(1000, "close_notify");
    CHECK(close(fd) == 0);
    CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == -1 && errno == EBADF);
}

static void *send_a_megabyte(void *argument)
{
    send_pattern(*(int *)argument, MEGABYTE);
    return NULL;
}

/* After the peer's half-close one thread sends, and another waits for the end that it has had already. */
static void the_peer_half_closes_and_a_megabyte_is_sent(const struct way *way)
{
    int fd = peer_connect(way->peer);
    pthread_t thread;

    freed(play(fd, way, "data:1000+notify read"));
    CHECK(pthread_create(&thread, NULL, send_a_megabyte, &fd) == 0);
    receive_pattern(fd, 1000, 0);
    expect_end(fd);
    CHECK(pthread_join(thread, NULL) == 0);
    expect_end(fd);
    CHECK(shutdown(fd, SHUT_WR) == 0);
    expect_seen(MEGABYTE, "close_notify");
    CHECK(close(fd) == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"a_closed_idle_connection_is_freed_at_once", a_closed_idle_connection_is_freed_at_once,
         transparent_ways_and_versions, 0},
        {"closing_the_last_duplicate_is_the_close", closing_the_last_duplicate_is_the_close, transparent_ways, 0},
        {"a_half_closed_idle_connection_is_kept", a_half_closed_idle_connection_is_kept, transparent_ways, 0},
        {"an_idle_connection_half_closed_by_the_peer_is_kept", an_idle_connection_half_closed_by_the_peer_is_kept,
         transparent_ways, 0},
        {"both_half_close_and_the_library_lets_go", both_half_close_and_the_library_lets_go,
         transparent_ways_and_versions, 0},
        {"both_close_at_once", both_close_at_once, transparent_ways_and_versions, 0},
        {"write_only_then_close", write_only_then_close, pair_ways, 0},
        {"a_peer_that_never_answers_close_notify", a_peer_that_never_answers_close_notify, transparent_ways, 0},
        {"a_peer_that_never_answers_a_half_close", a_peer_that_never_answers_a_half_close, transparent_ways, 0},
        {"a_peer_that_does_not_stop_talking_is_cut_off", a_peer_that_does_not_stop_talking_is_cut_off,
         transparent_ways, 0},
        {"nothing_is_sent_after_the_own_end", nothing_is_sent_after_the_own_end, transparent_ways_and_versions, 0},
        {"the_peer_half_closes_and_a_megabyte_is_sent", the_peer_half_closes_and_a_megabyte_is_sent,
         transparent_ways_and_versions, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
