/*
 * ftps: transfer files over FTP with TLS on both connections, that of the commands and those of the files.
 *
 *     ftps [--implicit] [--active] [--tls 1.2|1.3] [--trust FILE] [--name NAME]
 *          [--user USER] [--password PASSWORD] [--without-session] HOST PORT COMMAND...
 *
 *     list                 show the folder
 *     put LOCAL REMOTE     upload a file
 *     get REMOTE LOCAL     download a file
 *
 * as many of these as wanted, one after the other in one session. For example
 *
 *     ftps --user me --password secret ftp.example 21 put report.pdf report.pdf list
 *
 * FTP has a control connection, on which commands and answers go back and forth, and for each file or listing a data
 * connection of its own. With FTPS (RFC 4217) each of them becomes TLS by itself:
 *
 *     explicit    the control connection (port 21) begins in clear; AUTH TLS, and after the 234 the handshake
 *     implicit    the control connection (port 990) begins with the handshake
 *     PROT P      data connections are TLS too: in clear until the server has answered 150, then the handshake, in
 *                 which we are the TLS client even if it was the server that connected (--active)
 *
 * So that nobody else can slip into the data connection, servers demand that it resumes the TLS session of the control
 * connection (vsftpd: require_ssl_reuse). That is one call, ssl_set_session_from(), in secure_data_connection().
 *
 * On standard output: "C: " what we said, "S: " what the server answered, "entry: " a line of a listing, "resumed: yes"
 * or "no" for each data connection. The status is 0 only if everything worked. Read main() first, then transfer().
 *
 *     cc ftps.c -lsslsock
 */
#define _POSIX_C_SOURCE 200809L

#include <sslsock.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PROGRAM "ftps"

enum {
    IO_TIMEOUT_SECONDS = 60,
    LAST_ANSWER_SECONDS = 10, /* after a failure, for the server's explanation */
    LINE_MAX_OCTETS = 4096,
    REPLY_MAX_LINES = 1000,
    BLOCK_OCTETS = 65536 /* a file passes through memory in blocks of this size */
};

struct options {
    int implicit;
    int active;
    uint16_t tls; /* the only version allowed, 0: the library's choice */
    const char *trust_file;
    const char *name; /* the name the certificate must have */
    const char *user;
    const char *password;
    int without_session;
    const char *host;
    const char *port;
    char **commands;
    int command_words;
};

struct connection {
    int fd;
    ssl_socket *tls;
    int secured;
};

/* The last line of the server's answer. */
struct reply {
    int code;
    char text[LINE_MAX_OCTETS];
};

/* What is to be done with a data connection. */
typedef void carry_fn(struct connection *control, struct connection *data, FILE *file);

static void parse_options(struct options *o, int argc, char **argv);
static void connect_to_server(struct connection *c, const struct options *o);
static void prepare_tls(struct connection *c, const struct options *o, uint32_t more_flags);
static void start_tls(struct connection *c, const struct options *o);
static void log_in(struct connection *c, const struct options *o);
static void list(struct connection *c, const struct options *o);
static void put(struct connection *c, const struct options *o, const char *local, const char *remote);
static void get(struct connection *c, const struct options *o, const char *remote, const char *local);
static void command(struct connection *c, int expected, const char *format, ...);
static void expect(struct connection *c, int expected);
static void read_reply(struct connection *c, struct reply *r);
static void close_connection(struct connection *c);
static void remove_partial(void);

int main(int argc, char **argv)
{
    struct options o;
    struct connection c = {-1, NULL, 0};
    int i;

    /* Line by line, also into a pipe, so that it keeps its order among the messages on stderr. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    atexit(remove_partial);
    parse_options(&o, argc, argv);

    connect_to_server(&c, &o);
    prepare_tls(&c, &o, o.without_session ? SSL_FLAG_NO_RESUMPTION : 0);
    if (o.implicit) {
        start_tls(&c, &o);
        expect(&c, 220);
    } else {
        expect(&c, 220);
        command(&c, 234, "AUTH TLS");
        start_tls(&c, &o);
    }

    log_in(&c, &o);
    /* RFC 4217, section 9: the size of a buffer that TLS does not need, then TLS for the data, too. */
    command(&c, 200, "PBSZ 0");
    command(&c, 200, "PROT P");
    command(&c, 200, "TYPE I");
    command(&c, 257, "PWD");

    for (i = 0; i < o.command_words;) {
        if (strcmp(o.commands[i], "list") == 0) {
            list(&c, &o);
            i += 1;
        } else if (strcmp(o.commands[i], "put") == 0) {
            put(&c, &o, o.commands[i + 1], o.commands[i + 2]);
            i += 3;
        } else {
            get(&c, &o, o.commands[i + 1], o.commands[i + 2]);
            i += 3;
        }
    }

    command(&c, 221, "QUIT");
    close_connection(&c);
    return 0;
}

