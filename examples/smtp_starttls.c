/*
 * smtp_starttls: send a mail over a connection that starts in clear and becomes TLS in the middle.
 *
 *     smtp_starttls HOST:PORT [--name NAME] [--ca FILE] [--system-trust]
 *                   [--ehlo NAME] [--from A] [--to B] [--body TEXT]
 *
 * An SMTP session begins in plain text; after STARTTLS and the server's 220 both sides go on in
 * TLS. With sslsock that is four calls beside the program's own socket code:
 *
 *     ssl_socket_new               a handle for the socket
 *     ssl_set_flags                SSL_FLAG_DEFER_HANDSHAKE: plain text until we say so
 *     ssl_set_validate_cert_hook   we want to see the server's certificate
 *     ssl_perform_handshake        now
 *
 * After that the program sends and receives with plain send() and recv() on the descriptor that
 * it had from the start. Read main() first: it is the conversation, step by step.
 *
 *     cc smtp_starttls.c -lsslsock
 */
#define _POSIX_C_SOURCE 200809L

#include <sslsock.h>

#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM "smtp_starttls"

enum {
    IO_TIMEOUT_SECONDS = 60,
    LINE_MAX_OCTETS = 2048, /* RFC 5321 asks for 512; extensions add to it */
    REPLY_MAX_LINES = 100,
    TEXT_MAX_OCTETS = 998 /* of one line of a message, without its CR LF */
};

/* What the server's EHLO list offers, as far as we use it. */
enum { OFFERS_STARTTLS = 1, OFFERS_8BITMIME = 2 };

struct options {
    char host[256];
    char port[16];
    const char *name; /* the name the certificate must have */
    const char *ca_file;
    int system_trust;
    const char *ehlo;
    const char *from;
    const char *to;
    const char *body;
};

struct connection {
    int fd;
    ssl_socket *tls;
    int secured; /* for the display alone: nothing else changes */
};

static void parse_options(struct options *o, int argc, char **argv);
static int connect_to(const struct options *o);
static void prepare_tls(struct connection *c, const struct options *o);
static int32_t validate_cert(uint32_t type, void *arg, uint32_t chain_len,
                                      const ssl_blob *chain, uint32_t flags);
static void start_tls(struct connection *c, const struct options *o);
static void show_session(const struct connection *c);
static unsigned say_ehlo(struct connection *c, const char *name);
static void command(struct connection *c, int expected, const char *format, ...);
static void send_line(struct connection *c, const char *format, ...);
static unsigned read_reply(struct connection *c, int expected);
static void send_message(struct connection *c, const struct options *o);
static void close_connection(struct connection *c);
static int is_ascii(const char *text);

int main(int argc, char **argv)
{
    struct options o;
    struct connection c = {-1, NULL, 0};
    unsigned offers;

    /* Line by line, also into a file, so that it keeps its order among the messages on stderr. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    parse_options(&o, argc, argv);

    c.fd = connect_to(&o);
    prepare_tls(&c, &o);

    /* In clear, because the handshake is deferred. */
    read_reply(&c, 220);
    offers = say_ehlo(&c, o.ehlo);
    if ((offers & OFFERS_STARTTLS) == 0) {
        fprintf(stderr,
                PROGRAM ": the server does not offer STARTTLS; nothing was sent.\n"
                        "  What to do: ask for its submission port (often 587). If it used to offer\n"
                        "  STARTTLS, somebody between here and there may be hiding it.\n");
        exit(1);
    }
    command(&c, 220, "STARTTLS");

    start_tls(&c, &o);

    /* Under TLS. What the server said before counts for nothing (RFC 3207, 4.2): EHLO again. */
    offers = say_ehlo(&c, o.ehlo);
    if (is_ascii(o.body)) {
        command(&c, 250, "MAIL FROM:<%s>", o.from);
    } else if ((offers & OFFERS_8BITMIME) != 0) {
        command(&c, 250, "MAIL FROM:<%s> BODY=8BITMIME", o.from);
    } else {
        fprintf(stderr, PROGRAM ": the server takes ASCII only; nothing was sent.\n"
                                "  What to do: write --body without accents and the like.\n");
        exit(1);
    }
    command(&c, 250, "RCPT TO:<%s>", o.to);
    command(&c, 354, "DATA");
    send_message(&c, &o);
    read_reply(&c, 250);
    command(&c, 221, "QUIT");

    close_connection(&c);
    printf("\nThe mail is sent.\n");
    return 0;
}

