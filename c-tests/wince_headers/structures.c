/* Sizes and offsets: what Windows CE has on its 32-bit processors, and what that becomes where pointers have 64 bits. */
#include "same.h"

#include <time.h>

#if __SIZEOF_POINTER__ == 4
#define BITS(of32, of64) of32
#else
#define BITS(of32, of64) of64
#endif

#define SIZE(type, of32, of64) SAME(sizeof(type), BITS(of32, of64))
#define AT(type, field, of32, of64) SAME(offsetof(type, field), BITS(of32, of64))
#define UNSIGNED(type) SSLSOCK_WCE_ASSERT((type)-1 > (type)0, #type " is signed")
#define SIGNED(type) SSLSOCK_WCE_ASSERT((type)-1 < (type)0, #type " is unsigned")

/* Windows's types. */
SIZE(BYTE, 1, 1);
SIZE(UCHAR, 1, 1);
SIZE(WORD, 2, 2);
SIZE(USHORT, 2, 2);
SIZE(SHORT, 2, 2);
SIZE(BOOL, 4, 4);
SIZE(INT, 4, 4);
SIZE(UINT, 4, 4);
SIZE(LONG, 4, 4);
SIZE(ULONG, 4, 4);
SIZE(DWORD, 4, 4);
SIZE(HRESULT, 4, 4);
SIZE(ALG_ID, 4, 4);
SIZE(u_char, 1, 1);
SIZE(u_short, 2, 2);
SIZE(u_int, 4, 4);
SIZE(u_long, 4, 4);
SIZE(LONGLONG, 8, 8);
SIZE(ULONGLONG, 8, 8);
SIZE(DWORD64, 8, 8);
SIZE(FILETIME, 8, 8);
SIZE(SYSTEMTIME, 16, 16);
SIZE(LARGE_INTEGER, 8, 8);
SIZE(SOCKET, 4, 8);
SIZE(HANDLE, 4, 8);
SIZE(UINT_PTR, 4, 8);
SIZE(DWORD_PTR, 4, 8);
SIZE(WPARAM, 4, 8);
SIZE(LPARAM, 4, 8);
SIZE(LPVOID, 4, 8);
UNSIGNED(BYTE);
UNSIGNED(WORD);
UNSIGNED(DWORD);
UNSIGNED(ULONG);
UNSIGNED(UINT);
UNSIGNED(u_long);
UNSIGNED(SOCKET);
SIGNED(LONG);
SIGNED(INT);
SIGNED(BOOL);
SIGNED(HRESULT);

/* What a system call or the library's own is given has the system's layout. */
SIZE(struct in_addr, 4, 4);
SIZE(struct sockaddr, 16, 16);
SIZE(struct sockaddr_in, 16, 16);
SIZE(SOCKADDR_IN, 16, 16);
AT(struct sockaddr_in, sin_family, 0, 0);
AT(struct sockaddr_in, sin_port, 2, 2);
AT(struct sockaddr_in, sin_addr, 4, 4);
SIZE(struct linger, 4, 4);
AT(WSADATA, wHighVersion, 2, 2);

/* Windows CE's structures for secure sockets. */
SIZE(BLOB, 8, 16);
AT(BLOB, cbSize, 0, 0);
AT(BLOB, pBlobData, 4, 8);

SIZE(SSLPROTOCOL, 12, 12);
AT(SSLPROTOCOL, dwProtocol, 0, 0);
AT(SSLPROTOCOL, dwVersion, 4, 4);
AT(SSLPROTOCOL, dwFlags, 8, 8);

SIZE(SSLPROTOCOLS, 16, 16);
AT(SSLPROTOCOLS, dwCount, 0, 0);
AT(SSLPROTOCOLS, ProtocolList, 4, 4);

SIZE(SSLCIPHERS, 12, 12);
AT(SSLCIPHERS, dwProtocol, 0, 0);
AT(SSLCIPHERS, dwCount, 4, 4);
AT(SSLCIPHERS, CipherList, 8, 8);

#if __SIZEOF_POINTER__ == 8 || !defined(__USE_TIME_BITS64)
SIZE(SSLCLIENTOPTS, 12, 16);
AT(SSLCLIENTOPTS, CacheTimeout, 0, 0);
AT(SSLCLIENTOPTS, dwCacheEntries, 4, 8);
AT(SSLCLIENTOPTS, dwFlags, 8, 12);
SIZE(SSLSERVEROPTS, 12, 16);
AT(SSLSERVEROPTS, CacheTimeout, 0, 0);
AT(SSLSERVEROPTS, dwCacheEntries, 4, 8);
AT(SSLSERVEROPTS, dwFlags, 8, 12);
#endif

