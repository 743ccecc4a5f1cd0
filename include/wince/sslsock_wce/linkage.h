/*
 * How the functions of these headers are bound: each has its Windows name for the compiler and one of the library's
 * (ssl_wce_...) for the linker. So the names of the program cannot meet those of the library.
 */
#ifndef SSLSOCK_WCE_LINKAGE_H
#define SSLSOCK_WCE_LINKAGE_H

#if !defined(__GNUC__)
#error "these headers need GCC or Clang: they bind functions by assembler labels"
#endif

/* What these headers do not declare is not there: the compiler has to say so, not the linker. */
#ifndef __cplusplus
#pragma GCC diagnostic error "-Wimplicit-function-declaration"
#endif

/* A declaration of send that ends in SSLSOCK_WCE(send) means the library's ssl_wce_send. */
#define SSLSOCK_WCE(name) __asm__("ssl_wce_" #name)

#ifdef __cplusplus
#define SSLSOCK_WCE_BEGIN extern "C" {
#define SSLSOCK_WCE_END }
#if __cplusplus >= 201103L
#define SSLSOCK_WCE_ASSERT(condition, text) static_assert(condition, text)
#else
#define SSLSOCK_WCE_ASSERT(condition, text) extern char sslsock_wce_assert[(condition) ? 1 : -1]
#endif
#else
#define SSLSOCK_WCE_BEGIN
#define SSLSOCK_WCE_END
#define SSLSOCK_WCE_ASSERT(condition, text) _Static_assert(condition, text)
#endif

#endif
