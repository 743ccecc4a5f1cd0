/* Forks, exec, signals: what happens to the process as a whole. */
#define _GNU_SOURCE

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

#define MEGABYTE (1024 * 1024)

static void expect_success(pid_t child)
{
    int status = 0;

    CHECK(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        FAIL("the child ended with status %#x", (unsigned)status);
    }
}

/* A conversation of its own, in either mode. */
static void converse(const struct way *way, size_t bytes)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = upgrade_to_peer(fd, way, "echo");

    if (way->flags & SSL_FLAG_EXPLICIT_IO) {
        unsigned char sent[1000];
        unsigned char received[1000];
        pattern_fill(sent, sizeof sent, 0);
        for (size_t done = 0; done < bytes; done += sizeof sent) {
            CHECK(ssl_send(s, sent, sizeof sent, 0) == (ptrdiff_t)sizeof sent);
            CHECK(ssl_recv(s, received, sizeof received, MSG_WAITALL) == (ptrdiff_t)sizeof received);
            CHECK(memcmp(sent, received, sizeof sent) == 0);
        }
    } else {
        send_pattern(fd, bytes);
        receive_pattern(fd, bytes, 0);
    }
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0);
}

static void a_child_can_open_connections(const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = upgrade_to_peer(fd, way, "echo");

    for (int round = 0; round < 3; round++) {
        pid_t child = quiet_fork();
        if (child == 0) {
            pid_t grandchild;
            converse(way, 10000);
            grandchild = quiet_fork();
            if (grandchild == 0) {
                converse(way, 10000);
                exit(EXIT_SUCCESS);
            }
            expect_success(grandchild);
            converse(way, 10000);
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

#ifndef __SANITIZE_ADDRESS__
static volatile int stopping;

static void *keep_opening(void *argument)
{
    while (!stopping) {
        converse(argument, 1000);
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
            converse(way, 1000);
            _exit(EXIT_SUCCESS);
        }
        expect_success(child);
    }
    stopping = 1;
    for (size_t i = 0; i < 2; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

#endif

static void exec_leaks_no_descriptor(const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s;
    pid_t child;

    CHECK(fcntl(fd, F_SETFD, FD_CLOEXEC) == 0);
    s = upgrade_to_peer(fd, way, "echo");
    child = quiet_fork();
    if (child == 0) {
        execl("/proc/self/exe", "process", "--descriptors", (char *)NULL);
        _exit(127);
    }
    expect_success(child);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0);
}

static void exec_without_fork_leaks_no_descriptor(const struct way *way)
{
    int fd = peer_connect(way->peer);

    CHECK(fcntl(fd, F_SETFD, FD_CLOEXEC) == 0);
    CHECK(upgrade_to_peer(fd, way, "echo") != NULL);
    execl("/proc/self/exe", "process", "--descriptors", (char *)NULL);
    FAIL("execl: %s", strerror(errno));
}

/* What is open after exec: 0, 1, 2 and the folder that is being read. */
static int check_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int extra = 0;

    CHECK(folder != NULL);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        int number = atoi(entry->d_name);
        if (number > 2 && number != dirfd(folder)) {
            char path[64];
            char target[256] = "";
            snprintf(path, sizeof path, "/proc/self/fd/%d", number);
            if (readlink(path, target, sizeof target - 1) < 0) {
                target[0] = '?';
            }
            /* What the tests were started with, and the output of a test. */
            if (strncmp(target, "socket:", 7) == 0 || strncmp(target, "anon_inode:", 11) == 0) {
                fprintf(stderr, "descriptor %d is open after exec: %s\n", number, target);
                extra++;
            }
        }
    }
    closedir(folder);
    return extra > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void sigpipe_does_not_come_from_the_library(const struct way *way)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s;
    char byte = 'x';
    int failed = 0;

    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    s = upgrade_to_peer(fd, way, "reset");
    for (int tries = 0; tries < 1000 && !failed; tries++) {
        failed = ssl_send(s, &byte, 1, 0) < 0;
        sleep_ms(1);
    }
    CHECK(failed && (errno == EPIPE || errno == ECONNRESET));
    CHECK(ssl_send(s, &byte, 1, 0) == -1);
    ssl_shutdown(s, SHUT_RDWR);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0);
    /* The relay's own sends, of what the program sent before it knew. */
    sleep_ms(100);
}

static void sigpipe_does_not_come_from_the_relay(const struct way *way)
{
    int fd = peer_connect(way->peer);

    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    CHECK(ssl_socket_free(upgrade_to_peer(fd, way, "reset")) == SSL_ERR_OKAY);
    for (int tries = 0; tries < 1000; tries++) {
        if (send(fd, "x", 1, MSG_NOSIGNAL) < 0) {
            break;
        }
        sleep_ms(1);
    }
    CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == -1 && (errno == EPIPE || errno == ECONNRESET));
    CHECK(close(fd) == 0);
    sleep_ms(100);
}

static volatile sig_atomic_t signals_seen;

static void count_signal(int number)
{
    (void)number;
    signals_seen++;
}

