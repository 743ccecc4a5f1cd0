#include "upgrade.h"

#include <stdarg.h>
#include <stdio.h>

#include "check.h"
#include "conversation.h"
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
