/* Windows: what network code needs of it. Threads, windows and messages are not there. */
#ifndef SSLSOCK_WCE_WINDOWS_H
#define SSLSOCK_WCE_WINDOWS_H

#include "sslsock_wce/crt.h"
#include "sslsock_wce/format.h"
#include "sslsock_wce/multibyte.h"
#include "sslsock_wce/scan.h"
#include "windef.h"
#include "winerror.h"
#include "winnt.h"
#include "winbase.h"
#include "winnls.h"
#include "winuser.h"
#include "dbgapi.h"
#include "tchar.h"
#ifndef WIN32_LEAN_AND_MEAN
#include "wincrypt.h"
#endif

#endif
