/*
 * Sockets that are made secure before they are connected, as on Windows CE: nothing goes in clear, even if the program
 * connects them where the library does not see it.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/codes.h"
#include "common/dead.h"
#include "common/listener.h"
#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

static const struct way families[] = {
    {"IPv4", "SSLSOCK_PEER", 0},
    {"IPv6", "SSLSOCK_PEER6", 0},
    {NULL, NULL, 0},
};

static const struct way secure_ways[] = {
    {"IPv4", "SSLSOCK_PEER", 0},
    {"IPv4, Unix pair", "SSLSOCK_PEER", SSL_FLAG_UNIX_PAIR},
    {"IPv4, explicit", "SSLSOCK_PEER", SSL_FLAG_EXPLICIT_IO},
    {"IPv6", "SSLSOCK_PEER6", 0},
    {NULL, NULL, 0},
};

static int family_of(const struct way *way)
{
    return strcmp(way->peer, "SSLSOCK_PEER6") == 0 ? AF_INET6 : AF_INET;
}

/* The peer's address, for a connect of the test's own. */
static struct listener peer_of(const struct way *way)
{
    struct listener peer = {.fd = peer_connect(way->peer), .length = sizeof peer.address};

    CHECK(getpeername(peer.fd, (struct sockaddr *)&peer.address, &peer.length) == 0);
    CHECK(close(peer.fd) == 0);
    return peer;
}

static int new_socket(const struct way *way)
{
    int fd = socket(family_of(way), SOCK_STREAM, 0);

    CHECK(fd >= 0);
    return fd;
}

static ssl_socket *secure(int fd, const struct way *way)
{
    ssl_socket *s = NULL;

    CHECK(ssl_wce_secure(fd, &s) == SSL_ERR_OKAY && s != NULL);
    CHECK(ssl_set_flags(s, way->flags) == SSL_ERR_OKAY);
    CHECK(ssl_add_trust_file(s, pki_file("ca.pem")) == SSL_ERR_OKAY);
    return s;
}

static int32_t perform(ssl_socket *s)
{
    return set_code(s, PERFORM_HANDSHAKE, "localhost", 10);
}

static void echo(int fd, ssl_socket *s, const struct way *way)
{
    CHECK(ssl_send(s, "echo\n", 5, 0) == 5);
    say_pattern(fd, s, way, 1000, 0);
    receive_through(s, fd, way, 1000, 0);
}

/* Whatever is tried, nobody is connected and nothing leaves. */
static void expect_held(int fd, const struct way *way)
{
    struct listener nobody = refuse_on(family_of(way));
    struct listener listener = listen_on(family_of(way));
    int ends[] = {fd, dup(fd)};

    set_nonblocking(listener.fd);
    for (int time = 0; time < 2; time++) {
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
            CHECK(connect(ends[i], (struct sockaddr *)&nobody.address, nobody.length) == -1 && errno == EISCONN);
            CHECK(connect(ends[i], (struct sockaddr *)&listener.address, listener.length) == -1 && errno == EISCONN);
            CHECK(sendto(ends[i], PASSWORD, strlen(PASSWORD), MSG_FASTOPEN | MSG_NOSIGNAL,
                         (struct sockaddr *)&listener.address, listener.length) == -1 && errno == EISCONN);
            expect_dead(ends[i]);
        }
    }
    CHECK(accept(listener.fd, NULL, NULL) == -1 && errno == EAGAIN);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0 && close(listener.fd) == 0 && close(nobody.fd) == 0);
}

static void nothing_is_sent_or_received_on_a_held_socket(const struct way *way)
{
    int fd = new_socket(way);

    secure(fd, way);
    expect_held(fd, way);
}

static void a_freed_handle_does_not_let_go(const struct way *way)
{
    int fd = new_socket(way);

    CHECK(ssl_socket_free(secure(fd, way)) == SSL_ERR_OKAY);
    expect_held(fd, way);
}

static void a_handshake_on_a_held_socket_fails(const struct way *way)
{
    int fd = new_socket(way);
    ssl_socket *s = secure(fd, way);

    CHECK(perform(s) == SSL_ERR_STATE);
    expect_error_text(s, "the socket is still held");
    expect_held(fd, way);
    /* By the other function. */
    fd = new_socket(way);
    s = secure(fd, way);
    CHECK(ssl_perform_handshake(s, "localhost") == SSL_ERR_STATE);
    expect_error_text(s, "the socket is still held");
    expect_held(fd, way);
}

