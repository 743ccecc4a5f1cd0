//! The numbers of the ABI.

use crate::error::{Category, Code};
use crate::log::Level;
use crate::relay::pair::PairKind;
use crate::socket::Verdict;
use crate::verify::report;

// Results. 0 and 2 to 11 are Windows CE's, for the certificate hook; the library adds the rest.

/// Success; from a certificate hook: accept the certificate (Windows CE).
pub const SSL_ERR_OKAY: i32 = 0;
/// Refused without a particular reason (Windows CE).
pub const SSL_ERR_FAILED: i32 = 2;
/// Wrong length (Windows CE).
pub const SSL_ERR_BAD_LEN: i32 = 3;
/// Not an X.509 certificate (Windows CE).
pub const SSL_ERR_BAD_TYPE: i32 = 4;
/// The certificate, PEM file or key cannot be read as such (Windows CE).
pub const SSL_ERR_BAD_DATA: i32 = 5;
/// There is no certificate where one is needed (Windows CE).
pub const SSL_ERR_NO_CERT: i32 = 6;
/// A signature is wrong (Windows CE).
pub const SSL_ERR_BAD_SIG: i32 = 7;
/// The certificate, or one above it, has expired (Windows CE).
pub const SSL_ERR_CERT_EXPIRED: i32 = 8;
/// The certificate has been revoked (Windows CE).
pub const SSL_ERR_CERT_REVOKED: i32 = 9;
/// The issuer is not trusted, or the certificate is of no use here (Windows CE).
pub const SSL_ERR_CERT_UNKNOWN: i32 = 10;
/// The program's signature function has not signed, or not rightly (Windows CE).
pub const SSL_ERR_SIGNATURE: i32 = 11;
/// NULL, garbage, a freed handle: not a live handle.
pub const SSL_ERR_BAD_HANDLE: i32 = 100;
/// An argument is wrong; nothing was changed.
pub const SSL_ERR_INVALID: i32 = 101;
/// Not now: the call does not fit what has happened on this handle so far.
pub const SSL_ERR_STATE: i32 = 102;
/// No peer name: without it any certificate would do.
pub const SSL_ERR_NO_NAME: i32 = 103;
/// Not supported, and ignoring it would be unsafe.
pub const SSL_ERR_UNSUPPORTED: i32 = 104;
/// Called from inside a hook of the same handle.
pub const SSL_ERR_REENTRANT: i32 = 105;
/// The buffer is too small; the length needed has been written.
pub const SSL_ERR_BUFFER: i32 = 106;
/// The handle was made before a fork and belongs to the parent process.
pub const SSL_ERR_FORKED: i32 = 107;
/// Would block: call again when the socket can be read.
pub const SSL_ERR_WANT_READ: i32 = 110;
/// Would block: call again when the socket can be written.
pub const SSL_ERR_WANT_WRITE: i32 = 111;
/// The certificate awaits the program's decision.
pub const SSL_ERR_WANT_VALIDATION: i32 = 112;
/// A time limit ran out.
pub const SSL_ERR_TIMEOUT: i32 = 113;
/// Another thread has called ssl_cancel_handshake.
pub const SSL_ERR_CANCELLED: i32 = 114;
/// A system call failed; ssl_error_info has its errno.
pub const SSL_ERR_IO: i32 = 120;
/// The peer reset the connection.
pub const SSL_ERR_RESET: i32 = 121;
/// The connection ended without close_notify: data may be missing.
pub const SSL_ERR_TRUNCATED: i32 = 122;
/// The peer speaks plaintext; the text quotes it.
pub const SSL_ERR_NOT_TLS: i32 = 123;
/// Plaintext was queued before the handshake began: STARTTLS injection, or an answer not read.
pub const SSL_ERR_EARLY_DATA: i32 = 124;
/// The peer broke the TLS protocol, or has nothing in common with this side.
pub const SSL_ERR_PROTOCOL: i32 = 130;
/// The peer sent a TLS alert; ssl_error_info says which.
pub const SSL_ERR_ALERT: i32 = 131;
/// No earlier session was resumed although SSL_FLAG_REQUIRE_RESUMPTION is set.
pub const SSL_ERR_NOT_RESUMED: i32 = 132;
/// The certificate is for other names.
pub const SSL_ERR_NAME: i32 = 140;
/// The certificate is not valid yet.
pub const SSL_ERR_NOT_YET_VALID: i32 = 141;
/// The certificate's key is none of those set with ssl_add_pin; the text has the actual pin.
pub const SSL_ERR_PIN: i32 = 142;
/// A mistake inside the library.
pub const SSL_ERR_INTERNAL: i32 = 199;

