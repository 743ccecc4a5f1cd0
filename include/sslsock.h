/* sslsock: turn a live TCP socket into TLS and go on using send and recv on the same descriptor.
 *
 * Generated from the library's sources; this file is the specification of the ABI.
 *
 * Conventions
 *
 * Results. 0 is success; anything else is an SSL_ERR_* code, or a negative value that the program's
 * own certificate hook chose. ssl_send and ssl_recv answer like send and recv, with errno.
 *
 * Handles. An ssl_socket * is a checked token and never dereferenced. NULL, garbage, a freed handle
 * and one that was freed twice answer SSL_ERR_BAD_HANDLE; one made before a fork answers
 * SSL_ERR_FORKED in the child.
 *
 * Arguments. Inputs come first, outputs last. What goes in is copied; outputs are written only on
 * success, with one exception: SSL_ERR_BUFFER writes the length that is needed. NULL where a pointer
 * is needed answers SSL_ERR_INVALID. Strings are UTF-8 and NUL-terminated. Structures begin with
 * their size, set by the caller.
 *
 * Threads. Every function may be called from any thread. On one handle one thread may send while
 * another receives; everything else on it takes its turn. Inside a hook of it the ssl_get_*
 * functions may be called for the same handle, everything else answers SSL_ERR_REENTRANT.
 *
 * The library never prints, never ends the process, never changes signal handlers. Its own threads
 * block all signals. No function raises SIGPIPE, but in transparent mode the program's own send can,
 * as on any socket.
 */


#ifndef SSLSOCK_H
#define SSLSOCK_H

#include <stddef.h>
#include <stdint.h>


// Success; from a certificate hook: accept the certificate (Windows CE).
#define SSL_ERR_OKAY 0

// Refused without a particular reason (Windows CE).
#define SSL_ERR_FAILED 2

// Wrong length (Windows CE).
#define SSL_ERR_BAD_LEN 3

// Not an X.509 certificate (Windows CE).
#define SSL_ERR_BAD_TYPE 4

// The certificate, PEM file or key cannot be read as such (Windows CE).
#define SSL_ERR_BAD_DATA 5

// There is no certificate where one is needed (Windows CE).
#define SSL_ERR_NO_CERT 6

// A signature is wrong (Windows CE).
#define SSL_ERR_BAD_SIG 7

// The certificate, or one above it, has expired (Windows CE).
#define SSL_ERR_CERT_EXPIRED 8

// The certificate has been revoked (Windows CE).
#define SSL_ERR_CERT_REVOKED 9

// The issuer is not trusted, or the certificate is of no use here (Windows CE).
#define SSL_ERR_CERT_UNKNOWN 10

// The program's signature function has not signed, or not rightly (Windows CE).
#define SSL_ERR_SIGNATURE 11

// NULL, garbage, a freed handle: not a live handle.
#define SSL_ERR_BAD_HANDLE 100

// An argument is wrong; nothing was changed.
#define SSL_ERR_INVALID 101

// Not now: the call does not fit what has happened on this handle so far.
#define SSL_ERR_STATE 102

// No peer name: without it any certificate would do.
#define SSL_ERR_NO_NAME 103

// Not supported, and ignoring it would be unsafe.
#define SSL_ERR_UNSUPPORTED 104

// Called from inside a hook of the same handle.
#define SSL_ERR_REENTRANT 105

// The buffer is too small; the length needed has been written.
#define SSL_ERR_BUFFER 106

// The handle was made before a fork and belongs to the parent process.
#define SSL_ERR_FORKED 107

// Would block: call again when the socket can be read.
#define SSL_ERR_WANT_READ 110

// Would block: call again when the socket can be written.
#define SSL_ERR_WANT_WRITE 111

// The certificate awaits the program's decision.
#define SSL_ERR_WANT_VALIDATION 112

// A time limit ran out.
#define SSL_ERR_TIMEOUT 113

// Another thread has called ssl_cancel_handshake.
#define SSL_ERR_CANCELLED 114

// A system call failed; ssl_error_info has its errno.
#define SSL_ERR_IO 120

// The peer reset the connection.
#define SSL_ERR_RESET 121

// The connection ended without close_notify: data may be missing.
#define SSL_ERR_TRUNCATED 122

// The peer speaks plaintext; the text quotes it.
#define SSL_ERR_NOT_TLS 123

// Plaintext was queued before the handshake began: STARTTLS injection, or an answer not read.
#define SSL_ERR_EARLY_DATA 124

// The peer broke the TLS protocol, or has nothing in common with this side.
#define SSL_ERR_PROTOCOL 130

// The peer sent a TLS alert; ssl_error_info says which.
#define SSL_ERR_ALERT 131

// No earlier session was resumed although SSL_FLAG_REQUIRE_RESUMPTION is set.
#define SSL_ERR_NOT_RESUMED 132

// The certificate is for other names.
#define SSL_ERR_NAME 140

// The certificate is not valid yet.
#define SSL_ERR_NOT_YET_VALID 141

// The certificate's key is none of those set with ssl_add_pin; the text has the actual pin.
#define SSL_ERR_PIN 142

// A mistake inside the library.
#define SSL_ERR_INTERNAL 199

// No error.
#define SSL_CATEGORY_NONE 0

// The peer's certificate, or the one of this side.
#define SSL_CATEGORY_CERTIFICATE 1

// The program called the library wrongly.
#define SSL_CATEGORY_USAGE 2

// Nothing is wrong: try again when the socket is ready.
#define SSL_CATEGORY_WOULD_BLOCK 3

// The network or the system.
#define SSL_CATEGORY_IO 4

// The peer does not do what a TLS peer does at this point.
#define SSL_CATEGORY_PEER 5

// TLS itself.
#define SSL_CATEGORY_PROTOCOL 6

// A bug of the library.
#define SSL_CATEGORY_INTERNAL 7

// The server role (Windows CE).
#define SSL_FLAG_SERVER 2

// Server: demand a client certificate (Windows CE). Whom to believe is said by ssl_add_trust_* or
// by the certificate hook: the built-in roots do not vouch for clients, and with neither the
// handshake fails with SSL_ERR_INVALID. The certificate has to be one for client authentication; no
// name is looked at. A client that has none is SSL_ERR_NO_CERT, whatever a hook would say.
// Without this flag and SSL_FLAG_ASK_CLIENT everybody is let in, whatever trust and hook are set.
#define SSL_FLAG_AUTH_CLIENT 4

// The socket stays plain until ssl_perform_handshake (Windows CE).
#define SSL_FLAG_DEFER_HANDSHAKE 8

// Leave the descriptor alone: data goes through ssl_send and ssl_recv only.
#define SSL_FLAG_EXPLICIT_IO 65536

// ssl_perform_handshake answers SSL_ERR_WANT_READ or SSL_ERR_WANT_WRITE rather than wait, and
// SSL_ERR_WANT_VALIDATION if the certificate hook has answered that: see ssl_complete_validation.
#define SSL_FLAG_NONBLOCKING 131072