/* ---- what goes wrong ----------------------------------------------------------------------- */

/* What others wrote is not trusted with the terminal: control characters are shown. */
static void print_octet(FILE *out, int octet)
{
    if (octet < 0x20 || octet == 0x7f)
        fprintf(out, "\\x%02x", octet);
    else
        putc(octet, out);
}

static void print_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        print_octet(out, (unsigned char)*text);
}

static void fail(const char *doing, const char *reason, const char *advice)
{
    fprintf(stderr, PROGRAM ": %s: %s\n  What to do: %s\n", doing, reason, advice);
    exit(1);
}

static void fail_network(const char *doing, const char *reason)
{
    fail(doing, reason, "check the host, the port and the network, and try again.");
}

/* The server has refused: its answer, what that means in FTPS, and what to do. */
static void fail_refused(const struct reply *r)
{
    const char *meaning = "see what the server objects to.";

    switch (r->code) {
    case 421:
        meaning = "the server ends the session; try again later.";
        break;
    case 425:
        meaning = "the data connection could not be made. A firewall or an address translator may be between:\n"
                  "  use --active if you did not, leave it away if you did.";
        break;
    case 426:
        meaning = "the data connection was cut before its end: the transfer is not complete. Do it again.";
        break;
    case 431:
    case 500:
    case 502:
    case 504:
    case 534:
    case 536:
        meaning = "the server does not know or does not allow this. If that was AUTH TLS, it has no TLS on this port:\n"
                  "  ask for another one (with --implicit often 990).";
        break;
    case 522:
        meaning = "the server wants data connections that resume the TLS session of the control connection (then do\n"
                  "  not use --without-session), or with other TLS settings than ours.";
        break;
    case 530:
        meaning = "not logged in: check --user and --password.";
        break;
    case 450:
    case 550:
    case 553:
        meaning = "the server cannot or will not do this with that file: check its name and your rights there.";
        break;
    }
    fprintf(stderr, PROGRAM ": the server refuses: ");
    print_text(stderr, r->text);
    fprintf(stderr, "\n  What to do: %s\n", meaning);
    exit(1);
}

/* Something of sslsock's failed: its text says what happened. `tls` may be NULL: then it is this thread's last error. */
static void show_tls_error(ssl_socket *tls, const char *doing)
{
    char text[2048];
    size_t len;
    int32_t code = ssl_get_error(tls);
    const char *advice = "see the text above; the code and its meaning are in docs/errors.md.";

    if (ssl_get_error_text(tls, text, sizeof text, &len) != SSL_ERR_OKAY)
        snprintf(text, sizeof text, "no further text");

    switch (code) {
    case SSL_ERR_CERT_UNKNOWN:
        advice = "if you trust this server's own CA, give its certificate with --trust FILE.";
        break;
    case SSL_ERR_NAME:
        advice = "give the name that the certificate is for with --name NAME, if you mean it.";
        break;
    case SSL_ERR_NOT_RESUMED:
        advice = "the server does not let the data connection resume the session of the control connection. So it\n"
                 "  cannot tell by the session that both are yours. If you want the transfer all the same, use\n"
                 "  --without-session.";
        break;
    case SSL_ERR_NOT_TLS:
        advice = "do not send anything secret here. If the port is for TLS from the first byte, use --implicit.";
        break;
    case SSL_ERR_EARLY_DATA:
        advice = "do not send anything secret here: the server is faulty, or somebody is between.";
        break;
    case SSL_ERR_TRUNCATED:
    case SSL_ERR_RESET:
        advice = "the connection was cut: what came is not complete. Do it again.";
        break;
    }
    fprintf(stderr, PROGRAM ": %s: %s (%s)\n  What to do: %s\n", doing, text, ssl_error_name(code), advice);
}

