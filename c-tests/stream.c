/* Transparent mode: bytes in both directions, and the ends of a connection, with the calls that a program has. */
#define _GNU_SOURCE

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

#define MEGABYTE (1024 * 1024)

static void freed(ssl_socket *s)
{
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
}

static void write_read_close(const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = upgrade_to_peer(fd, way, "echo");
    char answer[5];

    CHECK(write(fd, "hello", 5) == 5);
    CHECK(recv(fd, answer, 5, MSG_WAITALL) == 5 && memcmp(answer, "hello", 5) == 0);
    CHECK(close(fd) == 0);
    freed(s);
}

static void close_after_a_write_loses_nothing(const struct way *way)
{
    int fd = peer_connect(way->peer);

    freed(upgrade_to_peer(fd, way, "sink %s", peer_ticket()));
    send_pattern(fd, MEGABYTE + 1);
    CHECK(close(fd) == 0);
    peer_got(MEGABYTE + 1);
}

static void close_with_a_slow_peer_loses_nothing(const struct way *way)
{
    int fd = peer_connect(way->peer);

    freed(upgrade_to_peer(fd, way, "sink %s 300", peer_ticket()));
    send_pattern(fd, 2 * MEGABYTE);
    CHECK(close(fd) == 0);
    peer_got(2 * MEGABYTE);
}

static void half_close_then_read_a_megabyte(const struct way *way)
{
    int fd = peer_connect(way->peer);

    freed(upgrade_to_peer(fd, way, "answer %d", MEGABYTE));
    CHECK(shutdown(fd, SHUT_WR) == 0);
    receive_pattern(fd, MEGABYTE, 0);
    expect_end(fd);
    CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
    CHECK(close(fd) == 0);
}

static void the_end_comes_after_the_data(const struct way *way)
{
    int fd = peer_connect(way->peer);

    freed(upgrade_to_peer(fd, way, "source %d", 3 * MEGABYTE));
    sleep_ms(100);
    receive_pattern(fd, 3 * MEGABYTE, 0);
    expect_end(fd);
    expect_end(fd);
    CHECK(close(fd) == 0);
}

static void sending_goes_on_after_the_peer_has_ended(const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = upgrade_to_peer(fd, way, "source 1");

    receive_pattern(fd, 1, 0);
    expect_end(fd);
    send_pattern(fd, 1000);
    CHECK(ssl_get_error(s) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0);
    freed(s);
}

static void truncation_gives_the_data_then_a_reset(const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = upgrade_to_peer(fd, way, "truncate %d", MEGABYTE);
    char byte;

    receive_pattern(fd, MEGABYTE, 0);
    CHECK(recv(fd, &byte, 1, 0) == -1 && errno == ECONNRESET);
    CHECK(ssl_get_error(s) == SSL_ERR_TRUNCATED);
    /* The kernel tells it once, the library as long as there is a handle. */
    CHECK(recv(fd, &byte, 1, 0) <= 0);
    CHECK(ssl_get_error(s) == SSL_ERR_TRUNCATED);
    CHECK(close(fd) == 0);
    freed(s);
}

static void a_reset_is_a_reset(const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = upgrade_to_peer(fd, way, "reset");
    char byte;

    CHECK(recv(fd, &byte, 1, 0) == -1 && errno == ECONNRESET);
    /* An AF_UNIX connection has no resets but with unread data. */
    CHECK(ssl_get_error(s) == SSL_ERR_RESET || (way->peer[12] == '_' && ssl_get_error(s) == SSL_ERR_TRUNCATED));
    CHECK(close(fd) == 0);
    freed(s);
}

static void fionread_tells_what_can_be_read(const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = upgrade_to_peer(fd, way, "echo");
    size_t pending = 0;
    int readable = -1;

    CHECK(ioctl(fd, FIONREAD, &readable) == 0 && readable == 0);
    send_pattern(fd, 1234);
    for (int tries = 0; readable < 1234 && tries < 2000; tries++) {
        sleep_ms(5);
        CHECK(ioctl(fd, FIONREAD, &readable) == 0);
    }
    CHECK(readable == 1234);
    CHECK(ssl_pending(s, &pending) == SSL_ERR_OKAY && pending == 1234);
    receive_pattern(fd, 1234, 0);
    CHECK(ioctl(fd, FIONREAD, &readable) == 0 && readable == 0);
    CHECK(close(fd) == 0);
    freed(s);
}

