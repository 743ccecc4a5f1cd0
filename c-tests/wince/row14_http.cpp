/*
 * An HTTP library's connection, written as that of row 14 was: C++, the handshake always deferred and given the name
 * with its NUL, CONNECT to a proxy first, output buffers where none are used, failures as HRESULT; sends wait with
 * select, receives run in a thread with a time limit, at which closesocket ends them.
 *
 *     HOST PORT NAME PATH proxy|direct [MILLISECONDS]
 */
#include <windows.h>
#include <winsock2.h>
#include <ws2tcpip.h>
#include <schnlsp.h>
#include <sslsock.h>
#include <stdio.h>
#include <string.h>

#include "client.h"

#define TIMEOUT_SEND 10

class CHttpTransport
{
public:
    CHttpTransport() : m_dwTimeout(20000), m_hSocket(INVALID_SOCKET), m_pszBuffer(NULL), m_nResult(0), m_nError(0), m_cbWanted(0) {}
    ~CHttpTransport() { Close(); }

    HRESULT Open(LPCSTR pszHost, LPCSTR pszPort, LPCSTR pszName);
    HRESULT Proxy(LPCSTR pszName);
    HRESULT Secure(LPCSTR pszName);
    HRESULT Send(LPCSTR pszData);
    HRESULT Receive(LPSTR pszData, int cbData, int *pcbRead);
    void Close();

    DWORD m_dwTimeout;

private:
    static int CertificateHook(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags);
    static DWORD WINAPI ReceiveThread(LPVOID pvParam);

    SOCKET m_hSocket;
    LPSTR m_pszBuffer;
    int m_nResult, m_nError, m_cbWanted;
};

int CHttpTransport::CertificateHook(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags)
{
    (void)dwChainLen;
    if (dwType != SSL_CERT_X509)
        return SSL_ERR_CERT_UNKNOWN;
    if (dwFlags & SSL_CERT_FLAG_ISSUER_UNKNOWN)
        return SSL_ERR_CERT_UNKNOWN;

    // CertCreateCertificateContext is missing on the older devices.
    HMODULE hLib = LoadLibraryW(L"schannel.dll");
    if (!hLib)
        return SSL_ERR_CERT_UNKNOWN;
    int nReturn = SSL_ERR_CERT_UNKNOWN;
    SSL_CRACK_CERTIFICATE_FN fnCrack = (SSL_CRACK_CERTIFICATE_FN)GetProcAddressW(hLib, SSL_CRACK_CERTIFICATE_NAME);
    SSL_FREE_CERTIFICATE_FN fnFree = (SSL_FREE_CERTIFICATE_FN)GetProcAddressW(hLib, SSL_FREE_CERTIFICATE_NAME);
    PX509Certificate pCertificate = NULL;
    if (fnCrack && fnFree && fnCrack(pCertChain[0].pBlobData, pCertChain[0].cbSize, TRUE, &pCertificate))
    {
        LPSTR pszName = strstr(pCertificate->pszSubject, "CN=");
        if (pszName)
        {
            pszName += 3;
            LPSTR pszEnd = pszName + strcspn(pszName, ",");
            char chEnd = *pszEnd;
            *pszEnd = 0;
            if (_stricmp(pszName, (LPCSTR)pvArg) == 0)
                nReturn = SSL_ERR_OKAY;
            *pszEnd = chEnd;
        }
        printf("subject %s\n", pCertificate->pszSubject);
        fnFree(pCertificate);
    }
    FreeLibrary(hLib);
    return nReturn;
}

