/* SSL_FLAG_SOLE_DESCRIPTOR: what is not looked at, what holds all the same, and what a broken promise does. */
#define _GNU_SOURCE

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/extent.h"
#include "common/peer.h"
#include "common/supervisor.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

static ssl_socket *prepare(int fd, uint32_t flags)
{
    ssl_socket *s = ssl_socket_new(fd);

    CHECK(s != NULL && ssl_set_flags(s, SSL_FLAG_DEFER_HANDSHAKE | flags) == SSL_ERR_OKAY);
    CHECK(ssl_add_trust_file(s, pki_file("ca.pem")) == SSL_ERR_OKAY);
    return s;
}

static void perform(ssl_socket *s)
{
    if (ssl_perform_handshake(s, "localhost") != SSL_ERR_OKAY) {
        upgrade_failed("ssl_perform_handshake", s);
    }
}

static void echo(int fd, ssl_socket *s, const struct way *way)
{
    send_through(s, fd, way, "echo\n", 5);
    say_pattern(fd, s, way, 5000, 0);
    receive_through(s, fd, way, 5000, 0);
}

static void only_tls_leaves(const struct way *way)
{
    struct extent before = extent_now();
    int fd = peer_connect_in_clear(way->peer);
    ssl_socket *s = prepare(fd, way->flags);

    perform(s);
    echo(fd, s, way);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0);
    peer_saw_only_tls();
    expect_nothing_left_since(&before);
}

static void nothing_leaves_after_a_failure(const struct way *way)
{
    struct extent before = extent_now();
    int fd = peer_connect_in_clear(way->peer);
    ssl_socket *s = prepare(fd, way->flags);

    CHECK(ssl_perform_handshake(s, "other.test") == SSL_ERR_NAME);
    CHECK(send(fd, "PASS hunter2\r\n", 14, MSG_NOSIGNAL) < 0);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0);
    peer_saw_only_tls();
    expect_nothing_left_since(&before);
}

static void nothing_in_proc_is_looked_at(const struct way *way)
{
    struct watch *watch = mmap(NULL, sizeof *watch, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int looks[2];
    int fd;

    CHECK(watch != MAP_FAILED);
    if (supervise(watch) != 0) {
        SKIP("a seccomp filter with a listener is not allowed here");
    }
    for (int sole = 0; sole < 2; sole++) {
        ssl_socket *s;

        fd = peer_connect(way->peer);
        s = prepare(fd, (way->flags & ~SSL_FLAG_SOLE_DESCRIPTOR) | (sole ? SSL_FLAG_SOLE_DESCRIPTOR : 0));
        watch->count = 0;
        mark_begin();
        perform(s);
        mark_end();
        looks[sole] = 0;
        for (int i = 0; i < watch->count; i++) {
            looks[sole] += strstr(watch->calls[i].text, "/proc") != NULL;
        }
        echo(fd, s, way);
        CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0);
    }
    /* Without the promise there are some, or nothing would be seen here. */
    CHECK((looks[0] > 0 || (way->flags & SSL_FLAG_EXPLICIT_IO) != 0) && looks[1] == 0);
}

static ino_t inode_of(int fd)
{
    struct stat stat;

    CHECK(fstat(fd, &stat) == 0);
    return stat.st_ino;
}

/* Whether the epoll instance watches that file under this number. */
static int watches(int epoll, int number, ino_t inode)
{
    char path[64], line[256];
    int found = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", epoll);
    file = fopen(path, "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        int target;
        unsigned long ino;
        const char *at = strstr(line, "ino:");

        if (sscanf(line, "tfd: %d", &target) == 1 && at != NULL && sscanf(at, "ino:%lx", &ino) == 1) {
            found |= target == number && ino == inode;
        }
    }
    fclose(file);
    return found;
}

/* As documented: what was promised not to be there stays with the connection itself. */
static void a_broken_promise_leaves_the_rest_as_it_was(const struct way *way)
{
    int fd = peer_connect(way->peer);
    int again = dup(fd);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    ino_t inode = inode_of(fd);
    ssl_socket *s = prepare(fd, way->flags);

    CHECK(again >= 0 && epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    perform(s);
    CHECK(inode_of(again) == inode && inode_of(fd) != inode);
    CHECK(watches(epoll, fd, inode) && !watches(epoll, fd, inode_of(fd)));
    echo(fd, s, way);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0 && close(again) == 0 && close(epoll) == 0);
}

