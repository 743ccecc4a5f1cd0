/* Built against the installed library, as anybody would: upgrades a connection to PORT of 127.0.0.2, trusting FILE. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sslsock.h>

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char answer[6] = "";
    ssl_socket *s;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (argc != 3 || ssl_abi_version() != SSL_ABI_VERSION) {
        return 2;
    }
    address.sin_port = htons((uint16_t)atoi(argv[1]));
    inet_pton(AF_INET, "127.0.0.2", &address.sin_addr);
    s = ssl_socket_new(fd);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 || ssl_add_trust_file(s, argv[2]) != 0 ||
        ssl_perform_handshake(s, "localhost") != 0) {
        fprintf(stderr, "%s\n", ssl_error_name(ssl_get_error(s)));
        return 1;
    }
    if (send(fd, "echo\nhello", 10, 0) != 10 || recv(fd, answer, 5, MSG_WAITALL) != 5) {
        return 1;
    }
    printf("%s from sslsock %s\n", answer, ssl_version());
    ssl_socket_free(s);
    close(fd);
    return 0;
}
