/* The calls that take bytes off the connection. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/check.h"
#include "common/peer.h"
#include "probes.h"

#define SPLICED 3000000

static void reading(struct connection *c)
{
    unsigned char buffer[100];
    struct iovec two[2] = {{buffer, 15}, {buffer + 15, 25}};
    struct iovec one = {buffer, 20};
    ssize_t count;

    upgrade_here(c);
    peer_sends(c, 100);
    tell(c, "%s", answer(count = read(c->fd, buffer, 10)));
    check_bytes(c, buffer, (size_t)count);
    tell(c, "%s", answer(count = readv(c->fd, two, 2)));
    check_bytes(c, buffer, (size_t)count);
    tell(c, "%s", answer(count = preadv2(c->fd, &one, 1, -1, 0)));
    check_bytes(c, buffer, (size_t)count);
    tell(c, "%s", answer(pread(c->fd, buffer, 10, 0)));
    tell(c, "%s", answer(read(c->fd, buffer, 0)));
    tell(c, "%s", answer(count = read(c->fd, buffer, sizeof buffer)));
    check_bytes(c, buffer, (size_t)count);
}

static void receiving(struct connection *c)
{
    unsigned char buffer[100];
    char control[256];
    struct iovec vector = {buffer, 20};
    struct iovec vectors[2] = {{buffer, 10}, {buffer + 10, 40}};
    struct msghdr message = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof control,
    };
    struct mmsghdr messages[2];
    ssize_t count;

    upgrade_here(c);
    peer_sends(c, 100);
    tell(c, "%s", answer(count = recv(c->fd, buffer, 10, 0)));
    check_bytes(c, buffer, (size_t)count);
    tell(c, "%s", answer(count = recvfrom(c->fd, buffer, 20, 0, NULL, NULL)));
    check_bytes(c, buffer, (size_t)count);
    count = recvmsg(c->fd, &message, 0);
    tell(c, "%s, control data of %zu bytes, flags %#x", answer(count), (size_t)message.msg_controllen,
         (unsigned)message.msg_flags);
    check_bytes(c, buffer, (size_t)count);
    memset(messages, 0, sizeof messages);
    for (size_t i = 0; i < 2; i++) {
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    tell(c, "%s", answer(recvmmsg(c->fd, messages, 2, MSG_WAITFORONE, NULL)));
    tell(c, "%u and %u", messages[0].msg_len, messages[1].msg_len);
    check_bytes(c, buffer, messages[0].msg_len + messages[1].msg_len);
    tell(c, "%s", answer(recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT)));
}

static void peeking(struct connection *c)
{
    unsigned char buffer[100];
    ssize_t count;

    upgrade_here(c);
    peer_sends(c, 30);
    for (int i = 0; i < 3; i++) {
        size_t received = c->received;
        tell(c, "%s", answer(count = recv(c->fd, buffer, i == 0 ? 10 : sizeof buffer, MSG_PEEK)));
        check_bytes(c, buffer, (size_t)count);
        c->received = received;
    }
    receive_all(c, 30);
    tell(c, "%s", answer(recv(c->fd, buffer, sizeof buffer, MSG_PEEK | MSG_DONTWAIT)));
    peer_ends(c);
    tell(c, "%s", answer(recv(c->fd, buffer, sizeof buffer, MSG_PEEK)));
}

struct waiter {
    struct connection *c;
    ssize_t count;
    unsigned char buffer[10];
};

static void *wait_for_ten(void *argument)
{
    struct waiter *waiter = argument;

    waiter->count = recv(waiter->c->fd, waiter->buffer, sizeof waiter->buffer, MSG_WAITALL);
    return NULL;
}

static void waiting_for_all(struct connection *c)
{
    struct waiter waiter = {.c = c};
    pthread_t thread;

    upgrade_here(c);
    for (int round = 0; round < 2; round++) {
        peer_sends(c, 5);
        CHECK(pthread_create(&thread, NULL, wait_for_ten, &waiter) == 0);
        /* It has taken what there is, and has to wait for the rest. */
        await_bytes(c, 0);
        if (round == 0) {
            order(c, "send 5");
        } else {
            order(c, "end");
        }
        CHECK(pthread_join(thread, NULL) == 0);
        tell(c, "%s", answer(waiter.count));
        check_bytes(c, waiter.buffer, (size_t)waiter.count);
    }
}

static void not_waiting(struct connection *c)
{
    unsigned char buffer[10];
    int on = 1;

    upgrade_here(c);
    tell(c, "%s", answer(recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT)));
    CHECK(ioctl(c->fd, FIONBIO, &on) == 0);
    tell(c, "%s", answer(read(c->fd, buffer, sizeof buffer)));
    tell(c, "%s", answer(recv(c->fd, buffer, sizeof buffer, MSG_WAITALL)));
    peer_sends(c, 10);
    tell(c, "%s", answer(recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT)));
}

static void truncating(struct connection *c)
{
    unsigned char buffer[20];

    upgrade_here(c);
    memset(buffer, 0xee, sizeof buffer);
    peer_sends(c, 30);
    CHECK(recv(c->fd, buffer, 10, MSG_TRUNC) == 10);
    tell(c, buffer[3] == 0xee ? "drops the bytes" : "copies the bytes");
    c->received += 10;
    receive_all(c, 20);
}

