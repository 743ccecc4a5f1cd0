//! A wire that can be listened to: connections through it keep what both sides have said.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::hello::ClientHello;
use super::wire::records;

/// One connection, with everything that went over it.
#[derive(Clone, Default)]
pub struct Tap(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    client_bytes: Vec<u8>,
    server_bytes: Vec<u8>,
    client_ended: bool,
    /// What the server says after the client's handshake waits for the client's end.
    holds_tickets: bool,
    to_client: Option<TcpStream>,
}

impl Tap {
    /// The client's end of a connection to `server`.
    pub fn connect(server: SocketAddr) -> (TcpStream, Self) {
        Self::connect_with(server, false)
    }

    /// The same, where the server's tickets arrive after the client has ended its direction.
    pub fn with_late_tickets(server: SocketAddr) -> (TcpStream, Self) {
        Self::connect_with(server, true)
    }

    fn connect_with(server: SocketAddr, holds_tickets: bool) -> (TcpStream, Self) {
        let listener = TcpListener::bind("127.0.0.2:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let client = listener.accept().unwrap().0;
        let server = TcpStream::connect(server).unwrap();
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
        }
        let tap = Self::default();
        tap.change(|state| {
            state.holds_tickets = holds_tickets;
            state.to_client = Some(client.try_clone().unwrap());
        });
        let (client_bytes, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let outward = tap.clone();
        thread::spawn(move || {
            carry(client_bytes, &to_server, |bytes| {
                outward.change(|state| state.client_bytes.extend(bytes));
            });
            outward.change(|state| state.client_ended = true);
            let _ = to_server.shutdown(Shutdown::Write);
        });
        let inward = tap.clone();
        thread::spawn(move || {
            carry(server, &client, |bytes| {
                inward.change(|state| state.server_bytes.extend(bytes));
                let (state, changed) = &*inward.0;
                let waits = |state: &mut State| state.is_held() && !state.client_ended;
                drop(changed.wait_while(state.lock().unwrap(), waits).unwrap());
            });
            let _ = client.shutdown(Shutdown::Write);
        });
        (near, tap)
    }

    /// What the client has sent so far.
    pub fn client_bytes(&self) -> Vec<u8> {
        self.0.0.lock().unwrap().client_bytes.clone()
    }

    pub fn server_bytes(&self) -> Vec<u8> {
        self.0.0.lock().unwrap().server_bytes.clone()
    }

    /// All that the client has sent, once it has ended the connection.
    pub fn all_from_client(&self) -> Vec<u8> {
        let (state, changed) = &*self.0;
        let state = changed.wait_while(state.lock().unwrap(), |state| !state.client_ended).unwrap();
        state.client_bytes.clone()
    }

    pub fn hello(&self) -> ClientHello {
        ClientHello::parse(&records(&self.client_bytes())[0])
    }

    /// The session id of the ServerHello.
    pub fn server_session_id(&self) -> Vec<u8> {
        // Record header, handshake header, version, random.
        let after = &self.server_bytes()[5 + 4 + 2 + 32..];
        after[1..1 + usize::from(after[0])].to_vec()
    }

    /// Says something to the client that is not the server's.
    pub fn inject(&self, bytes: &[u8]) {
        let state = self.0.0.lock().unwrap();
        state.to_client.as_ref().unwrap().write_all(bytes).unwrap();
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }
}

impl State {
    /// What comes from the server now are its tickets, if these have to wait.
    fn is_held(&self) -> bool {
        let is_last_flight = |record: &[u8]| record[0] == 0x17;
        self.holds_tickets && records(&self.client_bytes).iter().any(|one| is_last_flight(one))
    }
}

fn carry(mut from: TcpStream, mut to: &TcpStream, note: impl Fn(&[u8])) {
    let mut buffer = [0; 16384];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        note(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}
