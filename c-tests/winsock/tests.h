/* The tests of c-tests/winsock.c, by what they are about, and what they have in common. */
#ifndef SSLSOCK_TESTS_WINSOCK_TESTS_H
#define SSLSOCK_TESTS_WINSOCK_TESTS_H

/* In C INVALID_SOCKET is -1, so that an int and a DWORD can be compared with it as well as a SOCKET. */
#pragma GCC diagnostic ignored "-Wsign-compare"

/* First, as in a Windows CE source. */
#include <wince/winsock2.h>

#include <wince/sslsock.h>
#include <wince/windows.h>

#include <pthread.h>

#include "../common/outside.h"
#include "../common/peer.h"
#include "../common/test.h"
#include "system.h"

/* The call fails with this number, which is not left over from another one. */
#define FAILS(number, call)                                                                                    \
    do {                                                                                                       \
        WSASetLastError(0);                                                                                    \
        long long result_ = (long long)(call);                                                                 \
        if (result_ != -1 || WSAGetLastError() != (number)) {                                                  \
            FAIL("%s is %lld, with %d instead of %s", #call, result_, WSAGetLastError(), #number);             \
        }                                                                                                      \
    } while (0)

#define WORKS(call)                                                      \
    do {                                                                 \
        if ((call) == SOCKET_ERROR) {                                    \
            FAIL("%s failed with %d", #call, WSAGetLastError());         \
        }                                                                \
    } while (0)

/* A TCP socket. */
SOCKET new_socket(void);

/* One of the type that listens on a port of 127.0.0.1, or for datagrams is bound to one; its address. */
SOCKET listening(int type, struct sockaddr_in *address);

/* An address where nobody listens. */
struct sockaddr_in nowhere(void);

/* A connection within this process: ours[0] has connected, ours[1] been accepted. */
void connected_pair(SOCKET ours[2]);

/* setsockopt with a DWORD. */
int set_dword(SOCKET s, int level, int name, DWORD value);

/* getsockopt of a DWORD, which has to succeed. */
DWORD get_dword(SOCKET s, int level, int name);

/* A socket with SO_SECURE. */
SOCKET secure_socket(void);

/* Such a socket after the handshake with the peer, which has been told its order. */
SOCKET connected_to_peer(const char *order);

/* It has ended as it should. */
void await_child(pid_t child);

/* Runs in another thread; returns when that has begun. */
void in_thread(pthread_t *thread, void *(*run)(void *), void *argument);

/* Of a thread that is about to wait in the kernel: returns when it does. */
void await_sleep(void);

void agrees_on_versions(const struct way *);
void sockets_have_numbers_of_their_own(const struct way *);
void what_is_no_socket_is_told(const struct way *);
void pointers_that_lead_nowhere_do_no_harm(const struct way *);
void connections_come_and_are_told_by_name(const struct way *);
void connects_without_waiting(const struct way *);
void times_run_out(const struct way *);
void no_limit_of_send_is_one_of_connect(const struct way *);
void closing_wakes_who_waits(const struct way *);
void signals_do_not_show(const struct way *);
void the_end_of_a_connection_is_told_apart(const struct way *);
void datagrams_have_senders(const struct way *);
void one_buffer_is_sent_and_received(const struct way *);
void options_are_read_back(const struct way *);
void control_codes_answer(const struct way *);

void connect_makes_the_handshake(const struct way *);
void connect_waits_although_it_should_not(const struct way *);
void the_hook_decides(const struct way *);
void a_peer_without_tls_gets_nothing_in_clear(const struct way *);
void deferred_it_begins_in_clear(const struct way *);
void deferred_and_refused_nothing_follows(const struct way *);
void after_a_refused_connection_another_is_tried(const struct way *);
void secure_is_set_before_connect(const struct way *);
void secure_is_taken_back(const struct way *);
void a_held_socket_looks_unconnected(const struct way *);
void a_held_socket_is_bound(const struct way *);
void secure_sockets_are_no_servers(const struct way *);
void the_name_is_that_of_the_look_up(const struct way *);
void a_secure_connection_is_as_any_other(const struct way *);
void a_broken_secure_connection_has_its_reason(const struct way *);
void what_was_sent_arrives_after_closesocket(const struct way *);
void what_was_sent_arrives_although_something_was_not_read(const struct way *);
void what_was_sent_arrives_although_the_process_ends(const struct way *);

void a_handshake_without_so_secure_ends_the_connection(const struct way *);
void a_handshake_that_is_overlapped_ends_the_connection(const struct way *);
void a_handshake_in_a_forked_child_ends_the_connection(const struct way *);
void a_handshake_in_a_forked_child_leaves_its_parents_tls_alone(const struct way *);
void a_socket_whose_handshake_failed_is_not_connected_again(const struct way *);
void explicit_sessions_are_not_for_plain_send(const struct way *);

#endif
