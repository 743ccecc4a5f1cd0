//! Windows CE's secure sockets: `WSAIoctl` with the SO_SSL_* codes.

mod buffers;
pub mod certificate;
pub mod certificate_names;
pub mod chains;
mod ciphers;
mod codes;
mod connection_info;
pub mod control;
pub mod crack;
pub mod distinguished_name;
pub mod error;
pub mod format;
mod hooks;
pub mod library;
pub mod look_up;
pub mod message_box;
pub mod messages;
pub mod names;
mod options;
mod protocols;
pub mod random;
mod replaced;
pub mod scan;
mod secure;
pub mod select;
pub mod socket_options;
pub mod sockets;
pub mod startup;
pub mod stores;
pub mod text;
pub mod time;
pub mod transfer;

use std::os::fd::RawFd;
use std::sync::Arc;

use codes::Operation;
pub use codes::takes_input;

use crate::error::{Error, Result};
use crate::socket::settings::{Hook, Kept, SSL_FLAG_SERVER};
use crate::socket::{self, Socket, Whom};
use crate::tls::program::{AuthRequestHook, SignatureHook};

/// One call of ssl_ioctl.
pub struct Request<'a> {
    pub code: u32,
    pub input: &'a [u8],
    pub hooks: &'a Hooks,
}

/// What makes a hook of the program's function and its argument; `None` for no function.
pub struct Hooks {
    pub certificate: fn(function: usize, argument: usize) -> Option<Hook>,
    pub auth_request: fn(function: usize, argument: usize) -> Option<AuthRequestHook>,
    pub signature: fn(function: usize, argument: usize) -> Option<SignatureHook>,
}

/// Whether this code asks for the upgrade, whose refusal has to end the connection.
pub fn is_upgrade(code: u32) -> bool {
    codes::find(code).is_ok_and(|(_, operation)| operation == Operation::PerformHandshake)
}

/// What a code is refused with that gets no further. If it asked for the upgrade, that ends the
/// connection: a program that passes over the failure must not go on in clear.
pub fn refuse(number: RawFd, code: u32, error: Error) -> Error {
    if !is_upgrade(code) {
        return error;
    }
    match sockets::handle(number) {
        Some(handle) => handle.refuse_upgrade(error),
        None => {
            socket::refuse_upgrade_of(number);
            error
        }
    }
}

/// Whether this is one of the SO_SSL_* codes.
pub fn is_known(code: u32) -> bool {
    codes::find(code).is_ok()
}

