/*
 * A Windows CE program without a hook: 0 if the peer is trusted, 1 if not. It asks the user before it connects, who is not
 * there. Arguments: address and port of the peer (tests/peer.py).
 */
#include <winsock2.h>
#include <sslsock.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct sockaddr_in address = {0};
    DWORD secure = SO_SEC_SSL;
    static char name[] = "localhost";
    WSADATA data;
    int failed;
    SOCKET s;

    if (argc != 3 || WSAStartup(MAKEWORD(2, 2), &data) != 0) {
        return 2;
    }
    fclose(stdin);
    if (MessageBox(NULL, TEXT("Connect?"), TEXT("Test"), MB_YESNO) != IDNO) {
        return 3;
    }
    s = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_family = AF_INET;
    address.sin_port = htons((u_short)atoi(argv[2]));
    address.sin_addr.s_addr = inet_addr(argv[1]);
    if (setsockopt(s, SOL_SOCKET, SO_SECURE, (char *)&secure, sizeof secure) != 0 ||
        WSAIoctl(s, SO_SSL_SET_PEERNAME, name, sizeof name, NULL, 0, NULL, NULL, NULL) != 0) {
        return 4;
    }
    failed = connect(s, (struct sockaddr *)&address, sizeof address) != 0;
    if (failed && WSAGetLastError() != SSL_ERR_CERT_UNKNOWN && WSAGetLastError() != SSL_ERR_BAD_DATA) {
        fprintf(stderr, "error %d\n", WSAGetLastError());
        return 5;
    }
    closesocket(s);
    WSACleanup();
    return failed;
}
