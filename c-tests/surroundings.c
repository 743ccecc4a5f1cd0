/* What else there is in the process, and on the machine, while a connection is upgraded. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/peer.h"
#include "common/recorder.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

/*
 * Strangers look for the listening socket that an inner TCP pair is made with, and connect to it. They are threads
 * of this process because they find it soonest so: by a walk over the low descriptors.
 */

#define STRANGERS 2
#define WALKED 32
#define KEPT 32

static atomic_int over;
static atomic_int connected;
static atomic_int evil_sent;
static atomic_int bytes_received;

/* The last connections of a stranger, kept open so that they can do harm for a while. */
struct stranger {
    int kept[KEPT];
    size_t count;
};

static void say_evil(int fd)
{
    if (send(fd, "evil", 4, MSG_NOSIGNAL | MSG_DONTWAIT) == 4) {
        atomic_fetch_add(&evil_sent, 1);
    }
}

/* Nothing ever comes to a stranger. */
static void listen_and_leave(int fd)
{
    char byte;

    if (recv(fd, &byte, 1, MSG_DONTWAIT) > 0) {
        atomic_fetch_add(&bytes_received, 1);
    }
    close(fd);
}

static void visit(struct stranger *stranger, const struct sockaddr_storage *address, socklen_t length)
{
    struct sockaddr_storage peer;
    socklen_t peer_length = sizeof peer;
    size_t slot = stranger->count % KEPT;
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int high;

    if (fd < 0) {
        return;
    }
    /* Out of the way of the walks. */
    high = fcntl(fd, F_DUPFD_CLOEXEC, 2 * WALKED);
    close(fd);
    if (high < 0) {
        return;
    }
    /* Over loopback it is connected when connect returns, if it ever will be. */
    if (connect(high, (const struct sockaddr *)address, length) != 0 && errno != EINPROGRESS) {
        close(high);
        return;
    }
    if (getpeername(high, (struct sockaddr *)&peer, &peer_length) != 0) {
        close(high);
        return;
    }
    atomic_fetch_add(&connected, 1);
    say_evil(high);
    if (stranger->count >= KEPT) {
        say_evil(stranger->kept[slot]);
        listen_and_leave(stranger->kept[slot]);
    }
    stranger->kept[slot] = high;
    stranger->count++;
}

static void *be_a_stranger(void *argument)
{
    struct stranger stranger = {.count = 0};

    (void)argument;
    while (!atomic_load(&over)) {
        for (int number = 3; number < WALKED; number++) {
            struct sockaddr_storage address;
            socklen_t length = sizeof address;
            socklen_t size = sizeof(int);
            int listens = 0;

            /* Again and again, as long as it is there. */
            while (getsockopt(number, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens &&
                   getsockname(number, (struct sockaddr *)&address, &length) == 0) {
                visit(&stranger, &address, length);
                length = sizeof address;
            }
        }
    }
    for (size_t i = 0; i < (stranger.count < KEPT ? stranger.count : KEPT); i++) {
        say_evil(stranger.kept[i]);
        listen_and_leave(stranger.kept[i]);
    }
    return NULL;
}

/* A conversation over the recording peer. Returns what the inner pair was. */
static uint32_t upgrade_among_strangers(const struct way *way)
{
    static const char line[] = "PASS hunter2\r\n";
    ssl_session_info session = {.size = sizeof session};
    char ticket[RECORDER_TICKET];
    char byte;
    struct record record;
    int fd = recorder_connect(way, "serve known", ticket);
    ssl_socket *s;

    recorder_starttls(fd);
    s = upgrade_with(fd, "localhost", way->flags);
    CHECK(ssl_get_session_info(s, &session) == SSL_ERR_OKAY);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    send_all(fd, line, strlen(line));
    CHECK(shutdown(fd, SHUT_WR) == 0);
    /* The peer says nothing but its end: a byte would be a stranger's. */
    await_events(fd, POLLIN);
    CHECK(recv(fd, &byte, 1, 0) == 0);
    CHECK(close(fd) == 0);

    record = recorder_result(ticket);
    record_check_tls(&record);
    CHECK(record.plain_length == strlen(line) && memcmp(record.plain, line, strlen(line)) == 0);
    CHECK(strcmp(record.end, "close_notify") == 0);
    record_free(&record);
    return session.datapath;
}

static void strangers_neither_get_in_nor_stop_an_upgrade(const struct way *way)
{
    /* Without strangers that came this would say nothing. */
    enum { WANTED = 200 };
    pthread_t threads[STRANGERS];
    int upgrades = 0;
    int tcp = 0;
    int usual = rounds(200, 3000);
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > 512);
    for (size_t i = 0; i < STRANGERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, be_a_stranger, NULL) == 0);
    }
    while (upgrades < usual || (atomic_load(&connected) < WANTED && upgrades < 20 * usual)) {
        uint32_t path = upgrade_among_strangers(way);
        CHECK(path == SSL_DATAPATH_TRANSPARENT_TCP || path == SSL_DATAPATH_TRANSPARENT_UNIX);
        tcp += path == SSL_DATAPATH_TRANSPARENT_TCP;
        upgrades++;
    }
    atomic_store(&over, 1);
    for (size_t i = 0; i < STRANGERS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    note("%d upgrades, %d of them on a TCP pair; %d connections by strangers, who sent %d times and got %d bytes",
         upgrades, tcp, atomic_load(&connected), atomic_load(&evil_sent), atomic_load(&bytes_received));
    CHECK(atomic_load(&connected) >= WANTED && atomic_load(&evil_sent) > 0);
    CHECK(atomic_load(&bytes_received) == 0);
}