static void fail_tls(ssl_socket *tls, const char *doing)
{
    show_tls_error(tls, doing);
    exit(1);
}

/* send or recv failed: the library knows more of it than errno, once it has the socket. */
static void show_io_error(struct connection *c, const char *doing)
{
    int problem = errno;

    if (c->secured && ssl_get_error(c->tls) != SSL_ERR_OKAY)
        show_tls_error(c->tls, doing);
    else
        fprintf(stderr, PROGRAM ": %s: %s\n", doing,
                problem == EAGAIN || problem == EWOULDBLOCK ? "the server did not go on in time" : strerror(problem));
}

/* A data connection failed and its reason has been shown. The server often knows it better, and says so on the control
 * connection. */
static void fail_transfer(struct connection *control, struct connection *data)
{
    struct timeval timeout = {LAST_ANSWER_SECONDS, 0};
    struct reply r;

    /* Without its end the server might wait for it. */
    close(data->fd);
    setsockopt(control->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    read_reply(control, &r);
    if (r.code >= 400)
        fail_refused(&r);
    exit(1);
}

/* ---- TLS: everything that has to do with sslsock ------------------------------------------- */

/* A handle for the socket, with the settings that are the same for both kinds of connection. */
static void prepare_tls(struct connection *c, const struct options *o, uint32_t more_flags)
{
    c->tls = ssl_socket_new(c->fd);
    if (c->tls == NULL)
        fail_tls(NULL, "preparing the socket");
    if (ssl_set_flags(c->tls, SSL_FLAG_DEFER_HANDSHAKE | more_flags) != SSL_ERR_OKAY)
        fail_tls(c->tls, "setting the flags");
    /* Without this the built-in roots of the public CAs are trusted. */
    if (o->trust_file != NULL && ssl_add_trust_file(c->tls, o->trust_file) != SSL_ERR_OKAY)
        fail_tls(c->tls, "reading the CA certificate");
    if (o->tls != 0 && ssl_set_protocols(c->tls, o->tls, o->tls) != SSL_ERR_OKAY)
        fail_tls(c->tls, "choosing the version of TLS");
}

static void get_session(struct connection *c, ssl_session_info *info)
{
    memset(info, 0, sizeof *info);
    info->size = sizeof *info;
    if (ssl_get_session_info(c->tls, info) != SSL_ERR_OKAY)
        fail_tls(c->tls, "asking for the session");
}

/* The control connection. What the server has said in clear until now counts for nothing. */
static void start_tls(struct connection *c, const struct options *o)
{
    ssl_session_info info;

    if (ssl_perform_handshake(c->tls, o->name) != SSL_ERR_OKAY)
        fail_tls(c->tls, "the TLS handshake of the control connection");
    c->secured = 1;
    get_session(c, &info);
    printf("tls: %s\n", info.protocol_name);
}

/*
 * A data connection, when the server has answered 150 and not before: until then it does not speak TLS there. Its
 * certificate has to be for the same name. The session comes from the control connection, and if the server does not
 * resume it, the handshake fails before a byte of the file leaves.
 */
static void secure_data_connection(struct connection *data, struct connection *control, const struct options *o)
{
    ssl_session_info info;

    prepare_tls(data, o, o->without_session ? SSL_FLAG_NO_RESUMPTION : SSL_FLAG_REQUIRE_RESUMPTION);
    if (!o->without_session && ssl_set_session_from(data->tls, control->tls) != SSL_ERR_OKAY)
        fail_tls(data->tls, "taking over the session of the control connection");
    if (ssl_perform_handshake(data->tls, o->name) != SSL_ERR_OKAY) {
        show_tls_error(data->tls, "the TLS handshake of the data connection");
        fail_transfer(control, data);
    }
    data->secured = 1;
    get_session(data, &info);
    printf("resumed: %s\n", info.resumed ? "yes" : "no");
}

/* After TLS has begun getpeername and getsockname answer the addresses of the library's inner pair: ask the library. */
static socklen_t address_of(struct connection *c, uint32_t which, struct sockaddr_storage *address)
{
    uint32_t len = sizeof *address;

    memset(address, 0, sizeof *address);
    if (ssl_get_address(c->tls, which, address, &len) != SSL_ERR_OKAY)
        fail_tls(c->tls, "asking for the address of the control connection");
    return (socklen_t)len;
}

/* The handle goes, TLS stays with the descriptor until close, which says goodbye (close_notify) for us. */
static void close_connection(struct connection *c)
{
    ssl_socket_free(c->tls);
    close(c->fd);
}

/* ---- the network: plain sockets, before and after the handshake alike ---------------------- */

static void set_timeouts(int fd)
{
    struct timeval timeout = {IO_TIMEOUT_SECONDS, 0};

    /* For every later send and recv, and on Linux for connect and accept as well. */
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
}

static const char *connect_error(int error)
{
    return error == EINPROGRESS || error == EAGAIN ? "no answer in time" : strerror(error);
}

static void connect_to_server(struct connection *c, const struct options *o)
{
    struct addrinfo hints, *list, *a;
    int error;

    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    error = getaddrinfo(o->host, o->port, &hints, &list);
    if (error != 0)
        fail_network(o->host, gai_strerror(error));
    for (a = list; a != NULL && c->fd < 0; a = a->ai_next) {
        c->fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
        if (c->fd < 0) {
            error = errno;
            continue;
        }
        set_timeouts(c->fd);
        if (connect(c->fd, a->ai_addr, a->ai_addrlen) != 0) {
            error = errno;
            close(c->fd);
            c->fd = -1;
        }
    }
    freeaddrinfo(list);
    if (c->fd < 0)
        fail_network("connecting", connect_error(error));
}

/* Answers whether everything could be sent. */
static int send_all(struct connection *c, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(c->fd, bytes, len, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return 0;
        bytes += sent;
        len -= (size_t)sent;
    }
    return 1;
}

static ssize_t receive(struct connection *c, char *bytes, size_t capacity)
{
    ssize_t got;

    do {
        got = recv(c->fd, bytes, capacity, 0);
    } while (got < 0 && errno == EINTR);
    return got;
}

/*
 * Reads one line of the control connection, without its CR LF. One octet at a time, so that nothing past the line is
 * taken from the socket: what follows the 234 to AUTH TLS belongs to the handshake.
 */
static void read_line(struct connection *c, char *line, size_t capacity)
{
    size_t len = 0;

    for (;;) {
        char octet;
        ssize_t got = receive(c, &octet, 1);

        if (got < 0) {
            show_io_error(c, "waiting for the server's answer");
            exit(1);
        }
        if (got == 0)
            fail_network("waiting for the server's answer", "it has closed the connection");
        if (octet == '\n')
            break;
        /* No line of FTP has a NUL. */
        if (octet == '\0' || len + 1 == capacity)
            fail_network("waiting for the server's answer", "that is not the answer of an FTP server");
        line[len++] = octet;
    }
    if (len > 0 && line[len - 1] == '\r')
        len--;
    line[len] = '\0';
    printf("S: ");
    print_text(stdout, line);
    putchar('\n');
}

static int code_of(const char *line)
{
    return strspn(line, "0123456789") == 3 ? atoi(line) : 0;
}

/* ---- FTP: commands and answers ------------------------------------------------------------- */

/* One or more lines: the first has a '-' after its code if more follow, and the last is the first with that code and a
 * space. In between anything may stand (RFC 959, section 4.2). */
static void read_reply(struct connection *c, struct reply *r)
{
    int lines, first = 0;

    for (lines = 0; lines < REPLY_MAX_LINES; lines++) {
        read_line(c, r->text, sizeof r->text);
        r->code = code_of(r->text);
        if (lines == 0)
            first = r->code;
        if (first == 0)
            break;
        if (r->code == first && r->text[3] != '-')
            return;
    }
    fail_network("waiting for the server's answer", "that is not the answer of an FTP server");
}

static void expect(struct connection *c, int expected)
{
    struct reply r;

    read_reply(c, &r);
    if (r.code != expected)
        fail_refused(&r);
}

static void send_formatted(struct connection *c, const char *format, va_list args)
{
    char line[LINE_MAX_OCTETS];
    int len = vsnprintf(line, sizeof line - 2, format, args);

    if (len < 0 || (size_t)len >= sizeof line - 2)
        fail("sending a command", "it is too long", "use shorter names.");
    printf("C: ");
    print_text(stdout, strncmp(line, "PASS ", 5) == 0 ? "PASS ***" : line);
    putchar('\n');
    memcpy(line + len, "\r\n", 2);
    if (!send_all(c, line, (size_t)len + 2)) {
        show_io_error(c, "sending a command");
        exit(1);
    }
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
    expect(c, expected);
}

static void log_in(struct connection *c, const struct options *o)
{
    struct reply r;

    send_line(c, "USER %s", o->user);
    read_reply(c, &r);
    if (r.code == 331) {
        send_line(c, "PASS %s", o->password);
        read_reply(c, &r);
    }
    if (r.code != 230 && r.code != 232)
        fail_refused(&r);
}

/* ---- FTP: data connections ----------------------------------------------------------------- */

static in_port_t *port_in(struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? &((struct sockaddr_in6 *)address)->sin6_port
                                          : &((struct sockaddr_in *)address)->sin_port;
}

static int same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family)
        return 0;
    if (a->ss_family == AF_INET6)
        return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr, &((const struct sockaddr_in6 *)b)->sin6_addr,
                      sizeof(struct in6_addr)) == 0;
    return ((const struct sockaddr_in *)a)->sin_addr.s_addr == ((const struct sockaddr_in *)b)->sin_addr.s_addr;
}

