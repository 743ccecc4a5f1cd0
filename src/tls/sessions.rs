//! Sessions that a client can resume: what a domain remembers, and one connection's part in it.
//!
//! Whatever a connection learns is kept back until its handshake is complete and the certificate
//! approved. So nothing stays of a handshake that fails, and a connection that fails later takes
//! what it brought with it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

use super::context;
use crate::quick_hash::Quick;

/// The sessions of one domain, by the peer's name.
#[derive(Default)]
pub struct Store {
    state: Mutex<State>,
}

/// Connections that may be told to resume each other's sessions: one that made a full handshake or
/// found a session by the name alone begins one, `ssl_set_session_from` joins one.
#[derive(Clone, Debug)]
pub struct Family(Arc<u64>);

/// Which sessions a connection may offer.
#[derive(Clone)]
pub enum Offer {
    Nothing,
    /// The newest with the same peer.
    ByName,
    Of(Family),
}

/// One client connection's part in the sessions of its domain.
pub struct Sessions {
    store: Arc<Store>,
    name: ServerName<'static>,
    post_quantum: bool,
    offer: Offer,
    own: Family,
    /// Whoever the family was given to.
    in_use: Option<Weak<u64>>,
    offered: Option<Offered>,
    learned: Vec<Learned>,
    /// The handshake is complete and the certificate approved; whether a session was resumed.
    established: Option<bool>,
}

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The TLS protocol failed, by an alert or without one.
    Protocol,
    /// The peer's certificate was refused.
    Refused,
    /// The handshake did not come to its end, for whatever reason.
    Unfinished,
}

/// Brings rustls's calls to the connection that they are for.
#[derive(Debug)]
pub struct ByContext;