/* The program does not look at the result, connects, and sends its password. */
static void a_handshake_before_connect_lets_nobody_connect(const struct way *way)
{
    int fd = new_socket(way);
    ssl_socket *s = ssl_socket_new(fd);

    CHECK(s != NULL && ssl_set_flags(s, way->flags | SSL_FLAG_DEFER_HANDSHAKE) == SSL_ERR_OKAY);
    CHECK(ssl_perform_handshake(s, "localhost") == SSL_ERR_STATE);
    expect_error_text(s, "is not connected");
    expect_held(fd, way);
    /* The same on one that was made secure. */
    fd = new_socket(way);
    s = secure(fd, way);
    CHECK(set_code_flags(s, SSL_FLAG_DEFER_HANDSHAKE) == SSL_ERR_OKAY);
    CHECK(perform(s) == SSL_ERR_STATE);
    expect_held(fd, way);
    /* What is asked for wrongly is refused before anything is looked at. */
    fd = new_socket(way);
    s = ssl_socket_new(fd);
    CHECK(s != NULL && ssl_perform_handshake(s, "\xff") == SSL_ERR_INVALID);
    expect_held(fd, way);
}

/* A shutdown is all that a program can do to it, and what it connects then gets no answer. */
static void shut_down_it_is_not_connected_either(const struct way *way)
{
    struct listener listener = listen_on(family_of(way));
    int fd = new_socket(way);
    ssl_socket *s = secure(fd, way);

    set_nonblocking(listener.fd);
    CHECK(shutdown(fd, SHUT_RDWR) == 0);
    set_nonblocking(fd);
    CHECK(connect(fd, (struct sockaddr *)&listener.address, listener.length) == -1 && errno == EINPROGRESS);
    CHECK(send(fd, PASSWORD, strlen(PASSWORD), MSG_NOSIGNAL) == -1 && errno == EAGAIN);
    CHECK(accept(listener.fd, NULL, NULL) == -1 && errno == EAGAIN);
    CHECK(ssl_wce_hold(s, 0) == SSL_ERR_STATE);
    expect_error_text(s, "was shut down and connected while it was held");
    CHECK(set_code_flags(s, SSL_FLAG_DEFER_HANDSHAKE) == SSL_ERR_STATE);
    CHECK(ssl_wce_hold(s, 1) == SSL_ERR_OKAY);
    expect_held(fd, way);
}

static void another_process_is_held_too(const struct way *way)
{
    int fd = new_socket(way);
    int status = 0;
    pid_t child;

    secure(fd, way);
    child = quiet_fork();
    if (child == 0) {
        expect_held(fd, way);
        _exit(0);
    }
    CHECK(close(fd) == 0);
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void let_go_and_connected_it_speaks_tls(const struct way *way)
{
    struct listener peer = peer_of(way);
    int fd = new_socket(way);
    ssl_socket *s = secure(fd, way);

    CHECK(ssl_wce_hold(s, 0) == SSL_ERR_OKAY);
    connect_to(fd, &peer);
    CHECK(perform(s) == SSL_ERR_OKAY);
    echo(fd, s, way);
    CHECK(ssl_wce_hold(s, 1) == SSL_ERR_STATE && ssl_wce_hold(s, 0) == SSL_ERR_STATE);
    CHECK(ssl_send(s, "x", 1, 0) == 1);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0);
}

static void through_a_duplicate_too(const struct way *way)
{
    struct listener peer = peer_of(way);
    int fd = new_socket(way);
    ssl_socket *s = secure(fd, way);
    int again = dup(fd);

    CHECK(ssl_wce_hold(s, 0) == SSL_ERR_OKAY);
    connect_to(again, &peer);
    CHECK(perform(s) == SSL_ERR_OKAY);
    send_all(again, "echo\n", 5);
    send_pattern(again, 1000);
    receive_pattern(fd, 1000, 0);
}

