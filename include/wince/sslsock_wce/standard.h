/*
 * The system's headers that the others change something of. They come first, so that it does not matter whether the
 * program includes them before or after.
 */
#ifndef SSLSOCK_WCE_STANDARD_H
#define SSLSOCK_WCE_STANDARD_H

#include <features.h>

/*
 * With _FORTIFY_SOURCE these two define the functions for formats themselves, unlike Windows. If they have been included
 * like that already, the names become macros.
 */
#if defined(__USE_FORTIFY_LEVEL) && __USE_FORTIFY_LEVEL > 0
#if defined(_STDIO_H) || defined(_WCHAR_H)
#define SSLSOCK_WCE_FORTIFIED
#else
#pragma push_macro("__USE_FORTIFY_LEVEL")
#undef __USE_FORTIFY_LEVEL
#define __USE_FORTIFY_LEVEL 0
#include <stdio.h>
#include <wchar.h>
#pragma pop_macro("__USE_FORTIFY_LEVEL")
#endif
#endif

#include <alloca.h>
#include <ctype.h>
#include <limits.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <wchar.h>
#include <wctype.h>

#ifdef __cplusplus
/* Undoes macros of the C library's names. */
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#endif

#endif