// The certificate hook can refuse, but not accept what verification found wrong.
#define SSL_FLAG_STRICT 262144

// The end of the connection without close_notify is a normal end of file.
#define SSL_FLAG_ALLOW_TRUNCATION 524288

// Transparent mode: use an AF_UNIX pair, which is cheaper but no TCP socket.
#define SSL_FLAG_UNIX_PAIR 1048576

// Client: the handshake fails with SSL_ERR_NOT_RESUMED unless it resumes an earlier session. If
// there is none to offer nothing is sent; if the server does not take it no client certificate is.
// SSL_ERR_INVALID together with SSL_FLAG_NO_RESUMPTION or SSL_FLAG_SERVER.
#define SSL_FLAG_REQUIRE_RESUMPTION 2097152

// Neither offer nor keep sessions; a server gives out no tickets.
#define SSL_FLAG_NO_RESUMPTION 4194304

// Server: ask for a client certificate, but let in who has none. One that is shown is verified as
// with SSL_FLAG_AUTH_CLIENT.
#define SSL_FLAG_ASK_CLIENT 8388608

// Offer no post-quantum key exchange (X25519MLKEM768), for peers that choke on a large
// ClientHello.
#define SSL_FLAG_NO_POST_QUANTUM 16777216

// Transparent mode: the program promises that when the handshake is asked for no other descriptor
// of the process refers to the connection, no epoll instance watches it, and no thread waits on it.
// Then none is looked for, the upgrade costs the same however many descriptors are open, and it
// needs no /proc. Afterwards the program may duplicate and watch the descriptor as it likes. A
// promise that is broken goes unnoticed: what is sent through a duplicate leaves in clear, a thread
// that waits takes what is meant for TLS, and an epoll instance goes on reporting the records
// that come instead of what there is to read. What is sent on the descriptor itself never leaves in
// clear. It changes nothing with SSL_FLAG_EXPLICIT_IO, which leaves descriptors alone anyway.
#define SSL_FLAG_SOLE_DESCRIPTOR 33554432

// The hook's `type`: the certificates are X.509 in DER (Windows CE).
#define SSL_CERT_X509 1

// The hook's `flags`: something is wrong, be it issuer, name or dates (Windows CE).
#define SSL_CERT_FLAG_ISSUER_UNKNOWN 1

// The hook's `flags`: hash the source as the scheme says, then sign it (Windows CE).
#define SSL_SIGN_PERFORM_HASH 2

// TLS 1.2.
#define SSL_PROTOCOL_TLS1_2 771

// TLS 1.3.
#define SSL_PROTOCOL_TLS1_3 772

// The time of the call.
#define SSL_TIME_NOW INT64_MIN

// The whole handshake, without the time spent in hooks; 30 s by default.
#define SSL_TIMEOUT_HANDSHAKE 1

// Waiting for the peer's last words when a connection is closed; 5 s by default.
#define SSL_TIMEOUT_CLOSE 2

// The peer of the real connection.
#define SSL_ADDRESS_PEER 1

// This side of the real connection.
#define SSL_ADDRESS_LOCAL 2

// Transparent, the program's end is a loopback TCP socket.
#define SSL_DATAPATH_TRANSPARENT_TCP 1

// Transparent, the program's end is an AF_UNIX socket.
#define SSL_DATAPATH_TRANSPARENT_UNIX 2

// ssl_send and ssl_recv do the TLS on the program's thread.
#define SSL_DATAPATH_EXPLICIT 3

// No certificate has been seen.
#define SSL_VERDICT_NOT_AVAILABLE 0

// Everything is in order.
#define SSL_VERDICT_TRUSTED 1

// Something is wrong, and the handshake failed because of it.
#define SSL_VERDICT_NOT_TRUSTED 2

// Something is wrong, and the hook accepted it.
#define SSL_VERDICT_ACCEPTED_BY_HOOK 3

// The issuer is not trusted, or the chain does not lead to one that is.
#define SSL_CAUSE_ISSUER_UNKNOWN 1

// The certificate is for other names.
#define SSL_CAUSE_NAME 2

// Expired.
#define SSL_CAUSE_EXPIRED 4

// Not valid yet.
#define SSL_CAUSE_NOT_YET_VALID 8

// Revoked.
#define SSL_CAUSE_REVOKED 16

// Not for a server (or a client, in a server), or a CA certificate used as one.
#define SSL_CAUSE_USAGE 32

// A signature in the chain is wrong.
#define SSL_CAUSE_SIGNATURE 64

// A key or signature algorithm that is not accepted.
#define SSL_CAUSE_WEAK_KEY 128

// Not a certificate that can be verified, such as X.509 version 1.
#define SSL_CAUSE_MALFORMED 256

// The key is none of those set with ssl_add_pin. A hook cannot accept that.
#define SSL_CAUSE_PIN 512

// Revocation lists were given, and they do not say whether the certificate has been revoked: there
// is none of its issuer, or it is out of date.
#define SSL_CAUSE_REVOCATION_UNKNOWN 1024

// The name that was asked for.
#define SSL_TEXT_EXPECTED 1

// The names that the certificate is for, one per index.
#define SSL_TEXT_PRESENTED 2

// The subject, as "CN=..., O=...".
#define SSL_TEXT_SUBJECT 3

// The issuer, in the same form.
#define SSL_TEXT_ISSUER 4

// All that is wrong, as one text; empty if nothing is.
#define SSL_TEXT_SUMMARY 5

// Logging off.
#define SSL_LOG_OFF 0

// Failed handshakes.
#define SSL_LOG_ERROR 1

// Certificates accepted by a hook despite what verification found.
#define SSL_LOG_WARNING 2

// Established sessions.
#define SSL_LOG_INFO 3

// What a program says with OutputDebugString and RETAILMSG (Windows CE).
#define SSL_LOG_DEBUG 4

// The version of the ABI that this header describes: major << 16 | minor. Compare it with
// ssl_abi_version(): the major numbers must be equal, the library's minor number not smaller.
#define SSL_ABI_VERSION 5

// A handle: a checked token, never an address. NULL, garbage and freed handles are told apart
// from live ones and answered with SSL_ERR_BAD_HANDLE.
typedef struct ssl_socket ssl_socket;

// A block of bytes (Windows CE: BLOB).
typedef struct {
    // How many bytes `pBlobData` points to.
    uint32_t cbSize;
    // The bytes; read only.
    uint8_t *pBlobData;
} ssl_blob;

