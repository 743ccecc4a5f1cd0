/*
 * Reads a mail from an IMAP server after STARTTLS, with plain send and recv on the same descriptor throughout.
 *
 * imap_starttls [NAME]    the server's name, mail.test by default
 *
 * SSLSOCK_DOVECOT_IMAP, _USER, _PASSWORD and SSLSOCK_PKI say where the server is; the mailbox has to hold a mail with
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
    int fd = talk_connect("SSLSOCK_DOVECOT_IMAP");
    ssl_socket *s;

    talk_expect(fd, "* OK");
    talk_send(fd, "a1 CAPABILITY");
    CHECK(talk_until(fd, "a1 OK", "a1 ", " LOGINDISABLED") == 1);
    talk_send(fd, "a2 STARTTLS");
    talk_expect(fd, "a2 OK");

    s = upgrade(fd, name);

    talk_send(fd, "a3 CAPABILITY");
    CHECK(talk_until(fd, "a3 OK", "a3 ", " AUTH=PLAIN") == 1);
    talk_send(fd, "a4 LOGIN %s %s", user, password);
    CHECK(talk_until(fd, "a4 OK", "a4 ", "a4 OK") == 1);
    talk_send(fd, "a5 SELECT INBOX");
    CHECK(talk_until(fd, "a5 OK", "a5 ", " EXISTS") == 1);
    talk_send(fd, "a6 FETCH 1:* BODY.PEEK[TEXT]");
    CHECK(talk_until(fd, "a6 OK", "a6 ", token) == 1);
    talk_send(fd, "a7 LOGOUT");
    CHECK(talk_until(fd, "a7 OK", "a7 ", "* BYE") == 1);
    talk_expect_end(fd);

    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY);
    CHECK(close(fd) == 0);
    puts("imap_starttls: found the mail");
    return 0;
}
