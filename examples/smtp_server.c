/*
 * smtp_server: take mail over connections that begin in clear and become TLS after STARTTLS.
 *
 *     smtp_server PORT CHAIN.pem KEY.pem [CLIENT_CA.pem]
 *
 * The server's side of smtp_starttls.c, on 127.0.0.1; port 0 chooses one. With CLIENT_CA.pem mail is
 * taken only from clients that show a certificate of that CA. What was received is printed, and
 * nothing is stored: it is an example, not a mail server.
 *
 *     cc smtp_server.c -lsslsock -lpthread
 */
#define _POSIX_C_SOURCE 200809L

#include <sslsock.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PROGRAM "smtp_server"

enum { LINE_MAX_OCTETS = 2048, IO_TIMEOUT_SECONDS = 60 };

static const char *chain_file, *key_file, *client_ca;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int say(int fd, const char *text)
{
    size_t length = strlen(text);

    while (length > 0) {
        ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);

        if (sent <= 0) {
            return 0;
        }
        text += sent;
        length -= (size_t)sent;
    }
    return 1;
}

/*
 * A line without its end; 0 when there is none any more. Byte by byte: a reader that takes more from
 * the socket than one line takes, after STARTTLS, the beginning of the client's handshake with it.
 */
static int hear(int fd, char *line)
{
    size_t length = 0;
    char byte;

    while (recv(fd, &byte, 1, 0) == 1) {
        if (byte == '\n') {
            line[length] = '\0';
            return 1;
        }
        if (byte != '\r' && length < LINE_MAX_OCTETS - 1) {
            line[length++] = byte;
        }
    }
    return 0;
}

/* The 220 has been sent. After a failure nothing comes or goes on `fd` any more. */
static int start_tls(int fd)
{
    char text[2048] = "", who[512] = "nobody";
    size_t length;
    ssl_socket *s = ssl_socket_new(fd);
    int32_t result;

    result = s == NULL ? ssl_get_error(NULL) : ssl_set_flags(s, SSL_FLAG_SERVER | (client_ca ? SSL_FLAG_AUTH_CLIENT : 0));
    if (result == SSL_ERR_OKAY) {
        result = ssl_set_identity_file(s, chain_file, key_file);
    }
    if (result == SSL_ERR_OKAY && client_ca != NULL) {
        result = ssl_add_trust_file(s, client_ca);
    }
    if (result == SSL_ERR_OKAY) {
        result = ssl_perform_handshake(s, NULL);
    }
    if (result != SSL_ERR_OKAY) {
        ssl_get_error_text(NULL, text, sizeof text, &length);
        fprintf(stderr, PROGRAM ": %s: %s\n", ssl_error_name(result), text);
    } else {
        ssl_get_verify_text(s, SSL_TEXT_SUBJECT, 0, who, sizeof who, &length);
        printf("TLS with %s\n", who);
    }
    ssl_socket_free(s); /* `fd` goes on carrying TLS until it is closed */
    return result == SSL_ERR_OKAY;
}

/* One answer; 0 when the conversation is over. */
static int answer(int fd, const char *line, int *secured)
{
    char text[LINE_MAX_OCTETS];

    if (strncasecmp(line, "EHLO", 4) == 0) {
        return say(fd, *secured ? "250 smtp_server\r\n" : "250-smtp_server\r\n250 STARTTLS\r\n");
    }
    if (strcasecmp(line, "STARTTLS") == 0 && !*secured) {
        *secured = 1;
        return say(fd, "220 go ahead\r\n") && start_tls(fd);
    }
    if (strcasecmp(line, "QUIT") == 0) {
        say(fd, "221 bye\r\n");
        return 0;
    }
    if (!*secured) {
        return say(fd, "530 5.7.0 say STARTTLS first\r\n");
    }
    if (strcasecmp(line, "DATA") == 0) {
        if (!say(fd, "354 go ahead\r\n")) {
            return 0;
        }
        while (hear(fd, text)) {
            if (strcmp(text, ".") == 0) {
                return say(fd, "250 taken\r\n");
            }
            printf("| %s\n", text);
        }
        return 0;
    }
    if (strncasecmp(line, "MAIL FROM:", 10) == 0 || strncasecmp(line, "RCPT TO:", 8) == 0
        || strcasecmp(line, "RSET") == 0) {
        return say(fd, "250 fine\r\n");
    }
    return say(fd, "500 5.5.1 what?\r\n");
}

static void *serve(void *argument)
{
    struct timeval patience = {IO_TIMEOUT_SECONDS, 0};
    char line[LINE_MAX_OCTETS];
    int fd = *(int *)argument, secured = 0;

    free(argument);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (say(fd, "220 smtp_server ESMTP\r\n")) {
        while (hear(fd, line) && answer(fd, line, &secured)) {
        }
    }
    close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    if (argc < 4 || argc > 5) {
        fprintf(stderr, "usage: " PROGRAM " PORT CHAIN.pem KEY.pem [CLIENT_CA.pem]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    chain_file = argv[2];
    key_file = argv[3];
    client_ca = argv[4];
    address.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 16) != 0
        || getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        fail("listening");
    }
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    for (;;) {
        int *fd = malloc(sizeof *fd);
        pthread_t thread;

        if (fd == NULL) {
            fail("malloc");
        }
        *fd = accept(listener, NULL, NULL);
        if (*fd == -1) {
            free(fd);
            continue;
        }
        if (pthread_create(&thread, NULL, serve, fd) != 0) {
            close(*fd);
            free(fd);
            continue;
        }
        pthread_detach(thread);
    }
}
