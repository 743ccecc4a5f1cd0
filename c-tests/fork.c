/* Children: what a process that forks, and what it forks, can do with an upgraded connection. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/peer.h"
#include "common/process.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

extern char **environ;

/* A multiple of the pattern's length, so that what one process sends goes on where another ended. */
#define PIECE 251000

static void a_child_can_open_connections(const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = upgrade_to_peer(fd, way, "echo");

    for (int round = 0; round < 3; round++) {
        pid_t child = quiet_fork();
        if (child == 0) {
            pid_t grandchild;
            echo_with_peer(way, 10000);
            grandchild = quiet_fork();
            if (grandchild == 0) {
                echo_with_peer(way, 10000);
                exit(EXIT_SUCCESS);
            }
            expect_success(grandchild);
            echo_with_peer(way, 10000);
            exit(EXIT_SUCCESS);
        }
        expect_success(child);
        CHECK(ssl_send(s, "still there", 11, 0) == 11);
        char answer[11];
        CHECK(ssl_recv(s, answer, 11, MSG_WAITALL) == 11 && memcmp(answer, "still there", 11) == 0);
    }
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0);
}

static void a_child_that_ends_leaves_the_parent_alone(const struct way *way)
{
    int fd = peer_connect(way->peer);
    pid_t child;

    CHECK(ssl_socket_free(upgrade_to_peer(fd, way, "sink %s", peer_ticket())) == SSL_ERR_OKAY);
    child = quiet_fork();
    if (child == 0) {
        close(fd);
        exit(EXIT_SUCCESS);
    }
    expect_success(child);
    sleep_ms(50);
    send_pattern(fd, 1000);
    CHECK(close(fd) == 0);
    peer_got(1000);
}

static void a_child_may_use_the_descriptor_while_the_parent_lives(const struct way *way)
{
    int fd = peer_connect(way->peer);
    pid_t child;

    CHECK(ssl_socket_free(upgrade_to_peer(fd, way, "echo")) == SSL_ERR_OKAY);
    child = quiet_fork();
    if (child == 0) {
        send_pattern(fd, 1000);
        receive_pattern(fd, 1000, 0);
        _exit(EXIT_SUCCESS);
    }
    expect_success(child);
    send_pattern(fd, 1000);
    receive_pattern(fd, 1000, 0);
    CHECK(close(fd) == 0);
}

static void a_child_sees_the_end_when_the_parent_dies(const struct way *way)
{
    int fd = peer_connect(way->peer);
    int pipe_ends[2];
    char byte;
    pid_t parent;

    CHECK(pipe(pipe_ends) == 0);
    parent = quiet_fork();
    if (parent == 0) {
        pid_t child;
        CHECK(ssl_socket_free(upgrade_to_peer(fd, way, "echo")) == SSL_ERR_OKAY);
        child = quiet_fork();
        if (child == 0) {
            char seen = 'x';
            await_events(fd, POLLIN);
            seen = recv(fd, &byte, 1, 0) <= 0 ? 'e' : 'd';
            _exit(write(pipe_ends[1], &seen, 1) == 1 ? 0 : 1);
        }
        sleep_ms(50);
        _exit(EXIT_SUCCESS);
    }
    close(pipe_ends[1]);
    expect_success(parent);
    await_events(pipe_ends[0], POLLIN);
    CHECK(read(pipe_ends[0], &byte, 1) == 1 && byte == 'e');
}

static void the_child_has_the_descriptor_when_the_parent_has_closed_it(const struct way *way)
{
    int fd = peer_connect(way->peer);
    int go[2];
    char byte = 'g';
    pid_t child;

    CHECK(pipe(go) == 0);
    CHECK(ssl_socket_free(upgrade_to_peer(fd, way, "sink %s", peer_ticket())) == SSL_ERR_OKAY);
    child = quiet_fork();
    if (child == 0) {
        CHECK(read(go[0], &byte, 1) == 1);
        send_pattern(fd, PIECE);
        CHECK(close(fd) == 0);
        exit(EXIT_SUCCESS);
    }
    send_pattern(fd, PIECE);
    CHECK(close(fd) == 0);
    CHECK(write(go[1], &byte, 1) == 1);
    expect_success(child);
    /* With close_notify, which the parent says for both. */
    peer_got(2 * (size_t)PIECE);
}

