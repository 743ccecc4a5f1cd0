/*
 * The types of Winsock: SOCKET, addresses, u_long. Addresses are laid out as Linux has them.
 */
#ifndef SSLSOCK_WCE_SOCKET_TYPES_H
#define SSLSOCK_WCE_SOCKET_TYPES_H

#if defined(_SYS_SOCKET_H) || defined(_NETINET_IN_H) || defined(_NETDB_H) || defined(_ARPA_INET_H)
#error "Winsock takes the place of <sys/socket.h>, <netinet/in.h>, <arpa/inet.h> and <netdb.h>: leave those out"
#endif

/* What these declare has to be known before names of theirs are taken over. */
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "../windef.h"
#include "all_bits.h"
#include "linkage.h"

typedef unsigned char sslsock_wce_u_char;
typedef uint16_t sslsock_wce_u_short;
typedef unsigned int sslsock_wce_u_int;
/* 32 bits, where Linux's has 64. */
typedef uint32_t sslsock_wce_u_long;
#define u_char sslsock_wce_u_char
#define u_short sslsock_wce_u_short
#define u_int sslsock_wce_u_int
#define u_long sslsock_wce_u_long

/* The length of an address is an int. */
typedef int sslsock_wce_socklen_t;
#define socklen_t sslsock_wce_socklen_t

/* A socket is the number of its descriptor; none has the number 0. */
typedef UINT_PTR SOCKET;
#define INVALID_SOCKET SSLSOCK_WCE_ALL_BITS
#define SOCKET_ERROR (-1)

typedef struct in_addr {
    union {
        struct {
            u_char s_b1, s_b2, s_b3, s_b4;
        } S_un_b;
        struct {
            u_short s_w1, s_w2;
        } S_un_w;
        u_long S_addr;
    } S_un;
} IN_ADDR, *PIN_ADDR, FAR *LPIN_ADDR;

#define s_addr S_un.S_addr
#define s_host S_un.S_un_b.s_b2
#define s_net S_un.S_un_b.s_b1
#define s_imp S_un.S_un_w.s_w2
#define s_impno S_un.S_un_b.s_b4
#define s_lh S_un.S_un_b.s_b3

typedef struct sockaddr {
    u_short sa_family;
    char sa_data[14];
} SOCKADDR, *PSOCKADDR, FAR *LPSOCKADDR;

typedef struct sockaddr_in {
    short sin_family;
    u_short sin_port;
    struct in_addr sin_addr;
    char sin_zero[8];
} SOCKADDR_IN, *PSOCKADDR_IN, FAR *LPSOCKADDR_IN;

typedef struct in6_addr {
    union {
        u_char Byte[16];
        u_short Word[8];
    } u;
} IN6_ADDR, *PIN6_ADDR, FAR *LPIN6_ADDR;

#define _S6_un u
#define _S6_u8 Byte
#define s6_addr u.Byte
#define s6_bytes u.Byte
#define s6_words u.Word

typedef struct sockaddr_in6 {
    short sin6_family;
    u_short sin6_port;
    u_long sin6_flowinfo;
    struct in6_addr sin6_addr;
    u_long sin6_scope_id;
} SOCKADDR_IN6, *PSOCKADDR_IN6, FAR *LPSOCKADDR_IN6;

typedef struct sockaddr_storage {
    short ss_family;
    char __ss_pad1[6];
    int64_t __ss_align;
    char __ss_pad2[112];
} SOCKADDR_STORAGE, *PSOCKADDR_STORAGE, FAR *LPSOCKADDR_STORAGE;

/* Where C programs leave the cast to `struct sockaddr *` out. */
#ifdef __cplusplus
typedef struct sockaddr *sslsock_wce_address;
typedef const struct sockaddr *sslsock_wce_const_address;
#else
typedef union {
    struct sockaddr *any;
    struct sockaddr_in *in;
    struct sockaddr_in6 *in6;
    struct sockaddr_storage *storage;
} sslsock_wce_address __attribute__((transparent_union));
typedef union {
    const struct sockaddr *any;
    const struct sockaddr_in *in;
    const struct sockaddr_in6 *in6;
    const struct sockaddr_storage *storage;
} sslsock_wce_const_address __attribute__((transparent_union));
#endif

SSLSOCK_WCE_ASSERT(sizeof(struct in_addr) == 4 && sizeof(u_long) == 4, "in_addr");
SSLSOCK_WCE_ASSERT(sizeof(struct sockaddr) == 16 && sizeof(struct sockaddr_in) == 16, "sockaddr_in");
SSLSOCK_WCE_ASSERT(sizeof(struct sockaddr_in6) == 28, "sockaddr_in6");
SSLSOCK_WCE_ASSERT(sizeof(struct sockaddr_storage) == 128, "sockaddr_storage");

#endif
