#include "ways.h"

#include <stddef.h>
#include <string.h>

#include <sslsock.h>

const struct way transparent_ways[] = {
    {"IPv4", "SSLSOCK_PEER", 0},
    {"IPv4, Unix pair", "SSLSOCK_PEER", SSL_FLAG_UNIX_PAIR},
    {"IPv6", "SSLSOCK_PEER6", 0},
    {"IPv6, Unix pair", "SSLSOCK_PEER6", SSL_FLAG_UNIX_PAIR},
    {"Unix", "SSLSOCK_PEER_UNIX", 0},
    {NULL, NULL, 0},
};

const struct way pair_ways[] = {
    {"IPv4", "SSLSOCK_PEER", 0},
    {"IPv4, Unix pair", "SSLSOCK_PEER", SSL_FLAG_UNIX_PAIR},
    {NULL, NULL, 0},
};

const struct way transparent_ways_and_versions[] = {
    {"IPv4", "SSLSOCK_PEER", 0},
    {"IPv4, Unix pair", "SSLSOCK_PEER", SSL_FLAG_UNIX_PAIR},
    {"IPv4, TLS 1.2", "SSLSOCK_PEER_TLS12", 0},
    {"IPv4, Unix pair, TLS 1.2", "SSLSOCK_PEER_TLS12", SSL_FLAG_UNIX_PAIR},
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

int is_unix_connection(const struct way *way)
{
    return strcmp(way->peer, "SSLSOCK_PEER_UNIX") == 0;
}

int has_unix_pair(const struct way *way)
{
    return is_unix_connection(way) || (way->flags & SSL_FLAG_UNIX_PAIR) != 0;
}
