//! The structures that Winsock's look-ups answer, and the strings in them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_char};
use std::thread::LocalKey;

use crate::error::{Error, Result};
use crate::winsock::error::{WSAEFAULT, WSAENETDOWN, failure};

/// A thread's last answers of one kind. Programs hold on to one although the next call overwrites
/// it on Windows, where that changes what they read; here it must not lead nowhere.
pub struct Answers<T>(RefCell<VecDeque<Box<T>>>);

impl<T> Answers<T> {
    pub const fn new() -> Self {
        Self(RefCell::new(VecDeque::new()))
    }

    /// Where the answer is from now on.
    pub fn keep(answers: &'static LocalKey<Self>, answer: T) -> Result<*mut T> {
        const KEPT: usize = 8;
        let kept = answers.try_with(|answers| {
            let mut answers = answers.0.borrow_mut();
            answers.truncate(KEPT - 1);
            answers.push_front(Box::new(answer));
            answers.front_mut().map(|newest| &raw mut **newest)
        });
        kept.ok().flatten().ok_or_else(thread_is_ending)
    }
}

pub fn thread_is_ending() -> Error {
    failure(WSAENETDOWN, "this thread is ending: there is no place for the answer any more")
}

/// Strings, and the list of pointers to them that ends with NULL.
pub struct Lines {
    _lines: Vec<Vec<c_char>>,
    list: Vec<*mut c_char>,
}

impl Lines {
    pub fn new(lines: &[CString]) -> Self {
        let mut lines: Vec<_> = lines.iter().map(|line| text_of(line)).collect();
        let mut list: Vec<*mut c_char> = lines.iter_mut().map(|line| line.as_mut_ptr()).collect();
        list.push(std::ptr::null_mut());
        Self { _lines: lines, list }
    }

    pub fn as_mut_ptr(&mut self) -> *mut *mut c_char {
        self.list.as_mut_ptr()
    }
}

/// With its NUL, and writable.
pub fn text_of(text: &CStr) -> Vec<c_char> {
    text.to_bytes_with_nul().iter().map(|&byte| byte as c_char).collect()
}

/// # Safety
/// A pointer that is not NULL points to a NUL-terminated string.
pub unsafe fn c_string<'a>(pointer: *const c_char) -> Option<&'a CStr> {
    // SAFETY: as the caller promises.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) })
}

/// A string that has to be there.
///
/// # Safety
/// As [`c_string`].
pub unsafe fn needed<'a>(pointer: *const c_char, what: &str) -> Result<&'a CStr> {
    // SAFETY: as the caller promises.
    unsafe { c_string(pointer) }.ok_or_else(|| failure(WSAEFAULT, format!("{what} is NULL")))
}
