//! The calling thread's `errno`.

pub fn set(value: i32) {
    // SAFETY: the C library gives the address of this thread's own `errno`, always valid.
    unsafe { *libc::__errno_location() = value };
}