static void error_queue(struct connection *c)
{
    unsigned char buffer[20];

    upgrade_here(c);
    peer_sends(c, 10);
    if (recv(c->fd, buffer, sizeof buffer, MSG_ERRQUEUE | MSG_DONTWAIT) == 10) {
        tell(c, "reads the data");
    } else {
        tell(c, "%s", answer(-1));
    }
}

static void urgent(struct connection *c)
{
    unsigned char byte;
    int mark = -1;

    upgrade_here(c);
    peer_sends(c, 10);
    tell(c, "%s", answer(recv(c->fd, &byte, 1, MSG_OOB)));
    tell(c, "%s", ioctl(c->fd, SIOCATMARK, &mark) == 0 ? answer(mark) : answer(-1));
    receive_all(c, 10);
}

static void tell_counts(struct connection *c)
{
    int readable = -1;
    int queued = -1;
    int unread = -1;

    CHECK(ioctl(c->fd, FIONREAD, &readable) == 0);
    CHECK(ioctl(c->fd, SIOCINQ, &queued) == 0);
    CHECK(ioctl(c->fd, SIOCOUTQ, &unread) == 0);
    tell(c, "%d %d %d", readable, queued, unread);
}

static void counting(struct connection *c)
{
    unsigned char buffer[100];
    long began = milliseconds();
    int queued;

    upgrade_here(c);
    tell_counts(c);
    peer_sends(c, 100);
    tell_counts(c);
    receive_all(c, 60);
    tell_counts(c);
    next_bytes(c, buffer, sizeof buffer);
    CHECK(send(c->fd, buffer, sizeof buffer, 0) == (ssize_t)sizeof buffer);
    peer_takes(c, sizeof buffer);
    do {
        CHECK(ioctl(c->fd, SIOCOUTQ, &queued) == 0 && milliseconds() - began < 20000);
    } while (queued != 0);
    receive_all(c, 40);
    peer_ends(c);
    tell_counts(c);
}

static void splicing(struct connection *c)
{
    static unsigned char buffer[65536];
    size_t total = 0;
    int ends[2];

    upgrade_here(c);
    CHECK(pipe(ends) == 0);
    for (int round = 0; round < 2; round++) {
        size_t wanted = round == 0 ? 10 : SPLICED;
        begin_order(c, "send %zu", wanted);
        for (total = 0; total < wanted;) {
            ssize_t count = splice(c->fd, NULL, ends[1], NULL, sizeof buffer, SPLICE_F_MOVE);
            if (count <= 0) {
                FAIL("splice after %zu bytes: %s", total, answer(count));
            }
            for (ssize_t left = count; left > 0;) {
                ssize_t piece = read(ends[0], buffer, (size_t)left);
                CHECK(piece > 0);
                check_bytes(c, buffer, (size_t)piece);
                left -= piece;
            }
            total += (size_t)count;
        }
        tell(c, "%zu", total);
        await_order(c);
    }
    peer_ends(c);
    tell(c, "%s", answer(splice(c->fd, NULL, ends[1], NULL, sizeof buffer, SPLICE_F_NONBLOCK)));
    tell(c, "%s", answer(splice(c->fd, NULL, c->fd, NULL, sizeof buffer, 0)));
}

static void tell_time_limit(struct connection *c, int option)
{
    struct timeval limit = {-1, -1};
    socklen_t length = sizeof limit;

    CHECK(getsockopt(c->fd, SOL_SOCKET, option, &limit, &length) == 0);
    /* The kernel's clock ticks every 1 to 10 ms. */
    tell(c, "%ld.%02ld s", (long)limit.tv_sec, ((long)limit.tv_usec + 5000) / 10000);
}

static void time_out(struct connection *c)
{
    unsigned char byte;
    long began = milliseconds();

    tell(c, "%s", answer(recv(c->fd, &byte, 1, 0)));
    CHECK(milliseconds() - began >= 80);
    /* Nothing is lost by it. */
    peer_sends(c, 10);
    receive_all(c, 10);
}

static void time_limit_before(struct connection *c)
{
    struct timeval limit = {.tv_usec = 100000};

    CHECK(setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    upgrade_here(c);
    tell_time_limit(c, SO_RCVTIMEO);
    time_out(c);
}

static void time_limit_after(struct connection *c)
{
    struct timeval limit = {.tv_usec = 100000};

    upgrade_here(c);
    CHECK(setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    tell_time_limit(c, SO_RCVTIMEO);
    time_out(c);
}

const struct probe receiving_probes[] = {
    {"`read`, `readv`, `preadv2`", reading},
    {"`recv`, `recvfrom`, `recvmsg`, `recvmmsg`", receiving},
    {"`MSG_PEEK`", peeking},
    {"`MSG_WAITALL`", waiting_for_all},
    {"`MSG_DONTWAIT`, `FIONBIO`", not_waiting},
    {"`MSG_TRUNC`", truncating},
    {"`MSG_ERRQUEUE` while there is data", error_queue},
    {"`recv` with `MSG_OOB`, `SIOCATMARK`", urgent},
    {"`FIONREAD`, `SIOCINQ`, `SIOCOUTQ`", counting},
    {"`splice` to a pipe", splicing},
    {"`SO_RCVTIMEO` set before", time_limit_before},
    {"`SO_RCVTIMEO` set after", time_limit_after},
    {NULL, NULL},
};
