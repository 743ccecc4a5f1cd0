/*
 * Winsock's look-ups as Windows CE programs use them, and what a secure socket makes of the name that was looked up.
 * Compiled as C and as C++.
 */
#include <ws2tcpip.h>
#include <sslsock.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#ifdef __cplusplus
extern "C" {
#endif
#include "common/outside.h"
#include "common/test.h"
#include "common/ways.h"
#ifdef __cplusplus
}
#endif

/* other.test is no name in the peer's certificate. */
#define HOSTS                                                                       \
    "127.0.0.1 localhost\n127.0.0.2 localhost canonical.test\n127.0.0.3 first.test alias.test\n" \
    "127.0.0.1 one.test\n127.0.0.1 two.test\n127.0.0.2 other.test\n::1 six.test\n2001:db8::1 far.test\n"

static struct sockaddr_in at(const char *host, int port)
{
    struct sockaddr_in address;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((u_short)port);
    address.sin_addr.s_addr = inet_addr(host);
    return address;
}

static int has_address(const struct hostent *host, const char *address)
{
    u_long expected = inet_addr(address);
    int i;

    for (i = 0; host->h_addr_list[i] != NULL; i++) {
        if (memcmp(host->h_addr_list[i], &expected, 4) == 0) {
            return 1;
        }
    }
    return 0;
}

static void a_host_by_its_name(const struct way *way)
{
    LPHOSTENT host = gethostbyname("localhost");
    struct in_addr address;
    unsigned long whole;

    (void)way;
    CHECK(host != NULL && strcmp(host->h_name, "localhost") == 0 && host->h_aliases[0] == NULL);
    CHECK(host->h_addrtype == AF_INET && host->h_length == 4 && has_address(host, "127.0.0.1"));
    host = gethostbyname("127.0.0.9");
    CHECK(host != NULL && strcmp(host->h_name, "127.0.0.9") == 0 && host->h_addr_list[1] == NULL);
    /* As programs take it out, in all the ways. */
    whole = *(unsigned long *)host->h_addr_list[0];
    CHECK(whole == inet_addr("127.0.0.9"));
    memcpy(&address, host->h_addr, host->h_length);
    CHECK(address.s_addr == *(u_long *)host->h_addr && address.S_un.S_un_b.s_b4 == 9);
    CHECK(strcmp(inet_ntoa(*(LPIN_ADDR)*host->h_addr_list), "127.0.0.9") == 0);
}

static void this_machine(const struct way *way)
{
    char name[256];
    char small[1];
    struct hostent *host;

    (void)way;
    CHECK(gethostname(name, sizeof name) == 0 && strlen(name) > 0);
    host = gethostbyname(name);
    CHECK(host != NULL && host->h_addr_list[0] != NULL);
    host = gethostbyname(NULL);
    CHECK(host != NULL && strcmp(host->h_name, name) == 0 && host->h_addr_list[0] != NULL);
    host = gethostbyname("");
    CHECK(host != NULL && strcmp(host->h_name, name) == 0 && host->h_addr_list[0] != NULL);
    CHECK(gethostname(small, sizeof small) == SOCKET_ERROR && WSAGetLastError() == WSAEFAULT);
}

static void aliases_and_several_addresses(const struct way *way)
{
    struct hostent *host;

    (void)way;
    use_hosts(HOSTS);
    host = gethostbyname("alias.test");
    CHECK(host != NULL && strcmp(host->h_name, "first.test") == 0);
    CHECK(strcmp(host->h_aliases[0], "alias.test") == 0 && host->h_aliases[1] == NULL);
    host = gethostbyname("localhost");
    CHECK(host != NULL && has_address(host, "127.0.0.1") && has_address(host, "127.0.0.2"));
    CHECK(!has_address(host, "127.0.0.3") && host->h_addr_list[2] == NULL);
    CHECK(gethostbyname("far.test") == NULL && h_errno != 0);
}