impl Family {
    fn new() -> Self {
        Self(Arc::new(NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    fn number(&self) -> u64 {
        *self.0
    }

    /// Goes on naming it.
    fn let_go(&mut self) {
        self.0 = Arc::new(self.number());
    }
}

impl Sessions {
    pub fn new(
        store: Arc<Store>,
        name: ServerName<'static>,
        post_quantum: bool,
        offer: Offer,
    ) -> Self {
        Self {
            store,
            name,
            post_quantum,
            offer,
            own: Family::new(),
            in_use: None,
            offered: None,
            learned: Vec::new(),
            established: None,
        }
    }

    /// The ClientHello has been made. rustls passes over a ticket that has expired.
    pub fn hello_made(&mut self, offers_ticket: bool) {
        if !offers_ticket {
            self.offered.take_if(|offered| offered.is_ticket);
        }
    }

    pub fn offers_one(&self) -> bool {
        self.offered.is_some()
    }

    pub fn has_news(&self) -> bool {
        !self.learned.is_empty()
    }

    /// What the connection has just learned came in `size` bytes.
    pub fn learned_from(&mut self, size: usize) {
        let size = size + size_of::<Kept>() + size_of::<Tls12ClientSessionValue>();
        for learned in &mut self.learned {
            if let Learned::Session { size: found @ None, .. } = learned {
                *found = Some(size);
            }
        }
        self.keep();
    }

    /// The handshake is complete and the certificate approved.
    pub fn established(&mut self, resumed: bool) {
        self.established.get_or_insert(resumed);
        self.keep();
    }

    /// The family that the connection belongs to, once its handshake is complete. It is in use for as
    /// long as somebody has what is given away here, who can have its sessions resumed; not for as
    /// long as the connection is there, which may take its time to close.
    pub fn give_family(&mut self) -> Family {
        if let Some(given) = self.in_use.as_ref().and_then(Weak::upgrade) {
            return Family(given);
        }
        let family = self.family().clone();
        self.in_use = Some(Arc::downgrade(&family.0));
        self.own.let_go();
        if let Offer::Of(family) = &mut self.offer {
            family.let_go();
        }
        family
    }

    fn family(&self) -> &Family {
        match (&self.offer, self.established) {
            (Offer::Of(family), Some(true)) => family,
            _ => &self.own,
        }
    }

    /// Forgets what is not to be offered again after a failure: of TLS 1.2 the session itself (RFC
    /// 5246 section 7.2.2), of TLS 1.3 the tickets that the connection has brought (RFC 8446 section
    /// 6.2); after a refusal, all that goes back to the same full handshake.
    pub fn failed(&mut self, failure: Failure) {
        self.learned.clear();
        if failure == Failure::Unfinished && !matches!(self.offer, Offer::ByName) {
            // What the program has chosen is worth another try. What it has not could be what the
            // server cannot stand, again and again.
            return;
        }
        let (own, origin) = (self.own.number(), self.origin());
        let mut state = self.store.lock();
        state.change(&self.name, |peer| {
            peer.retain(|kept| match (failure, &kept.value) {
                (Failure::Protocol | Failure::Unfinished, Value::Tls13(_)) => kept.from != own,
                (Failure::Refused, _) | (_, Value::Tls12(_)) => {
                    kept.from != own && kept.origin != origin
                }
            });
        });
    }

    /// The connection whose full handshake this one's sessions go back to.
    fn origin(&self) -> u64 {
        match (&self.offered, self.established) {
            (Some(offered), None | Some(true)) => offered.origin,
            _ => self.own.number(),
        }
    }

    fn keep(&mut self) {
        if self.established.is_none() || self.learned.is_empty() {
            return;
        }
        let (family, from, origin) = (self.family().clone(), self.own.number(), self.origin());
        let in_use = self.in_use.clone().unwrap_or_else(|| Arc::downgrade(&family.0));
        let since = Instant::now();
        let mut state = self.store.lock();
        for learned in std::mem::take(&mut self.learned) {
            let (value, size) = match learned {
                Learned::Group(group) => {
                    let at = usize::from(self.post_quantum);
                    state.add(&self.name, |peer| peer.groups[at] = Some(group));
                    continue;
                }
                Learned::SpeaksTls13 => {
                    state.remove_tls12(&self.name, &self.offer);
                    continue;
                }
                Learned::Session { size: None, .. } => continue,
                Learned::Session { value, size: Some(size), .. } => (value, size),
            };
            if size <= SESSION_LIMIT {
                let kept = Kept {
                    value,
                    family: family.number(),
                    in_use: in_use.clone(),
                    from,
                    origin,
                    since,
                    size,
                };
                state.add(&self.name, |peer| peer.add(kept));
            }
        }
    }

    fn learn(&mut self, learned: Learned) {
        if matches!(learned, Learned::Session { .. }) && self.learned.len() >= PER_FAMILY * 2 {
            // A peer that sends nothing else.
            self.learned.remove(0);
        }
        self.learned.push(learned);
    }
}

impl ClientSessionStore for ByContext {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        with(|sessions| sessions.learn(Learned::Group(group)));
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        with(|sessions| {
            let at = usize::from(sessions.post_quantum);
            sessions.store.lock().peers.get(&sessions.name)?.groups[at]
        })
        .flatten()
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        let value = Value::Tls12(Box::new(value));
        with(|sessions| sessions.learn(Learned::Session { value, size: None }));
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        with(|sessions| {
            let kept = sessions.store.lock().tls12(&sessions.name, &sessions.offer)?;
            sessions.offered = Some(Offered { origin: kept.1, is_ticket: false });
            Some(kept.0)
        })
        .flatten()
    }

    /// Said in the middle of a handshake that is about to fail, or at the end of one of TLS 1.3.
    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        with(|sessions| sessions.learn(Learned::SpeaksTls13));
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        let value = Value::Tls13(Box::new(value));
        with(|sessions| sessions.learn(Learned::Session { value, size: None }));
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        with(|sessions| {
            let kept = sessions.store.lock().take_tls13(&sessions.name, &sessions.offer)?;
            sessions.offered = Some(Offered { origin: kept.1, is_ticket: true });
            Some(kept.0)
        })
        .flatten()
    }
}

struct Offered {
    origin: u64,
    /// Of TLS 1.3.
    is_ticket: bool,
}

/// Something for the store that waits for the end of the handshake.
enum Learned {
    /// What key exchange the peer takes.
    Group(NamedGroup),
    SpeaksTls13,
    Session {
        value: Value,
        /// How many bytes it came in, once that is known.
        size: Option<usize>,
    },
}

enum Value {
    Tls12(Box<Tls12ClientSessionValue>),
    Tls13(Box<Tls13ClientSessionValue>),
}

struct Kept {
    value: Value,
    family: u64,
    /// Gone with the last handle of the family.
    in_use: Weak<u64>,
    /// The connection that brought it.
    from: u64,
    /// The connection whose full handshake it goes back to.
    origin: u64,
    since: Instant,
    /// An upper bound for its memory.
    size: usize,
}

impl Kept {
    fn is_tls12(&self) -> bool {
        matches!(self.value, Value::Tls12(_))
    }

    fn is_offered_by(&self, offer: &Offer) -> bool {
        match offer {
            Offer::Nothing => false,
            Offer::ByName => true,
            Offer::Of(family) => self.family == family.number(),
        }
    }

    fn is_in_use(&self) -> bool {
        self.in_use.strong_count() > 0
    }
}

#[derive(Default)]
struct State {
    /// By names that the program gives, and not many.
    peers: HashMap<ServerName<'static>, Peer, Quick>,
    /// Counts what is done, so that what was used last is known.
    clock: u64,
    size: usize,
}

#[derive(Default)]
struct Peer {
    /// The newest at the end.
    sessions: VecDeque<Kept>,
    /// The key exchange that it took, without and with the post-quantum ones.
    groups: [Option<NamedGroup>; 2],
    used: u64,
    size: usize,
}

impl State {
    fn tls12(
        &mut self,
        name: &ServerName<'static>,
        offer: &Offer,
    ) -> Option<(Tls12ClientSessionValue, u64)> {
        let peer = self.touch(name)?;
        let mut newest_first = peer.sessions.iter().rev();
        newest_first.find_map(|kept| match &kept.value {
            Value::Tls12(value)
                if kept.is_offered_by(offer) && kept.since.elapsed() < TLS12_LIFETIME =>
            {
                Some(((**value).clone(), kept.origin))
            }
            _ => None,
        })
    }

