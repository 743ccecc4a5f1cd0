/*
 * Constants of Winsock. Options of SOL_SOCKET and control codes have Windows's numbers. Families, types, protocols,
 * flags of send and recv, and the options of IP and TCP have Linux's: use the names.
 */
#ifndef SSLSOCK_WCE_SOCKET_OPTIONS_H
#define SSLSOCK_WCE_SOCKET_OPTIONS_H

#include "all_bits.h"
#include "socket_types.h"

#define AF_UNSPEC 0
#define AF_INET 2
#define AF_INET6 10
#define PF_UNSPEC AF_UNSPEC
#define PF_INET AF_INET
#define PF_INET6 AF_INET6

#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_RAW 3

#define IPPROTO_IP 0
#define IPPROTO_ICMP 1
#define IPPROTO_IGMP 2
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_IPV6 41
#define IPPROTO_ICMPV6 58
#define IPPROTO_RAW 255
#define IPPROTO_MAX 256

#define IPPORT_ECHO 7
#define IPPORT_DISCARD 9
#define IPPORT_SYSTAT 11
#define IPPORT_DAYTIME 13
#define IPPORT_NETSTAT 15
#define IPPORT_FTP 21
#define IPPORT_TELNET 23
#define IPPORT_SMTP 25
#define IPPORT_TIMESERVER 37
#define IPPORT_NAMESERVER 42
#define IPPORT_WHOIS 43
#define IPPORT_MTP 57
#define IPPORT_TFTP 69
#define IPPORT_RJE 77
#define IPPORT_FINGER 79
#define IPPORT_TTYLINK 87
#define IPPORT_SUPDUP 95
#define IPPORT_EXECSERVER 512
#define IPPORT_LOGINSERVER 513
#define IPPORT_CMDSERVER 514
#define IPPORT_EFSSERVER 520
#define IPPORT_BIFFUDP 512
#define IPPORT_WHOSERVER 513
#define IPPORT_ROUTESERVER 520
#define IPPORT_RESERVED 1024

/* In the byte order of the machine. */
#define INADDR_ANY ((u_long)0x00000000)
#define INADDR_LOOPBACK ((u_long)0x7f000001)
#define INADDR_BROADCAST ((u_long)0xffffffff)
/* What is no address (see inet_addr). */
#define INADDR_NONE SSLSOCK_WCE_ALL_BITS

#define IN_CLASSA(address) (((u_long)(address) & 0x80000000u) == 0)
#define IN_CLASSA_NET 0xff000000u
#define IN_CLASSA_NSHIFT 24
#define IN_CLASSA_HOST 0x00ffffffu
#define IN_CLASSA_MAX 128
#define IN_CLASSB(address) (((u_long)(address) & 0xc0000000u) == 0x80000000u)
#define IN_CLASSB_NET 0xffff0000u
#define IN_CLASSB_NSHIFT 16
#define IN_CLASSB_HOST 0x0000ffffu
#define IN_CLASSB_MAX 65536
#define IN_CLASSC(address) (((u_long)(address) & 0xe0000000u) == 0xc0000000u)
#define IN_CLASSC_NET 0xffffff00u
#define IN_CLASSC_NSHIFT 8
#define IN_CLASSC_HOST 0x000000ffu
#define IN_CLASSD(address) (((u_long)(address) & 0xf0000000u) == 0xe0000000u)
#define IN_MULTICAST(address) IN_CLASSD(address)

#define SOMAXCONN 0x7fffffff

#define MSG_OOB 0x1
#define MSG_PEEK 0x2
#define MSG_DONTROUTE 0x4
#define MSG_WAITALL 0x100

#define SD_RECEIVE 0
#define SD_SEND 1
#define SD_BOTH 2

#define SOL_SOCKET 0xffff
#define SO_DEBUG 0x0001
#define SO_ACCEPTCONN 0x0002
#define SO_REUSEADDR 0x0004
#define SO_KEEPALIVE 0x0008
#define SO_DONTROUTE 0x0010
#define SO_BROADCAST 0x0020
#define SO_LINGER 0x0080
#define SO_OOBINLINE 0x0100
#define SO_DONTLINGER ((int)(~SO_LINGER))
#define SO_EXCLUSIVEADDRUSE ((int)(~SO_REUSEADDR))
#define SO_SNDBUF 0x1001
#define SO_RCVBUF 0x1002
#define SO_RCVLOWAT 0x1004
/* Milliseconds. */
#define SO_SNDTIMEO 0x1005
#define SO_RCVTIMEO 0x1006
#define SO_ERROR 0x1007
#define SO_TYPE 0x1008

/* Windows CE: puts TLS on a socket that is not connected yet. The codes of WSAIoctl for it are in sslsock.h. */
#define SO_SECURE 0x2001
#define SO_SEC_NONE 0x2002
#define SO_SEC_SSL 0x2004

#define TCP_NODELAY 1

#define IP_TOS 1
#define IP_TTL 2
#define IP_MULTICAST_IF 32
#define IP_MULTICAST_TTL 33
#define IP_MULTICAST_LOOP 34
#define IP_ADD_MEMBERSHIP 35
#define IP_DROP_MEMBERSHIP 36
#define IP_DEFAULT_MULTICAST_TTL 1
#define IP_DEFAULT_MULTICAST_LOOP 1
#define IP_MAX_MEMBERSHIPS 20

#define IPV6_UNICAST_HOPS 16
#define IPV6_MULTICAST_IF 17
#define IPV6_MULTICAST_HOPS 18
#define IPV6_MULTICAST_LOOP 19
#define IPV6_ADD_MEMBERSHIP 20
#define IPV6_JOIN_GROUP 20
#define IPV6_DROP_MEMBERSHIP 21
#define IPV6_LEAVE_GROUP 21
#define IPV6_V6ONLY 26

struct ip_mreq {
    struct in_addr imr_multiaddr;
    struct in_addr imr_interface;
};

struct ipv6_mreq {
    struct in6_addr ipv6mr_multiaddr;
    unsigned int ipv6mr_interface;
};

/* Control codes. They have 32 bits, and none of them is known to Linux by its number. */
#define IOCPARM_MASK 0x7f
#define IOC_UNIX 0x00000000u
#define IOC_WS2 0x08000000u
#define IOC_PROTOCOL 0x10000000u
#define IOC_VENDOR 0x18000000u
#define IOC_VOID 0x20000000u
#define IOC_OUT 0x40000000u
#define IOC_IN 0x80000000u
#define IOC_INOUT (IOC_IN | IOC_OUT)

#ifndef _IO
#define _IO(group, number) (IOC_VOID | ((unsigned int)(group) << 8) | (number))
#define _IOR(group, number, type) \
    (IOC_OUT | (((unsigned int)sizeof(type) & IOCPARM_MASK) << 16) | ((unsigned int)(group) << 8) | (number))
#define _IOW(group, number, type) \
    (IOC_IN | (((unsigned int)sizeof(type) & IOCPARM_MASK) << 16) | ((unsigned int)(group) << 8) | (number))
#endif
#define _WSAIO(group, number) (IOC_VOID | (group) | (number))
#define _WSAIOR(group, number) (IOC_OUT | (group) | (number))
#define _WSAIOW(group, number) (IOC_IN | (group) | (number))
#define _WSAIORW(group, number) (IOC_INOUT | (group) | (number))

#define FIONREAD 0x4004667fu
#define FIONBIO 0x8004667eu
#define SIOCATMARK 0x40047307u

SSLSOCK_WCE_ASSERT(sizeof(struct ip_mreq) == 8 && sizeof(struct ipv6_mreq) == 20, "multicast groups");

#endif
