/*
 * A runtime library's secure stream, written as that of row 12 was: C++, the handshake by connect, the peer's name set
 * before it where the system has that, and the hook's result kept in a member that is read after connect.
 *
 *     HOST PORT NAME PATH
 */
#include <windows.h>
#include <winsock2.h>
#include <schnlsp.h>
#include <sslsock.h>
#include <stdio.h>
#include <string.h>

#include "client.h"

class SecureStream
{
public:
    enum Result { OK, E_SOCKET, E_SECURE, E_NAME, E_CONNECT, E_CERT_UNKNOWN, E_CERT_EXPIRED, E_CERT_BAD };

    SecureStream() : mSock(INVALID_SOCKET), mHookResult(-1), mLength(0), mRead(0) {}
    ~SecureStream() { close(); }

    Result open(const char* host, int port, const char* name);
    int write(const void* data, int size) { return ::send(mSock, (const char*)data, size, 0); }
    const char* readAll();
    void close();

private:
    static int CALLBACK sslValidateCertHook(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags);
    int validate(DWORD dwType, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags);
    static DWORD WINAPI recvLoop(LPVOID self);

    SOCKET mSock;
    int mHookResult;
    char mBuffer[8192];
    int mLength;
    int mRead;
};

int CALLBACK SecureStream::sslValidateCertHook(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags)
{
    SecureStream* stream = (SecureStream*)pvArg;
    stream->mHookResult = stream->validate(dwType, dwChainLen, pCertChain, dwFlags);
    return stream->mHookResult;
}

int SecureStream::validate(DWORD dwType, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags)
{
    if(dwType != SSL_CERT_X509)
        return SSL_ERR_BAD_TYPE;
    // Also set when the name is another one.
    if(dwFlags & SSL_CERT_FLAG_ISSUER_UNKNOWN)
        return SSL_ERR_CERT_UNKNOWN;
    if(dwChainLen != 1)
        return SSL_ERR_BAD_LEN;

    PX509Certificate cert = NULL;
    if(!SslCrackCertificate(pCertChain[0].pBlobData, pCertChain[0].cbSize, TRUE, &cert))
        return SSL_ERR_BAD_DATA;
    SYSTEMTIME st;
    FILETIME now;
    GetSystemTime(&st);
    SystemTimeToFileTime(&st, &now);
    int result = SSL_ERR_OKAY;
    if(CompareFileTime(&cert->ValidFrom, &now) > 0 || CompareFileTime(&cert->ValidUntil, &now) < 0)
        result = SSL_ERR_CERT_EXPIRED;
    // The name has been compared by the system.
    SslFreeCertificate(cert);
    return result;
}

SecureStream::Result SecureStream::open(const char* host, int port, const char* name)
{
    mSock = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    if(mSock == INVALID_SOCKET)
        return E_SOCKET;
    BOOL noDelay = TRUE;
    setsockopt(mSock, IPPROTO_TCP, TCP_NODELAY, (const char*)&noDelay, sizeof(noDelay));
    DWORD sec = SO_SEC_SSL;
    if(setsockopt(mSock, SOL_SOCKET, SO_SECURE, (const char*)&sec, sizeof(sec)) == SOCKET_ERROR)
        return E_SECURE;
    SSLVALIDATECERTHOOK hook;
    hook.HookFunc = sslValidateCertHook;
    hook.pvArg = this;
    if(WSAIoctl(mSock, SO_SSL_SET_VALIDATE_CERT_HOOK, &hook, sizeof(hook), NULL, 0, NULL, NULL, NULL) == SOCKET_ERROR)
        return E_SECURE;
#if _WIN32_WCE >= 0x500
    if(WSAIoctl(mSock, SO_SSL_SET_PEERNAME, (LPVOID)name, strlen(name) + 1, NULL, 0, NULL, NULL, NULL) == SOCKET_ERROR)
        return E_NAME;
#endif

    struct sockaddr_in sa;
    memset(&sa, 0, sizeof(sa));
    sa.sin_family = AF_INET;
    sa.sin_port = htons(port);
    sa.sin_addr.s_addr = inet_addr(host);
    if(sa.sin_addr.s_addr == INADDR_NONE)
    {
        struct hostent* he = gethostbyname(host);
        if(he == NULL)
            return E_CONNECT;
        sa.sin_addr.s_addr = *(u_long*)he->h_addr_list[0];
    }
    if(connect(mSock, (struct sockaddr*)&sa, sizeof(sa)) == SOCKET_ERROR)
    {
        // connect's error does not say enough.
        printf("hook result %d\n", mHookResult);
        switch(mHookResult)
        {
        case SSL_ERR_CERT_UNKNOWN: return E_CERT_UNKNOWN;
        case SSL_ERR_CERT_EXPIRED: return E_CERT_EXPIRED;
        case SSL_ERR_BAD_TYPE:
        case SSL_ERR_BAD_LEN:
        case SSL_ERR_BAD_DATA: return E_CERT_BAD;
        }
        return E_CONNECT;
    }
    printf("hook result %d\n", mHookResult);
    return OK;
}

DWORD WINAPI SecureStream::recvLoop(LPVOID self)
{
    SecureStream* stream = (SecureStream*)self;
    int n;
    while((n = recv(stream->mSock, stream->mBuffer + stream->mLength, sizeof(stream->mBuffer) - 1 - stream->mLength, 0)) > 0)
        stream->mLength += n;
    stream->mBuffer[stream->mLength] = 0;
    stream->mRead = n;
    return 0;
}

const char* SecureStream::readAll()
{
    HANDLE thread = StartThread(recvLoop, this);
    if(!WaitForThread(thread, 30000) || mRead < 0)
        return NULL;
    return mBuffer;
}

void SecureStream::close()
{
    if(mSock != INVALID_SOCKET)
        closesocket(mSock);
    mSock = INVALID_SOCKET;
}

extern "C" int RunClient(int argc, TCHAR *argv[])
{
    WSADATA wsa;
    char host[128], name[128], request[256];
    if(argc < 5 || WSAStartup(MAKEWORD(1, 1), &wsa) != 0)
        return 2;
    sprintf(host, "%ls", argv[1]);
    sprintf(name, "%ls", argv[3]);
    sprintf(request, "GET %ls HTTP/1.0\r\nHost: %s\r\n\r\n", argv[4], name);

    static SecureStream stream;
    SecureStream::Result result = stream.open(host, _wtoi(argv[2]), name);
    const char* text = NULL;
    if(result != SecureStream::OK)
        printf("result %d\nlast error %d\n", result, WSAGetLastError());
    else if(stream.write(request, strlen(request)) > 0 && (text = stream.readAll()) != NULL)
        printf("%s\n", text);
    stream.close();
    WSACleanup();
    return text != NULL ? 0 : 1;
}
