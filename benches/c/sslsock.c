/* This library. Modes: "explicit", "transparent" on the loopback pair, "unix" transparent on an AF_UNIX pair. */
#include "harness.h"

#include <errno.h>
#include <sslsock.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    int fd;
    ssl_socket *tls;
};

static const char *name;
static int is_explicit;

static void must(const char *what, int result)
{
    char text[2048] = "";
    size_t length;

    if (result != SSL_ERR_OKAY) {
        ssl_get_error_text(NULL, text, sizeof text, &length);
        die(what, text);
    }
}

static const char *version(void)
{
    static char text[64];

    snprintf(text, sizeof text, "sslsock %s", ssl_version());
    return text;
}

static void setup(const struct bench_options *options)
{
    uint16_t only = options->tls == 12 ? SSL_PROTOCOL_TLS1_2 : SSL_PROTOCOL_TLS1_3;
    uint32_t flags = options->resume ? 0 : SSL_FLAG_NO_RESUMPTION;
    ssl_socket *defaults = ssl_defaults();

    name = options->name;
    is_explicit = strcmp(options->mode, "explicit") == 0;
    flags |= is_explicit ? SSL_FLAG_EXPLICIT_IO : 0;
    flags |= strcmp(options->mode, "unix") == 0 ? SSL_FLAG_UNIX_PAIR : 0;
    flags |= strcmp(options->group, "x25519") == 0 ? SSL_FLAG_NO_POST_QUANTUM : 0;
    must("flags", ssl_set_flags(defaults, flags));
    must("protocols", ssl_set_protocols(defaults, only, only));
    must("trust", ssl_add_trust_file(defaults, options->ca));
}

static void *open_connection(int fd)
{
    struct connection *c = malloc(sizeof *c);

    c->fd = fd;
    c->tls = ssl_socket_new(fd);
    if (c->tls == NULL) {
        must("socket", ssl_get_error(NULL));
    }
    must("handshake", ssl_perform_handshake(c->tls, name));
    if (!is_explicit) {
        /* The descriptor goes on by itself. */
        must("free", ssl_socket_free(c->tls));
    }
    return c;
}

static void send_all(void *connection, const void *bytes, size_t length)
{
    struct connection *c = connection;
    const char *at = bytes;

    while (length > 0) {
        ssize_t sent = is_explicit ? ssl_send(c->tls, at, length, 0) : send(c->fd, at, length, MSG_NOSIGNAL);

        if (sent < 0) {
            die("send", strerror(errno));
        }
        at += sent;
        length -= (size_t)sent;
    }
}

static size_t receive(void *connection, void *bytes, size_t capacity)
{
    struct connection *c = connection;
    ssize_t got = is_explicit ? ssl_recv(c->tls, bytes, capacity, 0) : recv(c->fd, bytes, capacity, 0);

    if (got < 0) {
        die("recv", strerror(errno));
    }
    return (size_t)got;
}

static void close_connection(void *connection)
{
    struct connection *c = connection;

    if (is_explicit) {
        must("free", ssl_socket_free(c->tls));
    }
    close(c->fd);
    free(c);
}

const struct bench_client bench_client = {
    version, setup, open_connection, send_all, receive, close_connection, NULL, NULL,
};
