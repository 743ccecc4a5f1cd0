/*
 * A downloader's HTTP connection, written as that of row 4 was: C++, FIONBIO round the connect and select for writing
 * and exceptions, CONNECT to a proxy in clear, then the handshake without a name; a hook that accepts everything.
 *
 *     PROXY PORT TARGET-HOST:PORT PATH [MILLISECONDS]
 */
#include <windows.h>
#include <winsock2.h>
#include <ws2tcpip.h>
#include <sslsock.h>
#include <tchar.h>
#include <stdio.h>

#include "client.h"

#define CONNECT_TIMEOUT 10

class CHttpConnection
{
public:
    CHttpConnection() { m_hSocket = INVALID_SOCKET; m_dwTimeout = 15000; }
    ~CHttpConnection() { Close(); }
    BOOL Open(LPCTSTR szHost, USHORT nPort);
    BOOL Tunnel(LPCTSTR szTarget);
    BOOL StartSSL();
    BOOL Get(LPCTSTR szTarget, LPCTSTR szPath);
    void Close();

    DWORD m_dwTimeout;

private:
    BOOL WaitFor(BOOL bWrite, DWORD dwTimeout);
    BOOL Log(LPCTSTR szWhat);
    SOCKET m_hSocket;
};

static int CALLBACK CertHook(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags)
{
    (void)dwType; (void)pvArg; (void)dwChainLen; (void)pCertChain;
    printf("hook: flags %lu\n", (unsigned long)dwFlags);
    return SSL_ERR_OKAY;
}

BOOL CHttpConnection::Log(LPCTSTR szWhat)
{
    TCHAR szText[128];
    int nError = WSAGetLastError();
    _sntprintf(szText, 128, _T("%s failed, error %d"), szWhat, nError);
    OutputDebugString(szText);
    RETAILMSG(1, (TEXT("%s\r\n"), szText));
    printf("%ls\nlast error %d\n", szText, nError);
    return FALSE;
}

BOOL CHttpConnection::Open(LPCTSTR szHost, USHORT nPort)
{
    char szAnsi[MAX_PATH];
    struct sockaddr_in sin;
    struct hostent FAR *pHost;
    unsigned long ulMode;
    int nTimeout = (int)m_dwTimeout;

    WideCharToMultiByte(CP_ACP, 0, szHost, -1, szAnsi, MAX_PATH, NULL, NULL);
    if ((pHost = gethostbyname(szAnsi)) == NULL)
        return Log(_T("gethostbyname"));
    memset(&sin, 0, sizeof(sin));
    memcpy(&sin.sin_addr, pHost->h_addr, pHost->h_length);
    sin.sin_family = AF_INET;
    sin.sin_port = htons(nPort);
    m_hSocket = socket(AF_INET, SOCK_STREAM, 0);
    if (m_hSocket == INVALID_SOCKET)
        return Log(_T("socket"));
    // What it answers nobody has looked at.
    setsockopt(m_hSocket, IPPROTO_TCP, SO_RCVTIMEO, (char FAR *)&nTimeout, sizeof(nTimeout));

    DWORD dwValue = SO_SEC_SSL;
    if (setsockopt(m_hSocket, SOL_SOCKET, SO_SECURE, (char FAR *)&dwValue, sizeof(dwValue)) == SOCKET_ERROR)
        return Log(_T("SO_SECURE"));
    SSLVALIDATECERTHOOK hook;
    hook.HookFunc = CertHook;
    hook.pvArg = (LPVOID)m_hSocket;
    if (WSAIoctl(m_hSocket, SO_SSL_SET_VALIDATE_CERT_HOOK, &hook, sizeof(hook), NULL, 0, NULL, NULL, NULL) == SOCKET_ERROR)
        return Log(_T("hook"));
    dwValue = SSL_FLAG_DEFER_HANDSHAKE;
    if (WSAIoctl(m_hSocket, SO_SSL_SET_FLAGS, &dwValue, sizeof(dwValue), NULL, 0, NULL, NULL, NULL) == SOCKET_ERROR)
        return Log(_T("flags"));

    ulMode = 1;
    if (ioctlsocket(m_hSocket, FIONBIO, &ulMode) == SOCKET_ERROR)
        return Log(_T("FIONBIO"));
    if (connect(m_hSocket, (struct sockaddr *)&sin, sizeof(sin)) == SOCKET_ERROR)
    {
        if (WSAGetLastError() != WSAEWOULDBLOCK)
            return Log(_T("connect"));
        printf("connect: %d\n", WSAGetLastError());
    }
    ulMode = 0;
    ioctlsocket(m_hSocket, FIONBIO, &ulMode);

    fd_set fdWrite, fdExcept;
    struct timeval tv;
    tv.tv_sec = CONNECT_TIMEOUT;
    tv.tv_usec = 0;
    FD_ZERO(&fdWrite);
    FD_ZERO(&fdExcept);
    FD_SET(m_hSocket, &fdWrite);
    FD_SET(m_hSocket, &fdExcept);
    if (select(0, NULL, &fdWrite, &fdExcept, &tv) <= 0)
        return Log(_T("connect (select)"));
    if (FD_ISSET(m_hSocket, &fdExcept))
    {
        int nError = 0, nLen = sizeof(nError);
        getsockopt(m_hSocket, SOL_SOCKET, SO_ERROR, (char FAR *)&nError, &nLen);
        WSASetLastError(nError);
        return Log(_T("connect (except)"));
    }
    return TRUE;
}

