/*
 * Winsock's socket calls, as programs that were written for Windows CE see them: what they do, and the numbers of their
 * errors. The peers are real ones, on loopback.
 */
#define _GNU_SOURCE

#include "winsock/tests.h"

#include <string.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"agrees_on_versions", agrees_on_versions, NULL, 0},
        {"sockets_have_numbers_of_their_own", sockets_have_numbers_of_their_own, NULL, 0},
        {"what_is_no_socket_is_told", what_is_no_socket_is_told, NULL, 0},
        {"pointers_that_lead_nowhere_do_no_harm", pointers_that_lead_nowhere_do_no_harm, NULL, 0},
        {"connections_come_and_are_told_by_name", connections_come_and_are_told_by_name, NULL, 0},
        {"connects_without_waiting", connects_without_waiting, NULL, 0},
        {"times_run_out", times_run_out, NULL, 0},
        {"no_limit_of_send_is_one_of_connect", no_limit_of_send_is_one_of_connect, NULL, 0},
        {"closing_wakes_who_waits", closing_wakes_who_waits, NULL, 0},
        {"signals_do_not_show", signals_do_not_show, NULL, 0},
        {"the_end_of_a_connection_is_told_apart", the_end_of_a_connection_is_told_apart, NULL, 0},
        {"datagrams_have_senders", datagrams_have_senders, NULL, 0},
        {"one_buffer_is_sent_and_received", one_buffer_is_sent_and_received, NULL, 0},
        {"options_are_read_back", options_are_read_back, NULL, 0},
        {"control_codes_answer", control_codes_answer, NULL, 0},
        {"connect_makes_the_handshake", connect_makes_the_handshake, NULL, 0},
        {"connect_waits_although_it_should_not", connect_waits_although_it_should_not, NULL, 0},
        {"the_hook_decides", the_hook_decides, NULL, 0},
        {"a_peer_without_tls_gets_nothing_in_clear", a_peer_without_tls_gets_nothing_in_clear, NULL, 0},
        {"deferred_it_begins_in_clear", deferred_it_begins_in_clear, NULL, 0},
        {"deferred_and_refused_nothing_follows", deferred_and_refused_nothing_follows, NULL, 0},
        {"after_a_refused_connection_another_is_tried", after_a_refused_connection_another_is_tried, NULL, 0},
        {"secure_is_set_before_connect", secure_is_set_before_connect, NULL, 0},
        {"secure_is_taken_back", secure_is_taken_back, NULL, 0},
        {"a_held_socket_looks_unconnected", a_held_socket_looks_unconnected, NULL, 0},
        {"a_held_socket_is_bound", a_held_socket_is_bound, NULL, 0},
        {"secure_sockets_are_no_servers", secure_sockets_are_no_servers, NULL, 0},
        {"the_name_is_that_of_the_look_up", the_name_is_that_of_the_look_up, NULL, 0},
        {"a_secure_connection_is_as_any_other", a_secure_connection_is_as_any_other, NULL, 0},
        {"a_broken_secure_connection_has_its_reason", a_broken_secure_connection_has_its_reason, NULL, 0},
        {"what_was_sent_arrives_after_closesocket", what_was_sent_arrives_after_closesocket, NULL, 0},
        {"what_was_sent_arrives_although_something_was_not_read",
         what_was_sent_arrives_although_something_was_not_read, NULL, 0},
        {"what_was_sent_arrives_although_the_process_ends", what_was_sent_arrives_although_the_process_ends, NULL, 0},
        {"a_handshake_without_so_secure_ends_the_connection",
         a_handshake_without_so_secure_ends_the_connection, NULL, 0},
        {"a_handshake_that_is_overlapped_ends_the_connection",
         a_handshake_that_is_overlapped_ends_the_connection, NULL, 0},
        {"a_handshake_in_a_forked_child_ends_the_connection",
         a_handshake_in_a_forked_child_ends_the_connection, NULL, 0},
        {"a_handshake_in_a_forked_child_leaves_its_parents_tls_alone",
         a_handshake_in_a_forked_child_leaves_its_parents_tls_alone, NULL, 0},
        {"a_socket_whose_handshake_failed_is_not_connected_again",
         a_socket_whose_handshake_failed_is_not_connected_again, NULL, 0},
        {"explicit_sessions_are_not_for_plain_send", explicit_sessions_are_not_for_plain_send, NULL, 0},
        {NULL, NULL, NULL, 0},
    };

    return run_tests(argc, argv, tests);
}