/* The server does not know the extended command (RFC 2428), so use the one of RFC 959: that is for IPv4 only. */
static int is_unknown(const struct reply *r)
{
    return r->code == 500 || r->code == 501 || r->code == 502 || r->code == 522;
}

/*
 * Passive: the server says on which port it waits. On which address we know: where the control connection goes to. The
 * one in the answer to PASV is often wrong behind address translation, and following it would let a server send us to a
 * third one.
 */
static int connect_passive(struct connection *control)
{
    struct sockaddr_storage server;
    socklen_t len = address_of(control, SSL_ADDRESS_PEER, &server);
    struct reply r;
    unsigned port = 0, part[6];
    const char *digits;
    int fd;

    send_line(control, "EPSV");
    read_reply(control, &r);
    if (is_unknown(&r) && server.ss_family == AF_INET) {
        send_line(control, "PASV");
        read_reply(control, &r);
    }
    if (r.code == 229 && (digits = strchr(r.text, '(')) != NULL)
        (void)sscanf(digits, "(%*c%*c%*c%5u", &port);
    else if (r.code == 227 && (digits = strpbrk(r.text + 4, "0123456789")) != NULL &&
             sscanf(digits, "%3u,%3u,%3u,%3u,%3u,%3u", &part[0], &part[1], &part[2], &part[3], &part[4], &part[5]) ==
                 6 && part[4] < 256 && part[5] < 256)
        port = part[4] * 256 + part[5];
    else if (r.code >= 400)
        fail_refused(&r);
    if (port == 0 || port > 65535)
        fail_network("opening a data connection", "the server's answer has no port");
    *port_in(&server) = htons((uint16_t)port);

    fd = socket(server.ss_family, SOCK_STREAM, 0);
    if (fd < 0)
        fail_network("opening a data connection", strerror(errno));
    set_timeouts(fd);
    if (connect(fd, (struct sockaddr *)&server, len) != 0)
        fail_network("opening a data connection", connect_error(errno));
    return fd;
}

