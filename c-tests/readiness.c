/* Transparent mode: poll, select and epoll on the descriptor, set up before and after the upgrade. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

#define DATA UINT64_C(0x0123456789abcdef)

static void freed(ssl_socket *s)
{
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
}

static int poll_now(int fd, short events)
{
    struct pollfd entry = {.fd = fd, .events = events};

    CHECK(poll(&entry, 1, 0) >= 0);
    return entry.revents;
}

static void poll_shows_data_and_the_end(const struct way *way)
{
    int fd = peer_connect(way->peer);

    freed(upgrade_to_peer(fd, way, "drip 100 5 5"));
    CHECK(poll_now(fd, POLLIN | POLLOUT) == POLLOUT);
    CHECK(await_events(fd, POLLIN) == POLLIN);
    receive_pattern(fd, 5, 0);
    CHECK(poll_now(fd, POLLIN) == 0);
    CHECK(shutdown(fd, SHUT_WR) == 0);
    CHECK(await_events(fd, POLLIN | POLLRDHUP) & POLLRDHUP);
    expect_end(fd);
    CHECK(close(fd) == 0);
}

static void poll_without_data_shows_nothing(const struct way *way)
{
    int fd = peer_connect(way->peer);
    struct pollfd entry = {.fd = fd, .events = POLLIN};

    /* Session tickets and the like must not show. */
    freed(upgrade_to_peer(fd, way, "drip 400 1 1"));
    CHECK(poll(&entry, 1, 200) == 0);
    CHECK(await_events(fd, POLLIN) == POLLIN);
    CHECK(close(fd) == 0);
}

static void select_shows_data(const struct way *way)
{
    int fd = peer_connect(way->peer);
    struct timeval limit = {.tv_sec = 20};
    fd_set reading;
    fd_set writing;

    freed(upgrade_to_peer(fd, way, "drip 100 5 5"));
    CHECK(fd < FD_SETSIZE);
    FD_ZERO(&reading);
    FD_ZERO(&writing);
    FD_SET(fd, &reading);
    FD_SET(fd, &writing);
    CHECK(select(fd + 1, &reading, &writing, NULL, &limit) == 1);
    CHECK(!FD_ISSET(fd, &reading) && FD_ISSET(fd, &writing));
    FD_SET(fd, &reading);
    CHECK(select(fd + 1, &reading, NULL, NULL, &limit) == 1 && FD_ISSET(fd, &reading));
    receive_pattern(fd, 5, 0);
    CHECK(close(fd) == 0);
}

static int watch(int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = DATA};
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    CHECK(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    return epoll;
}

/* What is there within so many milliseconds; 0 for nothing. */
static uint32_t next_event(int epoll, int ms)
{
    struct epoll_event event = {.events = 0};
    int count = epoll_wait(epoll, &event, 1, ms);

    CHECK(count >= 0);
    CHECK(count == 0 || event.data.u64 == DATA);
    return event.events;
}

static void level(int fd, int epoll)
{
    CHECK(next_event(epoll, 20000) == EPOLLIN);
    receive_pattern(fd, 2, 0);
    CHECK(next_event(epoll, 0) == EPOLLIN);
    receive_pattern(fd, 3, 2);
    CHECK(next_event(epoll, 0) == 0);
    CHECK(next_event(epoll, 20000) == EPOLLIN);
    receive_pattern(fd, 5, 5);
}

static void edge(int fd, int epoll)
{
    CHECK(next_event(epoll, 20000) & EPOLLIN);
    receive_pattern(fd, 2, 0);
    CHECK(next_event(epoll, 0) == 0);
    CHECK(next_event(epoll, 20000) & EPOLLIN);
    receive_pattern(fd, 8, 2);
    CHECK(next_event(epoll, 0) == 0);
}

static void oneshot(int fd, int epoll)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = DATA};

    CHECK(next_event(epoll, 20000) == EPOLLIN);
    CHECK(next_event(epoll, 0) == 0);
    receive_pattern(fd, 5, 0);
    CHECK(next_event(epoll, 250) == 0);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event) == 0);
    CHECK(next_event(epoll, 20000) == EPOLLIN);
    receive_pattern(fd, 5, 5);
}

struct mode {
    uint32_t events;
    void (*check)(int fd, int epoll);
};

static const struct mode level_mode = {EPOLLIN, level};
static const struct mode edge_mode = {EPOLLIN | EPOLLET, edge};
static const struct mode oneshot_mode = {EPOLLIN | EPOLLONESHOT, oneshot};

static void registered(const struct way *way, const struct mode *mode, int before)
{
    int fd = peer_connect(way->peer);
    int epoll = before ? watch(fd, mode->events) : -1;

    /* Two pieces, 150 ms apart. */
    freed(upgrade_to_peer(fd, way, "drip 150 5 10"));
    if (!before) {
        epoll = watch(fd, mode->events);
    }
    mode->check(fd, epoll);
    CHECK(shutdown(fd, SHUT_WR) == 0);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL) == 0);
    CHECK(close(fd) == 0);
}

static void epoll_level_before(const struct way *way)
{
    registered(way, &level_mode, 1);
}

