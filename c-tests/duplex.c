/*
 * Transparent mode, full duplex: one thread sends and one receives, both as fast as it goes, while the peer sends much
 * before it reads anything. What arrives is compared by SHA-256, and the process must not grow by what is under way.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/peer.h"
#include "common/sha256.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

#define MEBIBYTE ((size_t)1024 * 1024)

/* What the peer sends before it reads. */
#define BEFORE_READING (64 * MEBIBYTE)

/* By how much the process may grow while the bytes move, beside what the kernel holds. */
#define GROWTH_KIB 4096

#define BLOCK MEBIBYTE
#define PIECE 65536

struct stream {
    int fd;
    size_t length;
    _Atomic size_t moved;
    char hash[SHA256_TEXT];
};

/* The reader, when it has half of what the peer sends before reading, looks how far the writer has come. */
struct reader {
    struct stream stream;
    struct stream *writer;
    size_t sent_meanwhile;
};

static unsigned char block[BLOCK + PIECE];

static void fill_block(void)
{
    int source = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

    CHECK(source >= 0);
    for (size_t filled = 0; filled < sizeof block;) {
        ssize_t count = read(source, block + filled, sizeof block - filled);
        CHECK(count > 0);
        filled += (size_t)count;
    }
    close(source);
}

static void *write_stream(void *argument)
{
    struct stream *stream = argument;
    struct sha256 hash;

    sha256_begin(&hash);
    while (stream->moved < stream->length) {
        /* Not the same bytes again after a piece that got lost. */
        const unsigned char *piece = block + stream->moved * 7 % BLOCK;
        size_t size = stream->length - stream->moved < PIECE ? stream->length - stream->moved : PIECE;
        send_all(stream->fd, piece, size);
        sha256_add(&hash, piece, size);
        stream->moved += size;
    }
    sha256_end(&hash, stream->hash);
    CHECK(shutdown(stream->fd, SHUT_WR) == 0);
    return NULL;
}

static void *read_stream(void *argument)
{
    static unsigned char buffer[PIECE];
    struct reader *reader = argument;
    struct stream *stream = &reader->stream;
    struct sha256 hash;
    ssize_t count;

    sha256_begin(&hash);
    while ((count = recv(stream->fd, buffer, sizeof buffer, 0)) > 0) {
        sha256_add(&hash, buffer, (size_t)count);
        stream->moved += (size_t)count;
        if (stream->moved <= BEFORE_READING / 2) {
            reader->sent_meanwhile = reader->writer->moved;
        }
    }
    if (count < 0) {
        FAIL("recv after %zu bytes: %s", stream->moved, strerror(errno));
    }
    sha256_end(&hash, stream->hash);
    return NULL;
}

/* The most memory that the process has had in use, in KiB. */
static long peak_memory(void)
{
    char line[256];
    long peak = -1;
    FILE *status = fopen("/proc/self/status", "r");

    CHECK(status != NULL);
    while (fgets(line, sizeof line, status) != NULL) {
        if (sscanf(line, "VmHWM: %ld kB", &peak) == 1) {
            break;
        }
    }
    fclose(status);
    CHECK(peak > 0);
    return peak;
}

static void both_ways(const struct way *way, size_t length)
{
    int fd = peer_connect(way->peer);
    struct stream writer = {.fd = fd, .length = length};
    struct reader reader = {.stream = {.fd = fd}, .writer = &writer};
    char expected[256];
    pthread_t threads[2];
    struct seen seen;
    ssl_socket *s;
    long before;
    long after;

    fill_block();
    s = upgrade_to_peer(fd, way, "duplex %s %zu %zu", peer_ticket(), length, (size_t)BEFORE_READING);
    before = peak_memory();
    CHECK(pthread_create(&threads[0], NULL, write_stream, &writer) == 0);
    CHECK(pthread_create(&threads[1], NULL, read_stream, &reader) == 0);
    CHECK(pthread_join(threads[0], NULL) == 0 && pthread_join(threads[1], NULL) == 0);
    after = peak_memory();
    CHECK(ssl_get_error(s) == SSL_ERR_OKAY && ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0);

    note("%zu MiB each way; VmHWM grew from %ld to %ld KiB; %zu KiB sent while the peer read nothing", length / MEBIBYTE,
         before, after, reader.sent_meanwhile / 1024);
    if (after - before > GROWTH_KIB) {
        FAIL("the process grew by %ld KiB", after - before);
    }
    seen = peer_result();
    snprintf(expected, sizeof expected, "%s %s close_notify", reader.stream.hash, writer.hash);
    if (reader.stream.moved != length || seen.bytes != length || strcmp(seen.end, expected) != 0) {
        FAIL("the peer got %zu bytes and has %s; this side got %zu and has %s", seen.bytes, seen.end,
             reader.stream.moved, expected);
    }
    /* Or there was no backpressure, and the bytes were somewhere. */
    CHECK(reader.sent_meanwhile < BEFORE_READING / 2);
}

static void both_ways_at_once_arrive_whole_in_bounded_memory(const struct way *way)
{
    both_ways(way, (size_t)rounds(256, 1024) * MEBIBYTE);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"both_ways_at_once_arrive_whole_in_bounded_memory", both_ways_at_once_arrive_whole_in_bounded_memory,
         pair_ways, 600},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
