//! Memory that a program holds by its address until it gives it back.
//!
//! Which addresses are live is kept here, so that freeing one twice, or what never was one, does
//! nothing.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sys::process::PerProcess;

/// What a program holds of one kind, and what the library knows of each.
pub struct Blocks<D> {
    live: PerProcess<Mutex<HashMap<usize, Live<D>>>>,
}

struct Live<D> {
    data: D,
    references: usize,
    _memory: Memory,
}

impl<D> Blocks<D> {
    pub const fn new() -> Self {
        Self { live: PerProcess::new() }
    }

    /// Takes the block in, with one reference to it. Its address is that of its first value.
    pub fn give(&self, mut memory: Memory, data: D) -> usize {
        let address = memory.words.as_mut_ptr() as usize;
        self.lock().insert(address, Live { data, references: 1, _memory: memory });
        address
    }

    /// Adds a reference; false if there is no such block.
    pub fn duplicate(&self, address: usize) -> bool {
        self.lock().get_mut(&address).map(|live| live.references += 1).is_some()
    }

    /// Takes a reference away, and with the last one the block, whose data is answered.
    pub fn release(&self, address: usize) -> Option<D> {
        let mut blocks = self.lock();
        let live = blocks.get_mut(&address)?;
        live.references -= 1;
        if live.references > 0 {
            return None;
        }
        blocks.remove(&address).map(|live| live.data)
    }

    /// What the library knows of a live block.
    pub fn data(&self, address: usize) -> Option<D>
    where
        D: Clone,
    {
        self.lock().get(&address).map(|live| live.data.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<usize, Live<D>>> {
        self.live.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What goes into a block, before there is one.
#[derive(Default)]
pub struct Layout {
    size: usize,
}

/// A place in a block.
pub struct Place<T> {
    offset: usize,
    kind: PhantomData<T>,
}

impl<T> Clone for Place<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Place<T> {}

impl Layout {
    pub fn add<T>(&mut self) -> Place<T> {
        self.add_many(1)
    }

    pub fn add_many<T>(&mut self, count: usize) -> Place<T> {
        const { assert!(align_of::<T>() <= align_of::<u64>()) };
        let offset = self.size;
        self.size += (size_of::<T>() * count).next_multiple_of(size_of::<u64>());
        Place { offset, kind: PhantomData }
    }
}

impl<T> Place<T> {
    /// That of another one of several.
    pub fn at(self, index: usize) -> Self {
        Self { offset: self.offset + index * size_of::<T>(), ..self }
    }
}

/// One block, zeroed.
pub struct Memory {
    words: Vec<u64>,
}

impl Memory {
    pub fn new(layout: &Layout) -> Self {
        Self { words: vec![0; layout.size / size_of::<u64>()] }
    }

    /// The address that a place has, now and as long as the block lives.
    pub fn address<T>(&mut self, place: Place<T>) -> *mut T {
        self.words.as_mut_ptr().cast::<u8>().wrapping_add(place.offset).cast()
    }

    pub fn put<T>(&mut self, place: Place<T>, value: T) {
        if self.fits(place, size_of::<T>()) {
            // SAFETY: within the block; places are aligned as `Layout` made them.
            unsafe { self.address(place).write(value) };
        }
    }

    pub fn copy(&mut self, place: Place<u8>, bytes: &[u8]) {
        if self.fits(place, bytes.len()) {
            // SAFETY: within the block, which is new memory.
            unsafe {
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.address(place), bytes.len());
            }
        }
    }

    /// A place of this layout is always within; another's might not be.
    fn fits<T>(&self, place: Place<T>, size: usize) -> bool {
        place.offset + size <= self.words.len() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_lives_until_its_last_reference_is_taken_away() {
        let blocks = Blocks::new();
        let mut layout = Layout::default();
        let (number, text) = (layout.add::<u32>(), layout.add_many::<u8>(5));
        let mut memory = Memory::new(&layout);
        memory.put(number, 7);
        memory.copy(text, b"text");
        let text = memory.address(text);
        let address = blocks.give(memory, "data");
        // SAFETY: the block is live and holds both.
        unsafe {
            assert_eq!(*(address as *const u32), 7);
            assert_eq!(std::ffi::CStr::from_ptr(text.cast()), c"text");
        }
        assert!(blocks.duplicate(address));
        assert_eq!(blocks.release(address), None);
        assert_eq!(blocks.data(address), Some("data"));
        assert_eq!(blocks.release(address), Some("data"));
        for stale in [address, 0, 1, address + 8] {
            assert_eq!((blocks.release(stale), blocks.duplicate(stale)), (None, false));
            assert_eq!(blocks.data(stale), None);
        }
    }

    #[test]
    fn nothing_is_written_past_the_end() {
        let mut small = Layout::default();
        let first = small.add::<u64>();
        let mut memory = Memory::new(&small);
        memory.put(first.at(1), 7);
        memory.copy(Place { offset: 0, kind: PhantomData }, &[1; 9]);
        assert_eq!(memory.words, [0]);
    }
}
