/* The same header in another spelling: Windows does not tell them apart. */
#include "sslsock.h"
