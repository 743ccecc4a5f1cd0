#ifndef SSLSOCK_WCE_HOSTS_H
#define SSLSOCK_WCE_HOSTS_H

#include "socket_types.h"

#endif