static void signals_every_millisecond(const struct way *way)
{
    struct sigaction action = {.sa_handler = count_signal};
    struct itimerval every = {.it_interval.tv_usec = 1000, .it_value.tv_usec = 1000};
    struct itimerval never = {{0, 0}, {0, 0}};

    sigemptyset(&action.sa_mask);
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    for (int round = 0; round < 20; round++) {
        int fd = peer_connect(way->peer);
        CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
        ssl_socket *s = upgrade_to_peer(fd, way, "echo");
        if (way->flags & SSL_FLAG_EXPLICIT_IO) {
            static unsigned char sent[100000];
            static unsigned char received[sizeof sent];
            pattern_fill(sent, sizeof sent, 0);
            CHECK(ssl_send(s, sent, sizeof sent, 0) == (ptrdiff_t)sizeof sent);
            CHECK(ssl_recv(s, received, sizeof received, MSG_WAITALL) == (ptrdiff_t)sizeof received);
            CHECK(memcmp(sent, received, sizeof sent) == 0);
        } else {
            send_pattern(fd, MEGABYTE);
            receive_pattern(fd, MEGABYTE, 0);
        }
        CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
        CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
        CHECK(close(fd) == 0);
    }
    CHECK(signals_seen > 20);
}

/* Bits of /proc/self/task/N/status, of every thread of the library. */
static int library_threads(unsigned long long *blocked_by_all)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;

    CHECK(tasks != NULL);
    *blocked_by_all = ~0ULL;
    for (struct dirent *entry = readdir(tasks); entry != NULL; entry = readdir(tasks)) {
        char path[300];
        char line[256];
        char name[64] = "";
        unsigned long long blocked = 0;
        FILE *status;

        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        status = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (status == NULL) {
            continue;
        }
        while (fgets(line, sizeof line, status) != NULL) {
            sscanf(line, "Name: %63s", name);
            sscanf(line, "SigBlk: %llx", &blocked);
        }
        fclose(status);
        if (strcmp(name, "sslsock") == 0) {
            count++;
            *blocked_by_all &= blocked;
        }
    }
    closedir(tasks);
    return count;
}

static void library_threads_block_all_signals(const struct way *way)
{
    int fd = peer_connect(way->peer);
    unsigned long long blocked;
    sigset_t before;
    sigset_t after;

    CHECK(library_threads(&blocked) == 0);
    sigemptyset(&before);
    sigaddset(&before, SIGUSR2);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    CHECK(ssl_socket_free(upgrade_to_peer(fd, way, "echo")) == SSL_ERR_OKAY);
    CHECK(library_threads(&blocked) == 1);
    for (int number = 1; number <= 64; number++) {
        /* KILL and STOP cannot be; 32 and 33 are the C library's own, for setuid among others. */
        if (number == SIGKILL || number == SIGSTOP || number == 32 || number == 33) {
            continue;
        }
        if (!(blocked >> (number - 1) & 1)) {
            FAIL("signal %d is not blocked: %llx", number, blocked);
        }
    }
    /* The program's own mask is as it was. */
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &after) == 0);
    for (int number = 1; number < 32; number++) {
        CHECK(sigismember(&after, number) == (number == SIGUSR2));
    }
    CHECK(close(fd) == 0);
}

static void no_signal_disposition_changes(const struct way *way)
{
    struct sigaction before[65];

    for (int number = 1; number < 65; number++) {
        memset(&before[number], 0, sizeof before[number]);
        sigaction(number, NULL, &before[number]);
    }
    converse(way, 1000);
    for (int number = 1; number < 65; number++) {
        struct sigaction now;
        memset(&now, 0, sizeof now);
        sigaction(number, NULL, &now);
        CHECK(now.sa_handler == before[number].sa_handler && now.sa_flags == before[number].sa_flags);
    }
}

int main(int argc, char **argv)
{
    static const struct way some_ways[] = {
        {"IPv4", "SSLSOCK_PEER", 0},
        {"IPv4, Unix pair", "SSLSOCK_PEER", SSL_FLAG_UNIX_PAIR},
        {"IPv4, explicit", "SSLSOCK_PEER", SSL_FLAG_EXPLICIT_IO},
        {NULL, NULL, 0},
    };
    static const struct test tests[] = {
        {"a_child_can_open_connections", a_child_can_open_connections, some_ways, 0},
        {"a_child_that_ends_leaves_the_parent_alone", a_child_that_ends_leaves_the_parent_alone, transparent_ways, 0},
        {"a_child_may_use_the_descriptor_while_the_parent_lives", a_child_may_use_the_descriptor_while_the_parent_lives,
         transparent_ways, 0},
        {"a_child_sees_the_end_when_the_parent_dies", a_child_sees_the_end_when_the_parent_dies, transparent_ways, 0},
#ifndef __SANITIZE_ADDRESS__
        /* AddressSanitizer's allocator stays locked in a child if another thread was in it. */
        {"forks_while_threads_open_connections", forks_while_threads_open_connections, some_ways, 0},
#endif
        {"exec_leaks_no_descriptor", exec_leaks_no_descriptor, some_ways, 0},
        {"exec_without_fork_leaks_no_descriptor", exec_without_fork_leaks_no_descriptor, some_ways, 0},
        {"sigpipe_does_not_come_from_the_library", sigpipe_does_not_come_from_the_library, some_ways, 0},
        {"sigpipe_does_not_come_from_the_relay", sigpipe_does_not_come_from_the_relay, transparent_ways, 0},
        {"signals_every_millisecond", signals_every_millisecond, some_ways, 0},
        {"library_threads_block_all_signals", library_threads_block_all_signals, usual_way, 0},
        {"no_signal_disposition_changes", no_signal_disposition_changes, some_ways, 0},
        {NULL, NULL, NULL, 0},
    };

    if (argc == 2 && strcmp(argv[1], "--descriptors") == 0) {
        return check_descriptors();
    }
    return run_tests(argc, argv, tests);
}