/* ssl_connect lets go by itself. */
static void connected_by_the_library_it_speaks_tls(const struct way *way)
{
    struct listener nobody = refuse_on(family_of(way));
    struct listener peer = peer_of(way);
    int fd = new_socket(way);
    ssl_socket *s = secure(fd, way);

    CHECK(ssl_set_peername(s, "localhost") == SSL_ERR_OKAY);
    CHECK(ssl_connect(s, &nobody.address, nobody.length) == SSL_ERR_IO);
    CHECK(ssl_connect(s, &peer.address, peer.length) == SSL_ERR_OKAY);
    echo(fd, s, way);
    fd = new_socket(way);
    s = secure(fd, way);
    CHECK(ssl_connect(s, &nobody.address, nobody.length) == SSL_ERR_IO);
    expect_held(fd, way);
}

static void deferring_lets_go_and_taking_that_back_holds(const struct way *way)
{
    struct listener listener = listen_on(family_of(way));
    char byte;
    int fd = new_socket(way);
    ssl_socket *s = secure(fd, way);
    int other;

    CHECK(set_code_flags(s, SSL_FLAG_DEFER_HANDSHAKE) == SSL_ERR_OKAY);
    /* There is nothing to hold then. */
    CHECK(ssl_wce_hold(s, 0) == SSL_ERR_OKAY && ssl_wce_hold(s, 1) == SSL_ERR_OKAY);
    connect_to(fd, &listener);
    other = accept_from(&listener);
    CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == 1 && recv(other, &byte, 1, 0) == 1);
    CHECK(send(other, "y", 1, MSG_NOSIGNAL) == 1 && recv(fd, &byte, 1, 0) == 1 && byte == 'y');
    /* On a connected socket a flag is a flag. */
    CHECK(set_code_flags(s, 0) == SSL_ERR_OKAY && set_code_flags(s, SSL_FLAG_DEFER_HANDSHAKE) == SSL_ERR_OKAY);
    CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == 1 && recv(other, &byte, 1, 0) == 1);
    fd = new_socket(way);
    s = secure(fd, way);
    CHECK(set_code_flags(s, SSL_FLAG_DEFER_HANDSHAKE) == SSL_ERR_OKAY);
    CHECK(set_code_flags(s, SSL_FLAG_STRICT) == SSL_ERR_OKAY);
    expect_held(fd, way);
    /* A refused flag changes neither. */
    fd = new_socket(way);
    s = secure(fd, way);
    CHECK(set_code_flags(s, SSL_FLAG_DEFER_HANDSHAKE | 1) == SSL_ERR_INVALID);
    expect_held(fd, way);
}

static void a_deferred_handshake_follows_a_conversation_in_clear(const struct way *way)
{
    static const char go_ahead[] = "220 go ahead\r\n";
    struct listener peer = peer_of(way);
    char line[128];
    int fd = new_socket(way);
    ssl_socket *s = secure(fd, way);
    int length = snprintf(line, sizeof line, "STARTTLS %s\n", peer_ticket());

    CHECK(set_code_flags(s, way->flags | SSL_FLAG_DEFER_HANDSHAKE) == SSL_ERR_OKAY);
    connect_to(fd, &peer);
    send_all(fd, line, (size_t)length);
    CHECK(recv(fd, line, sizeof go_ahead - 1, MSG_WAITALL) == sizeof go_ahead - 1);
    CHECK(perform(s) == SSL_ERR_OKAY);
    echo(fd, s, way);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0);
    peer_saw_only_tls();
}

static void what_was_sent_before_an_immediate_handshake_ends_it(const struct way *way)
{
    struct listener listener = listen_on(family_of(way));
    int fd = new_socket(way);
    ssl_socket *s = secure(fd, way);
    int other;

    CHECK(ssl_wce_hold(s, 0) == SSL_ERR_OKAY);
    connect_to(fd, &listener);
    other = accept_from(&listener);
    CHECK(send(fd, "EHLO x", 6, MSG_NOSIGNAL) == 6);
    CHECK(perform(s) == SSL_ERR_STATE);
    expect_error_text(s, "6 bytes were sent in clear between connect and the handshake");
    expect_error_text(s, "SSL_FLAG_DEFER_HANDSHAKE");
    expect_dead(fd);
    CHECK(close(fd) == 0);
    /* Nothing but that, and no ClientHello. */
    CHECK(read_to_end(other).bytes <= 6);
}

