//! Checked handles: what a C program holds is a token, never an address.
//!
//! A token names a slot and the generation of its use, so NULL, garbage, a freed handle and one
//! whose slot has been given out again are told apart from a live one without touching memory
//! through it. The table is never freed and its slots are found without a lock; a forked child
//! starts a table of its own and can still tell its parent's handles.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::error::{Code, Error, Result};
use crate::sys::process::{self, LAST_EPOCH, PerProcess};

/// The handles of one kind of object.
pub struct Table<T> {
    processes: PerProcess<Box<Slots<T>>>,
}

/// The value of a handle. Always odd, so that no aligned address is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(NonZeroUsize);

impl Token {
    pub fn from_raw(raw: usize) -> Option<Self> {
        NonZeroUsize::new(raw).filter(|raw| raw.get() & 1 == 1).map(Self)
    }

    pub fn raw(self) -> usize {
        self.0.get()
    }

    fn new(slot: usize, epoch: usize, generation: u64) -> Self {
        let fields =
            (generation << (SLOT_BITS + EPOCH_BITS)) | ((epoch as u64) << SLOT_BITS) | slot as u64;
        // The low bit is set, so it is not zero.
        Self(NonZeroUsize::MIN | (fields << 1) as usize)
    }

    fn slot(self) -> usize {
        (self.0.get() >> 1) & ((1 << SLOT_BITS) - 1)
    }

    fn epoch(self) -> usize {
        (self.0.get() >> (1 + SLOT_BITS)) & ((1 << EPOCH_BITS) - 1)
    }

    fn generation(self) -> u64 {
        self.0.get() as u64 >> (1 + SLOT_BITS + EPOCH_BITS)
    }
}

impl<T> Table<T> {
    pub const fn new() -> Self {
        Self { processes: PerProcess::new() }
    }

    /// `make` is told the token under which its object will be found.
    pub fn insert(&self, make: impl FnOnce(Token) -> Arc<T>) -> Result<Token> {
        if process::epoch() > LAST_EPOCH {
            return Err(Error::new(
                Code::UNSUPPORTED,
                format!("more than {LAST_EPOCH} forks in a row, each using sslsock: not supported"),
            ));
        }
        let slots = self.processes.get_or_init(|| Box::new(Slots::new()));
        let index = slots.take_free()?;
        let slot = slots.get_or_make(index);
        let generation = slot.generation.load(Ordering::Acquire) + 1;
        let token = Token::new(index, process::epoch(), generation);
        *slot.object.lock().unwrap_or_else(PoisonError::into_inner) = Some(make(token));
        slot.generation.store(generation, Ordering::Release);
        Ok(token)
    }

    pub fn get(&self, raw: usize) -> Result<Arc<T>> {
        let slot = self.live_slot(raw)?.1;
        let object = slot.object.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // It may have been freed, and the slot used again, in between.
        self.live_slot(raw)?;
        object.ok_or_else(bad_handle)
    }

    /// An object of a parent process, from before the fork.
    pub fn of_ancestor(&self, token: Token) -> Option<Arc<T>> {
        let slot = self.processes.of_epoch(token.epoch())?.get(token.slot())?;
        // The lock may have been held by a thread that does not exist here.
        slot.object.try_lock().ok()?.clone()
    }

    /// Takes the object out: from now on the handle is stale.
    pub fn remove(&self, raw: usize) -> Result<Arc<T>> {
        let (slots, slot, token) = self.live(raw)?;
        let mut object = slot.object.lock().unwrap_or_else(PoisonError::into_inner);
        let removed = object.take().ok_or_else(bad_handle)?;
        // Odd generations are live, even ones free.
        slot.generation.store(token.generation() + 1, Ordering::Release);
        drop(object);
        slots.give_back(token.slot(), token.generation());
        Ok(removed)
    }

