//! Formats of scanf for the C library, with the widths that the program's variables really have.
//!
//! Windows's `%lu` is for 32 bits, the C library's for 64. So the headers pass the size of every target, and the length
//! modifiers are written anew.

use super::error::{ERROR_INVALID_PARAMETER, failure};
use super::format::Width;
use crate::error::Result;

/// The format for the C library's function of the same width; `sizes` are those of the targets, in bytes.
pub fn rewrite(width: Width, format: &[u32], sizes: &[usize]) -> Result<Vec<u32>> {
    let mut sizes = sizes.iter().copied();
    let mut output = Vec::with_capacity(format.len() * 2);
    let mut at = 0;
    let peek = |at: usize| format.get(at).and_then(|&unit| char::from_u32(unit)).unwrap_or('\0');
    while at < format.len() {
        output.push(format[at]);
        at += 1;
        if peek(at - 1) != '%' {
            continue;
        }
        let is_kept = peek(at) != '*';
        while peek(at) == '*' || peek(at).is_ascii_digit() {
            output.push(format[at]);
            at += 1;
        }
        let modifier_begins = at;
        while "hlLIwjzt".contains(peek(at)) || (at > modifier_begins && "3264".contains(peek(at))) {
            at += 1;
        }
        let modifier = &format[modifier_begins..at];
        let letter = peek(at);
        if letter == '\0' {
            return Err(failure(ERROR_INVALID_PARAMETER, "a format of scanf ends in a conversion"));
        }
        if letter == '%' {
            output.push(format[at]);
            at += 1;
            continue;
        }
        let size = if is_kept { sizes.next().ok_or_else(too_few)? } else { 0 };
        let (modifier, letter) = match letter {
            'd' | 'i' | 'u' | 'o' | 'x' | 'X' | 'n' => (of_integer(size, is_kept)?, letter),
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'a' | 'A' => (of_float(size, is_kept)?, letter),
            's' | 'S' | 'c' | 'C' | '[' => {
                let is_wide = is_wide(width, modifier, letter, size);
                (if is_wide { "l" } else { "" }, letter.to_ascii_lowercase())
            }
            'p' => ("", 'p'),
            other => {
                return Err(failure(
                    ERROR_INVALID_PARAMETER,
                    format!("a format of scanf has the unknown conversion {other:?}"),
                ));
            }
        };
        output.extend(modifier.bytes().map(u32::from));
        output.push(letter as u32);
        at += 1;
        if letter == '[' {
            // A bracket is part of the set where it comes first.
            for first in ['^', ']'] {
                if peek(at) == first {
                    output.push(format[at]);
                    at += 1;
                }
            }
            while at < format.len() {
                output.push(format[at]);
                at += 1;
                if peek(at - 1) == ']' {
                    break;
                }
            }
        }
    }
    Ok(output)
}

fn of_integer(size: usize, is_kept: bool) -> Result<&'static str> {
    match size {
        _ if !is_kept => Ok(""),
        1 => Ok("hh"),
        2 => Ok("h"),
        4 => Ok(""),
        8 => Ok("ll"),
        _ => Err(no_number(size)),
    }
}

fn of_float(size: usize, is_kept: bool) -> Result<&'static str> {
    match size {
        _ if !is_kept => Ok(""),
        4 => Ok(""),
        8 => Ok("l"),
        12 | 16 => Ok("L"),
        _ => Err(no_number(size)),
    }
}

/// By the target, and where that is neither (a pointer to void, a structure) by the format.
fn is_wide(width: Width, modifier: &[u32], letter: char, size: usize) -> bool {
    let has = |wanted: char| modifier.contains(&(wanted as u32));
    match size {
        1 => false,
        WIDE => true,
        _ if has('h') => false,
        _ if has('l') || has('w') => true,
        _ => (width == Width::Wide) != letter.is_ascii_uppercase(),
    }
}

fn too_few() -> crate::error::Error {
    failure(
        ERROR_INVALID_PARAMETER,
        "a format of scanf has more conversions than there are variables",
    )
}

fn no_number(size: usize) -> crate::error::Error {
    failure(
        ERROR_INVALID_PARAMETER,
        format!("a format of scanf has a number for a variable of {size} bytes"),
    )
}

/// A wide character.
const WIDE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(width: Width, format: &str, sizes: &[usize]) -> Option<String> {
        let units: Vec<_> = format.chars().map(u32::from).collect();
        let made = rewrite(width, &units, sizes).ok()?;
        Some(made.iter().map(|&unit| char::from_u32(unit).unwrap()).collect())
    }

    #[test]
    fn the_sizes_of_the_targets_decide() {
        let table: &[(&str, &[usize], &str)] = &[
            ("%lu %ld", &[4, 8], "%u %lld"),
            ("%d %hd %hhx %I64d", &[1, 2, 4, 8], "%hhd %hd %x %lld"),
            ("%lf %f %Lf", &[8, 8, 16], "%lf %lf %Lf"),
            ("%*ld %lu%%", &[4], "%*d %u%%"),
            ("%10s %3c%S", &[1, 1, 4], "%10s %3c%ls"),
            ("%[^]a-z] %lu %n", &[1, 4, 4], "%[^]a-z] %u %n"),
            ("HTTP/%*d.%*d %3lu %I32d", &[4, 4], "HTTP/%*d.%*d %3u %d"),
        ];
        for &(format, sizes, expected) in table {
            assert_eq!(rewritten(Width::Narrow, format, sizes).unwrap(), expected, "{format}");
        }
    }

    #[test]
    fn strings_of_a_wide_format_are_wide() {
        let table: &[(&str, &[usize], &str)] = &[
            ("%s %S %hs %ls", &[4, 1, 1, 4], "%ls %s %s %ls"),
            // A pointer to void.
            ("%s %S %hs", &[0, 0, 0], "%ls %s %s"),
            ("%[0-9]%c", &[4, 4], "%l[0-9]%lc"),
            ("%*s %lu", &[4], "%*ls %u"),
        ];
        for &(format, sizes, expected) in table {
            assert_eq!(rewritten(Width::Wide, format, sizes).unwrap(), expected, "{format}");
        }
    }

    #[test]
    fn what_would_write_elsewhere_is_refused() {
        assert_eq!(rewritten(Width::Narrow, "%d %d", &[4]), None);
        assert_eq!(rewritten(Width::Narrow, "%d", &[3]), None);
        assert_eq!(rewritten(Width::Narrow, "%f", &[2]), None);
        assert_eq!(rewritten(Width::Narrow, "%q", &[4]), None);
        assert_eq!(rewritten(Width::Narrow, "%l", &[4]), None);
    }
}
