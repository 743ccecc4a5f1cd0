//! A hash for tables whose keys no stranger can choose so that they collide, or that are kept so small
//! that it would not matter. The standard library's is made for the others.

use std::hash::{BuildHasherDefault, Hasher};

pub type Quick = BuildHasherDefault<Mix>;

#[derive(Default)]
pub struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        // Fibonacci hashing; a table looks at both ends of the result.
        let product = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ (product >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
