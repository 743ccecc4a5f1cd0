/*
 * A video relay's connection, written as that of row 11 was: C, timeouts and buffers set before the socket is made
 * secure, every step of that logged and no more, the handshake deferred because connect did not do it, TLS 1.0 asked
 * for, plain loops of send and recv without select.
 *
 *     HOST PORT [MILLISECONDS]
 */
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <sslsock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

#define RELAY_BUFFER 32768

#define LOG_WSA(what) printf("%s: wsa %d\n", (what), WSAGetLastError())

static int CALLBACK cert_hook(DWORD type, LPVOID arg, DWORD chain_len, LPBLOB chain, DWORD flags)
{
    UNREFERENCED_PARAMETER(type);
    UNREFERENCED_PARAMETER(arg);
    UNREFERENCED_PARAMETER(chain_len);
    UNREFERENCED_PARAMETER(chain);
    printf("hook: flags %u\n", (unsigned)flags);
    return SSL_ERR_OKAY;
}

static int make_secure(SOCKET s)
{
    DWORD value = SO_SEC_SSL;
    DWORD returned = 0;
    SSLPROTOCOLS protocols;
    SSLVALIDATECERTHOOK hook;

    if (setsockopt(s, SOL_SOCKET, SO_SECURE, (char *)&value, sizeof(value)) != 0) {
        LOG_WSA("this device has no SSL");
        return 0;
    }
    value = SSL_FLAG_DEFER_HANDSHAKE;
    if (WSAIoctl(s, SO_SSL_SET_FLAGS, &value, sizeof(value), NULL, 0, &returned, NULL, NULL) != 0)
        LOG_WSA("flags");
    protocols.dwCount = 1;
    protocols.ProtocolList[0].dwProtocol = SSL_PROTOCOL_TLS1;
    protocols.ProtocolList[0].dwVersion = 0;
    protocols.ProtocolList[0].dwFlags = 0;
    if (WSAIoctl(s, SO_SSL_SET_PROTOCOLS, &protocols, sizeof(protocols), NULL, 0, &returned, NULL, NULL) != 0)
        LOG_WSA("protocols");
    hook.HookFunc = cert_hook;
    hook.pvArg = NULL;
    if (WSAIoctl(s, SO_SSL_SET_VALIDATE_CERT_HOOK, &hook, sizeof(hook), NULL, 0, &returned, NULL, NULL) != 0)
        LOG_WSA("hook");
    return 1;
}

static int send_all(SOCKET s, const char *data, int length)
{
    int done = 0;

    while (done < length) {
        int n = send(s, data + done, length - done, 0);

        if (n == SOCKET_ERROR)
            return -1;
        done += n;
    }
    return done;
}

int RunClient(int argc, TCHAR *argv[])
{
    static char buffer[RELAY_BUFFER];
    struct addrinfo hints, *found = NULL;
    char host[128], port[16];
    int timeout = argc > 3 ? _wtoi(argv[3]) : 20000, size = 65536, n, result = 1;
    int read_back = 0, read_length = sizeof(read_back);
    BOOL secure;
    SOCKET s = INVALID_SOCKET;
    WSADATA data;

    if (WSAStartup(MAKEWORD(2, 0), &data) != 0)
        return 2;
    WideCharToMultiByte(CP_UTF8, 0, argv[1], -1, host, sizeof(host), NULL, NULL);
    WideCharToMultiByte(CP_UTF8, 0, argv[2], -1, port, sizeof(port), NULL, NULL);
    memset(&hints, 0, sizeof(hints));
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        goto done;

    s = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
    if (s == INVALID_SOCKET)
        goto done;
    if (setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, (const char *)&timeout, sizeof(timeout)) != 0)
        LOG_WSA("receive timeout");
    if (setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, (const char *)&timeout, sizeof(timeout)) != 0)
        LOG_WSA("send timeout");
    if (setsockopt(s, SOL_SOCKET, SO_RCVBUF, (const char *)&size, sizeof(size)) != 0)
        LOG_WSA("receive buffer");
    if (setsockopt(s, SOL_SOCKET, SO_SNDBUF, (const char *)&size, sizeof(size)) != 0)
        LOG_WSA("send buffer");
    secure = make_secure(s);
    if (connect(s, found->ai_addr, (int)found->ai_addrlen) == SOCKET_ERROR)
        goto done;
    if (secure && WSAIoctl(s, SO_SSL_PERFORM_HANDSHAKE, NULL, 0, NULL, 0, NULL, NULL, NULL) == SOCKET_ERROR) {
        LOG_WSA("handshake");
        goto done;
    }
    if (getsockopt(s, SOL_SOCKET, SO_RCVTIMEO, (char *)&read_back, &read_length) == 0)
        printf("receive timeout %d\n", read_back);

    if (send_all(s, "DESCRIBE stream RTSP/1.0\r\n\r\n", 28) < 0)
        goto done;
    while ((n = recv(s, buffer, sizeof(buffer) - 1, 0)) > 0) {
        buffer[n] = '\0';
        printf("%s", buffer);
    }
    if (n == 0)
        result = 0;

done:
    if (result != 0)
        printf("last error %d\n", WSAGetLastError());
    if (found != NULL)
        freeaddrinfo(found);
    if (s != INVALID_SOCKET)
        closesocket(s);
    WSACleanup();
    return result;
}
