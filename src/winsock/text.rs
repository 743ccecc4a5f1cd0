//! Code pages, and the case of characters. A wide character has 32 bits and is one code point.

use super::error::{
    ERROR_INVALID_FLAGS, ERROR_INVALID_PARAMETER, ERROR_NO_UNICODE_TRANSLATION, failure,
};
use super::format::Width;
use crate::error::Result;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodePage {
    Windows1252,
    Ascii,
    Latin1,
    Utf8,
}

impl CodePage {
    /// CP_ACP, CP_OEMCP and CP_THREAD_ACP are 1252, as on Western devices.
    pub fn of(number: u32) -> Result<Self> {
        match number {
            0 | 1 | 3 | 1252 => Ok(Self::Windows1252),
            20127 => Ok(Self::Ascii),
            28591 => Ok(Self::Latin1),
            65001 => Ok(Self::Utf8),
            _ => Err(failure(
                ERROR_INVALID_PARAMETER,
                format!("code page {number} is none of 1252, 20127, 28591 and 65001"),
            )),
        }
    }

    /// MultiByteToWideChar. What is no character becomes U+FFFD, or an error with MB_ERR_INVALID_CHARS.
    pub fn decode(self, bytes: &[u8], flags: u32) -> Result<Vec<u32>> {
        let known = if self == Self::Utf8 { MB_ERR_INVALID_CHARS } else { MB_ALL };
        check_flags(flags, known)?;
        let is_valid = match self {
            Self::Utf8 => std::str::from_utf8(bytes).is_ok(),
            Self::Ascii => bytes.is_ascii(),
            _ => true,
        };
        if !is_valid && flags & MB_ERR_INVALID_CHARS != 0 {
            return Err(failure(
                ERROR_NO_UNICODE_TRANSLATION,
                "the text has bytes that are no characters of its code page",
            ));
        }
        let wide = match self {
            Self::Utf8 => String::from_utf8_lossy(bytes).chars().map(u32::from).collect(),
            Self::Windows1252 => bytes.iter().map(|&byte| of_1252(byte)).collect(),
            Self::Latin1 => bytes.iter().map(|&byte| byte.into()).collect(),
            Self::Ascii => bytes
                .iter()
                .map(|&byte| if byte.is_ascii() { byte.into() } else { REPLACEMENT })
                .collect(),
        };
        Ok(wide)
    }

    /// WideCharToMultiByte; also whether something had to be written with `instead`.
    pub fn encode(self, wide: &[u32], flags: u32, instead: Option<u8>) -> Result<(Vec<u8>, bool)> {
        check_flags(flags, if self == Self::Utf8 { WC_ERR_INVALID_CHARS } else { WC_ALL })?;
        if self == Self::Utf8 {
            return encode_utf8(wide, flags & WC_ERR_INVALID_CHARS != 0).map(|text| (text, false));
        }
        let mut used = false;
        let bytes = wide.iter().map(|&unit| {
            let byte = match self {
                Self::Windows1252 => to_1252(unit),
                Self::Latin1 => u8::try_from(unit).ok(),
                _ => u8::try_from(unit).ok().filter(u8::is_ascii),
            };
            byte.unwrap_or_else(|| {
                used = true;
                instead.unwrap_or(b'?')
            })
        });
        Ok((bytes.collect(), used))
    }
}

/// Units of one width in the other; narrow ones are bytes of Windows-1252.
pub fn convert(units: &[u32], from: Width, to: Width) -> Vec<u32> {
    match (from, to) {
        (Width::Narrow, Width::Wide) => units.iter().map(|&unit| of_1252(unit as u8)).collect(),
        (Width::Wide, Width::Narrow) => {
            units.iter().map(|&unit| to_1252(unit).unwrap_or(b'?').into()).collect()
        }
        _ => units.to_vec(),
    }
}

/// The code point of a byte of Windows-1252. Bytes that it leaves out are control characters.
pub fn of_1252(byte: u8) -> u32 {
    match byte {
        0x80..=0x9f => WINDOWS_1252[usize::from(byte) - 0x80].into(),
        _ => byte.into(),
    }
}

