//! Peer-supplied strings and times as they stand in texts for people.

use std::fmt::Write;

/// Bytes of a host name that are kept: as many as a DNS name may have.
pub(super) const NAME_LIMIT: usize = 253;
/// Bytes of a distinguished name that are kept.
pub(super) const DISTINGUISHED_NAME_LIMIT: usize = 200;

/// All of `bytes` up to `limit`, non-printables as `\xNN`, "..." where something was left out.
///
/// Unlike [`crate::error::quote`] it does not stop at the end of the line: a certificate for
/// `"a.test\nb"` must not read as one for "a.test".
pub(super) fn escape(bytes: &[u8], limit: usize) -> String {
    let mut escaped = String::with_capacity(bytes.len().min(limit));
    for &byte in bytes.iter().take(limit) {
        match byte {
            b'"' | b'\\' => {
                escaped.push('\\');
                escaped.push(char::from(byte));
            }
            b' '..=b'~' => escaped.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => _ = write!(escaped, "\\x{byte:02x}"),
        }
    }
    if bytes.len() > limit {
        escaped.push_str("...");
    }
    escaped
}

/// `2024-01-02 03:04:05 UTC`, for any time that a certificate can hold.
pub(super) fn utc(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to a civil date, counted in eras of 400 years from 0000-03-01, so that the leap day
    // comes last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_shows_all_of_a_hostile_name() {
        assert_eq!(escape(b"a.test\r\nb\"\\\x00\xff", 80), "a.test\\x0d\\x0ab\\\"\\\\\\x00\\xff");
        assert_eq!(escape(&[b'a'; 300], 5), "aaaaa...");
        assert_eq!(escape(b"aaaaa", 5), "aaaaa");
    }

    #[test]
    fn utc_knows_the_calendar() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(1_704_164_645), "2024-01-02 03:04:05 UTC");
        assert_eq!(utc(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(-1), "1969-12-31 23:59:59 UTC");
        assert_eq!(utc(253_402_300_799), "9999-12-31 23:59:59 UTC");
    }
}