static void epoll_level_after(const struct way *way)
{
    registered(way, &level_mode, 0);
}

static void epoll_edge_before(const struct way *way)
{
    registered(way, &edge_mode, 1);
}

static void epoll_edge_after(const struct way *way)
{
    registered(way, &edge_mode, 0);
}

static void epoll_oneshot_before(const struct way *way)
{
    registered(way, &oneshot_mode, 1);
}

static void epoll_oneshot_after(const struct way *way)
{
    registered(way, &oneshot_mode, 0);
}

static void epoll_write_edge_before(const struct way *way)
{
    int fd = peer_connect(way->peer);
    int epoll = watch(fd, EPOLLIN | EPOLLOUT | EPOLLET);

    CHECK(next_event(epoll, 20000) == EPOLLOUT);
    freed(upgrade_to_peer(fd, way, "drip 100 5 5"));
    /* What replaces the connection is announced as new. */
    CHECK(next_event(epoll, 20000) & EPOLLOUT);
    while (!(next_event(epoll, 20000) & EPOLLIN)) {
    }
    receive_pattern(fd, 5, 0);
    CHECK(close(fd) == 0);
}

static void two_epolls_and_a_nested_one(const struct way *way)
{
    int fd = peer_connect(way->peer);
    int first = watch(fd, EPOLLIN);
    int second = watch(fd, EPOLLIN);
    int outer = watch(second, EPOLLIN);

    freed(upgrade_to_peer(fd, way, "drip 100 5 5"));
    CHECK(next_event(first, 20000) == EPOLLIN);
    CHECK(next_event(outer, 20000) == EPOLLIN);
    CHECK(next_event(second, 0) == EPOLLIN);
    receive_pattern(fd, 5, 0);
    CHECK(next_event(outer, 0) == 0);
    CHECK(close(fd) == 0);
}

static void epoll_shows_the_end(const struct way *way)
{
    int fd = peer_connect(way->peer);
    int epoll = watch(fd, EPOLLIN | EPOLLRDHUP);

    freed(upgrade_to_peer(fd, way, "source 5"));
    while (!(next_event(epoll, 20000) & EPOLLRDHUP)) {
    }
    receive_pattern(fd, 5, 0);
    expect_end(fd);
    CHECK(close(fd) == 0);
    CHECK(next_event(epoll, 0) == 0);
}

static void close_forgets_the_registration(const struct way *way)
{
    int fd = peer_connect(way->peer);
    int epoll = watch(fd, EPOLLIN);

    freed(upgrade_to_peer(fd, way, "source 5"));
    CHECK(next_event(epoll, 20000) & EPOLLIN);
    CHECK(close(fd) == 0);
    CHECK(next_event(epoll, 200) == 0);
}

static void nonblocking_stays_nonblocking(const struct way *way)
{
    int fd = peer_connect(way->peer);
    char byte;

    set_nonblocking(fd);
    freed(upgrade_to_peer(fd, way, "drip 200 5 5"));
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK(recv(fd, &byte, 1, 0) == -1 && errno == EAGAIN);
    CHECK(await_events(fd, POLLIN) == POLLIN);
    receive_pattern(fd, 5, 0);
    CHECK(recv(fd, &byte, 1, 0) == -1 && errno == EAGAIN);
    CHECK(close(fd) == 0);
}

static void blocking_stays_blocking(const struct way *way)
{
    int fd = peer_connect(way->peer);
    unsigned char byte;

    freed(upgrade_to_peer(fd, way, "drip 200 1 1"));
    CHECK(!(fcntl(fd, F_GETFL) & O_NONBLOCK));
    CHECK(recv(fd, &byte, 1, 0) == 1 && pattern_matches(&byte, 1, 0));
    CHECK(close(fd) == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"poll_shows_data_and_the_end", poll_shows_data_and_the_end, transparent_ways, 0},
        {"poll_without_data_shows_nothing", poll_without_data_shows_nothing, transparent_ways, 0},
        {"select_shows_data", select_shows_data, transparent_ways, 0},
        {"epoll_level_before", epoll_level_before, transparent_ways, 0},
        {"epoll_level_after", epoll_level_after, transparent_ways, 0},
        {"epoll_edge_before", epoll_edge_before, transparent_ways, 0},
        {"epoll_edge_after", epoll_edge_after, transparent_ways, 0},
        {"epoll_oneshot_before", epoll_oneshot_before, transparent_ways, 0},
        {"epoll_oneshot_after", epoll_oneshot_after, transparent_ways, 0},
        {"epoll_write_edge_before", epoll_write_edge_before, transparent_ways, 0},
        {"two_epolls_and_a_nested_one", two_epolls_and_a_nested_one, transparent_ways, 0},
        {"epoll_shows_the_end", epoll_shows_the_end, transparent_ways, 0},
        {"close_forgets_the_registration", close_forgets_the_registration, transparent_ways, 0},
        {"nonblocking_stays_nonblocking", nonblocking_stays_nonblocking, transparent_ways, 0},
        {"blocking_stays_blocking", blocking_stays_blocking, transparent_ways, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
