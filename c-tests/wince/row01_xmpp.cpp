/*
 * A chat client's connection, written as that of row 1 was: C++, XMPP in clear until STARTTLS, then the handshake with
 * the server's name (without its NUL) and the stream from its beginning; errors are exceptions; the hook shows the
 * certificate in a message box when the issuer is unknown.
 *
 *     HOST PORT DOMAIN AUTH
 */
#include <winsock2.h>
#include <windows.h>
#include <sslsock.h>
#include <schnlsp.h>

#include <stdio.h>
#include <map>
#include <string>

#include "client.h"

class CSocketException
{
public:
    CSocketException(int nError) : m_nError(nError) {}
    int m_nError;
    static std::string Text(int nError);
};

class CXmppSocket
{
public:
    CXmppSocket() : m_fDisableChecks(FALSE), m_s(INVALID_SOCKET) {}
    ~CXmppSocket() { close(); }

    void connect(const std::string &host, unsigned short port);
    void starttls(const std::string &serverName);
    void send(const std::string &text);
    std::string recvUntil(const std::string &end);
    std::string connectionInfo();
    void close();

    BOOL m_fDisableChecks;

private:
    static int ValidateHook(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags);
    int Validate(DWORD dwType, LPBLOB pCertChain, DWORD dwFlags);
    void check(int result)
    {
        if (result == SOCKET_ERROR)
            throw CSocketException(WSAGetLastError());
    }

    SOCKET m_s;
};

std::string CSocketException::Text(int nError)
{
    static std::map<int, std::string> texts;
    if (texts.empty())
    {
        texts[10] = "SSL certificate: issuer unknown";
        texts[WSAECONNREFUSED] = "Connection refused";
        texts[WSAECONNRESET] = "Connection reset by peer";
        texts[WSAETIMEDOUT] = "Connection timed out";
        texts[WSAHOST_NOT_FOUND] = "Host not found";
    }
    std::map<int, std::string>::const_iterator it = texts.find(nError);
    return it == texts.end() ? std::string("Unknown error") : it->second;
}

int CXmppSocket::ValidateHook(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags)
{
    UNREFERENCED_PARAMETER(dwChainLen);
    return reinterpret_cast<CXmppSocket *>(pvArg)->Validate(dwType, pCertChain, dwFlags);
}

int CXmppSocket::Validate(DWORD dwType, LPBLOB pCertChain, DWORD dwFlags)
{
    if (m_fDisableChecks)
        return SSL_ERR_OKAY;
    if (dwType != SSL_CERT_X509)
        return SSL_ERR_CERT_UNKNOWN;
    if (dwFlags == SSL_CERT_FLAG_ISSUER_UNKNOWN)
    {
        HINSTANCE hLib = LoadLibrary(L"schannel.dll");
        if (hLib == NULL)
            return SSL_ERR_CERT_UNKNOWN;
        SSL_CRACK_CERTIFICATE_FN pCrack = (SSL_CRACK_CERTIFICATE_FN)GetProcAddress(hLib, SSL_CRACK_CERTIFICATE_NAME);
        SSL_FREE_CERTIFICATE_FN pFree = (SSL_FREE_CERTIFICATE_FN)GetProcAddress(hLib, SSL_FREE_CERTIFICATE_NAME);
        X509Certificate *pCert = 0;
        int nResult = SSL_ERR_CERT_UNKNOWN;
        if (pCrack && pFree && pCrack(pCertChain->pBlobData, pCertChain->cbSize, TRUE, &pCert))
        {
            SYSTEMTIME stFrom, stUntil;
            WCHAR szText[1024];
            FileTimeToSystemTime(&pCert->ValidFrom, &stFrom);
            FileTimeToSystemTime(&pCert->ValidUntil, &stUntil);
            wsprintf(szText, L"Issuer: %S\r\nSubject: %S\r\nValid: %d-%02d-%02d to %d-%02d-%02d\r\nAccept?",
                     pCert->pszIssuer, pCert->pszSubject, stFrom.wYear, stFrom.wMonth, stFrom.wDay,
                     stUntil.wYear, stUntil.wMonth, stUntil.wDay);
            if (MessageBoxW(NULL, szText, L"Certificate", MB_OKCANCEL | MB_ICONQUESTION) == IDOK)
                nResult = SSL_ERR_OKAY;
            pFree(pCert);
        }
        FreeLibrary(hLib);
        return nResult;
    }
    return SSL_ERR_OKAY;
}

