/*
 * A telnet client, written as that of row 9 was: C++, the handshake by connect (mode s) or after telnet's negotiation
 * of AUTH SSL in clear (mode z), with the flags read, added to and written back; the certificate compared with one
 * that was stored; a thread that reads and one that writes, both with select and then a lock round recv and send.
 *
 *     HOST PORT s|z TEXT [STORED-CERTIFICATE-IN-HEX]
 */
#include <windows.h>
#include <winsock2.h>
#include <sslsock.h>
#include <tchar.h>
#include <stdio.h>
#include <string.h>

#include "client.h"

#define IAC   255
#define DONT  254
#define DO    253
#define WONT  252
#define WILL  251
#define SB    250
#define SE    240
#define TELOPT_AUTHENTICATION 37
#define TELQUAL_IS   0
#define TELQUAL_SEND 1
#define AUTHTYPE_SSL 7
#define AUTH_SSL_START  1
#define AUTH_SSL_ACCEPT 2

class CTelnet
{
public:
    CTelnet() : m_nError(0), m_sock(INVALID_SOCKET), m_cbStored(0), m_bRequireCert(FALSE), m_bClosing(FALSE)
    {
        InitializeCriticalSection(&m_cs);
    }
    ~CTelnet() { DeleteCriticalSection(&m_cs); }

    void LoadStored(LPCTSTR pszHex);
    BOOL Connect(LPCTSTR pszHost, int nPort, TCHAR chMode);
    BOOL Negotiate();
    void Talk(LPCTSTR pszText);
    void Close();

    int m_nError;

private:
    static int CALLBACK VerifyCert(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags);
    static DWORD WINAPI ReaderProc(LPVOID pvParam) { ((CTelnet *)pvParam)->Reader(); return 0; }
    static DWORD WINAPI WriterProc(LPVOID pvParam) { ((CTelnet *)pvParam)->Writer(); return 0; }
    void Reader();
    void Writer();
    int ReadByte();
    BOOL Fail() { m_nError = WSAGetLastError(); return FALSE; }

    SOCKET m_sock;
    BYTE m_abStored[4096];
    DWORD m_cbStored;
    BOOL m_bRequireCert;
    volatile BOOL m_bClosing;
    CRITICAL_SECTION m_cs;
    char m_szText[4096];
};

int CALLBACK CTelnet::VerifyCert(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags)
{
    CTelnet *pTelnet = (CTelnet *)pvArg;

    (void)dwFlags;
    if (!pTelnet->m_bRequireCert)
        return SSL_ERR_OKAY;
    if (dwType != SSL_CERT_X509 || dwChainLen != 1)
        return SSL_ERR_CERT_UNKNOWN;
    if (pCertChain->cbSize != pTelnet->m_cbStored || memcmp(pCertChain->pBlobData, pTelnet->m_abStored, pCertChain->cbSize) != 0)
        return SSL_ERR_CERT_UNKNOWN;
    return SSL_ERR_OKAY;
}

void CTelnet::LoadStored(LPCTSTR pszHex)
{
    m_bRequireCert = TRUE;
    while (pszHex[0] && pszHex[1] && m_cbStored < sizeof(m_abStored))
    {
        TCHAR szByte[3] = { pszHex[0], pszHex[1], 0 };
        m_abStored[m_cbStored++] = (BYTE)_tcstoul(szByte, NULL, 16);
        pszHex += 2;
    }
}

BOOL CTelnet::Connect(LPCTSTR pszHost, int nPort, TCHAR chMode)
{
    char szHost[MAX_PATH];
    SSLVALIDATECERTHOOK svch;
    DWORD dwOptVal = SO_SEC_SSL, dwReturned = 0, dwFlags = 0;

    WideCharToMultiByte(CP_ACP, WC_COMPOSITECHECK, pszHost, -1, szHost, MAX_PATH, NULL, NULL);
    m_sock = socket(AF_INET, SOCK_STREAM, 0);
    if (m_sock == INVALID_SOCKET)
        return Fail();
    if (setsockopt(m_sock, SOL_SOCKET, SO_SECURE, (const char *)&dwOptVal, sizeof(DWORD)) == SOCKET_ERROR)
        return Fail();
    svch.HookFunc = VerifyCert;
    svch.pvArg = (PVOID)this;
    if (WSAIoctl(m_sock, SO_SSL_SET_VALIDATE_CERT_HOOK, &svch, sizeof(svch), NULL, 0, NULL, NULL, NULL) == SOCKET_ERROR)
        return Fail();
    if (chMode == _T('z'))
    {
        if (WSAIoctl(m_sock, SO_SSL_GET_FLAGS, NULL, 0, &dwFlags, sizeof(dwFlags), &dwReturned, NULL, NULL) == SOCKET_ERROR)
            return Fail();
        printf("flags %lu in %lu bytes\n", (unsigned long)dwFlags, (unsigned long)dwReturned);
        dwFlags |= SSL_FLAG_DEFER_HANDSHAKE;
        if (WSAIoctl(m_sock, SO_SSL_SET_FLAGS, &dwFlags, sizeof(dwFlags), NULL, 0, NULL, NULL, NULL) == SOCKET_ERROR)
            return Fail();
    }

    HOSTENT *phe = gethostbyname(szHost);
    if (phe == NULL)
        return Fail();
    SOCKADDR_IN saddr;
    memset(&saddr, 0, sizeof(saddr));
    saddr.sin_family = PF_INET;
    saddr.sin_port = htons((WORD)nPort);
    saddr.sin_addr.S_un.S_addr = *(unsigned long *)phe->h_addr;
    // unsigned long ulNonBlock = 1;
    // ioctlsocket(m_sock, FIONBIO, &ulNonBlock);
    if (connect(m_sock, (SOCKADDR *)&saddr, sizeof(saddr)) == SOCKET_ERROR)
        return Fail();
    return TRUE;
}