/* Active: we listen, on the address from which the control connection goes out, and tell the server where. */
static int listen_active(struct connection *control)
{
    struct sockaddr_storage own;
    socklen_t len = address_of(control, SSL_ADDRESS_LOCAL, &own);
    char host[INET6_ADDRSTRLEN];
    struct reply r;
    unsigned port;
    char *dot;
    int fd;

    *port_in(&own) = 0;
    fd = socket(own.ss_family, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, len) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&own, &len) != 0 ||
        getnameinfo((struct sockaddr *)&own, len, host, sizeof host, NULL, 0, NI_NUMERICHOST) != 0)
        fail_network("listening for the data connection", strerror(errno));
    set_timeouts(fd);
    port = ntohs(*port_in(&own));
    host[strcspn(host, "%")] = '\0'; /* an IPv6 address without its interface */

    send_line(control, "EPRT |%d|%s|%u|", own.ss_family == AF_INET6 ? 2 : 1, host, port);
    read_reply(control, &r);
    if (is_unknown(&r) && own.ss_family == AF_INET) {
        while ((dot = strchr(host, '.')) != NULL)
            *dot = ',';
        send_line(control, "PORT %s,%u,%u", host, port / 256, port % 256);
        read_reply(control, &r);
    }
    if (r.code != 200)
        fail_refused(&r);
    return fd;
}

