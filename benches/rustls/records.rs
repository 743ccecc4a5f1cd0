//! AES-256-GCM over records of 16 KiB, with nothing else: the provider's speed.

use std::ffi::c_int;
use std::hint::black_box;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

const RECORD: usize = 16 * 1024;
const TAG: usize = 16;

/// Seals (1) or opens (0) this many bytes, in place. What a cipher's speed depends on is the same in both: opening is
/// done on a copy of one sealed record, the copying being a part that the plain transfer has as well.
pub extern "C" fn run(seal: c_int, bytes: usize) {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("a key"));
    let nonce = || Nonce::assume_unique_for_key([1; 12]);
    let aad = || Aad::from([23, 3, 3, 0x40, 0x11]);
    let mut record = vec![b'x'; RECORD];
    if seal == 1 {
        for _ in 0..bytes / RECORD {
            let tag = key.seal_in_place_separate_tag(nonce(), aad(), black_box(&mut record));
            let _ = black_box(tag.expect("seals"));
        }
        return;
    }
    key.seal_in_place_append_tag(nonce(), aad(), &mut record).expect("seals");
    let mut opened = vec![0; RECORD + TAG];
    for _ in 0..bytes / RECORD {
        opened.copy_from_slice(black_box(&record));
        black_box(key.open_in_place(nonce(), aad(), &mut opened).expect("opens"));
    }
}
