/* Windows: the functions of the base system that network code calls. */
#ifndef SSLSOCK_WCE_WINBASE_H
#define SSLSOCK_WCE_WINBASE_H

#include "windef.h"

SSLSOCK_WCE_BEGIN

/* The same as WSAGetLastError and WSASetLastError; each thread has its own. */
DWORD GetLastError(void) SSLSOCK_WCE(get_last_error);
void SetLastError(DWORD number) SSLSOCK_WCE(set_last_error);

SSLSOCK_WCE_END

#endif
