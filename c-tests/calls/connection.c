#define _GNU_SOURCE

#include "connection.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/check.h"
#include "common/peer.h"
#include "common/upgrade.h"

#define PATIENCE_MS 20000
#define TEXTS 16

void open_connection(struct connection *c, const struct kind *kind)
{
    const char *ticket = peer_ticket();
    char line[128];
    int length = snprintf(line, sizeof line, "%s\n", ticket);

    memset(c, 0, sizeof *c);
    c->kind = kind;
    c->fd = peer_connect(kind->peer);
    c->peer_address_length = sizeof c->peer_address;
    c->own_address_length = sizeof c->own_address;
    CHECK(getpeername(c->fd, (struct sockaddr *)&c->peer_address, &c->peer_address_length) == 0);
    CHECK(getsockname(c->fd, (struct sockaddr *)&c->own_address, &c->own_address_length) == 0);
    send_all(c->fd, line, (size_t)length);
    c->control = peer_connect("SSLSOCK_CALLS_CONTROL");
    order(c, "%s", ticket);
}

void upgrade_here(struct connection *c)
{
    if (c->kind->upgraded) {
        order(c, "tls");
        c->socket = upgrade_with(c->fd, "localhost", c->kind->flags);
        /* The peer has read all of the handshake, and nothing that is sent after it. */
        order(c, "nothing");
    }
}

static void send_command(struct connection *c, const char *format, va_list arguments)
{
    char line[128];
    int length = vsnprintf(line, sizeof line - 1, format, arguments);

    CHECK(length > 0 && (size_t)length < sizeof line - 1);
    line[length++] = '\n';
    send_all(c->control, line, (size_t)length);
}

static const char *await_answer(struct connection *c)
{
    static char line[256];
    size_t length = 0;

    do {
        CHECK(length < sizeof line);
        if (recv(c->control, line + length, 1, 0) != 1) {
            FAIL("the peer does not answer");
        }
    } while (line[length++] != '\n');
    line[length - 1] = '\0';
    return line;
}

const char *ask(struct connection *c, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    send_command(c, format, arguments);
    va_end(arguments);
    return await_answer(c);
}

void begin_order(struct connection *c, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    send_command(c, format, arguments);
    va_end(arguments);
}

void await_order(struct connection *c)
{
    const char *said = await_answer(c);

    if (strcmp(said, "ok") != 0) {
        FAIL("the peer answers \"%s\"", said);
    }
}

void order(struct connection *c, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    send_command(c, format, arguments);
    va_end(arguments);
    await_order(c);
}

void await_bytes(struct connection *c, size_t length)
{
    long began = milliseconds();
    int readable = -1;

    for (;;) {
        CHECK(ioctl(c->fd, FIONREAD, &readable) == 0);
        if (readable == (int)length) {
            return;
        }
        if (milliseconds() - began > PATIENCE_MS) {
            FAIL("%d bytes can be received instead of %zu", readable, length);
        }
        sleep_ms(1);
    }
}

void peer_sends(struct connection *c, size_t length)
{
    int waiting = 0;

    CHECK(ioctl(c->fd, FIONREAD, &waiting) == 0);
    order(c, "send %zu", length);
    await_bytes(c, (size_t)waiting + length);
}

void peer_ends(struct connection *c)
{
    order(c, "end");
    CHECK(await_events(c->fd, POLLRDHUP) & POLLRDHUP);
}

void await_reset(int fd)
{
    long began = milliseconds();
    short events;

    /* One of the two may be there a moment before the other. */
    do {
        events = await_events(fd, 0);
        CHECK(milliseconds() - began < PATIENCE_MS);
    } while (!(events & POLLERR) || !(events & POLLHUP));
}

void peer_resets(struct connection *c)
{
    /* What the peer leaves unread is what resets an AF_UNIX connection. */
    send_all(c->fd, "x", 1);
    order(c, "reset");
    await_reset(c->fd);
}

void peer_takes(struct connection *c, size_t length)
{
    order(c, "take %zu", length);
}

void next_bytes(struct connection *c, void *buffer, size_t length)
{
    pattern_fill(buffer, length, c->sent);
    c->sent += length;
}

void check_bytes(struct connection *c, const void *buffer, size_t length)
{
    if (!pattern_matches(buffer, length, c->received)) {
        FAIL("other bytes than the peer sent, after %zu", c->received);
    }
    c->received += length;
}

void receive_all(struct connection *c, size_t length)
{
    receive_pattern(c->fd, length, c->received);
    c->received += length;
}

void tell(struct connection *c, const char *format, ...)
{
    size_t used = strlen(c->outcome);
    va_list arguments;
    int length;

    if (used > 0) {
        used += (size_t)snprintf(c->outcome + used, sizeof c->outcome - used, ", ");
    }
    va_start(arguments, format);
    length = vsnprintf(c->outcome + used, sizeof c->outcome - used, format, arguments);
    va_end(arguments);
    CHECK(length >= 0 && used + (size_t)length < sizeof c->outcome);
}

static char *next_text(size_t *size)
{
    static char texts[TEXTS][128];
    static int next;

    next = (next + 1) % TEXTS;
    *size = sizeof texts[next];
    return texts[next];
}

const char *answer(ssize_t value)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        {EAGAIN, "EAGAIN"},
        {EBADF, "EBADF"},
        {ECONNABORTED, "ECONNABORTED"},
        {ECONNRESET, "ECONNRESET"},
        {EDESTADDRREQ, "EDESTADDRREQ"},
        {EEXIST, "EEXIST"},
        {EINTR, "EINTR"},
        {EINVAL, "EINVAL"},
        {EISCONN, "EISCONN"},
        {ENODATA, "ENODATA"},
        {ENODEV, "ENODEV"},
        {ENOENT, "ENOENT"},
        {ENOPROTOOPT, "ENOPROTOOPT"},
        {ENOTCONN, "ENOTCONN"},
        {ENOTTY, "ENOTTY"},
        {EOPNOTSUPP, "EOPNOTSUPP"},
        {EPERM, "EPERM"},
        {EPIPE, "EPIPE"},
        {ESPIPE, "ESPIPE"},
        {ETIMEDOUT, "ETIMEDOUT"},
    };
    int error = errno;
    size_t size;
    char *text = next_text(&size);

    if (value != -1) {
        snprintf(text, size, "%zd", value);
        return text;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].number == error) {
            return names[i].name;
        }
    }
    snprintf(text, size, "error %d", error);
    return text;
}

const char *events_text(unsigned events)
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {
        {POLLIN, "IN"},   {POLLPRI, "PRI"}, {POLLOUT, "OUT"},     {POLLERR, "ERR"},
        {POLLHUP, "HUP"}, {POLLNVAL, "NVAL"}, {POLLRDHUP, "RDHUP"},
    };
    size_t size;
    char *text = next_text(&size);
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (events & names[i].bit) {
            used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? " " : "", names[i].name);
            events &= ~names[i].bit;
        }
    }
    if (events != 0) {
        snprintf(text + used, size - used, "%s%#x", used > 0 ? " " : "", events);
    } else if (used == 0) {
        snprintf(text, size, "nothing");
    }
    return text;
}
