//! A ClientHello taken apart.

use std::collections::HashMap;

pub const SESSION_TICKET: u16 = 35;
pub const PRE_SHARED_KEY: u16 = 41;

#[derive(Debug)]
pub struct ClientHello {
    pub session_id: Vec<u8>,
    pub extensions: HashMap<u16, Vec<u8>>,
}

impl ClientHello {
    /// From the one record that it came in.
    pub fn parse(record: &[u8]) -> Self {
        let mut rest = Rest(record);
        assert_eq!(rest.take(1), [0x16], "a handshake record");
        rest.take(4);
        assert_eq!(rest.take(1), [1], "a ClientHello");
        // Length, version, random.
        rest.take(3 + 2 + 32);
        let session_id = rest.list(1).to_vec();
        rest.list(2);
        rest.list(1);
        let mut list = Rest(rest.list(2));
        let mut extensions = HashMap::new();
        while !list.0.is_empty() {
            let kind = u16::from_be_bytes(list.take(2).try_into().unwrap());
            assert!(extensions.insert(kind, list.list(2).to_vec()).is_none(), "twice: {kind}");
        }
        Self { session_id, extensions }
    }

    /// The ticket of TLS 1.3 that is offered.
    pub fn pre_shared_key(&self) -> Option<&[u8]> {
        let extension = self.extensions.get(&PRE_SHARED_KEY)?;
        let mut identities = Rest(Rest(extension).list(2));
        Some(identities.list(2))
    }

    /// The ticket of TLS 1.2 that is offered; an empty one asks for one.
    pub fn session_ticket(&self) -> Option<&[u8]> {
        self.extensions.get(&SESSION_TICKET).map(Vec::as_slice).filter(|ticket| !ticket.is_empty())
    }

    /// Whether it offers a session by a ticket of either version.
    pub fn offers_ticket(&self) -> bool {
        self.pre_shared_key().is_some() || self.session_ticket().is_some()
    }
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    /// What stands behind its length of `width` bytes.
    fn list(&mut self, width: usize) -> &'a [u8] {
        let length = self.take(width).iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        self.take(length)
    }
}
