/*
 * A connection class, written as that of row 13 was: C++, the handshake by connect, which may answer that it would
 * block, a strict hook whose reason can be overridden, one thread that waits with select and then receives under a
 * critical section, sends under the same one, and a receive of nothing that is taken for no news.
 *
 *     HOST PORT NAME TEXT [override|- [MILLISECONDS]]
 */
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <schnlsp.h>
#include <sslsock.h>
#include <string>
#include <vector>
#include <stdio.h>

#include "client.h"

using namespace std;

class TLSConnection
{
public:
    TLSConnection(const string& name, bool ignoreUntrusted) :
        m_name(name), m_ignoreUntrusted(ignoreUntrusted), m_socket(INVALID_SOCKET), m_stop(false), m_zeros(0)
    {
        ::InitializeCriticalSection(&m_lock);
    }

    virtual ~TLSConnection()
    {
        disconnect();
        ::DeleteCriticalSection(&m_lock);
    }

    bool connect(const string& host, int port);
    bool send(const string& data);
    bool receive(const string& end, DWORD timeout);
    void disconnect();

private:
    static int SSLValidateCertHook(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags);
    int validate(DWORD dwType, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags);
    string commonName(LPSTR subject);
    static DWORD WINAPI run(LPVOID self);

    string m_name;
    bool m_ignoreUntrusted;
    SOCKET m_socket;
    volatile bool m_stop;
    int m_zeros;
    string m_received, m_end;
    CRITICAL_SECTION m_lock;
};

int TLSConnection::SSLValidateCertHook(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags)
{
    TLSConnection* connection = static_cast<TLSConnection*>(pvArg);
    return connection->validate(dwType, dwChainLen, pCertChain, dwFlags);
}

string TLSConnection::commonName(LPSTR subject)
{
    string text(subject);
    string::size_type at = text.find("CN=");
    while (at != string::npos && at != 0 && string(";, ").find(text[at - 1]) == string::npos)
        at = text.find("CN=", at + 1);
    if (at == string::npos)
        return "";
    at += 3;
    return text.substr(at, text.find_first_of(";, ", at) - at);
}

int TLSConnection::validate(DWORD dwType, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags)
{
    if (dwType != SSL_CERT_X509 || dwChainLen != 1)
        return SSL_ERR_BAD_DATA;
    if ((dwFlags & SSL_CERT_FLAG_ISSUER_UNKNOWN) && !m_ignoreUntrusted)
        return SSL_ERR_CERT_UNKNOWN;

    HMODULE schannel = ::LoadLibrary(TEXT("schannel.dll"));
    SSL_CRACK_CERTIFICATE_FN crack = reinterpret_cast<SSL_CRACK_CERTIFICATE_FN>(::GetProcAddress(schannel, SSL_CRACK_CERTIFICATE_NAME));
    SSL_FREE_CERTIFICATE_FN ssl_free = reinterpret_cast<SSL_FREE_CERTIFICATE_FN>(::GetProcAddress(schannel, SSL_FREE_CERTIFICATE_NAME));
    if (!crack || !ssl_free)
        return SSL_ERR_FAILED;
    PX509Certificate certificate = 0;
    if (!crack(pCertChain->pBlobData, pCertChain->cbSize, TRUE, &certificate))
        return SSL_ERR_BAD_DATA;

    int result = SSL_ERR_OKAY;
    SYSTEMTIME systemTime;
    FILETIME fileTime;
    ::GetSystemTime(&systemTime);
    ::SystemTimeToFileTime(&systemTime, &fileTime);
    if (::CompareFileTime(&certificate->ValidUntil, &fileTime) < 0 || ::CompareFileTime(&certificate->ValidFrom, &fileTime) > 0)
        result = SSL_ERR_CERT_EXPIRED;
    else if (commonName(certificate->pszSubject) != m_name)
        result = SSL_ERR_CERT_UNKNOWN;
    printf("common name %s\n", commonName(certificate->pszSubject).c_str());
    ssl_free(certificate);
    ::FreeLibrary(schannel);
    return result;
}