HRESULT CHttpTransport::Open(LPCSTR pszHost, LPCSTR pszPort, LPCSTR pszName)
{
    DWORD dwValue = SO_SEC_SSL;
    BYTE abScratch[16];
    SSLVALIDATECERTHOOK sHook;

    m_hSocket = socket(AF_INET, SOCK_STREAM, 0);
    if (m_hSocket == INVALID_SOCKET)
        return HRESULT_FROM_WIN32(WSAGetLastError());
    if (setsockopt(m_hSocket, SOL_SOCKET, SO_SECURE, (LPSTR)&dwValue, sizeof(dwValue)) == SOCKET_ERROR)
        return HRESULT_FROM_WIN32(WSAGetLastError());
    sHook.HookFunc = CertificateHook;
    sHook.pvArg = (LPVOID)pszName;
    if (WSAIoctl(m_hSocket, SO_SSL_SET_VALIDATE_CERT_HOOK, &sHook, sizeof(sHook), abScratch, sizeof(abScratch), NULL, NULL, NULL) == SOCKET_ERROR)
        return HRESULT_FROM_WIN32(WSAGetLastError());
    dwValue = SSL_FLAG_DEFER_HANDSHAKE;
    if (WSAIoctl(m_hSocket, SO_SSL_SET_FLAGS, &dwValue, sizeof(dwValue), abScratch, sizeof(abScratch), NULL, NULL, NULL) == SOCKET_ERROR)
        return HRESULT_FROM_WIN32(WSAGetLastError());

    ADDRINFO *pInfo = NULL;
    int nError = getaddrinfo(pszHost, pszPort, NULL, &pInfo);
    if (nError != 0)
        return HRESULT_FROM_WIN32(nError);
    HRESULT hr = HRESULT_FROM_WIN32(WSAHOST_NOT_FOUND);
    for (ADDRINFO *p = pInfo; p != NULL; p = p->ai_next)
    {
        if (p->ai_family != AF_INET || (p->ai_socktype != 0 && p->ai_socktype != SOCK_STREAM))
            continue;
        hr = connect(m_hSocket, p->ai_addr, (int)p->ai_addrlen) == SOCKET_ERROR ? HRESULT_FROM_WIN32(WSAGetLastError()) : S_OK;
        break;
    }
    freeaddrinfo(pInfo);
    return hr;
}

HRESULT CHttpTransport::Proxy(LPCSTR pszName)
{
    char szBuffer[1024];
    int cbRead = 0, cbTotal = 0;
    HRESULT hr;

    _snprintf(szBuffer, sizeof(szBuffer), "CONNECT %s HTTP/1.0\r\n\r\n", pszName);
    if (FAILED(hr = Send(szBuffer)))
        return hr;
    do
    {
        if (FAILED(hr = Receive(szBuffer + cbTotal, 1, &cbRead)))
            return hr;
        if (cbRead == 0)
            return E_FAIL;
        cbTotal += cbRead;
        szBuffer[cbTotal] = 0;
    } while (cbTotal < 1000 && !strstr(szBuffer, "\r\n\r\n"));
    return strncmp(szBuffer + 8, " 200", 4) == 0 ? S_OK : E_FAIL;
}

HRESULT CHttpTransport::Secure(LPCSTR pszName)
{
    BYTE abScratch[16];

    // Without the NUL it fails on some devices.
    if (WSAIoctl(m_hSocket, SO_SSL_PERFORM_HANDSHAKE, (LPVOID)pszName, strlen(pszName) + 1, abScratch, sizeof(abScratch), NULL, NULL, NULL) == SOCKET_ERROR)
        return HRESULT_FROM_WIN32(WSAGetLastError());
    return S_OK;
}

HRESULT CHttpTransport::Send(LPCSTR pszData)
{
    int nLength = strlen(pszData);

    while (nLength > 0)
    {
        fd_set fdSend;
        TIMEVAL tv = { TIMEOUT_SEND, 0 };

        FD_ZERO(&fdSend);
        FD_SET(m_hSocket, &fdSend);
        int n = select(0, NULL, &fdSend, NULL, &tv);
        if (n == 0)
            return HRESULT_FROM_WIN32(WSAETIMEDOUT);
        if (n == SOCKET_ERROR)
            return HRESULT_FROM_WIN32(WSAGetLastError());
        n = send(m_hSocket, pszData, nLength, 0);
        if (n == SOCKET_ERROR)
        {
            int nError = WSAGetLastError();
            if (nError == WSAEWOULDBLOCK)
                continue;
            return HRESULT_FROM_WIN32(nError);
        }
        pszData += n;
        nLength -= n;
    }
    return S_OK;
}