// The certificate hook (Windows CE: SSLVALIDATECERTFUNC).
//
// It is called once per handshake, on the thread that asked for the handshake, with no lock held,
// after the handshake signature has been checked and before anything of ours that depends on the
// answer is sent. It may take as long as it likes: its time does not count. `type` is
// SSL_CERT_X509; `arg` is what was given to ssl_set_validate_cert_hook; `chain_len` is 1 and
// `chain` the peer's own certificate in DER, valid during the call only; `flags` has
// SSL_CERT_FLAG_ISSUER_UNKNOWN set if anything is wrong: issuer, name, dates or form.
//
// It answers SSL_ERR_OKAY (0) to accept the certificate, whatever is wrong with it (but not a key
// that is too weak or not among the pins), anything else to refuse. With SSL_FLAG_NONBLOCKING
// SSL_ERR_WANT_VALIDATION means that ssl_complete_validation will bring the answer. Inside it only
// the ssl_get_* functions may be called for the same handle. It must return: an exception or
// longjmp through the library is undefined.
typedef int32_t (*ssl_validate_cert_fn)(uint32_t type,
                                        void *arg,
                                        uint32_t chain_len,
                                        const ssl_blob *chain,
                                        uint32_t flags);

// What verification found. Set `size` to sizeof(ssl_verify_report) before the call.
typedef struct {
    // In: sizeof. Out: how much the library filled.
    uint32_t size;
    // SSL_VERDICT_*; inside the hook, and as long as its answer is awaited, what verification says
    // by itself.
    uint32_t verdict;
    // SSL_CAUSE_* bits: everything that is wrong at once.
    uint32_t causes;
    // How many certificates the peer sent: see ssl_get_peer_certificate.
    uint32_t chain_len;
    // Start of the certificate's validity in Unix seconds.
    int64_t not_before;
    // End of the certificate's validity in Unix seconds.
    int64_t not_after;
    // SHA-256 of the certificate's SubjectPublicKeyInfo, for pinning.
    uint8_t spki_sha256[32];
} ssl_verify_report;

// Signs with a private key that the library does not see, such as one in a smart card or a
// hardware module (Windows CE: SSLSIGNATUREFUNC, with the schemes of today).
//
// It is called on the thread that asked for the handshake, with no lock held; its time does not
// count. In a client that may be before the certificate hook is called: what it signs does not
// leave before the latter has accepted the server. `type` is the signature scheme as in RFC 8446,
// section 4.2.3 (0x0403 ecdsa_secp256r1_sha256, 0x0804 rsa_pss_rsae_sha256, ...); `arg` is what
// was given with the hook; `source` has the `source_len` bytes to be signed, not hashed yet;
// `flags` is SSL_SIGN_PERFORM_HASH. `*dest_len` is the capacity of `dest`, at least 1,024, and
// becomes the length of the signature (ECDSA in DER).
//
// It answers SSL_ERR_OKAY, or anything else to fail the handshake with SSL_ERR_SIGNATURE. So does
// what is no signature by the certificate's key, before anything of it is sent. Inside
// it only the ssl_get_* functions may be called for the same handle. It must return: an exception
// or longjmp through the library is undefined.
typedef int32_t (*ssl_signature_fn)(uint32_t type,
                                    void *arg,
                                    const uint8_t *source,
                                    uint32_t source_len,
                                    uint32_t flags,
                                    uint8_t *dest,
                                    uint32_t *dest_len);

// The hook that chooses a client certificate (Windows CE: SSLAUTHREQUESTFUNC).
//
// It is called at most once per handshake, when the server asks for a certificate, on the thread
// that asked for the handshake, with no lock held; its time does not count. That may be before the
// certificate hook is called: what it answers does not leave before the latter has accepted the
// server. `type` is SSL_CERT_X509; `arg` is what was given to ssl_set_auth_request_hook; `issuers`
// has the distinguished names in DER of the CAs that the server accepts, none if it does not say;
// `flags` is 0. All are valid during the call only.
//
// It answers SSL_ERR_OKAY with a chain, leaf first, in DER: `*chain` points to `*chain_len` blobs,
// 32 at most and 64 KiB in all, which the library copies as soon as the hook has returned. The
// leaf must be that of an identity set on the handle (ssl_set_identity_*, ssl_add_identity_*),
// whose key then signs, and by itself stands for the whole chain of that; or the signature hook
// (SO_SSL_SET_SIGNATURE_HOOK) has to hold the key. With `*chain_len` left 0 the library chooses
// among the handle's identities as without a hook. SSL_ERR_NO_CERT: go on without a certificate.
// Anything else ends the handshake with that result, as from the certificate hook. Inside it only
// the ssl_get_* functions may be called for the same handle. It must return: an exception or
// longjmp through the library is undefined.
typedef int32_t (*ssl_auth_request_fn)(uint32_t type,
                                       void *arg,
                                       uint32_t issuer_count,
                                       const ssl_blob *issuers,
                                       uint32_t flags,
                                       uint32_t *chain_len,
                                       ssl_blob **chain);

// What was agreed in the handshake. Set `size` to sizeof(ssl_session_info) before the call.
typedef struct {
    // In: sizeof. Out: how much the library filled.
    uint32_t size;
    // SSL_DATAPATH_*.
    uint32_t datapath;
    // The version as on the wire: 0x0303 for TLS 1.2, 0x0304 for TLS 1.3.
    uint16_t protocol;
    // The cipher suite's IANA number.
    uint16_t suite;
    // The key-exchange group's IANA number.
    uint16_t group;
    // 1 if an earlier session was resumed.
    uint8_t resumed;
    // How many bytes of `alpn` count.
    uint8_t alpn_len;
    // The application protocol agreed by ALPN, not NUL-terminated.
    uint8_t alpn[256];
    // As "TLSv1.3", NUL-terminated.
    char protocol_name[16];
    // As "TLS_AES_128_GCM_SHA256", NUL-terminated.
    char suite_name[64];
    // As "X25519", NUL-terminated.
    char group_name[32];
} ssl_session_info;

// One consistent picture of an error. Set `size` to sizeof(ssl_error_info) before the call.
typedef struct {
    // In: sizeof. Out: how much the library filled.
    uint32_t size;
    // SSL_ERR_*, or the certificate hook's own value.
    int32_t code;
    // SSL_CATEGORY_*.
    uint32_t category;
    // The errno of the system call that failed, or 0.
    int32_t sys_errno;
    // The number of the TLS alert received, or -1.
    int32_t tls_alert;
    // 1 if the certificate hook chose `code`.
    uint32_t from_hook;
} ssl_error_info;

// What is shown and asked in the place of Windows's MessageBox: called on the thread that called
// MessageBox, with no lock held; it may take as long as the user does. `owner` is the program's
// window handle, which the library does not look at; `text` and `caption` are UTF-8,
// NUL-terminated and valid during the call only; `type` holds Windows's MB_* bits. Answers the
// button that was chosen, as IDOK (1), IDCANCEL (2), IDYES (6) or IDNO (7).
typedef int32_t (*ssl_message_box_fn)(void *arg,
                                      void *owner,
                                      const char *text,
                                      const char *caption,
                                      uint32_t type);