bool TLSConnection::connect(const string& host, int port)
{
    m_socket = ::socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    if (m_socket == INVALID_SOCKET)
        return false;
    DWORD secure = SO_SEC_SSL;
    if (::setsockopt(m_socket, SOL_SOCKET, SO_SECURE, (const char*)&secure, sizeof(secure)) == SOCKET_ERROR)
        return false;
    SSLVALIDATECERTHOOK hook = { &TLSConnection::SSLValidateCertHook, this };
    if (::WSAIoctl(m_socket, SO_SSL_SET_VALIDATE_CERT_HOOK, &hook, sizeof(hook), NULL, 0, NULL, NULL, NULL) == SOCKET_ERROR)
        return false;

    // SO_SSL_SET_PEERNAME would set the same flag as an issuer that is not trusted.
    struct addrinfo* info = NULL;
    struct addrinfo hints = { 0 };
    char service[8];
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    sprintf(service, "%d", port);
    if (::getaddrinfo(host.c_str(), service, &hints, &info) != 0)
        return false;
    int result = ::connect(m_socket, info->ai_addr, static_cast<int>(info->ai_addrlen));
    ::freeaddrinfo(info);
    if (result == SOCKET_ERROR)
    {
        if (::WSAGetLastError() != WSAEWOULDBLOCK)
            return false;
        timeval timeout = { 30, 0 };
        fd_set writable;
        FD_ZERO(&writable);
        FD_SET(m_socket, &writable);
        if (::select(0, NULL, &writable, NULL, &timeout) != 1)
            return false;
    }
    return true;
}

bool TLSConnection::send(const string& data)
{
    ::EnterCriticalSection(&m_lock);
    int sent = ::send(m_socket, data.data(), static_cast<int>(data.size()), 0);
    ::LeaveCriticalSection(&m_lock);
    return sent == static_cast<int>(data.size());
}

DWORD WINAPI TLSConnection::run(LPVOID self)
{
    TLSConnection* connection = static_cast<TLSConnection*>(self);
    vector<char> buffer(4096);

    while (!connection->m_stop && connection->m_received.find(connection->m_end) == string::npos)
    {
        fd_set readable;
        FD_ZERO(&readable);
        FD_SET(connection->m_socket, &readable);
        // It has been seen to answer although there was no whole record, so the lock comes after it.
        if (::select(0, &readable, NULL, NULL, NULL) == SOCKET_ERROR)
            return 1;
        ::EnterCriticalSection(&connection->m_lock);
        int count = ::recv(connection->m_socket, &buffer[0], static_cast<int>(buffer.size()), 0);
        ::LeaveCriticalSection(&connection->m_lock);
        if (count == SOCKET_ERROR)
            return 1;
        if (count == 0)
        {
            // Not the end, on some devices.
            if (connection->m_zeros++ > 20)
                break;
            ::Sleep(1);
            continue;
        }
        connection->m_received.append(&buffer[0], count);
    }
    return 0;
}

bool TLSConnection::receive(const string& end, DWORD timeout)
{
    m_end = end;
    HANDLE thread = ::StartThread(run, this);
    bool over = ::WaitForThread(thread, timeout) != FALSE;
    if (!over)
    {
        m_stop = true;
        ::closesocket(m_socket);
        m_socket = INVALID_SOCKET;
        printf("over 0, ended %d\n", ::WaitForThread(thread, 10000));
    }
    printf("%s\nreceived nothing %d times\n", m_received.c_str(), m_zeros);
    return over && m_received.find(end) != string::npos;
}

void TLSConnection::disconnect()
{
    if (m_socket != INVALID_SOCKET)
        ::closesocket(m_socket);
    m_socket = INVALID_SOCKET;
}

extern "C" int RunClient(int argc, TCHAR *argv[])
{
    WSADATA data;
    if (argc < 5 || ::WSAStartup(MAKEWORD(2, 2), &data) != 0)
        return 2;
    char host[128], name[128], text[128];
    ::WideCharToMultiByte(CP_UTF8, 0, argv[1], -1, host, sizeof(host), NULL, NULL);
    ::WideCharToMultiByte(CP_UTF8, 0, argv[3], -1, name, sizeof(name), NULL, NULL);
    ::WideCharToMultiByte(CP_UTF8, 0, argv[4], -1, text, sizeof(text), NULL, NULL);

    TLSConnection connection(name, argc > 5 && wcscmp(argv[5], L"override") == 0);
    if (!connection.connect(host, _wtoi(argv[2])) || !connection.send(string(text) + "\r\n"))
    {
        printf("last error %d\n", ::WSAGetLastError());
        return 1;
    }
    bool complete = connection.receive("goodbye", argc > 6 ? _wtoi(argv[6]) : 20000);
    connection.disconnect();
    ::WSACleanup();
    return complete ? 0 : 1;
}
