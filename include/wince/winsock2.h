/*
 * Winsock: sockets as Windows CE programs know them, secure ones among them.
 *
 * A socket is the number of its descriptor. No call sets errno, raises SIGPIPE or ends because of a signal. Not
 * supported, and not declared: overlapped calls, more than one buffer, events and messages.
 */
#ifndef SSLSOCK_WCE_WINSOCK2_H
#define SSLSOCK_WCE_WINSOCK2_H

/* Programs ask for these. */
#ifndef _WINSOCKAPI_
#define _WINSOCKAPI_
#endif
#ifndef _WINSOCK2API_
#define _WINSOCK2API_
#endif

#include "sslsock_wce/blob.h"
#include "sslsock_wce/linkage.h"
#include "sslsock_wce/socket_errors.h"
#include "sslsock_wce/socket_options.h"
#include "sslsock_wce/socket_types.h"
#include "windows.h"

#define WINSOCK_VERSION MAKEWORD(2, 2)
#define WSADESCRIPTION_LEN 256
#define WSASYS_STATUS_LEN 128

typedef struct WSAData {
    WORD wVersion;
    WORD wHighVersion;
    char szDescription[WSADESCRIPTION_LEN + 1];
    char szSystemStatus[WSASYS_STATUS_LEN + 1];
    unsigned short iMaxSockets;
    unsigned short iMaxUdpDg;
    char FAR *lpVendorInfo;
} WSADATA, *PWSADATA, FAR *LPWSADATA;

typedef struct linger {
    u_short l_onoff;
    u_short l_linger;
} LINGER, *PLINGER, FAR *LPLINGER;

typedef struct sockproto {
    u_short sp_family;
    u_short sp_protocol;
} SOCKPROTO, *PSOCKPROTO, FAR *LPSOCKPROTO;

typedef struct _WSABUF {
    u_long len;
    char FAR *buf;
} WSABUF, *PWSABUF, FAR *LPWSABUF;

/* Calls that get one of these answer WSAEOPNOTSUPP. */
typedef HANDLE WSAEVENT, FAR *LPWSAEVENT;
typedef struct _WSAOVERLAPPED {
    DWORD Internal;
    DWORD InternalHigh;
    DWORD Offset;
    DWORD OffsetHigh;
    WSAEVENT hEvent;
} WSAOVERLAPPED, *PWSAOVERLAPPED, FAR *LPWSAOVERLAPPED;
typedef void(CALLBACK *LPWSAOVERLAPPED_COMPLETION_ROUTINE)(
    DWORD dwError, DWORD cbTransferred, LPWSAOVERLAPPED lpOverlapped, DWORD dwFlags);

typedef unsigned int GROUP;
/* There is only NULL. */
typedef struct _WSAPROTOCOL_INFOA *LPWSAPROTOCOL_INFOA;
typedef struct _WSAPROTOCOL_INFOW *LPWSAPROTOCOL_INFOW;
/* Asked for and not used: sockets have it anyway. */
#define WSA_FLAG_OVERLAPPED 0x01

#include "sslsock_wce/socket_calls.h"

#include "sslsock_wce/hosts.h"
#include "sslsock_wce/select.h"

#endif