static void a_host_by_its_address(const struct way *way)
{
    u_long address = inet_addr("127.0.0.3");
    struct hostent *host;

    (void)way;
    use_hosts(HOSTS);
    host = gethostbyaddr((char *)&address, sizeof address, AF_INET);
    CHECK(host != NULL && strcmp(host->h_name, "first.test") == 0 && has_address(host, "127.0.0.3"));
    CHECK(gethostbyaddr((char *)&address, 3, AF_INET) == NULL && WSAGetLastError() == WSAEFAULT);
    CHECK(gethostbyaddr(NULL, 4, AF_INET) == NULL && WSAGetLastError() == WSAEFAULT);
    CHECK(gethostbyaddr((char *)&address, 4, 77) == NULL && WSAGetLastError() == WSAEAFNOSUPPORT);
    address = inet_addr("127.0.0.77");
    host = gethostbyaddr((char *)&address, sizeof address, AF_INET);
    CHECK(host == NULL && (WSAGetLastError() == WSAHOST_NOT_FOUND || WSAGetLastError() == WSATRY_AGAIN));
}

static void what_there_is_not(const struct way *way)
{
    ADDRINFO hints;
    struct addrinfo *found;
    int number;

    (void)way;
    /* Where no name server can be asked it is the other one. */
    CHECK(gethostbyname("no-such-host.invalid") == NULL);
    number = WSAGetLastError();
    CHECK(number == WSAHOST_NOT_FOUND || number == WSATRY_AGAIN);
    memset(&hints, 0, sizeof hints);
    hints.ai_flags = AI_NUMERICHOST;
    WSASetLastError(0);
    CHECK(getaddrinfo("localhost", "25", &hints, &found) == EAI_NONAME && found == NULL);
    CHECK(WSAGetLastError() == WSAHOST_NOT_FOUND);
    CHECK(getaddrinfo("127.0.0.1", "no-such-service", NULL, &found) == EAI_SERVICE);
    hints.ai_family = 77;
    CHECK(getaddrinfo("127.0.0.1", NULL, &hints, &found) == EAI_FAMILY);
    hints.ai_family = 0;
    hints.ai_flags = 0x40000000;
    CHECK(getaddrinfo("127.0.0.1", NULL, &hints, &found) == EAI_BADFLAGS);
    CHECK(getaddrinfo(NULL, NULL, NULL, &found) == EAI_NONAME);
    CHECK(getaddrinfo("127.0.0.1", NULL, NULL, NULL) == WSAEFAULT);
    freeaddrinfo(NULL);
    CHECK(wcscmp(gai_strerror(EAI_NONAME), gai_strerrorW(WSAHOST_NOT_FOUND)) == 0);
    CHECK(strcmp(gai_strerrorA(EAI_NONAME), "no such host is known") == 0 && wcslen(gai_strerror(-1)) > 0);
}

static void addresses_of_both_families(const struct way *way)
{
    ADDRINFO hints;
    LPADDRINFO found;
    PADDRINFOA next;
    char host[NI_MAXHOST];
    char service[NI_MAXSERV];

    (void)way;
    use_hosts(HOSTS);
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_CANONNAME;
    CHECK(getaddrinfo("alias.test", "25", &hints, &found) == 0 && found->ai_next == NULL);
    CHECK(strcmp(found->ai_canonname, "first.test") == 0 && found->ai_protocol == IPPROTO_TCP);
    CHECK(found->ai_addrlen == sizeof(SOCKADDR_IN) && found->ai_family == AF_INET);
    CHECK(((PSOCKADDR_IN)found->ai_addr)->sin_port == htons(25));
    CHECK(getnameinfo(found->ai_addr, (socklen_t)found->ai_addrlen, host, sizeof host, service, sizeof service,
                      NI_NUMERICSERV) == 0);
    CHECK(strcmp(host, "first.test") == 0 && strcmp(service, "25") == 0);
    CHECK(getnameinfo(found->ai_addr, (socklen_t)found->ai_addrlen, host, 9, NULL, 0, NI_NUMERICHOST) == WSAEFAULT);
    CHECK(getnameinfo(found->ai_addr, (socklen_t)found->ai_addrlen, host, 10, NULL, 0, NI_NUMERICHOST) == 0);
    CHECK(strcmp(host, "127.0.0.3") == 0);
    CHECK(getnameinfo(found->ai_addr, (socklen_t)found->ai_addrlen, NULL, 0, NULL, 0, 0) == EAI_NONAME);
    CHECK(getnameinfo(NULL, 16, host, sizeof host, NULL, 0, 0) == WSAEFAULT);
    CHECK(getnameinfo(found->ai_addr, 3, host, sizeof host, NULL, 0, 0) != 0);
    freeaddrinfo(found);

    CHECK(getaddrinfo("six.test", NULL, NULL, &found) == 0 && found->ai_family == AF_INET6);
    CHECK(found->ai_addrlen == sizeof(SOCKADDR_IN6));
    CHECK(IN6_IS_ADDR_LOOPBACK(&((PSOCKADDR_IN6)found->ai_addr)->sin6_addr));
    /* Freed in two parts. */
    next = found->ai_next;
    found->ai_next = NULL;
    freeaddrinfo(found);
    freeaddrinfo(next);

    hints.ai_flags = AI_PASSIVE;
    hints.ai_family = AF_INET;
    CHECK(getaddrinfo(NULL, "0", &hints, &found) == 0);
    CHECK(((PSOCKADDR_IN)found->ai_addr)->sin_addr.s_addr == INADDR_ANY);
    freeaddrinfo(found);
}

