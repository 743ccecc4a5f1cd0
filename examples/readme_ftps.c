#include <sslsock.h>

/* `data_fd` is connected (EPSV, PASV) or accepted (EPRT, PORT), and the server has answered STOR or RETR with 150.
 * `control` is the handle of the control connection: under TLS since AUTH TLS and its 234, after PBSZ 0 and PROT P.
 * We are the client even if the server has connected to us. */
ssl_socket *start_data_tls(int data_fd, ssl_socket *control, const char *host)
{
    ssl_socket *data = ssl_socket_new(data_fd);

    if (data == NULL) {
        return NULL; /* ssl_get_error_text(NULL, ...) says why, here and below; close data_fd */
    }
    if (ssl_set_flags(data, SSL_FLAG_REQUIRE_RESUMPTION) != SSL_ERR_OKAY ||
        ssl_set_session_from(data, control) != SSL_ERR_OKAY ||
        ssl_perform_handshake(data, host) != SSL_ERR_OKAY) {
        ssl_socket_free(data);
        return NULL;
    }
    return data;
}

/* Then send or recv the file on data_fd, close(data_fd), ssl_socket_free(data), and await the 226. */