/* ---- TLS: everything that has to do with sslsock ---------------------------------------- */

/*
 * Something of sslsock's failed: print its text, which says what happened, and what to do.
 * `tls` may be NULL: then it is this thread's last error.
 */
static void fail_tls(ssl_socket *tls, const char *doing)
{
    char text[2048];
    size_t len;
    int32_t code = ssl_get_error(tls);
    const char *advice;

    if (ssl_get_error_text(tls, text, sizeof text, &len) != SSL_ERR_OKAY)
        snprintf(text, sizeof text, "no further text");

    switch (code) {
    case SSL_ERR_CERT_UNKNOWN:
        advice = "if you trust this server's own CA, give its certificate with --ca FILE; if the\n"
                 "  certificate is for another name, and that is the name you mean, give --name NAME.";
        break;
    case SSL_ERR_NAME:
        advice = "give the name that the certificate is for with --name NAME, if you mean it.";
        break;
    case SSL_ERR_CERT_EXPIRED:
    case SSL_ERR_NOT_YET_VALID:
        advice = "compare this computer's clock; if it is right, the server needs a new certificate.";
        break;
    case SSL_ERR_TIMEOUT:
        advice = "try again; if it goes on, ask whether the server is up and the port is right.";
        break;
    case SSL_ERR_NOT_TLS:
    case SSL_ERR_EARLY_DATA:
        advice = "do not send anything secret here: the server is faulty, or somebody is between.";
        break;
    case SSL_ERR_TRUNCATED:
    case SSL_ERR_RESET:
        advice = "the connection was cut; look whether the mail arrived before sending it again.";
        break;
    default:
        advice = "see the text above; the code and its meaning are in docs/errors.md.";
        break;
    }

    fprintf(stderr, PROGRAM ": %s: %s (%s)\n  What to do: %s\n", doing, text,
            ssl_error_name(code), advice);
    exit(1);
}

/* Before the first byte, so that a mistake in the settings is seen before the server is bothered. */
static void prepare_tls(struct connection *c, const struct options *o)
{
    c->tls = ssl_socket_new(c->fd);
    if (c->tls == NULL)
        fail_tls(NULL, "preparing the socket");

    if (ssl_set_validate_cert_hook(c->tls, validate_cert, NULL) != SSL_ERR_OKAY)
        fail_tls(c->tls, "setting the certificate hook");
    if (ssl_set_flags(c->tls, SSL_FLAG_DEFER_HANDSHAKE) != SSL_ERR_OKAY)
        fail_tls(c->tls, "deferring the handshake");

    /* Without either of these the built-in roots of the public CAs are trusted. */
    if (o->system_trust && ssl_use_system_trust(c->tls) != SSL_ERR_OKAY)
        fail_tls(c->tls, "reading the system's CA certificates");
    if (o->ca_file != NULL && ssl_add_trust_file(c->tls, o->ca_file) != SSL_ERR_OKAY)
        fail_tls(c->tls, "reading the CA certificate");
}

/*
 * Called during the handshake with the server's certificate. The library has checked it by then:
 * SSL_CERT_FLAG_ISSUER_UNKNOWN is set if anything is wrong with it, be it the issuer, the name or
 * the dates. Our answer decides: SSL_ERR_OKAY here would accept it all the same.
 */