static void child_of_a_parent_that_ends(int fd, int report)
{
    char seen = 'd';
    int failed = 0;

    await_events(fd, POLLIN);
    if (recv(fd, &seen, 1, 0) <= 0) {
        for (int tries = 0; tries < 10000 && !failed; tries++) {
            failed = send(fd, "x", 1, MSG_NOSIGNAL) < 0 && (errno == EPIPE || errno == ECONNRESET);
            sleep_ms(failed ? 0 : 1);
        }
        seen = failed ? 'e' : 's';
    }
    exit(write(report, &seen, 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* What the parent had sent arrives, and the child sees the end in both directions. */
static void the_parent_exits_first(const struct way *way)
{
    int report[2];
    char seen;
    pid_t parent;

    CHECK(pipe(report) == 0);
    peer_ticket();
    parent = quiet_fork();
    if (parent == 0) {
        int fd = peer_connect(way->peer);
        CHECK(ssl_socket_free(upgrade_to_peer(fd, way, "sink %s 50", peer_ticket())) == SSL_ERR_OKAY);
        if (quiet_fork() == 0) {
            child_of_a_parent_that_ends(fd, report[1]);
        }
        send_pattern(fd, PIECE);
        exit(EXIT_SUCCESS);
    }
    expect_success(parent);
    peer_got(PIECE);
    await_events(report[0], POLLIN);
    CHECK(read(report[0], &seen, 1) == 1);
    if (seen != 'e') {
        FAIL("the child %s", seen == 's' ? "can go on sending" : "received a byte");
    }
}

/* Every call that could say something to the peer. */
static void use_inherited_handle(int fd, ssl_socket *s)
{
    char byte = 'x';
    size_t pending;
    uint32_t unfinished = 99;

    errno = 0;
    CHECK(ssl_send(s, &byte, 1, 0) == -1 && errno == EPROTO);
    CHECK(ssl_get_error(NULL) == SSL_ERR_FORKED);
    errno = 0;
    CHECK(ssl_send(s, &byte, 0, 0) == -1 && errno == EPROTO);
    errno = 0;
    CHECK(ssl_recv(s, &byte, 1, MSG_DONTWAIT) == -1 && errno == EPROTO);
    CHECK(ssl_pending(s, &pending) == SSL_ERR_FORKED);
    CHECK(ssl_perform_handshake(s, "localhost") == SSL_ERR_FORKED);
    CHECK(ssl_shutdown(s, SHUT_WR) == SSL_ERR_FORKED && ssl_shutdown(s, SHUT_RDWR) == SSL_ERR_FORKED);
    CHECK(ssl_socket_free(s) == SSL_ERR_FORKED && ssl_socket_free(s) == SSL_ERR_FORKED);
    CHECK(ssl_flush_all(1000, &unfinished) == SSL_ERR_OKAY && unfinished == 0);
    CHECK(close(fd) == 0);
}

static void nothing_of_an_inherited_handle_reaches_the_peer(const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = upgrade_to_peer(fd, way, "sink %s", peer_ticket());
    size_t sent = 0;

    for (int round = 0; round < 3; round++) {
        pid_t child;
        say_pattern(fd, s, way, PIECE, sent);
        sent += PIECE;
        child = quiet_fork();
        if (child == 0) {
            /* Below this a child of the child, with exit handlers of both. */
            pid_t grandchild = round > 0 ? quiet_fork() : 0;
            use_inherited_handle(fd, s);
            if (grandchild > 0) {
                expect_success(grandchild);
            }
            exit(EXIT_SUCCESS);
        }
        expect_success(child);
    }
    say_pattern(fd, s, way, PIECE, sent);
    sent += PIECE;
    CHECK(ssl_get_error(s) == SSL_ERR_OKAY);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0);
    peer_got(sent);
}

/* Twenty waits for the parent's data would not be over in time. */
static void children_do_not_wait_for_what_their_parent_has_sent(const struct way *way)
{
    static const unsigned char block[65536];
    int fd = peer_connect(way->peer);
    ssl_socket *s = upgrade_to_peer(fd, way, "hold");
    size_t sent = 0;

    for (;;) {
        ptrdiff_t count = ssl_send(s, block, sizeof block, MSG_DONTWAIT);
        if (count < 0) {
            CHECK(errno == EAGAIN);
            break;
        }
        sent += (size_t)count;
    }
    CHECK(sent > 100000);
    for (int round = 0; round < 20; round++) {
        pid_t child = quiet_fork();
        if (child == 0) {
            exit(EXIT_SUCCESS);
        }
        expect_success(child);
    }
    CHECK(ssl_get_error(s) == SSL_ERR_WANT_WRITE);
    _exit(EXIT_SUCCESS);
}

static void what_a_child_sent_itself_leaves_at_its_exit(const struct way *way)
{
    int fd = peer_connect(way->peer);
    pid_t child;

    peer_ticket();
    CHECK(ssl_socket_free(upgrade_to_peer(fd, way, "echo")) == SSL_ERR_OKAY);
    child = quiet_fork();
    if (child == 0) {
        int own = peer_connect(way->peer);
        CHECK(ssl_socket_free(upgrade_to_peer(own, way, "sink %s 50", peer_ticket())) == SSL_ERR_OKAY);
        send_pattern(own, 4 * (size_t)PIECE);
        exit(EXIT_SUCCESS);
    }
    expect_success(child);
    peer_got(4 * (size_t)PIECE);
    send_pattern(fd, 1000);
    receive_pattern(fd, 1000, 0);
    CHECK(close(fd) == 0);
}

/* As a daemon does it: the child ends, its child stays. */
static void a_grandchild_may_use_the_descriptor_while_the_first_process_lives(const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = upgrade_to_peer(fd, way, "echo");
    int report[2];
    char seen;
    pid_t child;

    CHECK(pipe(report) == 0);
    child = quiet_fork();
    if (child == 0) {
        if (quiet_fork() == 0) {
            send_pattern(fd, PIECE);
            receive_pattern(fd, PIECE, 0);
            use_inherited_handle(fd, s);
            exit(write(report[1], "k", 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
        }
        exit(EXIT_SUCCESS);
    }
    expect_success(child);
    close(report[1]);
    await_events(report[0], POLLIN);
    CHECK(read(report[0], &seen, 1) == 1 && seen == 'k');
    send_pattern(fd, 1000);
    receive_pattern(fd, 1000, 0);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0);
}

#ifndef __SANITIZE_ADDRESS__
static volatile int stopping;

static void *keep_opening(void *argument)
{
    while (!stopping) {
        echo_with_peer(argument, 1000);
    }
    return NULL;
}

static void forks_while_threads_open_connections(const struct way *way)
{
    pthread_t threads[2];

    for (size_t i = 0; i < 2; i++) {
        CHECK(pthread_create(&threads[i], NULL, keep_opening, (void *)(uintptr_t)way) == 0);
    }
    for (int round = 0; round < 60; round++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            echo_with_peer(way, 1000);
            _exit(EXIT_SUCCESS);
        }
        expect_success(child);
    }
    stopping = 1;
    for (size_t i = 0; i < 2; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

struct sender {
    const struct way *way;
    int fd;
    ssl_socket *s;
    size_t bytes;
};

static volatile int sent_all;

static void *send_in_thread(void *argument)
{
    const struct sender *sender = argument;

    say_pattern(sender->fd, sender->s, sender->way, sender->bytes, 0);
    sent_all = 1;
    return NULL;
}

static void forks_in_mid_send_lose_nothing(const struct way *way)
{
    struct sender sender = {way, peer_connect(way->peer), NULL, 200 * (size_t)PIECE};
    pthread_t thread;
    int children = 0;

    sender.s = upgrade_to_peer(sender.fd, way, "sink %s 100", peer_ticket());
    CHECK(pthread_create(&thread, NULL, send_in_thread, &sender) == 0);
    while (!sent_all) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            if (children % 3 == 0) {
                use_inherited_handle(sender.fd, sender.s);
            }
            if (children % 3 == 1) {
                _exit(EXIT_SUCCESS);
            }
            exit(EXIT_SUCCESS);
        }
        expect_success(child);
        children++;
    }
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(children > 0);
    CHECK(ssl_socket_free(sender.s) == SSL_ERR_OKAY);
    CHECK(close(sender.fd) == 0);
    peer_got(sender.bytes);
}
#endif

/* Starts a program with the descriptor (if it is one) as its input and output. */
typedef pid_t (*launcher)(char *const *command, int fd);

static void become(char *const *command, int fd)
{
    if (fd >= 0) {
        dup2(fd, 0);
        dup2(fd, 1);
        close(fd);
    }
    execvp(command[0], command);
    _exit(127);
}

static pid_t launch_by_fork(char *const *command, int fd)
{
    pid_t child = quiet_fork();

    if (child == 0) {
        become(command, fd);
    }
    return child;
}

static pid_t launch_by_vfork(char *const *command, int fd)
{
    pid_t child = vfork();

    if (child == 0) {
        become(command, fd);
    }
    return child;
}

static pid_t launch_by_spawn(char *const *command, int fd)
{
    posix_spawn_file_actions_t actions;
    pid_t child;

    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    if (fd >= 0) {
        CHECK(posix_spawn_file_actions_adddup2(&actions, fd, 0) == 0);
        CHECK(posix_spawn_file_actions_adddup2(&actions, fd, 1) == 0);
        CHECK(posix_spawn_file_actions_addclose(&actions, fd) == 0);
    }
    CHECK(posix_spawnp(&child, command[0], &actions, NULL, command, environ) == 0);
    CHECK(posix_spawn_file_actions_destroy(&actions) == 0);
    return child;
}

/* The peer's bytes come back through cat, and cat ends when the peer has. */
static void through_cat(const struct way *way, launcher launch, int keep)
{
    static char *const command[] = {"cat", NULL};
    int fd = peer_connect(way->peer);
    pid_t child;

    CHECK(ssl_socket_free(upgrade_to_peer(fd, way, "mirror %s 200000", peer_ticket())) == SSL_ERR_OKAY);
    child = launch(command, fd);
    if (!keep) {
        CHECK(close(fd) == 0);
    }
    expect_success(child);
    if (keep) {
        expect_end(fd);
        CHECK(close(fd) == 0);
    }
    peer_got(200000);
}

static void cat_speaks_tls_through_the_descriptor(const struct way *way)
{
    through_cat(way, launch_by_fork, 1);
}

static void cat_alone_has_the_descriptor(const struct way *way)
{
    through_cat(way, launch_by_fork, 0);
}

static void cat_after_vfork(const struct way *way)
{
    through_cat(way, launch_by_vfork, 0);
}

static void cat_by_posix_spawn(const struct way *way)
{
    through_cat(way, launch_by_spawn, 0);
}

/* The program that is started finds as many sockets as are its due. */
static void find_after_exec(const struct way *way, launcher launch)
{
    char *const none[] = {"/proc/self/exe", "--sockets", "0", NULL};
    char *const one[] = {"/proc/self/exe", "--sockets", "1", NULL};
    int fd = peer_connect(way->peer);
    ssl_socket *s = upgrade_to_peer(fd, way, "echo");

    expect_success(launch(one, -1));
    CHECK(fcntl(fd, F_SETFD, FD_CLOEXEC) == 0);
    expect_success(launch(none, -1));
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0);
}

static void exec_leaks_no_descriptor(const struct way *way)
{
    find_after_exec(way, launch_by_fork);
}

static void exec_after_vfork_leaks_no_descriptor(const struct way *way)
{
    find_after_exec(way, launch_by_vfork);
}

static void posix_spawn_leaks_no_descriptor(const struct way *way)
{
    find_after_exec(way, launch_by_spawn);
}

static void exec_without_fork_leaks_no_descriptor(const struct way *way)
{
    int fd = peer_connect(way->peer);

    CHECK(fcntl(fd, F_SETFD, FD_CLOEXEC) == 0);
    CHECK(upgrade_to_peer(fd, way, "echo") != NULL);
    execl("/proc/self/exe", "fork", "--sockets", "0", (char *)NULL);
    FAIL("execl: %s", strerror(errno));
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"a_child_can_open_connections", a_child_can_open_connections, each_mode, 0},
        {"a_child_that_ends_leaves_the_parent_alone", a_child_that_ends_leaves_the_parent_alone, transparent_ways, 0},
        {"a_child_may_use_the_descriptor_while_the_parent_lives", a_child_may_use_the_descriptor_while_the_parent_lives,
         transparent_ways, 0},
        {"a_child_sees_the_end_when_the_parent_dies", a_child_sees_the_end_when_the_parent_dies, transparent_ways, 0},
        {"the_child_has_the_descriptor_when_the_parent_has_closed_it",
         the_child_has_the_descriptor_when_the_parent_has_closed_it, transparent_ways, 0},
        {"the_parent_exits_first", the_parent_exits_first, transparent_ways, 0},
        {"nothing_of_an_inherited_handle_reaches_the_peer",
         nothing_of_an_inherited_handle_reaches_the_peer, each_mode, 0},
        {"children_do_not_wait_for_what_their_parent_has_sent", children_do_not_wait_for_what_their_parent_has_sent,
         each_mode, 0},
        {"what_a_child_sent_itself_leaves_at_its_exit",
         what_a_child_sent_itself_leaves_at_its_exit, transparent_ways, 0},
        {"a_grandchild_may_use_the_descriptor_while_the_first_process_lives",
         a_grandchild_may_use_the_descriptor_while_the_first_process_lives, transparent_ways, 0},
#ifndef __SANITIZE_ADDRESS__
        /* AddressSanitizer's allocator stays locked in a child if another thread was in it. */
        {"forks_while_threads_open_connections", forks_while_threads_open_connections, each_mode, 0},
        {"forks_in_mid_send_lose_nothing", forks_in_mid_send_lose_nothing, each_mode, 0},
#endif
        {"cat_speaks_tls_through_the_descriptor", cat_speaks_tls_through_the_descriptor, transparent_ways, 0},
        {"cat_alone_has_the_descriptor", cat_alone_has_the_descriptor, transparent_ways, 0},
        {"cat_after_vfork", cat_after_vfork, transparent_ways, 0},
        {"cat_by_posix_spawn", cat_by_posix_spawn, transparent_ways, 0},
        {"exec_leaks_no_descriptor", exec_leaks_no_descriptor, each_mode, 0},
        {"exec_after_vfork_leaks_no_descriptor", exec_after_vfork_leaks_no_descriptor, each_mode, 0},
        {"posix_spawn_leaks_no_descriptor", posix_spawn_leaks_no_descriptor, each_mode, 0},
        {"exec_without_fork_leaks_no_descriptor", exec_without_fork_leaks_no_descriptor, each_mode, 0},
        {NULL, NULL, NULL, 0},
    };

    if (argc == 3 && strcmp(argv[1], "--sockets") == 0) {
        return sockets_open() == atoi(argv[2]) ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    return run_tests(argc, argv, tests);
}
