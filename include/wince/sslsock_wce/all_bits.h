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
template <class> struct sslsock_wce_integer {
    enum { is = 0 };
};
#define SSLSOCK_WCE_INTEGER(type)                   \
    template <> struct sslsock_wce_integer<type> {  \
        enum { is = 1 };                            \
    };
SSLSOCK_WCE_INTEGER(bool)
SSLSOCK_WCE_INTEGER(char)
SSLSOCK_WCE_INTEGER(signed char)
SSLSOCK_WCE_INTEGER(unsigned char)
SSLSOCK_WCE_INTEGER(wchar_t)
SSLSOCK_WCE_INTEGER(short)
SSLSOCK_WCE_INTEGER(unsigned short)
SSLSOCK_WCE_INTEGER(int)
SSLSOCK_WCE_INTEGER(unsigned int)
SSLSOCK_WCE_INTEGER(long)
SSLSOCK_WCE_INTEGER(unsigned long)
SSLSOCK_WCE_INTEGER(long long)
SSLSOCK_WCE_INTEGER(unsigned long long)
#undef SSLSOCK_WCE_INTEGER

/*
 * An object instead of -1, so that comparing it with what has no sign is nothing to warn of. Its member is for printf and
 * the like: it is passed as an integer is, whereas an object without one would not be passed at all.
 */
struct sslsock_wce_all_bits {
    long bits;
    template <class Integer, typename sslsock_wce_if<sslsock_wce_integer<Integer>::is>::yes = 0>
    constexpr operator Integer() const
    {
        return (Integer)-1;
    }
    /* Pointers and enumerations: in a cast. */
    template <class Other,
        typename sslsock_wce_if<!sslsock_wce_integer<Other>::is && !__is_class(Other) && !__is_union(Other)>::yes = 0>
    constexpr explicit operator Other() const
    {
        return (Other)-1L;
    }
    constexpr bool operator==(const sslsock_wce_all_bits &) const
    {
        return true;
    }
    constexpr bool operator!=(const sslsock_wce_all_bits &) const
    {
        return false;
    }
};

/*
 * Beside an integer it has that one's width (a short is an int in an expression); beside an object it is what it is on
 * Windows, a SOCKET.
 */
#define SSLSOCK_WCE_OPERATOR(result, operation)                                                                    \
    template <class Integer, typename sslsock_wce_if<sslsock_wce_integer<Integer>::is>::yes = 0>                   \
    constexpr result operator operation(Integer value, sslsock_wce_all_bits)                                       \
    {                                                                                                              \
        return value operation (decltype(+value))-1;                                                               \
    }                                                                                                              \
    template <class Integer, typename sslsock_wce_if<sslsock_wce_integer<Integer>::is>::yes = 0>                   \
    constexpr result operator operation(sslsock_wce_all_bits, Integer value)                                       \
    {                                                                                                              \
        return (decltype(+value))-1 operation value;                                                               \
    }
#define SSLSOCK_WCE_COMPARISON(operation)                                                                          \
    SSLSOCK_WCE_OPERATOR(bool, operation)                                                                          \
    template <class Object, typename sslsock_wce_if<__is_class(Object)>::yes = 0>                                  \
    constexpr bool operator operation(const Object &object, sslsock_wce_all_bits)                                  \
    {                                                                                                              \
        return object operation (unsigned long)-1;                                                                 \
    }                                                                                                              \
    template <class Object, typename sslsock_wce_if<__is_class(Object)>::yes = 0>                                  \
    constexpr bool operator operation(sslsock_wce_all_bits, const Object &object)                                  \
    {                                                                                                              \
        return (unsigned long)-1 operation object;                                                                 \
    }
SSLSOCK_WCE_COMPARISON(==)
SSLSOCK_WCE_COMPARISON(!=)
SSLSOCK_WCE_OPERATOR(bool, <)
SSLSOCK_WCE_OPERATOR(bool, <=)
SSLSOCK_WCE_OPERATOR(bool, >)
SSLSOCK_WCE_OPERATOR(bool, >=)
SSLSOCK_WCE_OPERATOR(decltype(+Integer()), &)
#undef SSLSOCK_WCE_COMPARISON
#undef SSLSOCK_WCE_OPERATOR
template <class Stream, typename sslsock_wce_if<__is_class(Stream)>::yes = 0>
inline Stream &operator<<(Stream &stream, sslsock_wce_all_bits)
{
    stream << (unsigned long)-1;
    return stream;
}
}
#define SSLSOCK_WCE_ALL_BITS (sslsock_wce_all_bits{-1})

#else

/* No constant is an object here: that -1 is compared with what has no sign, and initialises it, is on purpose. */
#pragma GCC diagnostic ignored "-Wsign-compare"
#ifdef __cplusplus
#pragma GCC diagnostic ignored "-Wnarrowing"
#endif
#define SSLSOCK_WCE_ALL_BITS (-1)

#endif

#endif
