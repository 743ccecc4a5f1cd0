/*
 * Windows CE's ioctl codes, every one in every state of a socket, with every kind of buffer. What the settings do to a
 * session, see ioctl_effects.c; for flags, hook and names also ioctl.c and peer_name.c.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/codes.h"
#include "common/dead.h"
#include "common/listener.h"
#include "common/peer.h"
#include "common/test.h"
#include "common/upgrade.h"
#include "common/ways.h"

#define CANARY 0xa5
#define ROOM 128

/* What has happened to the socket; the flags of a way. */
enum state { DEFAULTS, PLAIN, SECURE, CONNECTED, MIDDLE, OPEN, FAILED };

static const struct way states[] = {
    {"the defaults", NULL, DEFAULTS},
    {"not secure", NULL, PLAIN},
    {"secure", NULL, SECURE},
    {"connected", "SSLSOCK_PEER", CONNECTED},
    {"in the middle of the handshake", NULL, MIDDLE},
    {"after the handshake", "SSLSOCK_PEER", OPEN},
    {"after a handshake that failed", "SSLSOCK_PEER", FAILED},
    {NULL, NULL, 0},
};

static const struct way unconnected[] = {
    {"the defaults", NULL, DEFAULTS},
    {"not secure", NULL, PLAIN},
    {"secure", NULL, SECURE},
    {NULL, NULL, 0},
};

static int32_t choose_nothing(uint32_t type, void *argument, uint32_t count, const ssl_blob *issuers, uint32_t flags,
                              uint32_t *chain_len, ssl_blob **chain)
{
    (void)type, (void)argument, (void)count, (void)issuers, (void)flags, (void)chain_len, (void)chain;
    return SSL_ERR_NO_CERT;
}

static int32_t sign_nothing(uint32_t type, void *argument, const uint8_t *source, uint32_t source_len, uint32_t flags,
                            uint8_t *dest, uint32_t *dest_len)
{
    (void)type, (void)argument, (void)source, (void)source_len, (void)flags, (void)dest, (void)dest_len;
    return SSL_ERR_FAILED;
}

static struct hook_calls accepting = {0, 0, SSL_ERR_OKAY};
static struct hook_calls refusing = {0, 0, SSL_ERR_FAILED};

static const uint32_t flags_at_first[] = {0};
static const uint32_t flags_set[] = {SSL_FLAG_DEFER_HANDSHAKE};
static const uint32_t protocols_at_first[] = {1, TLS1, 0, 0};
static const uint32_t protocols_set[] = {3, SSL2, 0, 0, TLS1, 0x301, 7, 99, UINT32_MAX, 1};
static const uint32_t ciphers_at_first[] = {TLS1, 5, CALG_AES_256, CALG_AES_128, 0x1303, 0xCCA9, 0xCCA8};
static const uint32_t ciphers_set[] = {TLS1, 3, CALG_RC4, CALG_AES_128, 0};
static const struct cache_opts no_cache = {0, 0, 0};
static const struct cache_opts client_cache = {600, 32, 0xffffffffu};
static const struct cache_opts server_cache = {-1, UINT32_MAX, 1};
static const struct client_auth_opts no_client_auth = {0, 0, 0, 0, NULL, 0, 0};
static const struct client_auth_opts client_auth = {1, 0, SSL_CERT_X509, 2, (void *)(uintptr_t)1, 0xffffffffu, 0};
static const struct hook no_hook = {NULL, NULL};
static const struct hook hook_set = {count_hook_call, &accepting};
/* Of the other types of hooks there is one structure each, of the same form. The peer asks for no certificate. */
static const struct {
    ssl_auth_request_fn function;
    void *argument;
} request_hook_set = {choose_nothing, &accepting};
static const struct {
    ssl_signature_fn function;
    void *argument;
} signature_hook_set = {sign_nothing, &refusing};

