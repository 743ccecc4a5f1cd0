/* WinSock 1, which is a part of WinSock 2 here. */
#ifndef SSLSOCK_WCE_WINSOCK_H
#define SSLSOCK_WCE_WINSOCK_H

#include "winsock2.h"

#endif
