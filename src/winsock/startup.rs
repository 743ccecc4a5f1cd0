//! `WSAStartup` and `WSACleanup`. No other call insists on them.

use std::sync::atomic::{AtomicU32, Ordering};

use super::error::{self, failure};
use crate::error::Result;

/// 2.2; the minor version is in the high byte.
pub(crate) const VERSION: u16 = 0x0202;

/// The version that both sides know: the one asked for, or the library's if that is lower.
pub fn start(asked: u16) -> Result<u16> {
    let (major, minor) = (asked & 0xff, asked >> 8);
    if major == 0 {
        return Err(failure(
            error::WSAVERNOTSUPPORTED,
            format!("there is no Winsock {major}.{minor}: 1.0 to 2.2 are supported"),
        ));
    }
    STARTS.fetch_add(1, Ordering::Relaxed);
    let highest = (VERSION & 0xff, VERSION >> 8);
    Ok(if (major, minor) > highest { VERSION } else { asked })
}

pub fn clean_up() -> Result<()> {
    let one_less = |starts: u32| starts.checked_sub(1);
    match STARTS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) {
        Ok(_) => Ok(()),
        Err(_) => Err(failure(
            error::WSANOTINITIALISED,
            "WSACleanup has been called more often than WSAStartup",
        )),
    }
}

static STARTS: AtomicU32 = AtomicU32::new(0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_version_is_agreed_on() {
        for (asked, agreed) in [
            (0x0101, 0x0101),
            (0x0001, 0x0001),
            (0x0002, 0x0002),
            (0x0202, 0x0202),
            (0x0302, 0x0202),
            (0x0003, 0x0202),
            (0x0201, 0x0201),
        ] {
            assert_eq!(start(asked), Ok(agreed), "{asked:#x}");
        }
        let refused = start(0x0100).unwrap_err();
        assert_eq!(error::number(&refused), error::WSAVERNOTSUPPORTED);
    }
}
