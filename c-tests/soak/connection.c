#define _GNU_SOURCE

#include "connection.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/check.h"

void connection_begin(struct connection *c, uint64_t number)
{
    memset(c, 0, sizeof *c);
    plan_make(&c->plan, soak_seed, number);
    c->fd = c->transport = -1;
    c->sending_dice.state = soak_seed ^ (number << 20) ^ 0x75;
    c->receiving_dice.state = soak_seed ^ (number << 20) ^ 0x64;
    c->up_key = stream_key(soak_seed, number, true);
    c->down_key = stream_key(soak_seed, number, false);
    stall_begin(&c->stall, c->plan.ours_stalls, &c->receiving_dice);
}

void connection_secure(struct connection *c)
{
    const struct plan *plan = &c->plan;
    uint32_t flags = SSL_FLAG_DEFER_HANDSHAKE;

    flags |= plan->server ? SSL_FLAG_SERVER : 0;
    flags |= plan->path == EXPLICIT ? SSL_FLAG_EXPLICIT_IO : 0;
    flags |= plan->path == UNIX_PAIR && !plan->server ? SSL_FLAG_UNIX_PAIR : 0;
    flags |= plan->blocking ? 0 : SSL_FLAG_NONBLOCKING;
    flags |= plan->allow_truncation ? SSL_FLAG_ALLOW_TRUNCATION : 0;
    c->s = ssl_socket_new(c->fd);
    CHECK(c->s != NULL);
    CHECK(ssl_set_flags(c->s, flags) == SSL_ERR_OKAY);
}

static bool by_handle(const struct connection *c)
{
    return c->plan.path == EXPLICIT || c->plan.handle_calls;
}

uint64_t to_send(const struct connection *c)
{
    switch (c->plan.ending) {
    case PEER_ENDS_FIRST:
        return c->end == NOT_READ ? 0 : c->plan.up;
    case OURS_RESETS:
        return c->plan.up_cut;
    case OURS_DIES_IN_HANDSHAKE:
        return 0;
    default:
        return c->plan.up;
    }
}

bool is_to_receive(const struct connection *c)
{
    if (c->end != NOT_READ) {
        return false;
    }
    switch (c->plan.ending) {
    case OURS_CLOSES:
        return c->got < c->plan.down;
    case OURS_CLOSES_UNREAD:
        return c->got < c->plan.down_cut;
    case OURS_DIES_IN_HANDSHAKE:
        return false;
    default:
        return true;
    }
}

enum progress end_sending(struct connection *c)
{
    bool ends;

    switch (c->plan.ending) {
    case BOTH_HALF_CLOSE:
    case OURS_ENDS_FIRST:
        ends = true;
        break;
    case PEER_ENDS_FIRST:
        if (c->end == NOT_READ) {
            return BLOCKED;
        }
        ends = c->plan.ends;
        break;
    case PEER_CLOSES:
    case PEER_RESETS:
    case PEER_TRUNCATES:
        ends = c->plan.ends;
        break;
    default:
        ends = false;
        break;
    }
    c->unsent = false;
    if (ends && !by_handle(c)) {
        /* ENOTCONN if the connection has been reset. */
        (void)!shutdown(c->fd, SHUT_WR);
        c->has_shut_down = true;
    } else if (ends) {
        int32_t code = ssl_shutdown(c->s, SHUT_WR);
        c->has_shut_down = true;
        c->notifying = code == SSL_ERR_WANT_WRITE;
        if (c->notifying) {
            return BLOCKED;
        }
    } else if (c->plan.path == EXPLICIT && c->plan.ending != OURS_CLOSES && c->plan.ending != OURS_CLOSES_UNREAD &&
               c->plan.ending != OURS_RESETS && ssl_send(c->s, "", 0, 0) < 0 && errno == EAGAIN) {
        /* Without an end the last of it leaves only with a call. */
        c->unsent = true;
        return BLOCKED;
    }
    c->sending_over = true;
    return OVER;
}

