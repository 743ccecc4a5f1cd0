//! Strings in the structures that Winsock's look-ups answer.

use std::ffi::{CStr, CString, c_char};

use crate::error::Result;
use crate::winsock::error::{WSAEFAULT, failure};

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
