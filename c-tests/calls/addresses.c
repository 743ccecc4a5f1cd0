/* Who is at the ends of the connection. */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/check.h"
#include "common/peer.h"
#include "probes.h"

/* getpeername or getsockname, whose prototypes are not the standard's in glibc. */
typedef int name_function(int fd, struct sockaddr *address, socklen_t *length);

/* Where it is in relation to what the connection was at the beginning. */
static const char *place(const struct sockaddr_storage *address, socklen_t length,
                         const struct sockaddr_storage *before, socklen_t before_length)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
    in_addr_t host = 0;

    if (length == before_length && memcmp(address, before, length) == 0) {
        return "the connection's address";
    }
    if (address->ss_family == AF_UNIX) {
        return length == offsetof(struct sockaddr_un, sun_path) ? "`AF_UNIX`, no name" : "`AF_UNIX`, another name";
    }
    if (address->ss_family == AF_INET) {
        host = ntohl(four->sin_addr.s_addr);
    } else if (address->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
        memcpy(&host, &six->sin6_addr.s6_addr[12], sizeof host);
        host = ntohl(host);
    }
    /* 127.0.0.x is where real services are. */
    return host >> 24 == 127 && host >> 8 != 0x7f0000 ? "the pair's: 127.x.y.z" : "something else";
}

static void tell_name(struct connection *c, name_function *name, const struct sockaddr_storage *before,
                      socklen_t length_before)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;

    memset(&address, 0, sizeof address);
    if (name(c->fd, (struct sockaddr *)&address, &length) != 0) {
        tell(c, "%s", answer(-1));
    } else {
        tell(c, "%s", place(&address, length, before, length_before));
    }
}

static int get_peer_name(int fd, struct sockaddr *address, socklen_t *length)
{
    return getpeername(fd, address, length);
}

static int get_sock_name(int fd, struct sockaddr *address, socklen_t *length)
{
    return getsockname(fd, address, length);
}

static void peer_name(struct connection *c)
{
    upgrade_here(c);
    tell_name(c, get_peer_name, &c->peer_address, c->peer_address_length);
}

static void own_name(struct connection *c)
{
    upgrade_here(c);
    tell_name(c, get_sock_name, &c->own_address, c->own_address_length);
}

/* What there is instead. In clear it is the two calls themselves. */
static void real_addresses(struct connection *c)
{
    static const uint32_t which[] = {SSL_ADDRESS_PEER, SSL_ADDRESS_LOCAL};

    upgrade_here(c);
    for (size_t i = 0; i < 2; i++) {
        const struct sockaddr_storage *before = i == 0 ? &c->peer_address : &c->own_address;
        socklen_t before_length = i == 0 ? c->peer_address_length : c->own_address_length;
        struct sockaddr_storage address;
        uint32_t length = sizeof address;

        memset(&address, 0, sizeof address);
        if (c->socket != NULL) {
            CHECK(ssl_get_address(c->socket, which[i], &address, &length) == SSL_ERR_OKAY);
        } else {
            CHECK((i == 0 ? get_peer_name : get_sock_name)(c->fd, (struct sockaddr *)&address, &length) == 0);
        }
        CHECK(length == before_length && memcmp(&address, before, length) == 0);
        tell(c, "%s", place(&address, length, before, before_length));
    }
}

static int has_peer(int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;

    return getpeername(fd, (struct sockaddr *)&address, &length);
}

static void peer_name_at_the_end(struct connection *c)
{
    upgrade_here(c);
    peer_ends(c);
    tell(c, "%s", answer(has_peer(c->fd)));
}

static void calls_after_a_reset(struct connection *c)
{
    upgrade_here(c);
    peer_resets(c);
    tell(c, "%s", answer(has_peer(c->fd)));
    tell(c, "%s", answer(shutdown(c->fd, SHUT_RDWR)));
}

/* The address that comes with data. */
static void address_of_the_sender(struct connection *c)
{
    struct sockaddr_storage address;
    struct iovec vector = {(char[10]){0}, 10};
    struct msghdr message = {.msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &vector, .msg_iovlen = 1};
    socklen_t length = sizeof address;

    upgrade_here(c);
    memset(&address, 0, sizeof address);
    peer_sends(c, 20);
    CHECK(recvfrom(c->fd, vector.iov_base, 10, 0, (struct sockaddr *)&address, &length) == 10);
    CHECK(recvmsg(c->fd, &message, 0) == 10 && message.msg_namelen == length);
    tell(c, "%s", length == 0 ? "none" : place(&address, length, &c->peer_address, c->peer_address_length));
}

static void connecting_calls(struct connection *c)
{
    struct sockaddr_storage any = c->own_address;

    upgrade_here(c);
    if (any.ss_family == AF_INET) {
        ((struct sockaddr_in *)&any)->sin_port = 0;
    } else if (any.ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)&any)->sin6_port = 0;
    }
    tell(c, "%s", answer(connect(c->fd, (struct sockaddr *)&c->peer_address, c->peer_address_length)));
    if (any.ss_family != AF_UNIX) {
        /* An AF_UNIX socket could be bound to a name yet. */
        tell(c, "%s", answer(bind(c->fd, (struct sockaddr *)&any, c->own_address_length)));
    }
    tell(c, "%s", answer(listen(c->fd, 1)));
    tell(c, "%s", answer(accept(c->fd, NULL, NULL)));
    /* It has done no harm. */
    peer_sends(c, 10);
    receive_all(c, 10);
}

const struct probe address_probes[] = {
    {"`getpeername`: ask `ssl_get_address`", peer_name},
    {"`getsockname`: ask `ssl_get_address`", own_name},
    {"`ssl_get_address` (the very answers of `getpeername` and `getsockname` before)", real_addresses},
    {"`getpeername` after the peer's end", peer_name_at_the_end},
    {"`getpeername`, `shutdown` after a reset", calls_after_a_reset},
    {"sender's address of `recvfrom`, `recvmsg`", address_of_the_sender},
    {"`connect`, `bind`, `listen`, `accept` once more", connecting_calls},
    {NULL, NULL},
};