/* A structure that is set by one code and read by another. */
static const struct setting {
    const char *name;
    uint32_t set;
    uint32_t get;
    const void *at_first;
    uint32_t at_first_size;
    const void *right;
    uint32_t right_size;
    /* What is shorter than that is refused for its length. */
    uint32_t least;
    /* What comes of a buffer full of CANARY before the handshake. */
    int32_t junk;
} settings[] = {
#define SETTING(name, at_first, right, least, junk)                                                               \
    {#name, SET_##name, GET_##name, &(at_first), sizeof(at_first), &(right), sizeof(right), least, junk}
    SETTING(FLAGS, flags_at_first, flags_set, 4, SSL_ERR_INVALID),
    SETTING(PROTOCOLS, protocols_at_first, protocols_set, sizeof protocols_set, SSL_ERR_INVALID),
    SETTING(CIPHERS, ciphers_at_first, ciphers_set, sizeof ciphers_set, SSL_ERR_INVALID),
    SETTING(CLIENT_OPTS, no_cache, client_cache, sizeof client_cache, SSL_ERR_OKAY),
    SETTING(SERVER_OPTS, no_cache, server_cache, sizeof server_cache, SSL_ERR_OKAY),
    SETTING(CLIENT_AUTH_OPTS, no_client_auth, client_auth, sizeof client_auth, SSL_ERR_UNSUPPORTED),
    SETTING(HOOK, no_hook, hook_set, sizeof hook_set, SSL_ERR_OKAY),
    SETTING(AUTH_REQUEST_HOOK, no_hook, request_hook_set, sizeof request_hook_set, SSL_ERR_OKAY),
    SETTING(KEY_EXCH_HOOK, no_hook, no_hook, sizeof no_hook, SSL_ERR_UNSUPPORTED),
    SETTING(SIGNATURE_HOOK, no_hook, signature_hook_set, sizeof signature_hook_set, SSL_ERR_OKAY),
};
#define SETTINGS (sizeof settings / sizeof *settings)

#define EXPECT(name, expected, answer)                                                                             \
    do {                                                                                                           \
        int32_t answer_ = (answer);                                                                                \
        if (answer_ != (expected)) {                                                                               \
            FAIL("%s: %s instead of %s", name, ssl_error_name(answer_), ssl_error_name(expected));                 \
        }                                                                                                          \
    } while (0)

/* Checks that the latest error of the handle is of a buffer, or of what stands in it. */
static void expect_errno(ssl_socket *s, const char *name, int expected)
{
    ssl_error_info info = {.size = sizeof info};

    CHECK(ssl_get_error_info(s, &info) == SSL_ERR_OKAY);
    if (info.sys_errno != expected) {
        FAIL("%s: %s instead of %s", name, strerror(info.sys_errno), strerror(expected));
    }
}

static int32_t get(ssl_socket *s, uint32_t code, void *out, uint32_t capacity, uint32_t *returned)
{
    static const uint32_t protocol = TLS1;
    int asks = code == GET_CIPHERS;

    return ssl_ioctl(s, code, asks ? &protocol : NULL, asks ? sizeof protocol : 0, out, capacity, returned);
}

static void expect_value(ssl_socket *s, const struct setting *setting, const void *expected, uint32_t size)
{
    unsigned char found[ROOM];
    uint32_t returned = 0;

    EXPECT(setting->name, SSL_ERR_OKAY, get(s, setting->get, found, sizeof found, &returned));
    if (returned != size || memcmp(found, expected, size) != 0) {
        FAIL("%s: %u bytes, or other ones than were expected", setting->name, returned);
    }
}

/* Everything that can be read, one after the other. */
struct snapshot {
    unsigned char bytes[SETTINGS][ROOM];
};

static void look(ssl_socket *s, struct snapshot *snapshot)
{
    memset(snapshot, 0, sizeof *snapshot);
    for (size_t i = 0; i < SETTINGS; i++) {
        EXPECT(settings[i].name, SSL_ERR_OKAY, get(s, settings[i].get, snapshot->bytes[i], ROOM, NULL));
    }
}

static void expect_unchanged(ssl_socket *s, const struct snapshot *before, const char *name)
{
    struct snapshot now;

    look(s, &now);
    if (memcmp(before, &now, sizeof now) != 0) {
        FAIL("%s has changed something", name);
    }
}

static void set_all(ssl_socket *s)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        EXPECT(settings[i].name, SSL_ERR_OKAY, set_code(s, settings[i].set, settings[i].right, settings[i].right_size));
    }
}

static int is_late(enum state state)
{
    return state == MIDDLE || state == OPEN || state == FAILED;
}