/* The promise is about the moment of the upgrade. */
static void afterwards_it_may_be_duplicated_and_watched(const struct way *way)
{
    struct extent before = extent_now();
    int fd = peer_connect(way->peer);
    ssl_socket *s = prepare(fd, way->flags);
    struct epoll_event event = {.events = EPOLLIN};
    int epoll, again;

    perform(s);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    again = dup(fd);
    CHECK(again >= 0 && epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, again, &event) == 0 && close(fd) == 0);
    send_all(again, "echo\n", 5);
    send_pattern(again, 1000);
    CHECK(epoll_wait(epoll, &event, 1, 20000) == 1);
    receive_pattern(again, 1000, 0);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(again) == 0 && close(epoll) == 0);
    expect_nothing_left_since(&before);
}

static void the_defaults_hand_it_on(const struct way *way)
{
    int fd = peer_connect(way->peer);
    int again = dup(fd);
    ino_t inode = inode_of(fd);
    uint32_t flags = 0;
    ssl_socket *s;

    CHECK(ssl_set_flags(ssl_defaults(), SSL_FLAG_DEFER_HANDSHAKE | way->flags) == SSL_ERR_OKAY);
    CHECK(ssl_add_trust_file(ssl_defaults(), pki_file("ca.pem")) == SSL_ERR_OKAY);
    s = ssl_socket_new(fd);
    CHECK(ssl_get_flags(s, &flags) == SSL_ERR_OKAY && flags == (SSL_FLAG_DEFER_HANDSHAKE | way->flags));
    perform(s);
    CHECK(inode_of(again) == inode && inode_of(fd) != inode);
    echo(fd, s, way);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0 && close(again) == 0);
}

int main(int argc, char **argv)
{
    static const struct way sole_ways[] = {
        {"IPv4", "SSLSOCK_PEER", SSL_FLAG_SOLE_DESCRIPTOR},
        {"IPv4, Unix pair", "SSLSOCK_PEER", SSL_FLAG_SOLE_DESCRIPTOR | SSL_FLAG_UNIX_PAIR},
        {"IPv6", "SSLSOCK_PEER6", SSL_FLAG_SOLE_DESCRIPTOR},
        {"Unix", "SSLSOCK_PEER_UNIX", SSL_FLAG_SOLE_DESCRIPTOR},
        {NULL, NULL, 0},
    };
    static const struct way all_ways[] = {
        {"IPv4", "SSLSOCK_PEER", SSL_FLAG_SOLE_DESCRIPTOR},
        {"IPv4, Unix pair", "SSLSOCK_PEER", SSL_FLAG_SOLE_DESCRIPTOR | SSL_FLAG_UNIX_PAIR},
        {"IPv6", "SSLSOCK_PEER6", SSL_FLAG_SOLE_DESCRIPTOR},
        {"Unix", "SSLSOCK_PEER_UNIX", SSL_FLAG_SOLE_DESCRIPTOR},
        {"IPv4, explicit", "SSLSOCK_PEER", SSL_FLAG_SOLE_DESCRIPTOR | SSL_FLAG_EXPLICIT_IO},
        {NULL, NULL, 0},
    };
    static const struct test tests[] = {
        {"only_tls_leaves", only_tls_leaves, all_ways, 0},
        {"nothing_leaves_after_a_failure", nothing_leaves_after_a_failure, all_ways, 0},
        {"nothing_in_proc_is_looked_at", nothing_in_proc_is_looked_at, all_ways, 0},
        {"a_broken_promise_leaves_the_rest_as_it_was", a_broken_promise_leaves_the_rest_as_it_was, sole_ways, 0},
        {"afterwards_it_may_be_duplicated_and_watched", afterwards_it_may_be_duplicated_and_watched, sole_ways, 0},
        {"the_defaults_hand_it_on", the_defaults_hand_it_on, sole_ways, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