static void readv_and_writev(const struct way *way)
{
    int fd = peer_connect(way->peer);
    unsigned char sent[3][1000];
    unsigned char received[2][1500];
    struct iovec out[3];
    struct iovec in[2];
    size_t total = 0;

    freed(upgrade_to_peer(fd, way, "echo"));
    for (size_t i = 0; i < 3; i++) {
        pattern_fill(sent[i], sizeof sent[i], i * sizeof sent[i]);
        out[i].iov_base = sent[i];
        out[i].iov_len = sizeof sent[i];
    }
    CHECK(writev(fd, out, 3) == 3000);
    while (total < 3000) {
        in[0].iov_base = received[0] + (total < 1500 ? total : 1500);
        in[0].iov_len = total < 1500 ? 1500 - total : 0;
        in[1].iov_base = received[1] + (total < 1500 ? 0 : total - 1500);
        in[1].iov_len = total < 1500 ? 1500 : 3000 - total;
        ssize_t count = readv(fd, in, 2);
        CHECK(count > 0);
        total += (size_t)count;
    }
    CHECK(pattern_matches(received[0], 1500, 0) && pattern_matches(received[1], 1500, 1500));
    CHECK(close(fd) == 0);
}

static void sendmsg_and_recvmsg(const struct way *way)
{
    int fd = peer_connect(way->peer);
    char out[] = "a message";
    char in[sizeof out] = "";
    struct iovec vector = {.iov_base = out, .iov_len = sizeof out};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

    freed(upgrade_to_peer(fd, way, "echo"));
    CHECK(sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)sizeof out);
    vector.iov_base = in;
    CHECK(recvmsg(fd, &message, MSG_WAITALL) == (ssize_t)sizeof in && memcmp(in, out, sizeof in) == 0);
    CHECK(close(fd) == 0);
}

static void peek_leaves_the_bytes(const struct way *way)
{
    int fd = peer_connect(way->peer);
    unsigned char seen[64];

    freed(upgrade_to_peer(fd, way, "echo"));
    send_pattern(fd, 32);
    for (int round = 0; round < 3; round++) {
        ssize_t count = recv(fd, seen, sizeof seen, MSG_PEEK);
        CHECK(count > 0 && pattern_matches(seen, (size_t)count, 0));
    }
    receive_pattern(fd, 32, 0);
    CHECK(recv(fd, seen, 1, MSG_PEEK | MSG_DONTWAIT) == -1 && errno == EAGAIN);
    CHECK(close(fd) == 0);
}

static void waitall_waits_for_all(const struct way *way)
{
    static unsigned char received[40000];
    int fd = peer_connect(way->peer);
    long began;

    freed(upgrade_to_peer(fd, way, "drip 30 10000 50000"));
    began = milliseconds();
    CHECK(recv(fd, received, sizeof received, MSG_WAITALL) == (ssize_t)sizeof received);
    CHECK(milliseconds() - began >= 90);
    CHECK(pattern_matches(received, sizeof received, 0));
    receive_pattern(fd, 10000, sizeof received);
    CHECK(close(fd) == 0);
}

