/* Socket options: what was set before, what is the default, what can be set. */
#define _GNU_SOURCE

#include <errno.h>
/* Not netinet/tcp.h, whose tcp_info has no counts of bytes. */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/check.h"
#include "common/peer.h"
#include "probes.h"

/* The int option's value, or errno's name. */
static const char *option(int fd, int level, int name)
{
    int value = 0;
    socklen_t length = sizeof value;

    return getsockopt(fd, level, name, &value, &length) == 0 ? answer(value) : answer(-1);
}

static int is_option(int fd, int level, int name, int value)
{
    return strcmp(option(fd, level, name), answer(value)) == 0;
}

static const char *set_option(int fd, int level, int name, int value)
{
    return answer(setsockopt(fd, level, name, &value, sizeof value));
}

static void set(int fd, int level, int name, int value)
{
    CHECK(setsockopt(fd, level, name, &value, sizeof value) == 0);
}

static int is_tcp(const struct connection *c)
{
    return c->peer_address.ss_family != AF_UNIX;
}

static void kinds_of_socket(struct connection *c)
{
    upgrade_here(c);
    tell(c, "%s", option(c->fd, SOL_SOCKET, SO_TYPE));
    tell(c, "%s", option(c->fd, SOL_SOCKET, SO_ACCEPTCONN));
    tell(c, "%s", option(c->fd, SOL_SOCKET, SO_ERROR));
    tell(c, "%s", option(c->fd, SOL_SOCKET, SO_BROADCAST));
}

static void family(struct connection *c)
{
    int domain = -1;
    int protocol = -1;
    socklen_t length = sizeof domain;

    upgrade_here(c);
    CHECK(getsockopt(c->fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0);
    CHECK(getsockopt(c->fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) == 0);
    if (domain == AF_UNIX) {
        tell(c, "`AF_UNIX`, %d", protocol);
    } else {
        tell(c, "%s, %s", domain == c->peer_address.ss_family ? "the connection's" : "another",
             protocol == IPPROTO_TCP ? "TCP" : "another");
    }
}

static void kept_options(struct connection *c)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 5};
    struct linger found = {0, 0};
    socklen_t length = sizeof found;

    CHECK(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
    set(c->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(c->fd, SOL_SOCKET, SO_SNDBUF, 30000);
    set(c->fd, SOL_SOCKET, SO_RCVBUF, 40000);
    if (is_tcp(c)) {
        set(c->fd, SOL_SOCKET, SO_OOBINLINE, 1);
    }
    upgrade_here(c);
    CHECK(getsockopt(c->fd, SOL_SOCKET, SO_LINGER, &found, &length) == 0);
    tell(c, "linger %d %d", found.l_onoff, found.l_linger);
    tell(c, "keep-alive %s", option(c->fd, SOL_SOCKET, SO_KEEPALIVE));
    tell(c, "buffers %s %s", option(c->fd, SOL_SOCKET, SO_SNDBUF), option(c->fd, SOL_SOCKET, SO_RCVBUF));
    tell(c, "inline %s", option(c->fd, SOL_SOCKET, SO_OOBINLINE));
    peer_sends(c, 5000);
    receive_all(c, 5000);
}

static void buffers_after(struct connection *c)
{
    upgrade_here(c);
    set(c->fd, SOL_SOCKET, SO_SNDBUF, 30000);
    set(c->fd, SOL_SOCKET, SO_RCVBUF, 40000);
    tell(c, "%s %s", option(c->fd, SOL_SOCKET, SO_SNDBUF), option(c->fd, SOL_SOCKET, SO_RCVBUF));
}

/* A setting of the system's. */
static int system_value(const char *path)
{
    FILE *file = fopen(path, "r");
    int value = -1;

    CHECK(file != NULL && fscanf(file, "%d", &value) == 1);
    fclose(file);
    return value;
}

static void default_buffers(struct connection *c)
{
    int sizes[2] = {-1, -1};
    socklen_t length = sizeof sizes[0];

    upgrade_here(c);
    CHECK(getsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &sizes[0], &length) == 0);
    CHECK(getsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &sizes[1], &length) == 0);
    /* Only AF_UNIX begins with this one. */
    if (sizes[1] != system_value("/proc/sys/net/core/rmem_default")) {
        tell(c, "they grow");
        return;
    }
    tell(c, sizes[0] == system_value("/proc/sys/net/core/wmem_default") ? "fixed sizes"
                                                                          : "fixed sizes, a larger one to send");
}

static void peer_credentials(struct connection *c)
{
    struct ucred who = {0, 0, 0};
    socklen_t length = sizeof who;

    upgrade_here(c);
    CHECK(getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0);
    tell(c, who.pid == getpid() ? "this process" : who.pid == 0 ? "nobody" : "the peer");
}

static void no_delay(struct connection *c)
{
    const char *before;

    upgrade_here(c);
    before = option(c->fd, IPPROTO_TCP, TCP_NODELAY);
    if (set_option(c->fd, IPPROTO_TCP, TCP_NODELAY, 1)[0] != '0') {
        tell(c, "%s", answer(-1));
        return;
    }
    tell(c, before[0] == '0' ? "off until it is set" : "always on");
    CHECK(option(c->fd, IPPROTO_TCP, TCP_NODELAY)[0] == '1');
}

static int service_level(const struct connection *c)
{
    return c->peer_address.ss_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
}

static int service_name(const struct connection *c)
{
    return c->peer_address.ss_family == AF_INET6 ? IPV6_TCLASS : IP_TOS;
}

