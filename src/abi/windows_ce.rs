//! Secure sockets as Windows CE programs know them: for ports, shims and bindings.

use std::ffi::{CString, c_void};
use std::sync::Arc;

use super::boundary::{entry, status};
use super::hooks::{auth_request_hook_at, certificate_hook_at, signature_hook_at};
use super::memory;
use super::types::{Opaque, ssl_message_box_fn, ssl_socket};
use crate::error::{Code, Error, Result};
use crate::socket::{self, Socket};
use crate::winsock::message_box::{self, Question};
use crate::winsock::{self, Hooks, Request};

/// Windows CE: WSAIoctl on a secure socket. `code` is one of the numbers below, which Windows CE's
/// sslsock.h has under these names; in a signed variable they are the same bits. `in` and `in_len`
/// are the input buffer, `out` and `out_len` the output buffer, `returned` gets the length of the
/// output and may be NULL.
///
/// 0x50730001 SO_SSL_GET_CAPABILITIES: gives a DWORD, SSL_CAP_CLIENT (1) and
/// SSL_CAP_CLIENT_AUTH (4).
/// 0x90730002 SO_SSL_SET_FLAGS: a DWORD, as ssl_set_flags. On a socket made by ssl_wce_secure that
/// is not connected yet, SSL_FLAG_DEFER_HANDSHAKE lets go of it, and a value without that flag
/// holds it again.
/// 0x50730002 SO_SSL_GET_FLAGS: gives them.
/// 0x90730003 SO_SSL_SET_PROTOCOLS: SSLPROTOCOLS, a DWORD dwCount, then as many entries of three
/// DWORDs. One of them has to begin with SSL_PROTOCOL_TLS1 (4), which means TLS in the versions that
/// are safe: 1.2 and 1.3. Nothing else in the list has an effect. A list without it, as one of SSL 3
/// alone, answers SSL_ERR_INVALID.
/// 0x50730003 SO_SSL_GET_PROTOCOLS: gives what was set, at first one entry of 4, 0, 0.
/// 0x90730004 SO_SSL_SET_CIPHERS: SSLCIPHERS, a DWORD dwProtocol, which is SSL_PROTOCOL_TLS1 (4), a
/// DWORD dwCount, then as many DWORDs. Only cipher suites with one of these ciphers are offered
/// and accepted from then on: CALG_AES_128 (0x660E), CALG_AES_256 (0x6610), CALG_AES (0x6611) for
/// both, or the IANA number of a suite, such as 0x1303 for ChaCha20, for which there is no ALG_ID.
/// Other numbers beside these have no effect, nor has the order. A list with nothing else answers
/// SSL_ERR_INVALID.
/// 0xD0730004 SO_SSL_GET_CIPHERS: takes dwProtocol, 4, and gives what was set, at first all that
/// there is. Both buffers may be the same.
/// 0x90730005, 0x90730006 SO_SSL_SET_CLIENT_OPTS, SO_SSL_SET_SERVER_OPTS: a time_t, then two DWORDs,
/// 16 bytes in all. They have no effect: sessions are kept by the library's own measure, and 0, the
/// value at first, does not end that. SSL_FLAG_NO_RESUMPTION in the flags does.
/// 0x50730005, 0x50730006 SO_SSL_GET_CLIENT_OPTS, SO_SSL_GET_SERVER_OPTS: give what was set, at
/// first zeros.
/// 0x90730007 SO_SSL_SET_CLIENT_AUTH_OPTS: SSLCLIENTAUTHOPTS, 32 bytes. dwRequestClientAuth other than
/// 0 has a server demand a client certificate as SSL_FLAG_AUTH_CLIENT does; with SSL_FLAG_ASK_CLIENT
/// it only asks. dwRedoHandshake other than 0 answers SSL_ERR_UNSUPPORTED. The address of the issuers
/// in it is not followed: whom to believe is said by ssl_add_trust_*.
/// 0x50730007 SO_SSL_GET_CLIENT_AUTH_OPTS: gives what was set, at first zeros.
/// 0x90730008 SO_SSL_SET_VALIDATE_CERT_HOOK: the address of an ssl_validate_cert_fn, then its
/// argument, 16 bytes in all, as ssl_set_validate_cert_hook. They are copied. An address of 0 clears
/// the hook.
/// 0x50730008 SO_SSL_GET_VALIDATE_CERT_HOOK: gives both.
/// 0x90730009 SO_SSL_SET_AUTH_REQUEST_HOOK: the address of an ssl_auth_request_fn, then its argument,
/// 16 bytes in all, as ssl_set_auth_request_hook.
/// 0x9073000B SO_SSL_SET_SIGNATURE_HOOK: the address of an ssl_signature_fn, then its argument, 16
/// bytes in all. It signs for a chain that the hook above has answered with, unless the leaf is that
/// of an identity of the handle. The schemes are those of today, not Windows CE's MD5 and SHA-1.
/// 0x50730009, 0x5073000B SO_SSL_GET_AUTH_REQUEST_HOOK, SO_SSL_GET_SIGNATURE_HOOK: give both.
/// 0x9073000A SO_SSL_SET_KEY_EXCH_HOOK: 16 bytes as above. Such a hook would never be called: other
/// addresses than 0 answer SSL_ERR_UNSUPPORTED.
/// 0x5073000A SO_SSL_GET_KEY_EXCH_HOOK: gives zeros.
/// 0x5073000E SO_SSL_GET_CONNECTION_INFO: gives SSLCONNECTIONINFO, seven DWORDs: the protocol (TLS
/// 1.2 0x800, 1.3 0x2000; in the server role 0x400, 0x1000), the cipher (CALG_AES_128, CALG_AES_256,
/// 0 for ChaCha20) and its strength in bits, the hash (CALG_SHA_256 0x800C, CALG_SHA_384 0x800D) and
/// its bits, the key exchange (CALG_ECDH_EPHEM 0xAE06) and the bits of its elliptic curve.
/// SSL_ERR_STATE before the end of the handshake, and if it failed.
/// 0x9073000F, 0x5073000F, 0x1073000F SO_SSL_SET_PEERNAME: the name, as ssl_set_peername. An empty
/// buffer or name clears it; what is no name answers SSL_ERR_INVALID.
/// 0x1073000D SO_SSL_PERFORM_HANDSHAKE: as ssl_perform_handshake, but for the name. One in the
/// buffer goes before that of SO_SSL_SET_PEERNAME; a buffer that holds no name is as good as none.
/// Without any name the handshake fails with SSL_ERR_NO_NAME, unless there is a certificate hook:
/// then no name is sent (SNI), the hook gets SSL_CERT_FLAG_ISSUER_UNKNOWN whatever the certificate,
/// and the report has SSL_CAUSE_NAME. SSL_FLAG_STRICT does not let the hook accept that.
///
/// A name is a DNS name in ASCII or an IP literal, narrow, with or without a NUL; what follows the
/// NUL does not count, but a UTF-16 string is no name. A buffer of exactly 8 bytes may hold the
/// address of a name instead, which ends with a NUL within 256 bytes. An address where nothing can
/// be read does no harm.
///
/// A DWORD has 32 bits. What was set is given back bit for bit. Settings can be read at any time,
/// and changed until the handshake begins: then SSL_ERR_STATE, and nothing is changed by any code
/// that fails, but for the handshake.
///
/// Buffers that a code does not use are left alone, whatever they are. If the output buffer is too
/// small: SSL_ERR_BUFFER, and `returned` gets the length needed; if the input buffer is, also for
/// the count in it: SSL_ERR_INVALID. What follows a structure in its buffer does not count. Numbers
/// that are no SO_SSL_* code answer SSL_ERR_INVALID. Any thread; not inside a hook.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_ioctl(
    s: *mut ssl_socket,
    code: u32,
    r#in: *const c_void,
    in_len: u32,
    out: *mut c_void,
    out_len: u32,
    returned: *mut u32,
) -> i32 {
    // SAFETY: as the header demands.
    let outcome = entry!(ssl_ioctl, change s, |socket| unsafe {
        control(socket, code, (r#in, in_len), (out, out_len), returned)
    });
    if outcome.as_ref().is_err_and(|error| error.code == Code::FORKED) && winsock::is_upgrade(code)
    {
        socket::refuse_upgrade_in_child(s as usize);
    }
    status(outcome)
}

/// Windows CE: setsockopt(SO_SECURE, SO_SEC_SSL). Makes a handle for the TCP socket `fd`, which is
/// not connected yet, and writes it to `s`. It is one as of ssl_socket_new, but unless
/// SSL_FLAG_DEFER_HANDSHAKE is set the conversation begins with the handshake, which on Windows CE
/// connect made: nothing may be sent in clear before it.
///
/// Therefore the socket is held: until it is let go every connect fails with EISCONN and every send
/// with EPIPE, through every duplicate and in every process. ssl_connect lets go by itself;
/// otherwise ssl_wce_hold does, and setting SSL_FLAG_DEFER_HANDSHAKE. A handshake on a socket that
/// is still held fails, and so does one before which anything was sent in clear (Linux 4.19 or
/// newer): as always, that ends the connection.
///
/// A held socket is bound to a port, as if it listened, but nobody can connect to it. Bind it
/// before, or let it go for that; a port that bind was to choose is chosen anew by connect. A
/// socket filter of the program's own is lost.
///
/// SSL_ERR_STATE if the socket is connected or about to be, or has a live handle; SSL_ERR_INVALID if
/// `fd` is something else. Free it with ssl_socket_free: a socket that is held stays so. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_secure(fd: i32, s: *mut *mut ssl_socket) -> i32 {
    status(entry!(ssl_wce_secure, {
        memory::check_target(s, "s")?;
        let token = socket::open_secure(fd)?;
        // SAFETY: checked above; writable as the header demands.
        unsafe { memory::write(s, token.raw() as *mut ssl_socket, "s") }
    }))
}

/// `hold` 0 lets go of a socket made by ssl_wce_secure, right before the caller's own connect; 1
/// holds it again after a connect that failed, and takes back one that is under way. The socket
/// stays bound and keeps its options. With SSL_FLAG_DEFER_HANDSHAKE nothing is held, and both do
/// nothing.
///
/// SSL_ERR_STATE if the socket is connected or (for 0) about to be, the handshake has begun, or the
/// handle is not of ssl_wce_secure; SSL_ERR_INVALID for any other number. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_hold(s: *mut ssl_socket, hold: i32) -> i32 {
    status(entry!(ssl_wce_hold, change s, |socket| match hold {
        0 | 1 => socket.hold(hold == 1),
        _ => Err(Error::new(Code::INVALID, format!("`hold` is {hold}, neither 0 nor 1"))),
    }))
}

