/*
 * A chat client for IRC, written as that of row 17 was: C++, the handshake by connect with the session's description
 * asked for right after it, a setting that says whether unknown issuers are accepted, refused or asked about, select
 * with no timeout before each receive. Its handshake by hand, which was never used, is here for what it passed: the
 * thread's number for a name.
 *
 *     HOST PORT NICK always|never|ask [junk|pointer]
 */
#include <windows.h>
#include <winsock.h>
#include <sslsock.h>
#include <stdio.h>
#include <string.h>
#include <tchar.h>

#include "client.h"

#define CERT_ALWAYS 0
#define CERT_NEVER  1
#define CERT_ASK    2

#define NAME_NONE    0
#define NAME_JUNK    1
#define NAME_POINTER 2

int g_iCertSetting = CERT_ASK;

/* The program's own; the linker must not mind them. */
int ssl_send(SOCKET s, const char *text)
{
    char line[512];
    int length = _snprintf(line, sizeof(line), "%s\r\n", text);
    return send(s, line, length, 0);
}

int ssl_recv(SOCKET s, char *buffer, int size)
{
    return recv(s, buffer, size, 0);
}

void ssl_free(SOCKET *s)
{
    closesocket(*s);
    *s = 0;
}

static int CALLBACK sslCertHook(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags)
{
    SOCKET s = (SOCKET)pvArg;

    UNREFERENCED_PARAMETER(dwType);
    UNREFERENCED_PARAMETER(dwChainLen);
    UNREFERENCED_PARAMETER(pCertChain);
    if (s == 0)
        return SSL_ERR_FAILED;
    if (dwFlags & SSL_CERT_FLAG_ISSUER_UNKNOWN)
    {
        if (g_iCertSetting == CERT_ALWAYS)
            return SSL_ERR_OKAY;
        if (g_iCertSetting == CERT_NEVER)
            return SSL_ERR_CERT_UNKNOWN;
        if (IDYES != MessageBox(NULL, _T("The issuer of the server's certificate is unknown. Connect?"), _T("IRC"), MB_YESNO | MB_ICONQUESTION | MB_APPLMODAL))
            return SSL_ERR_CERT_UNKNOWN;
    }
    return SSL_ERR_OKAY;
}

class IrcSocket
{
public:
    IrcSocket() : sock(0) {}
    bool connectTo(const char *host, unsigned short port, int name);
    bool hasData();
    bool run(const char *nick);
    void disconnect() { if (sock) ssl_free(&sock); }

private:
    bool handshake(const char *host, int name);
    SOCKET sock;
};

bool IrcSocket::handshake(const char *host, int name)
{
    char szThread[2];
    int iResult;

    if (name == NAME_JUNK)
    {
        szThread[0] = (char)(GetTickCount() | 0x80);
        szThread[1] = 0;
        iResult = WSAIoctl(sock, SO_SSL_PERFORM_HANDSHAKE, szThread, 2, NULL, 0, NULL, NULL, NULL);
    }
    else
        iResult = WSAIoctl(sock, SO_SSL_PERFORM_HANDSHAKE, (LPVOID)&host, sizeof(host), NULL, 0, NULL, NULL, NULL);
    return iResult != SOCKET_ERROR;
}

bool IrcSocket::connectTo(const char *host, unsigned short port, int name)
{
    DWORD dwSec = SO_SEC_SSL, dwBytes = 0;
    SSLVALIDATECERTHOOK svh;
    SSLCONNECTIONINFO sci;
    struct hostent *he;
    struct sockaddr_in sin;

    if ((sock = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)) == INVALID_SOCKET)
        return false;
    if (setsockopt(sock, SOL_SOCKET, SO_SECURE, (char *)&dwSec, sizeof(dwSec)) != 0)
        return false;
    svh.HookFunc = sslCertHook;
    svh.pvArg = (LPVOID)sock;
    if (WSAIoctl(sock, SO_SSL_SET_VALIDATE_CERT_HOOK, &svh, sizeof(svh), NULL, 0, &dwBytes, NULL, NULL) != 0)
        return false;
    if (name != NAME_NONE)
    {
        DWORD dwFlags = SSL_FLAG_DEFER_HANDSHAKE;
        if (WSAIoctl(sock, SO_SSL_SET_FLAGS, &dwFlags, sizeof(dwFlags), NULL, 0, &dwBytes, NULL, NULL) != 0)
            return false;
    }
    if ((he = gethostbyname(host)) == NULL)
        return false;
    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons(port);
    sin.sin_addr.s_addr = *((unsigned long *)he->h_addr_list[0]);
    if (connect(sock, (struct sockaddr *)&sin, sizeof(sin)) == SOCKET_ERROR)
        return false;
    if (name != NAME_NONE && !handshake(host, name))
        return false;
    memset(&sci, 0, sizeof(sci));
    if (WSAIoctl(sock, SO_SSL_GET_CONNECTION_INFO, NULL, 0, &sci, sizeof(sci), &dwBytes, NULL, NULL) != 0)
        return false;
    printf("connection information: %lu bytes, protocol %#lx, strength %lu\n", (unsigned long)dwBytes,
           (unsigned long)sci.dwProtocol, (unsigned long)sci.dwCipherStrength);
    return true;
}

bool IrcSocket::hasData()
{
    fd_set fds;
    struct timeval tv = { 0, 0 };

    FD_ZERO(&fds);
    FD_SET(sock, &fds);
    return select(0, &fds, NULL, NULL, &tv) > 0;
}

bool IrcSocket::run(const char *nick)
{
    char buffer[512], text[128];
    bool welcome = false;

    sprintf(text, "NICK %s\r\nUSER %s 0 * :device", nick, nick);
    if (ssl_send(sock, text) <= 0)
        return false;
    for (;;)
    {
        int n;

        if (!hasData())
        {
            Sleep(5);
            continue;
        }
        n = ssl_recv(sock, buffer, sizeof(buffer) - 1);
        if (n == 0)
            return welcome;
        if (n < 0)
            return false;
        buffer[n] = 0;
        printf("%s", buffer);
        if (char *ping = strstr(buffer, "PING "))
        {
            ping[1] = 'O';
            if (char *end = strpbrk(ping, "\r\n"))
                *end = 0;
            ssl_send(sock, ping);
        }
        else if (strstr(buffer, " 001 "))
        {
            welcome = true;
            ssl_send(sock, "QUIT :bye");
        }
    }
}

extern "C" int RunClient(int argc, TCHAR *argv[])
{
    WSADATA wsaData;
    IrcSocket irc;
    char host[128], nick[32];
    int name = NAME_NONE;

    if (argc < 5 || WSAStartup(MAKEWORD(1, 1), &wsaData) != 0)
        return 2;
    WideCharToMultiByte(CP_ACP, 0, argv[1], -1, host, sizeof(host), NULL, NULL);
    WideCharToMultiByte(CP_ACP, 0, argv[3], -1, nick, sizeof(nick), NULL, NULL);
    g_iCertSetting = !_tcscmp(argv[4], _T("always")) ? CERT_ALWAYS : !_tcscmp(argv[4], _T("never")) ? CERT_NEVER : CERT_ASK;
    if (argc > 5)
        name = !_tcscmp(argv[5], _T("junk")) ? NAME_JUNK : NAME_POINTER;
    bool ok = irc.connectTo(host, (unsigned short)_ttoi(argv[2]), name) && irc.run(nick);
    if (!ok)
        printf("last error %d\n", WSAGetLastError());
    irc.disconnect();
    WSACleanup();
    return ok ? 0 : 1;
}
