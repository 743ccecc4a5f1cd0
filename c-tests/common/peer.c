#define _GNU_SOURCE

#include "peer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define PATIENCE_MS 20000
#define PERIOD 251

static const char *variable_value(const char *name)
{
    const char *value = getenv(name);

    if (value == NULL || *value == '\0') {
        SKIP("%s is not set", name);
    }
    return value;
}

const char *pki_file(const char *name)
{
    static _Thread_local char path[4096];

    snprintf(path, sizeof path, "%s/%s", variable_value("SSLSOCK_PKI"), name);
    return path;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    CHECK(strlen(path) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        FAIL("%s: %s", path, strerror(errno));
    }
    return fd;
}

int peer_connect(const char *variable)
{
    return peer_connect_with(variable, 0);
}

int peer_connect_with(const char *variable, int receive_buffer)
{
    const char *where = variable_value(variable);
    const char *colon = strrchr(where, ':');
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST};
    struct addrinfo *found;
    char host[64];
    int error;
    int fd;

    if (where[0] == '/') {
        return connect_unix(where);
    }
    CHECK(colon != NULL && (size_t)(colon - where) < sizeof host);
    memcpy(host, where, (size_t)(colon - where));
    host[colon - where] = '\0';
    error = getaddrinfo(host, colon + 1, &hints, &found);
    if (error != 0) {
        FAIL("%s: %s", where, gai_strerror(error));
    }
    fd = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
    if (fd >= 0 && receive_buffer != 0) {
        CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer) == 0);
    }
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        FAIL("%s: %s", where, strerror(errno));
    }
    freeaddrinfo(found);
    return fd;
}

const char *peer_ticket(void)
{
    static char ticket[64];

    if (ticket[0] == '\0') {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        snprintf(ticket, sizeof ticket, "%ld-%ld%09ld", (long)getpid(), (long)now.tv_sec, now.tv_nsec);
    }
    return ticket;
}

int peer_connect_in_clear(const char *variable)
{
    static const char expected[] = "220 go ahead\r\n";
    char line[128];
    int length = snprintf(line, sizeof line, "STARTTLS %s\n", peer_ticket());
    int fd = peer_connect(variable);

    send_all(fd, line, (size_t)length);
    CHECK(recv(fd, line, sizeof expected - 1, MSG_WAITALL) == sizeof expected - 1);
    CHECK(memcmp(line, expected, sizeof expected - 1) == 0);
    return fd;
}

void peer_saw_only_tls(void)
{
    struct seen seen = peer_result();

    if (strcmp(seen.end, "nothing but TLS") != 0) {
        FAIL("of %zu bytes the peer saw %s", seen.bytes, seen.end);
    }
}

struct seen peer_result(void)
{
    struct seen seen;
    char answer[512];
    size_t length = 0;
    ssize_t count;
    int fd = peer_connect("SSLSOCK_PEER_RESULTS");

    length = (size_t)snprintf(answer, sizeof answer, "%s\n", peer_ticket());
    send_all(fd, answer, length);
    length = 0;
    while ((count = recv(fd, answer + length, sizeof answer - 1 - length, 0)) > 0) {
        length += (size_t)count;
    }
    close(fd);
    answer[length] = '\0';
    if (sscanf(answer, "%zu %255[^\n]", &seen.bytes, seen.end) != 2) {
        FAIL("the peer does not say what it saw: \"%s\"", answer);
    }
    return seen;
}

void peer_got(size_t bytes)
{
    struct seen seen = peer_result();

    if (seen.bytes != bytes || strcmp(seen.end, "close_notify") != 0) {
        FAIL("the peer got %zu bytes and %s instead of %zu and close_notify", seen.bytes, seen.end, bytes);
    }
}

void peer_go(void)
{
    char name[80];
    int fd = peer_connect("SSLSOCK_PEER_RESULTS");
    int length = snprintf(name, sizeof name, "+%s-go\n", peer_ticket());

    send_all(fd, name, (size_t)length);
    close(fd);
}

void pattern_fill(unsigned char *buffer, size_t length, size_t offset)
{
    for (size_t i = 0; i < length; i++) {
        buffer[i] = (unsigned char)((offset + i) % PERIOD);
    }
}

int pattern_matches(const unsigned char *buffer, size_t length, size_t offset)
{
    for (size_t i = 0; i < length; i++) {
        if (buffer[i] != (unsigned char)((offset + i) % PERIOD)) {
            return 0;
        }
    }
    return 1;
}

short await_events(int fd, short events)
{
    struct pollfd entry = {.fd = fd, .events = events};
    int ready;

    do {
        ready = poll(&entry, 1, PATIENCE_MS);
    } while (ready < 0 && errno == EINTR);
    if (ready != 1) {
        FAIL("poll(%#x): %s", (unsigned)events, ready == 0 ? "nothing in 20 s" : strerror(errno));
    }
    return entry.revents;
}

void send_all(int fd, const void *buffer, size_t length)
{
    size_t sent = 0;

    while (sent < length) {
        ssize_t count = send(fd, (const char *)buffer + sent, length - sent, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0 && errno == EAGAIN) {
            await_events(fd, POLLOUT);
            continue;
        }
        if (count < 0) {
            FAIL("send after %zu bytes: %s", sent, strerror(errno));
        }
        sent += (size_t)count;
    }
}

void send_pattern(int fd, size_t length)
{
    unsigned char buffer[64 * PERIOD];

    pattern_fill(buffer, sizeof buffer, 0);
    for (size_t sent = 0; sent < length;) {
        size_t piece = length - sent < sizeof buffer ? length - sent : sizeof buffer;
        send_all(fd, buffer, piece);
        sent += piece;
    }
}

void receive_pattern(int fd, size_t length, size_t offset)
{
    unsigned char buffer[16384];
    size_t received = 0;

    while (received < length) {
        size_t piece = length - received < sizeof buffer ? length - received : sizeof buffer;
        ssize_t count = recv(fd, buffer, piece, 0);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0 && errno == EAGAIN) {
            await_events(fd, POLLIN);
            continue;
        }
        if (count <= 0) {
            FAIL("recv after %zu of %zu bytes: %s", received, length, count == 0 ? "the end" : strerror(errno));
        }
        if (!pattern_matches(buffer, (size_t)count, offset + received)) {
            FAIL("other bytes than the peer sent, after %zu", received);
        }
        received += (size_t)count;
    }
}

void expect_end(int fd)
{
    char byte;
    ssize_t count;

    do {
        await_events(fd, POLLIN);
        count = recv(fd, &byte, 1, 0);
    } while (count < 0 && (errno == EINTR || errno == EAGAIN));
    if (count != 0) {
        FAIL("recv gave %zd instead of the end: %s", count, count < 0 ? strerror(errno) : "a byte");
    }
}

void set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    CHECK(flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
}

long milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void sleep_ms(long ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

pid_t quiet_fork(void)
{
#ifdef __SANITIZE_ADDRESS__
    sleep_ms(200);
#endif
    return fork();
}

int open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    CHECK(folder != NULL);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        count += entry->d_name[0] != '.';
    }
    closedir(folder);
    /* Without the one just used. */
    return count - 1;
}

void await_descriptors(int count)
{
    long began = milliseconds();

    while (open_descriptors() != count) {
        if (milliseconds() - began > PATIENCE_MS) {
            FAIL("%d descriptors are open, and not %d", open_descriptors(), count);
        }
        sleep_ms(1);
    }
}