static int32_t validate_cert(uint32_t type, void *arg, uint32_t chain_len,
                                      const ssl_blob *chain, uint32_t flags)
{
    int trusted = (flags & SSL_CERT_FLAG_ISSUER_UNKNOWN) == 0;

    (void)arg;
    if (type != SSL_CERT_X509)
        return SSL_ERR_BAD_TYPE;
    if (chain_len < 1)
        return SSL_ERR_NO_CERT;

    printf("         the hook sees  a certificate of %lu octets, flags 0x%04lx: %s\n",
           (unsigned long)chain[0].cbSize, (unsigned long)flags,
           trusted ? "trusted" : "NOT trusted");
    return trusted ? SSL_ERR_OKAY : SSL_ERR_CERT_UNKNOWN;
}

/* Returns when the connection is TLS, or not at all. */
static void start_tls(struct connection *c, const struct options *o)
{
    printf("\n  -- TLS handshake on descriptor %d, for the name %s\n", c->fd, o->name);

    /*
     * A program must look at this answer, but one that does not is safe: after a failure the
     * socket is dead, and nothing it sends can leave in clear.
     */
    if (ssl_perform_handshake(c->tls, o->name) != SSL_ERR_OKAY)
        fail_tls(c->tls, "the TLS handshake");

    c->secured = 1;
    show_session(c);
}

static void print_text(FILE *out, const char *text, size_t len);

static void show_verify_text(const struct connection *c, const char *label, uint32_t what)
{
    char text[512];
    size_t len;
    uint32_t index;

    printf("         %-13s  ", label);
    for (index = 0; index < 100; index++) {
        if (ssl_get_verify_text(c->tls, what, index, text, sizeof text, &len) != SSL_ERR_OKAY)
            break; /* no more of them */
        if (index > 0)
            printf(", ");
        print_text(stdout, text, strlen(text));
        if (what != SSL_TEXT_PRESENTED)
            break; /* the only list */
    }
    printf("%s\n", index == 0 && what == SSL_TEXT_PRESENTED ? "none" : "");
}

static void format_date(char *buf, size_t size, int64_t seconds)
{
    time_t when = (time_t)seconds;
    struct tm utc;

    if (gmtime_r(&when, &utc) == NULL || strftime(buf, size, "%Y-%m-%d %H:%M UTC", &utc) == 0)
        snprintf(buf, size, "an unknown date");
}

static void show_session(const struct connection *c)
{
    static const char *const verdicts[] = {"not available", "trusted", "not trusted",
                                           "accepted by the hook, though not trusted"};
    ssl_session_info info;
    ssl_verify_report report;
    char from[64], until[64];

    memset(&info, 0, sizeof info);
    info.size = sizeof info;
    memset(&report, 0, sizeof report);
    report.size = sizeof report;
    if (ssl_get_session_info(c->tls, &info) != SSL_ERR_OKAY)
        fail_tls(c->tls, "asking for the session");
    if (ssl_get_verify_report(c->tls, &report) != SSL_ERR_OKAY)
        fail_tls(c->tls, "asking for the certificate's report");

    printf("         %-13s  %s%s\n", "protocol", info.protocol_name,
           info.resumed ? ", resumed" : "");
    printf("         %-13s  %s\n", "cipher suite", info.suite_name);
    printf("         %-13s  %s\n", "key exchange", info.group_name);

    show_verify_text(c, "certificate", SSL_TEXT_SUBJECT);
    show_verify_text(c, "for the names", SSL_TEXT_PRESENTED);
    show_verify_text(c, "issued by", SSL_TEXT_ISSUER);
    format_date(from, sizeof from, report.not_before);
    format_date(until, sizeof until, report.not_after);
    printf("         %-13s  %s to %s\n", "valid", from, until);
    printf("         %-13s  %s\n", "verdict",
           report.verdict < sizeof verdicts / sizeof *verdicts ? verdicts[report.verdict]
                                                               : "unknown");

    printf("         %-13s  ", "data path");
    switch (info.datapath) {
    case SSL_DATAPATH_TRANSPARENT_TCP:
        printf("plain send and recv on descriptor %d (a loopback TCP pair)\n\n", c->fd);
        break;
    case SSL_DATAPATH_TRANSPARENT_UNIX:
        printf("plain send and recv on descriptor %d (a Unix socket pair)\n\n", c->fd);
        break;
    case SSL_DATAPATH_EXPLICIT:
        printf("ssl_send and ssl_recv\n\n");
        break;
    default:
        printf("unknown (%lu)\n\n", (unsigned long)info.datapath);
        break;
    }
}