static void texts_of_addresses(const struct way *way)
{
    struct in_addr address;

    (void)way;
    CHECK(inet_addr("192.0.2.1") == htonl(0xc0000201) && inet_addr("0x7f.1") == htonl(0x7f000001));
    CHECK(inet_addr("mail.test") == INADDR_NONE && inet_addr("1.2.3.256") == INADDR_NONE);
    CHECK(inet_addr("") == INADDR_NONE && inet_addr(NULL) == INADDR_NONE && inet_addr(" ") == 0);
    CHECK(inet_addr("255.255.255.255") == INADDR_NONE);
    address.s_addr = htonl(0xfffefdfc);
    CHECK(strcmp(inet_ntoa(address), "255.254.253.252") == 0);
    CHECK(htons(0x1234) == ((u_short)0x3412) || htons(1) == 1);
    CHECK(ntohs(htons(0x1234)) == 0x1234 && ntohl(htonl(0x12345678)) == 0x12345678);
}

static void services_and_protocols(const struct way *way)
{
    LPSERVENT service = getservbyname("smtp", "tcp");
    LPPROTOENT protocol = getprotobyname("tcp");

    (void)way;
    CHECK(service != NULL && ntohs(service->s_port) == 25 && strcmp(service->s_proto, "tcp") == 0);
    CHECK(service->s_aliases != NULL);
    service = getservbyname("https", NULL);
    CHECK(service != NULL && service->s_port == (short)htons(443));
    service = getservbyport(htons(110), "tcp");
    CHECK(service != NULL && strcmp(service->s_name, "pop3") == 0);
    CHECK(protocol != NULL && protocol->p_proto == IPPROTO_TCP && strcmp(protocol->p_name, "tcp") == 0);
    CHECK(getprotobynumber(17)->p_proto == IPPROTO_UDP);
    CHECK(getservbyname("no-such", "tcp") == NULL && WSAGetLastError() == WSANO_DATA);
    CHECK(getservbyname(NULL, "tcp") == NULL && WSAGetLastError() == WSAEFAULT);
    CHECK(getservbyport(htons(1), "no-such") == NULL && WSAGetLastError() == WSANO_DATA);
    CHECK(getprotobyname("no-such") == NULL && WSAGetLastError() == WSANO_DATA);
    CHECK(getprotobyname(NULL) == NULL && WSAGetLastError() == WSAEFAULT);
}

static void ask_for_another(void)
{
    CHECK(gethostbyname("127.0.0.8") != NULL && getservbyname("ftp", "tcp") != NULL);
    CHECK(WSAGetLastError() == 0 && gethostbyname("bad name") == NULL && WSAGetLastError() != 0);
}

