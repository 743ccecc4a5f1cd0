/* Our side of one connection of the soak. */
#ifndef SSLSOCK_SOAK_CONNECTION_H
#define SSLSOCK_SOAK_CONNECTION_H

#include <stdatomic.h>

#include <sslsock.h>

#include "plan.h"

enum state { EMPTY, CALLED, GREETING, HANDSHAKE, OPEN, DONE };

struct connection {
    struct plan plan;
    enum state state;
    int fd;
    ssl_socket *s;
    /* While the handshake waits for it. */
    int transport;
    struct dice sending_dice, receiving_dice;
    uint64_t up_key, down_key;
    struct stall stall;
    uint64_t resume;
    uint64_t last_progress;

    /* How much was accepted, how much has come, how both ended. */
    uint64_t sent;
    uint64_t got;
    enum end end;
    int send_errno;
    bool sending_over;
    bool has_shut_down;
    /* The first call of ssl_shutdown would have blocked. */
    bool notifying;
    bool unsent;
    bool handshake_made;
    /* What the handle says at the end: -1 if it was gone by then. */
    int32_t code;
    char text[200];

    bool ready;
    bool again;
    uint32_t events;
    /* The threads of the program's are through with it. */
    atomic_bool over;
    bool judged;
    struct outcome theirs;
    bool theirs_is_there;
};

extern uint64_t soak_seed;

void connection_begin(struct connection *c, uint64_t number);

/* Says once what is not as promised, with the plan, and makes the soak fail. The format is printf's. */
void soak_failed(const struct connection *c, const char *format, ...);
bool soak_has_failed(void);

/* The handle, with its flags. */
void connection_secure(struct connection *c);

enum progress { MOVED, BLOCKED, OVER };

/* One call each, and what follows where all has been sent or the end has come. `blocks`: the call may wait. */
enum progress send_piece(struct connection *c, unsigned char *buffer);
enum progress receive_piece(struct connection *c, unsigned char *buffer);

/* How far each direction is to go by the plan as things are. */
uint64_t to_send(const struct connection *c);
bool is_to_receive(const struct connection *c);

/* Whether all that the plan wants of our direction has been sent, and what has to be done then: a half-close, or nothing. */
enum progress end_sending(struct connection *c);

/* All that there is to do has been done. */
bool may_close(const struct connection *c);

/* Frees and closes in the order of the plan. */
void connection_close(struct connection *c);

/* After a handshake that failed: whether the descriptor is as dead as it has to be. */
void expect_dead(struct connection *c);

/* The whole connection by calls that wait, in threads that are kept for it. */
void blocking_begin(void);
void blocking_hand_over(struct connection *c);

/* Compares what either side has seen with what the documents promise. */
void judge(const struct connection *c);

#endif
