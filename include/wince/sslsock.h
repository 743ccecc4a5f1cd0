/*
 * Windows CE: secure sockets. The codes of WSAIoctl, what they take and give, and the hooks.
 *
 * SO_SECURE and SO_SEC_SSL are in winsock.h. Which codes do what: ssl_ioctl in the library's own sslsock.h, which no
 * Windows CE source needs.
 */
#ifndef SSLSOCK_WCE_SSLSOCK_H
#define SSLSOCK_WCE_SSLSOCK_H

#include <time.h>

#include "sslsock_wce/algorithms.h"
#include "sslsock_wce/blob.h"
#include "windef.h"
#include "winsock2.h"

SSLSOCK_WCE_BEGIN

#define SECURITY_PROTOCOL_SSL 0x0001

/* The codes have 32 bits, where Windows's expressions with 2L would make them longs of 64. */
#define SO_SSL_FAMILY 0x00730000u
#define SO_SSL_FAMILY_MASK 0x07ff0000u
#define _SO_SSL ((2u << 27) | SO_SSL_FAMILY)

#define _SO_SSL_CAPABILITIES 0x01
#define _SO_SSL_FLAGS 0x02
#define _SO_SSL_PROTOCOLS 0x03
#define _SO_SSL_CIPHERS 0x04
#define _SO_SSL_CLIENT_OPTS 0x05
#define _SO_SSL_SERVER_OPTS 0x06
#define _SO_SSL_CLIENT_AUTH_OPTS 0x07
#define _SO_SSL_VALIDATE_CERT_HOOK 0x08
#define _SO_SSL_AUTH_REQUEST_HOOK 0x09
#define _SO_SSL_KEY_EXCH_HOOK 0x0a
#define _SO_SSL_SIGNATURE_HOOK 0x0b
#define _SO_SSL_PERFORM_HANDSHAKE 0x0d
#define _SO_SSL_CONNECTION_INFO 0x0e
#define _SO_SSL_PEERNAME 0x0f

#define SO_SSL_GET_CAPABILITIES 0x50730001u
#define SO_SSL_SET_FLAGS 0x90730002u
#define SO_SSL_GET_FLAGS 0x50730002u
#define SO_SSL_SET_PROTOCOLS 0x90730003u
#define SO_SSL_GET_PROTOCOLS 0x50730003u
#define SO_SSL_SET_CIPHERS 0x90730004u
#define SO_SSL_GET_CIPHERS 0xd0730004u
#define SO_SSL_SET_CLIENT_OPTS 0x90730005u
#define SO_SSL_GET_CLIENT_OPTS 0x50730005u
#define SO_SSL_SET_SERVER_OPTS 0x90730006u
#define SO_SSL_GET_SERVER_OPTS 0x50730006u
#define SO_SSL_SET_CLIENT_AUTH_OPTS 0x90730007u
#define SO_SSL_GET_CLIENT_AUTH_OPTS 0x50730007u
#define SO_SSL_SET_VALIDATE_CERT_HOOK 0x90730008u
#define SO_SSL_GET_VALIDATE_CERT_HOOK 0x50730008u
#define SO_SSL_SET_AUTH_REQUEST_HOOK 0x90730009u
#define SO_SSL_GET_AUTH_REQUEST_HOOK 0x50730009u
#define SO_SSL_SET_KEY_EXCH_HOOK 0x9073000au
#define SO_SSL_GET_KEY_EXCH_HOOK 0x5073000au
#define SO_SSL_SET_SIGNATURE_HOOK 0x9073000bu
#define SO_SSL_GET_SIGNATURE_HOOK 0x5073000bu
#define SO_SSL_PERFORM_HANDSHAKE 0x1073000du
#define SO_SSL_GET_CONNECTION_INFO 0x5073000eu
/* With the direction of a GET; with that of a SET it is the same. */
#define SO_SSL_SET_PEERNAME 0x5073000fu

/* SO_SSL_GET_CAPABILITIES. */
#define SSL_CAP_CLIENT 0x0001
#define SSL_CAP_SERVER 0x0002
#define SSL_CAP_CLIENT_AUTH 0x0004
#define SSL_CAP_CRYPTOAPI 0x0008

/* SO_SSL_SET_FLAGS. */
#define SSL_FLAG_SERVER 0x0002
#define SSL_FLAG_AUTH_CLIENT 0x0004
#define SSL_FLAG_DEFER_HANDSHAKE 0x0008

/* SSLPROTOCOL.dwProtocol: a number, not bits. */
#define SSL_PROTOCOL_PCT1 1
#define SSL_PROTOCOL_SSL2 2
#define SSL_PROTOCOL_SSL3 3
#define SSL_PROTOCOL_TLS1 4