// The log callback: called on the program's own threads, inside a call to the library, with no
// lock held. `message` is UTF-8, NUL-terminated and valid during the call only. It never holds
// secrets or payload.
typedef void (*ssl_log_fn)(void *arg, uint32_t level, const char *message);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Makes a handle for the stream socket `fd` (TCP over IPv4 or IPv6, or AF_UNIX), connected or
// not yet. The descriptor stays the program's: the library never closes it. Settings start with
// a copy of those of ssl_defaults().
//
// Answers NULL on failure; ssl_get_error(NULL) and ssl_get_error_text(NULL, ...) say why:
// SSL_ERR_INVALID if `fd` is something else, SSL_ERR_STATE if it has a live handle already. On a
// descriptor that has been upgraded transparently a new handle is allowed (TLS within TLS).
// Free it with ssl_socket_free. Any thread.
ssl_socket *ssl_socket_new(int32_t fd);

// Finds the live handle of the descriptor `fd`, by what the descriptor refers to and not by its
// number, and writes it to `s`. SSL_ERR_BAD_HANDLE if there is none. Any thread.
int32_t ssl_socket_from_fd(int32_t fd, ssl_socket **s);

// The handle of the defaults. It takes the setters only (ssl_set_*, ssl_add_*,
// ssl_use_system_trust) and ssl_verify_chain; handles made later start with a copy of what was
// set. It lives as long as the process. In a forked child it is another handle, with the same
// settings. NULL on failure. Any thread.
ssl_socket *ssl_defaults(void);

// Makes a handle that takes settings only, like that of the defaults, and has no connection: for
// ssl_verify_chain. It starts with a copy of the settings of ssl_defaults(). NULL on failure. Free
// it with ssl_socket_free. Any thread.
ssl_socket *ssl_settings_new(void);

// Frees a handle; it is stale from then on, and every use of it answers SSL_ERR_BAD_HANDLE.
//
// The descriptor is not closed. One that was upgraded transparently goes on carrying TLS until
// the program closes it. In explicit mode the session ends: close_notify is sent, our direction
// of the connection is shut down, and what the peer still sends is read and dropped for at most
// the close timeout. A handle that does not block does not wait here either. What was left to be
// done then is done by a thread of the library, which gives up on a peer that takes nothing for
// two minutes; the descriptor may be closed meanwhile. Calls and handshakes in progress on other
// threads fail, and what such a ssl_send has accepted may be lost. SSL_ERR_REENTRANT inside the
// handle's hooks. Any thread.
int32_t ssl_socket_free(ssl_socket *s);

// Sets the flags (SSL_FLAG_*); they replace the earlier ones. An unknown bit, and flags that
// contradict each other, answer SSL_ERR_INVALID, a change after the handshake has begun
// SSL_ERR_STATE; then nothing has been changed. Any thread.
int32_t ssl_set_flags(ssl_socket *s, uint32_t flags);

// Writes the flags to `flags`. Any thread, also inside hooks.
int32_t ssl_get_flags(ssl_socket *s, uint32_t *flags);

// Sets the certificate hook, which then has the last word on the peer's certificate: see
// ssl_validate_cert_fn. `arg` is handed to it untouched. NULL clears the hook: then the library
// decides, strictly. Any thread, before the handshake.
int32_t ssl_set_validate_cert_hook(ssl_socket *s, ssl_validate_cert_fn hook, void *arg);

// Sets the name that the peer's certificate must be for, and that the peer is told (SNI): a DNS
// name or an IP literal. A name outside ASCII is converted (IDNA). The string is copied; NULL
// clears it. SSL_ERR_INVALID if it is not a name, SSL_ERR_NO_NAME if it is empty. Any thread,
// before the handshake.
int32_t ssl_set_peername(ssl_socket *s, const char *name);

// Sets a time limit in milliseconds: `which` is SSL_TIMEOUT_HANDSHAKE or SSL_TIMEOUT_CLOSE.
// UINT32_MAX: no limit. 0 answers SSL_ERR_INVALID. Any thread, before the handshake.
int32_t ssl_set_timeout(ssl_socket *s, uint32_t which, uint32_t ms);

// Sets the application protocols to be offered or, for a server, to be chosen from, most wanted
// first (ALPN, RFC 7301): each as one byte of length and that many bytes, as in
// "\x02h2\x08http/1.1". Copied; 0 bytes clear them. What was agreed is in ssl_session_info.
//
// A server takes the first of its own that the client offers; if there is none of them, the
// handshake fails. A client whose server does not choose gets on without. SSL_ERR_INVALID if the
// list is malformed or longer than 4096 bytes. Any thread, before the handshake.
int32_t ssl_set_alpn(ssl_socket *s, const void *protocols, size_t len);

// Sets the oldest and the newest version of TLS that are allowed: SSL_PROTOCOL_TLS1_2 or
// SSL_PROTOCOL_TLS1_3 each; both by default. Anything else, or a `min` above `max`, answers
// SSL_ERR_INVALID: older versions are not safe. Any thread, before the handshake.
int32_t ssl_set_protocols(ssl_socket *s, uint16_t min, uint16_t max);

// Appends the secrets of the sessions of this handle to the file `path` (NSS key log format), with
// which Wireshark decrypts what was recorded: for finding errors only, whoever has the file can
// read everything. It is made for its owner alone, opened at once and perhaps kept open. The
// environment (SSLKEYLOGFILE) is never looked at. NULL: no file. SSL_ERR_IO if it cannot be opened
// or is another user's or no regular file, SSL_ERR_STATE in a program that runs with more rights than its user. Any
// thread, before the handshake.
int32_t ssl_set_key_log_file(ssl_socket *s,
                             const char *path);

// Has the handshake of `s` resume the session of `other`, as an FTP server demands for its data
// connections. `other` must be a client whose handshake is complete (SSL_ERR_STATE) and that had a
// peer name; its connection may have ended since, and its handle may be freed after this call.
// NULL: any session with the same peer name and settings, as without this call.
//
// `s` takes the peer name of `other` if it has none; another one is SSL_ERR_INVALID, here or at the
// handshake. At the handshake trust, pins, revocation lists, identities, hooks (the certificate
// hook: whether there is one), SSL_FLAG_STRICT, suites and protocol versions must be the same as
// those of `other`: a session got under one setting says nothing about another, and SSL_ERR_INVALID
// tells what differs. With SSL_FLAG_NO_RESUMPTION it is SSL_ERR_INVALID too. If no session of
// `other` is left, or the server does not take it, a full handshake is made;
// ssl_session_info.resumed tells, and SSL_FLAG_REQUIRE_RESUMPTION makes that an error.
//
// The certificate of the session is verified again, and a certificate hook is called with it: what
// has expired or been revoked since is found. A handle with a hook that chooses the identity
// offers a session by this call only.
//
// A session of TLS 1.3 is good for one connection; servers send new ones as they like. Read from
// the control connection before a data connection is opened, as one that waits for the server's
// answer does. Any thread, before the handshake of `s`.
int32_t ssl_set_session_from(ssl_socket *s, ssl_socket *other);

