/*
 * A mail program's session, written as that of row 8 was: C++, driven by a timer of 50 ms that asks select with no
 * timeout for connect, write and read; a receive buffer of 1007 bytes; a hook that accepts everything; the handshake
 * by connect on the ports of SSL, deferred for STARTTLS; plain connections are not blocking, those with SSL are.
 *
 *     HOST PORT smtps|smtp|pop3 WORD [USER PASSWORD]
 */
#include <windows.h>
#include <winsock2.h>
#include <sslsock.h>
#include <string>
#include <stdio.h>

#include "client.h"

#define TIMER_TICK 50
#define RECV_SIZE 1007

// The timer is the program's message loop on the device.
class CSession
{
public:
    CSession() : m_s(INVALID_SOCKET), m_pContext(this), m_nTicks(400), m_bFailed(FALSE) {}
    ~CSession() { Disconnect(); }

    BOOL Connect(LPCSTR pszHost, WORD wPort, BOOL bSsl, BOOL bDefer);
    BOOL Handshake();
    BOOL Say(const std::string &line);
    BOOL Expect(LPCSTR pszBegin, LPCSTR pszEnd = "\r\n");
    void Disconnect();
    LPCTSTR ErrorText();

private:
    static int CALLBACK Hook(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags);
    BOOL Poll(int nWhat);

    SOCKET m_s;
    CSession *m_pContext;
    int m_nTicks;
    BOOL m_bFailed;
    std::string m_text;
};

int CALLBACK CSession::Hook(DWORD, LPVOID pvArg, DWORD, LPBLOB, DWORD)
{
    CSession *pThis = (CSession *)pvArg;
    return pThis ? SSL_ERR_OKAY : SSL_ERR_FAILED;
}

BOOL CSession::Connect(LPCSTR pszHost, WORD wPort, BOOL bSsl, BOOL bDefer)
{
    sockaddr_in to = { 0 };
    hostent *pEntry = gethostbyname(pszHost);
    if (!pEntry)
        return FALSE;
    to.sin_family = AF_INET;
    to.sin_port = htons(wPort);
    to.sin_addr.s_addr = *(DWORD *)pEntry->h_addr_list[0];

    m_s = socket(AF_INET, SOCK_STREAM, 0);
    if (m_s == INVALID_SOCKET)
        return FALSE;
    if (bSsl)
    {
        DWORD dwVal = SO_SEC_SSL;
        SSLVALIDATECERTHOOK hook = { Hook, m_pContext };

        if (setsockopt(m_s, SOL_SOCKET, SO_SECURE, (char *)&dwVal, sizeof dwVal) ||
            WSAIoctl(m_s, SO_SSL_SET_VALIDATE_CERT_HOOK, &hook, sizeof hook, 0, 0, 0, 0, 0))
            return FALSE;
        if (bDefer)
        {
            dwVal = SSL_FLAG_DEFER_HANDSHAKE;
            if (WSAIoctl(m_s, SO_SSL_SET_FLAGS, &dwVal, sizeof dwVal, 0, 0, 0, 0, 0))
                return FALSE;
        }
    }
    else
    {
        u_long on = 1;
        ioctlsocket(m_s, FIONBIO, &on);
    }
    if (connect(m_s, (sockaddr *)&to, sizeof to) == SOCKET_ERROR && (bSsl || WSAGetLastError() != WSAEWOULDBLOCK))
        return FALSE;
    return Poll('w');
}

BOOL CSession::Handshake()
{
    return WSAIoctl(m_s, SO_SSL_PERFORM_HANDSHAKE, 0, 0, 0, 0, 0, 0, 0) == 0;
}

BOOL CSession::Poll(int nWhat)
{
    for (int nTick = 0; nTick < m_nTicks; nTick++)
    {
        fd_set fd;
        timeval now = { 0, 0 };

        FD_ZERO(&fd);
        FD_SET(m_s, &fd);
        int n = nWhat == 'w' ? select(1, NULL, &fd, NULL, &now) : select(1, &fd, NULL, NULL, &now);
        if (n == SOCKET_ERROR)
            return FALSE;
        if (n)
            return TRUE;
        Sleep(TIMER_TICK);
    }
    WSASetLastError(WSAETIMEDOUT);
    return FALSE;
}