/* SSLCONNECTIONINFO.dwProtocol: bits. */
#define SSL_PROT_PCT1_SERVER 0x00000001
#define SSL_PROT_PCT1_CLIENT 0x00000002
#define SSL_PROT_SSL2_SERVER 0x00000004
#define SSL_PROT_SSL2_CLIENT 0x00000008
#define SSL_PROT_SSL3_SERVER 0x00000010
#define SSL_PROT_SSL3_CLIENT 0x00000020
#define SSL_PROT_TLS1_SERVER 0x00000040
#define SSL_PROT_TLS1_CLIENT 0x00000080

/* What a hook answers: anything but SSL_ERR_OKAY refuses. */
#define SSL_ERR_OKAY 0
#define SSL_ERR_FAILED 2
#define SSL_ERR_BAD_LEN 3
#define SSL_ERR_BAD_TYPE 4
#define SSL_ERR_BAD_DATA 5
#define SSL_ERR_NO_CERT 6
#define SSL_ERR_BAD_SIG 7
#define SSL_ERR_CERT_EXPIRED 8
#define SSL_ERR_CERT_REVOKED 9
#define SSL_ERR_CERT_UNKNOWN 10
#define SSL_ERR_SIGNATURE 11

/* SSLVALIDATECERTFUNC: dwType and dwFlags. */
#define SSL_CERT_X509 0x0001
#define SSL_CERT_FLAG_ISSUER_UNKNOWN 0x0001

/* SSLKEYEXCHANGEFUNC: dwType. */
#define SSL_EXCH_RSAENCRYPT 1
#define SSL_EXCH_RSADECRYPT 2

/* SSLSIGNATUREFUNC: dwType and dwFlags. */
#define SSL_SIGN_RSA_MD2 1
#define SSL_SIGN_RSA_MD5 2
#define SSL_SIGN_RSA_SHA 3
#define SSL_SIGN_RSA_SHAMD5 4
#define SSL_SIGN_VERIFY_SIGNATURE 0x00000001
#define SSL_SIGN_PERFORM_HASH 0x00000002

/* dwCount entries follow one another. */
typedef struct _SSLPROTOCOL {
    DWORD dwProtocol;
    DWORD dwVersion;
    DWORD dwFlags;
} SSLPROTOCOL, *LPSSLPROTOCOL;

typedef struct _SSLPROTOCOLS {
    DWORD dwCount;
    SSLPROTOCOL ProtocolList[1];
} SSLPROTOCOLS, *LPSSLPROTOCOLS;

typedef struct _SSLCIPHERS {
    DWORD dwProtocol;
    DWORD dwCount;
    DWORD CipherList[1];
} SSLCIPHERS, *LPSSLCIPHERS;

typedef struct _SSLCLIENTOPTS {
    time_t CacheTimeout;
    DWORD dwCacheEntries;
    DWORD dwFlags;
} SSLCLIENTOPTS, *LPSSLCLIENTOPTS;

typedef struct _SSLSERVEROPTS {
    time_t CacheTimeout;
    DWORD dwCacheEntries;
    DWORD dwFlags;
} SSLSERVEROPTS, *LPSSLSERVEROPTS;

typedef struct _SSLCLIENTAUTHOPTS {
    DWORD dwRequestClientAuth;
    DWORD dwRedoHandshake;
    DWORD dwType;
    DWORD dwIssuerCount;
    LPBLOB pIssuerList;
    DWORD dwFlags;
} SSLCLIENTAUTHOPTS, *LPSSLCLIENTAUTHOPTS;

/* pCertChain[0] is the server's own certificate in DER; dwChainLen is always 1. Valid during the call. */
typedef int(CALLBACK *SSLVALIDATECERTFUNC)(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain,
                                           DWORD dwFlags);
/* pIssuerList has names in DER; *ppCertChain becomes a chain in DER, own certificate first, or stays as it is. */
typedef int(CALLBACK *SSLAUTHREQUESTFUNC)(DWORD dwType, LPVOID pvArg, DWORD dwIssuerCount, LPBLOB pIssuerList,
                                          DWORD dwFlags, LPDWORD pdwChainLen, LPBLOB *ppCertChain);
typedef int(CALLBACK *SSLKEYEXCHANGEFUNC)(DWORD dwType, LPVOID pvArg, LPBYTE pSource, DWORD dwSourceLen,
                                          DWORD dwFlags, LPBYTE pDest, LPDWORD pdwDestLen);
/* dwType is a signature scheme of TLS (RFC 8446, 4.2.3), dwFlags SSL_SIGN_PERFORM_HASH. */
typedef int(CALLBACK *SSLSIGNATUREFUNC)(DWORD dwType, LPVOID pvArg, LPBYTE pSource, DWORD dwSourceLen,
                                        DWORD dwFlags, LPBYTE pDest, LPDWORD pdwDestLen);