enum progress send_piece(struct connection *c, unsigned char *buffer)
{
    uint64_t left = to_send(c) - c->sent;
    size_t size;
    ssize_t count;

    if (c->sending_over) {
        return OVER;
    }
    if (left == 0) {
        return end_sending(c);
    }
    size = 1 + roll_below(&c->sending_dice, c->plan.ours_piece);
    size = size < left ? size : left;
    stream_fill(buffer, size, c->up_key, c->sent);
    count = by_handle(c) ? ssl_send(c->s, buffer, size, 0) : send(c->fd, buffer, size, MSG_NOSIGNAL);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        if (c->plan.ending == OURS_CLOSES_UNREAD && c->plan.talks_first && !is_to_receive(c)) {
            /* So much and no more, or each would wait for the other. */
            c->sending_over = true;
            return OVER;
        }
        return BLOCKED;
    }
    if (count <= 0) {
        c->send_errno = count < 0 ? errno : -1;
        c->sending_over = true;
        return OVER;
    }
    c->sent += (uint64_t)count;
    return MOVED;
}

enum progress receive_piece(struct connection *c, unsigned char *buffer)
{
    size_t size = 1 + roll_below(&c->receiving_dice, c->plan.ours_piece);
    ssize_t count;
    size_t right;

    if (c->plan.ending == OURS_CLOSES && size > c->plan.down - c->got) {
        size = c->plan.down - c->got;
    }
    count = by_handle(c) ? ssl_recv(c->s, buffer, size, 0) : recv(c->fd, buffer, size, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return BLOCKED;
    }
    if (count <= 0) {
        c->end = count == 0 ? CLOSE_NOTIFY : errno == ECONNRESET ? RESET : TLS_ERROR;
        if (c->end == TLS_ERROR) {
            snprintf(c->text, sizeof c->text, "receiving: %s", strerror(errno));
        }
        return OVER;
    }
    right = stream_matches(buffer, (size_t)count, c->down_key, c->got);
    c->got += right;
    if (right != (size_t)count) {
        soak_failed(c, "byte %llu of what was received is wrong", (unsigned long long)c->got);
        c->end = TLS_ERROR;
        return OVER;
    }
    return MOVED;
}

bool may_close(const struct connection *c)
{
    switch (c->plan.ending) {
    case OURS_RESETS:
        return c->sending_over;
    default:
        return c->sending_over && !is_to_receive(c);
    }
}

void connection_close(struct connection *c)
{
    struct linger linger = {1, 0};
    int fd = c->fd;

    c->code = -1;
    if (c->s != NULL) {
        size_t length;

        c->code = ssl_get_error(c->s);
        if (ssl_error_category(c->code) == SSL_CATEGORY_WOULD_BLOCK && c->code != SSL_ERR_TIMEOUT) {
            /* The last call that failed, and not what ended the connection. */
            c->code = SSL_ERR_OKAY;
        }
        if (c->code != 0 && c->text[0] == '\0') {
            ssl_get_error_text(c->s, c->text, sizeof c->text, &length);
        }
    }
    if (c->plan.ending == OURS_RESETS) {
        CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
    }
    c->fd = -1;
    if (!c->plan.freed_first) {
        CHECK(close(fd) == 0);
    }
    if (c->s != NULL) {
        CHECK(ssl_socket_free(c->s) == SSL_ERR_OKAY);
        c->s = NULL;
    }
    if (c->plan.freed_first) {
        CHECK(close(fd) == 0);
    }
    c->state = DONE;
}

void expect_dead(struct connection *c)
{
    char byte;

    if (send(c->fd, "PASS hunter2\r\n", 14, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) {
        soak_failed(c, "a send after a failed handshake was accepted");
    }
    if (recv(c->fd, &byte, 1, MSG_DONTWAIT) > 0) {
        soak_failed(c, "a byte was received after a failed handshake");
    }
}
