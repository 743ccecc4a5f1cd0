/*
 * A layer of socket methods as that of row 16: C, a table of functions over a plain socket, the handshake made by the
 * layer's connect, a hook that asks when the issuer is unknown or the name is another one, message boxes for errors,
 * a poll that always says ready. The layer here reads mail by POP3.
 *
 *     HOST PORT USER PASSWORD CERTIFICATE-NAME
 */
#include <windows.h>
#include <winsock.h>
#include <schnlsp.h>
#include <sslsock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tchar.h>

#include "client.h"

struct layer_data;

typedef struct layer
{
    int (*connect)(struct layer *self, const struct sockaddr *addr, int addrlen);
    int (*recv)(struct layer *self, char *buf, int amount);
    int (*send)(struct layer *self, const char *buf, int amount);
    int (*poll)(struct layer *self);
    int (*close)(struct layer *self);
    SOCKET osfd;
    struct layer_data *secret;
} layer;

struct layer_data
{
    LONG refs;
    char *hostname;
    SSL_CRACK_CERTIFICATE_FN crack;
    SSL_FREE_CERTIFICATE_FN release;
    HMODULE module;
};

static void layer_data_release(struct layer_data *data)
{
    if (InterlockedDecrement(&data->refs) == 0)
    {
        if (data->module)
            FreeLibrary(data->module);
        LocalFree(data->hostname);
        LocalFree(data);
    }
}

static BOOL name_matches(const char *subject, const char *hostname)
{
    const char *cn = strstr(subject, "CN=");
    char name[256];
    size_t len;

    if (cn == NULL)
        return FALSE;
    cn += 3;
    len = strcspn(cn, ", \t'");
    if (len >= sizeof(name))
        return FALSE;
    memcpy(name, cn, len);
    name[len] = '\0';
    if (name[0] == '*' && name[1] == '.')
    {
        const char *dot = strchr(hostname, '.');
        return dot != NULL && _stricmp(dot, name + 1) == 0;
    }
    return _stricmp(name, hostname) == 0;
}

static int ask(LPCTSTR question)
{
    return MessageBox(NULL, question, TEXT("Secure connection"), MB_YESNO | MB_ICONWARNING | MB_SETFOREGROUND) == IDYES
        ? SSL_ERR_OKAY : SSL_ERR_CERT_UNKNOWN;
}

static int hook(DWORD dwType, LPVOID pvArg, DWORD dwChainLen, LPBLOB pCertChain, DWORD dwFlags)
{
    struct layer_data *data = (struct layer_data *)pvArg;
    PX509Certificate cert = NULL;
    int result = SSL_ERR_OKAY;

    if (dwType != SSL_CERT_X509 || dwChainLen != 1)
        return SSL_ERR_BAD_DATA;
    if (dwFlags & SSL_CERT_FLAG_ISSUER_UNKNOWN)
    {
        result = ask(TEXT("The certificate's issuer is unknown. Continue?"));
        if (result != SSL_ERR_OKAY)
            return result;
    }
    if (!data->crack(pCertChain->pBlobData, pCertChain->cbSize, TRUE, &cert))
        return SSL_ERR_BAD_DATA;
    printf("subject %s\n", cert->pszSubject);
    if (!name_matches(cert->pszSubject, data->hostname))
        result = ask(TEXT("The certificate is for another name. Continue?"));
    data->release(cert);
    return result;
}

static int layer_connect(layer *self, const struct sockaddr *addr, int addrlen)
{
    DWORD optval = SO_SEC_SSL;
    SSLVALIDATECERTHOOK svch;
    TCHAR text[64];

    if (setsockopt(self->osfd, SOL_SOCKET, SO_SECURE, (char *)&optval, sizeof(optval)) != 0)
    {
        wsprintf(text, TEXT("SO_SECURE: %d"), WSAGetLastError());
        MessageBox(NULL, text, TEXT("Error"), MB_OK);
        return -1;
    }
    svch.HookFunc = hook;
    svch.pvArg = self->secret;
    InterlockedIncrement(&self->secret->refs);
    if (WSAIoctl(self->osfd, SO_SSL_SET_VALIDATE_CERT_HOOK, &svch, sizeof(svch), NULL, 0, NULL, NULL, NULL) != 0)
    {
        wsprintf(text, TEXT("hook: %d"), WSAGetLastError());
        MessageBox(NULL, text, TEXT("Error"), MB_OK);
        return -1;
    }
    if (connect(self->osfd, addr, addrlen) != 0)
    {
        int error = WSAGetLastError();

        _stprintf(text, TEXT("connect: %d"), error);
        MessageBox(NULL, text, TEXT("Error"), MB_OK | MB_ICONERROR);
        SetLastError(error);
        return -1;
    }
    return 0;
}