/// The small or the capital letter, where that is one character.
pub fn change_case(unit: u32, upper: bool) -> u32 {
    let Some(character) = char::from_u32(unit) else { return unit };
    let mut changed = String::new();
    if upper {
        changed.extend(character.to_uppercase());
    } else {
        changed.extend(character.to_lowercase());
    }
    let mut changed = changed.chars();
    match (changed.next(), changed.next()) {
        (Some(one), None) => one.into(),
        _ => unit,
    }
}

/// The same for a byte of Windows-1252: one that has no other case there stays.
pub fn change_case_of_byte(byte: u8, upper: bool) -> u8 {
    to_1252(change_case(of_1252(byte), upper)).unwrap_or(byte)
}

/// The difference of the first two that differ, without regard to case.
pub fn compare_without_case(first: &[u32], second: &[u32]) -> i32 {
    let small = |unit: Option<&u32>| unit.map_or(0, |&unit| change_case(unit, false)) as i32;
    for i in 0..first.len().max(second.len()) {
        let difference = small(first.get(i)).wrapping_sub(small(second.get(i)));
        if difference != 0 {
            return difference;
        }
    }
    0
}

/// CompareString: 1 less, 2 equal, 3 greater. The only flag that changes something is NORM_IGNORECASE.
pub fn compare(first: &[u32], second: &[u32], flags: u32) -> Result<i32> {
    let order = match flags & NORM_IGNORECASE {
        0 => first.cmp(second),
        _ => compare_without_case(first, second).cmp(&0),
    };
    Ok(2 + order as i32)
}

/// The numbers that the headers pass to ask what a character is.
pub fn is_character(unit: u32, what: i32) -> bool {
    let Some(character) = char::from_u32(unit) else { return false };
    match what {
        1 => character.is_alphabetic(),
        2 => character.is_alphanumeric(),
        3 => character.is_uppercase(),
        4 => character.is_lowercase(),
        _ => false,
    }
}

fn to_1252(unit: u32) -> Option<u8> {
    match unit {
        0..=0x7f | 0xa0..=0xff => Some(unit as u8),
        _ => {
            let found = WINDOWS_1252.iter().position(|&listed| u32::from(listed) == unit)?;
            Some(0x80 + found as u8)
        }
    }
}

/// Pairs of UTF-16 surrogates, which programs may have taken from elsewhere, are one character.
fn encode_utf8(wide: &[u32], strict: bool) -> Result<Vec<u8>> {
    let mut text = String::with_capacity(wide.len());
    let mut rest = wide;
    while let Some((&unit, after)) = rest.split_first() {
        rest = after;
        let character = match (unit, after.first()) {
            (0xd800..=0xdbff, Some(&low @ 0xdc00..=0xdfff)) => {
                rest = &after[1..];
                char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00))
            }
            _ => char::from_u32(unit),
        };
        match character {
            None if strict => {
                return Err(failure(
                    ERROR_NO_UNICODE_TRANSLATION,
                    format!("{unit:#x} in the text is no character"),
                ));
            }
            _ => text.push(character.unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
    }
    Ok(text.into_bytes())
}

fn check_flags(flags: u32, known: u32) -> Result<()> {
    if flags & !known == 0 {
        return Ok(());
    }
    Err(failure(ERROR_INVALID_FLAGS, format!("the flags {flags:#x} do not go with this code page")))
}

const REPLACEMENT: u32 = char::REPLACEMENT_CHARACTER as u32;

const NORM_IGNORECASE: u32 = 1;
const MB_ERR_INVALID_CHARS: u32 = 0x8;
/// Composed characters are never taken apart or put together.
const MB_ALL: u32 = 0xf;
const WC_ERR_INVALID_CHARS: u32 = 0x80;
const WC_ALL: u32 = 0x670;