SOCKET new_socket(void)
{
    SOCKET s = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);

    CHECK(s != INVALID_SOCKET);
    return s;
}

SOCKET listening(int type, struct sockaddr_in *address)
{
    SOCKET s = socket(AF_INET, type, 0);
    int length = sizeof *address;

    CHECK(s != INVALID_SOCKET);
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    WORKS(bind(s, (struct sockaddr *)address, sizeof *address));
    if (type == SOCK_STREAM) {
        WORKS(listen(s, SOMAXCONN));
    }
    WORKS(getsockname(s, (struct sockaddr *)address, &length));
    CHECK(length == sizeof *address && address->sin_port != 0);
    return s;
}

struct sockaddr_in nowhere(void)
{
    struct sockaddr_in address;
    int length = sizeof address;
    SOCKET s = new_socket();

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    /* Bound, and so nobody else's, as long as the process lives. */
    WORKS(bind(s, (struct sockaddr *)&address, sizeof address));
    WORKS(getsockname(s, (struct sockaddr *)&address, &length));
    return address;
}

void connected_pair(SOCKET ours[2])
{
    struct sockaddr_in address;
    SOCKET listener = listening(SOCK_STREAM, &address);

    ours[0] = new_socket();
    WORKS(connect(ours[0], (struct sockaddr *)&address, sizeof address));
    ours[1] = accept(listener, NULL, NULL);
    CHECK(ours[1] != INVALID_SOCKET);
    WORKS(closesocket(listener));
}

int set_dword(SOCKET s, int level, int name, DWORD value)
{
    return setsockopt(s, level, name, (const char *)&value, sizeof value);
}

DWORD get_dword(SOCKET s, int level, int name)
{
    DWORD value = 0xdddddddd;
    int length = sizeof value;

    WORKS(getsockopt(s, level, name, (char *)&value, &length));
    CHECK(length == sizeof value);
    return value;
}

SOCKET secure_socket(void)
{
    SOCKET s = new_socket();

    WORKS(set_dword(s, SOL_SOCKET, SO_SECURE, SO_SEC_SSL));
    return s;
}

struct start {
    void *(*run)(void *);
    void *argument;
    /* /proc's name of the thread. */
    char folder[64];
    int has_begun;
    pthread_mutex_t lock;
    pthread_cond_t begun;
};

static struct start start = {.lock = PTHREAD_MUTEX_INITIALIZER, .begun = PTHREAD_COND_INITIALIZER};

static void *begin(void *unused)
{
    void *(*run)(void *) = start.run;
    void *argument = start.argument;

    (void)unused;
    pthread_mutex_lock(&start.lock);
    snprintf(start.folder, sizeof start.folder, "/proc/self/task/%d/stat", (int)gettid());
    start.has_begun = 1;
    pthread_cond_signal(&start.begun);
    pthread_mutex_unlock(&start.lock);
    return run(argument);
}

void await_child(pid_t child)
{
    int status = 0;

    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void in_thread(pthread_t *thread, void *(*run)(void *), void *argument)
{
    start.run = run;
    start.argument = argument;
    start.has_begun = 0;
    CHECK(pthread_create(thread, NULL, begin, NULL) == 0);
    pthread_mutex_lock(&start.lock);
    while (!start.has_begun) {
        pthread_cond_wait(&start.begun, &start.lock);
    }
    pthread_mutex_unlock(&start.lock);
}

void await_sleep(void)
{
    char line[512];
    int asleep = 0;

    /* Ten times in a row, for it may wait for a moment elsewhere. */
    while (asleep < 10) {
        FILE *file = fopen(start.folder, "r");
        const char *state;

        CHECK(file != NULL && fgets(line, sizeof line, file) != NULL);
        state = strrchr(line, ')');
        CHECK(state != NULL);
        asleep = state[2] == 'S' ? asleep + 1 : 0;
        CHECK(fclose(file) == 0);
        sleep_ms(1);
    }
}