typedef struct _SSLVALIDATECERTHOOK {
    SSLVALIDATECERTFUNC HookFunc;
    LPVOID pvArg;
} SSLVALIDATECERTHOOK, *LPSSLVALIDATECERTHOOK;

typedef struct _SSLAUTHREQUESTHOOK {
    SSLAUTHREQUESTFUNC HookFunc;
    LPVOID pvArg;
} SSLAUTHREQUESTHOOK, *LPSSLAUTHREQUESTHOOK;

typedef struct _SSLKEYEXCHANGEHOOK {
    SSLKEYEXCHANGEFUNC HookFunc;
    LPVOID pvArg;
} SSLKEYEXCHANGEHOOK, *LPSSLKEYEXCHANGEHOOK;

typedef struct _SSLSIGNATUREHOOK {
    SSLSIGNATUREFUNC HookFunc;
    LPVOID pvArg;
} SSLSIGNATUREHOOK, *LPSSLSIGNATUREHOOK;

/* The strengths are numbers of bits. */
typedef struct _SSLCONNECTIONINFO {
    DWORD dwProtocol;
    ALG_ID aiCipher;
    DWORD dwCipherStrength;
    ALG_ID aiHash;
    DWORD dwHashStrength;
    ALG_ID aiExch;
    DWORD dwExchStrength;
} SSLCONNECTIONINFO, *PSSLCONNECTIONINFO;

SSLSOCK_WCE_END

SSLSOCK_WCE_ASSERT(sizeof(SO_SSL_SET_FLAGS) == 4 && sizeof(_SO_SSL) == 4, "codes");
SSLSOCK_WCE_ASSERT(_SO_SSL == 0x10730000u, "_SO_SSL");

SSLSOCK_WCE_ASSERT(sizeof(BLOB) == (sizeof(void *) == 8 ? 16 : 8), "BLOB");
SSLSOCK_WCE_ASSERT(offsetof(BLOB, cbSize) == 0, "BLOB");
SSLSOCK_WCE_ASSERT(offsetof(BLOB, pBlobData) == (sizeof(void *) == 8 ? 8 : 4), "BLOB");

SSLSOCK_WCE_ASSERT(sizeof(SSLPROTOCOL) == 12 && offsetof(SSLPROTOCOL, dwProtocol) == 0, "SSLPROTOCOL");
SSLSOCK_WCE_ASSERT(offsetof(SSLPROTOCOL, dwVersion) == 4 && offsetof(SSLPROTOCOL, dwFlags) == 8, "SSLPROTOCOL");
SSLSOCK_WCE_ASSERT(sizeof(SSLPROTOCOLS) == 16 && offsetof(SSLPROTOCOLS, dwCount) == 0, "SSLPROTOCOLS");
SSLSOCK_WCE_ASSERT(offsetof(SSLPROTOCOLS, ProtocolList) == 4, "SSLPROTOCOLS");
SSLSOCK_WCE_ASSERT(sizeof(SSLCIPHERS) == 12 && offsetof(SSLCIPHERS, dwProtocol) == 0, "SSLCIPHERS");
SSLSOCK_WCE_ASSERT(offsetof(SSLCIPHERS, dwCount) == 4 && offsetof(SSLCIPHERS, CipherList) == 8, "SSLCIPHERS");

SSLSOCK_WCE_ASSERT(sizeof(SSLCLIENTOPTS) == sizeof(time_t) + 8, "SSLCLIENTOPTS");
SSLSOCK_WCE_ASSERT(offsetof(SSLCLIENTOPTS, CacheTimeout) == 0, "SSLCLIENTOPTS");
SSLSOCK_WCE_ASSERT(offsetof(SSLCLIENTOPTS, dwCacheEntries) == sizeof(time_t), "SSLCLIENTOPTS");
SSLSOCK_WCE_ASSERT(offsetof(SSLCLIENTOPTS, dwFlags) == sizeof(time_t) + 4, "SSLCLIENTOPTS");
SSLSOCK_WCE_ASSERT(sizeof(SSLSERVEROPTS) == sizeof(time_t) + 8, "SSLSERVEROPTS");
SSLSOCK_WCE_ASSERT(offsetof(SSLSERVEROPTS, CacheTimeout) == 0, "SSLSERVEROPTS");
SSLSOCK_WCE_ASSERT(offsetof(SSLSERVEROPTS, dwCacheEntries) == sizeof(time_t), "SSLSERVEROPTS");
SSLSOCK_WCE_ASSERT(offsetof(SSLSERVEROPTS, dwFlags) == sizeof(time_t) + 4, "SSLSERVEROPTS");

