/* What takes minutes: a peer that takes nothing. */
#define _GNU_SOURCE

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
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

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"a_peer_that_takes_nothing_is_given_up_once_the_program_has_closed",
         a_peer_that_takes_nothing_is_given_up_once_the_program_has_closed, NULL, 500},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
