/*
 * A mail client's socket class, written as that of row 2 was: C++, the handshake made by connect, a hook that accepts
 * everything, an output buffer and a count where none is needed, FIONBIO for plain connections only, select in steps
 * of a second before each send and recv.
 *
 *     HOST PORT USER PASSWORD WORD
 */
#include "windows.h"
#include "winsock2.h"
#include "sslsock.h"
#include "tchar.h"
#include <stdio.h>
#include <string.h>

#include "client.h"

enum ESockError { SE_NONE = 0, SE_RESOLVE, SE_SOCKET, SE_SECURE, SE_CONNECT, SE_TIMEOUT, SE_SEND, SE_RECV, SE_PROTOCOL };

class CMailSocket
{
public:
    CMailSocket(BOOL bSsl) : m_hSocket(INVALID_SOCKET), m_bSsl(bSsl), m_eError(SE_NONE), m_nTimeout(30), m_nLen(0) { }
    virtual ~CMailSocket() { Disconnect(); }

    BOOL Connect(LPCTSTR lpszHost, UINT nPort);
    BOOL SendLine(LPCSTR lpszLine);
    BOOL RecvLine(LPSTR lpszLine, int nMax);
    void Disconnect();
    ESockError GetError() const { return m_eError; }

private:
    BOOL Wait(BOOL bWrite);
    BOOL Fail(ESockError eError) { m_eError = eError; return FALSE; }

    SOCKET      m_hSocket;
    BOOL        m_bSsl;
    ESockError  m_eError;
    int         m_nTimeout;
    char        m_szData[1024];
    int         m_nLen;
};

int CALLBACK SSLCertHook(DWORD, LPVOID, DWORD, LPBLOB, DWORD)
{
    return SSL_ERR_OKAY;
}

BOOL CMailSocket::Connect(LPCTSTR lpszHost, UINT nPort)
{
    SOCKADDR_IN sockAddr;
    CHAR szHost[256];
    ULONG ulNonBlocking = 1;

    wcstombs(szHost, lpszHost, 256);
    ZeroMemory(&sockAddr, sizeof(sockAddr));
    sockAddr.sin_family = AF_INET;
    sockAddr.sin_addr.s_addr = inet_addr(szHost);
    if (sockAddr.sin_addr.s_addr == INADDR_NONE)
    {
        LPHOSTENT lphost = gethostbyname(szHost);
        if (lphost == NULL)
            return Fail(SE_RESOLVE);
        sockAddr.sin_addr.s_addr = ((LPIN_ADDR)lphost->h_addr)->s_addr;
    }
    sockAddr.sin_port = htons((u_short)nPort);

    m_hSocket = socket(AF_INET, SOCK_STREAM, IPPROTO_IP);
    if (m_hSocket == INVALID_SOCKET)
        return Fail(SE_SOCKET);
    if (m_bSsl)
    {
        DWORD dwSec = SO_SEC_SSL, dwOut = 0, dwReturned = 0;
        SSLVALIDATECERTHOOK sslHook;

        if (SOCKET_ERROR == setsockopt(m_hSocket, SOL_SOCKET, SO_SECURE, (LPCSTR)&dwSec, sizeof(DWORD)))
            return Fail(SE_SECURE);
        sslHook.HookFunc = SSLCertHook;
        sslHook.pvArg = 0;
        if (SOCKET_ERROR == WSAIoctl(m_hSocket, SO_SSL_SET_VALIDATE_CERT_HOOK, &sslHook, sizeof sslHook, &dwOut, sizeof dwOut, &dwReturned, NULL, NULL))
            return Fail(SE_SECURE);
    }
    else
        ioctlsocket(m_hSocket, FIONBIO, &ulNonBlocking);
    if (connect(m_hSocket, (LPSOCKADDR)&sockAddr, sizeof(sockAddr)) == SOCKET_ERROR)
    {
        if (m_bSsl || WSAGetLastError() != WSAEWOULDBLOCK)
            return Fail(SE_CONNECT);
    }
    return TRUE;
}