// Trusts the CA certificates in the file `pem_path` (PEM, or one in DER). The first trust call
// replaces the built-in roots, later ones add. SSL_ERR_IO if the file cannot be read,
// SSL_ERR_BAD_DATA if there is no usable certificate in it. After a failure the built-in roots do
// not count either: until a trust call succeeds the handshake fails with the same error. Any
// thread, before the handshake.
int32_t ssl_add_trust_file(ssl_socket *s, const char *pem_path);

// Trusts the CA certificates in the `len` bytes of PEM (or the one in DER) at `pem`, which are
// copied. The first trust call replaces the built-in roots, later ones add. SSL_ERR_BAD_DATA if
// there is no usable certificate in it; a failure as for ssl_add_trust_file. Any thread, before
// the handshake.
int32_t ssl_add_trust_pem(ssl_socket *s, const void *pem, size_t len);

// Trusts what the system trusts (the distribution's CA certificates). The first trust call
// replaces the built-in roots, later ones add. SSL_ERR_IO if the system has none; a failure as
// for ssl_add_trust_file. Any thread, before the handshake.
int32_t ssl_use_system_trust(ssl_socket *s);

// Trusts the CA certificates in every file of the directory `dir_path` and in those that its links
// lead to, but not below it; files that hold none or cannot be read are passed over. The first
// trust call replaces the built-in roots, later ones add. SSL_ERR_IO if it cannot be read,
// SSL_ERR_BAD_DATA if there is no usable certificate in it; a failure as for ssl_add_trust_file.
// Any thread, before the handshake.
int32_t ssl_add_trust_dir(ssl_socket *s, const char *dir_path);

// Adds a pin: the handshake fails with SSL_ERR_PIN unless the key of the peer's own certificate is
// one of those pinned. `pin` is the SHA-256 of its SubjectPublicKeyInfo as "sha256//" and base64
// (as curl writes it), or as 64 hexadecimal digits; several may be given, separated by ';'. Set a
// second one for the key that comes after. Pins come on top of the trust, and no hook can accept
// another key. NULL clears them. SSL_ERR_INVALID if it is no such thing; until there is one, or
// NULL, the handshake then fails with the same error. Any thread, before the handshake.
int32_t ssl_add_pin(ssl_socket *s, const char *pin);

// Adds the revocation lists in the file `path` (PEM, or one in DER). From the first on the peer's
// own certificate must be covered by a list of its issuer that is up to date
// (SSL_CAUSE_REVOCATION_UNKNOWN), and no certificate of the chain may be on one
// (SSL_CAUSE_REVOKED). Of several lists that cover a certificate the newest counts: a new list may
// be added to ssl_defaults beside the old one, for the handles made later. Without a list nothing
// is said of revocation: the library asks nobody. SSL_ERR_IO if it cannot be read,
// SSL_ERR_BAD_DATA if there is no list in it; until one is added the handshake then fails with the
// same error. Any thread, before the handshake.
int32_t ssl_add_crl_file(ssl_socket *s, const char *path);

// ssl_add_crl_file with the `len` bytes at `crl`, which are copied.
int32_t ssl_add_crl_pem(ssl_socket *s, const void *crl, size_t len);

// Verifies a chain without a connection, as a handshake would: `chain` points to `chain_len`
// certificates in DER, leaf first, or to one block with all of them in PEM. Trust, pins and revocation lists are those of `s`, which may be
// any handle: that of a connection, also inside its hook, of ssl_settings_new or of ssl_defaults.
// With SSL_FLAG_SERVER on it the chain is that of a client. `name` is whom it has to be for; NULL:
// the name is not looked at. `time` is in Unix seconds; SSL_TIME_NOW: now.
//
// Answers SSL_ERR_OKAY if the chain is trusted, else the code of what is most important of all
// that is wrong; ssl_get_error_text(NULL, ...) has the whole text. `report`, which may be NULL, is
// written in both cases; its verdict is SSL_VERDICT_TRUSTED or SSL_VERDICT_NOT_TRUSTED.
//
// Nothing was verified and `report` is untouched on SSL_ERR_BAD_HANDLE, SSL_ERR_INVALID (an
// argument is wrong, such as PEM beside other blocks, there are more than 100 certificates, or
// nobody was said to vouch for clients), SSL_ERR_NO_NAME (an empty name), and the error of a
// trust, pin or revocation list that could not be had. Other flags and the hooks of `s` play no
// part. Any thread.
int32_t ssl_verify_chain(ssl_socket *s,
                         const ssl_blob *chain,
                         uint32_t chain_len,
                         const char *name,
                         int64_t time,
                         ssl_verify_report *report);

// Sets the certificate chain and private key of this side, copied: each PEM or DER, the chain leaf
// first (in DER one certificate after the other), the key in PKCS #8, PKCS #1 or SEC 1 form, not
// encrypted. PEM may hold both at once. A server needs one. The key is RSA (2048 to 8192 bits), EC
// on P-256, P-384 or P-521, or Ed25519.
// SSL_ERR_BAD_DATA if they cannot be used or do not belong together; the text says what to do.
// Any thread, before the handshake.
int32_t ssl_set_identity_pem(ssl_socket *s,
                             const void *chain,
                             size_t chain_len,
                             const void *key,
                             size_t key_len);

// ssl_set_identity_pem with the contents of two files, which may be the same.
// SSL_ERR_IO if one cannot be read.
int32_t ssl_set_identity_file(ssl_socket *s, const char *chain_path, const char *key_path);

// Sets the certificate chain of this side (PEM or DER, leaf first, copied) whose private key the
// library does not see: `sign` signs with it, see ssl_signature_fn. `arg` is handed to it
// untouched. SSL_ERR_BAD_DATA if the chain cannot be used. Any thread, before the handshake.
int32_t ssl_set_identity_signer(ssl_socket *s,
                                const void *chain,
                                size_t chain_len,
                                ssl_signature_fn sign,
                                void *arg);

// Adds a further identity beside that of ssl_set_identity_*, which replaces them all; arguments
// and errors as for ssl_set_identity_pem. A server shows the first whose certificate is for the
// name that the client asks for (SNI) and whose key it can use, a client the first whose issuer
// the server names; else the first of all. Any thread, before the handshake.
int32_t ssl_add_identity_pem(ssl_socket *s,
                             const void *chain,
                             size_t chain_len,
                             const void *key,
                             size_t key_len);

// ssl_add_identity_pem with the contents of two files, which may be the same.
// SSL_ERR_IO if one cannot be read.
int32_t ssl_add_identity_file(ssl_socket *s, const char *chain_path, const char *key_path);

// Sets the hook that chooses a client certificate when a server asks for one: see
// ssl_auth_request_fn. `arg` is handed to it untouched. NULL clears the hook: then the library
// chooses among the identities of the handle. Any thread, before the handshake.
int32_t ssl_set_auth_request_hook(ssl_socket *s, ssl_auth_request_fn hook, void *arg);