static void the_address_and_the_options_are_kept(const struct way *way)
{
    struct listener bound = listen_on(family_of(way));
    struct listener listener = listen_on(family_of(way));
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    struct timeval limit = {7, 0};
    struct timeval found = {0, 0};
    socklen_t size = sizeof found;
    int on = 1;
    int kept;
    int fd = new_socket(way);
    ssl_socket *s;

    /* The number that it had is free now. */
    CHECK(close(bound.fd) == 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0);
    CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    CHECK(bind(fd, (struct sockaddr *)&bound.address, bound.length) == 0);
    s = secure(fd, way);
    for (int round = 0; round < 3; round++) {
        CHECK(ssl_wce_hold(s, 0) == SSL_ERR_OKAY && ssl_wce_hold(s, 1) == SSL_ERR_OKAY);
    }
    CHECK(ssl_wce_hold(s, 0) == SSL_ERR_OKAY && ssl_wce_hold(s, 0) == SSL_ERR_OKAY);
    connect_to(fd, &listener);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
    CHECK(length == bound.length && memcmp(&address, &bound.address, length) == 0);
    CHECK(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &found, &size) == 0 && found.tv_sec == 7);
    size = sizeof kept;
    CHECK(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &kept, &size) == 0 && kept == 1);
    CHECK(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &kept, &size) == 0 && kept == 1);
}

static void held_again_after_a_refused_connection(const struct way *way)
{
    struct listener nobody = refuse_on(family_of(way));
    struct listener peer = peer_of(way);
    int fd = new_socket(way);
    ssl_socket *s = secure(fd, way);

    CHECK(ssl_wce_hold(s, 0) == SSL_ERR_OKAY);
    CHECK(connect(fd, (struct sockaddr *)&nobody.address, nobody.length) == -1 && errno == ECONNREFUSED);
    CHECK(ssl_wce_hold(s, 1) == SSL_ERR_OKAY);
    CHECK(ssl_wce_hold(s, 0) == SSL_ERR_OKAY);
    connect_to(fd, &peer);
    CHECK(perform(s) == SSL_ERR_OKAY);
    echo(fd, s, way);
    fd = new_socket(way);
    s = secure(fd, way);
    CHECK(ssl_wce_hold(s, 0) == SSL_ERR_OKAY);
    CHECK(connect(fd, (struct sockaddr *)&nobody.address, nobody.length) == -1 && errno == ECONNREFUSED);
    CHECK(ssl_wce_hold(s, 1) == SSL_ERR_OKAY);
    expect_held(fd, way);
}

static void a_connect_that_does_not_wait(const struct way *way)
{
    struct listener nobody = refuse_on(family_of(way));
    struct listener peer = peer_of(way);
    socklen_t size = sizeof(int);
    int error = -1;
    int fd = new_socket(way);
    ssl_socket *s = secure(fd, way);

    set_nonblocking(fd);
    CHECK(ssl_wce_hold(s, 0) == SSL_ERR_OKAY);
    CHECK(connect(fd, (struct sockaddr *)&nobody.address, nobody.length) == -1);
    if (errno == EINPROGRESS) {
        CHECK(await_events(fd, POLLOUT) & POLLOUT);
        CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0);
    } else {
        error = errno;
    }
    CHECK(error == ECONNREFUSED);
    CHECK(ssl_wce_hold(s, 1) == SSL_ERR_OKAY && ssl_wce_hold(s, 0) == SSL_ERR_OKAY);
    if (connect(fd, (struct sockaddr *)&peer.address, peer.length) != 0) {
        CHECK(errno == EINPROGRESS && (await_events(fd, POLLOUT) & POLLOUT));
    }
    CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0);
    CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    CHECK(perform(s) == SSL_ERR_OKAY);
    CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    send_all(fd, "echo\n", 5);
    send_pattern(fd, 1000);
    CHECK(await_events(fd, POLLIN) & POLLIN);
}

/* A listener whose queue is full does not answer. */
static int unanswered(const struct way *way, struct listener *listener)
{
    *listener = refuse_on(family_of(way));
    CHECK(listen(listener->fd, 0) == 0);
    for (int i = 0; i < 16; i++) {
        int fd = new_socket(way);
        struct pollfd entry = {.fd = fd, .events = POLLOUT};
        set_nonblocking(fd);
        if (connect(fd, (struct sockaddr *)&listener->address, listener->length) != 0) {
            CHECK(errno == EINPROGRESS);
            if (poll(&entry, 1, 200) == 0) {
                CHECK(close(fd) == 0);
                return 1;
            }
        }
    }
    return 0;
}