    fn take_tls13(
        &mut self,
        name: &ServerName<'static>,
        offer: &Offer,
    ) -> Option<(Tls13ClientSessionValue, u64)> {
        let peer = self.touch(name)?;
        let is_chosen = matches!(offer, Offer::Of(_));
        let at = peer.sessions.iter().rposition(|kept| {
            !kept.is_tls12() && kept.is_offered_by(offer) && (is_chosen || !peer.spares(kept))
        })?;
        let mut taken = None;
        self.change(name, |peer| taken = peer.remove(at));
        match taken? {
            Kept { value: Value::Tls13(value), origin, .. } => Some((*value, origin)),
            _ => None,
        }
    }

    /// The peer speaks TLS 1.3. Another server of that name need not, with which a connection is
    /// open: that one's session stays.
    fn remove_tls12(&mut self, name: &ServerName<'static>, offer: &Offer) {
        let is_chosen = matches!(offer, Offer::Of(_));
        self.change(name, |peer| {
            peer.retain(|kept| {
                !kept.is_tls12() || !kept.is_offered_by(offer) || (kept.is_in_use() && !is_chosen)
            });
        });
    }

    fn touch(&mut self, name: &ServerName<'static>) -> Option<&mut Peer> {
        self.clock += 1;
        let peer = self.peers.get_mut(name)?;
        peer.used = self.clock;
        Some(peer)
    }

    /// Changes what is kept of a peer that is known.
    fn change(&mut self, name: &ServerName<'static>, change: impl FnOnce(&mut Peer)) {
        let Some(peer) = self.touch(name) else { return };
        let before = peer.size;
        change(peer);
        let after = peer.size;
        self.size = self.size - before + after;
    }

    /// The same of one that may be new; others may have to go.
    fn add(&mut self, name: &ServerName<'static>, change: impl FnOnce(&mut Peer)) {
        if !self.peers.contains_key(name) {
            self.peers.insert(name.clone(), Peer::default());
        }
        self.change(name, change);
        while self.peers.len() > PEERS || (self.size > SIZE_LIMIT && self.peers.len() > 1) {
            let oldest = self.peers.iter().min_by_key(|(_, peer)| peer.used);
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else { return };
            let removed = self.peers.remove(&oldest);
            self.size -= removed.map_or(0, |peer| peer.size);
        }
    }
}

impl Peer {
    /// Sessions of connections whose handles are there still are not counted: somebody may be about
    /// to resume them.
    fn add(&mut self, kept: Kept) {
        let (is_tls12, family) = (kept.is_tls12(), kept.family);
        self.size += kept.size;
        self.sessions.push_back(kept);
        let like = |kept: &Kept| kept.is_tls12() == is_tls12;
        let (per_family, per_peer) =
            if is_tls12 { (1, TLS12_PER_PEER) } else { (PER_FAMILY, TLS13_PER_PEER) };
        self.shrink(per_family, |kept| like(kept) && kept.family == family);
        self.shrink(per_peer, |kept| like(kept) && !kept.is_in_use());
        while self.size > PEER_SIZE_LIMIT && self.sessions.len() > 1 {
            let unused = self.sessions.iter().position(|kept| !kept.is_in_use());
            self.remove(unused.unwrap_or(0));
        }
    }

    /// The last ticket of connections whose handles are there still is not for others: it can be used
    /// once, and somebody may be about to resume their session, as for the data connections of FTP.
    fn spares(&self, kept: &Kept) -> bool {
        let mut family = self.sessions.iter().filter(|other| other.family == kept.family);
        kept.is_in_use() && family.nth(1).is_none()
    }

    /// Removes the oldest of those until `limit` are left.
    fn shrink(&mut self, limit: usize, is_one: impl Fn(&Kept) -> bool) {
        let count = self.sessions.iter().filter(|kept| is_one(kept)).count();
        for _ in limit..count {
            if let Some(at) = self.sessions.iter().position(&is_one) {
                self.remove(at);
            }
        }
    }

    fn remove(&mut self, at: usize) -> Option<Kept> {
        let removed = self.sessions.remove(at)?;
        self.size -= removed.size;
        Some(removed)
    }

    fn retain(&mut self, stays: impl Fn(&Kept) -> bool) {
        self.sessions.retain(stays);
        self.size = self.sessions.iter().map(|kept| kept.size).sum();
    }
}

impl Store {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn with<T>(look: impl FnOnce(&mut Sessions) -> T) -> Option<T> {
    context::with(|context| context.sessions.as_mut().map(look)).flatten()
}

static NEXT: AtomicU64 = AtomicU64::new(1);

const PEERS: usize = 256;
const PER_FAMILY: usize = 8;
const TLS13_PER_PEER: usize = 32;
const TLS12_PER_PEER: usize = 8;
/// What RFC 5246 appendix F.1.4 suggests; a ticket has its own.
const TLS12_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// A ticket may have 64 KiB, and each comes with the chain of certificates.
const SESSION_LIMIT: usize = 96 * 1024;
const PEER_SIZE_LIMIT: usize = 512 * 1024;
const SIZE_LIMIT: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests;
