/*
 * A browser's socket information object, written as that of row 15 was: C++, counted by references because nobody
 * knows how long the hook's argument has to live, the handshake made by the connect of the library that the socket is
 * handed to, and questions when the issuer is unknown or the name does not match.
 *
 *     HOST PORT NAME PATH
 */
#include <windows.h>
#include <winsock2.h>
#include <schnlsp.h>
#include <sslsock.h>
#include <stdio.h>
#include <string>
#include <functional>

#include "client.h"

class CSocketInfo
{
public:
    CSocketInfo(LPCSTR pszHostName) : m_lRefs(1), m_strHostName(pszHostName) {}

    LONG AddRef() { return InterlockedIncrement(&m_lRefs); }
    LONG Release()
    {
        LONG lRefs = InterlockedDecrement(&m_lRefs);
        if (lRefs == 0)
            delete this;
        return lRefs;
    }

    int VerifyServerCertificate(DWORD dwType, DWORD dwFlags, LPBLOB pCertChain);

private:
    ~CSocketInfo() { printf("information freed\n"); }
    BOOL NameMatches(LPSTR pszSubject);
    BOOL Ask(LPCTSTR pszQuestion);

    LONG m_lRefs;
    std::string m_strHostName;
};

BOOL CSocketInfo::Ask(LPCTSTR pszQuestion)
{
    WCHAR szText[256], szHost[128];
    MultiByteToWideChar(CP_ACP, 0, m_strHostName.c_str(), -1, szHost, 128);
    swprintf(szText, L"%s: %s", szHost, pszQuestion);
    return IDYES == ::MessageBox(0, szText, TEXT("Security"), MB_YESNO | MB_DEFBUTTON2);
}

BOOL CSocketInfo::NameMatches(LPSTR pszSubject)
{
    LPSTR pszName = strstr(pszSubject, "CN=");
    if (!pszName)
        return FALSE;
    pszName += 3;
    LPSTR pszEnd = strpbrk(pszName, ", \t'");
    std::string strName(pszName, pszEnd ? pszEnd - pszName : strlen(pszName));
    if (strName.compare(0, 2, "*.") == 0)
    {
        std::string::size_type nDot = m_strHostName.find('.');
        return nDot != std::string::npos && _stricmp(m_strHostName.c_str() + nDot + 1, strName.c_str() + 2) == 0;
    }
    return _stricmp(strName.c_str(), m_strHostName.c_str()) == 0;
}

int CSocketInfo::VerifyServerCertificate(DWORD dwType, DWORD dwFlags, LPBLOB pCertChain)
{
    if (dwType != SSL_CERT_X509)
        return SSL_ERR_BAD_DATA;
    if ((dwFlags & SSL_CERT_FLAG_ISSUER_UNKNOWN) && !Ask(L"the issuer is unknown. Continue?"))
        return SSL_ERR_CERT_UNKNOWN;
    PX509Certificate pCert = NULL;
    if (!SslCrackCertificate((PUCHAR)pCertChain->pBlobData, pCertChain->cbSize, CF_VERIFY_SIG, &pCert) || !pCert)
        return SSL_ERR_BAD_DATA;
    BOOL bMatches = NameMatches(pCert->pszSubject);
    SslFreeCertificate(pCert);
    if (!bMatches && !Ask(L"the certificate is for another name. Continue?"))
        return SSL_ERR_CERT_UNKNOWN;
    return SSL_ERR_OKAY;
}

static int CALLBACK VerifyHook(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags)
{
    return dwChainLen ? reinterpret_cast<CSocketInfo*>(pvArg)->VerifyServerCertificate(dwType, dwFlags, pCertChain) : SSL_ERR_NO_CERT;
}

// What the library does with a socket that it is given.
struct ImportedSocket
{
    SOCKET osfd;
    int (*connect)(ImportedSocket*, const sockaddr*, int);
    int (*send)(ImportedSocket*, const void*, int);
    int (*recv)(ImportedSocket*, void*, int);
};

static int ImportedConnect(ImportedSocket* fd, const sockaddr* address, int length)
{
    return connect(fd->osfd, address, length) ? -1 : 0;
}

static int ImportedSend(ImportedSocket* fd, const void* data, int length)
{
    return send(fd->osfd, static_cast<const char*>(data), length, 0);
}

static int ImportedRecv(ImportedSocket* fd, void* data, int length)
{
    fd_set in;
    FD_ZERO(&in);
    FD_SET(fd->osfd, &in);
    if (select(0, &in, NULL, NULL, NULL) != 1 || !FD_ISSET(fd->osfd, &in))
        return -1;
    return recv(fd->osfd, static_cast<char*>(data), length, 0);
}

extern "C" int RunClient(int argc, TCHAR *argv[])
{
    WSADATA wsaData;
    if (argc < 5 || WSAStartup(WINSOCK_VERSION, &wsaData))
        return 2;
    char szHost[128], szName[128], szRequest[256], szBuffer[2048];
    WideCharToMultiByte(CP_ACP, 0, argv[1], -1, szHost, 128, 0, 0);
    WideCharToMultiByte(CP_ACP, 0, argv[3], -1, szName, 128, 0, 0);
    _snprintf(szRequest, 256, "GET %ls HTTP/1.0\r\n\r\n", argv[4]);

    int nStatus = 1, nRead = -1;
    SOCKET osfd = socket(AF_INET, SOCK_STREAM, 0);
    CSocketInfo* pInfo = new CSocketInfo(szName);
    DWORD dwSecure = SO_SEC_SSL;
    SSLVALIDATECERTHOOK sslHook = { VerifyHook, pInfo };
    ImportedSocket fd = { osfd, ImportedConnect, ImportedSend, ImportedRecv };
    SOCKADDR_IN address;
    HOSTENT* pHost = NULL;

    if (osfd == INVALID_SOCKET || setsockopt(osfd, SOL_SOCKET, SO_SECURE, (LPCSTR)&dwSecure, sizeof(dwSecure)))
        goto error;
    pInfo->AddRef();
    if (WSAIoctl(osfd, SO_SSL_SET_VALIDATE_CERT_HOOK, &sslHook, sizeof(sslHook), NULL, 0, NULL, NULL, NULL))
        goto error;
    if ((pHost = gethostbyname(szHost)) == NULL)
        goto error;
    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_port = htons((u_short)_wtoi(argv[2]));
    memcpy(&address.sin_addr, pHost->h_addr_list[0], sizeof(address.sin_addr));
    if (fd.connect(&fd, (sockaddr*)&address, sizeof(address)) || fd.send(&fd, szRequest, (int)strlen(szRequest)) <= 0)
        goto error;
    while ((nRead = fd.recv(&fd, szBuffer, sizeof(szBuffer) - 1)) > 0)
    {
        szBuffer[nRead] = 0;
        printf("%s", szBuffer);
    }
    nStatus = nRead == 0 ? 0 : 1;

error:
    if (nStatus)
        printf("last error %d\n", WSAGetLastError());
    if (osfd != INVALID_SOCKET)
        closesocket(osfd);
    pInfo->Release();
    pInfo->Release();
    WSACleanup();
    return nStatus;
}
