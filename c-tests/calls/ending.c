/* The ends of the connection's directions, by this side or by the peer. */
#define _GNU_SOURCE

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/check.h"
#include "common/peer.h"
#include "probes.h"

static volatile sig_atomic_t broken_pipes;

static void count_broken_pipe(int number)
{
    (void)number;
    broken_pipes++;
}

static void catch_broken_pipes(void)
{
    struct sigaction action = {.sa_handler = count_broken_pipe};

    CHECK(sigaction(SIGPIPE, &action, NULL) == 0);
}

static void tell_send(struct connection *c)
{
    int before = broken_pipes;

    tell(c, "%s", answer(send(c->fd, "x", 1, 0)));
    tell(c, broken_pipes > before ? "SIGPIPE" : "no signal");
    before = broken_pipes;
    tell(c, "%s", answer(send(c->fd, "x", 1, MSG_NOSIGNAL)));
    CHECK(broken_pipes == before);
}

static void half_closing(struct connection *c)
{
    unsigned char buffer[100];

    upgrade_here(c);
    catch_broken_pipes();
    next_bytes(c, buffer, sizeof buffer);
    CHECK(send(c->fd, buffer, sizeof buffer, 0) == (ssize_t)sizeof buffer);
    tell(c, "%s", answer(shutdown(c->fd, SHUT_WR)));
    tell(c, "the peer gets %s", ask(c, "ending"));
    tell_send(c);
    tell(c, "%s", answer(shutdown(c->fd, SHUT_WR)));
    peer_sends(c, 100);
    receive_all(c, 100);
    peer_ends(c);
    expect_end(c->fd);
    expect_end(c->fd);
}

static void closing_for_input(struct connection *c)
{
    unsigned char buffer[100];
    struct pollfd entry = {.fd = c->fd, .events = POLLIN | POLLOUT | POLLRDHUP};

    upgrade_here(c);
    peer_sends(c, 10);
    tell(c, "%s", answer(shutdown(c->fd, SHUT_RD)));
    receive_all(c, 10);
    tell(c, "%s", answer(recv(c->fd, buffer, sizeof buffer, 0)));
    CHECK(poll(&entry, 1, 0) == 1);
    tell(c, "%s", events_text((unsigned)entry.revents));
    next_bytes(c, buffer, sizeof buffer);
    tell(c, "%s", answer(send(c->fd, buffer, sizeof buffer, 0)));
    peer_takes(c, sizeof buffer);
}

static void closing_both(struct connection *c)
{
    unsigned char buffer[100];
    struct pollfd entry = {.fd = c->fd, .events = POLLIN | POLLOUT | POLLRDHUP};

    upgrade_here(c);
    catch_broken_pipes();
    next_bytes(c, buffer, sizeof buffer);
    CHECK(send(c->fd, buffer, sizeof buffer, 0) == (ssize_t)sizeof buffer);
    tell(c, "%s", answer(shutdown(c->fd, SHUT_RDWR)));
    tell(c, "the peer gets %s", ask(c, "ending"));
    tell(c, "%s", answer(recv(c->fd, buffer, sizeof buffer, 0)));
    tell_send(c);
    CHECK(poll(&entry, 1, 0) == 1);
    tell(c, "%s", events_text((unsigned)entry.revents));
}

static void end_of_the_peer(struct connection *c)
{
    unsigned char buffer[100];

    upgrade_here(c);
    peer_sends(c, 100);
    peer_ends(c);
    receive_all(c, 100);
    tell(c, "%s", answer(recv(c->fd, buffer, sizeof buffer, 0)));
    tell(c, "%s", answer(read(c->fd, buffer, sizeof buffer)));
    /* The other direction goes on. */
    next_bytes(c, buffer, sizeof buffer);
    tell(c, "%s", answer(send(c->fd, buffer, sizeof buffer, 0)));
    peer_takes(c, sizeof buffer);
    tell(c, "%s", answer(close(c->fd)));
    tell(c, "the peer gets %s", ask(c, "ending"));
}