DWORD WINAPI CHttpTransport::ReceiveThread(LPVOID pvParam)
{
    CHttpTransport *pThis = (CHttpTransport *)pvParam;

    pThis->m_nResult = recv(pThis->m_hSocket, pThis->m_pszBuffer, pThis->m_cbWanted, 0);
    // The last error is this thread's.
    pThis->m_nError = pThis->m_nResult == SOCKET_ERROR ? WSAGetLastError() : 0;
    return 0;
}

HRESULT CHttpTransport::Receive(LPSTR pszData, int cbData, int *pcbRead)
{
    m_pszBuffer = pszData;
    m_cbWanted = cbData;
    HANDLE hThread = StartThread(ReceiveThread, this);
    if (!WaitForThread(hThread, m_dwTimeout))
    {
        closesocket(m_hSocket);
        m_hSocket = INVALID_SOCKET;
        BOOL bEnded = WaitForThread(hThread, 10000);
        printf("receive ended %d, result %d\n", bEnded, m_nResult);
        WSASetLastError(WSAETIMEDOUT);
        return HRESULT_FROM_WIN32(WSAGetLastError());
    }
    if (m_nResult == SOCKET_ERROR)
        return HRESULT_FROM_WIN32(m_nError);
    *pcbRead = m_nResult;
    return S_OK;
}

void CHttpTransport::Close()
{
    if (m_hSocket != INVALID_SOCKET)
        closesocket(m_hSocket);
    m_hSocket = INVALID_SOCKET;
}

extern "C" int RunClient(int argc, TCHAR *argv[])
{
    WSADATA wsaData;
    CHttpTransport transport;
    char szHost[128], szPort[16], szName[128], szHostName[128], szBuffer[1024];
    int cbRead = 0;
    HRESULT hr;

    if (argc < 6 || WSAStartup(MAKEWORD(2, 2), &wsaData))
        return 2;
    WideCharToMultiByte(CP_ACP, 0, argv[1], -1, szHost, 128, NULL, NULL);
    WideCharToMultiByte(CP_ACP, 0, argv[2], -1, szPort, 16, NULL, NULL);
    WideCharToMultiByte(CP_ACP, 0, argv[3], -1, szName, 128, NULL, NULL);
    strcpy(szHostName, szName);
    if (strchr(szHostName, ':'))
        *strchr(szHostName, ':') = 0;
    if (argc > 6)
        transport.m_dwTimeout = _wtol(argv[6]);

    hr = transport.Open(szHost, szPort, szHostName);
    if (SUCCEEDED(hr) && !lstrcmpi(argv[5], L"PROXY"))
        hr = transport.Proxy(szName);
    if (SUCCEEDED(hr))
        hr = transport.Secure(szHostName);
    if (SUCCEEDED(hr))
    {
        sprintf(szBuffer, "GET %ls HTTP/1.0\r\nHost: %s\r\n\r\n", argv[4], szHostName);
        hr = transport.Send(szBuffer);
    }
    while (SUCCEEDED(hr) && SUCCEEDED(hr = transport.Receive(szBuffer, sizeof(szBuffer) - 1, &cbRead)) && cbRead > 0)
    {
        szBuffer[cbRead] = 0;
        printf("%s", szBuffer);
    }
    printf("\nresult 0x%08x, facility %d, last error %d\n", (unsigned)hr, (int)HRESULT_FACILITY(hr), (int)HRESULT_CODE(hr));
    transport.Close();
    WSACleanup();
    return FAILED(hr) ? 1 : 0;
}
