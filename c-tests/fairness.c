/*
 * All connections on one thread: none starves because another has more to move. Counted is what moves, not how long it
 * takes: a hundred chats have made their round trips before a stream has moved so many bytes.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/listener.h"
#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

#define CHATS 100
#define ROUNDS 8

/* For each round of all chats a stream may move so much, in both directions together. */
#define BULK_PER_ROUND ((size_t)24 * 1024 * 1024)

/* Between two rounds the slow reader takes one piece. */
#define SLOW_PIECE 1000

/* What it has not read and its peer has not kept waits in queues, which are smaller than this. */
#define SLOW_TOTAL ((size_t)256 * 1024 * 1024)

struct bulk {
    int fd;
    int has_answer;
    atomic_size_t sent;
    atomic_size_t received;
    atomic_int is_over;
    pthread_t threads[2];
};

static int connect_with(const struct way *way, const char *order)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = upgrade_to_peer(fd, way, "%s", order);

    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    return fd;
}

static void *send_much(void *argument)
{
    static const size_t PERIODS = 251 * 256;
    static unsigned char block[251 * 256];
    struct bulk *bulk = argument;
    size_t offset = 0;

    pattern_fill(block, sizeof block, 0);
    while (!atomic_load(&bulk->is_over)) {
        ssize_t sent = send(bulk->fd, block + offset, PERIODS - offset, MSG_NOSIGNAL);

        CHECK(sent > 0 || atomic_load(&bulk->is_over));
        if (sent > 0) {
            offset = (offset + (size_t)sent) % PERIODS;
            atomic_fetch_add(&bulk->sent, (size_t)sent);
        }
    }
    return NULL;
}

static void *receive_much(void *argument)
{
    static unsigned char block[65536];
    struct bulk *bulk = argument;

    while (!atomic_load(&bulk->is_over)) {
        ssize_t received = recv(bulk->fd, block, sizeof block, 0);

        CHECK(received > 0 || atomic_load(&bulk->is_over));
        if (received > 0) {
            CHECK(pattern_matches(block, (size_t)received, atomic_load(&bulk->received)));
            atomic_fetch_add(&bulk->received, (size_t)received);
        }
    }
    return NULL;
}

static void begin_bulk(struct bulk *bulk, const struct way *way)
{
    memset(bulk, 0, sizeof *bulk);
    bulk->has_answer = 1;
    bulk->fd = connect_with(way, "echo");
    CHECK(pthread_create(&bulk->threads[0], NULL, send_much, bulk) == 0);
    CHECK(pthread_create(&bulk->threads[1], NULL, receive_much, bulk) == 0);
    /* It is well under way. */
    while (atomic_load(&bulk->received) < 4 * 1024 * 1024) {
        sleep_ms(1);
    }
}

static void end_bulk(struct bulk *bulk)
{
    atomic_store(&bulk->is_over, 1);
    CHECK(shutdown(bulk->fd, SHUT_RDWR) == 0);
    CHECK(pthread_join(bulk->threads[0], NULL) == 0);
    if (!bulk->has_answer) {
        /* Its peer waits for that. */
        CHECK(close(bulk->fd) == 0);
    }
    CHECK(pthread_join(bulk->threads[1], NULL) == 0);
    if (bulk->has_answer) {
        CHECK(close(bulk->fd) == 0);
    }
}

/* A peer that only makes room, without decrypting: faster than the relay, which it keeps busy all the time. */
static void *make_room(void *argument)
{
    const struct listener *listener = argument;
    int fd = accept_from(listener);
    ssl_socket *s = ssl_socket_new(fd);
    int32_t transport;

    CHECK(ssl_set_flags(s, SSL_FLAG_SERVER | SSL_FLAG_EXPLICIT_IO) == SSL_ERR_OKAY);
    CHECK(ssl_set_identity_file(s, pki_file("server-all.pem"), pki_file("server-all.pem")) == SSL_ERR_OKAY);
    CHECK(ssl_perform_handshake(s, NULL) == SSL_ERR_OKAY);
    CHECK(ssl_get_transport_fd(s, &transport) == SSL_ERR_OKAY);
    while (recv(transport, NULL, 16 * 1024 * 1024, MSG_TRUNC) > 0) {
    }
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0);
    return NULL;
}

