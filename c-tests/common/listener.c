#define _GNU_SOURCE

#include "listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "peer.h"

#define RECORD_HEADER 5
#define HANDSHAKE_HEADER 4
#define HELLO_FIXED (2 + 32)
#define RECORD_MAX 16384
#define SERVER_NAME 0

static struct listener bound_to(int family)
{
    struct listener listener = {.length = 0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&listener.address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&listener.address;

    listener.address.ss_family = (sa_family_t)family;
    if (family == AF_INET6) {
        v6->sin6_addr = in6addr_loopback;
        listener.length = sizeof *v6;
    } else {
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        listener.length = sizeof *v4;
    }
    listener.fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(listener.fd >= 0 && bind(listener.fd, (struct sockaddr *)&listener.address, listener.length) == 0);
    CHECK(getsockname(listener.fd, (struct sockaddr *)&listener.address, &listener.length) == 0);
    return listener;
}

struct listener listen_on(int family)
{
    struct listener listener = bound_to(family);

    CHECK(listen(listener.fd, 16) == 0);
    return listener;
}

struct listener refuse_on(int family)
{
    return bound_to(family);
}

void connect_to(int fd, const struct listener *listener)
{
    if (connect(fd, (const struct sockaddr *)&listener->address, listener->length) != 0) {
        FAIL("connect: %s", strerror(errno));
    }
}

int accept_from(const struct listener *listener)
{
    int fd;

    CHECK(await_events(listener->fd, POLLIN) & POLLIN);
    fd = accept(listener->fd, NULL, NULL);
    CHECK(fd >= 0);
    return fd;
}

struct arrived read_to_end(int fd)
{
    struct arrived arrived = {0, 0};
    char bytes[4096];

    for (;;) {
        ssize_t count;
        await_events(fd, POLLIN);
        count = recv(fd, bytes, sizeof bytes, 0);
        if (count <= 0) {
            CHECK(count == 0 || errno == ECONNRESET);
            arrived.clean = count == 0;
            return arrived;
        }
        arrived.bytes += (size_t)count;
    }
}

static size_t number_at(const unsigned char *bytes, size_t size)
{
    size_t number = 0;

    for (size_t i = 0; i < size; i++) {
        number = number << 8 | bytes[i];
    }
    return number;
}

/* Behind a vector whose length has `size` bytes. */
static const unsigned char *behind(const unsigned char *at, size_t size)
{
    return at + size + number_at(at, size);
}

const char *name_in_hello(int fd)
{
    static unsigned char hello[RECORD_MAX];
    static char name[256];
    const unsigned char *at = hello + HANDSHAKE_HEADER + HELLO_FIXED;
    const unsigned char *end;
    size_t length;

    CHECK(recv(fd, hello, RECORD_HEADER, MSG_WAITALL) == RECORD_HEADER && hello[0] == 22);
    length = number_at(hello + 3, 2);
    CHECK(length <= sizeof hello && recv(fd, hello, length, MSG_WAITALL) == (ssize_t)length && hello[0] == 1);
    /* Session, suites, compression methods; then the extensions. */
    at = behind(behind(behind(at, 1), 2), 1);
    end = behind(at, 2);
    CHECK(end <= hello + length);
    for (at += 2; at < end; at = behind(at + 2, 2)) {
        if (number_at(at, 2) == SERVER_NAME) {
            /* Type and length, the list's length, the kind of name; then the name. */
            size_t count = number_at(at + 7, 2);
            CHECK(count < sizeof name);
            memcpy(name, at + 9, count);
            name[count] = '\0';
            return name;
        }
    }
    return "";
}
