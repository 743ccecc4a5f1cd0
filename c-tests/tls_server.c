/*
 * A server for other people's clients (tests/server_clients.py): one connection after the other, and a line on standard
 * output for everything that it saw.
 *
 * tls_server [--smtp] [--explicit] [--flags N] [--identity CHAIN KEY]... [--trust FILE]... [--hook ANSWER]
 *            [--alpn NAME]... [--versions MIN MAX] [--key-log FILE] [--timeout MS]
 *
 * It ends at the end of its standard input. Without --smtp a connection begins with the handshake. Then each line is
 * answered: GET as HTTP, QUIT with an end, everything else with itself; with --smtp as a mail server does.
 */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sslsock.h>

#include "common/check.h"

enum { LINE = 1024, MOST = 8 };

struct options {
    int smtp;
    uint32_t flags;
    const char *identities[MOST][2];
    int identity_count;
    const char *trusted[MOST];
    int trusted_count;
    int hooked;
    int32_t answer;
    unsigned char alpn[LINE];
    size_t alpn_length;
    uint16_t oldest, newest;
    const char *key_log;
    uint32_t timeout;
};

/* One connection: `tls` is NULL as long as it is in clear. */
struct conversation {
    int fd;
    ssl_socket *s;
    ssl_socket *tls;
    int explicit_io;
};