/// Windows CE: has the program's MessageBox calls ask `fn`, together with `arg`; NULL ends that.
/// Without a function nothing is shown, and the answer is as if the user had cancelled: IDNO for
/// MB_YESNO, IDABORT for MB_ABORTRETRYIGNORE, IDCANCEL otherwise. See ssl_message_box_fn. Any
/// thread.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_set_message_box(r#fn: ssl_message_box_fn, arg: *mut c_void) -> i32 {
    status(entry!(ssl_wce_set_message_box, {
        let argument = Opaque(arg);
        message_box::set(r#fn.map(|callback| {
            let ask: message_box::Callback = Arc::new(move |question: &Question<'_>| {
                let argument = &argument;
                let text = c_string(question.text);
                let caption = c_string(question.caption);
                let owner = question.owner as *mut c_void;
                // SAFETY: the program gave this function for this purpose; the texts live until
                // it returns.
                unsafe {
                    callback(argument.0, owner, text.as_ptr(), caption.as_ptr(), question.kind)
                }
            });
            ask
        }));
        Ok(())
    }))
}

static HOOKS: Hooks = Hooks {
    certificate: certificate_hook_at,
    auth_request: auth_request_hook_at,
    signature: signature_hook_at,
};

fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}

/// What [`ssl_ioctl`] does on a handle; also what WSAIoctl does.
///
/// # Safety
/// As the header demands.
pub(super) unsafe fn control(
    socket: &Socket,
    code: u32,
    (from, from_length): (*const c_void, u32),
    (to, to_length): (*mut c_void, u32),
    returned: *mut u32,
) -> Result<()> {
    // SAFETY: readable as the caller promises.
    let arguments = unsafe { input(code, from, from_length) }.and_then(|input| {
        if !returned.is_null() {
            memory::check_target(returned, "returned")?;
        }
        Ok(Request { code, input, hooks: &HOOKS })
    });
    match arguments {
        Ok(request) => {
            let answer = winsock::control(socket, &request)?;
            // SAFETY: writable as the caller promises.
            unsafe { give(&answer, to, to_length, returned) }
        }
        Err(error) if winsock::is_upgrade(code) => Err(socket.refuse_upgrade(error)),
        Err(error) => Err(error),
    }
}

