//! The swap: the program's descriptors stop being the real connection and become the inner pair.

use std::os::fd::{BorrowedFd, RawFd};

use crate::error::{Code, Error, Result};
use crate::sys::blocked_thread::{self, Others};
use crate::sys::epoll_registration::{Registration, registrations_of};
use crate::sys::fd_table::{Survey, survey};
use crate::sys::identity::{Identity, replace_if};
use crate::sys::socket_options::{signal_as, stop_signals};
use crate::sys::thread;

/// Which of the program's descriptors refer to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// Any: they are looked for.
    Anywhere,
    /// The one that the program has named, as it promises: no other, and no epoll instance watches it.
    Sole,
}

/// What a swap did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swapped {
    /// The numbers that refer to the program's end now, in ascending order.
    pub numbers: Vec<RawFd>,
}

/// Puts `program_end` in place of the named descriptor alone, without a look at any other.
pub fn swap_sole(
    number: RawFd,
    identity: Identity,
    program_end: BorrowedFd<'_>,
    known: BorrowedFd<'_>,
) -> Result<Swapped> {
    if !replace_if(number, identity, program_end)? {
        return Err(gone(number));
    }
    signal_as(number, program_end)?;
    stop_signals(known)?;
    Ok(Swapped { numbers: vec![number] })
}

/// Puts `program_end` in place of every descriptor of this process that refers to `identity`, the
/// real connection, and moves the epoll registrations with it.
///
/// A descriptor left out would go on writing to the wire in clear. `number` is the one that the
/// program named; `known` is a private duplicate of the real connection, which every walk over the
/// descriptors must come across and which is not swapped. Each number keeps its FD_CLOEXEC; what
/// belongs to the socket is to be carried over to `program_end` before.
///
/// If the number is something else by now or a thread is blocked on the connection, nothing has
/// been changed. After any other error some of the numbers may have been swapped and some not: the
/// caller has to kill the connection.
pub fn swap(
    number: RawFd,
    identity: Identity,
    program_end: BorrowedFd<'_>,
    known: BorrowedFd<'_>,
) -> Result<Swapped> {
    // Before the walk: a thread that ends during it may have duplicated what has been passed already.
    let is_alone = thread::is_certainly_alone();
    let mut found = survey(identity, known)?;
    if !found.numbers.contains(&number) {
        return Err(gone(number));
    }
    if !is_alone && let Others::BlockedOn(number) = blocked_thread::others(&found.numbers)? {
        return Err(Error::new(
            Code::STATE,
            format!(
                "another thread is waiting in a read or write call on descriptor {number}; \
                 let it return before the upgrade"
            ),
        ));
    }
    let mut numbers = Vec::new();
    for _ in 0..ROUNDS {
        let any = swap_once(&found, identity, program_end, known, &mut numbers)?;
        if !any || is_alone {
            numbers.sort_unstable();
            numbers.dedup();
            if numbers.binary_search(&number).is_err() {
                return Err(gone(number));
            }
            signal_as(number, program_end)?;
            stop_signals(known)?;
            return Ok(Swapped { numbers });
        }
        // What another thread duplicated or registered meanwhile.
        found = survey(identity, known)?;
    }
    Err(Error::new(
        Code::STATE,
        format!(
            "descriptors of the connection turned up faster than they could be swapped \
             ({ROUNDS} rounds); do not duplicate descriptor {number} during its upgrade"
        ),
    ))
}

/// How many walks over the descriptors may turn up something new.
const ROUNDS: usize = 16;

fn gone(number: RawFd) -> Error {
    Error::new(
        Code::STATE,
        format!("descriptor {number} was closed or replaced while its upgrade began"),
    )
}

/// Swaps what one walk found. False: there was nothing.
fn swap_once(
    found: &Survey,
    identity: Identity,
    program_end: BorrowedFd<'_>,
    known: BorrowedFd<'_>,
    numbers: &mut Vec<RawFd>,
) -> Result<bool> {
    // Out before the numbers change: afterwards the entries cannot be named any more.
    let mut moving = Vec::new();
    let taken = take_registrations(found, identity, known, &mut moving);
    let replaced = taken.and_then(|any| {
        for &number in &found.numbers {
            if replace_if(number, identity, program_end)? {
                numbers.push(number);
            }
        }
        Ok(any || !found.numbers.is_empty())
    });
    // Back in even after a failure, so that whoever waits hears of the end of the connection.
    let mut added = Ok(());
    for registration in &moving {
        let left_behind =
            replaced.is_err() && Identity::of_number(registration.target) == Some(identity);
        added = added.and(registration.add(if left_behind { known } else { program_end }));
    }
    let any = replaced?;
    added.map(|()| any)
}

/// Removes what watches the connection from the epoll instances, and leaves it in `moving`. False:
/// nothing watches it.
fn take_registrations(
    found: &Survey,
    identity: Identity,
    known: BorrowedFd<'_>,
    moving: &mut Vec<Registration>,
) -> Result<bool> {
    let mut any = false;
    for &epoll in &found.epolls {
        for registration in registrations_of(epoll, identity)? {
            any = true;
            if registration.delete(known)? {
                moving.push(registration);
            }
        }
    }
    Ok(any)
}

#[cfg(test)]
mod tests;
