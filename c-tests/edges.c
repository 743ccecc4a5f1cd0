/*
 * Transparent mode: calls at the edge of what can be asked for. No bytes, more than there is memory, bytes out of band, a
 * time limit in the middle of a record, and small pieces that must not wait for an acknowledgement.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

#define EXCHANGES 51

static void freed(ssl_socket *s)
{
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
}

static void await_readable(int fd, int bytes)
{
    long began = milliseconds();
    int readable = -1;

    for (;;) {
        CHECK(ioctl(fd, FIONREAD, &readable) == 0);
        if (readable == bytes) {
            return;
        }
        if (milliseconds() - began > 20000) {
            FAIL("%d bytes can be read, and not %d", readable, bytes);
        }
        sleep_ms(1);
    }
}

static void no_bytes(const struct way *way)
{
    int fd = peer_connect(way->peer);
    char byte = 'x';

    freed(upgrade_to_peer(fd, way, "echo"));
    /* Neither an end nor a record. */
    CHECK(send(fd, &byte, 0, MSG_NOSIGNAL) == 0);
    CHECK(write(fd, &byte, 0) == 0);
    CHECK(read(fd, &byte, 0) == 0);
    send_pattern(fd, 5);
    await_readable(fd, 5);
    CHECK(recv(fd, &byte, 0, 0) == 0);
    CHECK(recv(fd, &byte, 0, MSG_DONTWAIT) == 0);
    CHECK(read(fd, &byte, 0) == 0);
    CHECK(send(fd, &byte, 0, MSG_NOSIGNAL) == 0);
    CHECK(byte == 'x');
    receive_pattern(fd, 5, 0);
    CHECK(shutdown(fd, SHUT_WR) == 0);
    expect_end(fd);
    CHECK(recv(fd, &byte, 0, 0) == 0);
    CHECK(close(fd) == 0);
}

/* The kernel takes what it can get at, or refuses; as on any socket. Nothing beyond the buffer may leave. */
static void more_bytes_than_there_can_be(const struct way *way)
{
    long page = sysconf(_SC_PAGESIZE);
    unsigned char *buffer = mmap(NULL, (size_t)page * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = peer_connect(way->peer);
    ssize_t count;

    CHECK(buffer != MAP_FAILED && mprotect(buffer + page, (size_t)page, PROT_NONE) == 0);
    freed(upgrade_to_peer(fd, way, "echo"));
    pattern_fill(buffer, (size_t)page, 0);
    for (size_t i = 0; i < 2; i++) {
        static const size_t lengths[] = {SIZE_MAX, SIZE_MAX / 2};
        count = send(fd, buffer, lengths[i], MSG_NOSIGNAL);
        if (count < 0) {
            CHECK(errno == EFAULT || errno == EINVAL);
        } else {
            CHECK(count <= page);
            receive_pattern(fd, (size_t)count, 0);
        }
    }
    /* Whatever it was, the connection goes on, and a large length is no harm where little is to be had. */
    send_pattern(fd, 100);
    await_readable(fd, 100);
    count = recv(fd, buffer, SIZE_MAX, 0);
    if (count < 0) {
        CHECK(errno == EFAULT || errno == EINVAL);
        receive_pattern(fd, 100, 0);
    } else {
        CHECK(count == 100 && pattern_matches(buffer, 100, 0));
    }
    CHECK(close(fd) == 0);
}

/* An AF_UNIX pair takes the byte out of the stream; the others stay, in their order. */
static void urgent_data_is_lost_on_a_unix_pair(const struct way *way)
{
    int fd = peer_connect(way->peer);
    char answer[3];

    freed(upgrade_to_peer(fd, way, "echo"));
    CHECK(send(fd, "a", 1, MSG_NOSIGNAL) == 1);
    if (send(fd, "!", 1, MSG_OOB | MSG_NOSIGNAL) < 0) {
        /* Kernels that do not have it. */
        CHECK(errno == EOPNOTSUPP);
    }
    CHECK(send(fd, "bc", 2, MSG_NOSIGNAL) == 2);
    CHECK(recv(fd, answer, 3, MSG_WAITALL) == 3 && memcmp(answer, "abc", 3) == 0);
    CHECK(shutdown(fd, SHUT_WR) == 0);
    expect_end(fd);
    CHECK(close(fd) == 0);
}

/* What has come of the record is kept, and what comes later belongs to it. */
static void time_limit_inside(const struct way *way, const char *steps)
{
    static const struct timeval limit = {.tv_usec = 50000};
    static const struct timeval none = {.tv_usec = 0};
    int fd = peer_connect(way->peer);
    char byte;

    freed(upgrade_to_peer(fd, way, "play %s %s", peer_ticket(), steps));
    receive_pattern(fd, 100, 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    for (int again = 0; again < 3; again++) {
        CHECK(recv(fd, &byte, 1, 0) == -1 && errno == EAGAIN);
    }
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none) == 0);
    send_all(fd, "go on\n", 6);
    receive_pattern(fd, 11000, 100);
    send_pattern(fd, 1000);
    CHECK(shutdown(fd, SHUT_WR) == 0);
    peer_got(1000);
    expect_end(fd);
    CHECK(close(fd) == 0);
}

