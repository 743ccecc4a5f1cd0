/*
 * What a porter adds beside the sources: whom to trust, and what becomes of message boxes. By the environment here:
 * SSLSOCK_TEST_CA is a file of trusted certificates, SSLSOCK_TEST_BOX the button (IDOK and so on) that is pressed in
 * every box. Without it there is nobody to press any.
 */
#include "../../../include/sslsock.h"

#include <stdio.h>
#include <stdlib.h>

static int32_t press(void *arg, void *owner, const char *text, const char *caption, uint32_t type)
{
    (void)owner;
    printf("box \"%s\" %#x: %s\n", caption, (unsigned)type, text);
    return atoi(arg);
}

__attribute__((constructor)) static void prepare(void)
{
    const char *file = getenv("SSLSOCK_TEST_CA");
    char *button = getenv("SSLSOCK_TEST_BOX");

    if (file != NULL && ssl_add_trust_file(ssl_defaults(), file) != SSL_ERR_OKAY)
        fprintf(stderr, "cannot trust %s\n", file);
    if (button != NULL)
        ssl_wce_set_message_box(press, button);
}
