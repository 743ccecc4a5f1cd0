//! What the headers of `include/wince` bind to, by assembler labels: Windows's functions for
//! Windows CE sources. The program's compiler knows them under Windows's names alone.
//!
//! None of it is in `include/sslsock.h`, and nothing but argument handling stands here: the
//! functions are those of [`crate::winsock`].

mod blocks;
mod boundary;
mod memory;
mod strings;
mod units;

pub mod address_info;
pub mod certificate_names;
pub mod chains;
pub mod contexts;
pub mod crack;
pub mod format;
pub mod hosts;
pub mod last_error;
pub mod library;
pub mod message_box;
pub mod messages;
pub mod random;
pub mod select;
pub mod services;
pub mod socket_options;
pub mod sockets;
pub mod startup;
pub mod stores;
pub mod system;
pub mod text;
pub mod time;
pub mod transfer;
