/* What takes its time: a peer that takes nothing, or little. */
#define _GNU_SOURCE

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

#define LIMIT_SECONDS 120
#define WAYS 8

static int open_and_fill(const struct way *way)
{
    static const unsigned char block[65536];
    int fd = peer_connect(way->peer);

    CHECK(ssl_socket_free(upgrade_to_peer(fd, way, "hold")) == SSL_ERR_OKAY);
    set_nonblocking(fd);
    for (int tries = 0; tries < 200;) {
        if (send(fd, block, sizeof block, MSG_NOSIGNAL) > 0) {
            tries = 0;
        } else {
            CHECK(errno == EAGAIN);
            sleep_ms(5);
            tries++;
        }
    }
    return fd;
}

/* A program that is there may wait for its peer as long as it likes; nobody waits for one that has closed. */
static void a_peer_that_takes_nothing_is_given_up_once_the_program_has_closed(const struct way *way)
{
    int kept[WAYS];
    int left[WAYS];
    int before;
    int ways = 0;
    long began = milliseconds();
    long waited;

    (void)way;
    for (; transparent_ways[ways].name != NULL; ways++) {
        CHECK(ways < WAYS);
        kept[ways] = open_and_fill(&transparent_ways[ways]);
    }
    before = open_descriptors();
    for (int i = 0; i < ways; i++) {
        left[i] = open_and_fill(&transparent_ways[i]);
    }
    for (int i = 0; i < ways; i++) {
        CHECK(close(left[i]) == 0);
    }
    waited = milliseconds();
    while (open_descriptors() > before) {
        if (milliseconds() - waited > 3 * LIMIT_SECONDS * 1000) {
            FAIL("%d descriptors are open, and not %d", open_descriptors(), before);
        }
        sleep_ms(100);
    }
    note("given up after %ld s", (milliseconds() - waited) / 1000);
    while (milliseconds() - began < (2 * LIMIT_SECONDS + 10) * 1000) {
        sleep_ms(1000);
    }
    CHECK(open_descriptors() == before);
    for (int i = 0; i < ways; i++) {
        CHECK(send(kept[i], "x", 1, MSG_NOSIGNAL) == -1 && errno == EAGAIN);
    }
    fflush(NULL);
    _exit(EXIT_SUCCESS);
}

/*
 * The end of the process waits for up to 5 s without a byte moving. A peer that takes 35 kB/s makes room for more less often
 * than that, and yet takes something all the time.
 */
static void exit_delivers_to_a_slow_peer(const struct way *way)
{
    static const size_t length = 1024 * 1024;
    int size = 256 * 1024;
    int status;
    pid_t child;

    peer_ticket();
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        int fd = peer_connect(way->peer);
        ssl_socket *s;

        CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
        s = upgrade_to_peer(fd, way, "sip %s 12", peer_ticket());
        say_pattern(fd, s, way, length, 0);
        exit(EXIT_SUCCESS);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    peer_got(length);
}

int main(int argc, char **argv)
{
    static const struct way client_ways[] = {
        {"TCP pair", "SSLSOCK_PEER", 0},
        {"Unix pair", "SSLSOCK_PEER", SSL_FLAG_UNIX_PAIR},
        {"explicit", "SSLSOCK_PEER", SSL_FLAG_EXPLICIT_IO},
        {NULL, NULL, 0},
    };
    static const struct test tests[] = {
        {"a_peer_that_takes_nothing_is_given_up_once_the_program_has_closed",
         a_peer_that_takes_nothing_is_given_up_once_the_program_has_closed, NULL, 500},
        {"exit_delivers_to_a_slow_peer", exit_delivers_to_a_slow_peer, client_ways, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
