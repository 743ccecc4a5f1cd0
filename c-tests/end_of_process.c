/* The end of the process: what was sent arrives, and ends cleanly. */
#define _GNU_SOURCE

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

#define MEGABYTE (1024 * 1024)

/* The peer begins to read when the sender is likely to have gone. */
#define LATE 50

/* Runs `body` in a process of its own, which has to end with status 0. */
static void in_process(const struct way *way, void (*body)(const struct way *way))
{
    int status = 0;
    pid_t child;

    /* Its ticket has to be ours. */
    peer_ticket();
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(50);
        body(way);
        _exit(99);
    }
    CHECK(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        FAIL("the sender ended with status %#x", (unsigned)status);
    }
}

static int sender(const struct way *way)
{
    int fd = peer_connect(way->peer);

    CHECK(ssl_socket_free(upgrade_to_peer(fd, way, "sink %s %d", peer_ticket(), LATE)) == SSL_ERR_OKAY);
    return fd;
}

static void send_and_exit(const struct way *way)
{
    send_pattern(sender(way), MEGABYTE);
    exit(EXIT_SUCCESS);
}

static void exit_delivers(const struct way *way)
{
    in_process(way, send_and_exit);
    peer_got(MEGABYTE);
}

static void send_close_and_exit(const struct way *way)
{
    int fd = sender(way);

    send_pattern(fd, MEGABYTE);
    CHECK(close(fd) == 0);
    exit(EXIT_SUCCESS);
}

static void exit_after_close_delivers(const struct way *way)
{
    in_process(way, send_close_and_exit);
    peer_got(MEGABYTE);
}

static void *wait_for_ever(void *argument)
{
    while (pause() != 0) {
    }
    return argument;
}

static void send_and_exit_beside_a_thread(const struct way *way)
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
    send_pattern(sender(way), MEGABYTE);
    exit(EXIT_SUCCESS);
}

static void exit_beside_a_running_thread_delivers(const struct way *way)
{
    in_process(way, send_and_exit_beside_a_thread);
    peer_got(MEGABYTE);
}

/* After a ping-pong the kernel may hold the last bytes back for an acknowledgement. */
static void talk_and_exit(const struct way *way)
{
    int fd = peer_connect(way->peer);

    CHECK(ssl_socket_free(upgrade_to_peer(fd, way, "pingpong %s 10", peer_ticket())) == SSL_ERR_OKAY);
    for (size_t exchange = 0; exchange < 10; exchange++) {
        unsigned char bytes[10];
        pattern_fill(bytes, sizeof bytes, exchange);
        send_all(fd, bytes, sizeof bytes);
        receive_pattern(fd, sizeof bytes, exchange);
    }
    send_all(fd, "QUIT\r\n", 6);
    exit(EXIT_SUCCESS);
}

static void the_last_few_bytes_leave_at_exit(const struct way *way)
{
    for (int round = 0; round < rounds(20, 100); round++) {
        struct seen seen;
        in_process(way, talk_and_exit);
        seen = peer_result();
        if (seen.bytes != 6 || strcmp(seen.end, "QUIT, close_notify") != 0) {
            FAIL("round %d: %zu bytes arrived: %s", round + 1, seen.bytes, seen.end);
        }
    }
}

/* What a child has sent, for the parent to see. */
static size_t *shared_count(void)
{
    static size_t *count;

    if (count == NULL) {
        count = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        CHECK(count != MAP_FAILED);
    }
    return count;
}

/* Until the kernel takes no more, so that the last of it waits inside the library. */
static ssl_socket *fill_explicitly(const struct way *way)
{
    static unsigned char block[64 * 251];
    int fd = peer_connect(way->peer);
    ssl_socket *s = upgrade_to_peer(fd, way, "sink %s %d", peer_ticket(), LATE);
    ptrdiff_t count;

    pattern_fill(block, sizeof block, 0);
    set_nonblocking(fd);
    while ((count = ssl_send(s, block + *shared_count() % 251, sizeof block - 251, 0)) > 0) {
        *shared_count() += (size_t)count;
    }
    CHECK(count < 0 && errno == EAGAIN);
    return s;
}

static void fill_explicitly_and_exit(const struct way *way)
{
    fill_explicitly(way);
    exit(EXIT_SUCCESS);
}

static void fill_explicitly_free_and_exit(const struct way *way)
{
    CHECK(ssl_socket_free(fill_explicitly(way)) == SSL_ERR_OKAY);
    exit(EXIT_SUCCESS);
}

static void an_explicit_session_that_was_freed_delivers_at_exit(const struct way *way)
{
    *shared_count() = 0;
    in_process(way, fill_explicitly_free_and_exit);
    CHECK(*shared_count() > 0);
    peer_got(*shared_count());
}