static void a_time_limit_inside_a_record_loses_nothing(const struct way *way)
{
    time_limit_inside(way, "data:100+half:10000 line rest data:1000 read notify+fin");
}

static void a_time_limit_inside_a_header_loses_nothing(const struct way *way)
{
    time_limit_inside(way, "data:100+header:10000 line rest data:1000 read notify+fin");
}

/* A peer that answers two bytes with one, in clear. */
static void *exchange_in_clear(void *argument)
{
    int fd = *(int *)argument;
    char bytes[2];

    while (recv(fd, bytes, 2, MSG_WAITALL) == 2) {
        send_all(fd, "!", 1);
    }
    close(fd);
    return NULL;
}

static int by_size(const void *one, const void *other)
{
    const long long *a = one;
    const long long *b = other;

    return (*a > *b) - (*a < *b);
}

/* Two bytes in two calls, then the answer: the median time of it in microseconds. */
static long long write_write_read(int fd)
{
    long long times[EXCHANGES];

    for (size_t i = 0; i < EXCHANGES; i++) {
        struct timespec began;
        struct timespec ended;
        char answer;

        clock_gettime(CLOCK_MONOTONIC, &began);
        CHECK(send(fd, "a", 1, MSG_NOSIGNAL) == 1 && send(fd, "b", 1, MSG_NOSIGNAL) == 1);
        CHECK(recv(fd, &answer, 1, 0) == 1 && answer == '!');
        clock_gettime(CLOCK_MONOTONIC, &ended);
        times[i] = (ended.tv_sec - began.tv_sec) * 1000000LL + (ended.tv_nsec - began.tv_nsec) / 1000;
    }
    qsort(times, EXCHANGES, sizeof *times, by_size);
    return times[EXCHANGES / 2];
}

static long long write_write_read_in_clear(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    pthread_t thread;
    long long median;
    int peer;

    CHECK(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    CHECK(connect(fd, (struct sockaddr *)&address, length) == 0);
    peer = accept(listener, NULL, NULL);
    CHECK(peer >= 0 && pthread_create(&thread, NULL, exchange_in_clear, &peer) == 0);
    median = write_write_read(fd);
    close(fd);
    pthread_join(thread, NULL);
    close(listener);
    return median;
}

static int has_no_delay(int fd)
{
    int set = 0;
    socklen_t length = sizeof set;

    CHECK(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &set, &length) == 0);
    return set != 0;
}

static void write_write_read_waits_for_no_acknowledgement(const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = upgrade_to_peer(fd, way, "exchange");
    int transport = -1;
    long long upgraded;
    long long clear;

    CHECK(ssl_get_transport_fd(s, &transport) == SSL_ERR_OKAY);
    CHECK(has_no_delay(transport));
    CHECK(has_unix_pair(way) || has_no_delay(fd));
    upgraded = write_write_read(fd);
    CHECK(close(transport) == 0 && close(fd) == 0);
    freed(s);

    clear = write_write_read_in_clear();
    note("write, write, read: %lld us upgraded, %lld us on a plain socket (medians of %d)", upgraded, clear, EXCHANGES);
    if (clear < 20000) {
        SKIP("this kernel does not delay acknowledgements: %lld us", clear);
    }
    if (upgraded > clear / 2) {
        FAIL("%lld us, and %lld us on a plain socket", upgraded, clear);
    }
}

/*
 * Set before connect, as it has to be. With loopback's segments of 64 KiB a window smaller than that moves a piece every
 * 200 ms: this would take minutes.
 */
static void a_small_receive_buffer_does_not_stop_the_stream(const struct way *way)
{
    int fd = peer_connect_with(way->peer, 4096);

    freed(upgrade_to_peer(fd, way, "source %d", 8 << 20));
    receive_pattern(fd, 8 << 20, 0);
    expect_end(fd);
    CHECK(close(fd) == 0);
}

int main(int argc, char **argv)
{
    static const struct way unix_pair_ways[] = {
        {"IPv4, Unix pair", "SSLSOCK_PEER", SSL_FLAG_UNIX_PAIR},
        {"IPv6, Unix pair", "SSLSOCK_PEER6", SSL_FLAG_UNIX_PAIR},
        {"Unix", "SSLSOCK_PEER_UNIX", 0},
        {NULL, NULL, 0},
    };
    static const struct test tests[] = {
        {"no_bytes", no_bytes, transparent_ways_and_versions, 0},
        {"more_bytes_than_there_can_be", more_bytes_than_there_can_be, transparent_ways, 0},
        {"urgent_data_is_lost_on_a_unix_pair", urgent_data_is_lost_on_a_unix_pair, unix_pair_ways, 0},
        {"a_time_limit_inside_a_record_loses_nothing", a_time_limit_inside_a_record_loses_nothing,
         transparent_ways_and_versions, 0},
        {"a_time_limit_inside_a_header_loses_nothing", a_time_limit_inside_a_header_loses_nothing,
         transparent_ways_and_versions, 0},
        {"a_small_receive_buffer_does_not_stop_the_stream", a_small_receive_buffer_does_not_stop_the_stream,
         transparent_ways, 0},
        {"write_write_read_waits_for_no_acknowledgement", write_write_read_waits_for_no_acknowledgement, pair_ways, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
