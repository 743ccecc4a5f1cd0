/*
 * A feed reader's connection, written as that of row 7 was: C++, SOCKS5 in clear before the handshake, the host's name
 * (UTF-16 on the device) as the hook's argument, the certificate cracked by functions found at run time, its name
 * compared with a wildcard, its dates with the clock; whatever is wrong is asked about once and then remembered.
 *
 *     PROXY PORT TARGET TARGET-PORT PATH [again]
 */
#include <windows.h>
#include <winsock.h>
#include <schnlsp.h>
#include <sslsock.h>
#include <tchar.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

typedef BOOL (*PFNCRACK)(PUCHAR, DWORD, BOOL, PX509Certificate *);
typedef VOID (*PFNFREE)(PX509Certificate);

static struct { BYTE *pbData; DWORD cbData; } g_aAccepted[8];
static int g_nAccepted = 0;
static BOOL g_bAcceptAll = FALSE;

static BOOL WasAccepted(LPBLOB pCert)
{
    for (int i = 0; i < g_nAccepted; i++)
        if (g_aAccepted[i].cbData == pCert->cbSize && memcmp(g_aAccepted[i].pbData, pCert->pBlobData, pCert->cbSize) == 0)
            return TRUE;
    return FALSE;
}

static void Remember(LPBLOB pCert)
{
    if (g_nAccepted == 8)
        return;
    g_aAccepted[g_nAccepted].pbData = (BYTE *)LocalAlloc(LPTR, pCert->cbSize);
    g_aAccepted[g_nAccepted].cbData = pCert->cbSize;
    CopyMemory(g_aAccepted[g_nAccepted++].pbData, pCert->pBlobData, pCert->cbSize);
}

