/* poll and select, signals, and from how many bytes on a socket is readable. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/check.h"
#include "common/peer.h"
#include "probes.h"

#define PATIENCE 20

static unsigned poll_now(int fd)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN | POLLPRI | POLLOUT | POLLRDHUP};

    CHECK(poll(&entry, 1, 0) >= 0);
    return (unsigned)entry.revents;
}

static unsigned ppoll_now(int fd)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN | POLLPRI | POLLOUT | POLLRDHUP};
    struct timespec limit = {0, 0};
    sigset_t none;

    sigemptyset(&none);
    CHECK(ppoll(&entry, 1, &limit, &none) >= 0);
    return (unsigned)entry.revents;
}

static unsigned select_now(int fd, int with_signals)
{
    struct timeval limit = {0, 0};
    struct timespec same_limit = {0, 0};
    fd_set sets[3];
    sigset_t none;
    int count;

    CHECK(fd < FD_SETSIZE);
    for (int i = 0; i < 3; i++) {
        FD_ZERO(&sets[i]);
        FD_SET(fd, &sets[i]);
    }
    sigemptyset(&none);
    if (with_signals) {
        count = pselect(fd + 1, &sets[0], &sets[1], &sets[2], &same_limit, &none);
    } else {
        count = select(fd + 1, &sets[0], &sets[1], &sets[2], &limit);
    }
    CHECK(count >= 0);
    return (FD_ISSET(fd, &sets[0]) ? POLLIN : 0u) | (FD_ISSET(fd, &sets[1]) ? POLLOUT : 0u) |
           (FD_ISSET(fd, &sets[2]) ? POLLPRI : 0u);
}

static void tell_all(struct connection *c)
{
    unsigned events = poll_now(c->fd);
    unsigned selected = select_now(c->fd, 0);

    tell(c, "%s", events_text(events));
    tell(c, "select %s", events_text(selected));
    CHECK(ppoll_now(c->fd) == events);
    CHECK(select_now(c->fd, 1) == selected);
}

static void polling(struct connection *c)
{
    upgrade_here(c);
    tell_all(c);
    peer_sends(c, 10);
    tell_all(c);
    receive_all(c, 10);
    tell_all(c);
    peer_sends(c, 10);
    peer_ends(c);
    tell_all(c);
    receive_all(c, 10);
    expect_end(c->fd);
    tell_all(c);
    CHECK(shutdown(c->fd, SHUT_WR) == 0);
    tell(c, "ending %s", ask(c, "ending"));
    CHECK(await_events(c->fd, 0) & POLLHUP);
    tell_all(c);
}

static void polling_after_a_half_close(struct connection *c)
{
    upgrade_here(c);
    CHECK(shutdown(c->fd, SHUT_WR) == 0);
    tell_all(c);
    tell(c, "ending %s", ask(c, "ending"));
    tell_all(c);
    peer_sends(c, 10);
    tell_all(c);
}

static void polling_after_a_reset(struct connection *c)
{
    upgrade_here(c);
    peer_resets(c);
    tell(c, "%s", events_text(poll_now(c->fd)));
}

static void blocking_in_poll(struct connection *c)
{
    struct pollfd entry = {.fd = c->fd, .events = POLLIN};
    struct timeval limit = {.tv_sec = PATIENCE};
    fd_set reading;

    upgrade_here(c);
    tell(c, "%d", poll(&entry, 1, 50));
    order(c, "send 10");
    tell(c, "%d", poll(&entry, 1, PATIENCE * 1000));
    receive_all(c, 10);
    order(c, "send 10");
    FD_ZERO(&reading);
    FD_SET(c->fd, &reading);
    tell(c, "%d", select(c->fd + 1, &reading, NULL, NULL, &limit));
    receive_all(c, 10);
}

static void lowest_count(struct connection *c, int before)
{
    int count = 10;
    int kept = 0;
    socklen_t length = sizeof kept;
    unsigned few;

    if (before) {
        CHECK(setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &count, sizeof count) == 0);
    }
    upgrade_here(c);
    if (!before) {
        CHECK(setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &count, sizeof count) == 0);
    }
    CHECK(getsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &kept, &length) == 0);
    peer_sends(c, 9);
    few = poll_now(c->fd);
    peer_sends(c, 1);
    CHECK(await_events(c->fd, POLLIN) & POLLIN);
    tell(c, "reads %d, `poll` %s", kept, few & POLLIN ? "ignores it" : "heeds it");
    receive_all(c, 10);
}

static void lowest_count_before(struct connection *c)
{
    lowest_count(c, 1);
}

static void lowest_count_after(struct connection *c)
{
    lowest_count(c, 0);
}

/* A signal that says that there is input; others may come before it. */
static void await_signal(struct connection *c, int number)
{
    struct timespec limit = {.tv_sec = PATIENCE};
    sigset_t wanted;
    siginfo_t info;

    sigemptyset(&wanted);
    sigaddset(&wanted, number);
    do {
        if (sigtimedwait(&wanted, &info, &limit) != number) {
            FAIL("no signal for input: %s", answer(-1));
        }
        CHECK(info.si_fd == c->fd);
    } while (!(info.si_band & POLLIN));
    tell(c, "a signal for descriptor and input");
}

static void ask_for_signals(struct connection *c, int number)
{
    CHECK(fcntl(c->fd, F_SETOWN, getpid()) == 0);
    CHECK(fcntl(c->fd, F_SETSIG, number) == 0);
    CHECK(fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) | O_ASYNC) == 0);
}

static void signals(struct connection *c, int before)
{
    struct timespec now = {0, 0};
    int number = SIGRTMIN + 3;
    sigset_t wanted;

    sigemptyset(&wanted);
    sigaddset(&wanted, number);
    CHECK(sigprocmask(SIG_BLOCK, &wanted, NULL) == 0);
    if (before) {
        ask_for_signals(c, number);
    }
    upgrade_here(c);
    if (!before) {
        ask_for_signals(c, number);
    }
    tell(c, "owner %d", fcntl(c->fd, F_GETOWN) == getpid());
    tell(c, "signal %d", fcntl(c->fd, F_GETSIG) == number);
    tell(c, "O_ASYNC %d", (fcntl(c->fd, F_GETFL) & O_ASYNC) != 0);
    while (sigtimedwait(&wanted, NULL, &now) == number) {
    }
    peer_sends(c, 10);
    await_signal(c, number);
    receive_all(c, 10);
}

static void signals_before(struct connection *c)
{
    signals(c, 1);
}

static void signals_after(struct connection *c)
{
    signals(c, 0);
}

const struct probe waiting_probes[] = {
    {"`poll`, `ppoll`, `select`, `pselect`, with `POLLRDHUP`", polling},
    {"`poll`, `select` after a half-close", polling_after_a_half_close},
    {"`poll` after a reset", polling_after_a_reset},
    {"waiting in `poll`, `select`", blocking_in_poll},
    {"`SO_RCVLOWAT` set before", lowest_count_before},
    {"`SO_RCVLOWAT` set after", lowest_count_after},
    {"`F_SETOWN`, `F_SETSIG`, `O_ASYNC` set before", signals_before},
    {"`F_SETOWN`, `F_SETSIG`, `O_ASYNC` set after", signals_after},
    {NULL, NULL},
};