// Categories of results.

/// No error.
pub const SSL_CATEGORY_NONE: u32 = 0;
/// The peer's certificate, or the one of this side.
pub const SSL_CATEGORY_CERTIFICATE: u32 = 1;
/// The program called the library wrongly.
pub const SSL_CATEGORY_USAGE: u32 = 2;
/// Nothing is wrong: try again when the socket is ready.
pub const SSL_CATEGORY_WOULD_BLOCK: u32 = 3;
/// The network or the system.
pub const SSL_CATEGORY_IO: u32 = 4;
/// The peer does not do what a TLS peer does at this point.
pub const SSL_CATEGORY_PEER: u32 = 5;
/// TLS itself.
pub const SSL_CATEGORY_PROTOCOL: u32 = 6;
/// A bug of the library.
pub const SSL_CATEGORY_INTERNAL: u32 = 7;

// Flags of ssl_set_flags.

/// The server role (Windows CE).
pub const SSL_FLAG_SERVER: u32 = 0x2;
/// Server: demand a client certificate (Windows CE). Whom to believe is said by ssl_add_trust_* or
/// by the certificate hook: the built-in roots do not vouch for clients, and with neither the
/// handshake fails with SSL_ERR_INVALID. The certificate has to be one for client authentication; no
/// name is looked at. A client that has none is SSL_ERR_NO_CERT, whatever a hook would say.
/// Without this flag and SSL_FLAG_ASK_CLIENT everybody is let in, whatever trust and hook are set.
pub const SSL_FLAG_AUTH_CLIENT: u32 = 0x4;
/// The socket stays plain until ssl_perform_handshake (Windows CE).
pub const SSL_FLAG_DEFER_HANDSHAKE: u32 = 0x8;
/// Leave the descriptor alone: data goes through ssl_send and ssl_recv only.
pub const SSL_FLAG_EXPLICIT_IO: u32 = 0x10000;
/// ssl_perform_handshake answers SSL_ERR_WANT_READ or SSL_ERR_WANT_WRITE rather than wait, and
/// SSL_ERR_WANT_VALIDATION if the certificate hook has answered that: see ssl_complete_validation.
pub const SSL_FLAG_NONBLOCKING: u32 = 0x20000;
/// The certificate hook can refuse, but not accept what verification found wrong.
pub const SSL_FLAG_STRICT: u32 = 0x40000;
/// The end of the connection without close_notify is a normal end of file.
pub const SSL_FLAG_ALLOW_TRUNCATION: u32 = 0x80000;
/// Transparent mode: use an AF_UNIX pair, which is cheaper but no TCP socket.
pub const SSL_FLAG_UNIX_PAIR: u32 = 0x100000;
/// Client: the handshake fails with SSL_ERR_NOT_RESUMED unless it resumes an earlier session. If
/// there is none to offer nothing is sent; if the server does not take it no client certificate is.
/// SSL_ERR_INVALID together with SSL_FLAG_NO_RESUMPTION or SSL_FLAG_SERVER.
pub const SSL_FLAG_REQUIRE_RESUMPTION: u32 = 0x200000;
/// Neither offer nor keep sessions; a server gives out no tickets.
pub const SSL_FLAG_NO_RESUMPTION: u32 = 0x400000;
/// Server: ask for a client certificate, but let in who has none. One that is shown is verified as
/// with SSL_FLAG_AUTH_CLIENT.
pub const SSL_FLAG_ASK_CLIENT: u32 = 0x800000;
/// Offer no post-quantum key exchange (X25519MLKEM768), for peers that choke on a large
/// ClientHello.
pub const SSL_FLAG_NO_POST_QUANTUM: u32 = 0x1000000;
/// Transparent mode: the program promises that when the handshake is asked for no other descriptor
/// of the process refers to the connection, no epoll instance watches it, and no thread waits on it.
/// Then none is looked for, the upgrade costs the same however many descriptors are open, and it
/// needs no /proc. Afterwards the program may duplicate and watch the descriptor as it likes. A
/// promise that is broken goes unnoticed: what is sent through a duplicate leaves in clear, a thread
/// that waits takes what is meant for TLS, and an epoll instance goes on reporting the records
/// that come instead of what there is to read. What is sent on the descriptor itself never leaves in
/// clear. It changes nothing with SSL_FLAG_EXPLICIT_IO, which leaves descriptors alone anyway.
pub const SSL_FLAG_SOLE_DESCRIPTOR: u32 = 0x2000000;

