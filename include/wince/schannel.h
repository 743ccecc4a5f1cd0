/* Windows: what schannel.h has in common with schnlsp.h. */
#ifndef SSLSOCK_WCE_SCHANNEL_H
#define SSLSOCK_WCE_SCHANNEL_H

#include "schnlsp.h"

#endif
