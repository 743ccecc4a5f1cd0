/*
 * A mail reader's IMAP part, written as those of rows 5 and 6 were: C, the handshake deferred in any case, a hook that
 * accepts everything, select with no timeout before each send and recv, shutdown and closesocket at the end.
 *
 *     HOST PORT ssl|starttls USER PASSWORD WORD
 */
#include <windows.h>
#include <winsock2.h>
#include <sslsock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tchar.h>

#include "client.h"

#define SSL_NONE 0
#define SSL_FROM_START 1
#define SSL_STARTTLS 2
#define POLL_SLEEP 10
#define MAX_POLLS 1000

typedef struct tagIMAP
{
    SOCKET s;
    int ssl_type;
    int nTag;
    char szLine[2048];
} IMAP, *LPIMAP;

/* Statistics; the names are the program's own. */
int ssl_send = 0;
int ssl_recv = 0;
BOOL ssl_free = FALSE;

static int CALLBACK SslValidate(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags)
{
    SOCKET s = (SOCKET)pvArg;

    if (s == INVALID_SOCKET || dwType != SSL_CERT_X509 || dwChainLen == 0)
        return SSL_ERR_BAD_DATA;
    printf("hook: %lu bytes, flags %lu\n", (unsigned long)pCertChain[0].cbSize, (unsigned long)dwFlags);
    return SSL_ERR_OKAY;
}

static int SetErrorText(LPTSTR pszBuf, int nErr)
{
    LPCTSTR pszText;

    switch (nErr)
    {
    case WSAECONNREFUSED: pszText = TEXT("Connection refused"); break;
    case WSAECONNRESET:   pszText = TEXT("Connection reset"); break;
    case WSAETIMEDOUT:    pszText = TEXT("Timed out"); break;
    case WSAHOST_NOT_FOUND: pszText = TEXT("Host not found"); break;
    default:              pszText = TEXT("Socket error"); break;
    }
    return wsprintf(pszBuf, TEXT("%s (%d)"), pszText, nErr);
}

static BOOL EnableSsl(SOCKET s)
{
    SSLVALIDATECERTHOOK hook;
    DWORD dwOpt = SO_SEC_SSL;

    if (setsockopt(s, SOL_SOCKET, SO_SECURE, (LPSTR)&dwOpt, sizeof(dwOpt)) == SOCKET_ERROR)
        return FALSE;
    hook.HookFunc = SslValidate;
    hook.pvArg = (LPVOID)s;
    if (WSAIoctl(s, SO_SSL_SET_VALIDATE_CERT_HOOK, &hook, sizeof(SSLVALIDATECERTHOOK), NULL, 0, NULL, NULL, NULL) == SOCKET_ERROR)
        return FALSE;
    dwOpt = SSL_FLAG_DEFER_HANDSHAKE;
    if (WSAIoctl(s, SO_SSL_SET_FLAGS, &dwOpt, sizeof(dwOpt), NULL, 0, NULL, NULL, NULL) == SOCKET_ERROR)
        return FALSE;
    return TRUE;
}

static BOOL Handshake(SOCKET s)
{
    return WSAIoctl(s, SO_SSL_PERFORM_HANDSHAKE, NULL, 0, NULL, 0, NULL, NULL, NULL) != SOCKET_ERROR;
}

static BOOL Ready(SOCKET s, BOOL fWrite)
{
    int i;

    for (i = 0; i < MAX_POLLS; i++)
    {
        fd_set fds;
        struct timeval tv = { 0, 0 };
        int nRet;

        FD_ZERO(&fds);
        FD_SET(s, &fds);
        nRet = select(0, fWrite ? NULL : &fds, fWrite ? &fds : NULL, NULL, &tv);
        if (nRet == SOCKET_ERROR)
            return FALSE;
        if (nRet > 0 && FD_ISSET(s, &fds))
            return TRUE;
        Sleep(POLL_SLEEP);
    }
    WSASetLastError(WSAETIMEDOUT);
    return FALSE;
}

static int SendText(LPIMAP pImap, const char *pszText)
{
    int nLen = (int)strlen(pszText);

    while (nLen > 0)
    {
        int nRet;

        if (!Ready(pImap->s, TRUE))
            return -1;
        nRet = send(pImap->s, pszText, nLen, 0);
        if (nRet == SOCKET_ERROR)
            return -1;
        ssl_send += nRet;
        pszText += nRet;
        nLen -= nRet;
    }
    return 0;
}

/* A line without its end. */
static int RecvLine(LPIMAP pImap)
{
    int nLen = 0;

    while (nLen < (int)sizeof(pImap->szLine) - 1)
    {
        if (!Ready(pImap->s, FALSE))
            return -1;
        if (recv(pImap->s, pImap->szLine + nLen, 1, 0) <= 0)
            return -1;
        ssl_recv++;
        if (pImap->szLine[nLen] == '\n')
            break;
        if (pImap->szLine[nLen] != '\r')
            nLen++;
    }
    pImap->szLine[nLen] = '\0';
    printf("< %s\n", pImap->szLine);
    return nLen;
}