int CTelnet::ReadByte()
{
    BYTE b;
    return recv(m_sock, (LPSTR)&b, 1, 0) == 1 ? b : -1;
}

// The server asks DO AUTHENTICATION, then which kinds it wants, and says when SSL may start.
BOOL CTelnet::Negotiate()
{
    static const BYTE abWill[] = { IAC, WILL, TELOPT_AUTHENTICATION };
    static const BYTE abStart[] = { IAC, SB, TELOPT_AUTHENTICATION, TELQUAL_IS, AUTHTYPE_SSL, 0, AUTH_SSL_START, IAC, SE };
    BYTE abSub[64];

    for (;;)
    {
        int nByte = ReadByte();
        if (nByte < 0)
            return Fail();
        if (nByte != IAC)
            continue;
        int nCommand = ReadByte();
        if (nCommand == DO || nCommand == WILL || nCommand == DONT || nCommand == WONT)
        {
            int nOption = ReadByte();
            if (nCommand == DO && nOption == TELOPT_AUTHENTICATION)
            {
                if (send(m_sock, (LPCSTR)abWill, sizeof(abWill), 0) == SOCKET_ERROR)
                    return Fail();
            }
            else if (nCommand == DO || nCommand == WILL)
            {
                BYTE abNo[3] = { IAC, (BYTE)(nCommand == DO ? WONT : DONT), (BYTE)nOption };
                send(m_sock, (LPCSTR)abNo, 3, 0);
            }
            continue;
        }
        if (nCommand != SB)
            continue;
        int nLen = 0;
        while (nLen < (int)sizeof(abSub) && (nByte = ReadByte()) >= 0)
        {
            abSub[nLen++] = (BYTE)nByte;
            if (nLen >= 2 && abSub[nLen - 2] == IAC && abSub[nLen - 1] == SE)
                break;
        }
        if (nByte < 0)
            return Fail();
        if (nLen > 3 && abSub[0] == TELOPT_AUTHENTICATION && abSub[1] == TELQUAL_SEND)
        {
            if (send(m_sock, (LPCSTR)abStart, sizeof(abStart), 0) == SOCKET_ERROR)
                return Fail();
        }
        else if (nLen > 4 && abSub[2] == AUTHTYPE_SSL && abSub[4] == AUTH_SSL_ACCEPT)
            break;
    }
    printf("negotiated\n");
    if (WSAIoctl(m_sock, SO_SSL_PERFORM_HANDSHAKE, NULL, 0, NULL, 0, NULL, NULL, NULL) == SOCKET_ERROR)
        return Fail();
    return TRUE;
}

void CTelnet::Reader()
{
    char szBuffer[1024];
    int rt;

    do
    {
        fd_set fdRead;

        FD_ZERO(&fdRead);
        FD_SET(m_sock, &fdRead);
        if (select(0, &fdRead, NULL, NULL, NULL) == SOCKET_ERROR)
            break;
        EnterCriticalSection(&m_cs);
        rt = recv(m_sock, szBuffer, sizeof(szBuffer) - 1, 0);
        LeaveCriticalSection(&m_cs);
        if (rt > 0)
        {
            szBuffer[rt] = 0;
            printf("%s", szBuffer);
        }
    } while (rt > 0);
    m_bClosing = TRUE;
}

void CTelnet::Writer()
{
    int nLen = (int)strlen(m_szText), nDone = 0;

    while (nDone < nLen && !m_bClosing)
    {
        fd_set fdWrite;

        FD_ZERO(&fdWrite);
        FD_SET(m_sock, &fdWrite);
        if (select(0, NULL, &fdWrite, NULL, NULL) == SOCKET_ERROR)
            break;
        EnterCriticalSection(&m_cs);
        // A key at a time, as it is typed.
        int rt = send(m_sock, m_szText + nDone, 1, 0);
        LeaveCriticalSection(&m_cs);
        if (rt <= 0)
            break;
        nDone += rt;
    }
}

void CTelnet::Talk(LPCTSTR pszText)
{
    _snprintf(m_szText, sizeof(m_szText), "%ls\r\nlogout\r\n", pszText);
    HANDLE hReader = StartThread(ReaderProc, this);
    HANDLE hWriter = StartThread(WriterProc, this);
    WaitForThread(hWriter, 30000);
    WaitForThread(hReader, 30000);
}

void CTelnet::Close()
{
    if (m_sock != INVALID_SOCKET)
        closesocket(m_sock);
    m_sock = INVALID_SOCKET;
}

extern "C" int RunClient(int argc, TCHAR *argv[])
{
    WSADATA wsa;
    static CTelnet telnet;
    BOOL bOk;

    if (argc < 5 || WSAStartup(MAKEWORD(2, 2), &wsa) != 0)
        return 2;
    if (argc > 5)
        telnet.LoadStored(argv[5]);
    bOk = telnet.Connect(argv[1], _ttoi(argv[2]), argv[3][0]);
    if (bOk && argv[3][0] == _T('z'))
        bOk = telnet.Negotiate();
    if (bOk)
        telnet.Talk(argv[4]);
    else
        printf("last error %d\n", telnet.m_nError);
    telnet.Close();
    WSACleanup();
    return bOk ? 0 : 1;
}
