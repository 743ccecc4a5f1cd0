/* Windows: the basic types under another name. */
#include "winnt.h"
