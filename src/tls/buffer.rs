//! A byte queue that gives contiguous slices, for one direction of one connection.

use zeroize::Zeroize;

/// Bytes enter at the back and leave at the front. The storage grows on demand, stays until
/// [`Buffer::release`], and is cleared before it is freed: plaintext passes through it.
#[derive(Default)]
pub struct Buffer {
    storage: Vec<u8>,
    start: usize,
    end: usize,
    /// How much of the storage has been written to.
    touched: usize,
}

impl Buffer {
    pub fn new() -> Self {
        Self::default()
    }

    /// At least `wanted` bytes to write into; tell how many were filled with [`Self::filled`].
    pub fn space(&mut self, wanted: usize) -> &mut [u8] {
        if self.storage.len() - self.end < wanted {
            self.compact();
        }
        if self.storage.len() - self.end < wanted {
            self.grow(self.end + wanted);
        }
        &mut self.storage[self.end..]
    }

    /// How many bytes fit in without more memory.
    pub fn room(&self) -> usize {
        self.storage.len() - self.len()
    }

    /// The first `count` bytes of the last [`Self::space`] now belong to the queue.
    pub fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.storage.len());
        self.touched = self.touched.max(self.end);
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.space(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.filled(bytes.len());
    }

    /// The first `count` bytes have been used up.
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Clears and frees the storage of an empty queue.
    pub fn release(&mut self) {
        if self.is_empty() && !self.storage.is_empty() {
            self.give_back();
        }
    }

    pub fn readable(&self) -> &[u8] {
        &self.storage[self.start..self.end]
    }

    pub fn readable_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.end]
    }

    pub fn len(&self) -> usize {
        self.end - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn compact(&mut self) {
        if self.start > 0 {
            self.storage.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// A reallocation by `Vec` would leave a copy of the plaintext behind in freed memory.
    fn grow(&mut self, needed: usize) {
        let size = needed.max(self.storage.len() * 3 / 2).next_multiple_of(MINIMUM);
        let mut larger = spare::take(size).unwrap_or_else(|| vec![0; size]);
        larger[..self.end].copy_from_slice(&self.storage[..self.end]);
        self.give_back();
        self.storage = larger;
        self.touched = self.end;
    }

    fn give_back(&mut self) {
        if self.storage.is_empty() {
            return;
        }
        self.storage[..std::mem::take(&mut self.touched)].zeroize();
        spare::keep(std::mem::take(&mut self.storage));
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.give_back();
    }
}

const MINIMUM: usize = 1024;

/// A few storages, cleared, so that one that is given back after every call or handshake need not be
/// made and cleared anew for the next.
mod spare {
    use std::sync::{Mutex, MutexGuard, TryLockError};

    /// One that has room for `size`, but not for much more.
    pub(super) fn take(size: usize) -> Option<Vec<u8>> {
        let mut spares = lock(size)?;
        let fitting = spares.iter().position(|spare| (size..=2 * size).contains(&spare.len()))?;
        Some(spares.swap_remove(fitting))
    }

    pub(super) fn keep(storage: Vec<u8>) {
        if let Some(mut spares) = lock(storage.len())
            && spares.len() < COUNT
        {
            spares.push(storage);
        }
    }

    /// Those of about this size. Nobody waits: in a forked child whoever had the lock may be no more.
    fn lock(size: usize) -> Option<MutexGuard<'static, Vec<Vec<u8>>>> {
        let spares = match size {
            LARGE..=LARGEST => &SPARES[0],
            MIDDLE..LARGE => &SPARES[1],
            SMALL..MIDDLE => &SPARES[2],
            _ => return None,
        };
        match spares.try_lock() {
            Ok(spares) => Some(spares),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// A handshake's.
    const SMALL: usize = 2 * 1024;
    const MIDDLE: usize = 8 * 1024;
    const LARGE: usize = 32 * 1024;
    const LARGEST: usize = 256 * 1024;
    const COUNT: usize = 4;

    static SPARES: [Mutex<Vec<Vec<u8>>>; 3] = [const { Mutex::new(Vec::new()) }; 3];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_the_order_they_came_across_growth_and_compaction() {
        let mut buffer = Buffer::new();
        let (mut next_in, mut next_out) = (0_u32, 0_u32);
        for round in 1..400_usize {
            for _ in 0..round % 37 {
                buffer.push(&next_in.to_be_bytes());
                next_in += 1;
            }
            for _ in 0..round % 29 {
                if buffer.len() < 4 {
                    break;
                }
                assert_eq!(buffer.readable()[..4], next_out.to_be_bytes());
                buffer.consume(4);
                next_out += 1;
            }
            assert!(buffer.storage[buffer.touched..].iter().all(|&byte| byte == 0), "not cleared");
        }
        assert_eq!(buffer.len(), 4 * (next_in - next_out) as usize);
    }

    #[test]
    fn release_frees_only_an_empty_queue() {
        let mut buffer = Buffer::new();
        buffer.push(b"kept");
        buffer.release();
        assert_eq!(buffer.readable(), b"kept");
        buffer.consume(4);
        buffer.release();
        assert_eq!(buffer.storage.capacity(), 0);
    }

    #[test]
    fn storage_that_is_used_again_holds_nothing_of_what_was_in_it() {
        const SIZE: usize = 100_000;
        for _ in 0..20 {
            let mut buffer = Buffer::new();
            assert!(buffer.space(SIZE).iter().all(|&byte| byte == 0));
            buffer.push(&[7; SIZE]);
            buffer.consume(SIZE - 10);
            // Moves what is left to the front.
            buffer.space(SIZE);
            buffer.consume(10);
            buffer.release();
        }
    }
}