static void sending_to_nobody(struct connection *c)
{
    long began = milliseconds();

    upgrade_here(c);
    catch_broken_pipes();
    order(c, "close");
    CHECK(await_events(c->fd, POLLRDHUP) & POLLRDHUP);
    /* The first bytes may be taken: nobody has said yet that they are not wanted. */
    while (send(c->fd, "x", 1, MSG_NOSIGNAL) == 1) {
        CHECK(milliseconds() - began < 20000);
        sleep_ms(1);
    }
    tell(c, "%s", answer(-1));
    tell_send(c);
}

static void receiving_from_nobody(struct connection *c)
{
    long began = milliseconds();
    struct pollfd entry = {.fd = c->fd, .events = POLLRDHUP};

    upgrade_here(c);
    order(c, "close");
    CHECK(await_events(c->fd, POLLRDHUP) & POLLRDHUP);
    do {
        if (send(c->fd, "x", 1, MSG_NOSIGNAL) == -1) {
            CHECK(errno == EPIPE);
            break;
        }
        CHECK(milliseconds() - began < 20000);
        sleep_ms(1);
    } while (1);
    CHECK(poll(&entry, 1, 0) == 1);
    tell(c, "%s", events_text((unsigned)entry.revents));
    tell(c, "%s", answer(recv(c->fd, (char[1]){0}, 1, 0)));
    tell(c, "%s", answer(recv(c->fd, (char[1]){0}, 1, 0)));
}

static int pending_error(int fd)
{
    int error = -1;
    socklen_t length = sizeof error;

    CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0);
    return error;
}

static void reset_by_the_peer(struct connection *c)
{
    unsigned char byte;

    upgrade_here(c);
    catch_broken_pipes();
    tell(c, "SO_ERROR %d", pending_error(c->fd));
    peer_sends(c, 100);
    peer_resets(c);
    receive_all(c, 100);
    for (int i = 0; i < 2; i++) {
        tell(c, "%s", answer(recv(c->fd, &byte, 1, 0)));
    }
    tell_send(c);
    tell(c, "SO_ERROR %d", pending_error(c->fd));
    tell(c, "close %s", answer(close(c->fd)));
}

static void error_after_a_reset(struct connection *c)
{
    unsigned char byte;

    upgrade_here(c);
    peer_resets(c);
    errno = pending_error(c->fd);
    tell(c, "%s", answer(-1));
    tell(c, "%d", pending_error(c->fd));
    tell(c, "%s", answer(recv(c->fd, &byte, 1, 0)));
}

static void closing(struct connection *c)
{
    unsigned char buffer[100];

    upgrade_here(c);
    next_bytes(c, buffer, sizeof buffer);
    CHECK(send(c->fd, buffer, sizeof buffer, 0) == (ssize_t)sizeof buffer);
    tell(c, "%s", answer(close(c->fd)));
    tell(c, "the peer gets %s", ask(c, "ending"));
    tell(c, "%s", answer(recv(c->fd, buffer, 1, 0)));
}

static void aborting(struct connection *c)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    upgrade_here(c);
    CHECK(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
    CHECK(close(c->fd) == 0);
    tell(c, strcmp(ask(c, "ending"), "0 reset") == 0 ? "the peer gets a reset" : "a clean end");
}

const struct probe ending_probes[] = {
    {"`shutdown` with `SHUT_WR`", half_closing},
    {"`shutdown` with `SHUT_RD`", closing_for_input},
    {"`shutdown` with `SHUT_RDWR`", closing_both},
    {"the peer's end", end_of_the_peer},
    {"`send` to a peer that has closed, `SIGPIPE`", sending_to_nobody},
    {"`poll`, `recv` after a `send` that failed", receiving_from_nobody},
    {"data and a reset by the peer", reset_by_the_peer},
    {"`SO_ERROR` after a reset", error_after_a_reset},
    {"`close`", closing},
    {"`close` with `SO_LINGER` {1, 0}", aborting},
    {NULL, NULL},
};
