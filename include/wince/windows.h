/* Windows: what network code needs of it. Threads, windows and messages are not there. */
#ifndef SSLSOCK_WCE_WINDOWS_H
#define SSLSOCK_WCE_WINDOWS_H

#include "winbase.h"
#include "windef.h"

#endif
