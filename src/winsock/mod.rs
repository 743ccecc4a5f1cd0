//! Windows CE's secure sockets: `WSAIoctl` with the SO_SSL_* codes.

mod buffers;
mod codes;
pub mod error;
pub mod names;

use codes::Operation;

use crate::error::{Code, Error, Result};
use crate::socket::settings::Hook;
use crate::socket::{Socket, Whom};

/// One call of ssl_ioctl.
pub struct Request<'a> {
    pub code: u32,
    pub input: &'a [u8],
    /// Makes a hook of the program's function and argument; `None` for no function.
    pub hook_from: fn(function: usize, argument: usize) -> Option<Hook>,
}

/// Whether this code asks for the upgrade, whose refusal has to end the connection.
pub fn is_upgrade(code: u32) -> bool {
    codes::find(code).is_ok_and(|(_, operation)| operation == Operation::PerformHandshake)
}

/// Does what the code says. The answer is for the output buffer: empty for everything but a GET.
pub fn control(socket: &Socket, request: &Request<'_>) -> Result<Vec<u8>> {
    let input = request.input;
    let (name, operation) = codes::find(request.code)?;
    match operation {
        Operation::SetFlags => socket.set_flags(buffers::dword(input, name)?)?,
        Operation::GetFlags => {
            return Ok(socket.settings().flags().to_ne_bytes().to_vec());
        }
        Operation::SetValidateCertHook => {
            let (function, argument) = buffers::hook(input)?;
            let hook = (request.hook_from)(function, argument);
            socket.configure(|settings| {
                settings.hook = hook;
                Ok(())
            })?;
        }
        Operation::GetValidateCertHook => {
            let hook = socket.settings().hook;
            let (function, argument) = hook.map_or((0, 0), |hook| (hook.function, hook.argument));
            return Ok([function.to_ne_bytes(), argument.to_ne_bytes()].concat());
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
            socket.perform_handshake(Whom::WindowsCe(name.as_ref()))?;
        }
        Operation::Unsupported => {
            return Err(Error::new(
                Code::UNSUPPORTED,
                format!(
                    "{name} ({:#010x}) is not supported yet: nothing was changed",
                    request.code
                ),
            ));
        }
    }
    Ok(Vec::new())
}