static void an_explicit_session_delivers_and_ends_at_exit(const struct way *way)
{
    *shared_count() = 0;
    in_process(way, fill_explicitly_and_exit);
    CHECK(*shared_count() > 0);
    peer_got(*shared_count());
}

/* SIGPIPE is at its default here: it would end the process in the middle of its end. */
static void *send_for_ever(void *argument)
{
    static unsigned char block[10 * 251];
    const int *fd = argument;
    size_t sent = 0;
    ssize_t count;

    pattern_fill(block, sizeof block, 0);
    while ((count = send(*fd, block + sent % 251, sizeof block - 251, 0)) > 0) {
        sent = __atomic_add_fetch(shared_count(), (size_t)count, __ATOMIC_RELAXED);
    }
    while (pause() != 0) {
    }
    return NULL;
}

static void exit_beside_a_sender(const struct way *way, int late)
{
    int fd = peer_connect(way->peer);
    pthread_t thread;

    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    CHECK(ssl_socket_free(upgrade_to_peer(fd, way, "sink %s %d", peer_ticket(), late)) == SSL_ERR_OKAY);
    CHECK(pthread_create(&thread, NULL, send_for_ever, &fd) == 0);
    while (__atomic_load_n(shared_count(), __ATOMIC_RELAXED) < MEGABYTE) {
        sched_yield();
    }
    exit(EXIT_SUCCESS);
}

static void exit_beside_a_sender_at_full_speed(const struct way *way)
{
    exit_beside_a_sender(way, 0);
}

static void exit_beside_a_blocked_sender(const struct way *way)
{
    exit_beside_a_sender(way, 300);
}

/* What a thread goes on sending while the process ends cannot be told from what it sent before; so much is certain. */
static void deliver_what_was_counted(const struct way *way, void (*body)(const struct way *way))
{
    struct seen seen;

    *shared_count() = 0;
    in_process(way, body);
    seen = peer_result();
    if (seen.bytes < *shared_count() || strcmp(seen.end, "close_notify") != 0) {
        FAIL("the peer got %zu bytes and %s, and %zu had been sent", seen.bytes, seen.end, *shared_count());
    }
}

static void exit_beside_a_sending_thread_delivers(const struct way *way)
{
    for (int round = 0; round < rounds(10, 100); round++) {
        deliver_what_was_counted(way, exit_beside_a_sender_at_full_speed);
    }
}

static void exit_beside_a_blocked_thread_delivers(const struct way *way)
{
    for (int round = 0; round < rounds(3, 20); round++) {
        deliver_what_was_counted(way, exit_beside_a_blocked_sender);
    }
}

static int sender_at_exit;

static void send_at_exit(void)
{
    send_pattern(sender_at_exit, 5000);
}

static void exit_with_a_handler(const struct way *way)
{
    /* Registered before the library has done anything, so it is the last to run. */
    CHECK(atexit(send_at_exit) == 0);
    sender_at_exit = sender(way);
    exit(EXIT_SUCCESS);
}

static void what_an_exit_handler_sends_arrives(const struct way *way)
{
    in_process(way, exit_with_a_handler);
    peer_got(5000);
}

static void print_and_exit(const struct way *way)
{
    unsigned char bytes[3000];
    FILE *stream = fdopen(sender(way), "w");

    CHECK(stream != NULL);
    pattern_fill(bytes, sizeof bytes, 0);
    CHECK(fwrite(bytes, 1, sizeof bytes, stream) == sizeof bytes);
    exit(EXIT_SUCCESS);
}

static void what_a_stream_holds_leaves_at_exit(const struct way *way)
{
    in_process(way, print_and_exit);
    peer_got(3000);
}

static void *read_the_terminal(void *argument)
{
    FILE *never = argument;

    fgetc(never);
    return NULL;
}

static void print_and_exit_beside_a_reader(const struct way *way)
{
    int ends[2];
    pthread_t thread;

    /* Opened first, so flushed last; a thread holds its lock until the end of the process. */
    CHECK(pipe(ends) == 0);
    CHECK(pthread_create(&thread, NULL, read_the_terminal, fdopen(ends[0], "r")) == 0);
    send_pattern(sender(way), 5000);
    exit(EXIT_SUCCESS);
}

/* What that stream holds is lost then, but not what was sent, and the end comes. */
static void a_locked_stream_does_not_stop_the_end(const struct way *way)
{
    in_process(way, print_and_exit_beside_a_reader);
    peer_got(5000);
}