// Turns the connected socket into TLS, now, and returns when that is done: a total time limit
// (SSL_TIMEOUT_HANDSHAKE) bounds it, whatever O_NONBLOCK says. With SSL_FLAG_NONBLOCKING it
// answers SSL_ERR_WANT_READ or SSL_ERR_WANT_WRITE instead of waiting: poll the descriptor of
// ssl_get_transport_fd and call again; or SSL_ERR_WANT_VALIDATION: see ssl_complete_validation.
//
// `host` is the peer's name (DNS or IP literal); NULL: that of ssl_set_peername. Without either
// SSL_ERR_NO_NAME, with two different ones SSL_ERR_INVALID. A server needs none.
//
// After success the same descriptor carries plaintext for the program and TLS on the wire: go on
// with send and recv, poll, select and epoll. With SSL_FLAG_EXPLICIT_IO use ssl_send and ssl_recv.
//
// A failure ends the connection: from then on every send on the descriptor fails and recv
// returns no byte, through every duplicate of it. (Not on SSL_ERR_BAD_HANDLE, SSL_ERR_REENTRANT,
// or SSL_ERR_STATE for a socket that speaks TLS already, whose handshake is being made, or whose
// number now is something else.) What a hook refuses has the hook's own
// value if that is 2 to 11 or negative, else SSL_ERR_CERT_UNKNOWN.
//
// Everything the peer said before TLS is void: greet it again (RFC 3207). No thread may be
// inside recv, poll or select on the descriptor during the call.
int32_t ssl_perform_handshake(ssl_socket *s, const char *host);

// Brings the answer of a certificate hook that has answered SSL_ERR_WANT_VALIDATION: `result` is
// what the hook would have answered, and is judged as such. Until then ssl_perform_handshake
// answers SSL_ERR_WANT_VALIDATION, and nothing of ours that depends on the answer is sent; call it
// again afterwards. Nothing shows on the descriptor: whoever waits has to be told by the program.
// ssl_get_verify_report and its like can be called meanwhile. The wait counts against the
// handshake's time limit.
//
// It may come before the hook has returned, which then makes the handshake go on at once; if the
// hook answers something else, that counts. SSL_ERR_STATE if no answer is awaited: the hook has
// not been called, one has been given, the time is over, or the handshake has ended.
// SSL_ERR_INVALID if `result` is SSL_ERR_WANT_VALIDATION: an answer is still awaited. Any thread,
// but not inside the hook.
int32_t ssl_complete_validation(ssl_socket *s, int32_t result);

// Ends a handshake that is under way, in another thread or between two calls: it fails with
// SSL_ERR_CANCELLED, which ssl_perform_handshake answers from then on, and as after every failure
// the connection is dead. A hook that is running is not disturbed, and the handshake ends when it
// returns. SSL_ERR_STATE, and nothing is changed, if none is under way: not begun (the TCP part of
// ssl_connect is none), complete, or failed already. Any thread, but not inside the hook.
int32_t ssl_cancel_handshake(ssl_socket *s);

// Connects to the socket address of `len` bytes at `sockaddr`, then makes the handshake with the
// name of ssl_set_peername, unless SSL_FLAG_DEFER_HANDSHAKE is set (Windows CE: connect). It
// waits whatever O_NONBLOCK says, each part for at most the handshake's time limit. If the TCP
// connection fails, the errors are those of connect and the handle can be used again.
int32_t ssl_connect(ssl_socket *s, const void *sockaddr, uint32_t len);

// Sends like send(2): blocks unless the descriptor is non-blocking, MSG_DONTWAIT is given or
// SSL_FLAG_NONBLOCKING set; honours SO_SNDTIMEO; never raises SIGPIPE. `msg_flags`: MSG_DONTWAIT,
// MSG_NOSIGNAL; others are refused.
//
// Answers how many bytes were accepted; the library owns them and the caller may do with the
// buffer what it likes. Without blocking, the ciphertext of the last of them may have to wait in
// the library for the peer: it leaves with the next call on the handle that sends or receives.
// `len` 0 only sends what waits: 0 if nothing is left, else -1 and EAGAIN.
//
// -1 on failure, with errno: EAGAIN would block or timed out, ENOTCONN before the handshake,
// EPIPE after our own shutdown, ECONNRESET truncated or reset, EPROTO protocol or certificate,
// EBADF bad handle, EINVAL bad flag or length. One thread may send while another receives.
ptrdiff_t ssl_send(ssl_socket *s, const void *buf, size_t len, int32_t msg_flags);

// Receives like recv(2): blocks unless the descriptor is non-blocking, MSG_DONTWAIT is given or
// SSL_FLAG_NONBLOCKING set; honours SO_RCVTIMEO. `msg_flags`: MSG_DONTWAIT, MSG_PEEK,
// MSG_WAITALL; others are refused.
//
// Answers how many bytes were received; 0 after the peer's close_notify, and only then (or with
// `len` 0, after our own shutdown of this direction, or with SSL_FLAG_ALLOW_TRUNCATION at the end
// of the connection). -1 on failure, with errno as for ssl_send. In explicit mode more may be at
// hand than the descriptor shows: see ssl_pending. One thread may receive while another sends.
ptrdiff_t ssl_recv(ssl_socket *s, void *buf, size_t len, int32_t msg_flags);

// Writes to `bytes` how many bytes can be received at once: in explicit mode those that the
// library has taken off the connection already, which poll does not see; otherwise those in the
// descriptor's queue. The end may be at hand as well, which no number tells: before waiting for
// the descriptor, receive until that would block.
int32_t ssl_pending(ssl_socket *s, size_t *bytes);

// Ends one direction or both, like shutdown(2): SHUT_WR (1) sends close_notify and receiving
// goes on; SHUT_RD (0) ends receiving; SHUT_RDWR (2) does both and wakes a thread that is inside
// ssl_recv. Afterwards sending answers EPIPE.
int32_t ssl_shutdown(ssl_socket *s, int32_t how);

// Writes to `fd` a duplicate of the real connection, for setsockopt, getsockopt and poll. The
// caller closes it. Do not read or write it: what travels there is TLS. Before the first call of
// ssl_perform_handshake it is a duplicate like any other, and is upgraded with them: ask for it
// after that.
int32_t ssl_get_transport_fd(ssl_socket *s, int32_t *fd);

// Writes an address of the real connection, as getpeername and getsockname did before the
// upgrade: `which` is SSL_ADDRESS_PEER or SSL_ADDRESS_LOCAL. `*len` is the capacity of
// `sockaddr` and becomes the address's length; if it does not fit: SSL_ERR_BUFFER.
int32_t ssl_get_address(ssl_socket *s, uint32_t which, void *sockaddr, uint32_t *len);

