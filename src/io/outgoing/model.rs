//! The two directions of an explicit session in the orders that can happen, over a connection that takes
//! little at a time.

use shuttle::thread;

use super::*;
use crate::error::Error;
use crate::model::check;
use crate::sync::{Arc, Condvar};

/// A session whose engine makes numbered bytes, one for each thing that is sent.
#[derive(Default)]
struct Stand {
    outgoing: Outgoing,
    made: Mutex<Made>,
    wire: Mutex<Wire>,
    changed: Condvar,
}

#[derive(Default)]
struct Made {
    queue: Buffer,
    count: u8,
}

#[derive(Default)]
struct Wire {
    /// What the peer has not read yet.
    filled: usize,
    arrived: Vec<u8>,
    reader_is_woken: bool,
    is_broken: bool,
    /// The session's threads are to end.
    is_over: bool,
}

impl Session for Stand {
    fn with_made<R>(&self, look: impl FnOnce(&mut Buffer) -> R) -> R {
        look(&mut self.made.lock().unwrap().queue)
    }

    fn send_without_waiting(&self, bytes: &[u8]) -> Result<Transfer> {
        let mut wire = self.wire.lock().unwrap();
        if wire.is_broken {
            return Err(Error::internal("broken"));
        }
        if wire.filled == ROOM {
            return Ok(Transfer::WouldBlock);
        }
        wire.filled += 1;
        wire.arrived.push(bytes[0]);
        drop(wire);
        self.changed.notify_all();
        Ok(Transfer::Bytes(1))
    }

    fn wake_reader(&self) {
        self.wire.lock().unwrap().reader_is_woken = true;
        self.changed.notify_all();
    }
}

impl Stand {
    /// Answers which byte it is.
    fn make(&self) -> u8 {
        let mut made = self.made.lock().unwrap();
        let next = made.count;
        made.count += 1;
        made.queue.push(&[next]);
        next
    }

    /// As `ExplicitSession::send`. A call that waits sends everything, or finds the connection broken.
    fn write(&self, wait: bool) -> Option<()> {
        self.outgoing.in_turn(self, wait, wait, |turn| {
            turn.take();
            self.make();
            loop {
                turn.take();
                match turn.send() {
                    Ok(true) | Err(_) => return,
                    Ok(false) if !wait => return,
                    Ok(false) => self.wait(|wire| wire.filled < ROOM || wire.is_broken),
                }
            }
        })
    }

    /// As `ExplicitSession::receive`: waits for what never comes, and answers `answers` key updates.
    fn read(&self, answers: usize) {
        for _ in 0..answers {
            self.make();
        }
        loop {
            let flushed = self.outgoing.flush(self);
            let is_blocked = matches!(flushed, Ok(Flush::Blocked));
            self.wait(|wire| {
                wire.reader_is_woken || wire.is_over || (is_blocked && wire.filled < ROOM)
            });
            let mut wire = self.wire.lock().unwrap();
            wire.reader_is_woken = false;
            if wire.is_over {
                return;
            }
        }
    }

    /// Another call that flushes what it finds, and leaves.
    fn flush_and_leave(&self) {
        let _ = self.outgoing.flush_and_leave(self);
    }

    fn wait(&self, mut until: impl FnMut(&Wire) -> bool) {
        let mut wire = self.wire.lock().unwrap();
        while !until(&wire) {
            wire = self.changed.wait(wire).unwrap();
        }
    }

    /// The peer, which reads until `count` bytes have come: for ever, if some do not leave.
    fn expect(&self, count: usize) {
        while self.wire.lock().unwrap().arrived.len() < count {
            self.wait(|wire| wire.filled > 0);
            self.wire.lock().unwrap().filled = 0;
            self.changed.notify_all();
        }
        let in_order: Vec<_> = (0..count).map(|byte| byte as u8).collect();
        assert_eq!(self.wire.lock().unwrap().arrived, in_order);
    }

    fn finish(&self) {
        self.wire.lock().unwrap().is_over = true;
        self.changed.notify_all();
    }
}

const ROOM: usize = 2;

/// Runs `calls` of other threads while one reads, and the peer until `count` bytes have come.
fn run<const N: usize>(answers: usize, count: usize, calls: [fn(&Stand); N]) {
    let stand = Arc::new(Stand::default());
    let reader = {
        let stand = stand.clone();
        thread::spawn(move || stand.read(answers))
    };
    let others = calls.map(|call| {
        let stand = stand.clone();
        thread::spawn(move || call(&stand))
    });
    stand.expect(count);
    stand.finish();
    others.into_iter().for_each(|other| other.join().unwrap());
    reader.join().unwrap();
    assert!(!stand.outgoing.has_unsent(&*stand));
    assert!(!stand.outgoing.is_waiting());
}

#[test]
fn what_the_reader_leaves_goes_with_a_writer_that_waits() {
    check(|| run(3, 6, [|stand| (0..3).for_each(|_| stand.write(true).unwrap())]));
}

#[test]
fn what_a_writer_leaves_that_may_not_wait_goes_with_the_reader() {
    check(|| {
        run(
            2,
            4,
            [|stand| {
                for _ in 0..2 {
                    // Only a writer that waits can keep it from its turn, and there is none.
                    stand.write(false).unwrap();
                }
            }],
        );
    });
}

#[test]
fn two_writers_have_their_turns() {
    let write = |stand: &Stand| (0..2).for_each(|_| stand.write(true).unwrap());
    check(move || run(1, 5, [write, write]));
}

#[test]
fn what_the_reader_leaves_goes_although_somebody_flushes_and_leaves() {
    let flush = |stand: &Stand| (0..2).for_each(|_| stand.flush_and_leave());
    check(move || run(4, 4, [flush, flush]));
}

#[test]
fn nothing_waits_that_was_there_before_a_flush_was_done() {
    check(|| {
        let stand = Arc::new(Stand::default());
        let writer = stand.clone();
        let writer = thread::spawn(move || writer.write(true));
        let mine = stand.make();
        for _ in 0..2 {
            if stand.outgoing.flush(&*stand) == Ok(Flush::Done) {
                assert!(stand.wire.lock().unwrap().arrived.contains(&mine));
            }
        }
        writer.join().unwrap().unwrap();
        assert_eq!(stand.wire.lock().unwrap().arrived.len(), 2);
    });
}

#[test]
fn a_writer_that_waits_is_seen_by_whoever_ends_the_session() {
    check(|| {
        let stand = Arc::new(Stand::default());
        (0..ROOM).for_each(|_| stand.write(false).unwrap());
        let writer = stand.clone();
        let writer = thread::spawn(move || writer.write(true));
        let flusher = stand.clone();
        let flusher = thread::spawn(move || flusher.flush_and_leave());
        // As `ExplicitSession::close` does it: the peer takes nothing more.
        while !stand.outgoing.is_waiting() {
            thread::yield_now();
        }
        stand.wire.lock().unwrap().is_broken = true;
        stand.changed.notify_all();
        writer.join().unwrap().unwrap();
        flusher.join().unwrap();
        assert!(!stand.outgoing.has_unsent(&*stand));
    });
}