/* Once the handshake has begun nothing can be set any more, whatever is in the buffer. */
static int32_t unless_late(const struct way *way, int32_t answer)
{
    return is_late(way->flags) ? SSL_ERR_STATE : answer;
}

/* Everything is set at its right value in those that are connected. */
static ssl_socket *socket_in(const struct way *way, int *fd)
{
    struct hook hook = {count_hook_call, &refusing};
    struct listener peer;
    ssl_socket *s = NULL;

    *fd = -1;
    if (way->flags == DEFAULTS) {
        return ssl_defaults();
    }
    *fd = socket(AF_INET, SOCK_STREAM, 0);
    if (way->flags == PLAIN) {
        s = ssl_socket_new(*fd);
        CHECK(s != NULL);
        return s;
    }
    CHECK(ssl_wce_secure(*fd, &s) == SSL_ERR_OKAY);
    if (way->flags == SECURE) {
        return s;
    }
    CHECK(ssl_add_trust_file(s, pki_file("ca.pem")) == SSL_ERR_OKAY);
    set_all(s);
    if (way->flags == MIDDLE) {
        CHECK(set_code_flags(s, SSL_FLAG_DEFER_HANDSHAKE | SSL_FLAG_NONBLOCKING) == SSL_ERR_OKAY);
        peer = listen_on(AF_INET);
        connect_to(*fd, &peer);
        /* Nobody answers. */
        CHECK(set_code(s, PERFORM_HANDSHAKE, "localhost", 10) == SSL_ERR_WANT_READ);
        return s;
    }
    peer = (struct listener){.fd = peer_connect(way->peer), .length = sizeof peer.address};
    CHECK(getpeername(peer.fd, (struct sockaddr *)&peer.address, &peer.length) == 0 && close(peer.fd) == 0);
    connect_to(*fd, &peer);
    if (way->flags == OPEN) {
        CHECK(set_code(s, PERFORM_HANDSHAKE, "localhost", 10) == SSL_ERR_OKAY);
        echo_on(*fd);
    } else if (way->flags == FAILED) {
        CHECK(set_code(s, SET_HOOK, &hook, sizeof hook) == SSL_ERR_OKAY);
        CHECK(set_code(s, PERFORM_HANDSHAKE, "localhost", 10) == SSL_ERR_FAILED);
    }
    return s;
}

/* After all that was done to it, the connection is what it was. */
static void expect_alive(const struct way *way, int fd)
{
    if (way->flags == OPEN) {
        send_pattern(fd, 1000);
        receive_pattern(fd, 1000, 0);
    } else if (way->flags == FAILED) {
        expect_dead(fd);
    }
}

static unsigned char *copy_of(const void *bytes, uint32_t length)
{
    /* Of its exact size, so that AddressSanitizer sees a byte too much. */
    unsigned char *copy = malloc(length ? length : 1);

    CHECK(copy != NULL);
    if (length) {
        memcpy(copy, bytes, length);
    }
    return copy;
}

static void what_stands_there_at_first(const struct way *way)
{
    int fd;
    ssl_socket *s = socket_in(way, &fd);

    for (size_t i = 0; i < SETTINGS; i++) {
        const struct setting *setting = &settings[i];
        expect_value(s, setting, setting->at_first, setting->at_first_size);
        /* Written back it is right, and changes nothing. */
        EXPECT(setting->name, SSL_ERR_OKAY, set_code(s, setting->set, setting->at_first, setting->at_first_size));
        expect_value(s, setting, setting->at_first, setting->at_first_size);
    }
}

static void right_buffers(const struct way *way)
{
    int fd;
    ssl_socket *s = socket_in(way, &fd);
    int32_t expected = unless_late(way, SSL_ERR_OKAY);
    struct snapshot before;

    look(s, &before);
    for (size_t i = 0; i < SETTINGS; i++) {
        const struct setting *setting = &settings[i];
        unsigned char *exact = copy_of(setting->right, setting->right_size);
        unsigned char longer[ROOM];
        unsigned char out[ROOM];
        uint32_t returned = CANARY;

        memset(longer, CANARY, sizeof longer);
        memcpy(longer, setting->right, setting->right_size);
        memset(out, CANARY, sizeof out);
        EXPECT(setting->name, expected, set_code(s, setting->set, exact, setting->right_size));
        EXPECT(setting->name, expected, ssl_ioctl(s, setting->set, longer, sizeof longer, out, sizeof out, &returned));
        CHECK(returned == (expected == SSL_ERR_OKAY ? 0 : CANARY));
        for (size_t at = 0; at < sizeof out; at++) {
            CHECK(out[at] == CANARY);
        }
        /* Of two places where output might go, neither is looked at. */
        EXPECT(setting->name, expected,
               ssl_ioctl(s, setting->set, exact, setting->right_size, (void *)(uintptr_t)1, 16, NULL));
        if (expected == SSL_ERR_OKAY) {
            expect_value(s, setting, setting->right, setting->right_size);
        } else {
            expect_unchanged(s, &before, setting->name);
        }
        free(exact);
    }
    expect_alive(way, fd);
}