static int Command(LPIMAP pImap, const char *pszFormat, const char *pszFirst, const char *pszSecond)
{
    char szCommand[512], szTag[16];
    int nLen;

    sprintf(szTag, "%c%03d ", 'A', ++pImap->nTag);
    strcpy(szCommand, szTag);
    nLen = (int)strlen(szCommand);
    sprintf(szCommand + nLen, pszFormat, pszFirst, pszSecond);
    strcat(szCommand, "\r\n");
    if (SendText(pImap, szCommand) != 0)
        return -1;
    do
    {
        if (RecvLine(pImap) < 0)
            return -1;
    } while (memcmp(pImap->szLine, szTag, 5) != 0);
    return strncmp(pImap->szLine + 5, "OK", 2) == 0 ? 0 : 1;
}

static int OpenImap(LPIMAP pImap, LPCTSTR pszHost, WORD wPort)
{
    SOCKADDR_IN addr;
    LPHOSTENT pHost;
    char szHost[MAX_PATH];

    WideCharToMultiByte(CP_ACP, 0, pszHost, -1, szHost, sizeof(szHost), NULL, NULL);
    memset(&addr, 0, sizeof(addr));
    addr.sin_family = AF_INET;
    addr.sin_port = htons(wPort);
    addr.sin_addr.s_addr = inet_addr(szHost);
    if (addr.sin_addr.s_addr == INADDR_NONE)
    {
        pHost = gethostbyname(szHost);
        if (pHost == NULL)
            return -1;
        addr.sin_addr.s_addr = *(unsigned long *)pHost->h_addr_list[0];
    }
    pImap->s = socket(AF_INET, SOCK_STREAM, 0);
    if (pImap->s == INVALID_SOCKET)
        return -1;
    if (pImap->ssl_type != SSL_NONE && !EnableSsl(pImap->s))
        return -1;
    if (connect(pImap->s, (struct sockaddr *)&addr, sizeof(addr)) == SOCKET_ERROR)
        return -1;
    if (pImap->ssl_type == SSL_FROM_START && !Handshake(pImap->s))
        return -1;
    return RecvLine(pImap) < 0 ? -1 : 0;
}

static void CloseImap(LPIMAP pImap)
{
    if (pImap->s == INVALID_SOCKET)
        return;
    shutdown(pImap->s, 2);
    closesocket(pImap->s);
    pImap->s = INVALID_SOCKET;
    ssl_free = TRUE;
}

int RunClient(int argc, TCHAR *argv[])
{
    IMAP imap = { INVALID_SOCKET, SSL_NONE, 0, "" };
    WSADATA wsaData;
    TCHAR szError[128];
    char szUser[64], szPassword[64], szWord[128];
    int nRet = 1;

    if (argc < 7 || WSAStartup(MAKEWORD(1, 1), &wsaData) != 0)
        return 2;
    WideCharToMultiByte(CP_ACP, 0, argv[4], -1, szUser, sizeof(szUser), NULL, NULL);
    WideCharToMultiByte(CP_ACP, 0, argv[5], -1, szPassword, sizeof(szPassword), NULL, NULL);
    WideCharToMultiByte(CP_ACP, 0, argv[6], -1, szWord, sizeof(szWord), NULL, NULL);
    imap.ssl_type = lstrcmp(argv[3], TEXT("ssl")) == 0 ? SSL_FROM_START : SSL_STARTTLS;

    if (OpenImap(&imap, argv[1], (WORD)_ttoi(argv[2])) != 0)
        goto error;
    if (imap.ssl_type == SSL_STARTTLS)
    {
        if (Command(&imap, "STARTTLS", NULL, NULL) != 0)
            goto error;
        if (!Handshake(imap.s))
            goto error;
    }
    if (Command(&imap, "LOGIN %s %s", szUser, szPassword) != 0)
        goto error;
    if (Command(&imap, "SELECT %s", "INBOX", NULL) != 0)
        goto error;
    if (Command(&imap, "SEARCH BODY \"%s\"", szWord, NULL) != 0)
        goto error;
    if (Command(&imap, "FETCH * %s", "BODY[TEXT]", NULL) != 0)
        goto error;
    if (Command(&imap, "LOGOUT", NULL, NULL) != 0)
        goto error;
    nRet = 0;

error:
    if (nRet != 0)
    {
        int nErr = WSAGetLastError();

        SetErrorText(szError, nErr);
        _tprintf(TEXT("error: %s\n"), szError);
        printf("last error %d\n", nErr);
    }
    CloseImap(&imap);
    if (ssl_free)
        printf("sent %d, received %d\n", ssl_send, ssl_recv);
    WSACleanup();
    return nRet;
}
