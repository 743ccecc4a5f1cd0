//! What both ways to use rustls have in common.

use std::net::TcpStream;

pub type Transport = TcpStream;

pub trait Connection {
    fn send(&mut self, bytes: &[u8]);
    fn receive(&mut self, bytes: &mut [u8]) -> usize;
    /// close_notify, the end of this direction, the peer's close_notify; the descriptor is closed with
    /// the connection.
    fn close(&mut self);
}
