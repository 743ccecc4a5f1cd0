/* Comparisons that the compiler makes, in C and in C++. */
#ifndef SSLSOCK_TESTS_SAME_H
#define SSLSOCK_TESTS_SAME_H

#include <stddef.h>
#include <windows.h>
#include <winsock2.h>

#include <schnlsp.h>
#include <sslsock.h>
#include <wincrypt.h>

#define SAME(is, wanted) SSLSOCK_WCE_ASSERT((is) == (wanted), #is " is not " #wanted)
/* A number of 32 bits that is not sign-extended in a 64-bit variable. */
#define CODE(is, wanted)                                                \
    SSLSOCK_WCE_ASSERT((unsigned long long)(is) == (wanted), #is " is not " #wanted); \
    SSLSOCK_WCE_ASSERT(sizeof(is) == 4, #is " has not 32 bits")

#endif
