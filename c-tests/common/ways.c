#include "ways.h"

#include <stddef.h>

#include <sslsock.h>

const struct way transparent_ways[] = {
    {"IPv4", "SSLSOCK_PEER", 0},
    {"IPv4, Unix pair", "SSLSOCK_PEER", SSL_FLAG_UNIX_PAIR},
    {"IPv6", "SSLSOCK_PEER6", 0},
    {"IPv6, Unix pair", "SSLSOCK_PEER6", SSL_FLAG_UNIX_PAIR},
    {"Unix", "SSLSOCK_PEER_UNIX", 0},
    {NULL, NULL, 0},
};

const struct way usual_way[] = {
    {"IPv4", "SSLSOCK_PEER", 0},
    {NULL, NULL, 0},
};

const struct way each_mode[] = {
    {"IPv4", "SSLSOCK_PEER", 0},
    {"IPv4, Unix pair", "SSLSOCK_PEER", SSL_FLAG_UNIX_PAIR},
    {"IPv4, explicit", "SSLSOCK_PEER", SSL_FLAG_EXPLICIT_IO},
    {NULL, NULL, 0},
};

const struct way explicit_ways[] = {
    {"IPv4, explicit", "SSLSOCK_PEER", SSL_FLAG_EXPLICIT_IO},
    {"IPv6, explicit", "SSLSOCK_PEER6", SSL_FLAG_EXPLICIT_IO},
    {"Unix, explicit", "SSLSOCK_PEER_UNIX", SSL_FLAG_EXPLICIT_IO},
    {NULL, NULL, 0},
};