static void each_thread_has_its_own_answers(const struct way *way)
{
    struct hostent *host = gethostbyname("127.0.0.9");
    struct servent *service = getservbyname("smtp", "tcp");
    int i;

    (void)way;
    begin_elsewhere(ask_for_another);
    end_elsewhere();
    CHECK(has_address(host, "127.0.0.9") && strcmp(host->h_name, "127.0.0.9") == 0);
    CHECK(strcmp(service->s_name, "smtp") == 0 && WSAGetLastError() == 0);
    /* The thread's next one may overwrite it, but not take it away. */
    CHECK(gethostbyname("127.0.0.8") != NULL && host->h_length == 4 && strlen(host->h_name) == 9);
    for (i = 0; i < 1000; i++) {
        CHECK(gethostbyname("127.0.0.7") != NULL);
    }
}

/* What the hook was called with. */
struct calls {
    int times;
    DWORD flags;
};

static int accept_all(DWORD type, LPVOID arg, DWORD length, LPBLOB chain, DWORD flags)
{
    struct calls *calls = (struct calls *)arg;

    (void)chain;
    CHECK(type == SSL_CERT_X509 && length == 1);
    calls->times++;
    calls->flags = flags;
    return SSL_ERR_OKAY;
}

static SOCKET secure_socket(int family, struct calls *calls)
{
    SOCKET s = socket(family, SOCK_STREAM, 0);
    DWORD security = SO_SEC_SSL;

    CHECK(s != INVALID_SOCKET);
    CHECK(setsockopt(s, SOL_SOCKET, SO_SECURE, (char *)&security, sizeof security) == 0);
    if (calls != NULL) {
        SSLVALIDATECERTHOOK hook;
        hook.HookFunc = accept_all;
        hook.pvArg = calls;
        CHECK(WSAIoctl(s, SO_SSL_SET_VALIDATE_CERT_HOOK, &hook, sizeof hook, NULL, 0, NULL, NULL, NULL) == 0);
    }
    return s;
}

static SOCKET deferred_socket(struct calls *calls)
{
    SOCKET s = secure_socket(AF_INET, calls);
    DWORD flags = SSL_FLAG_DEFER_HANDSHAKE;

    CHECK(WSAIoctl(s, SO_SSL_SET_FLAGS, &flags, sizeof flags, NULL, 0, NULL, NULL, NULL) == 0);
    return s;
}

static int connect_at(SOCKET s, const char *host, int port)
{
    struct sockaddr_in address = at(host, port);
    return connect(s, (struct sockaddr *)&address, sizeof address);
}

static int handshake(SOCKET s)
{
    return WSAIoctl(s, SO_SSL_PERFORM_HANDSHAKE, NULL, 0, NULL, 0, NULL, NULL, NULL);
}

static void echo_on(SOCKET s)
{
    char back[8];
    int count = 0;

    CHECK(send(s, "echo\nhello", 10, 0) == 10);
    while (count < 5) {
        int more = recv(s, back + count, 5 - count, 0);
        CHECK(more > 0);
        count += more;
    }
    CHECK(memcmp(back, "hello", 5) == 0 && closesocket(s) == 0);
}

/* By a proxy on 127.0.0.1, so that the machine's own localhost will do. */
static void the_name_that_was_looked_up_is_whom_the_certificate_is_for(const struct way *way)
{
    int port = trickle_port(way->peer);
    SOCKET s = secure_socket(AF_INET, NULL);

    CHECK(gethostbyname("localhost") != NULL);
    if (connect_at(s, "127.0.0.1", port) != 0) {
        FAIL("connect: %d", WSAGetLastError());
    }
    echo_on(s);
}

static void without_a_look_up_there_is_no_name(const struct way *way)
{
    struct calls calls = {0, 0};
    SOCKET s = secure_socket(AF_INET, NULL);

    CHECK(connect_at(s, peer_host(way->peer), peer_port(way->peer)) == SOCKET_ERROR);
    CHECK(WSAGetLastError() == WSAEINVAL && closesocket(s) == 0);
    s = secure_socket(AF_INET, &calls);
    CHECK(connect_at(s, peer_host(way->peer), peer_port(way->peer)) == 0);
    CHECK(calls.times == 1 && calls.flags == SSL_CERT_FLAG_ISSUER_UNKNOWN);
    echo_on(s);
}