/* Whoever connects from elsewhere than the server is sent away. */
static int accept_active(struct connection *control, int listener)
{
    struct sockaddr_storage server, other;

    address_of(control, SSL_ADDRESS_PEER, &server);
    for (;;) {
        socklen_t len = sizeof other;
        int fd = accept(listener, (struct sockaddr *)&other, &len);

        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0)
            fail("waiting for the data connection",
                 errno == EAGAIN ? "the server did not connect in time" : strerror(errno),
                 "a firewall or an address translator may be between: leave --active away.");
        if (same_host(&server, &other)) {
            close(listener);
            set_timeouts(fd);
            return fd;
        }
        close(fd);
    }
}

/* One transfer: `verb` and `remote` are the command, `carry` has the data's bytes. */
static void transfer(struct connection *control, const struct options *o, const char *verb, const char *remote,
                     carry_fn *carry, FILE *file)
{
    struct connection data = {-1, NULL, 0};
    int listener = -1;
    struct reply r;

    if (o->active)
        listener = listen_active(control);
    else
        data.fd = connect_passive(control);

    /* 150, or 125 if the connection is there already: now the server begins with TLS on it. */
    send_line(control, "%s%s%s", verb, remote != NULL ? " " : "", remote != NULL ? remote : "");
    read_reply(control, &r);
    if (r.code != 150 && r.code != 125)
        fail_refused(&r);
    if (o->active)
        data.fd = accept_active(control, listener);
    secure_data_connection(&data, control, o);

    carry(control, &data, file);

    /* After an upload this is the end of the file. The server's answer says whether it has arrived. */
    close_connection(&data);
    read_reply(control, &r);
    if (r.code != 226 && r.code != 250)
        fail_refused(&r);
}

static void carry_listing(struct connection *control, struct connection *data, FILE *file)
{
    char block[BLOCK_OCTETS];
    int line_begins = 1;
    ssize_t got, i;

    (void)file;
    while ((got = receive(data, block, sizeof block)) > 0) {
        for (i = 0; i < got; i++) {
            if (block[i] == '\r')
                continue;
            if (line_begins)
                printf("entry: ");
            line_begins = block[i] == '\n';
            if (line_begins)
                putchar('\n');
            else
                print_octet(stdout, (unsigned char)block[i]);
        }
    }
    if (!line_begins)
        putchar('\n');
    if (got < 0) {
        show_io_error(data, "receiving the listing");
        fail_transfer(control, data);
    }
}

static void carry_upload(struct connection *control, struct connection *data, FILE *file)
{
    char block[BLOCK_OCTETS];
    size_t len;

    while ((len = fread(block, 1, sizeof block, file)) > 0) {
        if (!send_all(data, block, len)) {
            show_io_error(data, "sending the file");
            fail_transfer(control, data);
        }
    }
    if (ferror(file)) {
        /* An end in order, as exit would make it, too, would pass for the end of the file: break the connection off. */
        struct linger break_off = {1, 0};
        int problem = errno;

        setsockopt(data->fd, SOL_SOCKET, SO_LINGER, &break_off, sizeof break_off);
        close(data->fd);
        fail("reading the file", strerror(problem), "the server may have a part of it now: remove that there.");
    }
}

/* 0 is the server's own end of the file (close_notify). If the connection ends without it, recv fails. */
static void carry_download(struct connection *control, struct connection *data, FILE *file)
{
    char block[BLOCK_OCTETS];
    ssize_t got;

    while ((got = receive(data, block, sizeof block)) > 0)
        if (fwrite(block, 1, (size_t)got, file) != (size_t)got)
            fail("writing the file", strerror(errno), "see whether there is room for it.");
    if (got < 0) {
        show_io_error(data, "receiving the file");
        fail_transfer(control, data);
    }
}

static void list(struct connection *c, const struct options *o)
{
    transfer(c, o, "LIST", NULL, carry_listing, NULL);
}