static void dontwait_does_not_wait(const struct way *way)
{
    int fd = peer_connect(way->peer);
    char byte;
    long began;

    freed(upgrade_to_peer(fd, way, "drip 200 1 1"));
    began = milliseconds();
    CHECK(recv(fd, &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
    CHECK(milliseconds() - began < 150);
    await_events(fd, POLLIN);
    CHECK(recv(fd, &byte, 1, MSG_DONTWAIT) == 1);
    CHECK(close(fd) == 0);
}

static void dontwait_sends_until_the_peer_is_full(const struct way *way)
{
    static char block[65536];
    int fd = peer_connect(way->peer);
    size_t sent = 0;
    ssize_t count;

    freed(upgrade_to_peer(fd, way, "hold"));
    for (;;) {
        count = send(fd, block, sizeof block, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count < 0 && errno == EAGAIN) {
            struct pollfd entry = {.fd = fd, .events = POLLOUT};
            if (poll(&entry, 1, 300) == 0) {
                break;
            }
            continue;
        }
        CHECK(count > 0);
        sent += (size_t)count;
        /* Buffers of the kernel, and a bounded one of the library. */
        CHECK(sent < (size_t)64 * MEGABYTE);
    }
    CHECK(close(fd) == 0);
    /* exit would wait for the peer for a while. */
    fflush(NULL);
    _exit(EXIT_SUCCESS);
}

static void exit_gives_up_on_a_peer_that_takes_nothing(const struct way *way)
{
    static char block[65536];
    long began = milliseconds();
    uint32_t unfinished = 0;
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        int fd = peer_connect(way->peer);
        freed(upgrade_to_peer(fd, way, "hold"));
        while (send(fd, block, sizeof block, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
        }
        CHECK(errno == EAGAIN);
        CHECK(ssl_flush_all(0, &unfinished) == SSL_ERR_TIMEOUT && unfinished == 1);
        exit(EXIT_SUCCESS);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    /* 5 s without a byte moving. */
    CHECK(milliseconds() - began >= 4500 && milliseconds() - began < 12000);
}

static void time_limit_before(const struct way *way)
{
    int fd = peer_connect(way->peer);
    struct timeval limit = {.tv_usec = 100000};
    struct timeval kept = {0, 0};
    socklen_t length = sizeof kept;
    char byte;
    long began;

    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0);
    freed(upgrade_to_peer(fd, way, "drip 400 1 2"));
    CHECK(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kept, &length) == 0);
    CHECK(kept.tv_sec == 0 && kept.tv_usec >= 90000 && kept.tv_usec <= 110000);
    began = milliseconds();
    CHECK(recv(fd, &byte, 1, 0) == -1 && errno == EAGAIN);
    CHECK(milliseconds() - began >= 80 && milliseconds() - began < 350);
    /* Nothing is lost by it. */
    receive_pattern(fd, 2, 0);
    CHECK(close(fd) == 0);
}

static void time_limit_after(const struct way *way)
{
    int fd = peer_connect(way->peer);
    struct timeval limit = {.tv_usec = 100000};
    char byte;
    long began;

    freed(upgrade_to_peer(fd, way, "drip 400 1 2"));
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    began = milliseconds();
    CHECK(recv(fd, &byte, 1, 0) == -1 && errno == EAGAIN);
    CHECK(milliseconds() - began >= 80 && milliseconds() - began < 350);
    receive_pattern(fd, 2, 0);
    CHECK(close(fd) == 0);
}

struct reader {
    int fd;
    size_t length;
};

static void *read_it(void *argument)
{
    struct reader *reader = argument;

    receive_pattern(reader->fd, reader->length, 0);
    return NULL;
}

static void both_ways_at_once(const struct way *way)
{
    int fd = peer_connect(way->peer);
    struct reader reader = {.fd = fd, .length = 8 * MEGABYTE};
    pthread_t thread;

    freed(upgrade_to_peer(fd, way, "echo"));
    CHECK(pthread_create(&thread, NULL, read_it, &reader) == 0);
    send_pattern(fd, reader.length);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(close(fd) == 0);
}

static void both_ways_without_blocking(const struct way *way)
{
    int fd = peer_connect(way->peer);
    struct reader reader = {.fd = fd, .length = 8 * MEGABYTE};
    pthread_t thread;

    set_nonblocking(fd);
    freed(upgrade_to_peer(fd, way, "echo"));
    CHECK(pthread_create(&thread, NULL, read_it, &reader) == 0);
    send_pattern(fd, reader.length);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(close(fd) == 0);
}

static void one_byte_at_a_time(const struct way *way)
{
    int fd = peer_connect(way->peer);
    unsigned char byte;

    freed(upgrade_to_peer(fd, way, "echo"));
    for (size_t i = 0; i < 300; i++) {
        pattern_fill(&byte, 1, i);
        CHECK(send(fd, &byte, 1, MSG_NOSIGNAL) == 1);
    }
    for (size_t i = 0; i < 300; i++) {
        receive_pattern(fd, 1, i);
    }
    CHECK(close(fd) == 0);
}

static void around_the_size_of_a_record(const struct way *way)
{
    static const size_t sizes[] = {1, 16383, 16384, 16385, 65535, 65536, 65537};
    int fd = peer_connect(way->peer);

    freed(upgrade_to_peer(fd, way, "echo"));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        send_pattern(fd, sizes[i]);
        receive_pattern(fd, sizes[i], 0);
    }
    CHECK(close(fd) == 0);
}

