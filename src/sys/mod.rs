//! System-call wrappers: with `abi` the only place where `unsafe` may stand.

#![allow(unsafe_code)]

pub mod address;
pub mod blocked_thread;
pub mod clock;
pub mod epoll_registration;
pub mod errno;
pub mod fd_table;
pub mod file;
pub mod hold;
pub mod identity;
pub mod look_up;
pub mod number_text;
pub mod own_memory;
pub mod poll;
pub mod private_fd;
pub mod process;
pub mod program_memory;
pub mod socket_calls;
pub mod socket_options;
pub mod stream_socket;
pub mod tcp_table;
pub mod thread;

#[cfg(test)]
pub(crate) mod test_sockets;

use crate::error::Error;

/// For `map_err`: the system call that was to do `what` failed.
pub(crate) fn failed(what: &str) -> impl Fn(rustix::io::Errno) -> Error + '_ {
    move |errno| Error::system(what, errno.raw_os_error())
}