/* ---- the network: plain sockets, before and after the handshake alike -------------------- */

static void fail_network(const char *doing, const char *reason)
{
    fprintf(stderr,
            PROGRAM ": %s: %s\n  What to do: check the host, the port and the network, and try again.\n",
            doing, reason);
    exit(1);
}

/* send or recv failed: the library knows more of it than errno, once it has the socket. */
static void fail_io(struct connection *c, const char *doing)
{
    int problem = errno;

    if (c->secured && ssl_get_error(c->tls) != SSL_ERR_OKAY)
        fail_tls(c->tls, doing);
    if (problem == EAGAIN || problem == EWOULDBLOCK || problem == EINPROGRESS)
        fail_network(doing, "the server did not answer in time");
    fail_network(doing, strerror(problem));
}

static int connect_to(const struct options *o)
{
    struct timeval timeout = {IO_TIMEOUT_SECONDS, 0};
    struct addrinfo hints, *list, *a;
    int error, fd = -1;

    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    error = getaddrinfo(o->host, o->port, &hints, &list);
    if (error != 0)
        fail_network(o->host, gai_strerror(error));

    error = 0;
    for (a = list; a != NULL; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
        if (fd < 0) {
            error = errno;
            continue;
        }
        /* For every later send and recv, and on Linux for connect as well. */
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
        if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
            break;
        error = errno;
        close(fd);
        fd = -1;
    }
    freeaddrinfo(list);
    if (fd < 0)
        fail_network("connecting", error == EINPROGRESS ? "no answer in time" : strerror(error));

    printf("  -- connected to %s port %s\n\n", o->host, o->port);
    return fd;
}

static void send_all(struct connection *c, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(c->fd, bytes, len, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            fail_io(c, "sending");
        bytes += sent;
        len -= (size_t)sent;
    }
}

/*
 * Reads one line, without its CR LF. One octet at a time, so that nothing past the line is taken
 * from the socket: in clear, what follows the 220 to STARTTLS belongs to the handshake, and the
 * library refuses the connection if somebody slipped text in there. A reader with a buffer has to
 * check that it is empty before the handshake.
 */
static size_t read_line(struct connection *c, char *line, size_t capacity)
{
    size_t len = 0;

    for (;;) {
        char octet;
        ssize_t got = recv(c->fd, &octet, 1, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            fail_io(c, "receiving");
        if (got == 0)
            fail_network("receiving", "the server closed the connection");
        if (octet == '\n')
            break;
        if (len + 1 == capacity)
            fail_network("receiving", "the server's line is too long for an SMTP server's");
        line[len++] = octet;
    }
    if (len > 0 && line[len - 1] == '\r')
        len--;
    line[len] = '\0';
    return len;
}

static void close_connection(struct connection *c)
{
    char octet;

    /*
     * After the reply to QUIT the server ends its side: 0 is its signed goodbye (close_notify).
     * Many servers just hang up. All our replies are in, so that is nothing to fail for.
     */
    (void)recv(c->fd, &octet, 1, 0);

    /* The handle goes, TLS stays with the descriptor until close, which says goodbye for us. */
    ssl_socket_free(c->tls);
    close(c->fd);
}

/* ---- SMTP --------------------------------------------------------------------------------- */

/* What the other side wrote is not trusted with the terminal: control characters are shown. */
static void print_text(FILE *out, const char *text, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        unsigned char octet = (unsigned char)text[i];

        if (octet < 0x20 || octet == 0x7f)
            fprintf(out, "\\x%02x", octet);
        else
            putc(octet, out);
    }
}

static void show_line(const struct connection *c, char who, const char *line, size_t len)
{
    printf("%s  %c: ", c->secured ? "TLS  " : "clear", who);
    print_text(stdout, line, len);
    putchar('\n');
}