static void short_buffers(const struct way *way)
{
    int fd;
    ssl_socket *s = socket_in(way, &fd);
    struct snapshot before;

    look(s, &before);
    for (size_t i = 0; i < SETTINGS; i++) {
        const struct setting *setting = &settings[i];
        for (uint32_t length = 0; length < setting->least; length++) {
            unsigned char *buffer = copy_of(setting->right, length);
            EXPECT(setting->name, unless_late(way, SSL_ERR_INVALID), set_code(s, setting->set, buffer, length));
            if (!is_late(way->flags)) {
                expect_errno(s, setting->name, EFAULT);
            }
            free(buffer);
        }
        EXPECT(setting->name, unless_late(way, SSL_ERR_INVALID), set_code(s, setting->set, NULL, 0));
        /* That is no buffer at all. */
        EXPECT(setting->name, SSL_ERR_INVALID, set_code(s, setting->set, NULL, setting->right_size));
        expect_unchanged(s, &before, setting->name);
    }
    expect_alive(way, fd);
}

static void junk_in_buffers(const struct way *way)
{
    int fd;
    ssl_socket *s = socket_in(way, &fd);
    unsigned char junk[ROOM];
    struct snapshot before;

    memset(junk, CANARY, sizeof junk);
    look(s, &before);
    for (size_t i = 0; i < SETTINGS; i++) {
        const struct setting *setting = &settings[i];
        int32_t expected = unless_late(way, setting->junk);
        EXPECT(setting->name, expected, set_code(s, setting->set, junk, sizeof junk));
        if (expected == SSL_ERR_OKAY) {
            /* It is kept, and the address in it is not followed. */
            expect_value(s, setting, junk, setting->right_size);
            EXPECT(setting->name, SSL_ERR_OKAY, set_code(s, setting->set, setting->right, setting->right_size));
            look(s, &before);
        } else {
            expect_unchanged(s, &before, setting->name);
        }
    }
    expect_alive(way, fd);
}

/* One code, read into room for less, as much and more than it has to say. */
static void read_in_every_size(ssl_socket *s, const char *name, uint32_t code, uint32_t size)
{
    uint32_t returned = CANARY;

    for (uint32_t capacity = 0; capacity <= size + 3; capacity++) {
        int32_t expected = capacity < size ? SSL_ERR_BUFFER : SSL_ERR_OKAY;
        unsigned char *out = malloc(capacity ? capacity : 1);
        CHECK(out != NULL);
        memset(out, CANARY, capacity);
        returned = CANARY;
        EXPECT(name, expected, get(s, code, out, capacity, &returned));
        CHECK(returned == size);
        for (uint32_t at = expected == SSL_ERR_OKAY ? size : 0; at < capacity; at++) {
            CHECK(out[at] == CANARY);
        }
        EXPECT(name, expected, get(s, code, out, capacity, NULL));
        free(out);
    }
    EXPECT(name, SSL_ERR_BUFFER, get(s, code, NULL, 0, &returned));
    CHECK(returned == size);
    returned = CANARY;
    EXPECT(name, SSL_ERR_INVALID, get(s, code, NULL, size, &returned));
    CHECK(returned == CANARY);
    if (code != GET_CIPHERS) {
        unsigned char out[ROOM];
        /* Nothing is taken from an input, wherever it is. */
        EXPECT(name, SSL_ERR_OKAY, ssl_ioctl(s, code, NULL, 99, out, sizeof out, NULL));
        EXPECT(name, SSL_ERR_OKAY, ssl_ioctl(s, code, (void *)(uintptr_t)1, 99, out, sizeof out, NULL));
    }
}

