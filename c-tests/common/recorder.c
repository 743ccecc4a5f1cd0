#define _GNU_SOURCE

#include "recorder.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "conversation.h"
#include "peer.h"
#include "ways.h"

#define CONTROL "SSLSOCK_RECORDER_CONTROL"

int recorder_connect(const struct way *way, const char *order, char *ticket)
{
    static atomic_int count;
    const char *peer = "SSLSOCK_PEER";
    char variable[64];
    struct timespec now;
    int fd;

    /* It listens in the same places as the other peer. */
    CHECK(strncmp(way->peer, peer, strlen(peer)) == 0);
    snprintf(variable, sizeof variable, "SSLSOCK_RECORDER%s", way->peer + strlen(peer));
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(ticket, RECORDER_TICKET, "%ld-%ld%09ld-%d", (long)getpid(), (long)now.tv_sec, now.tv_nsec,
             atomic_fetch_add(&count, 1));

    fd = peer_connect(variable);
    talk_expect(fd, "220");
    talk_send(fd, "ORDER %s %s", ticket, order);
    talk_expect(fd, "250");
    return fd;
}

void recorder_starttls(int fd)
{
    talk_send(fd, "STARTTLS");
    talk_expect(fd, "220");
}

static int request(const char *what, const char *ticket)
{
    int fd = peer_connect(CONTROL);

    talk_send(fd, "%s %s", what, ticket);
    return fd;
}

void recorder_await_hello(const char *ticket)
{
    int fd = request("hello", ticket);

    talk_expect(fd, "hello");
    close(fd);
}

void recorder_go(const char *ticket)
{
    int fd = request("go", ticket);

    talk_expect(fd, "going");
    close(fd);
}

static unsigned char *receive_all(int fd, size_t length)
{
    unsigned char *bytes = malloc(length + 1);
    size_t received = 0;

    CHECK(bytes != NULL);
    while (received < length) {
        ssize_t count = recv(fd, bytes + received, length - received, 0);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            FAIL("the record ends after %zu of %zu bytes", received, length);
        }
        received += (size_t)count;
    }
    return bytes;
}

struct record recorder_result(const char *ticket)
{
    struct record record;
    char header[TALK_LINE];
    int fd = request("record", ticket);

    talk_line(fd, header);
    if (sscanf(header, "%zu %zu %zu %127[^\n]", &record.raw_length, &record.starttls, &record.plain_length,
               record.end) != 4) {
        FAIL("the recording peer says \"%s\"", header);
    }
    CHECK(record.starttls <= record.raw_length);
    record.raw = receive_all(fd, record.raw_length);
    record.plain = receive_all(fd, record.plain_length);
    close(fd);
    return record;
}

void record_free(struct record *record)
{
    free(record->raw);
    free(record->plain);
}

int record_has(const struct record *record, const char *text)
{
    return memmem(record->raw, record->raw_length, text, strlen(text)) != NULL;
}

int record_check_tls(const struct record *record)
{
    enum { HEADER = 5, MOST = 16384 + 256 };
    size_t at = record->starttls;
    int count = 0;

    for (; at < record->raw_length; count++) {
        const unsigned char *bytes = record->raw + at;
        size_t left = record->raw_length - at;
        size_t length = left < HEADER ? 0 : (size_t)bytes[3] << 8 | bytes[4];

        /* change_cipher_spec, alert, handshake, application_data; the version of any TLS. */
        if (left < HEADER || bytes[0] < 20 || bytes[0] > 23 || bytes[1] != 3 || length > MOST) {
            FAIL("no TLS record at %zu of %zu bytes after STARTTLS: %.*s", at - record->starttls,
                 record->raw_length - record->starttls, (int)(left < 60 ? left : 60), (const char *)bytes);
        }
        if (left < HEADER + length) {
            FAIL("the last TLS record has %zu of %zu bytes", left, HEADER + length);
        }
        at += HEADER + length;
    }
    return count;
}
