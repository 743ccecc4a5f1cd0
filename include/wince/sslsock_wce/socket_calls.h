/*
 * Winsock's functions. winsock2.h includes this after it has declared their structures.
 */
#ifndef SSLSOCK_WCE_SOCKET_CALLS_H
#define SSLSOCK_WCE_SOCKET_CALLS_H

/* As for the system's own sockets: -Wpedantic is not to complain about addresses of any family. */
#pragma GCC system_header

/* In C the bytes to send and the values of options may have any type, for Windows's compilers only warn. */
#ifdef __cplusplus
#define SSLSOCK_WCE_BYTES char
#else
#define SSLSOCK_WCE_BYTES void
#endif

SSLSOCK_WCE_BEGIN

int WSAStartup(WORD wVersionRequested, LPWSADATA lpWSAData) SSLSOCK_WCE(startup);
int WSACleanup(void) SSLSOCK_WCE(cleanup);
int WSAGetLastError(void) SSLSOCK_WCE(get_last_error);
void WSASetLastError(int iError) SSLSOCK_WCE(set_last_error);

SOCKET socket(int af, int type, int protocol) SSLSOCK_WCE(socket);
SOCKET WSASocketA(int af, int type, int protocol, LPWSAPROTOCOL_INFOA lpProtocolInfo, GROUP g, DWORD dwFlags)
    SSLSOCK_WCE(wsa_socket);
SOCKET WSASocketW(int af, int type, int protocol, LPWSAPROTOCOL_INFOW lpProtocolInfo, GROUP g, DWORD dwFlags)
    SSLSOCK_WCE(wsa_socket);
int closesocket(SOCKET s) SSLSOCK_WCE(closesocket);

int connect(SOCKET s, sslsock_wce_const_address name, int namelen) SSLSOCK_WCE(connect);
int bind(SOCKET s, sslsock_wce_const_address name, int namelen) SSLSOCK_WCE(bind);
int listen(SOCKET s, int backlog) SSLSOCK_WCE(listen);
SOCKET accept(SOCKET s, sslsock_wce_address addr, int FAR *addrlen) SSLSOCK_WCE(accept);
int shutdown(SOCKET s, int how) SSLSOCK_WCE(shutdown);

int send(SOCKET s, const SSLSOCK_WCE_BYTES FAR *buf, int len, int flags) SSLSOCK_WCE(send);
int recv(SOCKET s, SSLSOCK_WCE_BYTES FAR *buf, int len, int flags) SSLSOCK_WCE(recv);
int sendto(SOCKET s, const SSLSOCK_WCE_BYTES FAR *buf, int len, int flags, sslsock_wce_const_address to, int tolen)
    SSLSOCK_WCE(sendto);
int recvfrom(SOCKET s, SSLSOCK_WCE_BYTES FAR *buf, int len, int flags, sslsock_wce_address from, int FAR *fromlen)
    SSLSOCK_WCE(recvfrom);
/* One buffer, not overlapped. */
int WSASend(SOCKET s, LPWSABUF lpBuffers, DWORD dwBufferCount, LPDWORD lpNumberOfBytesSent, DWORD dwFlags,
    LPWSAOVERLAPPED lpOverlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE lpCompletionRoutine) SSLSOCK_WCE(wsa_send);
int WSARecv(SOCKET s, LPWSABUF lpBuffers, DWORD dwBufferCount, LPDWORD lpNumberOfBytesRecvd, LPDWORD lpFlags,
    LPWSAOVERLAPPED lpOverlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE lpCompletionRoutine) SSLSOCK_WCE(wsa_recv);

int setsockopt(SOCKET s, int level, int optname, const SSLSOCK_WCE_BYTES FAR *optval, int optlen)
    SSLSOCK_WCE(setsockopt);
int getsockopt(SOCKET s, int level, int optname, SSLSOCK_WCE_BYTES FAR *optval, int FAR *optlen)
    SSLSOCK_WCE(getsockopt);

/* After an upgrade, too, these are the addresses of the connection to the peer. */
int getpeername(SOCKET s, sslsock_wce_address name, int FAR *namelen) SSLSOCK_WCE(getpeername);
int getsockname(SOCKET s, sslsock_wce_address name, int FAR *namelen) SSLSOCK_WCE(getsockname);

/* FIONBIO, FIONREAD, SIOCATMARK. The argument may also be a long, of which all is used. */
#ifdef __cplusplus
int ioctlsocket(SOCKET s, long cmd, u_long FAR *argp) SSLSOCK_WCE(ioctlsocket);
#else
int ioctlsocket(SOCKET s, long cmd, void FAR *argp) SSLSOCK_WCE(ioctlsocket);
int sslsock_wce_ioctlsocket_long(SOCKET s, long cmd, void FAR *argp) SSLSOCK_WCE(ioctlsocket_long);
#define ioctlsocket(s, cmd, argp) \
    ((sizeof *(argp) == 8 ? sslsock_wce_ioctlsocket_long : ioctlsocket)((s), (long)(cmd), (argp)))
#endif

/* The same, and the codes of sslsock.h. lpcbBytesReturned may be NULL; there is nothing overlapped. */
int WSAIoctl(SOCKET s, DWORD dwIoControlCode, LPVOID lpvInBuffer, DWORD cbInBuffer, LPVOID lpvOutBuffer,
    DWORD cbOutBuffer, LPDWORD lpcbBytesReturned, LPWSAOVERLAPPED lpOverlapped,
    LPWSAOVERLAPPED_COMPLETION_ROUTINE lpCompletionRoutine) SSLSOCK_WCE(wsa_ioctl);

SSLSOCK_WCE_END

#ifdef __cplusplus
extern "C++" {
/* `unsigned long *` is what Windows's u_long * and LPDWORD are. */
int ioctlsocket(SOCKET s, long cmd, unsigned long FAR *argp) SSLSOCK_WCE(ioctlsocket_long);

template <class Long>
inline int WSAIoctl(SOCKET s, DWORD dwIoControlCode, LPVOID lpvInBuffer, DWORD cbInBuffer, LPVOID lpvOutBuffer,
    DWORD cbOutBuffer, Long *lpcbBytesReturned, LPWSAOVERLAPPED lpOverlapped,
    LPWSAOVERLAPPED_COMPLETION_ROUTINE lpCompletionRoutine)
{
    /* A call that fails leaves the program's value alone, or says the size that is needed. */
    DWORD returned = 0;
    int result = WSAIoctl(s, dwIoControlCode, lpvInBuffer, cbInBuffer, lpvOutBuffer, cbOutBuffer, &returned,
        lpOverlapped, lpCompletionRoutine);
    if (lpcbBytesReturned != 0 && (result == 0 || returned != 0))
        *lpcbBytesReturned = returned;
    return result;
}
}
#endif

#ifdef UNICODE
#define WSASocket WSASocketW
typedef LPWSAPROTOCOL_INFOW LPWSAPROTOCOL_INFO;
#else
#define WSASocket WSASocketA
typedef LPWSAPROTOCOL_INFOA LPWSAPROTOCOL_INFO;
#endif

#endif
