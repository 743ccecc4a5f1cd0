/*
 * Transparent mode: how the peer may end a connection, and what plain recv and send then answer. The peer's steps are
 * those of tests/peer_steps.py.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

#define SENT 100000
#define MEGABYTE ((size_t)1024 * 1024)

static ssl_socket *play_with(int fd, const struct way *way, uint32_t flags, const char *steps)
{
    struct way flagged = *way;

    flagged.flags |= flags;
    return upgrade_to_peer(fd, &flagged, "play %s %s", peer_ticket(), steps);
}

static void over(int fd, ssl_socket *s)
{
    CHECK(close(fd) == 0 && ssl_socket_free(s) == SSL_ERR_OKAY);
}

static void expect_error(ssl_socket *s, int error)
{
    if (ssl_get_error(s) != error) {
        upgrade_failed("another error", s);
    }
}

/*
 * The peer does these steps: the data comes, then ECONNRESET once, then nothing more, and the handle goes on having the
 * reason, whatever is tried meanwhile.
 */
static void data_then_reset(const struct way *way, uint32_t flags, const char *steps, int error)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = play_with(fd, way, flags, steps);
    char byte;

    receive_pattern(fd, SENT, 0);
    /* The peer waits for it, so that the end does not come before. */
    CHECK(send(fd, "x\n", 2, MSG_NOSIGNAL) == 2);
    CHECK(recv(fd, &byte, 1, 0) == -1 && errno == ECONNRESET);
    expect_error(s, error);
    CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == -1 && (errno == EPIPE || errno == ECONNRESET));
    expect_error(s, error);
    CHECK(recv(fd, &byte, 1, 0) == 0);
    CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
    expect_error(s, error);
    CHECK(shutdown(fd, SHUT_RDWR) == 0 || errno == ENOTCONN);
    expect_error(s, error);
    over(fd, s);
}

/* The same, and recv answers 0 for ever. */
static void data_then_end(const struct way *way, uint32_t flags, const char *steps)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = play_with(fd, way, flags, steps);

    receive_pattern(fd, SENT, 0);
    expect_end(fd);
    expect_end(fd);
    expect_error(s, SSL_ERR_OKAY);
    over(fd, s);
}

static void fin_without_close_notify(const struct way *way)
{
    data_then_reset(way, 0, "data:100000 line fin read", SSL_ERR_TRUNCATED);
}

static void fin_with_the_last_data(const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = play_with(fd, way, 0, "data:100000+fin read");
    char byte;

    receive_pattern(fd, SENT, 0);
    CHECK(recv(fd, &byte, 1, 0) == -1 && errno == ECONNRESET);
    expect_error(s, SSL_ERR_TRUNCATED);
    over(fd, s);
}

static void fin_inside_a_record(const struct way *way)
{
    data_then_reset(way, 0, "data:100000 half:10000 line fin read", SSL_ERR_TRUNCATED);
}

static void fin_inside_a_header(const struct way *way)
{
    data_then_reset(way, 0, "data:100000 header:10000 line fin read", SSL_ERR_TRUNCATED);
}

static void reset_by_the_peer(const struct way *way)
{
    data_then_reset(way, 0, "data:100000 acked rst", SSL_ERR_RESET);
}

static void reset_inside_a_record(const struct way *way)
{
    data_then_reset(way, 0, "data:100000 half:10000 acked rst", SSL_ERR_RESET);
}

static void changed_record(const struct way *way)
{
    data_then_reset(way, 0, "data:100000 line bad:10 fin read", SSL_ERR_PROTOCOL);
}

static void record_in_clear(const struct way *way)
{
    data_then_reset(way, 0, "data:100000 line clear fin read", SSL_ERR_PROTOCOL);
}

static void fatal_alert(const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = play_with(fd, way, 0, "data:100000 alert fin read");
    ssl_error_info info = {.size = sizeof info};
    char byte;

    receive_pattern(fd, SENT, 0);
    CHECK(recv(fd, &byte, 1, 0) == -1 && errno == ECONNRESET);
    expect_error(s, SSL_ERR_ALERT);
    CHECK(ssl_get_error_info(s, &info) == SSL_ERR_OKAY);
    /* bad_record_mac */
    CHECK(info.code == SSL_ERR_ALERT && info.tls_alert == 20);
    over(fd, s);
}

static void close_notify_by_the_peer(const struct way *way)
{
    data_then_end(way, 0, "data:100000 notify read");
}

static void close_notify_and_fin_in_one_piece_with_data(const struct way *way)
{
    data_then_end(way, 0, "data:100000+notify+fin read");
}

static void data_after_close_notify_is_not_data(const struct way *way)
{
    data_then_end(way, 0, "data:100000+notify+clear fin read");
}

static void a_reset_after_close_notify_is_no_reset_of_what_was_read(const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = play_with(fd, way, 0, "data:100000+notify acked rst");

    receive_pattern(fd, SENT, 0);
    expect_end(fd);
    CHECK(send(fd, "unread", 6, MSG_NOSIGNAL) == 6);
    peer_result();
    expect_end(fd);
    over(fd, s);
}