/* Sends one line; it must not contain CR or LF. */
static void send_formatted(struct connection *c, const char *format, va_list args)
{
    char line[LINE_MAX_OCTETS];
    int len = vsnprintf(line, sizeof line - 2, format, args);

    if (len < 0 || (size_t)len >= sizeof line - 2) {
        fprintf(stderr, PROGRAM ": a line to send is too long\n"
                                "  What to do: give shorter names and addresses.\n");
        exit(1);
    }
    show_line(c, 'C', line, (size_t)len);
    memcpy(line + len, "\r\n", 2);
    send_all(c, line, (size_t)len + 2);
}

static void send_line(struct connection *c, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    send_formatted(c, format, args);
    va_end(args);
}

static void command(struct connection *c, int expected, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    send_formatted(c, format, args);
    va_end(args);
    read_reply(c, expected);
}

static unsigned say_ehlo(struct connection *c, const char *name)
{
    send_line(c, "EHLO %s", name);
    return read_reply(c, 250);
}

static int same_keyword(const char *text, const char *keyword)
{
    for (; *keyword != '\0'; text++, keyword++) {
        char letter = *text;

        if (letter >= 'a' && letter <= 'z')
            letter = (char)(letter - 'a' + 'A');
        if (letter != *keyword)
            return 0;
    }
    return *text == '\0' || *text == ' ';
}

/*
 * Reads a reply of one or more lines: all but the last have a '-' after the code. The last one of
 * an EHLO list may be "250 OK", "250 HELP" or anything else. Returns what the lines offer.
 */
static unsigned read_reply(struct connection *c, int expected)
{
    char line[LINE_MAX_OCTETS], code[16];
    unsigned offers = 0;
    int lines;

    snprintf(code, sizeof code, "%d", expected);
    for (lines = 0; lines < REPLY_MAX_LINES; lines++) {
        size_t len = read_line(c, line, sizeof line);

        show_line(c, 'S', line, len);
        if (strncmp(line, code, 3) != 0) {
            fprintf(stderr, PROGRAM ": expected a reply of %s, the server said: ", code);
            print_text(stderr, line, len);
            fprintf(stderr, "\n  What to do: %s\n",
                    line[0] == '4' ? "try again later." : "see what the server objects to.");
            exit(1);
        }
        if (len > 4 && same_keyword(line + 4, "STARTTLS"))
            offers |= OFFERS_STARTTLS;
        if (len > 4 && same_keyword(line + 4, "8BITMIME"))
            offers |= OFFERS_8BITMIME;
        if (len == 3 || line[3] == ' ')
            return offers;
        if (line[3] != '-')
            break;
    }
    fail_network("receiving", "that is not the reply of an SMTP server");
    return 0;
}

/* Sends one line of the message. A leading dot is doubled: a dot alone would end the message. */
static void send_text_line(struct connection *c, const char *line, size_t len)
{
    send_line(c, "%s%.*s", len > 0 && line[0] == '.' ? "." : "", (int)len, line);
}

static void send_message(struct connection *c, const struct options *o)
{
    const char *line = o->body;
    char date[64];
    time_t now = time(NULL);
    struct tm utc;

    if (gmtime_r(&now, &utc) == NULL ||
        strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", &utc) == 0)
        snprintf(date, sizeof date, "Thu, 01 Jan 1970 00:00:00 +0000");

    send_line(c, "Date: %s", date);
    send_line(c, "From: <%s>", o->from);
    send_line(c, "To: <%s>", o->to);
    send_line(c, "Subject: Sent by " PROGRAM);
    send_line(c, "MIME-Version: 1.0");
    send_line(c, "Content-Type: text/plain; charset=utf-8");
    send_line(c, "Content-Transfer-Encoding: %s", is_ascii(o->body) ? "7bit" : "8bit");
    send_line(c, "%s", "");

    /* The body's lines may end in LF, CR LF or CR; on the wire it is always CR LF. */
    for (;;) {
        size_t len = strcspn(line, "\r\n");

        send_text_line(c, line, len);
        line += len;
        if (line[0] == '\r' && line[1] == '\n')
            line++;
        if (line[0] == '\0' || line[1] == '\0')
            break; /* the text, or its last line's end, is over */
        line++;
    }
    send_line(c, ".");
}

/* ---- options ------------------------------------------------------------------------------ */

static void usage(const char *problem, const char *what)
{
    fprintf(stderr,
            PROGRAM ": %s%s\n"
                    "usage: " PROGRAM " HOST:PORT [--name NAME] [--ca FILE] [--system-trust]\n"
                    "                     [--ehlo NAME] [--from A] [--to B] [--body TEXT]\n",
            problem, what);
    exit(1);
}

static int is_ascii(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text > 0x7e)
            return 0;
    return 1;
}