static void tell(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

static void tell_error(const char *what, ssl_socket *s)
{
    char text[4096] = "";
    size_t length = 0;
    ssl_error_info info = {.size = sizeof info};

    ssl_get_error_text(s, text, sizeof text, &length);
    ssl_get_error_info(s, &info);
    tell("%s %s %d %s", what, ssl_error_name(info.code), info.tls_alert, text);
}

static void check_set(int32_t result, const char *what)
{
    if (result != SSL_ERR_OKAY) {
        tell_error("refused", NULL);
        FAIL("%s", what);
    }
}

static void parse(struct options *o, int argc, char **argv)
{
    int i = 1;

    memset(o, 0, sizeof *o);
    o->flags = SSL_FLAG_SERVER | SSL_FLAG_DEFER_HANDSHAKE;
    while (i < argc) {
        const char *name = argv[i++];
        int takes = strcmp(name, "--smtp") == 0 || strcmp(name, "--explicit") == 0                      ? 0
                    : strcmp(name, "--identity") == 0 || strcmp(name, "--versions") == 0 ? 2
                                                                                         : 1;
        char **value = argv + i;

        CHECK(i + takes <= argc);
        i += takes;
        if (strcmp(name, "--smtp") == 0) {
            o->smtp = 1;
        } else if (strcmp(name, "--explicit") == 0) {
            o->flags |= SSL_FLAG_EXPLICIT_IO;
        } else if (strcmp(name, "--flags") == 0) {
            o->flags |= (uint32_t)strtoul(value[0], NULL, 0);
        } else if (strcmp(name, "--identity") == 0) {
            CHECK(o->identity_count < MOST);
            o->identities[o->identity_count][0] = value[0];
            o->identities[o->identity_count++][1] = value[1];
        } else if (strcmp(name, "--trust") == 0) {
            CHECK(o->trusted_count < MOST);
            o->trusted[o->trusted_count++] = value[0];
        } else if (strcmp(name, "--hook") == 0) {
            o->hooked = 1;
            o->answer = (int32_t)strtol(value[0], NULL, 0);
        } else if (strcmp(name, "--alpn") == 0) {
            size_t length = strlen(value[0]);

            CHECK(length < 256 && o->alpn_length + length + 1 < sizeof o->alpn);
            o->alpn[o->alpn_length++] = (unsigned char)length;
            memcpy(o->alpn + o->alpn_length, value[0], length);
            o->alpn_length += length;
        } else if (strcmp(name, "--versions") == 0) {
            o->oldest = (uint16_t)strtoul(value[0], NULL, 0);
            o->newest = (uint16_t)strtoul(value[1], NULL, 0);
        } else if (strcmp(name, "--key-log") == 0) {
            o->key_log = value[0];
        } else if (strcmp(name, "--timeout") == 0) {
            o->timeout = (uint32_t)strtoul(value[0], NULL, 0);
        } else {
            FAIL("unknown option %s", name);
        }
    }
}

static int32_t hook(uint32_t type, void *arg, uint32_t chain_len, const ssl_blob *chain, uint32_t flags)
{
    const struct options *o = arg;

    tell("hook type=%u count=%u size=%u flags=%u", type, chain_len, chain[0].cbSize, flags);
    return o->answer;
}

static void configure(ssl_socket *s, struct options *o)
{
    int i;

    check_set(ssl_set_flags(s, o->flags), "flags");
    for (i = 0; i < o->identity_count; i++) {
        const char *chain = o->identities[i][0], *key = o->identities[i][1];
        int32_t set = i == 0 ? ssl_set_identity_file(s, chain, key) : ssl_add_identity_file(s, chain, key);

        check_set(set, "identity");
    }
    for (i = 0; i < o->trusted_count; i++) {
        check_set(ssl_add_trust_file(s, o->trusted[i]), "trust");
    }
    if (o->hooked) {
        check_set(ssl_set_validate_cert_hook(s, hook, o), "hook");
    }
    check_set(ssl_set_alpn(s, o->alpn, o->alpn_length), "alpn");
    if (o->oldest != 0) {
        check_set(ssl_set_protocols(s, o->oldest, o->newest), "versions");
    }
    if (o->key_log != NULL) {
        check_set(ssl_set_key_log_file(s, o->key_log), "key log");
    }
    if (o->timeout != 0) {
        check_set(ssl_set_timeout(s, SSL_TIMEOUT_HANDSHAKE, o->timeout), "timeout");
    }
}

static void tell_session(ssl_socket *s)
{
    ssl_session_info info = {.size = sizeof info};
    char name[256] = "";
    size_t length = 0;

    CHECK(ssl_get_session_info(s, &info) == SSL_ERR_OKAY);
    CHECK(ssl_get_server_name(s, name, sizeof name, &length) == SSL_ERR_OKAY);
    CHECK(length == strlen(name) + 1);
    tell("session %s resumed=%d alpn=%.*s name=%s group=%s", info.protocol_name, info.resumed, info.alpn_len,
         (const char *)info.alpn, name, info.group_name);
}

/* What is known of the client's certificate, if it has shown one. */
static void tell_peer(ssl_socket *s)
{
    ssl_verify_report report = {.size = sizeof report};
    char subject[512] = "", expected[8] = "?";
    unsigned char der[8192];
    size_t length = 0;

    if (ssl_get_verify_report(s, &report) != SSL_ERR_OKAY) {
        CHECK(ssl_get_peer_certificate(s, 0, der, sizeof der, &length) == SSL_ERR_STATE);
        tell("peer none");
        return;
    }
    CHECK(ssl_get_peer_certificate(s, 0, der, sizeof der, &length) == SSL_ERR_OKAY && length > 100);
    CHECK(ssl_get_verify_text(s, SSL_TEXT_SUBJECT, 0, subject, sizeof subject, &length) == SSL_ERR_OKAY);
    CHECK(ssl_get_verify_text(s, SSL_TEXT_EXPECTED, 0, expected, sizeof expected, &length) == SSL_ERR_OKAY);
    tell("peer verdict=%u causes=%u chain=%u expected=%s subject=%s", report.verdict, report.causes, report.chain_len,
         expected, subject);
}

static int32_t start_tls(struct conversation *c)
{
    int32_t result = ssl_perform_handshake(c->s, NULL);

    if (result != SSL_ERR_OKAY) {
        tell_error("failed", c->s);
    } else {
        c->tls = c->s;
        tell_session(c->s);
    }
    tell_peer(c->s);
    return result;
}

static void say(struct conversation *c, const char *text)
{
    size_t length = strlen(text);

    while (length > 0) {
        ssize_t sent = c->tls != NULL && c->explicit_io ? ssl_send(c->tls, text, length, 0)
                                                        : send(c->fd, text, length, MSG_NOSIGNAL);

        if (sent <= 0) {
            return;
        }
        text += sent;
        length -= (size_t)sent;
    }
}

/* A line without its end, byte by byte: in clear nothing may be read ahead. 0 at the end of the connection. */
static int hear(struct conversation *c, char *line)
{
    size_t length = 0;

    while (length < LINE - 1) {
        char byte;
        ssize_t received = c->tls != NULL && c->explicit_io ? ssl_recv(c->tls, &byte, 1, 0) : recv(c->fd, &byte, 1, 0);

        if (received <= 0) {
            tell("end %zd", received);
            return 0;
        }
        if (byte == '\n') {
            break;
        }
        if (byte != '\r') {
            line[length++] = byte;
        }
    }
    line[length] = '\0';
    return 1;
}

/* Answers a line; 0 when the conversation is over. */
static int answer_mail(struct conversation *c, const char *line)
{
    if (strncasecmp(line, "EHLO", 4) == 0) {
        say(c, c->tls != NULL ? "250-server.test\r\n250 8BITMIME\r\n" : "250-server.test\r\n250 STARTTLS\r\n");
    } else if (strcasecmp(line, "STARTTLS") == 0 && c->tls == NULL) {
        say(c, "220 go ahead\r\n");
        return start_tls(c) == SSL_ERR_OKAY;
    } else if (strcasecmp(line, "DATA") == 0) {
        char text[LINE];

        say(c, "354 go ahead\r\n");
        while (hear(c, text) && strcmp(text, ".") != 0) {
            tell("data %s", text);
        }
        say(c, "250 taken\r\n");
    } else if (strcasecmp(line, "QUIT") == 0) {
        say(c, "221 bye\r\n");
        return 0;
    } else {
        say(c, "250 fine\r\n");
    }
    return 1;
}

static int answer(struct conversation *c, const char *line)
{
    char rest[LINE + 2];

    if (strncmp(line, "GET ", 4) == 0) {
        while (hear(c, rest) && rest[0] != '\0') {
        }
        say(c, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n");
        return 0;
    }
    if (strcmp(line, "QUIT") == 0) {
        return 0;
    }
    snprintf(rest, sizeof rest, "%s\r\n", line);
    say(c, rest);
    return 1;
}

static void serve(int fd, struct options *o)
{
    struct conversation c = {fd, ssl_socket_new(fd), NULL, (o->flags & SSL_FLAG_EXPLICIT_IO) != 0};
    char line[LINE];

    CHECK(c.s != NULL);
    configure(c.s, o);
    if (o->smtp) {
        say(&c, "220 server.test ESMTP\r\n");
    }
    if (o->smtp || start_tls(&c) == SSL_ERR_OKAY) {
        while (hear(&c, line)) {
            tell("line %s%s", c.tls == NULL ? "(in clear) " : "", line);
            if (!(o->smtp ? answer_mail(&c, line) : answer(&c, line))) {
                break;
            }
        }
    }
    CHECK(ssl_socket_free(c.s) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0);
    tell("closed");
}

int main(int argc, char **argv)
{
    struct options o;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct pollfd waiting[2] = {{.fd = listener, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};

    parse(&o, argc, argv);
    CHECK(bind(listener, (struct sockaddr *)&address, length) == 0);
    CHECK(listen(listener, 16) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    tell("listening %d", ntohs(address.sin_port));
    for (;;) {
        CHECK(poll(waiting, 2, -1) > 0 || errno == EINTR);
        if (waiting[0].revents != 0) {
            serve(accept(listener, NULL, NULL), &o);
        } else if (waiting[1].revents != 0) {
            return 0;
        }
    }
}
