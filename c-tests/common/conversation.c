#define _POSIX_C_SOURCE 200809L

#include "conversation.h"

#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "check.h"

static _Noreturn void fail_at(const char *file, int line, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "%s:%d: ", file, line);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

static int begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Whether the text is these words, or begins with them and a space: "." ends a mail, ".." begins a line of it. */
static int begins_with_words(const char *text, const char *words)
{
    return begins_with(text, words) && (text[strlen(words)] == '\0' || text[strlen(words)] == ' ');
}

const char *talk_variable(const char *name)
{
    const char *value = getenv(name);

    if (value == NULL || *value == '\0') {
        SKIP("%s is not set", name);
    }
    return value;
}

int talk_connect_at(const char *file, int line, const char *variable)
{
    char host[256];
    const char *address = talk_variable(variable);
    const char *colon = strrchr(address, ':');
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    struct timeval patience = {.tv_sec = TALK_SECONDS};
    int error;
    int fd;

    if (colon == NULL || (size_t)(colon - address) >= sizeof host) {
        fail_at(file, line, "%s is \"%s\" instead of host:port", variable, address);
    }
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = '\0';

    error = getaddrinfo(host, colon + 1, &hints, &found);
    if (error != 0) {
        fail_at(file, line, "%s: %s", address, gai_strerror(error));
    }
    fd = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        fail_at(file, line, "%s: %s", address, strerror(errno));
    }
    freeaddrinfo(found);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0) {
        fail_at(file, line, "setsockopt: %s", strerror(errno));
    }
    return fd;
}

void talk_send_at(const char *file, int line, int fd, const char *format, ...)
{
    char text[TALK_LINE];
    va_list arguments;
    size_t sent = 0;
    size_t length;
    int printed;

    va_start(arguments, format);
    printed = vsnprintf(text, sizeof text - 2, format, arguments);
    va_end(arguments);
    if (printed < 0 || (size_t)printed >= sizeof text - 2) {
        fail_at(file, line, "the line to send is too long");
    }
    length = (size_t)printed;
    memcpy(text + length, "\r\n", 2);
    length += 2;

    while (sent < length) {
        ssize_t count = send(fd, text + sent, length - sent, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            fail_at(file, line, "send: %s", strerror(errno));
        }
        sent += (size_t)count;
    }
}

void talk_line_at(const char *file, int line, int fd, char *text)
{
    size_t length = 0;

    for (;;) {
        char byte;
        ssize_t count = recv(fd, &byte, 1, 0);

        text[length] = '\0';
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            fail_at(file, line, "recv: %s, after \"%s\"", strerror(errno), text);
        }
        if (count == 0) {
            fail_at(file, line, "the peer ended the conversation after \"%s\"", text);
        }
        if (byte == '\n') {
            break;
        }
        if (length == TALK_LINE - 1) {
            fail_at(file, line, "the line has no end: \"%s\"", text);
        }
        text[length++] = byte;
    }
    if (length > 0 && text[length - 1] == '\r') {
        text[length - 1] = '\0';
    }
}

void talk_expect_at(const char *file, int line, int fd, const char *prefix)
{
    char text[TALK_LINE];

    talk_line_at(file, line, fd, text);
    if (!begins_with(text, prefix)) {
        fail_at(file, line, "got \"%s\" instead of \"%s...\"", text, prefix);
    }
}

size_t talk_until_at(const char *file, int line, int fd, const char *last, const char *refusal, const char *wanted)
{
    char text[TALK_LINE];
    size_t found = 0;
    int done;

    do {
        talk_line_at(file, line, fd, text);
        done = begins_with_words(text, last);
        if (!done && refusal != NULL && begins_with(text, refusal)) {
            fail_at(file, line, "got \"%s\" instead of \"%s\"", text, last);
        }
        if (strstr(text, wanted) != NULL) {
            found++;
        }
    } while (!done);
    return found;
}

void talk_expect_end_at(const char *file, int line, int fd)
{
    char byte;
    ssize_t count = recv(fd, &byte, 1, 0);

    if (count < 0) {
        fail_at(file, line, "recv: %s instead of the end", strerror(errno));
    }
    if (count > 0) {
        fail_at(file, line, "got the byte 0x%02x instead of the end", (unsigned char)byte);
    }
}
