/* closesocket on secure sockets: what was accepted for sending arrives. */
#define _GNU_SOURCE

#include "tests.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void what_was_sent_arrives_after_closesocket(const struct way *way)
{
    static unsigned char data[1 << 20];
    char order[128];
    SOCKET s;
    int at;

    (void)way;
    pattern_fill(data, sizeof data, 0);
    snprintf(order, sizeof order, "sink %s 100\n", peer_ticket());
    s = connected_to_peer(order);
    for (at = 0; at < (int)sizeof data;) {
        int sent = send(s, data + at, (int)sizeof data - at, 0);

        CHECK(sent > 0);
        at += sent;
    }
    WORKS(closesocket(s));
    peer_got(sizeof data);
}

/* Fills whatever is on the way to a peer that does not read yet; how much that was. */
static size_t fill(SOCKET s)
{
    static unsigned char data[1 << 16];
    size_t filled = 0;
    u_long on = 1;
    int quiet = 0;

    WORKS(ioctlsocket(s, FIONBIO, &on));
    while (quiet < 20) {
        int sent;

        pattern_fill(data, sizeof data, filled);
        sent = send(s, (char *)data, sizeof data, 0);
        if (sent < 0) {
            CHECK(WSAGetLastError() == WSAEWOULDBLOCK);
            sleep_ms(10);
        }
        quiet = sent < 0 ? quiet + 1 : 0;
        filled += sent < 0 ? 0 : (size_t)sent;
    }
    return filled;
}

static void expect_arrived(size_t bytes, int variant)
{
    struct seen seen = peer_result();

    if (seen.bytes != bytes) {
        FAIL("of %zu bytes %zu arrived, then %s (%d)", bytes, seen.bytes, seen.end, variant);
    }
}

/* What the peer says meanwhile, and nobody reads, takes nothing of that away. */
void what_was_sent_arrives_although_something_was_not_read(const struct way *way)
{
    static const unsigned flags[] = {0, SSL_FLAG_UNIX_PAIR_OF_THE_LIBRARY};
    static const char *const before[] = {"", "data:100000 "}, *const after[] = {"", "data:100000 "};

    (void)way;
    for (int i = 0; i < 8; i++) {
        char order[128];
        size_t filled;
        SOCKET s;

        set_default_flags(flags[i & 1]);
        snprintf(order, sizeof order, "play %s %sgo %sread\n", peer_ticket(), before[i >> 1 & 1], after[i >> 2]);
        s = connected_to_peer(order);
        set_default_flags(0);
        filled = fill(s);
        WORKS(closesocket(s));
        peer_go();
        expect_arrived(filled, i);
    }
}

/* The same for a process that ends at once. */
void what_was_sent_arrives_although_the_process_ends(const struct way *way)
{
    (void)way;
    for (int i = 0; i < 4; i++) {
        int told[2];
        char order[128];
        size_t filled = 0;
        pid_t child;

        snprintf(order, sizeof order, "play %s %sgo read\n", peer_ticket(), i >> 1 ? "data:100000 " : "");
        CHECK(pipe(told) == 0);
        child = quiet_fork();
        if (child == 0) {
            SOCKET s;

            set_default_flags(i & 1 ? SSL_FLAG_UNIX_PAIR_OF_THE_LIBRARY : 0);
            s = connected_to_peer(order);
            filled = fill(s);
            CHECK(write(told[1], &filled, sizeof filled) == sizeof filled);
            WORKS(closesocket(s));
            peer_go();
            exit(0);
        }
        CHECK(read(told[0], &filled, sizeof filled) == sizeof filled);
        expect_arrived(filled, i);
        await_child(child);
        CHECK(close(told[0]) == 0 && close(told[1]) == 0);
    }
}
