/*
 * A synchronisation client's transport, written as that of row 10 was: C, the handshake made by connect, the
 * certificate's chain judged by the Crypto API, the answer waited for by select in steps.
 *
 *     HOST PORT PATH [ask]
 */
#include <windows.h>
#include <winsock2.h>
#include <wincrypt.h>
#include <schnlsp.h>
#include <sslsock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

#define WAIT_SECONDS 5
#define WAIT_COUNT 24

typedef enum { STATE_CLOSED, STATE_CONFIGURED, STATE_CONNECTED } TRANSPORT_STATE;

typedef struct
{
    SOCKET          sock;
    TRANSPORT_STATE state;
    int             error;
} Transport;

static BOOL g_askForExpired = FALSE;

static int validateCertificate(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags)
{
    PCCERT_CONTEXT pCert = NULL;
    PCCERT_CHAIN_CONTEXT pChain = NULL;
    CERT_CHAIN_PARA para;
    int result = SSL_ERR_FAILED;

    (void)pvArg;
    (void)dwFlags;
    if (dwType != SSL_CERT_X509 || dwChainLen < 1)
        return SSL_ERR_BAD_TYPE;

    pCert = CertCreateCertificateContext(X509_ASN_ENCODING, pCertChain->pBlobData, pCertChain->cbSize);
    if (pCert == NULL)
    {
        result = SSL_ERR_BAD_DATA;
        goto error;
    }
    memset(&para, 0, sizeof(para));
    para.cbSize = sizeof(para);
    if (!CertGetCertificateChain(NULL, pCert, NULL, NULL, &para, 0, NULL, &pChain))
        goto error;

    printf("trust status %08lx\n", (unsigned long)pChain->TrustStatus.dwErrorStatus);
    switch (pChain->TrustStatus.dwErrorStatus)
    {
    case CERT_TRUST_NO_ERROR:
        result = SSL_ERR_OKAY;
        break;
    case CERT_TRUST_IS_NOT_TIME_VALID:
        result = SSL_ERR_CERT_EXPIRED;
        if (g_askForExpired &&
            MessageBox(NULL, TEXT("The server's certificate has expired. Go on?"), TEXT("SyncML"), MB_YESNO | MB_ICONQUESTION) == IDYES)
            result = SSL_ERR_OKAY;
        break;
    case CERT_TRUST_IS_REVOKED:
        result = SSL_ERR_CERT_REVOKED;
        break;
    default:
        result = SSL_ERR_FAILED;
        break;
    }

error:
    if (pChain)
        CertFreeCertificateChain(pChain);
    if (pCert)
        CertFreeCertificateContext(pCert);
    return result;
}

static int transportConfigure(Transport *t)
{
    SSLVALIDATECERTHOOK hook;
    DWORD optval = SO_SEC_SSL;

    if (t->state != STATE_CLOSED)
        return -1;
    t->sock = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    if (t->sock == INVALID_SOCKET)
        return -1;
    if (setsockopt(t->sock, SOL_SOCKET, SO_SECURE, (const char *)&optval, sizeof(optval)))
        return -1;
    hook.HookFunc = validateCertificate;
    hook.pvArg = NULL;
    if (WSAIoctl(t->sock, SO_SSL_SET_VALIDATE_CERT_HOOK, &hook, sizeof(hook), NULL, 0, NULL, NULL, NULL))
        return -1;
    t->state = STATE_CONFIGURED;
    return 0;
}

static int transportConnect(Transport *t, const char *host, unsigned short port)
{
    struct hostent *he;
    struct sockaddr_in sa;

    if (t->state != STATE_CONFIGURED)
        return -1;
    he = gethostbyname(host);
    if (!he)
        return -1;
    ZeroMemory(&sa, sizeof(sa));
    sa.sin_family = he->h_addrtype;
    sa.sin_port = htons(port);
    memcpy(&sa.sin_addr, he->h_addr, he->h_length);
    if (connect(t->sock, (LPSOCKADDR)&sa, sizeof(sa)) == SOCKET_ERROR)
        return -1;
    t->state = STATE_CONNECTED;
    return 0;
}

static int transportWait(Transport *t)
{
    int i;

    for (i = 0; i < WAIT_COUNT; i++)
    {
        struct timeval tv;
        fd_set rd;
        int n;

        tv.tv_sec = WAIT_SECONDS;
        tv.tv_usec = 0;
        FD_ZERO(&rd);
        FD_SET(t->sock, &rd);
        n = select((int)t->sock + 1, &rd, NULL, NULL, &tv);
        if (n != 0)
            return n;
    }
    WSASetLastError(WSAETIMEDOUT);
    return SOCKET_ERROR;
}

static int transportPost(Transport *t, const char *host, const char *path, const char *body)
{
    char header[512];
    int len;

    _snprintf(header, sizeof(header),
              "POST %s HTTP/1.0\r\nHost: %s\r\nContent-Type: application/vnd.syncml+xml\r\nContent-Length: %lu\r\n\r\n",
              path, host, (DWORD)strlen(body));
    len = (int)strlen(header);
    if (send(t->sock, header, len, 0) != len)
        return -1;
    len = (int)strlen(body);
    /* A part of it is an error too. */
    if (send(t->sock, body, len, 0) != len)
        return -1;
    return 0;
}

static int transportRead(Transport *t, char *buffer, int size)
{
    int total = 0;

    for (;;)
    {
        int n = transportWait(t);

        if (n == SOCKET_ERROR)
            return -1;
        n = recv(t->sock, buffer + total, size - 1 - total, 0);
        if (n == SOCKET_ERROR)
            return -1;
        if (n == 0)
            break;
        total += n;
    }
    buffer[total] = 0;
    return total;
}

int RunClient(int argc, TCHAR *argv[])
{
    Transport t = { INVALID_SOCKET, STATE_CLOSED, 0 };
    static char answer[8192];
    char host[128], path[128];
    WSADATA wsa;
    int result = 1;

    if (argc < 4 || WSAStartup(MAKEWORD(2, 2), &wsa))
        return 2;
    wcstombs(host, argv[1], sizeof(host));
    wcstombs(path, argv[3], sizeof(path));
    g_askForExpired = argc > 4 && wcscmp(argv[4], L"ask") == 0;

    if (transportConfigure(&t) || transportConnect(&t, host, (unsigned short)_wtoi(argv[2])))
        goto error;
    if (transportPost(&t, host, path, "<SyncML><SyncHdr/><SyncBody/></SyncML>"))
        goto error;
    if (transportRead(&t, answer, sizeof(answer)) <= 0)
        goto error;
    printf("%s\n", answer);
    result = 0;

error:
    if (result)
    {
        t.error = WSAGetLastError();
        printf("last error %d\n", t.error);
        /* What the program's other parts know: the code without its base. */
        if (t.error >= WSABASEERR)
            printf("transport error %d\n", t.error - WSABASEERR);
    }
    if (t.sock != INVALID_SOCKET)
        closesocket(t.sock);
    WSACleanup();
    return result;
}