BOOL CMailSocket::Wait(BOOL bWrite)
{
    for (int i = 0; i < m_nTimeout; i++)
    {
        FD_SET fds;
        TIMEVAL timeout = { 1, 0 };

        FD_ZERO(&fds);
        FD_SET(m_hSocket, &fds);
        int nRes = select(1, bWrite ? NULL : &fds, bWrite ? &fds : NULL, NULL, &timeout);
        if (nRes == SOCKET_ERROR)
            return FALSE;
        if (nRes == 1)
            return TRUE;
    }
    return Fail(SE_TIMEOUT);
}

BOOL CMailSocket::SendLine(LPCSTR lpszLine)
{
    CHAR szLine[512];
    int nSent = 0, nLen;

    _snprintf(szLine, 511, "%s\r\n", lpszLine);
    szLine[511] = 0;
    nLen = strlen(szLine);
    while (nSent < nLen)
    {
        if (!Wait(TRUE))
            return FALSE;
        int nRes = send(m_hSocket, szLine + nSent, nLen - nSent, 0);
        if (nRes == SOCKET_ERROR)
            return Fail(SE_SEND);
        nSent += nRes;
    }
    return TRUE;
}

BOOL CMailSocket::RecvLine(LPSTR lpszLine, int nMax)
{
    for (;;)
    {
        LPSTR lpszEnd = (LPSTR)memchr(m_szData, '\n', m_nLen);
        if (lpszEnd != NULL)
        {
            int nLine = lpszEnd - m_szData;
            int nCopy = min(nLine, nMax - 1);
            memcpy(lpszLine, m_szData, nCopy);
            lpszLine[nCopy] = '\0';
            m_nLen -= nLine + 1;
            memmove(m_szData, lpszEnd + 1, m_nLen);
            printf("< %s\n", lpszLine);
            return TRUE;
        }
        if (!Wait(FALSE))
            return FALSE;
        int nRes = recv(m_hSocket, m_szData + m_nLen, sizeof(m_szData) - m_nLen, 0);
        if (nRes == SOCKET_ERROR || nRes == 0)
            return Fail(SE_RECV);
        m_nLen += nRes;
    }
}

void CMailSocket::Disconnect()
{
    if (m_hSocket != INVALID_SOCKET)
    {
        closesocket(m_hSocket);
        m_hSocket = INVALID_SOCKET;
    }
}

static BOOL Ask(CMailSocket& socket, LPCSTR lpszTag, LPCSTR lpszCommand)
{
    CHAR szLine[1024], szStart[16];

    sprintf(szLine, "%s %s", lpszTag, lpszCommand);
    if (!socket.SendLine(szLine))
        return FALSE;
    // With the blank: a line of a mail may begin with the same letter.
    sprintf(szStart, "%s ", lpszTag);
    do
    {
        if (!socket.RecvLine(szLine, sizeof szLine))
            return FALSE;
    } while (strncmp(szLine, szStart, strlen(szStart)));
    return !strncmp(szLine + strlen(szStart), "OK", 2);
}

extern "C" int RunClient(int argc, TCHAR *argv[])
{
    WSADATA wsaData;
    CHAR szLine[1024], szCommand[256];
    int nResult = 1;

    if (argc < 6 || WSAStartup(MAKEWORD(1, 1), &wsaData))
        return 2;
    {
        CMailSocket socket(TRUE);

        if (socket.Connect(argv[1], _ttoi(argv[2])) && socket.RecvLine(szLine, sizeof szLine))
        {
            _snprintf(szCommand, 256, "LOGIN %S %S", argv[3], argv[4]);
            if (Ask(socket, "a", szCommand) && Ask(socket, "b", "EXAMINE INBOX"))
            {
                _snprintf(szCommand, 256, "SEARCH BODY %S", argv[5]);
                if (Ask(socket, "c", szCommand) && Ask(socket, "d", "FETCH * BODY[TEXT]") && Ask(socket, "e", "LOGOUT"))
                    nResult = 0;
            }
        }
        if (nResult)
            printf("step %d\nlast error %d\n", socket.GetError(), WSAGetLastError());
    }
    WSACleanup();
    return nResult;
}