// Writes what was agreed in the handshake. SSL_ERR_STATE before its end.
int32_t ssl_get_session_info(ssl_socket *s, ssl_session_info *info);

// Copies the name that the client has asked for (SNI), in a server. UTF-8, NUL-terminated; `*len`
// becomes the length with the NUL; if it exceeds `capacity`: SSL_ERR_BUFFER. Empty if it did not
// say. SSL_ERR_STATE before the end of the handshake and in a client.
int32_t ssl_get_server_name(ssl_socket *s, char *buf, size_t capacity, size_t *len);

// Copies certificate number `index` of the peer's chain, 0 being its own, in DER. See
// ssl_verify_report.chain_len for how many there are; beyond: SSL_ERR_INVALID. `*len` becomes
// the length; if it exceeds `capacity`: SSL_ERR_BUFFER. Also inside the certificate hook.
int32_t ssl_get_peer_certificate(ssl_socket *s,
                                 uint32_t index,
                                 void *der,
                                 size_t capacity,
                                 size_t *len);

// Writes what verification found, also after a failed handshake and inside the certificate hook.
// SSL_ERR_STATE as long as no certificate has been seen.
int32_t ssl_get_verify_report(ssl_socket *s, ssl_verify_report *report);

// Copies a text about the peer's certificate: `what` is SSL_TEXT_*, `index` counts the names of
// SSL_TEXT_PRESENTED and is 0 otherwise. UTF-8, NUL-terminated; what the peer chose is escaped.
// `*len` becomes the length with the NUL; if it exceeds `capacity`: SSL_ERR_BUFFER.
// SSL_ERR_INVALID past the last name.
int32_t ssl_get_verify_text(ssl_socket *s,
                            uint32_t what,
                            uint32_t index,
                            char *buf,
                            size_t capacity,
                            size_t *len);

// The code of the handle's error, 0 if there is none; with NULL this thread's last. An error
// that ended the connection stays for the life of the handle, whatever happens later, even if
// the kernel has told another thread first; otherwise it is that of the last call that failed, but
// for calls that only ask (ssl_get_*, ssl_verify_chain): theirs is found with NULL only.
// SSL_ERR_BAD_HANDLE if the handle is not live.
int32_t ssl_get_error(ssl_socket *s);

// Copies the text of the same error: what happened and what to do, in UTF-8 and NUL-terminated.
// `*len` becomes the length with the NUL; if it exceeds `capacity`: SSL_ERR_BUFFER.
int32_t ssl_get_error_text(ssl_socket *s, char *buf, size_t capacity, size_t *len);

// Writes the same error as one consistent picture.
int32_t ssl_get_error_info(ssl_socket *s, ssl_error_info *info);

// The name of a code, as "SSL_ERR_TIMEOUT"; static, never NULL.
const char *ssl_error_name(int32_t code);

// The category of a code: SSL_CATEGORY_*.
uint32_t ssl_error_category(int32_t code);

// Windows CE: WSAIoctl on a secure socket. `code` is one of the numbers below, which Windows CE's
// sslsock.h has under these names; in a signed variable they are the same bits. `in` and `in_len`
// are the input buffer, `out` and `out_len` the output buffer, `returned` gets the length of the
// output and may be NULL.
//
// 0x50730001 SO_SSL_GET_CAPABILITIES: gives a DWORD, SSL_CAP_CLIENT (1) and
// SSL_CAP_CLIENT_AUTH (4).
// 0x90730002 SO_SSL_SET_FLAGS: a DWORD, as ssl_set_flags. On a socket made by ssl_wce_secure that
// is not connected yet, SSL_FLAG_DEFER_HANDSHAKE lets go of it, and a value without that flag
// holds it again.
// 0x50730002 SO_SSL_GET_FLAGS: gives them.
// 0x90730003 SO_SSL_SET_PROTOCOLS: SSLPROTOCOLS, a DWORD dwCount, then as many entries of three
// DWORDs. One of them has to begin with SSL_PROTOCOL_TLS1 (4), which means TLS in the versions that
// are safe: 1.2 and 1.3. Nothing else in the list has an effect. A list without it, as one of SSL 3
// alone, answers SSL_ERR_INVALID.
// 0x50730003 SO_SSL_GET_PROTOCOLS: gives what was set, at first one entry of 4, 0, 0.
// 0x90730004 SO_SSL_SET_CIPHERS: SSLCIPHERS, a DWORD dwProtocol, which is SSL_PROTOCOL_TLS1 (4), a
// DWORD dwCount, then as many DWORDs. Only cipher suites with one of these ciphers are offered
// and accepted from then on: CALG_AES_128 (0x660E), CALG_AES_256 (0x6610), CALG_AES (0x6611) for
// both, or the IANA number of a suite, such as 0x1303 for ChaCha20, for which there is no ALG_ID.
// Other numbers beside these have no effect, nor has the order. A list with nothing else answers
// SSL_ERR_INVALID.
// 0xD0730004 SO_SSL_GET_CIPHERS: takes dwProtocol, 4, and gives what was set, at first all that
// there is. Both buffers may be the same.
// 0x90730005, 0x90730006 SO_SSL_SET_CLIENT_OPTS, SO_SSL_SET_SERVER_OPTS: a time_t, then two DWORDs,
// 16 bytes in all. They have no effect: sessions are kept by the library's own measure, and 0, the
// value at first, does not end that. SSL_FLAG_NO_RESUMPTION in the flags does.
// 0x50730005, 0x50730006 SO_SSL_GET_CLIENT_OPTS, SO_SSL_GET_SERVER_OPTS: give what was set, at
// first zeros.
// 0x90730007 SO_SSL_SET_CLIENT_AUTH_OPTS: SSLCLIENTAUTHOPTS, 32 bytes. dwRequestClientAuth other than
// 0 has a server demand a client certificate as SSL_FLAG_AUTH_CLIENT does; with SSL_FLAG_ASK_CLIENT
// it only asks. dwRedoHandshake other than 0 answers SSL_ERR_UNSUPPORTED. The address of the issuers
// in it is not followed: whom to believe is said by ssl_add_trust_*.
// 0x50730007 SO_SSL_GET_CLIENT_AUTH_OPTS: gives what was set, at first zeros.
// 0x90730008 SO_SSL_SET_VALIDATE_CERT_HOOK: the address of an ssl_validate_cert_fn, then its
// argument, 16 bytes in all, as ssl_set_validate_cert_hook. They are copied. An address of 0 clears
// the hook.
// 0x50730008 SO_SSL_GET_VALIDATE_CERT_HOOK: gives both.
// 0x90730009 SO_SSL_SET_AUTH_REQUEST_HOOK: the address of an ssl_auth_request_fn, then its argument,
// 16 bytes in all, as ssl_set_auth_request_hook.
// 0x9073000B SO_SSL_SET_SIGNATURE_HOOK: the address of an ssl_signature_fn, then its argument, 16
// bytes in all. It signs for a chain that the hook above has answered with, unless the leaf is that
// of an identity of the handle. The schemes are those of today, not Windows CE's MD5 and SHA-1.
// 0x50730009, 0x5073000B SO_SSL_GET_AUTH_REQUEST_HOOK, SO_SSL_GET_SIGNATURE_HOOK: give both.
// 0x9073000A SO_SSL_SET_KEY_EXCH_HOOK: 16 bytes as above. Such a hook would never be called: other
// addresses than 0 answer SSL_ERR_UNSUPPORTED.
// 0x5073000A SO_SSL_GET_KEY_EXCH_HOOK: gives zeros.
// 0x5073000E SO_SSL_GET_CONNECTION_INFO: gives SSLCONNECTIONINFO, seven DWORDs: the protocol (TLS
// 1.2 0x800, 1.3 0x2000; in the server role 0x400, 0x1000), the cipher (CALG_AES_128, CALG_AES_256,
// 0 for ChaCha20) and its strength in bits, the hash (CALG_SHA_256 0x800C, CALG_SHA_384 0x800D) and
// its bits, the key exchange (CALG_ECDH_EPHEM 0xAE06) and the bits of its elliptic curve.
// SSL_ERR_STATE before the end of the handshake, and if it failed.
// 0x9073000F, 0x5073000F, 0x1073000F SO_SSL_SET_PEERNAME: the name, as ssl_set_peername. An empty
// buffer or name clears it; what is no name answers SSL_ERR_INVALID.
// 0x1073000D SO_SSL_PERFORM_HANDSHAKE: as ssl_perform_handshake, but for the name. One in the
// buffer goes before that of SO_SSL_SET_PEERNAME; a buffer that holds no name is as good as none.
// Without any name the handshake fails with SSL_ERR_NO_NAME, unless there is a certificate hook:
// then no name is sent (SNI), the hook gets SSL_CERT_FLAG_ISSUER_UNKNOWN whatever the certificate,
// and the report has SSL_CAUSE_NAME. SSL_FLAG_STRICT does not let the hook accept that.
//
// A name is a DNS name in ASCII or an IP literal, narrow, with or without a NUL; what follows the
// NUL does not count, but a UTF-16 string is no name. A buffer of exactly 8 bytes may hold the
// address of a name instead, which ends with a NUL within 256 bytes. An address where nothing can
// be read does no harm.
//
// A DWORD has 32 bits. What was set is given back bit for bit. Settings can be read at any time,
// and changed until the handshake begins: then SSL_ERR_STATE, and nothing is changed by any code
// that fails, but for the handshake.
//
// Buffers that a code does not use are left alone, whatever they are. If the output buffer is too
// small: SSL_ERR_BUFFER, and `returned` gets the length needed; if the input buffer is, also for
// the count in it: SSL_ERR_INVALID. What follows a structure in its buffer does not count. Numbers
// that are no SO_SSL_* code answer SSL_ERR_INVALID. Any thread; not inside a hook.
int32_t ssl_ioctl(ssl_socket *s,
                  uint32_t code,
                  const void *in,
                  uint32_t in_len,
                  void *out,
                  uint32_t out_len,
                  uint32_t *returned);