    /// Every live object of this process.
    pub fn all(&self) -> Vec<Arc<T>> {
        let Some(slots) = self.processes.get() else { return Vec::new() };
        slots
            .chunks
            .iter()
            .map_while(OnceLock::get)
            .flat_map(|chunk| chunk.iter())
            .filter_map(|slot| slot.object.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .collect()
    }

    fn live_slot(&self, raw: usize) -> Result<(&Slots<T>, &Slot<T>)> {
        self.live(raw).map(|(slots, slot, _)| (slots, slot))
    }

    /// No lock is taken here: in a forked child one of the parent's might be held for ever.
    fn live(&self, raw: usize) -> Result<(&Slots<T>, &Slot<T>, Token)> {
        let token = Token::from_raw(raw).ok_or_else(bad_handle)?;
        let (slots, slot) = self
            .processes
            .of_epoch(token.epoch())
            .and_then(|slots| Some((slots, slots.get(token.slot())?)))
            .filter(|(_, slot)| slot.generation.load(Ordering::Acquire) == token.generation())
            .filter(|_| token.generation() & 1 == 1)
            .ok_or_else(bad_handle)?;
        if token.epoch() != process::epoch() {
            return Err(Error::new(
                Code::FORKED,
                "this handle was made before a fork and belongs to the parent process: TLS keys \
                 must not be used twice; open a new connection in the child",
            ));
        }
        Ok((slots, slot, token))
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self::new()
    }
}

struct Slots<T> {
    chunks: Box<[OnceLock<Chunk<T>>]>,
    free: Mutex<Free>,
}

type Chunk<T> = Box<[Slot<T>]>;

struct Slot<T> {
    /// Odd while an object is there. Grows with every use and is never set back.
    generation: AtomicU64,
    object: Mutex<Option<Arc<T>>>,
}

#[derive(Default)]
struct Free {
    /// First in, first out: a stale handle stays stale for longer.
    slots: std::collections::VecDeque<usize>,
    used: usize,
}

impl<T> Slots<T> {
    fn new() -> Self {
        Self { chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect(), free: Mutex::default() }
    }

    fn take_free(&self) -> Result<usize> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = free.slots.pop_front() {
            return Ok(index);
        }
        if free.used == CHUNKS * CHUNK_SIZE {
            return Err(Error::new(
                Code::IO,
                "too many handles: free those that are no longer needed with ssl_socket_free",
            ));
        }
        free.used += 1;
        Ok(free.used - 1)
    }

    fn give_back(&self, index: usize, generation: u64) {
        // A slot whose generations are used up is retired.
        if generation < LAST_GENERATION {
            self.free.lock().unwrap_or_else(PoisonError::into_inner).slots.push_back(index);
        }
    }

    fn get(&self, index: usize) -> Option<&Slot<T>> {
        self.chunks.get(index / CHUNK_SIZE)?.get()?.get(index % CHUNK_SIZE)
    }

    fn get_or_make(&self, index: usize) -> &Slot<T> {
        let chunk = self.chunks[index / CHUNK_SIZE].get_or_init(|| {
            (0..CHUNK_SIZE)
                .map(|_| Slot { generation: AtomicU64::new(0), object: Mutex::new(None) })
                .collect()
        });
        &chunk[index % CHUNK_SIZE]
    }
}

fn bad_handle() -> Error {
    Error::new(
        Code::BAD_HANDLE,
        "not a live handle: it is NULL, was freed, or was never given out by this library",
    )
}

#[cfg(target_pointer_width = "64")]
const SLOT_BITS: usize = 20;
#[cfg(not(target_pointer_width = "64"))]
const SLOT_BITS: usize = 12;
const EPOCH_BITS: usize = 8;
const GENERATION_BITS: usize = usize::BITS as usize - 1 - SLOT_BITS - EPOCH_BITS;
const LAST_GENERATION: u64 = (1 << GENERATION_BITS) - 2;
const CHUNK_SIZE: usize = 1024;
const CHUNKS: usize = (1 << SLOT_BITS) / CHUNK_SIZE;

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T>(result: Result<T>) -> Option<Code> {
        result.err().map(|error| error.code)
    }

    #[test]
    fn only_a_live_token_finds_its_object() -> Result<()> {
        let table = Table::new();
        let first = table.insert(|_| Arc::new(1))?;
        let second = table.insert(|_| Arc::new(2))?;
        assert_eq!((*table.get(first.raw())?, *table.get(second.raw())?), (1, 2));
        for garbage in [0, 1, 2, 3, usize::MAX, usize::MAX - 1, first.raw() ^ 1, first.raw() + 2] {
            if garbage != second.raw() {
                assert_eq!(code(table.get(garbage)), Some(Code::BAD_HANDLE), "{garbage:#x}");
            }
        }
        assert_eq!(*table.remove(first.raw())?, 1);
        assert_eq!(code(table.get(first.raw())), Some(Code::BAD_HANDLE));
        assert_eq!(code(table.remove(first.raw())), Some(Code::BAD_HANDLE));
        Ok(())
    }

    #[test]
    fn a_reused_slot_does_not_revive_a_stale_token() -> Result<()> {
        let table = Table::new();
        let mut stale = Vec::new();
        for round in 0..100_000 {
            let token = table.insert(|_| Arc::new(round))?;
            assert_eq!(*table.get(token.raw())?, round);
            table.remove(token.raw())?;
            if round % 1000 == 0 {
                stale.push(token);
            }
        }
        assert_eq!(stale.iter().filter(|token| table.get(token.raw()).is_ok()).count(), 0);
        assert!(table.all().is_empty());
        Ok(())
    }
}
