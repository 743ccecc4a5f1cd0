/*
 * INVALID_SOCKET and INADDR_NONE: all bits set, in whatever type of integer a program keeps them. On Windows int, long,
 * DWORD and SOCKET had the same width, and programs keep sockets in a DWORD and addresses in an unsigned long.
 */
#ifndef SSLSOCK_WCE_ALL_BITS_H
#define SSLSOCK_WCE_ALL_BITS_H

#if defined(__cplusplus) && __cplusplus >= 201103L

extern "C++" {
template <bool> struct sslsock_wce_if {
};
template <> struct sslsock_wce_if<true> {
    typedef int yes;
};
/* An object instead of -1, so that comparing it with what has no sign is nothing to warn of. */
struct sslsock_wce_all_bits {
    template <class Integer, typename sslsock_wce_if<!__is_class(Integer) && !__is_union(Integer)>::yes = 0>
    constexpr operator Integer() const
    {
        return (Integer)-1;
    }
};
#define SSLSOCK_WCE_COMPARE(Integer)                                      \
    constexpr bool operator==(Integer value, sslsock_wce_all_bits)        \
    {                                                                     \
        return value == (Integer)-1;                                      \
    }                                                                     \
    constexpr bool operator==(sslsock_wce_all_bits, Integer value)        \
    {                                                                     \
        return value == (Integer)-1;                                      \
    }                                                                     \
    constexpr bool operator!=(Integer value, sslsock_wce_all_bits)        \
    {                                                                     \
        return value != (Integer)-1;                                      \
    }                                                                     \
    constexpr bool operator!=(sslsock_wce_all_bits, Integer value)        \
    {                                                                     \
        return value != (Integer)-1;                                      \
    }
SSLSOCK_WCE_COMPARE(int)
SSLSOCK_WCE_COMPARE(unsigned int)
SSLSOCK_WCE_COMPARE(long)
SSLSOCK_WCE_COMPARE(unsigned long)
SSLSOCK_WCE_COMPARE(long long)
SSLSOCK_WCE_COMPARE(unsigned long long)
#undef SSLSOCK_WCE_COMPARE
}
#define SSLSOCK_WCE_ALL_BITS (sslsock_wce_all_bits{})

#else

/* No constant is an object here: that -1 is compared with what has no sign, and initialises it, is on purpose. */
#pragma GCC diagnostic ignored "-Wsign-compare"
#ifdef __cplusplus
#pragma GCC diagnostic ignored "-Wnarrowing"
#endif
#define SSLSOCK_WCE_ALL_BITS (-1)

#endif

#endif
