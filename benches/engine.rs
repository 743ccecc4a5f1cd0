//! The engine below the exported functions, in explicit mode and with both sides on one thread:
//! handshakes, and records in both directions. `cargo bench --bench engine`
//!
//! The peer's share is in the times of the handshakes; not in those of the records.

mod common;

use std::ffi::CString;

use common::{Kind, NAME, Pair, Scene, uncounted};
use divan::Bencher;
use divan::counter::BytesCount;

fn main() {
    divan::main();
}

const HANDSHAKES: [&str; 8] = [
    "tls13-x25519-p256-full",
    "tls13-x25519-rsa-full",
    "tls13-x25519-p256-resumed",
    "tls13-mlkem-p256-full",
    "tls13-mlkem-p256-resumed",
    "tls12-x25519-p256-full",
    "tls12-x25519-rsa-full",
    "tls12-x25519-p256-resumed",
];

#[divan::bench(args = HANDSHAKES, sample_size = 10)]
fn handshake(bencher: Bencher<'_, '_>, kind: &str) {
    make(bencher, kind, true);
}

#[divan::bench(args = HANDSHAKES, sample_size = 10)]
fn handshake_of_rustls_alone(bencher: Bencher<'_, '_>, kind: &str) {
    make(bencher, kind, false);
}

fn make(bencher: Bencher<'_, '_>, kind: &str, is_ours: bool) {
    let (scene, name) = scene(kind);
    // The first brings the session that the others resume.
    drop(Pair::new(&scene, &name, is_ours, uncounted));
    bencher.bench_local(|| Pair::new(&scene, &name, is_ours, uncounted));
}

const SIZES: [usize; 2] = [1024, 16 * 1024];

#[divan::bench(args = SIZES)]
fn send(bencher: Bencher<'_, '_>, size: usize) {
    let (scene, name) = scene("tls13-x25519-p256-full");
    let mut pair = Pair::new(&scene, &name, true, uncounted);
    let data = vec![7; size];
    bencher.counter(BytesCount::new(size)).bench_local(|| pair.send(&data, uncounted));
}

#[divan::bench(args = SIZES)]
fn receive(bencher: Bencher<'_, '_>, size: usize) {
    let (scene, name) = scene("tls13-x25519-p256-full");
    let pair = std::cell::RefCell::new(Pair::new(&scene, &name, true, uncounted));
    let data = vec![7; size];
    let mut buffer = vec![0; size];
    bencher
        .counter(BytesCount::new(size))
        .with_inputs(|| pair.borrow_mut().serve_data(&data))
        .bench_local_values(|()| {
            let count = pair.borrow_mut().receive(&mut buffer, uncounted);
            assert!(count > 0);
        });
}

fn scene(kind: &str) -> (Scene, CString) {
    let scene = Scene::new(Kind::parse(kind).unwrap());
    scene.set_defaults();
    (scene, CString::new(NAME).unwrap())
}
