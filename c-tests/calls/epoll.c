/* Registrations in epoll instances, made before the upgrade and after it. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/check.h"
#include "common/peer.h"
#include "probes.h"

#define DATA UINT64_C(0x0123456789abcdef)
#define PATIENCE_MS 20000

static int change(int epoll, int how, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = DATA};

    return epoll_ctl(epoll, how, fd, &event);
}

static int watch(int fd, uint32_t events)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    CHECK(epoll >= 0 && change(epoll, EPOLL_CTL_ADD, fd, events) == 0);
    return epoll;
}

/* What there is at once, as a text. */
static const char *now(int epoll)
{
    struct epoll_event event = {.events = 0};
    int count = epoll_wait(epoll, &event, 1, 0);

    CHECK(count >= 0 && (count == 0 || event.data.u64 == DATA));
    return events_text(event.events);
}

/* What there is within so long. */
static const char *next(int epoll)
{
    struct epoll_event event = {.events = 0};

    CHECK(epoll_wait(epoll, &event, 1, PATIENCE_MS) == 1 && event.data.u64 == DATA);
    return events_text(event.events);
}

/* Two instances watch in this way while data comes, is taken, comes again, and the end. */
static void watched(struct connection *c, uint32_t events, int before)
{
    int epoll[2] = {-1, -1};

    for (int i = 0; before && i < 2; i++) {
        epoll[i] = watch(c->fd, events);
    }
    upgrade_here(c);
    for (int i = 0; !before && i < 2; i++) {
        epoll[i] = watch(c->fd, events);
    }
    tell(c, "%s %s", now(epoll[0]), now(epoll[1]));
    for (int round = 0; round < 2; round++) {
        order(c, "send 10");
        tell(c, "%s %s", next(epoll[0]), next(epoll[1]));
        tell(c, "%s %s", now(epoll[0]), now(epoll[1]));
        receive_all(c, 10);
        tell(c, "%s %s", now(epoll[0]), now(epoll[1]));
        if (events & EPOLLONESHOT) {
            for (int i = 0; i < 2; i++) {
                CHECK(change(epoll[i], EPOLL_CTL_MOD, c->fd, events) == 0);
            }
        }
    }
    peer_ends(c);
    tell(c, "%s %s", next(epoll[0]), next(epoll[1]));
    tell(c, "%s %s", now(epoll[0]), now(epoll[1]));
    tell(c, "modified %s", answer(change(epoll[0], EPOLL_CTL_MOD, c->fd, EPOLLOUT)));
    tell(c, "%s", now(epoll[0]));
    tell(c, "added %s", answer(change(epoll[0], EPOLL_CTL_ADD, c->fd, EPOLLOUT)));
    tell(c, "removed %s", answer(change(epoll[0], EPOLL_CTL_DEL, c->fd, 0)));
    tell(c, "%s", answer(change(epoll[0], EPOLL_CTL_DEL, c->fd, 0)));
    tell(c, "%s", now(epoll[0]));
    CHECK(close(c->fd) == 0);
    tell(c, "closed %s", now(epoll[1]));
}

static void level_before(struct connection *c)
{
    watched(c, EPOLLIN | EPOLLRDHUP, 1);
}

static void level_after(struct connection *c)
{
    watched(c, EPOLLIN | EPOLLRDHUP, 0);
}

static void edge_before(struct connection *c)
{
    watched(c, EPOLLIN | EPOLLRDHUP | EPOLLET, 1);
}

static void edge_after(struct connection *c)
{
    watched(c, EPOLLIN | EPOLLRDHUP | EPOLLET, 0);
}

static void oneshot_before(struct connection *c)
{
    watched(c, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, 1);
}

static void oneshot_after(struct connection *c)
{
    watched(c, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, 0);
}

/* An entry that has reported once and has not been armed again, at the time of the upgrade. */
static int disarmed(struct connection *c)
{
    int epoll = watch(c->fd, EPOLLIN | EPOLLONESHOT);

    peer_sends(c, 10);
    CHECK(strcmp(next(epoll), "IN") == 0);
    receive_all(c, 10);
    return epoll;
}