/* A server with many connections, which opens one more to somebody else. */

#define MANY 15000
#define SOME 100

static double milliseconds_since(const struct timespec *before)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - before->tv_sec) * 1e3 + (double)(now.tv_nsec - before->tv_nsec) / 1e6;
}

static double upgrade_and_talk(const struct way *way)
{
    struct timespec before;
    double taken;
    int fd = peer_connect(way->peer);
    /* The last number of all, which has to be found too. */
    int other = fcntl(fd, F_DUPFD, MANY);
    ssl_socket *s;

    CHECK(other >= MANY);
    clock_gettime(CLOCK_MONOTONIC, &before);
    s = upgrade_with(fd, "localhost", way->flags);
    taken = milliseconds_since(&before);
    CHECK(send(other, "echo\n", 5, MSG_NOSIGNAL) == 5);
    send_pattern(fd, 100000);
    receive_pattern(other, 100000, 0);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(shutdown(fd, SHUT_WR) == 0);
    expect_end(other);
    CHECK(close(fd) == 0 && close(other) == 0);
    return taken;
}

static void fifteen_thousand_descriptors(const struct way *way)
{
    static int numbers[MANY];
    struct rlimit limit;
    double few;
    double many;
    int count;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    if (limit.rlim_max < MANY + SOME) {
        SKIP("the hard limit of descriptors is %llu, %d are needed", (unsigned long long)limit.rlim_max, MANY + SOME);
    }
    limit.rlim_cur = limit.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    /* The first starts the library. */
    upgrade_and_talk(way);
    few = upgrade_and_talk(way);

    for (count = 0; count + 2 < MANY;) {
        /* Sockets for the most part, and some epoll instances, each of which is looked into. */
        if (count % 1000 == 0) {
            numbers[count] = epoll_create1(EPOLL_CLOEXEC);
            CHECK(numbers[count++] >= 0);
        }
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, numbers + count) == 0);
        count += 2;
    }
    CHECK(open_descriptors() >= MANY - 2);
    many = upgrade_and_talk(way);
    upgrade_and_talk(way);
    CHECK(open_descriptors() >= MANY - 2);
    while (count > 0) {
        CHECK(close(numbers[--count]) == 0);
    }
    note("an upgrade took %.1f ms with %d descriptors open, %.1f ms with few", many, MANY, few);
}

int main(int argc, char **argv)
{
    /* Only a TCP pair has a listener. */
    static const struct way tcp_pairs[] = {
        {"IPv4", "SSLSOCK_PEER", 0},
        {"IPv6", "SSLSOCK_PEER6", 0},
        {NULL, NULL, 0},
    };
    static const struct test tests[] = {
        {"strangers_neither_get_in_nor_stop_an_upgrade", strangers_neither_get_in_nor_stop_an_upgrade, tcp_pairs, 900},
        {"fifteen_thousand_descriptors", fifteen_thousand_descriptors, transparent_ways, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