static void holding_takes_back_a_connect_that_is_under_way(const struct way *way)
{
    struct listener silent;
    int fd = new_socket(way);
    ssl_socket *s = secure(fd, way);
    ssl_socket *other = NULL;

    if (!unanswered(way, &silent)) {
        SKIP("every connection is answered here");
    }
    set_nonblocking(fd);
    CHECK(ssl_wce_hold(s, 0) == SSL_ERR_OKAY);
    CHECK(connect(fd, (struct sockaddr *)&silent.address, silent.length) == -1 && errno == EINPROGRESS);
    /* It is neither unconnected nor held now. */
    CHECK(set_code_flags(s, SSL_FLAG_STRICT) == SSL_ERR_OKAY);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(ssl_wce_secure(fd, &other) == SSL_ERR_STATE && other == NULL);
    expect_error_text(NULL, "is connected already, or about to be");
    CHECK(close(fd) == 0);
    fd = new_socket(way);
    s = secure(fd, way);
    CHECK(ssl_wce_hold(s, 0) == SSL_ERR_OKAY);
    set_nonblocking(fd);
    CHECK(connect(fd, (struct sockaddr *)&silent.address, silent.length) == -1 && errno == EINPROGRESS);
    CHECK(ssl_wce_hold(s, 1) == SSL_ERR_OKAY);
    CHECK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) == 0);
    expect_held(fd, way);
}

static void what_cannot_be_made_secure(const struct way *way)
{
    struct listener listener = listen_on(AF_INET);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int datagram = socket(AF_INET, SOCK_DGRAM, 0);
    int local = socket(AF_UNIX, SOCK_STREAM, 0);
    int ends[2];
    ssl_socket *none = NULL;
    ssl_socket *s;

    (void)way;
    CHECK(pipe(ends) == 0);
    CHECK(ssl_wce_secure(-1, &none) == SSL_ERR_INVALID);
    CHECK(ssl_wce_secure(999, &none) == SSL_ERR_INVALID);
    CHECK(ssl_wce_secure(ends[0], &none) == SSL_ERR_INVALID);
    CHECK(ssl_wce_secure(datagram, &none) == SSL_ERR_INVALID);
    CHECK(ssl_wce_secure(listener.fd, &none) == SSL_ERR_INVALID);
    CHECK(ssl_wce_secure(local, &none) == SSL_ERR_INVALID);
    expect_error_text(NULL, "only TCP sockets can be made secure");
    CHECK(ssl_wce_secure(fd, NULL) == SSL_ERR_INVALID);
    /* None of it has held anything or left a handle. */
    connect_to(fd, &listener);
    CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == 1);
    CHECK(ssl_wce_secure(fd, &none) == SSL_ERR_STATE);
    expect_error_text(NULL, "is connected already");
    CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == 1);
    CHECK(none == NULL && ssl_socket_from_fd(fd, &none) == SSL_ERR_BAD_HANDLE);
    /* One at a time. */
    fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(ssl_wce_secure(fd, &s) == SSL_ERR_OKAY && ssl_wce_secure(fd, &none) == SSL_ERR_STATE);
    CHECK(ssl_socket_new(fd) == NULL && ssl_get_error(NULL) == SSL_ERR_STATE);
    CHECK(ssl_socket_from_fd(fd, &none) == SSL_ERR_OKAY && none == s);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && ssl_wce_secure(fd, &s) == SSL_ERR_OKAY);
}