static void disarmed_with_data(struct connection *c)
{
    int epoll = disarmed(c);

    upgrade_here(c);
    peer_sends(c, 10);
    tell(c, "%s", now(epoll));
    tell(c, "armed %s", answer(change(epoll, EPOLL_CTL_MOD, c->fd, EPOLLIN | EPOLLONESHOT)));
    tell(c, "%s", next(epoll));
    tell(c, "%s", now(epoll));
    receive_all(c, 10);
}

static void disarmed_at_a_reset(struct connection *c)
{
    int epoll = disarmed(c);

    upgrade_here(c);
    peer_resets(c);
    tell(c, "%s", now(epoll));
}

static void writable(struct connection *c)
{
    int level = watch(c->fd, EPOLLOUT);
    int edge = watch(c->fd, EPOLLIN | EPOLLOUT | EPOLLET);

    upgrade_here(c);
    tell(c, "%s %s", now(level), now(edge));
    peer_sends(c, 10);
    tell(c, "%s %s", now(level), now(edge));
    receive_all(c, 10);
}

static void edge_seen_before(struct connection *c)
{
    int edge = watch(c->fd, EPOLLOUT | EPOLLET);

    CHECK(strcmp(next(edge), "OUT") == 0);
    CHECK(strcmp(now(edge), "nothing") == 0);
    upgrade_here(c);
    tell(c, "%s", strcmp(now(edge), "OUT") == 0 ? "reported once more" : "nothing more");
    CHECK(strcmp(now(edge), "nothing") == 0);
}

static void exclusive(struct connection *c)
{
    int epoll = watch(c->fd, EPOLLIN | EPOLLEXCLUSIVE);

    upgrade_here(c);
    peer_sends(c, 10);
    tell(c, "%s", next(epoll));
    tell(c, "%s", answer(change(epoll, EPOLL_CTL_MOD, c->fd, EPOLLIN)));
    receive_all(c, 10);
    tell(c, "%s", now(epoll));
    tell(c, "%s", answer(change(epoll, EPOLL_CTL_DEL, c->fd, 0)));
}

static void both_numbers(struct connection *c)
{
    struct epoll_event found[2];
    int other = dup(c->fd);
    int epoll = watch(c->fd, EPOLLIN);

    CHECK(change(epoll, EPOLL_CTL_ADD, other, EPOLLIN) == 0);
    upgrade_here(c);
    peer_sends(c, 10);
    tell(c, "%s", answer(epoll_wait(epoll, found, 2, PATIENCE_MS)));
    CHECK(change(epoll, EPOLL_CTL_DEL, other, 0) == 0);
    tell(c, "%s", answer(epoll_wait(epoll, found, 2, 0)));
    receive_all(c, 10);
}

static void nested(struct connection *c)
{
    int inner = watch(c->fd, EPOLLIN);
    int outer = watch(inner, EPOLLIN);

    upgrade_here(c);
    tell(c, "%s", now(outer));
    peer_sends(c, 10);
    tell(c, "%s %s", next(outer), next(inner));
    receive_all(c, 10);
    tell(c, "%s %s", now(outer), now(inner));
}

static void at_a_reset(struct connection *c)
{
    int level = watch(c->fd, EPOLLIN | EPOLLRDHUP);
    int edge = watch(c->fd, EPOLLIN | EPOLLRDHUP | EPOLLET);

    upgrade_here(c);
    peer_resets(c);
    tell(c, "%s %s", now(level), now(edge));
    tell(c, "%s %s", now(level), now(edge));
}

const struct probe epoll_probes[] = {
    {"level-triggered `epoll` entries (in two instances, changed and removed after) made before", level_before},
    {"level-triggered `epoll` entries (in two instances, changed and removed after) made after", level_after},
    {"edge-triggered `epoll` entries made before", edge_before},
    {"edge-triggered `epoll` entries made after", edge_after},
    {"`EPOLLONESHOT` made before", oneshot_before},
    {"`EPOLLONESHOT` made after", oneshot_after},
    {"a disarmed `EPOLLONESHOT`", disarmed_with_data},
    {"disarmed `EPOLLONESHOT` at a reset", disarmed_at_a_reset},
    {"`EPOLLOUT`", writable},
    {"edge-triggered `EPOLLOUT`, reported before", edge_seen_before},
    {"`EPOLLEXCLUSIVE`", exclusive},
    {"`epoll` entries for two duplicates", both_numbers},
    {"nested `epoll` instances", nested},
    {"`epoll` at a reset", at_a_reset},
    {NULL, NULL},
};