static void reading_into_every_size(const struct way *way)
{
    int fd;
    ssl_socket *s = socket_in(way, &fd);
    uint32_t out[ROOM / 4];
    uint32_t returned = CANARY;

    for (size_t i = 0; i < SETTINGS; i++) {
        get(s, settings[i].get, NULL, 0, &returned);
        read_in_every_size(s, settings[i].name, settings[i].get, returned);
    }
    read_in_every_size(s, "CAPABILITIES", GET_CAPABILITIES, 4);
    CHECK(get(s, GET_CAPABILITIES, out, sizeof out, NULL) == SSL_ERR_OKAY && out[0] == 5);
    if (way->flags == OPEN) {
        read_in_every_size(s, "CONNECTION_INFO", GET_CONNECTION_INFO, 28);
    } else {
        returned = CANARY;
        EXPECT("CONNECTION_INFO", SSL_ERR_STATE, get(s, GET_CONNECTION_INFO, out, sizeof out, &returned));
        CHECK(returned == CANARY);
        EXPECT("CONNECTION_INFO", SSL_ERR_STATE, get(s, GET_CONNECTION_INFO, NULL, 0, NULL));
    }
    expect_alive(way, fd);
}

static void what_ciphers_of_which_protocol(const struct way *way)
{
    int fd;
    ssl_socket *s = socket_in(way, &fd);
    uint32_t both[ROOM / 4] = {TLS1};
    uint32_t returned = 0;

    for (uint32_t length = 0; length < 4; length++) {
        unsigned char *buffer = copy_of(both, length);
        EXPECT("CIPHERS", SSL_ERR_INVALID, ssl_ioctl(s, GET_CIPHERS, buffer, length, both, sizeof both, NULL));
        free(buffer);
    }
    EXPECT("CIPHERS", SSL_ERR_INVALID, ssl_ioctl(s, GET_CIPHERS, NULL, 4, both, sizeof both, NULL));
    for (uint32_t protocol = 0; protocol < 10; protocol++) {
        if (protocol != TLS1) {
            EXPECT("CIPHERS", SSL_ERR_INVALID,
                   ssl_ioctl(s, GET_CIPHERS, &protocol, sizeof protocol, both, sizeof both, NULL));
        }
    }
    CHECK(both[0] == TLS1 && both[1] == 0);
    /* In and out. */
    EXPECT("CIPHERS", SSL_ERR_OKAY, ssl_ioctl(s, GET_CIPHERS, both, sizeof both, both, sizeof both, &returned));
    CHECK(both[0] == TLS1 && both[1] > 0 && returned == 8 + 4 * both[1]);
}

struct refused {
    const char *name;
    uint32_t code;
    int32_t answer;
    int sys_errno;
    uint32_t size;
    uint32_t dwords[8];
};

