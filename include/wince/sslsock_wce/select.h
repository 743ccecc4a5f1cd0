#ifndef SSLSOCK_WCE_SELECT_H
#define SSLSOCK_WCE_SELECT_H

#include "socket_types.h"

#endif