BOOL CSession::Say(const std::string &line)
{
    std::string text = line + "\r\n";
    // All of it goes at once.
    return Poll('w') && send(m_s, text.c_str(), (int)text.length(), 0) == (int)text.length();
}

BOOL CSession::Expect(LPCSTR pszBegin, LPCSTR pszEnd)
{
    m_text = "";
    do
    {
        char buffer[RECV_SIZE];

        if (!Poll('r'))
            return FALSE;
        int n = recv(m_s, buffer, RECV_SIZE, 0);
        if (n <= 0)
            return FALSE;
        m_text.append(buffer, n);
    } while (m_text.find(pszEnd) == std::string::npos || m_text[m_text.length() - 1] != '\n');
    printf("%s", m_text.c_str());
    return m_text.compare(0, strlen(pszBegin), pszBegin) == 0;
}

void CSession::Disconnect()
{
    if (m_s == INVALID_SOCKET)
        return;
    shutdown(m_s, SD_BOTH);
    closesocket(m_s);
    m_s = INVALID_SOCKET;
}

LPCTSTR CSession::ErrorText()
{
    static TCHAR szText[64];

    switch (WSAGetLastError())
    {
    case WSAEADDRNOTAVAIL:  return TEXT("The address is not available");
    case WSAENETDOWN:       return TEXT("The network is down");
    case WSAENETUNREACH:    return TEXT("The network cannot be reached");
    case WSAENETRESET:      return TEXT("The network reset the connection");
    case WSAECONNABORTED:   return TEXT("The connection was aborted");
    case WSAECONNRESET:     return TEXT("The connection was reset");
    case WSAETIMEDOUT:      return TEXT("The connection timed out");
    case WSAECONNREFUSED:   return TEXT("The connection was refused");
    case WSAEHOSTUNREACH:   return TEXT("The host cannot be reached");
    case WSAHOST_NOT_FOUND: return TEXT("The host was not found");
    }
    wsprintf(szText, TEXT("Error %i"), WSAGetLastError());
    return szText;
}

static BOOL SendMail(CSession &session, BOOL bStartTls, const std::string &word)
{
    if (!session.Expect("220", "220 ") || !session.Say("EHLO client.test") || !session.Expect("250", "250 "))
        return FALSE;
    if (bStartTls && (!session.Say("STARTTLS") || !session.Expect("220") || !session.Handshake() ||
                      !session.Say("EHLO client.test") || !session.Expect("250", "250 ")))
        return FALSE;
    return session.Say("MAIL FROM:<a@client.test>") && session.Expect("250") &&
           session.Say("RCPT TO:<b@mail.test>") && session.Expect("250") &&
           session.Say("DATA") && session.Expect("354") &&
           session.Say("Subject: from a device\r\n\r\n" + word + "\r\n.") && session.Expect("250") &&
           session.Say("QUIT") && session.Expect("221");
}

static BOOL ReadMail(CSession &session, const std::string &user, const std::string &password)
{
    return session.Expect("+OK") && session.Say("STLS") && session.Expect("+OK") && session.Handshake() &&
           session.Say("USER " + user) && session.Expect("+OK") &&
           session.Say("PASS " + password) && session.Expect("+OK") &&
           session.Say("RETR 1") && session.Expect("+OK", "\r\n.\r\n") &&
           session.Say("QUIT") && session.Expect("+OK");
}

static std::string ToAnsi(LPCWSTR pszText)
{
    std::string result;
    while (*pszText)
        result += (char)*pszText++;
    return result;
}

extern "C" int RunClient(int argc, TCHAR *argv[])
{
    WSADATA wsaData;
    if (argc < 5 || WSAStartup(0x202, &wsaData))
        return 2;
    CSession session;
    std::string kind = ToAnsi(argv[3]), word = ToAnsi(argv[4]);
    BOOL bOk = session.Connect(ToAnsi(argv[1]).c_str(), (WORD)_wtol(argv[2]), kind != "plain", kind != "smtps");
    if (bOk)
        bOk = kind == "pop3" && argc > 6 ? ReadMail(session, ToAnsi(argv[5]), ToAnsi(argv[6])) : SendMail(session, kind == "smtp", word);
    if (!bOk)
    {
        int nError = WSAGetLastError();
        printf("%ls\nlast error %d\n", session.ErrorText(), nError);
    }
    session.Disconnect();
    WSACleanup();
    return bOk ? 0 : 1;
}