/* What was set before can be read, and what can be set and read after it. */
static void tcp_options(struct connection *c)
{
    const struct {
        int level;
        int name;
        int before;
        int after;
    } options[] = {
        {service_level(c), service_name(c), 0x10, 0x20},
        {IPPROTO_TCP, TCP_NODELAY, 1, 0},
        {IPPROTO_TCP, TCP_KEEPIDLE, 100, 200},
        {IPPROTO_TCP, TCP_KEEPINTVL, 20, 30},
        {IPPROTO_TCP, TCP_KEEPCNT, 3, 4},
        /* Not before: another probe has it. */
        {IPPROTO_TCP, TCP_USER_TIMEOUT, 0, 30000},
        {IPPROTO_TCP, TCP_CORK, 0, 1},
    };
    size_t count = sizeof options / sizeof *options;

    for (size_t i = 0; is_tcp(c) && i < count; i++) {
        set(c->fd, options[i].level, options[i].name, options[i].before);
    }
    upgrade_here(c);
    for (size_t i = 0; i < count; i++) {
        if (option(c->fd, options[i].level, options[i].name)[0] == 'E') {
            tell(c, "%s", answer(-1));
            return;
        }
        if (!is_option(c->fd, options[i].level, options[i].name, options[i].before)) {
            tell(c, "option %zu is not as it was set before", i);
        }
        set(c->fd, options[i].level, options[i].name, options[i].after);
        if (!is_option(c->fd, options[i].level, options[i].name, options[i].after)) {
            tell(c, "option %zu is not as it is set", i);
        }
    }
    CHECK(option(c->fd, IPPROTO_TCP, TCP_MAXSEG)[0] != 'E');
    tell(c, "work");
}

static void priority_before(struct connection *c)
{
    set(c->fd, SOL_SOCKET, SO_PRIORITY, 4);
    upgrade_here(c);
    tell(c, "%s", option(c->fd, SOL_SOCKET, SO_PRIORITY));
}

static void user_timeout_before(struct connection *c)
{
    if (is_tcp(c)) {
        set(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
    }
    upgrade_here(c);
    tell(c, "%s", option(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT));
}

/* The same on the real connection, where they have their effect. */
static void options_of_the_connection(struct connection *c)
{
    int32_t fd = c->fd;

    if (is_tcp(c)) {
        set(c->fd, service_level(c), service_name(c), 0x10);
        set(c->fd, IPPROTO_TCP, TCP_KEEPIDLE, 100);
        set(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
        set(c->fd, SOL_SOCKET, SO_PRIORITY, 4);
    }
    set(c->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    upgrade_here(c);
    if (c->socket != NULL) {
        CHECK(ssl_get_transport_fd(c->socket, &fd) == SSL_ERR_OKAY);
    }
    tell(c, "%s", option(fd, SOL_SOCKET, SO_PRIORITY));
    tell(c, "%s", option(fd, SOL_SOCKET, SO_KEEPALIVE));
    tell(c, "%s", option(fd, service_level(c), service_name(c)));
    tell(c, "%s", option(fd, IPPROTO_TCP, TCP_KEEPIDLE));
    tell(c, "%s", option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT));
}

static void priority_after(struct connection *c)
{
    upgrade_here(c);
    tell(c, "%s", set_option(c->fd, SOL_SOCKET, SO_PRIORITY, 4));
    tell(c, "%s", option(c->fd, SOL_SOCKET, SO_PRIORITY));
}

static void final_timeout(struct connection *c)
{
    int seconds = 0;
    socklen_t length = sizeof seconds;

    upgrade_here(c);
    if (getsockopt(c->fd, IPPROTO_TCP, TCP_LINGER2, &seconds, &length) != 0) {
        tell(c, "%s", answer(-1));
    } else {
        tell(c, seconds == system_value("/proc/sys/net/ipv4/tcp_fin_timeout") ? "the system's" : "%d", seconds);
    }
}

/* Which bytes it counts shows which connection it is about. */
static void tcp_information(struct connection *c)
{
    struct tcp_info info;
    socklen_t length = sizeof info;

    memset(&info, 0, sizeof info);
    peer_sends(c, 1000);
    receive_all(c, 1000);
    upgrade_here(c);
    peer_sends(c, 50);
    receive_all(c, 50);
    if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) {
        tell(c, "%s", answer(-1));
        return;
    }
    CHECK(info.tcpi_state == 1 /* established */);
    tell(c, info.tcpi_bytes_received == 1050 ? "of the connection"
            : info.tcpi_bytes_received == 50 ? "of the pair alone"
                                             : "of something else");
}

const struct probe option_probes[] = {
    {"`SO_TYPE`, `SO_ACCEPTCONN`, `SO_ERROR`", kinds_of_socket},
    {"`SO_DOMAIN`, `SO_PROTOCOL`", family},
    {"`SO_PEERCRED`", peer_credentials},
    {"`SO_KEEPALIVE`, `SO_LINGER`, `SO_SNDBUF`, `SO_RCVBUF`, `SO_OOBINLINE` set before", kept_options},
    {"`SO_SNDBUF`, `SO_RCVBUF` set after", buffers_after},
    {"`SO_SNDBUF`, `SO_RCVBUF` never set", default_buffers},
    {"`SO_PRIORITY` set before", priority_before},
    {"`SO_PRIORITY` set after", priority_after},
    {"`TCP_NODELAY` never set", no_delay},
    {"`IP_TOS`, `TCP_NODELAY`, `TCP_CORK`, `TCP_KEEPIDLE` and other TCP options", tcp_options},
    {"what was set before, on `ssl_get_transport_fd`", options_of_the_connection},
    {"`TCP_USER_TIMEOUT` set before", user_timeout_before},
    {"`TCP_LINGER2`", final_timeout},
    {"`TCP_INFO`", tcp_information},
    {NULL, NULL},
};
