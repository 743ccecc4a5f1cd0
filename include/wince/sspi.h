/* Windows: sspi.h, which programs include before schnlsp.h. Security providers themselves are not supported. */
#ifndef SSLSOCK_WCE_SSPI_H
#define SSLSOCK_WCE_SSPI_H

#include "windef.h"

typedef LONG SECURITY_STATUS;
typedef CHAR SEC_CHAR;
typedef WCHAR SEC_WCHAR;

#endif