// The certificate hook.

/// The hook's `type`: the certificates are X.509 in DER (Windows CE).
pub const SSL_CERT_X509: u32 = 0x1;
/// The hook's `flags`: something is wrong, be it issuer, name or dates (Windows CE).
pub const SSL_CERT_FLAG_ISSUER_UNKNOWN: u32 = 0x1;

// The signature hook.

/// The hook's `flags`: hash the source as the scheme says, then sign it (Windows CE).
pub const SSL_SIGN_PERFORM_HASH: u32 = 0x2;

// `min` and `max` of ssl_set_protocols, as on the wire.

/// TLS 1.2.
pub const SSL_PROTOCOL_TLS1_2: u16 = 0x0303;
/// TLS 1.3.
pub const SSL_PROTOCOL_TLS1_3: u16 = 0x0304;

// `time` of ssl_verify_chain.

/// The time of the call.
pub const SSL_TIME_NOW: i64 = i64::MIN;

// `which` of ssl_set_timeout.

/// The whole handshake, without the time spent in hooks; 30 s by default.
pub const SSL_TIMEOUT_HANDSHAKE: u32 = 1;
/// Waiting for the peer's last words when a connection is closed; 5 s by default.
pub const SSL_TIMEOUT_CLOSE: u32 = 2;

// `which` of ssl_get_address.

/// The peer of the real connection.
pub const SSL_ADDRESS_PEER: u32 = 1;
/// This side of the real connection.
pub const SSL_ADDRESS_LOCAL: u32 = 2;

// ssl_session_info.datapath.

/// Transparent, the program's end is a loopback TCP socket.
pub const SSL_DATAPATH_TRANSPARENT_TCP: u32 = 1;
/// Transparent, the program's end is an AF_UNIX socket.
pub const SSL_DATAPATH_TRANSPARENT_UNIX: u32 = 2;
/// ssl_send and ssl_recv do the TLS on the program's thread.
pub const SSL_DATAPATH_EXPLICIT: u32 = 3;

// ssl_verify_report.verdict.

/// No certificate has been seen.
pub const SSL_VERDICT_NOT_AVAILABLE: u32 = 0;
/// Everything is in order.
pub const SSL_VERDICT_TRUSTED: u32 = 1;
/// Something is wrong, and the handshake failed because of it.
pub const SSL_VERDICT_NOT_TRUSTED: u32 = 2;
/// Something is wrong, and the hook accepted it.
pub const SSL_VERDICT_ACCEPTED_BY_HOOK: u32 = 3;

// ssl_verify_report.causes: everything that is wrong at once.

/// The issuer is not trusted, or the chain does not lead to one that is.
pub const SSL_CAUSE_ISSUER_UNKNOWN: u32 = 0x1;
/// The certificate is for other names.
pub const SSL_CAUSE_NAME: u32 = 0x2;
/// Expired.
pub const SSL_CAUSE_EXPIRED: u32 = 0x4;
/// Not valid yet.
pub const SSL_CAUSE_NOT_YET_VALID: u32 = 0x8;
/// Revoked.
pub const SSL_CAUSE_REVOKED: u32 = 0x10;
/// Not for a server (or a client, in a server), or a CA certificate used as one.
pub const SSL_CAUSE_USAGE: u32 = 0x20;
/// A signature in the chain is wrong.
pub const SSL_CAUSE_SIGNATURE: u32 = 0x40;
/// A key or signature algorithm that is not accepted.
pub const SSL_CAUSE_WEAK_KEY: u32 = 0x80;
/// Not a certificate that can be verified, such as X.509 version 1.
pub const SSL_CAUSE_MALFORMED: u32 = 0x100;
/// The key is none of those set with ssl_add_pin. A hook cannot accept that.
pub const SSL_CAUSE_PIN: u32 = 0x200;
/// Revocation lists were given, and they do not say whether the certificate has been revoked: there
/// is none of its issuer, or it is out of date.
pub const SSL_CAUSE_REVOCATION_UNKNOWN: u32 = 0x400;