static void holding_where_it_makes_no_sense(const struct way *way)
{
    static const int32_t wrong[] = {-1, 2, INT32_MIN, INT32_MAX};
    struct listener listener = listen_on(AF_INET);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int plain = socket(AF_INET, SOCK_STREAM, 0);
    ssl_socket *s = secure(fd, usual_way);
    ssl_socket *other = ssl_socket_new(plain);

    (void)way;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK(ssl_wce_hold(s, wrong[i]) == SSL_ERR_INVALID);
    }
    CHECK(ssl_wce_hold(NULL, 0) == SSL_ERR_BAD_HANDLE);
    CHECK(ssl_wce_hold((ssl_socket *)(uintptr_t)77, 1) == SSL_ERR_BAD_HANDLE);
    CHECK(ssl_wce_hold(ssl_defaults(), 1) == SSL_ERR_STATE);
    CHECK(ssl_wce_hold(other, 0) == SSL_ERR_STATE && ssl_wce_hold(other, 1) == SSL_ERR_STATE);
    connect_to(plain, &listener);
    CHECK(send(plain, "x", 1, MSG_NOSIGNAL) == 1);
    /* Connected as it should be: there is nothing to hold any more. */
    fd = socket(AF_INET, SOCK_STREAM, 0);
    s = secure(fd, usual_way);
    CHECK(ssl_wce_hold(s, 0) == SSL_ERR_OKAY);
    connect_to(fd, &listener);
    CHECK(ssl_wce_hold(s, 1) == SSL_ERR_STATE);
    CHECK(ssl_wce_hold(s, 0) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0);
    CHECK(ssl_wce_hold(s, 1) == SSL_ERR_STATE);
}

static void the_defaults_may_say_that_handshakes_are_deferred(const struct way *way)
{
    struct listener listener = listen_on(AF_INET);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ssl_socket *s;

    (void)way;
    CHECK(ssl_set_flags(ssl_defaults(), SSL_FLAG_DEFER_HANDSHAKE) == SSL_ERR_OKAY);
    CHECK(ssl_wce_secure(fd, &s) == SSL_ERR_OKAY);
    connect_to(fd, &listener);
    CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == 1);
}

static void parents_handles_are_refused_in_a_child(const struct way *way)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ssl_socket *s = secure(fd, usual_way);
    int status = 0;
    pid_t child;

    (void)way;
    child = quiet_fork();
    if (child == 0) {
        CHECK(ssl_wce_hold(s, 0) == SSL_ERR_FORKED);
        expect_held(fd, usual_way);
        _exit(0);
    }
    CHECK(close(fd) == 0);
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"nothing_is_sent_or_received_on_a_held_socket", nothing_is_sent_or_received_on_a_held_socket, families, 0},
        {"a_freed_handle_does_not_let_go", a_freed_handle_does_not_let_go, families, 0},
        {"a_handshake_on_a_held_socket_fails", a_handshake_on_a_held_socket_fails, families, 0},
        {"a_handshake_before_connect_lets_nobody_connect",
         a_handshake_before_connect_lets_nobody_connect, families, 0},
        {"shut_down_it_is_not_connected_either", shut_down_it_is_not_connected_either, families, 0},
        {"another_process_is_held_too", another_process_is_held_too, families, 0},
        {"let_go_and_connected_it_speaks_tls", let_go_and_connected_it_speaks_tls, secure_ways, 0},
        {"through_a_duplicate_too", through_a_duplicate_too, families, 0},
        {"connected_by_the_library_it_speaks_tls", connected_by_the_library_it_speaks_tls, secure_ways, 0},
        {"deferring_lets_go_and_taking_that_back_holds", deferring_lets_go_and_taking_that_back_holds, families, 0},
        {"a_deferred_handshake_follows_a_conversation_in_clear",
         a_deferred_handshake_follows_a_conversation_in_clear, secure_ways, 0},
        {"what_was_sent_before_an_immediate_handshake_ends_it",
         what_was_sent_before_an_immediate_handshake_ends_it, secure_ways, 0},
        {"the_address_and_the_options_are_kept", the_address_and_the_options_are_kept, families, 0},
        {"held_again_after_a_refused_connection", held_again_after_a_refused_connection, families, 0},
        {"a_connect_that_does_not_wait", a_connect_that_does_not_wait, families, 0},
        {"holding_takes_back_a_connect_that_is_under_way", holding_takes_back_a_connect_that_is_under_way, families, 0},
        {"what_cannot_be_made_secure", what_cannot_be_made_secure, NULL, 0},
        {"holding_where_it_makes_no_sense", holding_where_it_makes_no_sense, NULL, 0},
        {"the_defaults_may_say_that_handshakes_are_deferred",
         the_defaults_may_say_that_handshakes_are_deferred, NULL, 0},
        {"parents_handles_are_refused_in_a_child", parents_handles_are_refused_in_a_child, NULL, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