BOOL CHttpConnection::WaitFor(BOOL bWrite, DWORD dwTimeout)
{
    fd_set fds;
    struct timeval tv;
    tv.tv_sec = dwTimeout / 1000;
    tv.tv_usec = (dwTimeout % 1000) * 1000;
    FD_ZERO(&fds);
    FD_SET(m_hSocket, &fds);
    return select(0, bWrite ? NULL : &fds, bWrite ? &fds : NULL, NULL, &tv) == 1;
}

BOOL CHttpConnection::Tunnel(LPCTSTR szTarget)
{
    char szBuffer[1024];
    int nLen = 0;

    sprintf(szBuffer, "CONNECT %ls HTTP/1.1\r\nHost: %ls\r\n\r\n", szTarget, szTarget);
    if (!WaitFor(TRUE, m_dwTimeout) || send(m_hSocket, szBuffer, (int)strlen(szBuffer), 0) == SOCKET_ERROR)
        return Log(_T("CONNECT"));
    do
    {
        if (!WaitFor(FALSE, m_dwTimeout) || nLen == sizeof(szBuffer) - 1 || recv(m_hSocket, szBuffer + nLen, 1, 0) != 1)
            return Log(_T("CONNECT"));
        szBuffer[++nLen] = 0;
    } while (nLen < 4 || strcmp(szBuffer + nLen - 4, "\r\n\r\n") != 0);
    printf("%s", szBuffer);
    return strstr(szBuffer, " 200 ") != NULL;
}

BOOL CHttpConnection::StartSSL()
{
    // WSAIoctl(m_hSocket, SO_SSL_PERFORM_HANDSHAKE, szHost, strlen(szHost) + 1, ...) made no difference.
    if (WSAIoctl(m_hSocket, SO_SSL_PERFORM_HANDSHAKE, NULL, 0, NULL, 0, NULL, NULL, NULL) == SOCKET_ERROR)
        return Log(_T("handshake"));
    return TRUE;
}

BOOL CHttpConnection::Get(LPCTSTR szTarget, LPCTSTR szPath)
{
    char szBuffer[1024];
    int nRecv;

    sprintf(szBuffer, "GET %ls HTTP/1.0\r\nHost: %ls\r\n\r\n", szPath, szTarget);
    if (!WaitFor(TRUE, m_dwTimeout) || send(m_hSocket, szBuffer, (int)strlen(szBuffer), 0) == SOCKET_ERROR)
        return Log(_T("send"));
    for (;;)
    {
        if (!WaitFor(FALSE, m_dwTimeout))
        {
            WSASetLastError(WSAETIMEDOUT);
            return Log(_T("select"));
        }
        if ((nRecv = recv(m_hSocket, szBuffer, sizeof(szBuffer) - 1, 0)) <= 0)
            break;
        szBuffer[nRecv] = 0;
        printf("%s", szBuffer);
    }
    return nRecv == 0 ? TRUE : Log(_T("recv"));
}

void CHttpConnection::Close()
{
    if (m_hSocket != INVALID_SOCKET)
        closesocket(m_hSocket);
    m_hSocket = INVALID_SOCKET;
}

extern "C" int RunClient(int argc, TCHAR *argv[])
{
    WSADATA wsaData;
    CHttpConnection connection;
    int nResult = 1;

    if (argc < 5 || WSAStartup(MAKEWORD(1, 1), &wsaData) != 0)
        return 2;
    if (argc > 5)
        connection.m_dwTimeout = _ttoi(argv[5]);
    if (connection.Open(argv[1], (USHORT)_ttoi(argv[2])) && connection.Tunnel(argv[3]) && connection.StartSSL() &&
        connection.Get(argv[3], argv[4]))
        nResult = 0;
    connection.Close();
    WSACleanup();
    return nResult;
}