/* Names and addresses go into commands: a line's end in one would make two commands of it. */
static const char *checked_word(const char *option, const char *word)
{
    const char *p;

    if (*word == '\0')
        usage("an empty value for ", option);
    for (p = word; *p != '\0'; p++)
        if (*p <= ' ' || *p > '~' || *p == '<' || *p == '>')
            usage("spaces, <, > and other than ASCII are not allowed in ", option);
    return word;
}

static const char *checked_body(const char *body)
{
    const char *p = body;

    while (*p != '\0') {
        size_t len = strcspn(p, "\r\n");

        if (len > TEXT_MAX_OCTETS)
            usage("a mail's line has at most 998 octets; break the lines of ", "--body");
        p += len;
        p += strspn(p, "\r\n");
    }
    return body;
}

/* "mail.example:587", "192.0.2.1:587", "[2001:db8::1]:587" */
static void parse_address(struct options *o, const char *address)
{
    const char *host = address, *host_end, *port;

    if (*address == '[') {
        host = address + 1;
        host_end = strchr(host, ']');
        port = host_end != NULL && host_end[1] == ':' ? host_end + 2 : "";
    } else {
        host_end = strchr(host, ':');
        port = host_end != NULL ? host_end + 1 : "";
    }
    if (host_end == NULL || host_end == host || *port == '\0' || strchr(port, ':') != NULL)
        usage("HOST:PORT is wanted, with brackets around an IPv6 address, not ", address);
    if ((size_t)(host_end - host) >= sizeof o->host || strlen(port) >= sizeof o->port)
        usage("that is too long: ", address);

    memcpy(o->host, host, (size_t)(host_end - host));
    o->host[host_end - host] = '\0';
    memcpy(o->port, port, strlen(port) + 1);
}

static void parse_options(struct options *o, int argc, char **argv)
{
    int i;

    memset(o, 0, sizeof *o);
    o->ehlo = "client.example";
    o->from = "sender@client.example";
    o->to = "recipient@mail.test";
    o->body = "Hello,\n\nthis message began its way in clear and ended it under TLS.\n";

    for (i = 1; i < argc; i++) {
        const char *option = argv[i];

        if (strncmp(option, "--", 2) != 0) {
            if (o->host[0] != '\0')
                usage("one HOST:PORT only, not also ", option);
            parse_address(o, option);
            continue;
        }
        if (strcmp(option, "--system-trust") == 0) {
            o->system_trust = 1;
            continue;
        }
        if (i + 1 == argc)
            usage("a value is missing after ", option);
        i++;
        if (strcmp(option, "--name") == 0)
            o->name = checked_word(option, argv[i]);
        else if (strcmp(option, "--ca") == 0)
            o->ca_file = argv[i];
        else if (strcmp(option, "--ehlo") == 0)
            o->ehlo = checked_word(option, argv[i]);
        else if (strcmp(option, "--from") == 0)
            o->from = checked_word(option, argv[i]);
        else if (strcmp(option, "--to") == 0)
            o->to = checked_word(option, argv[i]);
        else if (strcmp(option, "--body") == 0)
            o->body = checked_body(argv[i]);
        else
            usage("unknown option ", option);
    }
    if (o->host[0] == '\0')
        usage("HOST:PORT is missing", "");
    if (o->name == NULL)
        o->name = o->host;
}