static void a_trusted_certificate_for_the_name_has_no_flag(const struct way *way)
{
    struct calls calls = {0, 0};
    SOCKET s;

    use_hosts(HOSTS);
    CHECK(gethostbyname("localhost") != NULL);
    s = secure_socket(AF_INET, &calls);
    CHECK(connect_at(s, peer_host(way->peer), peer_port(way->peer)) == 0 && calls.times == 1 && calls.flags == 0);
    echo_on(s);
    /* The latest one is another name, of no name in the certificate. */
    CHECK(gethostbyname("other.test") != NULL);
    s = secure_socket(AF_INET, &calls);
    CHECK(connect_at(s, peer_host(way->peer), peer_port(way->peer)) == 0);
    CHECK(calls.times == 2 && calls.flags == SSL_CERT_FLAG_ISSUER_UNKNOWN);
    echo_on(s);
    s = secure_socket(AF_INET, NULL);
    CHECK(connect_at(s, peer_host(way->peer), peer_port(way->peer)) == SOCKET_ERROR);
    CHECK(WSAGetLastError() == SSL_ERR_CERT_UNKNOWN && closesocket(s) == 0);
}

static void a_deferred_handshake_has_the_name_too(const struct way *way)
{
    SOCKET s;

    use_hosts(HOSTS);
    CHECK(gethostbyname("localhost") != NULL);
    s = deferred_socket(NULL);
    CHECK(connect_at(s, peer_host(way->peer), peer_port(way->peer)) == 0);
    /* What was known at connect counts. */
    CHECK(gethostbyname("other.test") != NULL);
    if (handshake(s) != 0) {
        FAIL("handshake: %d", WSAGetLastError());
    }
    echo_on(s);
}

static void a_look_up_after_connect_is_found_at_the_handshake(const struct way *way)
{
    SOCKET s = deferred_socket(NULL);

    use_hosts(HOSTS);
    CHECK(connect_at(s, peer_host(way->peer), peer_port(way->peer)) == 0);
    CHECK(gethostbyname("localhost") != NULL);
    CHECK(handshake(s) == 0);
    echo_on(s);
}

static void a_name_of_the_programs_goes_first(const struct way *way)
{
    SOCKET s;

    use_hosts(HOSTS);
    CHECK(gethostbyname("other.test") != NULL);
    s = secure_socket(AF_INET, NULL);
    CHECK(WSAIoctl(s, SO_SSL_SET_PEERNAME, (LPVOID) "localhost", 10, NULL, 0, NULL, NULL, NULL) == 0);
    CHECK(connect_at(s, peer_host(way->peer), peer_port(way->peer)) == 0);
    echo_on(s);
    s = deferred_socket(NULL);
    CHECK(connect_at(s, peer_host(way->peer), peer_port(way->peer)) == 0);
    CHECK(WSAIoctl(s, SO_SSL_PERFORM_HANDSHAKE, (LPVOID) "localhost", 9, NULL, 0, NULL, NULL, NULL) == 0);
    echo_on(s);
}

/* The name that arrives when this thread connects to 127.0.0.1. */
static const char *told(void)
{
    struct calls calls = {0, 0};
    int port = hello_port(AF_INET);
    SOCKET s = secure_socket(AF_INET, &calls);

    CHECK(connect_at(s, "127.0.0.1", port) == SOCKET_ERROR && calls.times == 0 && closesocket(s) == 0);
    return hello_name();
}

#define CHECK_TOLD(expected)                                                        \
    do {                                                                            \
        const char *told_ = told();                                                 \
        if (strcmp(told_, expected) != 0) {                                         \
            FAIL("the peer was told \"%s\", not \"%s\"", told_, expected);          \
        }                                                                           \
    } while (0)

static void look_two_up(void)
{
    struct addrinfo *found;

    CHECK(gethostbyname("two.test") != NULL && getaddrinfo("two.test", NULL, NULL, &found) == 0);
    freeaddrinfo(found);
    CHECK_TOLD("two.test");
}

