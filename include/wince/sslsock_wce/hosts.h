/*
 * Winsock's look-ups and byte orders. winsock2.h includes this after it has declared struct in_addr and struct sockaddr.
 */
#ifndef SSLSOCK_WCE_HOSTS_H
#define SSLSOCK_WCE_HOSTS_H

#if defined(_NETDB_H) || defined(_ARPA_INET_H)
#error "<netdb.h> or <arpa/inet.h> has been included: a Windows CE source has <winsock2.h> or <ws2tcpip.h> instead"
#endif

#include "../windef.h"

/* The system's gethostname has to have been declared before ours takes its name. */
#include <unistd.h>

struct hostent {
    char *h_name;
    char **h_aliases;
    short h_addrtype;
    short h_length;
    char **h_addr_list;
};
#define h_addr h_addr_list[0]

struct servent {
    char *s_name;
    char **s_aliases;
    short s_port;
    char *s_proto;
};

struct protoent {
    char *p_name;
    char **p_aliases;
    short p_proto;
};

typedef struct hostent HOSTENT, *PHOSTENT, *LPHOSTENT;
typedef struct servent SERVENT, *PSERVENT, *LPSERVENT;
typedef struct protoent PROTOENT, *PPROTOENT, *LPPROTOENT;

#define HOST_NOT_FOUND WSAHOST_NOT_FOUND
#define TRY_AGAIN WSATRY_AGAIN
#define NO_RECOVERY WSANO_RECOVERY
#define NO_DATA WSANO_DATA
#define NO_ADDRESS WSANO_ADDRESS
#define h_errno WSAGetLastError()

/* Functions, not macros: a program may say ::htons, or have a method of that name. */
static __inline__ uint16_t htons(uint16_t value)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (uint16_t)(value << 8 | value >> 8);
#else
    return value;
#endif
}

static __inline__ uint32_t htonl(uint32_t value)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return __builtin_bswap32(value);
#else
    return value;
#endif
}

static __inline__ uint16_t ntohs(uint16_t value)
{
    return htons(value);
}

static __inline__ uint32_t ntohl(uint32_t value)
{
    return htonl(value);
}

SSLSOCK_WCE_BEGIN

/*
 * What the functions below return belongs to the library and to the calling thread: the thread's next call of the same
 * kind overwrites it. They may be called from any thread. A failure is NULL, and WSAGetLastError has the reason.
 */

/*
 * IPv4 only. Each address has 16 readable bytes, the rest of them zero, so that reading an unsigned long of 64 bits gives
 * the address. NULL or "": this machine, with the addresses of its network interfaces. What a name was looked up for is
 * kept in mind for ten minutes: a secure socket that this thread connects to the address, and for which the program names
 * no peer, sends this name (SNI) and expects it in the certificate.
 */
struct hostent *gethostbyname(const char *name) SSLSOCK_WCE(gethostbyname);
/* AF_INET or AF_INET6. Not kept in mind. */
struct hostent *gethostbyaddr(const char *address, int length, int family) SSLSOCK_WCE(gethostbyaddr);

/* What the system does not know is looked for in a short table of common services and protocols. */
struct servent *getservbyname(const char *name, const char *protocol) SSLSOCK_WCE(getservbyname);
struct servent *getservbyport(int port, const char *protocol) SSLSOCK_WCE(getservbyport);
struct protoent *getprotobyname(const char *name) SSLSOCK_WCE(getprotobyname);
struct protoent *getprotobynumber(int number) SSLSOCK_WCE(getprotobynumber);

uint32_t sslsock_wce_inet_addr(const char *text) SSLSOCK_WCE(inet_addr);
char *inet_ntoa(struct in_addr address) SSLSOCK_WCE(inet_ntoa);

#ifdef __cplusplus
/* The system's declaration once more, bound to ours. With _FORTIFY_SOURCE it stays the system's, which is defined there. */
#if !defined(__USE_FORTIFY_LEVEL) || __USE_FORTIFY_LEVEL == 0
extern int gethostname(char *name, size_t length) __THROW SSLSOCK_WCE(gethostname);
#endif
#else
#define gethostname sslsock_wce_gethostname
int gethostname(char *name, int length) SSLSOCK_WCE(gethostname);
#endif

SSLSOCK_WCE_END

/*
 * INADDR_NONE for what is no address, NULL and "" among it; 0 for " ". Programs keep the answer in an unsigned long or a
 * long, which have 64 bits here, and compare it with INADDR_NONE or with -1: so all bits are set there, too.
 */
static __inline__ unsigned long inet_addr(const char *text)
{
    uint32_t address = sslsock_wce_inet_addr(text);
    return address == 0xffffffffu ? ~0ul : address;
}

#endif
