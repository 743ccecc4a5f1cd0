/* A Windows CE source, compiled with the installed headers. Argument: the port of the peer. */
#include <winsock2.h>
#include <sslsock.h>

#include <stdio.h>
#include <stdlib.h>

static int CALLBACK accept_any(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags)
{
    return SSL_ERR_OKAY;
}

int main(int argc, char **argv)
{
    SSLVALIDATECERTHOOK hook = {accept_any, NULL};
    DWORD secure = SO_SEC_SSL;
    SOCKADDR_IN address = {0};
    char answer[7] = "";
    WSADATA data;
    SOCKET s;
    int got = 0;

    WSAStartup(MAKEWORD(1, 1), &data);
    s = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_family = AF_INET;
    address.sin_port = htons((u_short)atoi(argv[1]));
    address.sin_addr.s_addr = inet_addr("127.0.0.2");
    setsockopt(s, SOL_SOCKET, SO_SECURE, (char *)&secure, sizeof(secure));
    WSAIoctl(s, SO_SSL_SET_VALIDATE_CERT_HOOK, &hook, sizeof(hook), NULL, 0, NULL, NULL, NULL);
    if (connect(s, (struct sockaddr *)&address, sizeof(address)) == SOCKET_ERROR || send(s, "echo\nhello\n", 11, 0) != 11) {
        fprintf(stderr, "error %d\n", WSAGetLastError());
        return 1;
    }
    while (got < 6) {
        int more = recv(s, answer + got, 6 - got, 0);
        if (more <= 0) {
            return 1;
        }
        got += more;
    }
    fputs(answer, stdout);
    closesocket(s);
    WSACleanup();
    return 0;
}