/// Does what the code says. The answer is for the output buffer: empty for everything but a GET.
pub fn control(socket: &Socket, request: &Request<'_>) -> Result<Vec<u8>> {
    let input = request.input;
    let (name, operation) = codes::find(request.code)?;
    if operation.sets() {
        // Too late is too late, whatever is in the buffer.
        socket.configure(|_| Ok(()))?;
    }
    match operation {
        Operation::GetCapabilities => {
            return Ok(buffers::to_bytes(&[SSL_CAP_CLIENT | SSL_CAP_CLIENT_AUTH]));
        }
        Operation::SetFlags => socket.set_flags(buffers::dword(input, name)?)?,
        Operation::GetFlags => return Ok(buffers::to_bytes(&[socket.settings().flags()])),
        Operation::SetProtocols => {
            keep(socket, protocols::accepted(input)?, |kept| &mut kept.protocols)?;
        }
        Operation::GetProtocols => {
            return Ok(kept(socket, protocols::default, |kept| &kept.protocols));
        }
        Operation::SetCiphers => {
            let (list, suites) = ciphers::accepted(input)?;
            socket.configure(|settings| {
                settings.kept.ciphers = Some(list.into());
                settings.parameters.suites = suites;
                Ok(())
            })?;
        }
        Operation::GetCiphers => {
            ciphers::check_asked(input)?;
            return Ok(kept(socket, ciphers::default, |kept| &kept.ciphers));
        }
        Operation::SetClientOpts => {
            keep(socket, options::cache(input)?, |kept| &mut kept.client_opts)?;
        }
        Operation::GetClientOpts => {
            return Ok(kept(socket, options::default_cache, |kept| &kept.client_opts));
        }
        Operation::SetServerOpts => {
            keep(socket, options::cache(input)?, |kept| &mut kept.server_opts)?;
        }
        Operation::GetServerOpts => {
            return Ok(kept(socket, options::default_cache, |kept| &kept.server_opts));
        }
        Operation::SetClientAuthOpts => {
            let (structure, requests_client_auth) = options::client_auth(input)?;
            socket.configure(|settings| {
                settings.kept.client_auth_opts = Some(structure.into());
                settings.requests_client_auth = requests_client_auth;
                Ok(())
            })?;
        }
        Operation::GetClientAuthOpts => {
            return Ok(kept(socket, options::default_client_auth, |kept| &kept.client_auth_opts));
        }
        Operation::SetValidateCertHook => {
            let (function, argument) = buffers::hook(input, "SSLVALIDATECERTHOOK")?;
            let hook = (request.hooks.certificate)(function, argument);
            socket.configure(|settings| {
                settings.hook = hook;
                Ok(())
            })?;
        }
        Operation::GetValidateCertHook => {
            let hook = socket.settings().hook.clone();
            return Ok(hooks::to_bytes(hook.map(|hook| (hook.function, hook.argument))));
        }
        Operation::SetAuthRequestHook => {
            let (function, argument) = buffers::hook(input, "SSLAUTHREQUESTHOOK")?;
            let hook = (request.hooks.auth_request)(function, argument);
            socket.configure(|settings| {
                settings.auth_request = hook;
                Ok(())
            })?;
        }
        Operation::GetAuthRequestHook => {
            let hook = socket.settings().auth_request.clone();
            return Ok(hooks::to_bytes(hook.map(|hook| (hook.function, hook.argument))));
        }
        Operation::SetKeyExchangeHook => hooks::clear_key_exchange(input)?,
        Operation::GetKeyExchangeHook => return Ok(hooks::to_bytes(None)),
        Operation::SetSignatureHook => {
            let (function, argument) = buffers::hook(input, "SSLSIGNATUREHOOK")?;
            let hook = (request.hooks.signature)(function, argument);
            socket.configure(|settings| {
                settings.signature = hook;
                Ok(())
            })?;
        }
        Operation::GetSignatureHook => {
            let hook = socket.settings().signature.clone();
            return Ok(hooks::to_bytes(hook.map(|hook| (hook.function, hook.argument))));
        }
        Operation::SetPeerName => {
            let name = match input {
                [] | [0] => None,
                _ => Some(buffers::name(input).ok_or_else(|| buffers::no_name_in(input))?),
            };
            socket.configure(|settings| {
                settings.peer_name = name;
                Ok(())
            })?;
        }
        Operation::PerformHandshake => {
            // Programs have been seen to pass what is no name, where Windows CE did not look at it.
            let name = buffers::name(input);
            if socket.derived_name().is_none()
                && let Ok(peer) = socket.address(true)
            {
                socket.set_derived_name(names::find(&peer));
            }
            let outcome = socket.perform_handshake(Whom::WindowsCe(name.as_ref()));
            replaced::announce();
            outcome?;
        }
        Operation::GetConnectionInfo => {
            let (session, _) = socket.session()?;
            let is_server = socket.settings().has(SSL_FLAG_SERVER);
            return Ok(connection_info::describe(&session, is_server));
        }
    }
    Ok(Vec::new())
}

/// The client role, with certificates of its own: accepting does not go through these codes.
const SSL_CAP_CLIENT: u32 = 0x1;
const SSL_CAP_CLIENT_AUTH: u32 = 0x4;

/// One of the settings that are kept as they came.
type Place = Option<Arc<[u8]>>;

fn keep(socket: &Socket, structure: &[u8], place: fn(&mut Kept) -> &mut Place) -> Result<()> {
    socket.configure(|settings| {
        *place(&mut settings.kept) = Some(structure.into());
        Ok(())
    })
}

fn kept(socket: &Socket, default: fn() -> Vec<u8>, place: fn(&Kept) -> &Place) -> Vec<u8> {
    place(&socket.settings().kept).as_deref().map_or_else(default, <[u8]>::to_vec)
}
