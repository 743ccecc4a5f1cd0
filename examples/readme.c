#include <stdio.h>
#include <sslsock.h>

/* `fd` is connected, and the server has just answered STARTTLS with "220 ready". */
int start_tls(int fd, const char *host)
{
    char text[2048] = "";
    size_t length;
    ssl_socket *s = ssl_socket_new(fd);

    if (s == NULL || ssl_perform_handshake(s, host) != SSL_ERR_OKAY) {
        /* NULL asks for this thread's last error. */
        ssl_get_error_text(NULL, text, sizeof text, &length);
        fprintf(stderr, "%s: %s\n", ssl_error_name(ssl_get_error(NULL)), text);
        ssl_socket_free(s);
        return -1; /* a failed handshake kills the connection: nothing leaves in clear */
    }
    ssl_socket_free(s); /* `fd` goes on carrying TLS until it is closed */
    return 0;
}

/* Then, on the same descriptor as before:
 *
 *     send(fd, "EHLO client.example\r\n", 21, 0);
 *     recv(fd, buffer, sizeof buffer, 0);
 */