static const struct refused refused[] = {
    {"no protocol", SET_PROTOCOLS, SSL_ERR_INVALID, EINVAL, 16, {0, TLS1, 0, 0}},
    {"SSL 3 alone", SET_PROTOCOLS, SSL_ERR_INVALID, EINVAL, 16, {1, SSL3, 0, 0}},
    {"SSL 3 with TLS behind the list", SET_PROTOCOLS, SSL_ERR_INVALID, EINVAL, 28, {1, SSL3, 0, 0, TLS1, 0, 0}},
    {"SSL 2 and PCT 1", SET_PROTOCOLS, SSL_ERR_INVALID, EINVAL, 28, {2, SSL2, 0, 0, PCT1, 0, 0}},
    {"TLS where the version stands", SET_PROTOCOLS, SSL_ERR_INVALID, EINVAL, 16, {1, SSL3, TLS1, TLS1}},
    {"unknown protocols", SET_PROTOCOLS, SSL_ERR_INVALID, EINVAL, 28, {2, 0x80, 0, 0, UINT32_MAX, 0, 0}},
    {"one protocol too much", SET_PROTOCOLS, SSL_ERR_INVALID, EFAULT, 16, {2, TLS1, 0, 0}},
    {"a product of protocols that overflows", SET_PROTOCOLS, SSL_ERR_INVALID, EFAULT, 16, {0x15555556, TLS1, 0, 0}},
    {"all protocols", SET_PROTOCOLS, SSL_ERR_INVALID, EFAULT, 32, {UINT32_MAX, TLS1, 0, 0, TLS1, 0, 0, TLS1}},
    {"no cipher", SET_CIPHERS, SSL_ERR_INVALID, EINVAL, 12, {TLS1, 0, CALG_AES_128}},
    {"RC4 and DES", SET_CIPHERS, SSL_ERR_INVALID, EINVAL, 16, {TLS1, 2, CALG_RC4, CALG_DES}},
    {"a cipher behind the list", SET_CIPHERS, SSL_ERR_INVALID, EINVAL, 16, {TLS1, 1, CALG_RC4, CALG_AES_128}},
    {"a suite with RSA key exchange", SET_CIPHERS, SSL_ERR_INVALID, EINVAL, 12, {TLS1, 1, 0x002F}},
    {"ciphers of SSL 3", SET_CIPHERS, SSL_ERR_INVALID, EINVAL, 12, {SSL3, 1, CALG_AES_128}},
    {"ciphers of nothing", SET_CIPHERS, SSL_ERR_INVALID, EINVAL, 12, {0, 1, CALG_AES_128}},
    {"one cipher too much", SET_CIPHERS, SSL_ERR_INVALID, EFAULT, 12, {TLS1, 2, CALG_AES_128}},
    {"a product of ciphers that overflows", SET_CIPHERS, SSL_ERR_INVALID, EFAULT, 12, {TLS1, 0x40000001, CALG_AES_128}},
    {"all ciphers", SET_CIPHERS, SSL_ERR_INVALID, EFAULT, 32, {TLS1, UINT32_MAX, CALG_AES_128}},
    {"client certificates, and later", SET_CLIENT_AUTH_OPTS, SSL_ERR_UNSUPPORTED, 0, 32, {0x80000000u, 1}},
    {"another handshake", SET_CLIENT_AUTH_OPTS, SSL_ERR_UNSUPPORTED, 0, 32, {0, 1}},
    {"a key-exchange hook", SET_KEY_EXCH_HOOK, SSL_ERR_UNSUPPORTED, 0, 16, {1, 0, 0, 0}},
    {"a key-exchange hook, by its upper half", SET_KEY_EXCH_HOOK, SSL_ERR_UNSUPPORTED, 0, 16, {0, 1, 0, 0}},
};

static void what_is_refused_changes_nothing(const struct way *way)
{
    int fd;
    ssl_socket *s = socket_in(way, &fd);
    struct snapshot before;

    look(s, &before);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const struct refused *row = &refused[i];
        unsigned char *buffer = copy_of(row->dwords, row->size);
        int32_t answer = set_code(s, row->code, buffer, row->size);
        EXPECT(row->name, unless_late(way, row->answer), answer);
        if (!is_late(way->flags)) {
            expect_errno(s, row->name, row->sys_errno);
        }
        expect_unchanged(s, &before, row->name);
        free(buffer);
    }
    if (!is_late(way->flags)) {
        CHECK(set_code(s, SET_KEY_EXCH_HOOK, &hook_set, sizeof hook_set) == SSL_ERR_UNSUPPORTED);
        expect_error_text(s, "no safe version of TLS");
    }
    expect_alive(way, fd);
}

static void peer_names(const struct way *way)
{
    static const uint32_t codes[] = {SET_PEERNAME, SET_PEERNAME_OUT, SET_PEERNAME_VOID};
    static const char host[] = "mail.example";
    static const char *const pointer = host;
    static const struct {
        const void *in;
        uint32_t size;
        int32_t answer;
    } names[] = {
        {host, sizeof host, SSL_ERR_OKAY},     {host, sizeof host - 1, SSL_ERR_OKAY}, {NULL, 0, SSL_ERR_OKAY},
        {&pointer, 8, SSL_ERR_OKAY},           {"", 1, SSL_ERR_OKAY},                 {NULL, 9, SSL_ERR_INVALID},
        {"two words", 9, SSL_ERR_INVALID},     {"\xa5\xa5", 2, SSL_ERR_INVALID},      {"\0mail", 5, SSL_ERR_INVALID},
        {"127.0.0.2\0\xff", 11, SSL_ERR_OKAY},
    };
    int fd;
    ssl_socket *s = socket_in(way, &fd);
    struct snapshot before;

    look(s, &before);
    for (size_t code = 0; code < 3; code++) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            unsigned char out[8];
            uint32_t returned = CANARY;
            int is_buffer = names[i].in != NULL || names[i].size == 0;
            int32_t expected = is_buffer ? unless_late(way, names[i].answer) : SSL_ERR_INVALID;
            memset(out, CANARY, sizeof out);
            EXPECT("PEERNAME", expected, ssl_ioctl(s, codes[code], names[i].in, names[i].size, out, 8, &returned));
            CHECK(returned == (expected == SSL_ERR_OKAY ? 0 : CANARY) && out[0] == CANARY && out[7] == CANARY);
        }
    }
    expect_unchanged(s, &before, "PEERNAME");
    expect_alive(way, fd);
}

