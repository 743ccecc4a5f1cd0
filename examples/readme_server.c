#include <sslsock.h>

/* `fd` is accepted, and has answered STARTTLS. A server shows a certificate; `host` is NULL. */
ssl_socket *serve_tls(int fd)
{
    ssl_socket *s = ssl_socket_new(fd);

    if (s == NULL) {
        return NULL; /* ssl_get_error_text(NULL, ...) says why, here and below; close fd */
    }
    if (ssl_set_flags(s, SSL_FLAG_SERVER) != SSL_ERR_OKAY ||
        ssl_set_identity_file(s, "chain.pem", "key.pem") != SSL_ERR_OKAY ||
        ssl_perform_handshake(s, NULL) != SSL_ERR_OKAY) {
        ssl_socket_free(s);
        return NULL;
    }
    return s;
}