void CXmppSocket::connect(const std::string &host, unsigned short port)
{
    hostent *pHost = gethostbyname(host.c_str());
    if (pHost == NULL)
        throw CSocketException(WSAGetLastError());
    sockaddr_in addr;
    addr.sin_family = AF_INET;
    addr.sin_port = htons(port);
    addr.sin_addr.S_un.S_addr = *(ULONG *)pHost->h_addr_list[0];
    memset(addr.sin_zero, 0, sizeof(addr.sin_zero));

    m_s = ::socket(AF_INET, SOCK_STREAM, 0);
    if (m_s == INVALID_SOCKET)
        throw CSocketException(WSAGetLastError());
    DWORD dwFlag = SO_SEC_SSL;
    check(::setsockopt(m_s, SOL_SOCKET, SO_SECURE, (char *)&dwFlag, sizeof(dwFlag)));
    SSLVALIDATECERTHOOK hook = { ValidateHook, this };
    check(::WSAIoctl(m_s, SO_SSL_SET_VALIDATE_CERT_HOOK, &hook, sizeof(hook), NULL, 0, NULL, NULL, NULL));
    dwFlag = SSL_FLAG_DEFER_HANDSHAKE;
    check(::WSAIoctl(m_s, SO_SSL_SET_FLAGS, &dwFlag, sizeof(dwFlag), NULL, 0, NULL, NULL, NULL));
    check(::connect(m_s, (const sockaddr *)&addr, sizeof(addr)));
}

void CXmppSocket::starttls(const std::string &serverName)
{
    check(::WSAIoctl(m_s, SO_SSL_PERFORM_HANDSHAKE, (LPVOID)serverName.c_str(), (DWORD)serverName.length(), NULL, 0, NULL, NULL, NULL));
}

void CXmppSocket::send(const std::string &text)
{
    check(::send(m_s, text.data(), (int)text.length(), 0));
}

std::string CXmppSocket::recvUntil(const std::string &end)
{
    std::string text;
    while (text.find(end) == std::string::npos)
    {
        fd_set fds;
        timeval tv = { 200, 0 };
        char szBuffer[1024];

        FD_ZERO(&fds);
        FD_SET(m_s, &fds);
        int n = ::select(0, &fds, 0, 0, &tv);
        check(n);
        if (n == 0)
            continue;
        n = ::recv(m_s, szBuffer, sizeof(szBuffer), 0);
        if (n <= 0)
            throw CSocketException(n == 0 ? WSAECONNRESET : WSAGetLastError());
        text.append(szBuffer, n);
    }
    printf("< %s\n", text.c_str());
    return text;
}

std::string CXmppSocket::connectionInfo()
{
    SSLCONNECTIONINFO info;
    DWORD dwReturned = 0;
    char szText[128];

    check(::WSAIoctl(m_s, SO_SSL_GET_CONNECTION_INFO, NULL, 0, &info, sizeof(info), &dwReturned, NULL, NULL));
    const char *pszProtocol = "other";
    switch (info.dwProtocol)
    {
    case SSL_PROT_SSL2_CLIENT: pszProtocol = "SSL 2.0"; break;
    case SSL_PROT_SSL3_CLIENT: pszProtocol = "SSL 3.0"; break;
    case SSL_PROT_TLS1_CLIENT: pszProtocol = "TLS 1.0"; break;
    }
    const char *pszCipher;
    switch (info.aiCipher)
    {
    case CALG_RC4: pszCipher = "RC4"; break;
    case CALG_3DES: pszCipher = "3DES"; break;
    default: pszCipher = "?"; break;
    }
    sprintf(szText, "%s (%#x), cipher %s %#x with %u bits, hash %#x, exchange %#x", pszProtocol, (unsigned)info.dwProtocol,
            pszCipher, info.aiCipher, (unsigned)info.dwCipherStrength, info.aiHash, info.aiExch);
    return szText;
}

void CXmppSocket::close()
{
    if (m_s != INVALID_SOCKET)
        ::closesocket(m_s);
    m_s = INVALID_SOCKET;
}

static std::string Narrow(LPCTSTR pszText)
{
    char szText[512];
    WideCharToMultiByte(CP_UTF8, 0, pszText, -1, szText, sizeof(szText), NULL, NULL);
    return szText;
}

extern "C" int RunClient(int argc, TCHAR *argv[])
{
    WSADATA wsa;
    if (argc < 5 || WSAStartup(MAKEWORD(2, 2), &wsa) != 0)
        return 2;
    int nResult = 1;
    try
    {
        CXmppSocket socket;
        std::string domain = Narrow(argv[3]);
        std::string stream = "<?xml version='1.0'?><stream:stream to='" + domain +
            "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
        socket.m_fDisableChecks = argc > 5 && lstrcmp(argv[5], L"nochecks") == 0;

        socket.connect(Narrow(argv[1]), (unsigned short)_wtoi(argv[2]));
        socket.send(stream);
        socket.recvUntil("</stream:features>");
        socket.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        socket.recvUntil("/>");
        socket.starttls(domain);
        socket.send(stream);
        socket.recvUntil("</stream:features>");
        socket.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + Narrow(argv[4]) + "</auth>");
        socket.recvUntil("/>");
        printf("session: %s\n", socket.connectionInfo().c_str());
        socket.send(stream);
        socket.recvUntil("</stream:features>");
        socket.send("<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
        socket.recvUntil("</iq>");
        socket.send("</stream:stream>");
        socket.recvUntil("</stream:stream>");
        nResult = 0;
    }
    catch (const CSocketException &e)
    {
        printf("last error %d\n%s\n", e.m_nError, CSocketException::Text(e.m_nError).c_str());
    }
    WSACleanup();
    return nResult;
}
