#define _GNU_SOURCE

#include "system.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sslsock.h>

#include "../common/check.h"
#include "../common/peer.h"

int peer_address(const char *variable, void *address)
{
    struct sockaddr_storage found;
    socklen_t length = sizeof found;
    int fd = peer_connect(variable);

    CHECK(getpeername(fd, (struct sockaddr *)&found, &length) == 0);
    CHECK(close(fd) == 0);
    memcpy(address, &found, length);
    return (int)length;
}

int last_text_has(const char *text)
{
    char found[2048] = "";
    size_t length;

    ssl_get_error_text(NULL, found, sizeof found, &length);
    return strstr(found, text) != NULL;
}

int is_nonblocking(int fd)
{
    return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

int is_closed_on_exec(int fd)
{
    return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

void set_default_flags(unsigned flags)
{
    CHECK(SSL_FLAG_UNIX_PAIR_OF_THE_LIBRARY == SSL_FLAG_UNIX_PAIR);
    CHECK(SSL_FLAG_EXPLICIT_IO_OF_THE_LIBRARY == SSL_FLAG_EXPLICIT_IO);
    CHECK(ssl_set_flags(ssl_defaults(), flags) == SSL_ERR_OKAY);
}