static void begin_bulk_without_answer(struct bulk *bulk, struct listener *listener, const struct way *way)
{
    memset(bulk, 0, sizeof *bulk);
    *listener = listen_on(AF_INET);
    CHECK(pthread_create(&bulk->threads[1], NULL, make_room, listener) == 0);
    bulk->fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bulk->fd >= 0);
    connect_to(bulk->fd, listener);
    CHECK(ssl_socket_free(upgrade_with(bulk->fd, "localhost", way->flags)) == SSL_ERR_OKAY);
    CHECK(pthread_create(&bulk->threads[0], NULL, send_much, bulk) == 0);
}

static void say(int fd, int round)
{
    char question[64];

    memset(question, round, sizeof question);
    send_all(fd, question, sizeof question);
}

static void hear(int fd, int round)
{
    char question[64];
    char answer[64];

    memset(question, round, sizeof question);
    CHECK(recv(fd, answer, sizeof answer, MSG_WAITALL) == sizeof answer);
    CHECK(memcmp(question, answer, sizeof answer) == 0);
}

static size_t moved_by(struct bulk *bulk)
{
    return atomic_load(&bulk->sent) + atomic_load(&bulk->received);
}

/* A stream in both directions and one that never waits for its peer, a peer that sends single bytes, and a program that reads slowly. */
static void a_hundred_chats_beside_streams(const struct way *way)
{
    int chats[CHATS];
    struct bulk echoed;
    struct bulk sent;
    struct listener listener;
    char order[64];
    unsigned char piece[SLOW_PIECE];
    size_t slow_offset = 0;
    int slow;
    int trickle;
    size_t before[2];
    size_t moved[2];

    CHECK(ssl_set_relay_threads(1) == SSL_ERR_OKAY);
    for (int i = 0; i < CHATS; i++) {
        chats[i] = connect_with(way, "echo");
    }
    snprintf(order, sizeof order, "source %zu", SLOW_TOTAL);
    slow = connect_with(way, order);
    trickle = connect_with(way, "drip 1 1 1000000");
    begin_bulk(&echoed, way);
    begin_bulk_without_answer(&sent, &listener, way);
    before[0] = moved_by(&echoed);
    before[1] = moved_by(&sent);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CHATS; i++) {
            say(chats[i], round);
        }
        for (int i = 0; i < CHATS; i++) {
            hear(chats[i], round);
        }
        CHECK(recv(slow, piece, sizeof piece, MSG_WAITALL) == sizeof piece);
        CHECK(pattern_matches(piece, sizeof piece, slow_offset));
        slow_offset += sizeof piece;
        receive_pattern(trickle, 1, (size_t)round);
    }
    moved[0] = moved_by(&echoed) - before[0];
    moved[1] = moved_by(&sent) - before[1];
    note("streams have moved %zu and %zu KiB while %d chats made one round trip", moved[0] / 1024 / ROUNDS,
         moved[1] / 1024 / ROUNDS, CHATS);
    end_bulk(&echoed);
    end_bulk(&sent);
    CHECK(close(listener.fd) == 0);
    for (int i = 0; i < 2; i++) {
        if (moved[i] > BULK_PER_ROUND * ROUNDS) {
            FAIL("a stream has moved %zu MiB while each of %d chats made %d round trips", moved[i] >> 20, CHATS, ROUNDS);
        }
        /* It has not been starved either. */
        CHECK(moved[i] > 0);
    }
    for (int i = 0; i < CHATS; i++) {
        CHECK(close(chats[i]) == 0);
    }
    CHECK(close(slow) == 0 && close(trickle) == 0);
}

static const struct test tests[] = {
    {"a_hundred_chats_beside_streams", a_hundred_chats_beside_streams, pair_ways, 0},
    {NULL, NULL, NULL, 0},
};

int main(int argc, char **argv)
{
    return run_tests(argc, argv, tests);
}