// Windows CE: setsockopt(SO_SECURE, SO_SEC_SSL). Makes a handle for the TCP socket `fd`, which is
// not connected yet, and writes it to `s`. It is one as of ssl_socket_new, but unless
// SSL_FLAG_DEFER_HANDSHAKE is set the conversation begins with the handshake, which on Windows CE
// connect made: nothing may be sent in clear before it.
//
// Therefore the socket is held: until it is let go every connect fails with EISCONN and every send
// with EPIPE, through every duplicate and in every process. ssl_connect lets go by itself;
// otherwise ssl_wce_hold does, and setting SSL_FLAG_DEFER_HANDSHAKE. A handshake on a socket that
// is still held fails, and so does one before which anything was sent in clear (Linux 4.19 or
// newer): as always, that ends the connection.
//
// A held socket is bound to a port, as if it listened, but nobody can connect to it. Bind it
// before, or let it go for that; a port that bind was to choose is chosen anew by connect. A
// socket filter of the program's own is lost.
//
// SSL_ERR_STATE if the socket is connected or about to be, or has a live handle; SSL_ERR_INVALID if
// `fd` is something else. Free it with ssl_socket_free: a socket that is held stays so. Any thread.
int32_t ssl_wce_secure(int32_t fd, ssl_socket **s);

// `hold` 0 lets go of a socket made by ssl_wce_secure, right before the caller's own connect; 1
// holds it again after a connect that failed, and takes back one that is under way. The socket
// stays bound and keeps its options. With SSL_FLAG_DEFER_HANDSHAKE nothing is held, and both do
// nothing.
//
// SSL_ERR_STATE if the socket is connected or (for 0) about to be, the handshake has begun, or the
// handle is not of ssl_wce_secure; SSL_ERR_INVALID for any other number. Any thread.
int32_t ssl_wce_hold(ssl_socket *s, int32_t hold);

// Windows CE: has the program's MessageBox calls ask `fn`, together with `arg`; NULL ends that.
// Without a function nothing is shown, and the answer is as if the user had cancelled: IDNO for
// MB_YESNO, IDABORT for MB_ABORTRETRYIGNORE, IDCANCEL otherwise. See ssl_message_box_fn. Any
// thread.
int32_t ssl_wce_set_message_box(ssl_message_box_fn fn, void *arg);

// Waits until everything that the program has sent has been acknowledged by the peers' systems,
// for at most `timeout_ms` (UINT32_MAX: no limit, 0: only look), without ending any direction: so
// it is safe to leave by _exit or exec, but for a close_notify. (On an AF_UNIX connection: until
// the peer has read it.) `unfinished`
// becomes the number of sockets that still hold data, 0 on success; it may be NULL.
// SSL_ERR_TIMEOUT if there are some. Any thread.
int32_t ssl_flush_all(uint32_t timeout_ms, uint32_t *unfinished);

// Has messages up to `level` (SSL_LOG_*) given to `fn`, together with `arg`; NULL or SSL_LOG_OFF
// ends that. Off until called. See ssl_log_fn. Any thread.
int32_t ssl_set_log_callback(uint32_t level, ssl_log_fn fn, void *arg);

// How many threads of the library carry the connections of transparent mode, in the whole process: at
// most `count` (up to 256), or with 0, the default, as many as there are processors. They are started
// one by one as there is more to carry, and end about a second after they have nothing left, all but
// one. May be set at any time: connections that there are stay on their threads, those that follow
// keep to it. A forked child begins with the default. Any thread.
int32_t ssl_set_relay_threads(uint32_t count);

// The version of the library, as "0.1.0"; static.
const char *ssl_version(void);

// The version of the ABI that the library has: see SSL_ABI_VERSION.
uint32_t ssl_abi_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SSLSOCK_H */
