/*
 * Reads a mail from a POP3 server after STLS, with plain send and recv on the same descriptor throughout. The handle
 * is freed right after the upgrade: the descriptor goes on carrying TLS without it.
 *
 * pop3_stls [NAME]    the server's name, mail.test by default
 *
 * SSLSOCK_DOVECOT_POP3, _USER, _PASSWORD and SSLSOCK_PKI say where the server is; the mailbox has to hold a mail with
 * SSLSOCK_TOKEN in it.
 */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <unistd.h>

#include "common/check.h"
#include "common/conversation.h"
#include "common/upgrade.h"

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "mail.test";
    const char *token = talk_variable("SSLSOCK_TOKEN");
    const char *user = talk_variable("SSLSOCK_DOVECOT_USER");
    const char *password = talk_variable("SSLSOCK_DOVECOT_PASSWORD");
    int fd = talk_connect("SSLSOCK_DOVECOT_POP3");
    char status[TALK_LINE];
    size_t found = 0;
    int messages;

    talk_expect(fd, "+OK");
    talk_send(fd, "CAPA");
    talk_expect(fd, "+OK");
    CHECK(talk_until(fd, ".", NULL, "STLS") == 1);
    talk_send(fd, "STLS");
    talk_expect(fd, "+OK");

    CHECK(ssl_socket_free(upgrade(fd, name)) == SSL_ERR_OKAY);

    talk_send(fd, "CAPA");
    talk_expect(fd, "+OK");
    CHECK(talk_until(fd, ".", NULL, "USER") == 1);
    talk_send(fd, "USER %s", user);
    talk_expect(fd, "+OK");
    talk_send(fd, "PASS %s", password);
    talk_expect(fd, "+OK");
    talk_send(fd, "STAT");
    talk_line(fd, status);
    if (sscanf(status, "+OK %d", &messages) != 1) {
        FAIL("got \"%s\" instead of \"+OK n\"", status);
    }
    for (int message = 1; message <= messages; message++) {
        talk_send(fd, "RETR %d", message);
        talk_expect(fd, "+OK");
        found += talk_until(fd, ".", NULL, token);
    }
    CHECK(found == 1);
    talk_send(fd, "QUIT");
    talk_expect(fd, "+OK");
    talk_expect_end(fd);

    CHECK(close(fd) == 0);
    puts("pop3_stls: found the mail");
    return 0;
}