static void a_truncation_may_be_allowed(const struct way *way)
{
    data_then_end(way, SSL_FLAG_ALLOW_TRUNCATION, "data:100000 fin read");
    data_then_end(way, SSL_FLAG_ALLOW_TRUNCATION, "data:100000+fin read");
}

static void an_allowed_truncation_inside_a_record_gives_whole_records(const struct way *way)
{
    data_then_end(way, SSL_FLAG_ALLOW_TRUNCATION, "data:100000 half:10000 fin read");
    data_then_end(way, SSL_FLAG_ALLOW_TRUNCATION, "data:100000 header:10000 fin read");
}

static void what_is_no_truncation_is_not_allowed(const struct way *way)
{
    data_then_reset(way, SSL_FLAG_ALLOW_TRUNCATION, "data:100000 acked rst", SSL_ERR_RESET);
    data_then_reset(way, SSL_FLAG_ALLOW_TRUNCATION, "data:100000 line bad:10 fin read", SSL_ERR_PROTOCOL);
}

static void sending_goes_on_after_an_allowed_truncation(const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = play_with(fd, way, SSL_FLAG_ALLOW_TRUNCATION, "data:100 fin read");

    receive_pattern(fd, 100, 0);
    expect_end(fd);
    send_pattern(fd, MEGABYTE);
    expect_error(s, SSL_ERR_OKAY);
    over(fd, s);
    peer_got(MEGABYTE);
}

/* After the program's own end the kernel of an AF_UNIX pair cannot tell it of a reset; the handle has it. */
static void a_truncation_after_the_own_end(const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = play_with(fd, way, 0, "read data:100000 fin");
    char byte;
    ssize_t count;

    CHECK(shutdown(fd, SHUT_WR) == 0);
    receive_pattern(fd, SENT, 0);
    count = recv(fd, &byte, 1, 0);
    CHECK(has_unix_pair(way) ? count == 0 : count == -1 && errno == ECONNRESET);
    expect_error(s, SSL_ERR_TRUNCATED);
    over(fd, s);
}

/* A peer that has gone is noticed by a program that only sends. */
static void a_sender_is_told(const struct way *way)
{
    static const char data[10000];
    int fd = peer_connect(way->peer);
    ssl_socket *s = play_with(fd, way, 0, "line rst");
    ssize_t count;

    CHECK(send(fd, "x\n", 2, MSG_NOSIGNAL) == 2);
    do {
        count = send(fd, data, sizeof data, MSG_NOSIGNAL);
    } while (count > 0);
    CHECK(errno == ECONNRESET || errno == EPIPE);
    expect_error(s, SSL_ERR_RESET);
    CHECK(send(fd, data, 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
    over(fd, s);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"fin_without_close_notify", fin_without_close_notify, transparent_ways_and_versions, 0},
        {"fin_with_the_last_data", fin_with_the_last_data, transparent_ways_and_versions, 0},
        {"fin_inside_a_record", fin_inside_a_record, transparent_ways_and_versions, 0},
        {"fin_inside_a_header", fin_inside_a_header, transparent_ways_and_versions, 0},
        {"reset_by_the_peer", reset_by_the_peer, transparent_ways_and_versions, 0},
        {"reset_inside_a_record", reset_inside_a_record, transparent_ways, 0},
        {"changed_record", changed_record, transparent_ways_and_versions, 0},
        {"record_in_clear", record_in_clear, transparent_ways_and_versions, 0},
        {"fatal_alert", fatal_alert, transparent_ways_and_versions, 0},
        {"close_notify_by_the_peer", close_notify_by_the_peer, transparent_ways_and_versions, 0},
        {"close_notify_and_fin_in_one_piece_with_data", close_notify_and_fin_in_one_piece_with_data,
         transparent_ways_and_versions, 0},
        {"data_after_close_notify_is_not_data", data_after_close_notify_is_not_data, transparent_ways_and_versions, 0},
        {"a_reset_after_close_notify_is_no_reset_of_what_was_read",
         a_reset_after_close_notify_is_no_reset_of_what_was_read, transparent_ways, 0},
        {"a_truncation_may_be_allowed", a_truncation_may_be_allowed, transparent_ways_and_versions, 0},
        {"an_allowed_truncation_inside_a_record_gives_whole_records",
         an_allowed_truncation_inside_a_record_gives_whole_records, transparent_ways, 0},
        {"what_is_no_truncation_is_not_allowed", what_is_no_truncation_is_not_allowed, transparent_ways, 0},
        {"sending_goes_on_after_an_allowed_truncation", sending_goes_on_after_an_allowed_truncation, transparent_ways,
         0},
        {"a_truncation_after_the_own_end", a_truncation_after_the_own_end, transparent_ways_and_versions, 0},
        {"a_sender_is_told", a_sender_is_told, transparent_ways, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
