/*
 * A Windows CE program that has functions, variables and macros of its own called ssl_something, as the library's own
 * API has them: they do not meet. Arguments: address and port of the peer (tests/peer.py).
 */
#include <winsock2.h>
#include <sslsock.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SSL_FLAG_STRICT "the program's"
#define SSL_FLAG_UNIX_PAIR "the program's"
#define SSL_ERR_TIMEOUT -77
#define SSL_LOG_OFF -78
#define SSL_ABI_VERSION -79

typedef struct {
    SOCKET s;
    int calls;
} ssl_socket;

enum ssl_session_info { SSL_CATEGORY_NONE = -80, SSL_TIMEOUT_CLOSE };

int ssl_connect = 1;
char ssl_version[] = "the program's";
long ssl_pending;

static void whoever_calls_it(const char *name)
{
    fprintf(stderr, "somebody called the program's %s\n", name);
    exit(1);
}

/* Called by nobody but the program. */
int ssl_send(ssl_socket *s, const char *text, int length)
{
    s->calls++;
    return send(s->s, text, length, 0);
}

int ssl_recv(ssl_socket *s, char *buffer, int length)
{
    s->calls++;
    return recv(s->s, buffer, length, 0);
}

void ssl_shutdown(ssl_socket *s)
{
    s->calls++;
    shutdown(s->s, SD_BOTH);
}

void ssl_free(ssl_socket *s)
{
    s->calls++;
    closesocket(s->s);
}

/* Called by nobody at all. */
#define UNUSED(name) void name(void) { whoever_calls_it(#name); }
UNUSED(ssl_socket_new)
UNUSED(ssl_socket_free)
UNUSED(ssl_perform_handshake)
UNUSED(ssl_ioctl)
UNUSED(ssl_defaults)
UNUSED(ssl_get_error)
UNUSED(ssl_set_flags)
UNUSED(ssl_set_peername)
UNUSED(ssl_set_validate_cert_hook)

static int CALLBACK hook(DWORD type, LPVOID argument, DWORD length, LPBLOB chain, DWORD flags)
{
    (void)flags;
    (*(int *)argument)++;
    return type == SSL_CERT_X509 && length == 1 && chain->cbSize > 0 ? SSL_ERR_OKAY : SSL_ERR_BAD_DATA;
}

int main(int argc, char **argv)
{
    ssl_socket s = {INVALID_SOCKET, 0};
    struct sockaddr_in address;
    SSLVALIDATECERTHOOK validate;
    DWORD secure = SO_SEC_SSL;
    int calls_of_hook = 0;
    char answer[6] = "";
    int got = 0;
    WSADATA data;

    if (argc != 3 || WSAStartup(MAKEWORD(2, 2), &data) != 0) {
        return 2;
    }
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((u_short)atoi(argv[2]));
    address.sin_addr.s_addr = inet_addr(argv[1]);
    validate.HookFunc = hook;
    validate.pvArg = &calls_of_hook;
    s.s = socket(AF_INET, SOCK_STREAM, 0);
    if (setsockopt(s.s, SOL_SOCKET, SO_SECURE, (char *)&secure, sizeof secure) != 0 ||
        WSAIoctl(s.s, SO_SSL_SET_VALIDATE_CERT_HOOK, &validate, sizeof validate, NULL, 0, NULL, NULL, NULL) != 0 ||
        connect(s.s, (struct sockaddr *)&address, sizeof address) != 0) {
        fprintf(stderr, "error %d\n", WSAGetLastError());
        return 1;
    }
    if (ssl_send(&s, "echo\nhello", 10) != 10) {
        return 1;
    }
    while (got < 5) {
        int more = ssl_recv(&s, answer + got, 5 - got);
        if (more <= 0) {
            fprintf(stderr, "recv: error %d\n", WSAGetLastError());
            return 1;
        }
        got += more;
    }
    ssl_shutdown(&s);
    ssl_free(&s);
    if (strcmp(answer, "hello") != 0 || calls_of_hook != 1 || s.calls < 4 || ssl_connect != 1 || ssl_pending != 0) {
        fprintf(stderr, "answer %s, hook %d times\n", answer, calls_of_hook);
        return 1;
    }
    return WSACleanup();
}