static void flush_and_leave(const struct way *way)
{
    int fd = sender(way);
    uint32_t unfinished = 99;

    send_pattern(fd, MEGABYTE);
    CHECK(ssl_flush_all(20000, &unfinished) == SSL_ERR_OKAY);
    CHECK(unfinished == 0);
    _exit(EXIT_SUCCESS);
}

/* Without exit handlers there is no close_notify, but no byte is missing. */
static void flush_all_waits_for_everything(const struct way *way)
{
    for (int round = 0; round < 10; round++) {
        struct seen seen;
        in_process(way, flush_and_leave);
        seen = peer_result();
        if (seen.bytes != MEGABYTE) {
            FAIL("%zu bytes of %d arrived (%s)", seen.bytes, MEGABYTE, seen.end);
        }
    }
}

static void flush_all_says_how_many_hold_data(const struct way *way)
{
    int fd = peer_connect(way->peer);
    uint32_t unfinished = 99;

    CHECK(ssl_flush_all(1000, &unfinished) == SSL_ERR_OKAY && unfinished == 0);
    CHECK(ssl_socket_free(upgrade_to_peer(fd, way, "hold")) == SSL_ERR_OKAY);
    CHECK(ssl_flush_all(1000, &unfinished) == SSL_ERR_OKAY && unfinished == 0);
    set_nonblocking(fd);
    for (;;) {
        static const unsigned char block[65536];
        if (send(fd, block, sizeof block, 0) < 0) {
            CHECK(errno == EAGAIN);
            break;
        }
    }
    if (ssl_flush_all(50, &unfinished) != SSL_ERR_TIMEOUT || unfinished != 1) {
        FAIL("%u sockets hold data", unfinished);
    }
    CHECK(ssl_flush_all(0, NULL) == SSL_ERR_TIMEOUT);
    _exit(EXIT_SUCCESS);
}

static void upgrade_in_child(const struct way *way)
{
    static const char password[] = "PASS secret";
    int fd = peer_connect(way->peer);
    ssl_socket *s = ssl_socket_new(fd);
    pid_t child;
    int status = 0;

    CHECK(s != NULL);
    child = fork();
    if (child == 0) {
        if (ssl_perform_handshake(s, "mail.test") != SSL_ERR_FORKED) {
            _exit(1);
        }
        _exit(send(fd, password, sizeof password, MSG_NOSIGNAL) < 0 ? 0 : 2);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(send(fd, password, sizeof password, MSG_NOSIGNAL) < 0);
    CHECK(close(fd) == 0);
    exit(EXIT_SUCCESS);
}

static void an_upgrade_asked_for_in_a_child_sends_nothing_in_clear(const struct way *way)
{
    in_process(way, upgrade_in_child);
}

int main(int argc, char **argv)
{
    static const struct way client_ways[] = {
        {"TCP pair", "SSLSOCK_PEER", 0},
        {"Unix pair", "SSLSOCK_PEER", SSL_FLAG_UNIX_PAIR},
        {NULL, NULL, 0},
    };
    static const struct test tests[] = {
        {"exit_delivers", exit_delivers, transparent_ways, 0},
        {"exit_after_close_delivers", exit_after_close_delivers, transparent_ways, 0},
        {"exit_beside_a_running_thread_delivers", exit_beside_a_running_thread_delivers, client_ways, 0},
        {"exit_beside_a_sending_thread_delivers", exit_beside_a_sending_thread_delivers, client_ways, 300},
        {"exit_beside_a_blocked_thread_delivers", exit_beside_a_blocked_thread_delivers, client_ways, 300},
        {"the_last_few_bytes_leave_at_exit", the_last_few_bytes_leave_at_exit, client_ways, 300},
        {"an_explicit_session_delivers_and_ends_at_exit", an_explicit_session_delivers_and_ends_at_exit, explicit_ways, 0},
        {"an_explicit_session_that_was_freed_delivers_at_exit", an_explicit_session_that_was_freed_delivers_at_exit,
         explicit_ways, 0},
        {"what_an_exit_handler_sends_arrives", what_an_exit_handler_sends_arrives, client_ways, 0},
        {"what_a_stream_holds_leaves_at_exit", what_a_stream_holds_leaves_at_exit, client_ways, 0},
        {"a_locked_stream_does_not_stop_the_end", a_locked_stream_does_not_stop_the_end, client_ways, 0},
        {"flush_all_waits_for_everything", flush_all_waits_for_everything, client_ways, 0},
        {"flush_all_says_how_many_hold_data", flush_all_says_how_many_hold_data, client_ways, 0},
        {"an_upgrade_asked_for_in_a_child_sends_nothing_in_clear",
         an_upgrade_asked_for_in_a_child_sends_nothing_in_clear, client_ways, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