static void put(struct connection *c, const struct options *o, const char *local, const char *remote)
{
    FILE *file = fopen(local, "rb");

    if (file == NULL)
        fail(local, strerror(errno), "check the name of the file.");
    transfer(c, o, "STOR", remote, carry_upload, file);
    fclose(file);
}

/* The part of a download that has not come to its end; taken away if it never does. */
static char partial[LINE_MAX_OCTETS];

static void remove_partial(void)
{
    if (partial[0] != '\0')
        unlink(partial);
}

/* The file has its name only when it is complete. */
static void get(struct connection *c, const struct options *o, const char *remote, const char *local)
{
    FILE *file;

    if ((size_t)snprintf(partial, sizeof partial, "%s.part", local) >= sizeof partial)
        fail("writing the file", "its name is too long", "use a shorter one.");
    file = fopen(partial, "wb");
    if (file == NULL) {
        int problem = errno;

        partial[0] = '\0';
        fail(local, strerror(problem), "check the name of the file.");
    }
    transfer(c, o, "RETR", remote, carry_download, file);
    if (fclose(file) != 0 || rename(partial, local) != 0)
        fail("writing the file", strerror(errno), "see whether there is room for it.");
    partial[0] = '\0';
}

/* ---- options ------------------------------------------------------------------------------- */

static void usage(const char *problem, const char *what)
{
    fprintf(stderr,
            PROGRAM ": %s%s\n"
                    "usage: " PROGRAM " [--implicit] [--active] [--tls 1.2|1.3] [--trust FILE] [--name NAME]\n"
                    "            [--user USER] [--password PASSWORD] [--without-session] HOST PORT COMMAND...\n"
                    "commands: list, put LOCAL REMOTE, get REMOTE LOCAL\n",
            problem, what);
    exit(2);
}

/* What goes into commands: a line's end in one would make two commands of it. */
static const char *checked_word(const char *word, const char *what)
{
    const char *p;

    if (*word == '\0')
        usage("empty: ", what);
    for (p = word; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            usage("control characters are not allowed in ", what);
    return word;
}

static void check_commands(const struct options *o)
{
    int i;

    for (i = 0; i < o->command_words;) {
        const char *word = o->commands[i];
        int upload = strcmp(word, "put") == 0;

        if (strcmp(word, "list") == 0) {
            i++;
            continue;
        }
        if (!upload && strcmp(word, "get") != 0)
            usage("unknown command ", word);
        if (i + 2 >= o->command_words)
            usage("a file is missing after ", word);
        checked_word(o->commands[i + (upload ? 2 : 1)], "the remote file");
        i += 3;
    }
}

static void parse_options(struct options *o, int argc, char **argv)
{
    int i;

    memset(o, 0, sizeof *o);
    o->user = "anonymous";
    o->password = "user@";
    for (i = 1; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        const char *option = argv[i];

        if (strcmp(option, "--implicit") == 0) {
            o->implicit = 1;
            continue;
        }
        if (strcmp(option, "--active") == 0) {
            o->active = 1;
            continue;
        }
        if (strcmp(option, "--without-session") == 0) {
            o->without_session = 1;
            continue;
        }
        if (i + 1 == argc)
            usage("a value is missing after ", option);
        i++;
        if (strcmp(option, "--trust") == 0)
            o->trust_file = argv[i];
        else if (strcmp(option, "--name") == 0)
            o->name = argv[i];
        else if (strcmp(option, "--user") == 0)
            o->user = checked_word(argv[i], option);
        else if (strcmp(option, "--password") == 0)
            o->password = checked_word(argv[i], option);
        else if (strcmp(option, "--tls") == 0 && strcmp(argv[i], "1.2") == 0)
            o->tls = SSL_PROTOCOL_TLS1_2;
        else if (strcmp(option, "--tls") == 0 && strcmp(argv[i], "1.3") == 0)
            o->tls = SSL_PROTOCOL_TLS1_3;
        else if (strcmp(option, "--tls") == 0)
            usage("there is 1.2 and 1.3 only, not ", argv[i]);
        else
            usage("unknown option ", option);
    }
    if (argc - i < 3)
        usage("HOST, PORT and a command are wanted", "");
    o->host = argv[i];
    o->port = argv[i + 1];
    o->commands = argv + i + 2;
    o->command_words = argc - i - 2;
    check_commands(o);
    if (o->name == NULL)
        o->name = o->host;
}