static BOOL MatchName(LPSTR pszSubject, LPCSTR pszHost)
{
    LPSTR p = pszSubject, pszName, pszEnd;

    for (; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p += 'a' - 'A';
    pszName = strstr(pszSubject, "cn=");
    if (pszName == NULL)
        return FALSE;
    pszName += 3;
    pszEnd = strchr(pszName, ',');
    if (pszEnd)
        *pszEnd = 0;
    BOOL bMatch;
    if (strncmp(pszName, "*.", 2) == 0)
    {
        LPCSTR pszDot = strchr(pszHost, '.');
        bMatch = pszDot != NULL && strcmp(pszDot + 1, pszName + 2) == 0;
    }
    else
        bMatch = strcmp(pszName, pszHost) == 0;
    printf("name in the certificate: %s\n", pszName);
    if (pszEnd)
        *pszEnd = ',';
    return bMatch;
}

static int ValidateCert(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags)
{
    if (g_bAcceptAll)
        return SSL_ERR_OKAY;
    if (dwType != SSL_CERT_X509 || dwChainLen != 1)
        return SSL_ERR_BAD_DATA;

    int nResult = SSL_ERR_BAD_DATA;
    CHAR szHost[256];
    FILETIME ftNow;
    SYSTEMTIME stNow;
    HMODULE hSchannel = LoadLibrary(_T("schannel.dll"));
    PFNCRACK pfnCrack = (PFNCRACK)GetProcAddress(hSchannel, _T("SslCrackCertificate"));
    PFNFREE pfnFree = (PFNFREE)GetProcAddress(hSchannel, _T("SslFreeCertificate"));
    PX509Certificate pCert = NULL;

    WideCharToMultiByte(CP_ACP, 0, (LPCTSTR)pvArg, -1, szHost, 256, NULL, NULL);
    GetSystemTime(&stNow);
    SystemTimeToFileTime(&stNow, &ftNow);
    if (pfnCrack && pfnFree && pfnCrack(pCertChain->pBlobData, pCertChain->cbSize, TRUE, &pCert))
    {
        BOOL bTrusted = !(dwFlags & SSL_CERT_FLAG_ISSUER_UNKNOWN);
        BOOL bName = MatchName(pCert->pszSubject, szHost);
        BOOL bDate = CompareFileTime(&ftNow, &pCert->ValidFrom) >= 0 && CompareFileTime(&ftNow, &pCert->ValidUntil) <= 0;
        pfnFree(pCert);
        printf("trusted %d, name %d, date %d\n", bTrusted, bName, bDate);
        if (bTrusted && bName && bDate)
            nResult = SSL_ERR_OKAY;
        else if (WasAccepted(pCertChain))
        {
            printf("accepted before\n");
            nResult = SSL_ERR_OKAY;
        }
        else
        {
            TCHAR szText[512];
            wsprintf(szText, _T("There is something wrong with the certificate of %s:%s%s%s\nConnect all the same?"), (LPCTSTR)pvArg,
                bTrusted ? _T("") : _T(" not trusted"), bName ? _T("") : _T(" other name"), bDate ? _T("") : _T(" date"));
            if (MessageBox(NULL, szText, _T("Feeds"), MB_YESNO | MB_ICONEXCLAMATION) == IDYES)
            {
                Remember(pCertChain);
                nResult = SSL_ERR_OKAY;
            }
            else
                nResult = SSL_ERR_CERT_UNKNOWN;
        }
    }
    if (hSchannel)
        FreeLibrary(hSchannel);
    return nResult;
}

class CFeedSocket
{
public:
    CFeedSocket() : m_socket(INVALID_SOCKET) {}
    ~CFeedSocket() { Close(); }

    BOOL Connect(LPCTSTR pszProxy, u_short nPort, LPCTSTR pszTarget)
    {
        char szProxy[256];
        BOOL bKeepAlive = TRUE;
        DWORD dw = SO_SEC_SSL;
        SOCKADDR_IN sa;

        WideCharToMultiByte(CP_ACP, 0, pszProxy, -1, szProxy, 256, NULL, NULL);
        m_socket = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
        if (m_socket == INVALID_SOCKET)
            return FALSE;
        setsockopt(m_socket, SOL_SOCKET, SO_KEEPALIVE, (const char *)&bKeepAlive, sizeof(bKeepAlive));
        if (setsockopt(m_socket, SOL_SOCKET, SO_SECURE, (const char *)&dw, sizeof(dw)))
            return FALSE;
        SSLVALIDATECERTHOOK hook;
        hook.HookFunc = ValidateCert;
        hook.pvArg = (void *)pszTarget;
        if (WSAIoctl(m_socket, SO_SSL_SET_VALIDATE_CERT_HOOK, &hook, sizeof(hook), NULL, 0, NULL, NULL, NULL))
            return FALSE;
        dw = SSL_FLAG_DEFER_HANDSHAKE;
        if (WSAIoctl(m_socket, SO_SSL_SET_FLAGS, &dw, sizeof(dw), NULL, 0, NULL, NULL, NULL))
            return FALSE;
        HOSTENT *pHost = gethostbyname(szProxy);
        if (!pHost)
            return FALSE;
        memset(&sa, 0, sizeof(sa));
        sa.sin_family = AF_INET;
        sa.sin_port = htons(nPort);
        sa.sin_addr = *((LPIN_ADDR)*pHost->h_addr_list);
        return connect(m_socket, (SOCKADDR *)&sa, sizeof(sa)) == 0;
    }

    BOOL Socks5(LPCTSTR pszTarget, u_short nPort)
    {
        BYTE abData[300];
        int nName = lstrlen(pszTarget);

        abData[0] = 5; abData[1] = 1; abData[2] = 0;
        if (send(m_socket, (LPCSTR)abData, 3, 0) != 3 || !RecvExactly((LPSTR)abData, 2) || abData[0] != 5 || abData[1] != 0)
            return FALSE;
        abData[0] = 5; abData[1] = 1; abData[2] = 0; abData[3] = 3;
        abData[4] = (BYTE)nName;
        WideCharToMultiByte(CP_ACP, 0, pszTarget, nName, (LPSTR)abData + 5, 255, NULL, NULL);
        abData[5 + nName] = HIBYTE(nPort);
        abData[6 + nName] = LOBYTE(nPort);
        if (send(m_socket, (LPCSTR)abData, 7 + nName, 0) != 7 + nName || !RecvExactly((LPSTR)abData, 10) || abData[1] != 0)
            return FALSE;
        return TRUE;
    }

    BOOL StartSSL()
    {
        return WSAIoctl(m_socket, SO_SSL_PERFORM_HANDSHAKE, NULL, 0, NULL, 0, NULL, NULL, NULL) == 0;
    }

    BOOL Fetch(LPCTSTR pszHost, LPCTSTR pszPath)
    {
        char szRequest[512], szBuffer[4096];
        TCHAR szTemp[512];
        int n;

        _stprintf(szTemp, _T("GET %s HTTP/1.0\r\nHost: %s\r\n\r\n"), pszPath, pszHost);
        n = WideCharToMultiByte(CP_ACP, 0, szTemp, -1, szRequest, 512, NULL, NULL) - 1;
        if (send(m_socket, szRequest, n, 0) != n)
            return FALSE;
        for (;;)
        {
            fd_set set;
            timeval tv = { 5, 0 };
            FD_ZERO(&set);
            FD_SET(m_socket, &set);
            if (select(0, &set, NULL, NULL, &tv) != 1)
                return FALSE;
            n = recv(m_socket, szBuffer, sizeof(szBuffer) - 1, 0);
            if (n < 0)
                return FALSE;
            if (n == 0)
                break;
            szBuffer[n] = 0;
            printf("%s", szBuffer);
        }
        printf("\n");
        return TRUE;
    }

    void Close(int how = SD_BOTH)
    {
        if (m_socket == INVALID_SOCKET)
            return;
        shutdown(m_socket, how);
        closesocket(m_socket);
        m_socket = INVALID_SOCKET;
    }

private:
    BOOL RecvExactly(LPSTR pBuffer, int nCount)
    {
        while (nCount > 0)
        {
            int n = recv(m_socket, pBuffer, nCount, 0);
            if (n <= 0)
                return FALSE;
            pBuffer += n;
            nCount -= n;
        }
        return TRUE;
    }

    SOCKET m_socket;
};

extern "C" int RunClient(int argc, TCHAR *argv[])
{
    WSADATA wsaData;
    int nRounds = argc > 6 && _tcscmp(argv[6], _T("again")) == 0 ? 2 : 1;

    if (argc < 6 || WSAStartup(MAKEWORD(1, 1), &wsaData))
        return 2;
    g_bAcceptAll = argc > 6 && _tcscmp(argv[6], _T("all")) == 0;
    while (nRounds-- > 0)
    {
        CFeedSocket feed;

        if (!feed.Connect(argv[1], (u_short)_ttoi(argv[2]), argv[3]) || !feed.Socks5(argv[3], (u_short)_ttoi(argv[4])) ||
            !feed.StartSSL() || !feed.Fetch(argv[3], argv[5]))
        {
            printf("last error %d\n", WSAGetLastError());
            return 1;
        }
    }
    WSACleanup();
    return 0;
}
