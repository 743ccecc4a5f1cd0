/* The same without UNICODE. */
#undef UNICODE
#undef _UNICODE
#include "wince_text.c"
