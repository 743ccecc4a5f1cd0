/* Windows CE: debug messages. They go where OutputDebugString's do. */
#ifndef SSLSOCK_WCE_DBGAPI_H
#define SSLSOCK_WCE_DBGAPI_H

#include "winbase.h"
#include "sslsock_wce/format.h"

typedef struct _DBGPARAM {
    WCHAR lpszName[32];
    WCHAR rglpszZones[16][32];
    ULONG ulZoneMask;
} DBGPARAM, *LPDBGPARAM;

SSLSOCK_WCE_BEGIN

/* The program defines it, if it has zones. */
extern DBGPARAM dpCurSettings;

static __inline__ void NKDbgPrintfW(LPCWSTR format, ...)
{
    WCHAR text[1024];
    va_list list;

    va_start(list, format);
    sslsock_wce_vwformat(text, 1024, SSLSOCK_WCE_RULE_TERMINATED, format, list);
    va_end(list);
    OutputDebugStringW(text);
}

SSLSOCK_WCE_END

#define DEBUGZONE(number) (dpCurSettings.ulZoneMask & (1u << (number)))
#define RETAILMSG(condition, arguments) ((void)((condition) && (NKDbgPrintfW arguments, 1)))
#define RETAILREGISTERZONES(module) ((void)0)
#define ERRORMSG(condition, arguments) ((void)((condition) && (NKDbgPrintfW arguments, 1)))

/* Only with DEBUG: messages, and failed checks as messages. */
#ifdef DEBUG
#define DEBUGMSG(condition, arguments) ((void)((condition) && (NKDbgPrintfW arguments, 1)))
#define DEBUGCHK(condition) \
    ((void)((condition) ? 1 : (NKDbgPrintfW(L"not so: %S, %S:%d\r\n", #condition, __FILE__, __LINE__), 0)))
#define DEBUGREGISTER(module) ((void)0)
#ifndef ASSERT
#define ASSERT(condition) DEBUGCHK(condition)
#endif
#ifndef VERIFY
#define VERIFY(condition) DEBUGCHK(condition)
#endif
#else
#define DEBUGMSG(condition, arguments) ((void)0)
#define DEBUGCHK(condition) ((void)0)
#define DEBUGREGISTER(module) ((void)0)
#ifndef ASSERT
#define ASSERT(condition) ((void)0)
#endif
#ifndef VERIFY
#define VERIFY(condition) ((void)(condition))
#endif
#endif

#endif
