//! The handshake and what follows it.

use std::ffi::{c_char, c_void};

use super::boundary::{entry, status};
use super::memory;
use super::types::ssl_socket;
use crate::error::{Code, Error, Result};
use crate::io::transport::CallOptions;
use crate::socket::{self, Whom};
use crate::sys::address::Address;
use crate::sys::errno;

/// Turns the connected socket into TLS, now, and returns when that is done: a total time limit
/// (SSL_TIMEOUT_HANDSHAKE) bounds it, whatever O_NONBLOCK says. With SSL_FLAG_NONBLOCKING it
/// answers SSL_ERR_WANT_READ or SSL_ERR_WANT_WRITE instead of waiting: poll the descriptor of
/// ssl_get_transport_fd and call again; or SSL_ERR_WANT_VALIDATION: see ssl_complete_validation.
///
/// `host` is the peer's name (DNS or IP literal); NULL: that of ssl_set_peername. Without either
/// SSL_ERR_NO_NAME, with two different ones SSL_ERR_INVALID. A server needs none.
///
/// After success the same descriptor carries plaintext for the program and TLS on the wire: go on
/// with send and recv, poll, select and epoll. With SSL_FLAG_EXPLICIT_IO use ssl_send and ssl_recv.
///
/// A failure ends the connection: from then on every send on the descriptor fails and recv
/// returns no byte, through every duplicate of it. (Not on SSL_ERR_BAD_HANDLE, SSL_ERR_REENTRANT,
/// or SSL_ERR_STATE for a socket that speaks TLS already, whose handshake is being made, or whose
/// number now is something else.) What a hook refuses has the hook's own
/// value if that is 2 to 11 or negative, else SSL_ERR_CERT_UNKNOWN.
///
/// Everything the peer said before TLS is void: greet it again (RFC 3207). No thread may be
/// inside recv, poll or select on the descriptor during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_perform_handshake(s: *mut ssl_socket, host: *const c_char) -> i32 {
    let outcome = entry!(ssl_perform_handshake, change s, |socket| {
        // SAFETY: NUL-terminated as the header demands.
        match unsafe { memory::string(host, "the host name") } {
            Ok(host) => socket.perform_handshake(Whom::Named(host)),
            Err(error) => Err(socket.refuse_upgrade(error)),
        }
    });
    if outcome.as_ref().is_err_and(|error| error.code == Code::FORKED) {
        socket::refuse_upgrade_in_child(s as usize);
    }
    status(outcome)
}

/// Brings the answer of a certificate hook that has answered SSL_ERR_WANT_VALIDATION: `result` is
/// what the hook would have answered, and is judged as such. Until then ssl_perform_handshake
/// answers SSL_ERR_WANT_VALIDATION, and nothing of ours that depends on the answer is sent; call it
/// again afterwards. Nothing shows on the descriptor: whoever waits has to be told by the program.
/// ssl_get_verify_report and its like can be called meanwhile. The wait counts against the
/// handshake's time limit.
///
/// It may come before the hook has returned, which then makes the handshake go on at once; if the
/// hook answers something else, that counts. SSL_ERR_STATE if no answer is awaited: the hook has
/// not been called, one has been given, the time is over, or the handshake has ended.
/// SSL_ERR_INVALID if `result` is SSL_ERR_WANT_VALIDATION: an answer is still awaited. Any thread,
/// but not inside the hook.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_complete_validation(s: *mut ssl_socket, result: i32) -> i32 {
    status(entry!(ssl_complete_validation, change s, |socket| {
        socket.complete_validation(result)
    }))
}

/// Ends a handshake that is under way, in another thread or between two calls: it fails with
/// SSL_ERR_CANCELLED, which ssl_perform_handshake answers from then on, and as after every failure
/// the connection is dead. A hook that is running is not disturbed, and the handshake ends when it
/// returns. SSL_ERR_STATE, and nothing is changed, if none is under way: not begun (the TCP part of
/// ssl_connect is none), complete, or failed already. Any thread, but not inside the hook.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_cancel_handshake(s: *mut ssl_socket) -> i32 {
    status(entry!(ssl_cancel_handshake, change s, |socket| socket.cancel_handshake()))
}

/// Connects to the socket address of `len` bytes at `sockaddr`, then makes the handshake with the
/// name of ssl_set_peername, unless SSL_FLAG_DEFER_HANDSHAKE is set (Windows CE: connect). It
/// waits whatever O_NONBLOCK says, each part for at most the handshake's time limit. If the TCP
/// connection fails, the errors are those of connect and the handle can be used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_connect(s: *mut ssl_socket, sockaddr: *const c_void, len: u32) -> i32 {
    status(entry!(ssl_connect, change s, |socket| {
        // Before anything is read: a wrong length is not one that the program's structure has.
        if !(size_of::<libc::sa_family_t>()..=size_of::<libc::sockaddr_storage>())
            .contains(&(len as usize))
        {
            let text = format!("a socket address of {len} bytes does not exist");
            return Err(Error { sys_errno: libc::EINVAL, ..Error::new(Code::INVALID, text) });
        }
        // SAFETY: readable as the header demands.
        let address = unsafe { memory::bytes(sockaddr.cast(), len as usize, "sockaddr") }?;
        socket.connect(&Address::new(address.to_vec()), Whom::Named(None))
    }))
}

