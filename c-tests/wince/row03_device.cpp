/*
 * A device's HTTPS reporter, written as that of row 3 was: C++, protocols set to TLS 1 and a failure of that fatal,
 * the hook's context in a global, the certificate looked for in the system's stores, lines read a byte at a time.
 *
 *     HOST PORT PATH exact|issuer|none
 */
#include <windows.h>
#include <winsock2.h>
#include <wincrypt.h>
#include <sslsock.h>
#include <string>
#include <stdio.h>
#include <stdlib.h>

#include "client.h"

namespace
{
    enum MatchMode { MATCH_EXACT, MATCH_ISSUER, MATCH_NONE };

    // A pointer in the hook's structure did not come back on every device, so this is a global.
    MatchMode g_eMode = MATCH_EXACT;

    bool SameBlob(const CERT_NAME_BLOB &a, const CERT_NAME_BLOB &b)
    {
        return a.cbData == b.cbData && memcmp(a.pbData, b.pbData, a.cbData) == 0;
    }

    bool FindInStore(LPCTSTR pszStore, PCCERT_CONTEXT pServer)
    {
        HCERTSTORE hStore = CertOpenSystemStore(0, pszStore);
        if (hStore == NULL)
            return false;
        bool bFound = false;
        PCCERT_CONTEXT pCert = NULL;
        while (!bFound && (pCert = CertEnumCertificatesInStore(hStore, pCert)) != NULL)
        {
            if (g_eMode == MATCH_EXACT)
                bFound = pCert->cbCertEncoded == pServer->cbCertEncoded &&
                         memcmp(pCert->pbCertEncoded, pServer->pbCertEncoded, pServer->cbCertEncoded) == 0;
            else
                bFound = SameBlob(pCert->pCertInfo->Issuer, pServer->pCertInfo->Issuer);
        }
        if (pCert != NULL)
            CertFreeCertificateContext(pCert);
        CertCloseStore(hStore, 0);
        if (bFound)
            printf("found in %ls\n", pszStore);
        return bFound;
    }

    int ValidateCertificate(DWORD dwType, LPVOID, DWORD dwChainLen, LPBLOB pCertChain, DWORD)
    {
        if (dwType != SSL_CERT_X509)
            return SSL_ERR_CERT_UNKNOWN;
        if (dwChainLen == 0 || pCertChain == NULL)
            return SSL_ERR_NO_CERT;
        if (g_eMode == MATCH_NONE)
            return SSL_ERR_OKAY;
        PCCERT_CONTEXT pServer = CertCreateCertificateContext(X509_ASN_ENCODING | PKCS_7_ASN_ENCODING,
            pCertChain[0].pBlobData, pCertChain[0].cbSize);
        if (pServer == NULL)
            return SSL_ERR_FAILED;
        bool bFound = FindInStore(TEXT("CA"), pServer) || FindInStore(TEXT("ROOT"), pServer) || FindInStore(TEXT("MY"), pServer);
        CertFreeCertificateContext(pServer);
        return bFound ? SSL_ERR_OKAY : SSL_ERR_CERT_UNKNOWN;
    }
}

class HttpsReporter
{
public:
    HttpsReporter() : m_socket(INVALID_SOCKET), m_lastError(0) {}
    ~HttpsReporter()
    {
        if (m_socket != INVALID_SOCKET)
            closesocket(m_socket);
    }

    bool Open(const char *host, int port)
    {
        m_socket = WSASocket(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, 0);
        if (m_socket == INVALID_SOCKET)
            return Failed("socket");
        DWORD option = SO_SEC_SSL;
        if (setsockopt(m_socket, SOL_SOCKET, SO_SECURE, reinterpret_cast<const char *>(&option), sizeof(option)) != 0)
            return Failed("SO_SECURE");
        SSLVALIDATECERTHOOK hook;
        hook.HookFunc = ValidateCertificate;
        hook.pvArg = NULL;
        if (WSAIoctl(m_socket, SO_SSL_SET_VALIDATE_CERT_HOOK, &hook, sizeof(hook), NULL, 0, NULL, NULL, NULL) != 0)
            return Failed("hook");
        SSLPROTOCOLS protocols = { 1, { { SSL_PROTOCOL_TLS1, 0, 0 } } };
        if (WSAIoctl(m_socket, SO_SSL_SET_PROTOCOLS, &protocols, sizeof(protocols), NULL, 0, NULL, NULL, NULL) != 0)
            return Failed("protocols");

        hostent *entry = gethostbyname(host);
        if (entry == NULL)
            return Failed("gethostbyname");
        SOCKADDR_IN address = { 0 };
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<u_short>(port));
        address.sin_addr.s_addr = *reinterpret_cast<unsigned long *>(entry->h_addr_list[0]);
        if (::connect(m_socket, reinterpret_cast<sockaddr *>(&address), sizeof(address)) != 0)
            return Failed("connect");
        return true;
    }

    bool Write(const std::string &data)
    {
        size_t done = 0;
        while (done < data.size())
        {
            int n = ::send(m_socket, data.data() + done, static_cast<int>(data.size() - done), 0);
            if (n == SOCKET_ERROR)
                return Failed("send");
            done += n;
        }
        return true;
    }

    bool ReadLine(std::string &line)
    {
        char c;
        line.erase();
        for (;;)
        {
            int n = ::recv(m_socket, &c, 1, 0);
            if (n != 1)
                return Failed("recv");
            if (c == '\n')
                return true;
            if (c != '\r')
                line += c;
        }
    }

    bool ReadBody(std::string &body, size_t length)
    {
        while (body.size() < length)
        {
            char buffer[256];
            size_t wanted = length - body.size();
            int n = ::recv(m_socket, buffer, static_cast<int>(wanted < sizeof(buffer) ? wanted : sizeof(buffer)), 0);
            if (n <= 0)
                return Failed("recv");
            body.append(buffer, n);
        }
        return true;
    }

    int LastError() const { return m_lastError; }

private:
    bool Failed(const char *what)
    {
        m_lastError = WSAGetLastError();
        printf("%s failed\n", what);
        return false;
    }

    SOCKET m_socket;
    int m_lastError;
};

extern "C" int RunClient(int argc, TCHAR *argv[])
{
    WSADATA data;
    if (argc < 5 || WSAStartup(MAKEWORD(2, 2), &data) != NO_ERROR)
        return 2;
    char host[128], path[128];
    WideCharToMultiByte(CP_ACP, 0, argv[1], -1, host, sizeof(host), NULL, NULL);
    WideCharToMultiByte(CP_ACP, 0, argv[3], -1, path, sizeof(path), NULL, NULL);
    g_eMode = wcscmp(argv[4], L"exact") == 0 ? MATCH_EXACT : wcscmp(argv[4], L"issuer") == 0 ? MATCH_ISSUER : MATCH_NONE;

    int status = 1;
    {
        HttpsReporter reporter;
        std::string line, body;
        size_t length = 0;
        if (reporter.Open(host, _wtoi(argv[2])) &&
            reporter.Write(std::string("GET ") + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"))
        {
            bool ok = reporter.ReadLine(line);
            while (ok && !line.empty())
            {
                printf("< %s\n", line.c_str());
                if (_strnicmp(line.c_str(), "Content-Length:", 15) == 0)
                    length = atoi(line.c_str() + 15);
                ok = reporter.ReadLine(line);
            }
            if (ok && reporter.ReadBody(body, length))
            {
                printf("%s\n", body.c_str());
                status = 0;
            }
        }
        if (status != 0)
            printf("last error %d\n", reporter.LastError());
    }
    WSACleanup();
    return status;
}
