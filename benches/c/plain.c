/* Plain TCP: the limit, and the program in front of a relay such as stunnel. */
#include "harness.h"

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *version(void)
{
    return "none";
}

static void setup(const struct bench_options *options)
{
    (void)options;
}

static void *open_connection(int fd)
{
    return (void *)(intptr_t)fd;
}

static void send_all(void *connection, const void *bytes, size_t length)
{
    const char *at = bytes;

    while (length > 0) {
        ssize_t sent = send((int)(intptr_t)connection, at, length, MSG_NOSIGNAL);

        if (sent < 0) {
            die("send", strerror(errno));
        }
        at += sent;
        length -= (size_t)sent;
    }
}

static size_t receive(void *connection, void *bytes, size_t capacity)
{
    ssize_t got = recv((int)(intptr_t)connection, bytes, capacity, 0);

    if (got < 0) {
        die("recv", strerror(errno));
    }
    return (size_t)got;
}

static void close_connection(void *connection)
{
    close((int)(intptr_t)connection);
}

const struct bench_client bench_client = {
    version, setup, open_connection, send_all, receive, close_connection, NULL, NULL,
};