/// Sends like send(2): blocks unless the descriptor is non-blocking, MSG_DONTWAIT is given or
/// SSL_FLAG_NONBLOCKING set; honours SO_SNDTIMEO; never raises SIGPIPE. `msg_flags`: MSG_DONTWAIT,
/// MSG_NOSIGNAL; others are refused.
///
/// Answers how many bytes were accepted; the library owns them and the caller may do with the
/// buffer what it likes. Without blocking, the ciphertext of the last of them may have to wait in
/// the library for the peer: it leaves with the next call on the handle that sends or receives.
/// `len` 0 only sends what waits: 0 if nothing is left, else -1 and EAGAIN.
///
/// -1 on failure, with errno: EAGAIN would block or timed out, ENOTCONN before the handshake,
/// EPIPE after our own shutdown, ECONNRESET truncated or reset, EPROTO protocol or certificate,
/// EBADF bad handle, EINVAL bad flag or length. One thread may send while another receives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_send(
    s: *mut ssl_socket,
    buf: *const c_void,
    len: usize,
    msg_flags: i32,
) -> isize {
    transferred(entry!(ssl_send, change s, |socket| {
        // SAFETY: readable as the header demands.
        let data = unsafe { memory::bytes(buf.cast(), len, "buf") }?;
        let options = options(msg_flags, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)?;
        socket.send(data, options)
    }))
}

/// Receives like recv(2): blocks unless the descriptor is non-blocking, MSG_DONTWAIT is given or
/// SSL_FLAG_NONBLOCKING set; honours SO_RCVTIMEO. `msg_flags`: MSG_DONTWAIT, MSG_PEEK,
/// MSG_WAITALL; others are refused.
///
/// Answers how many bytes were received; 0 after the peer's close_notify, and only then (or with
/// `len` 0, after our own shutdown of this direction, or with SSL_FLAG_ALLOW_TRUNCATION at the end
/// of the connection). -1 on failure, with errno as for ssl_send. In explicit mode more may be at
/// hand than the descriptor shows: see ssl_pending. One thread may receive while another sends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_recv(
    s: *mut ssl_socket,
    buf: *mut c_void,
    len: usize,
    msg_flags: i32,
) -> isize {
    transferred(entry!(ssl_recv, change s, |socket| {
        // SAFETY: writable as the header demands.
        let buffer = unsafe { memory::bytes_mut(buf.cast(), len, "buf") }?;
        let known = libc::MSG_DONTWAIT | libc::MSG_PEEK | libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
        let options = options(msg_flags, known)?;
        if buffer.is_empty() {
            return Ok(0);
        }
        socket.receive(buffer, options)
    }))
}

/// Writes to `bytes` how many bytes can be received at once: in explicit mode those that the
/// library has taken off the connection already, which poll does not see; otherwise those in the
/// descriptor's queue. The end may be at hand as well, which no number tells: before waiting for
/// the descriptor, receive until that would block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_pending(s: *mut ssl_socket, bytes: *mut usize) -> i32 {
    status(entry!(ssl_pending, change s, |socket| {
        memory::check_target(bytes, "bytes")?;
        // SAFETY: checked; writable as the header demands.
        unsafe { memory::write(bytes, socket.pending()?, "bytes") }
    }))
}

/// Ends one direction or both, like shutdown(2): SHUT_WR (1) sends close_notify and receiving
/// goes on; SHUT_RD (0) ends receiving; SHUT_RDWR (2) does both and wakes a thread that is inside
/// ssl_recv. Afterwards sending answers EPIPE.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_shutdown(s: *mut ssl_socket, how: i32) -> i32 {
    status(entry!(ssl_shutdown, change s, |socket| {
        let (read, write) = match how {
            libc::SHUT_RD => (true, false),
            libc::SHUT_WR => (false, true),
            libc::SHUT_RDWR => (true, true),
            _ => return Err(Error::new(Code::INVALID, "`how` is not SHUT_RD, SHUT_WR or SHUT_RDWR")),
        };
        socket.shut_down(read, write)
    }))
}

fn options(flags: i32, known: i32) -> Result<CallOptions> {
    if flags & !known != 0 {
        return Err(Error {
            sys_errno: libc::EINVAL,
            ..Error::new(
                Code::INVALID,
                format!("msg_flags {:#x} are not supported over TLS", flags & !known),
            )
        });
    }
    Ok(CallOptions {
        dont_wait: flags & libc::MSG_DONTWAIT != 0,
        peek: flags & libc::MSG_PEEK != 0,
        wait_all: flags & libc::MSG_WAITALL != 0,
    })
}

/// The value of ssl_send and ssl_recv; sets errno on failure, as the last thing.
fn transferred(outcome: Result<usize>) -> isize {
    match outcome {
        // No buffer is larger than isize::MAX.
        Ok(count) => count as isize,
        Err(error) => {
            errno::set(errno_of(&error));
            -1
        }
    }
}

fn errno_of(error: &Error) -> i32 {
    match error.code {
        Code::BAD_HANDLE => libc::EBADF,
        // The upgrade failed, by whatever: nobody is to try again because it was a timeout.
        _ if error.sys_errno == libc::EPIPE => libc::EPIPE,
        Code::WANT_READ | Code::WANT_WRITE | Code::WANT_VALIDATION | Code::TIMEOUT => libc::EAGAIN,
        Code::TRUNCATED | Code::RESET => libc::ECONNRESET,
        Code::INVALID => libc::EINVAL,
        _ if error.sys_errno != 0 => error.sys_errno,
        Code::STATE => libc::ENOTCONN,
        Code::REENTRANT => libc::EDEADLK,
        _ => libc::EPROTO,
    }
}