static void the_peer_is_told_the_latest_name(const struct way *way)
{
    struct addrinfo *found;
    u_long address = inet_addr("127.0.0.1");

    (void)way;
    use_hosts(HOSTS);
    CHECK_TOLD("");
    /* An address is no name to be told. */
    CHECK(gethostbyname("127.0.0.1") != NULL);
    CHECK_TOLD("");
    CHECK(gethostbyname("one.test") != NULL);
    CHECK_TOLD("one.test");
    CHECK(getaddrinfo("Two.Test", "443", NULL, &found) == 0);
    freeaddrinfo(found);
    CHECK_TOLD("two.test");
    /* Neither looking its text up, nor the other way round. */
    CHECK(gethostbyname("127.0.0.1") != NULL && gethostbyname("127.1") != NULL);
    CHECK(gethostbyaddr((char *)&address, 4, AF_INET) != NULL);
    CHECK_TOLD("two.test");
    CHECK(gethostbyname("one.test") != NULL);
    /* Nor what another thread does, nor a look-up that failed, nor one of another address. */
    begin_elsewhere(look_two_up);
    end_elsewhere();
    CHECK(gethostbyname("no such.test") == NULL && gethostbyname("other.test") != NULL);
    CHECK_TOLD("one.test");
}

static void a_name_over_ipv6(const struct way *way)
{
    struct calls calls = {0, 0};
    ADDRINFO hints;
    struct addrinfo *found;
    char port[8];
    SOCKET s;

    (void)way;
    use_hosts(HOSTS);
    peer_port("SSLSOCK_PEER6");
    sprintf(port, "%d", hello_port(AF_INET6));
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    CHECK(getaddrinfo("six.test", port, &hints, &found) == 0);
    s = secure_socket(AF_INET6, &calls);
    CHECK(connect(s, found->ai_addr, (int)found->ai_addrlen) == SOCKET_ERROR && closesocket(s) == 0);
    freeaddrinfo(found);
    CHECK(strcmp(hello_name(), "six.test") == 0);
}

int main(int argc, char **argv)
{
    static const struct way usual[] = {{"IPv4", "SSLSOCK_PEER", 0}, {NULL, NULL, 0}};
    static const struct test tests[] = {
        {"a_host_by_its_name", a_host_by_its_name, NULL, 0},
        {"this_machine", this_machine, NULL, 0},
        {"aliases_and_several_addresses", aliases_and_several_addresses, NULL, 0},
        {"a_host_by_its_address", a_host_by_its_address, NULL, 0},
        {"what_there_is_not", what_there_is_not, NULL, 0},
        {"addresses_of_both_families", addresses_of_both_families, NULL, 0},
        {"texts_of_addresses", texts_of_addresses, NULL, 0},
        {"services_and_protocols", services_and_protocols, NULL, 0},
        {"each_thread_has_its_own_answers", each_thread_has_its_own_answers, NULL, 0},
        {"the_name_that_was_looked_up_is_whom_the_certificate_is_for",
         the_name_that_was_looked_up_is_whom_the_certificate_is_for, usual, 0},
        {"without_a_look_up_there_is_no_name", without_a_look_up_there_is_no_name, usual, 0},
        {"a_trusted_certificate_for_the_name_has_no_flag", a_trusted_certificate_for_the_name_has_no_flag, usual, 0},
        {"a_deferred_handshake_has_the_name_too", a_deferred_handshake_has_the_name_too, usual, 0},
        {"a_look_up_after_connect_is_found_at_the_handshake", a_look_up_after_connect_is_found_at_the_handshake, usual, 0},
        {"a_name_of_the_programs_goes_first", a_name_of_the_programs_goes_first, usual, 0},
        {"the_peer_is_told_the_latest_name", the_peer_is_told_the_latest_name, NULL, 0},
        {"a_name_over_ipv6", a_name_over_ipv6, NULL, 0},
        {NULL, NULL, NULL, 0},
    };

    trust_the_tests();
    return run_tests(argc, argv, tests);
}