static void the_handshake(const struct way *way)
{
    static const char host[] = "localhost";
    int fd;
    ssl_socket *s = socket_in(way, &fd);
    struct snapshot before;
    uint32_t returned = CANARY;

    look(s, &before);
    if (way->flags == CONNECTED) {
        EXPECT("HANDSHAKE", SSL_ERR_OKAY, ssl_ioctl(s, PERFORM_HANDSHAKE, host, 9, &returned, 4, NULL));
        CHECK(returned == CANARY && accepting.times == 1);
        echo_on(fd);
    } else if (way->flags == MIDDLE) {
        EXPECT("HANDSHAKE", SSL_ERR_WANT_READ, ssl_ioctl(s, PERFORM_HANDSHAKE, NULL, 0, NULL, 0, &returned));
        CHECK(returned == CANARY);
    } else {
        /* Without a connection, or for the second time. */
        EXPECT("HANDSHAKE", SSL_ERR_STATE, ssl_ioctl(s, PERFORM_HANDSHAKE, NULL, 0, NULL, 0, &returned));
        EXPECT("HANDSHAKE", SSL_ERR_STATE, ssl_ioctl(s, PERFORM_HANDSHAKE, host, sizeof host, NULL, 0, NULL));
        EXPECT("HANDSHAKE", SSL_ERR_STATE, ssl_ioctl(s, PERFORM_HANDSHAKE, NULL, 99, NULL, 0, NULL));
        EXPECT("HANDSHAKE", SSL_ERR_STATE, ssl_ioctl(s, PERFORM_HANDSHAKE, "\xa5\xa5", 2, NULL, 0, NULL));
        CHECK(returned == CANARY);
        expect_alive(way, fd);
    }
    expect_unchanged(s, &before, "HANDSHAKE");
}

static void settings_of_the_defaults_are_those_of_later_sockets(const struct way *way)
{
    int fd;
    ssl_socket *s;

    (void)way;
    set_all(ssl_defaults());
    fd = socket(AF_INET, SOCK_STREAM, 0);
    s = ssl_socket_new(fd);
    for (size_t i = 0; i < SETTINGS; i++) {
        expect_value(s, &settings[i], settings[i].right, settings[i].right_size);
    }
    /* From then on they are its own. */
    CHECK(set_code(s, SET_PROTOCOLS, protocols_at_first, sizeof protocols_at_first) == SSL_ERR_OKAY);
    expect_value(ssl_defaults(), &settings[1], protocols_set, sizeof protocols_set);
    CHECK(ssl_socket_free(s) == SSL_ERR_OKAY && close(fd) == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"what_stands_there_at_first", what_stands_there_at_first, unconnected, 0},
        {"right_buffers", right_buffers, states, 0},
        {"short_buffers", short_buffers, states, 0},
        {"junk_in_buffers", junk_in_buffers, states, 0},
        {"reading_into_every_size", reading_into_every_size, states, 0},
        {"what_ciphers_of_which_protocol", what_ciphers_of_which_protocol, states, 0},
        {"what_is_refused_changes_nothing", what_is_refused_changes_nothing, states, 0},
        {"peer_names", peer_names, states, 0},
        {"the_handshake", the_handshake, states, 0},
        {"settings_of_the_defaults_are_those_of_later_sockets", settings_of_the_defaults_are_those_of_later_sockets,
         NULL, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}
