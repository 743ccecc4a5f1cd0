/* Signals, and the threads of the library. */
#define _GNU_SOURCE

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/peer.h"
#include "common/process.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

#define MEGABYTE (1024 * 1024)

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
    echo_with_peer(way, 1000);
    for (int number = 1; number < 65; number++) {
        struct sigaction now;
        memset(&now, 0, sizeof now);
        sigaction(number, NULL, &now);
        CHECK(now.sa_handler == before[number].sa_handler && now.sa_flags == before[number].sa_flags);
    }
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"sigpipe_does_not_come_from_the_library", sigpipe_does_not_come_from_the_library, each_mode, 0},
        {"sigpipe_does_not_come_from_the_relay", sigpipe_does_not_come_from_the_relay, transparent_ways, 0},
        {"signals_every_millisecond", signals_every_millisecond, each_mode, 0},
        {"library_threads_block_all_signals", library_threads_block_all_signals, usual_way, 0},
        {"no_signal_disposition_changes", no_signal_disposition_changes, each_mode, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
