/* Winsock: IPv6 and look-ups that know of it. */
#ifndef SSLSOCK_WCE_WS2TCPIP_H
#define SSLSOCK_WCE_WS2TCPIP_H

#include "winsock2.h"

#define IN6ADDR_ANY_INIT {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}}}
#define IN6ADDR_LOOPBACK_INIT {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}}
static const struct in6_addr in6addr_any __attribute__((unused)) = IN6ADDR_ANY_INIT;
static const struct in6_addr in6addr_loopback __attribute__((unused)) = IN6ADDR_LOOPBACK_INIT;

static __inline__ int IN6_ADDR_EQUAL(const struct in6_addr *one, const struct in6_addr *other)
{
    return __builtin_memcmp(one, other, sizeof *one) == 0;
}

static __inline__ int IN6_IS_ADDR_UNSPECIFIED(const struct in6_addr *address)
{
    return IN6_ADDR_EQUAL(address, &in6addr_any);
}

static __inline__ int IN6_IS_ADDR_LOOPBACK(const struct in6_addr *address)
{
    return IN6_ADDR_EQUAL(address, &in6addr_loopback);
}

static __inline__ int IN6_IS_ADDR_MULTICAST(const struct in6_addr *address)
{
    return address->s6_addr[0] == 0xff;
}

static __inline__ int IN6_IS_ADDR_LINKLOCAL(const struct in6_addr *address)
{
    return address->s6_addr[0] == 0xfe && (address->s6_addr[1] & 0xc0) == 0x80;
}

static __inline__ int IN6_IS_ADDR_SITELOCAL(const struct in6_addr *address)
{
    return address->s6_addr[0] == 0xfe && (address->s6_addr[1] & 0xc0) == 0xc0;
}

static __inline__ int IN6_IS_ADDR_V4MAPPED(const struct in6_addr *address)
{
    return __builtin_memcmp(address, &in6addr_any, 10) == 0 && address->s6_words[5] == 0xffff;
}

/* Room for the texts of addresses, with a port, as on Windows. */
#define INET_ADDRSTRLEN 22
#define INET6_ADDRSTRLEN 65

struct addrinfo {
    int ai_flags;
    int ai_family;
    int ai_socktype;
    int ai_protocol;
    size_t ai_addrlen;
    char *ai_canonname;
    struct sockaddr *ai_addr;
    struct addrinfo *ai_next;
};

typedef struct addrinfo ADDRINFO, *PADDRINFO, *LPADDRINFO;
typedef struct addrinfo ADDRINFOA, *PADDRINFOA;

#define AI_PASSIVE 0x1
#define AI_CANONNAME 0x2
#define AI_NUMERICHOST 0x4
#define AI_NUMERICSERV 0x8
#define AI_ALL 0x100
#define AI_ADDRCONFIG 0x400
#define AI_V4MAPPED 0x800

#define NI_NOFQDN 0x1
#define NI_NUMERICHOST 0x2
#define NI_NAMEREQD 0x4
#define NI_NUMERICSERV 0x8
#define NI_DGRAM 0x10
#define NI_MAXHOST 1025
#define NI_MAXSERV 32

#define EAI_AGAIN WSATRY_AGAIN
#define EAI_BADFLAGS WSAEINVAL
#define EAI_FAIL WSANO_RECOVERY
#define EAI_FAMILY WSAEAFNOSUPPORT
#define EAI_MEMORY WSA_NOT_ENOUGH_MEMORY
#define EAI_NODATA WSANO_DATA
#define EAI_NONAME WSAHOST_NOT_FOUND
#define EAI_SERVICE WSATYPE_NOT_FOUND
#define EAI_SOCKTYPE WSAESOCKTNOSUPPORT

SSLSOCK_WCE_BEGIN

/*
 * 0 or one of the EAI_ numbers, which are Winsock's; WSAGetLastError has it too. `result` is freed by freeaddrinfo. The
 * name is kept in mind for secure sockets, as gethostbyname says.
 */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **result)
    SSLSOCK_WCE(getaddrinfo);
void freeaddrinfo(struct addrinfo *list) SSLSOCK_WCE(freeaddrinfo);
/* WSAEFAULT if one of the buffers is too small. */
int getnameinfo(const struct sockaddr *address, socklen_t length, char *host, DWORD host_size, char *service,
                DWORD service_size, int flags) SSLSOCK_WCE(getnameinfo);

/* Texts in English, which are not to be freed or changed. */
char *gai_strerrorA(int error) SSLSOCK_WCE(gai_strerror_a);
WCHAR *gai_strerrorW(int error) SSLSOCK_WCE(gai_strerror_w);
#ifdef UNICODE
WCHAR *gai_strerror(int error) SSLSOCK_WCE(gai_strerror_w);
#else
char *gai_strerror(int error) SSLSOCK_WCE(gai_strerror_a);
#endif

SSLSOCK_WCE_END

SSLSOCK_WCE_ASSERT(sizeof(struct in6_addr) == 16 && sizeof(struct sockaddr_in6) == 28, "IPv6 addresses");

#endif