// `what` of ssl_get_verify_text.

/// The name that was asked for.
pub const SSL_TEXT_EXPECTED: u32 = 1;
/// The names that the certificate is for, one per index.
pub const SSL_TEXT_PRESENTED: u32 = 2;
/// The subject, as "CN=..., O=...".
pub const SSL_TEXT_SUBJECT: u32 = 3;
/// The issuer, in the same form.
pub const SSL_TEXT_ISSUER: u32 = 4;
/// All that is wrong, as one text; empty if nothing is.
pub const SSL_TEXT_SUMMARY: u32 = 5;

// `level` of ssl_set_log_callback; each includes those before it.

/// Logging off.
pub const SSL_LOG_OFF: u32 = 0;
/// Failed handshakes.
pub const SSL_LOG_ERROR: u32 = 1;
/// Certificates accepted by a hook despite what verification found.
pub const SSL_LOG_WARNING: u32 = 2;
/// Established sessions.
pub const SSL_LOG_INFO: u32 = 3;
/// What a program says with OutputDebugString and RETAILMSG (Windows CE).
pub const SSL_LOG_DEBUG: u32 = 4;

/// The datapath of a transparent session.
pub fn datapath(kind: PairKind) -> u32 {
    match kind {
        PairKind::Tcp(_) => SSL_DATAPATH_TRANSPARENT_TCP,
        PairKind::Unix => SSL_DATAPATH_TRANSPARENT_UNIX,
    }
}

// The header's numbers and the library's own are the same.
const _: () = {
    assert!(SSL_ERR_INTERNAL == Code::INTERNAL.0 && SSL_ERR_NAME == Code::NAME.0);
    assert!(SSL_ERR_TRUNCATED == Code::TRUNCATED.0 && SSL_ERR_NOT_TLS == Code::NOT_TLS.0);
    assert!(SSL_CATEGORY_CERTIFICATE == Category::Certificate as u32);
    assert!(SSL_CATEGORY_INTERNAL == Category::Internal as u32);
    assert!(SSL_VERDICT_TRUSTED == Verdict::Trusted as u32);
    assert!(SSL_VERDICT_NOT_TRUSTED == Verdict::NotTrusted as u32);
    assert!(SSL_VERDICT_ACCEPTED_BY_HOOK == Verdict::AcceptedByHook as u32);
    assert!(SSL_LOG_ERROR == Level::Error as u32 && SSL_LOG_DEBUG == Level::Debug as u32);
    assert!(SSL_FLAG_UNIX_PAIR == crate::socket::settings::SSL_FLAG_UNIX_PAIR);
    assert!(SSL_FLAG_EXPLICIT_IO == crate::socket::settings::SSL_FLAG_EXPLICIT_IO);
    assert!(SSL_CAUSE_ISSUER_UNKNOWN == report::CAUSE_ISSUER_UNKNOWN);
    assert!(SSL_CAUSE_NAME == report::CAUSE_NAME && SSL_CAUSE_EXPIRED == report::CAUSE_EXPIRED);
    assert!(SSL_CAUSE_NOT_YET_VALID == report::CAUSE_NOT_YET_VALID);
    assert!(SSL_CAUSE_REVOKED == report::CAUSE_REVOKED && SSL_CAUSE_USAGE == report::CAUSE_USAGE);
    assert!(SSL_CAUSE_SIGNATURE == report::CAUSE_SIGNATURE);
    assert!(SSL_CAUSE_WEAK_KEY == report::CAUSE_WEAK_KEY);
    assert!(SSL_CAUSE_MALFORMED == report::CAUSE_MALFORMED);
};
