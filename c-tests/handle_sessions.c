/*
 * What a program can get wrong when it has one connection resume another's session, and who has sessions: not a child.
 *
 * Meant for AddressSanitizer too, as handle.c.
 */
#define _GNU_SOURCE

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/peer.h"
#include "common/process.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

/* An upgraded connection that has heard its peer, behind whose words no session can be on its way. */
static ssl_socket *conversation(const struct way *way, int *fd)
{
    ssl_socket *s;

    *fd = peer_connect(way->peer);
    s = upgrade_to_peer(*fd, way, "echo");
    say_pattern(*fd, s, way, 1000, 0);
    receive_through(s, *fd, way, 1000, 0);
    return s;
}

static int resumed(ssl_socket *s)
{
    ssl_session_info info = {.size = sizeof info};

    CHECK(ssl_get_session_info(s, &info) == SSL_ERR_OKAY);
    return info.resumed != 0;
}

static ssl_socket *plain_handle(int fd)
{
    ssl_socket *s = ssl_socket_new(fd);

    CHECK(s != NULL);
    return s;
}

static void expect_refused(ssl_socket *s, ssl_socket *other, int32_t code, const char *text)
{
    CHECK(ssl_set_session_from(s, other) == code);
    expect_error_text(NULL, text);
}

static void only_a_client_whose_handshake_is_complete_is_resumed(const struct way *way)
{
    int fd, ends[2], others[2];
    ssl_socket *open = conversation(way, &fd), *s, *other, *settings = ssl_settings_new();

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, others) == 0);
    s = plain_handle(ends[0]);
    other = plain_handle(others[0]);
    CHECK(settings != NULL);

    expect_refused(NULL, open, SSL_ERR_BAD_HANDLE, "handle");
    expect_refused((ssl_socket *)(uintptr_t)0x7fff5a5a5a5a, open, SSL_ERR_BAD_HANDLE, "handle");
    expect_refused(s, (ssl_socket *)(uintptr_t)0x7fff5a5a5a5a, SSL_ERR_BAD_HANDLE, "`other`");
    expect_refused(s, s, SSL_ERR_STATE, "has not completed a handshake");
    expect_refused(s, other, SSL_ERR_STATE, "has not completed a handshake");
    expect_refused(s, settings, SSL_ERR_STATE, "has no connection");
    expect_refused(s, ssl_defaults(), SSL_ERR_STATE, "has no connection");
    expect_refused(settings, open, SSL_ERR_STATE, "settings only");
    expect_refused(ssl_defaults(), open, SSL_ERR_STATE, "settings only");
    expect_refused(open, open, SSL_ERR_STATE, "before the handshake");
    CHECK(ssl_socket_free(other) == SSL_ERR_OKAY);
    expect_refused(s, other, SSL_ERR_BAD_HANDLE, "`other`");

    CHECK(ssl_set_session_from(s, NULL) == SSL_ERR_OKAY);
    CHECK(ssl_set_session_from(s, open) == SSL_ERR_OKAY);
    CHECK(ssl_set_session_from(s, open) == SSL_ERR_OKAY);
    CHECK(ssl_set_session_from(s, NULL) == SSL_ERR_OKAY);

    CHECK(ssl_set_peername(s, "elsewhere.test") == SSL_ERR_OKAY);
    expect_refused(s, open, SSL_ERR_INVALID, "two different peer names");
    CHECK(ssl_set_peername(s, "localhost") == SSL_ERR_OKAY);
    CHECK(ssl_set_session_from(s, open) == SSL_ERR_OKAY);

    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && ssl_socket_free(settings) == SSL_ERR_OKAY);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0 && close(others[0]) == 0 && close(others[1]) == 0);
    CHECK(ssl_socket_free(open) == SSL_ERR_OKAY && close(fd) == 0);
}

static void flags_that_contradict_each_other(const struct way *way)
{
    int ends[2];
    ssl_socket *s;
    uint32_t flags = 0;

    (void)way;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    s = plain_handle(ends[0]);
    CHECK(ssl_set_flags(s, SSL_FLAG_REQUIRE_RESUMPTION) == SSL_ERR_OKAY);
    CHECK(ssl_set_flags(s, SSL_FLAG_REQUIRE_RESUMPTION | SSL_FLAG_NO_RESUMPTION) == SSL_ERR_INVALID);
    CHECK(ssl_set_flags(s, SSL_FLAG_REQUIRE_RESUMPTION | SSL_FLAG_SERVER) == SSL_ERR_INVALID);
    CHECK(ssl_get_flags(s, &flags) == SSL_ERR_OKAY && flags == SSL_FLAG_REQUIRE_RESUMPTION);
    CHECK(ssl_set_flags(s, SSL_FLAG_NO_RESUMPTION | SSL_FLAG_SERVER) == SSL_ERR_OKAY);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void a_child_has_none_of_its_parents_sessions(const struct way *way)
{
    int fd, next_fd;
    ssl_socket *s = conversation(way, &fd), *next = conversation(way, &next_fd);
    pid_t child;

    CHECK(!resumed(s) && resumed(next));
    child = quiet_fork();
    if (child == 0) {
        int ends[2], own_fd;
        ssl_socket *own;

        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        expect_refused(plain_handle(ends[0]), next, SSL_ERR_FORKED, "`other`");
        CHECK(!resumed(conversation(way, &own_fd)));
        own = conversation(way, &own_fd);
        CHECK(resumed(own));
        CHECK(ssl_socket_free(own) == SSL_ERR_OKAY);
        // Not by exit, where what other threads of the parent have allocated would count as lost.
        _exit(EXIT_SUCCESS);
    }
    expect_success(child);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0);
    CHECK(ssl_socket_free(next) == SSL_ERR_OKAY && close(next_fd) == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"only_a_client_whose_handshake_is_complete_is_resumed", only_a_client_whose_handshake_is_complete_is_resumed,
         each_mode, 0},
        {"flags_that_contradict_each_other", flags_that_contradict_each_other, NULL, 0},
        {"a_child_has_none_of_its_parents_sessions", a_child_has_none_of_its_parents_sessions, each_mode, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
