/* The calls that give bytes to the connection. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/check.h"
#include "common/peer.h"
#include "probes.h"

#define FILE_SIZE 3000000
/* Long enough for whatever is under way inside the library or the kernel. */
#define SETTLED_MS 1000

static void writing(struct connection *c)
{
    unsigned char buffer[100];
    struct iovec two[2] = {{buffer + 10, 30}, {buffer + 40, 20}};
    struct iovec one = {buffer + 60, 40};

    upgrade_here(c);
    next_bytes(c, buffer, sizeof buffer);
    tell(c, "%s", answer(write(c->fd, buffer, 10)));
    tell(c, "%s", answer(writev(c->fd, two, 2)));
    tell(c, "%s", answer(pwritev2(c->fd, &one, 1, -1, 0)));
    tell(c, "%s", answer(pwrite(c->fd, buffer, 10, 0)));
    tell(c, "%s", answer(write(c->fd, buffer, 0)));
    peer_takes(c, sizeof buffer);
}

static void sending(struct connection *c)
{
    unsigned char buffer[100];
    struct iovec vectors[3] = {{buffer + 20, 10}, {buffer + 30, 10}, {buffer + 40, 20}};
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = 1};
    struct mmsghdr messages[2];

    upgrade_here(c);
    next_bytes(c, buffer, sizeof buffer);
    tell(c, "%s", answer(send(c->fd, buffer, 10, 0)));
    tell(c, "%s", answer(sendto(c->fd, buffer + 10, 10, MSG_DONTWAIT, NULL, 0)));
    tell(c, "%s", answer(sendmsg(c->fd, &message, MSG_NOSIGNAL)));
    memset(messages, 0, sizeof messages);
    for (size_t i = 0; i < 2; i++) {
        messages[i].msg_hdr.msg_iov = &vectors[1 + i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    tell(c, "%s", answer(sendmmsg(c->fd, messages, 2, 0)));
    tell(c, "%u and %u", messages[0].msg_len, messages[1].msg_len);
    peer_takes(c, 60);
    tell(c, "%s", answer(send(c->fd, buffer + 60, 20, MSG_MORE)));
    tell(c, "%s", answer(send(c->fd, buffer + 80, 20, 0)));
    tell(c, "%s", answer(send(c->fd, buffer, 0, 0)));
    peer_takes(c, 40);
}

static void sending_to_an_address(struct connection *c)
{
    unsigned char buffer[10];

    upgrade_here(c);
    next_bytes(c, buffer, sizeof buffer);
    if (sendto(c->fd, buffer, 10, 0, (struct sockaddr *)&c->peer_address, c->peer_address_length) != 10) {
        tell(c, "%s", answer(-1));
        return;
    }
    peer_takes(c, 10);
    tell(c, "sent, the address is ignored");
}

/* A file with the pattern's next bytes, which has no name. */
static int pattern_file(struct connection *c, size_t size)
{
    static unsigned char buffer[65536];
    FILE *file = tmpfile();
    int fd;

    CHECK(file != NULL);
    fd = dup(fileno(file));
    fclose(file);
    CHECK(fd >= 0);
    for (size_t written = 0; written < size;) {
        size_t piece = size - written < sizeof buffer ? size - written : sizeof buffer;
        next_bytes(c, buffer, piece);
        CHECK(write(fd, buffer, piece) == (ssize_t)piece);
        written += piece;
    }
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

static void sending_a_file(struct connection *c)
{
    int file = pattern_file(c, FILE_SIZE);
    size_t total = 0;
    ssize_t count;

    upgrade_here(c);
    begin_order(c, "take %d", FILE_SIZE);
    /* More than there is: it ends with the file. */
    while ((count = sendfile(c->fd, file, NULL, FILE_SIZE + 1 - total)) > 0) {
        total += (size_t)count;
    }
    tell(c, "%zu", total);
    tell(c, "%s", answer(count));
    await_order(c);
}

static void splicing(struct connection *c)
{
    int file = pattern_file(c, FILE_SIZE);
    size_t total = 0;
    ssize_t filled;
    int ends[2];

    CHECK(pipe(ends) == 0);
    upgrade_here(c);
    begin_order(c, "take %d", FILE_SIZE);
    while ((filled = splice(file, NULL, ends[1], NULL, 65536, 0)) > 0) {
        while (filled > 0) {
            ssize_t count = splice(ends[0], NULL, c->fd, NULL, (size_t)filled, SPLICE_F_MORE);
            if (count <= 0) {
                FAIL("splice after %zu bytes: %s", total, answer(count));
            }
            filled -= count;
            total += (size_t)count;
        }
    }
    tell(c, "%zu", total);
    await_order(c);
}

static void urgent(struct connection *c)
{
    upgrade_here(c);
    if (send(c->fd, "a!", 2, MSG_OOB) != 2 || send(c->fd, "b\n", 2, 0) != 2) {
        tell(c, "%s", answer(-1));
        return;
    }
    /* Under TLS nothing can be out of band: the records would be broken. */
    if (c->socket == NULL && strcmp(ask(c, "urgent"), "!") == 0 && strcmp(ask(c, "line"), "ab") == 0) {
        tell(c, "is out of band");
    } else {
        tell(c, strcmp(ask(c, "line"), "a!b") == 0 ? "stays in the stream" : "is lost");
    }
}

/* Sends until there is no room left anywhere; how much that was. */
static size_t fill(struct connection *c)
{
    static unsigned char buffer[65536];
    struct pollfd entry = {.fd = c->fd, .events = POLLOUT};
    size_t total = 0;

    do {
        for (;;) {
            size_t sent = c->sent;
            ssize_t count;
            next_bytes(c, buffer, sizeof buffer);
            count = send(c->fd, buffer, sizeof buffer, 0);
            if (count < 0) {
                CHECK(errno == EAGAIN);
                c->sent = sent;
                break;
            }
            c->sent = sent + (size_t)count;
            total += (size_t)count;
            CHECK(total < (size_t)256 << 20);
        }
    } while (poll(&entry, 1, SETTLED_MS) != 0);
    tell(c, "EAGAIN");
    return total;
}

static void filling(struct connection *c)
{
    struct pollfd entry = {.fd = c->fd, .events = POLLIN | POLLOUT};
    size_t total;

    upgrade_here(c);
    set_nonblocking(c->fd);
    total = fill(c);
    CHECK(poll(&entry, 1, 0) >= 0);
    tell(c, "%s", events_text((unsigned)entry.revents));
    peer_takes(c, total);
    tell(c, "%s", events_text((unsigned)await_events(c->fd, POLLOUT)));
    total = fill(c);
    peer_takes(c, total);
}

static void time_limit(struct connection *c, int before)
{
    struct timeval limit = {.tv_usec = 100000};
    size_t total;

    if (before) {
        CHECK(setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0);
    }
    upgrade_here(c);
    if (!before) {
        CHECK(setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0);
    }
    total = fill(c);
    /* Nothing is lost by it, and nothing is sent twice. */
    peer_takes(c, total);
}

static void time_limit_before(struct connection *c)
{
    time_limit(c, 1);
}

static void time_limit_after(struct connection *c)
{
    time_limit(c, 0);
}

/* A TCP socket can be mapped, to receive without copying. */
static const char *mapped_file(int fd)
{
    return mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? answer(-1) : "works";
}

static void without_copying(struct connection *c)
{
    unsigned char buffer[100];
    char control[256];
    struct msghdr message = {.msg_control = control, .msg_controllen = sizeof control};
    int on = 1;

    upgrade_here(c);
    next_bytes(c, buffer, sizeof buffer);
    if (setsockopt(c->fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on) != 0) {
        tell(c, "%s", answer(-1));
        tell(c, "%s", mapped_file(c->fd));
        return;
    }
    CHECK(send(c->fd, buffer, sizeof buffer, MSG_ZEROCOPY) == (ssize_t)sizeof buffer);
    peer_takes(c, sizeof buffer);
    CHECK(await_events(c->fd, 0) == POLLERR);
    CHECK(recvmsg(c->fd, &message, MSG_ERRQUEUE) == 0);
    CHECK(message.msg_controllen >= CMSG_LEN(sizeof(struct sock_extended_err)));
    CHECK(((struct sock_extended_err *)CMSG_DATA(CMSG_FIRSTHDR(&message)))->ee_origin == SO_EE_ORIGIN_ZEROCOPY);
    tell(c, "works");
    tell(c, "%s", mapped_file(c->fd));
}

const struct probe sending_probes[] = {
    {"`write`, `writev`, `pwritev2`", writing},
    {"`send`, `sendto`, `sendmsg`, `sendmmsg`, `MSG_MORE`", sending},
    {"`sendto` with an address", sending_to_an_address},
    {"`sendfile`", sending_a_file},
    {"`splice` from a pipe", splicing},
    {"byte sent with `MSG_OOB`", urgent},
    {"`send` until the peer is full", filling},
    {"`SO_SNDTIMEO` set before", time_limit_before},
    {"`SO_SNDTIMEO` set after", time_limit_after},
    {"`SO_ZEROCOPY`, `mmap`", without_copying},
    {NULL, NULL},
};
