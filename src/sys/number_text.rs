//! Floating-point numbers as text, by the C library.

use std::ffi::{CString, c_char};

/// What `printf` makes of a conversion: `flags` of `+`, space and `#`, `letter` one of eEfFgGaA.
pub fn of_double(flags: &str, precision: Option<usize>, letter: char, value: f64) -> String {
    debug_assert!(flags.chars().all(|flag| "+ #".contains(flag)) && "eEfFgGaA".contains(letter));
    // A negative precision counts as none.
    let precision = precision.map_or(-1, |precision| i32::try_from(precision).unwrap_or(i32::MAX));
    let Ok(format) = CString::new(format!("%{flags}.*{letter}")) else { return String::new() };
    let mut text = vec![0_u8; FIRST];
    loop {
        // SAFETY: the buffer is writable for its length; the format takes an int and a double.
        let length = unsafe {
            libc::snprintf(
                text.as_mut_ptr().cast::<c_char>(),
                text.len(),
                format.as_ptr(),
                precision,
                value,
            )
        };
        let Ok(length) = usize::try_from(length) else { return String::new() };
        if length < text.len() {
            text.truncate(length);
            return String::from_utf8_lossy(&text).into_owned();
        }
        text.resize(length + 1, 0);
    }
}

const FIRST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_as_long_as_it_has_to_be() {
        assert_eq!(of_double("", None, 'f', 0.5), "0.500000");
        assert_eq!(of_double("+#", Some(0), 'f', 2.0), "+2.");
        assert_eq!(of_double("", Some(300), 'f', 1e300).len(), 301 + 1 + 300);
        assert_eq!(of_double("", None, 'g', f64::NEG_INFINITY), "-inf");
    }
}