/// # Safety
/// If the code takes an input: `pointer` is NULL or readable for `length` bytes as long as the slice
/// is used.
unsafe fn input<'a>(code: u32, pointer: *const c_void, length: u32) -> Result<&'a [u8]> {
    let is_unused = !winsock::takes_input(code);
    if is_unused || (pointer.is_null() && winsock::is_upgrade(code)) {
        return Ok(&[]);
    }
    // SAFETY: as the caller promises.
    unsafe { memory::bytes(pointer.cast(), length as usize, "the input buffer") }
        .map_err(bad_buffer)
}

/// Copies an answer out, and its length to `returned`, which may be NULL.
///
/// # Safety
/// `out` is NULL or writable for `capacity` bytes; `returned` is NULL, or aligned and writable.
unsafe fn give(answer: &[u8], out: *mut c_void, capacity: u32, returned: *mut u32) -> Result<()> {
    let mut length = 0;
    let outcome = match answer {
        [] => Ok(()),
        // SAFETY: as the caller promises.
        _ => unsafe { memory::copy_out(answer, out.cast(), capacity as usize, &mut length) },
    };
    let outcome = outcome.map_err(bad_buffer);
    let is_known = outcome.as_ref().map_or_else(|error| error.code == Code::BUFFER, |()| true);
    if is_known && !returned.is_null() {
        // SAFETY: aligned and writable as the caller promises.
        unsafe { returned.write(length as u32) };
    }
    outcome
}

/// Winsock tells a bad buffer from a bad argument.
fn bad_buffer(error: Error) -> Error {
    Error { sys_errno: libc::EFAULT, ..error }
}
