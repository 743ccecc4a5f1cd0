/*
 * Sends a mebibyte and is gone: the end of a process right after send().
 *
 * ending HOW BYTES [FLAGS]    connects to SSLSOCK_PEER, upgrades, says "ready", waits for a line on standard input,
 *                             sends BYTES and ends: HOW is "exit", "return", "thread" (exit in a second one), "close"
 *                             (then exit), "free" (the handle, then exit) or "_exit" (which promises nothing)
 */
#define _GNU_SOURCE

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/peer.h"
#include "common/upgrade.h"

static void *leave(void *argument)
{
    (void)argument;
    exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
    const char *how = argc > 2 ? argv[1] : "";
    size_t bytes = argc > 2 ? strtoul(argv[2], NULL, 0) : 0;
    uint32_t flags = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 0) : 0;
    int fd = peer_connect("SSLSOCK_PEER");
    pthread_t thread;
    ssl_socket *s;

    s = upgrade_with(fd, "localhost", flags);
    puts("ready");
    fflush(stdout);
    if (getchar() == EOF) {
        FAIL("nobody said when to begin");
    }
    send_pattern(fd, bytes);
    if (strcmp(how, "exit") == 0) {
        exit(EXIT_SUCCESS);
    }
    if (strcmp(how, "close") == 0) {
        close(fd);
        exit(EXIT_SUCCESS);
    }
    if (strcmp(how, "free") == 0) {
        CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
        exit(EXIT_SUCCESS);
    }
    if (strcmp(how, "thread") == 0) {
        CHECK(pthread_create(&thread, NULL, leave, NULL) == 0);
        pthread_join(thread, NULL);
    }
    if (strcmp(how, "_exit") == 0) {
        _exit(EXIT_SUCCESS);
    }
    return EXIT_SUCCESS;
}
