/* BLOB, which winsock2.h and sslsock.h both declare. */
#ifndef SSLSOCK_WCE_BLOB_H
#define SSLSOCK_WCE_BLOB_H

#include "../windef.h"

#ifndef _tagBLOB_DEFINED
#define _tagBLOB_DEFINED
#define _BLOB_DEFINED
#define _LPBLOB_DEFINED
typedef struct _BLOB {
    ULONG cbSize;
    BYTE *pBlobData;
} BLOB, *LPBLOB;
#endif

SSLSOCK_WCE_ASSERT(sizeof(BLOB) == 2 * sizeof(void *) && offsetof(BLOB, pBlobData) == sizeof(void *), "BLOB");

#endif