SIZE(SSLCLIENTAUTHOPTS, 24, 32);
AT(SSLCLIENTAUTHOPTS, dwRequestClientAuth, 0, 0);
AT(SSLCLIENTAUTHOPTS, dwRedoHandshake, 4, 4);
AT(SSLCLIENTAUTHOPTS, dwType, 8, 8);
AT(SSLCLIENTAUTHOPTS, dwIssuerCount, 12, 12);
AT(SSLCLIENTAUTHOPTS, pIssuerList, 16, 16);
AT(SSLCLIENTAUTHOPTS, dwFlags, 20, 24);

SIZE(SSLVALIDATECERTHOOK, 8, 16);
AT(SSLVALIDATECERTHOOK, HookFunc, 0, 0);
AT(SSLVALIDATECERTHOOK, pvArg, 4, 8);
SIZE(SSLAUTHREQUESTHOOK, 8, 16);
AT(SSLAUTHREQUESTHOOK, pvArg, 4, 8);
SIZE(SSLKEYEXCHANGEHOOK, 8, 16);
AT(SSLKEYEXCHANGEHOOK, pvArg, 4, 8);
SIZE(SSLSIGNATUREHOOK, 8, 16);
AT(SSLSIGNATUREHOOK, pvArg, 4, 8);

SIZE(SSLCONNECTIONINFO, 28, 28);
AT(SSLCONNECTIONINFO, dwProtocol, 0, 0);
AT(SSLCONNECTIONINFO, aiCipher, 4, 4);
AT(SSLCONNECTIONINFO, dwCipherStrength, 8, 8);
AT(SSLCONNECTIONINFO, aiHash, 12, 12);
AT(SSLCONNECTIONINFO, dwHashStrength, 16, 16);
AT(SSLCONNECTIONINFO, aiExch, 20, 20);
AT(SSLCONNECTIONINFO, dwExchStrength, 24, 24);

SIZE(PctPublicKey, 12, 12);
AT(PctPublicKey, Type, 0, 0);
AT(PctPublicKey, cbKey, 4, 4);
AT(PctPublicKey, pKey, 8, 8);

SIZE(X509Certificate, 52, 64);
AT(X509Certificate, Version, 0, 0);
AT(X509Certificate, SerialNumber, 4, 4);
AT(X509Certificate, SignatureAlgorithm, 20, 20);
AT(X509Certificate, ValidFrom, 24, 24);
AT(X509Certificate, ValidUntil, 32, 32);
AT(X509Certificate, pszIssuer, 40, 40);
AT(X509Certificate, pszSubject, 44, 48);
AT(X509Certificate, pPublicKey, 48, 56);

/* The prototypes of the hooks, as programs write them. */
static int validate(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags)
{
    (void)dwType, (void)pvArg, (void)dwChainLen, (void)pCertChain, (void)dwFlags;
    return SSL_ERR_OKAY;
}

static int CALLBACK ask(DWORD dwType, LPVOID pvArg, DWORD dwIssuerCount, LPBLOB pIssuerList, DWORD dwFlags,
                        LPDWORD pdwChainLen, LPBLOB *ppCertChain)
{
    (void)dwType, (void)pvArg, (void)dwIssuerCount, (void)pIssuerList, (void)dwFlags, (void)pdwChainLen, (void)ppCertChain;
    return SSL_ERR_FAILED;
}

static int CALLBACK transform(DWORD dwType, LPVOID pvArg, LPBYTE pSource, DWORD dwSourceLen, DWORD dwFlags, LPBYTE pDest,
                              LPDWORD pdwDestLen)
{
    (void)dwType, (void)pvArg, (void)pSource, (void)dwSourceLen, (void)dwFlags, (void)pDest, (void)pdwDestLen;
    return SSL_ERR_FAILED;
}

SSLVALIDATECERTHOOK validate_hook = {validate, NULL};
SSLAUTHREQUESTHOOK ask_hook = {ask, NULL};
SSLKEYEXCHANGEHOOK exchange_hook = {transform, NULL};
SSLSIGNATUREHOOK signature_hook = {transform, NULL};