static int layer_recv(layer *self, char *buf, int amount)
{
    return recv(self->osfd, buf, amount, 0);
}

static int layer_send(layer *self, const char *buf, int amount)
{
    return send(self->osfd, buf, amount, 0);
}

static int layer_poll(layer *self)
{
    return self->osfd != INVALID_SOCKET;
}

static int layer_close(layer *self)
{
    int result = closesocket(self->osfd);

    self->osfd = INVALID_SOCKET;
    layer_data_release(self->secret);
    return result;
}

static BOOL converse(layer *pop, const char *command, const char *end)
{
    static char buf[4096];
    int len = 0;

    if (command != NULL && pop->send(pop, command, (int)strlen(command)) <= 0)
        return FALSE;
    while (len == 0 || strstr(buf, end) == NULL)
    {
        int n;

        if (!pop->poll(pop))
            return FALSE;
        n = pop->recv(pop, buf + len, (int)sizeof(buf) - 1 - len);
        if (n <= 0)
            return FALSE;
        len += n;
        buf[len] = '\0';
    }
    printf("%s", buf);
    return buf[0] == '+';
}

int RunClient(int argc, TCHAR *argv[])
{
    layer pop = { layer_connect, layer_recv, layer_send, layer_poll, layer_close, INVALID_SOCKET, NULL };
    WSADATA wd;
    struct sockaddr_in sin;
    struct hostent *h;
    char host[128], command[128];
    int status = 1;

    if (argc < 6 || WSAStartup(0x0101, &wd) != 0)
        return 2;
    pop.secret = (struct layer_data *)LocalAlloc(LPTR, sizeof(struct layer_data));
    pop.secret->refs = 1;
    pop.secret->hostname = (char *)LocalAlloc(LMEM_FIXED, 128);
    WideCharToMultiByte(CP_ACP, 0, argv[5], -1, pop.secret->hostname, 128, NULL, NULL);
    pop.secret->module = LoadLibrary(TEXT("schannel.dll"));
    if (pop.secret->module == NULL)
        return 2;
    pop.secret->crack = (SSL_CRACK_CERTIFICATE_FN)GetProcAddress(pop.secret->module, SSL_CRACK_CERTIFICATE_NAME);
    pop.secret->release = (SSL_FREE_CERTIFICATE_FN)GetProcAddress(pop.secret->module, SSL_FREE_CERTIFICATE_NAME);
    if (!pop.secret->crack || !pop.secret->release)
        return 2;

    WideCharToMultiByte(CP_ACP, 0, argv[1], -1, host, sizeof(host), NULL, NULL);
    h = gethostbyname(host);
    if (h == NULL)
        goto error;
    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons((u_short)_ttol(argv[2]));
    sin.sin_addr = *(struct in_addr *)h->h_addr_list[0];
    pop.osfd = socket(PF_INET, SOCK_STREAM, 0);
    if (pop.connect(&pop, (struct sockaddr *)&sin, sizeof(sin)) != 0)
        goto error;

    if (!converse(&pop, NULL, "\r\n"))
        goto error;
    sprintf(command, "USER %ls\r\n", argv[3]);
    if (!converse(&pop, command, "\r\n"))
        goto error;
    sprintf(command, "PASS %ls\r\n", argv[4]);
    if (!converse(&pop, command, "\r\n"))
        goto error;
    if (!converse(&pop, "RETR 1\r\n", "\r\n.\r\n"))
        goto error;
    if (!converse(&pop, "QUIT\r\n", "\r\n"))
        goto error;
    status = 0;

error:
    if (status != 0)
        printf("last error %lu\n", (unsigned long)GetLastError());
    if (pop.osfd != INVALID_SOCKET)
        pop.close(&pop);
    WSACleanup();
    return status;
}