/// 0x80 to 0x9f.
const WINDOWS_1252: [u16; 32] = [
    0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039,
    0x152, 0x8d, 0x17d, 0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc,
    0x2122, 0x161, 0x203a, 0x153, 0x9d, 0x17e, 0x178,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str) -> Vec<u32> {
        text.chars().map(u32::from).collect()
    }

    #[test]
    fn every_byte_of_1252_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let decoded = CodePage::Windows1252.decode(&all, 0).unwrap();
        assert_eq!(decoded[0x80], 0x20ac);
        assert_eq!(decoded[0x99], 0x2122);
        assert_eq!(CodePage::Windows1252.encode(&decoded, 0, None).unwrap(), (all, false));
    }

    #[test]
    fn what_a_page_does_not_have_is_replaced_and_said() {
        let text = wide("aЖ€\u{e9}");
        let encoded = |page: CodePage, instead| page.encode(&text, 0, instead).unwrap();
        assert_eq!(encoded(CodePage::Windows1252, None), (b"a?\x80\xe9".to_vec(), true));
        assert_eq!(encoded(CodePage::Latin1, Some(b'_')), (b"a__\xe9".to_vec(), true));
        assert_eq!(encoded(CodePage::Ascii, None), (b"a???".to_vec(), true));
        assert_eq!(encoded(CodePage::Utf8, None), ("aЖ€é".into(), false));
        assert_eq!(CodePage::Ascii.decode(b"a\x80", 0).unwrap(), [0x61, 0xfffd]);
    }

    #[test]
    fn utf8_knows_invalid_text_and_surrogates() {
        assert_eq!(CodePage::Utf8.decode("a€😀".as_bytes(), 0).unwrap(), wide("a€😀"));
        assert_eq!(CodePage::Utf8.decode(b"a\xffb", 0).unwrap(), wide("a\u{fffd}b"));
        let error = CodePage::Utf8.decode(b"a\xffb", MB_ERR_INVALID_CHARS).unwrap_err();
        assert_eq!(error.windows, ERROR_NO_UNICODE_TRANSLATION);
        let pair = [0x61, 0xd83d, 0xde00, 0xd83d];
        assert_eq!(CodePage::Utf8.encode(&pair, 0, None).unwrap().0, "a😀\u{fffd}".as_bytes());
        assert!(CodePage::Utf8.encode(&pair, WC_ERR_INVALID_CHARS, None).is_err());
    }

    #[test]
    fn flags_and_pages_that_do_not_exist_are_refused() {
        assert_eq!(CodePage::Utf8.decode(b"", 1).unwrap_err().windows, ERROR_INVALID_FLAGS);
        assert!(CodePage::Windows1252.decode(b"", 1).is_ok());
        assert_eq!(CodePage::of(932).unwrap_err().windows, ERROR_INVALID_PARAMETER);
        assert_eq!(CodePage::of(0).unwrap(), CodePage::Windows1252);
    }

    #[test]
    fn case_changes_only_where_it_is_one_character() {
        assert_eq!(change_case('ж' as u32, true), 'Ж' as u32);
        assert_eq!(change_case('ß' as u32, true), 'ß' as u32);
        assert_eq!(change_case(0xd800, true), 0xd800);
        assert_eq!(change_case_of_byte(0xe4, true), 0xc4);
        // Its capital (U+0178) is 0x9f, that of 0xb5 (U+039C) is not there.
        assert_eq!(
            (change_case_of_byte(0xff, true), change_case_of_byte(0xb5, true)),
            (0x9f, 0xb5)
        );
    }

    #[test]
    fn comparisons_without_case_end_at_the_shorter_string() {
        let compare = |first, second| compare_without_case(&wide(first), &wide(second)).signum();
        assert_eq!(compare("ÄBC", "äbc"), 0);
        assert_eq!(compare("ab", "abc"), -1);
        assert_eq!(compare("B", "a"), 1);
        let compared = |flags| super::compare(&wide("a"), &wide("B"), flags).unwrap();
        assert_eq!((compared(0), compared(NORM_IGNORECASE)), (3, 1));
    }
}