/* The program's own limit for lingering: as on any socket, zero means that the connection is reset. */
static void linger_zero_resets(const struct way *way)
{
    int fd = peer_connect(way->peer);
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    struct seen seen;

    freed(upgrade_to_peer(fd, way, "sink %s", peer_ticket()));
    send_pattern(fd, 1000);
    /* Without a wait the reset may overtake the bytes, as it may on TCP. */
    sleep_ms(100);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
    CHECK(close(fd) == 0);
    seen = peer_result();
    if (way->flags == 0 && strcmp(way->peer, "SSLSOCK_PEER_UNIX") != 0 && strcmp(seen.end, "reset") != 0 &&
        strcmp(seen.end, "close_notify") != 0) {
        FAIL("the peer saw %s", seen.end);
    }
}

/*
 * A byte out of band cannot travel over TLS: it must not vanish, nor be taken for something else. An AF_UNIX pair takes
 * it out of the stream all the same and cannot be told not to.
 */
static void urgent_data_stays_in_the_stream(const struct way *way)
{
    int fd = peer_connect(way->peer);
    char answer[3];

    freed(upgrade_to_peer(fd, way, "echo"));
    CHECK(send(fd, "ab", 2, MSG_OOB | MSG_NOSIGNAL) == 2 && send(fd, "c", 1, MSG_NOSIGNAL) == 1);
    CHECK(recv(fd, answer, 3, MSG_WAITALL) == 3 && memcmp(answer, "abc", 3) == 0);
    CHECK(close(fd) == 0);
}

int main(int argc, char **argv)
{
    static const struct way tcp_ways[] = {
        {"IPv4", "SSLSOCK_PEER", 0},
        {"IPv6", "SSLSOCK_PEER6", 0},
        {NULL, NULL, 0},
    };
    static const struct test tests[] = {
        {"write_read_close", write_read_close, transparent_ways, 0},
        {"close_after_a_write_loses_nothing", close_after_a_write_loses_nothing, transparent_ways, 0},
        {"close_with_a_slow_peer_loses_nothing", close_with_a_slow_peer_loses_nothing, transparent_ways, 0},
        {"half_close_then_read_a_megabyte", half_close_then_read_a_megabyte, transparent_ways, 0},
        {"the_end_comes_after_the_data", the_end_comes_after_the_data, transparent_ways, 0},
        {"sending_goes_on_after_the_peer_has_ended", sending_goes_on_after_the_peer_has_ended, transparent_ways, 0},
        {"truncation_gives_the_data_then_a_reset", truncation_gives_the_data_then_a_reset, transparent_ways, 0},
        {"a_reset_is_a_reset", a_reset_is_a_reset, transparent_ways, 0},
        {"fionread_tells_what_can_be_read", fionread_tells_what_can_be_read, transparent_ways, 0},
        {"readv_and_writev", readv_and_writev, transparent_ways, 0},
        {"sendmsg_and_recvmsg", sendmsg_and_recvmsg, transparent_ways, 0},
        {"peek_leaves_the_bytes", peek_leaves_the_bytes, transparent_ways, 0},
        {"waitall_waits_for_all", waitall_waits_for_all, transparent_ways, 0},
        {"dontwait_does_not_wait", dontwait_does_not_wait, transparent_ways, 0},
        {"dontwait_sends_until_the_peer_is_full", dontwait_sends_until_the_peer_is_full, transparent_ways, 0},
        {"exit_gives_up_on_a_peer_that_takes_nothing", exit_gives_up_on_a_peer_that_takes_nothing, usual_way, 0},
        {"time_limit_before", time_limit_before, transparent_ways, 0},
        {"time_limit_after", time_limit_after, transparent_ways, 0},
        {"both_ways_at_once", both_ways_at_once, transparent_ways, 0},
        {"both_ways_without_blocking", both_ways_without_blocking, transparent_ways, 0},
        {"one_byte_at_a_time", one_byte_at_a_time, transparent_ways, 0},
        {"around_the_size_of_a_record", around_the_size_of_a_record, transparent_ways, 0},
        {"linger_zero_resets", linger_zero_resets, transparent_ways, 0},
        {"urgent_data_stays_in_the_stream", urgent_data_stays_in_the_stream, tcp_ways, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
