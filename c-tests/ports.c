/* Ports and what the kernel keeps of closed connections: which inner pairs leave something behind. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/extent.h"
#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

/* In all. */
#define CONNECTIONS 2000
#define AT_EXIT 20

static int outside, inside;

/* A network of the test's own, for the inner pairs alone: connections to the peer are made outside. */
static void make_network(void)
{
    struct ifreq loopback = {.ifr_name = "lo"};
    int fd;

    outside = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (unshare(CLONE_NEWNET) != 0) {
        SKIP("no network namespace of one's own: %s", strerror(errno));
    }
    inside = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(outside >= 0 && inside >= 0 && fd >= 0);
    CHECK(ioctl(fd, SIOCGIFFLAGS, &loopback) == 0);
    loopback.ifr_flags |= IFF_UP;
    CHECK(ioctl(fd, SIOCSIFFLAGS, &loopback) == 0 && close(fd) == 0);
}

static int connect_outside(const struct way *way)
{
    int fd;

    CHECK(setns(outside, CLONE_NEWNET) == 0);
    fd = peer_connect(way->peer);
    CHECK(setns(inside, CLONE_NEWNET) == 0);
    return fd;
}

struct connection {
    int fd;
    ssl_socket *s;
};

static struct connection opened(const struct way *way, const char *order)
{
    struct connection connection = {connect_outside(way), NULL};

    connection.s = upgrade_to_peer(connection.fd, way, "%s", order);
    return connection;
}

static void closed(struct connection connection)
{
    CHECK(ssl_socket_free(connection.s) == SSL_ERR_OKAY && close(connection.fd) == 0);
}

/* The ways that a connection may end. */

static void the_program_closes_first(const struct way *way)
{
    struct connection connection = opened(way, "echo");

    send_pattern(connection.fd, 10);
    receive_pattern(connection.fd, 10, 0);
    closed(connection);
}

static void the_peer_closes_first(const struct way *way)
{
    struct connection connection = opened(way, "source 10");

    receive_pattern(connection.fd, 10, 0);
    expect_end(connection.fd);
    closed(connection);
}

static void the_program_half_closes(const struct way *way)
{
    struct connection connection = opened(way, "answer 10");

    CHECK(shutdown(connection.fd, SHUT_WR) == 0);
    receive_pattern(connection.fd, 10, 0);
    expect_end(connection.fd);
    closed(connection);
}

static void expect_reset(int fd)
{
    char byte;

    CHECK(recv(fd, &byte, 1, 0) == -1 && errno == ECONNRESET);
}

static void the_peer_resets(const struct way *way)
{
    struct connection connection = opened(way, "reset");

    expect_reset(connection.fd);
    closed(connection);
}

static void the_peer_truncates(const struct way *way)
{
    struct connection connection = opened(way, "truncate 10");

    receive_pattern(connection.fd, 10, 0);
    expect_reset(connection.fd);
    closed(connection);
}

static void the_program_resets(const struct way *way)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    struct connection connection = opened(way, "hold");

    CHECK(setsockopt(connection.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
    closed(connection);
}

static void the_program_does_not_read_all(const struct way *way)
{
    struct connection connection = opened(way, "source 1000");

    receive_pattern(connection.fd, 10, 0);
    closed(connection);
}

static void the_upgrade_fails(const struct way *way)
{
    int fd = connect_outside(way);
    ssl_socket *s = ssl_socket_new(fd);

    CHECK(ssl_set_flags(s, SSL_FLAG_DEFER_HANDSHAKE | way->flags) == SSL_ERR_OKAY);
    CHECK(ssl_add_trust_file(s, pki_file("ca.pem")) == SSL_ERR_OKAY);
    CHECK(ssl_perform_handshake(s, "other.test") == SSL_ERR_NAME);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0);
}

static void the_process_ends(const struct way *way)
{
    pid_t child = fork();
    int status;

    CHECK(child >= 0);
    if (child == 0) {
        for (int i = 0; i < AT_EXIT; i++) {
            send_pattern(opened(way, i % 2 ? "hold" : "echo").fd, 10);
        }
        exit(EXIT_SUCCESS);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* How many connections are in TIME_WAIT inside. */
static int waiting(void)
{
    FILE *file = fopen("/proc/thread-self/net/sockstat", "r");
    char line[256];
    int count = -1;

    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        char *found = strncmp(line, "TCP:", 4) == 0 ? strstr(line, " tw ") : NULL;
        if (found != NULL) {
            count = atoi(found + 4);
        }
    }
    fclose(file);
    CHECK(count >= 0);
    return count;
}

static void only_who_ends_second_waits_for_nothing(const struct way *way)
{
    static const struct {
        const char *name;
        void (*run)(const struct way *way);
        int connections;
        /* One end of the pair waits in TIME_WAIT: the one that was shut down before the other. */
        int waits;
    } ends[] = {
        {"the program closes first", the_program_closes_first, 1, 0},
        {"the peer closes first", the_peer_closes_first, 1, 1},
        {"the program half-closes", the_program_half_closes, 1, 1},
        {"the peer resets", the_peer_resets, 1, 0},
        {"the peer truncates", the_peer_truncates, 1, 0},
        {"the program resets", the_program_resets, 1, 0},
        {"the program does not read all", the_program_does_not_read_all, 1, 0},
        {"the upgrade fails", the_upgrade_fails, 1, 0},
        {"the process ends", the_process_ends, AT_EXIT, 1},
    };
    const int count = sizeof ends / sizeof *ends;
    struct extent before;
    int wrong = 0;

    make_network();
    before = extent_now();
    for (int end = 0; end < count; end++) {
        int already = waiting(), done, left;

        for (done = 0; done < CONNECTIONS / 2 / count; done += ends[end].connections) {
            ends[end].run(way);
        }
        expect_nothing_left_since(&before);
        left = waiting() - already;
        if (left > ends[end].waits * done) {
            note("%s: of %d connections %d are left in TIME_WAIT", ends[end].name, done, left);
            wrong = 1;
        }
    }
    CHECK(!wrong);
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {
        {"IPv4", "SSLSOCK_PEER", 0},
        {"IPv6", "SSLSOCK_PEER6", 0},
        {NULL, NULL, 0},
    };
    static const struct test tests[] = {
        {"only_who_ends_second_waits_for_nothing", only_who_ends_second_waits_for_nothing, ways, 120},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
