#include "upgrade.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "conversation.h"
#include "peer.h"
#include "ways.h"

_Noreturn void upgrade_failed(const char *what, ssl_socket *s)
{
    char text[1024];
    size_t length = 0;

    if (ssl_get_error_text(s, text, sizeof text, &length) != SSL_ERR_OKAY) {
        snprintf(text, sizeof text, "no text");
    }
    FAIL("%s: %s: %s", what, ssl_error_name(ssl_get_error(s)), text);
}

void expect_error_text(ssl_socket *s, const char *part)
{
    char text[2048] = "";
    size_t length = 0;

    CHECK(ssl_get_error_text(s, text, sizeof text, &length) == SSL_ERR_OKAY);
    if (strstr(text, part) == NULL) {
        FAIL("the text does not say \"%s\": %s", part, text);
    }
}

ssl_socket *upgrade(int fd, const char *name)
{
    return upgrade_with(fd, name, 0);
}

ssl_socket *upgrade_with(int fd, const char *name, uint32_t flags)
{
    char authority[TALK_LINE];
    ssl_socket *s = ssl_socket_new(fd);
    int length = snprintf(authority, sizeof authority, "%s/ca.pem", talk_variable("SSLSOCK_PKI"));

    CHECK(length > 0 && (size_t)length < sizeof authority);
    if (s == NULL) {
        upgrade_failed("ssl_socket_new", NULL);
    }
    if (ssl_set_flags(s, SSL_FLAG_DEFER_HANDSHAKE | flags) != SSL_ERR_OKAY) {
        upgrade_failed("ssl_set_flags", s);
    }
    if (ssl_add_trust_file(s, authority) != SSL_ERR_OKAY) {
        upgrade_failed(authority, s);
    }
    if (ssl_perform_handshake(s, name) != SSL_ERR_OKAY) {
        upgrade_failed("ssl_perform_handshake", s);
    }
    return s;
}

ssl_socket *upgrade_to_peer(int fd, const struct way *way, const char *format, ...)
{
    ssl_socket *s = upgrade_with(fd, "localhost", way->flags);
    char order[256];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(order, sizeof order - 1, format, arguments);
    va_end(arguments);
    CHECK(length > 0 && (size_t)length < sizeof order - 1);
    order[length++] = '\n';
    if (ssl_send(s, order, (size_t)length, 0) != length) {
        upgrade_failed("ssl_send", s);
    }
    return s;
}

void receive_through(ssl_socket *s, int fd, const struct way *way, size_t length, size_t offset)
{
    unsigned char buffer[8192];
    size_t received = 0;

    if ((way->flags & SSL_FLAG_EXPLICIT_IO) == 0) {
        receive_pattern(fd, length, offset);
        return;
    }
    while (received < length) {
        ptrdiff_t count = ssl_recv(s, buffer, length - received, 0);
        if (count <= 0) {
            upgrade_failed("ssl_recv", s);
        }
        CHECK(pattern_matches(buffer, (size_t)count, offset + received));
        received += (size_t)count;
    }
}

void send_through(ssl_socket *s, int fd, const struct way *way, const void *data, size_t length)
{
    if ((way->flags & SSL_FLAG_EXPLICIT_IO) == 0) {
        send_all(fd, data, length);
    } else {
        CHECK(ssl_send(s, data, length, 0) == (ptrdiff_t)length);
    }
}

void say_pattern(int fd, ssl_socket *s, const struct way *way, size_t length, size_t offset)
{
    unsigned char buffer[16384];

    for (size_t done = 0; done < length;) {
        size_t piece = length - done < sizeof buffer ? length - done : sizeof buffer;
        ptrdiff_t count = (ptrdiff_t)piece;
        pattern_fill(buffer, piece, offset + done);
        if (way->flags & SSL_FLAG_EXPLICIT_IO) {
            count = ssl_send(s, buffer, piece, 0);
            if (count <= 0) {
                upgrade_failed("ssl_send", s);
            }
        } else {
            send_all(fd, buffer, piece);
        }
        done += (size_t)count;
    }
}

void echo_with_peer(const struct way *way, size_t bytes)
{
    int fd = peer_connect(way->peer);
    ssl_socket *s = upgrade_to_peer(fd, way, "echo");

    for (size_t done = 0; done < bytes; done += 1000) {
        unsigned char received[1000];
        say_pattern(fd, s, way, sizeof received, done);
        if (way->flags & SSL_FLAG_EXPLICIT_IO) {
            CHECK(ssl_recv(s, received, sizeof received, MSG_WAITALL) == (ptrdiff_t)sizeof received);
            CHECK(pattern_matches(received, sizeof received, done));
        } else {
            receive_pattern(fd, sizeof received, done);
        }
    }
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0);
}