SSLSOCK_WCE_ASSERT(sizeof(SSLCLIENTAUTHOPTS) == (sizeof(void *) == 8 ? 32 : 24), "SSLCLIENTAUTHOPTS");
SSLSOCK_WCE_ASSERT(offsetof(SSLCLIENTAUTHOPTS, dwRequestClientAuth) == 0, "SSLCLIENTAUTHOPTS");
SSLSOCK_WCE_ASSERT(offsetof(SSLCLIENTAUTHOPTS, dwRedoHandshake) == 4, "SSLCLIENTAUTHOPTS");
SSLSOCK_WCE_ASSERT(offsetof(SSLCLIENTAUTHOPTS, dwType) == 8, "SSLCLIENTAUTHOPTS");
SSLSOCK_WCE_ASSERT(offsetof(SSLCLIENTAUTHOPTS, dwIssuerCount) == 12, "SSLCLIENTAUTHOPTS");
SSLSOCK_WCE_ASSERT(offsetof(SSLCLIENTAUTHOPTS, pIssuerList) == 16, "SSLCLIENTAUTHOPTS");
SSLSOCK_WCE_ASSERT(offsetof(SSLCLIENTAUTHOPTS, dwFlags) == (sizeof(void *) == 8 ? 24 : 20), "SSLCLIENTAUTHOPTS");

SSLSOCK_WCE_ASSERT(sizeof(SSLVALIDATECERTHOOK) == (sizeof(void *) == 8 ? 16 : 8), "SSLVALIDATECERTHOOK");
SSLSOCK_WCE_ASSERT(offsetof(SSLVALIDATECERTHOOK, HookFunc) == 0, "SSLVALIDATECERTHOOK");
SSLSOCK_WCE_ASSERT(offsetof(SSLVALIDATECERTHOOK, pvArg) == sizeof(void *), "SSLVALIDATECERTHOOK");
SSLSOCK_WCE_ASSERT(sizeof(SSLAUTHREQUESTHOOK) == (sizeof(void *) == 8 ? 16 : 8), "SSLAUTHREQUESTHOOK");
SSLSOCK_WCE_ASSERT(offsetof(SSLAUTHREQUESTHOOK, HookFunc) == 0, "SSLAUTHREQUESTHOOK");
SSLSOCK_WCE_ASSERT(offsetof(SSLAUTHREQUESTHOOK, pvArg) == sizeof(void *), "SSLAUTHREQUESTHOOK");
SSLSOCK_WCE_ASSERT(sizeof(SSLKEYEXCHANGEHOOK) == (sizeof(void *) == 8 ? 16 : 8), "SSLKEYEXCHANGEHOOK");
SSLSOCK_WCE_ASSERT(offsetof(SSLKEYEXCHANGEHOOK, HookFunc) == 0, "SSLKEYEXCHANGEHOOK");
SSLSOCK_WCE_ASSERT(offsetof(SSLKEYEXCHANGEHOOK, pvArg) == sizeof(void *), "SSLKEYEXCHANGEHOOK");
SSLSOCK_WCE_ASSERT(sizeof(SSLSIGNATUREHOOK) == (sizeof(void *) == 8 ? 16 : 8), "SSLSIGNATUREHOOK");
SSLSOCK_WCE_ASSERT(offsetof(SSLSIGNATUREHOOK, HookFunc) == 0, "SSLSIGNATUREHOOK");
SSLSOCK_WCE_ASSERT(offsetof(SSLSIGNATUREHOOK, pvArg) == sizeof(void *), "SSLSIGNATUREHOOK");

SSLSOCK_WCE_ASSERT(sizeof(SSLCONNECTIONINFO) == 28, "SSLCONNECTIONINFO");
SSLSOCK_WCE_ASSERT(offsetof(SSLCONNECTIONINFO, dwProtocol) == 0, "SSLCONNECTIONINFO");
SSLSOCK_WCE_ASSERT(offsetof(SSLCONNECTIONINFO, aiCipher) == 4, "SSLCONNECTIONINFO");
SSLSOCK_WCE_ASSERT(offsetof(SSLCONNECTIONINFO, dwCipherStrength) == 8, "SSLCONNECTIONINFO");
SSLSOCK_WCE_ASSERT(offsetof(SSLCONNECTIONINFO, aiHash) == 12, "SSLCONNECTIONINFO");
SSLSOCK_WCE_ASSERT(offsetof(SSLCONNECTIONINFO, dwHashStrength) == 16, "SSLCONNECTIONINFO");
SSLSOCK_WCE_ASSERT(offsetof(SSLCONNECTIONINFO, aiExch) == 20, "SSLCONNECTIONINFO");
SSLSOCK_WCE_ASSERT(offsetof(SSLCONNECTIONINFO, dwExchStrength) == 24, "SSLCONNECTIONINFO");

#endif
