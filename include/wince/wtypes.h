/* Windows: the basic types under the name that headers for COM use. */
#include "winnt.h"
