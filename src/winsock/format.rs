//! Formats as Microsoft's C library has them, for narrow and wide strings.
//!
//! The differences to the standard: `%s` in a wide format is wide and `%S` is the other width; `l` means 32 bits, `I64`
//! 64 and `I` as many as an address has; `%p` is all digits of an address; `%n` is refused.

use super::error::{ERROR_INVALID_PARAMETER, failure};
use super::text;
use crate::error::Result;
use crate::sys::number_text;

/// Whether the format and its result are narrow (Windows-1252, a byte per unit) or wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    Narrow,
    Wide,
}

/// Where the values come from, in their order.
pub trait Arguments {
    fn int(&mut self) -> i32;
    fn long_long(&mut self) -> i64;
    fn address(&mut self) -> usize;
    fn double(&mut self) -> f64;
    fn long_double(&mut self) -> f64;
    /// The units of the string at an address that is not 0, up to its end or `limit`.
    fn string(&self, address: usize, width: Width, limit: usize) -> Vec<u32>;
}

/// What happens at the end of the buffer; the headers have the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// sprintf: the buffer is taken to be large enough.
    Unlimited,
    /// _snprintf: no NUL if there is no room for it; -1 if the text is longer than the buffer.
    Counted,
    /// snprintf: always a NUL; the length that would have been needed.
    Standard,
    /// swprintf with a count: always a NUL; -1 if it does not fit.
    Terminated,
    /// wsprintf: always a NUL; what has been stored.
    Wsprintf,
}

impl Rule {
    pub fn of(number: i32) -> Option<Self> {
        [Self::Unlimited, Self::Counted, Self::Standard, Self::Terminated, Self::Wsprintf]
            .get(usize::try_from(number).ok()?)
            .copied()
    }

    /// How many units of a text are stored in a buffer, whether a NUL follows, and the answer.
    pub fn place(self, length: usize, capacity: usize, has_buffer: bool) -> (usize, bool, i32) {
        let room = capacity.saturating_sub(1).min(length);
        let (stored, ends, answer) = match self {
            Self::Unlimited => (length, true, Some(length)),
            Self::Counted if !has_buffer && capacity == 0 => (0, false, Some(length)),
            Self::Counted => {
                (length.min(capacity), length < capacity, (length <= capacity).then_some(length))
            }
            Self::Standard => (room, capacity > 0, Some(length)),
            Self::Terminated => (room, capacity > 0, (length < capacity).then_some(length)),
            Self::Wsprintf => (room, capacity > 0, Some(room)),
        };
        (stored, ends, answer.and_then(|length| i32::try_from(length).ok()).unwrap_or(-1))
    }
}

/// The text, in units of `width`.
pub fn format(width: Width, format: &[u32], arguments: &mut dyn Arguments) -> Result<Vec<u32>> {
    let mut output = Vec::with_capacity(format.len());
    let mut rest = Reader { units: format };
    while let Some(unit) = rest.next() {
        if unit != '%' as u32 {
            output.push(unit);
            continue;
        }
        let Some(conversion) = Conversion::read(&mut rest, arguments)? else { break };
        conversion.write(width, arguments, &mut output)?;
    }
    Ok(output)
}

struct Reader<'a> {
    units: &'a [u32],
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.units.first().and_then(|&unit| char::from_u32(unit))
    }

    fn next(&mut self) -> Option<u32> {
        let (&first, rest) = self.units.split_first()?;
        self.units = rest;
        Some(first)
    }

    fn skip(&mut self, text: &str) -> bool {
        let is_next = self.units.len() >= text.len()
            && text.chars().zip(self.units).all(|(wanted, &unit)| wanted as u32 == unit);
        if is_next {
            self.units = &self.units[text.len()..];
        }
        is_next
    }

    fn number(&mut self) -> Result<usize> {
        let mut number = 0;
        while let Some(digit) = self.peek().and_then(|digit| digit.to_digit(10)) {
            self.next();
            number = checked(number * 10 + digit as usize)?;
        }
        Ok(number)
    }
}

/// `%-5.3I64d` and its like.
#[derive(Debug)]
struct Conversion {
    left: bool,
    plus: bool,
    space: bool,
    alternative: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    size: Size,
    letter: char,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    None,
    Char,
    Short,
    /// `l` and `w`: 32 bits, or a wide string.
    Long,
    LongLong,
    Address,
    LongDouble,
}

impl Conversion {
    /// `None` at the end of the format.
    fn read(rest: &mut Reader<'_>, arguments: &mut dyn Arguments) -> Result<Option<Self>> {
        let mut conversion = Self {
            left: false,
            plus: false,
            space: false,
            alternative: false,
            zero: false,
            width: 0,
            precision: None,
            size: Size::None,
            letter: '\0',
        };
        loop {
            match rest.peek() {
                Some('-') => conversion.left = true,
                Some('+') => conversion.plus = true,
                Some(' ') => conversion.space = true,
                Some('#') => conversion.alternative = true,
                Some('0') => conversion.zero = true,
                _ => break,
            }
            rest.next();
        }
        conversion.width = if rest.skip("*") {
            let width = arguments.int();
            conversion.left |= width < 0;
            checked(width.unsigned_abs() as usize)?
        } else {
            rest.number()?
        };
        if rest.skip(".") {
            conversion.precision = if rest.skip("*") {
                usize::try_from(arguments.int()).ok()
            } else {
                Some(rest.number()?)
            };
        }
        for (prefix, size) in SIZES {
            if rest.skip(prefix) {
                conversion.size = *size;
                break;
            }
        }
        let Some(unit) = rest.next() else { return Ok(None) };
        conversion.letter = char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER);
        Ok(Some(conversion))
    }

    fn write(
        &self,
        width: Width,
        arguments: &mut dyn Arguments,
        output: &mut Vec<u32>,
    ) -> Result<()> {
        match self.letter {
            'd' | 'i' => {
                let value = self.signed(arguments);
                let sign = match value {
                    ..0 => "-",
                    _ if self.plus => "+",
                    _ if self.space => " ",
                    _ => "",
                };
                self.integer(sign, &value.unsigned_abs().to_string(), output)
            }
            'u' => self.integer("", &self.unsigned(arguments).to_string(), output),
            'o' => {
                let value = self.unsigned(arguments);
                let prefix = if self.alternative && value != 0 { "0" } else { "" };
                self.integer("", &format!("{prefix}{value:o}"), output)
            }
            'x' | 'X' => {
                let value = self.unsigned(arguments);
                let (prefix, digits) = match self.letter {
                    'x' => ("0x", format!("{value:x}")),
                    _ => ("0X", format!("{value:X}")),
                };
                let prefix = if self.alternative && value != 0 { prefix } else { "" };
                self.integer(prefix, &digits, output)
            }
            'p' => {
                let digits = format!("{:0width$X}", arguments.address(), width = ADDRESS_DIGITS);
                self.pad(&[], &units(&digits), output);
                Ok(())
            }
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'a' | 'A' => self.float(arguments, output),
            'c' | 'C' => {
                let value = arguments.int() as u32;
                let from = self.width_of_text(width);
                let value = if from == Width::Narrow { value & 0xff } else { value };
                self.pad(&[], &text::convert(&[value], from, width), output);
                Ok(())
            }
            's' | 'S' => {
                let address = arguments.address();
                let limit = self.precision.unwrap_or(usize::MAX);
                let from = self.width_of_text(width);
                let found = match address {
                    0 => units("(null)").into_iter().take(limit).collect(),
                    _ => text::convert(&arguments.string(address, from, limit), from, width),
                };
                self.pad(&[], &found, output);
                Ok(())
            }
            'n' => Err(failure(
                ERROR_INVALID_PARAMETER,
                "a format with %n was refused: it writes to memory",
            )),
            // As for "%%".
            other => {
                output.push(other as u32);
                Ok(())
            }
        }
    }

    /// Capitals mean the width that the format does not have; a prefix goes before both.
    fn width_of_text(&self, format: Width) -> Width {
        match (self.size, self.letter.is_ascii_uppercase()) {
            (Size::Short | Size::Char, _) => Width::Narrow,
            (Size::Long | Size::LongLong, _) => Width::Wide,
            (_, false) => format,
            (_, true) if format == Width::Wide => Width::Narrow,
            (_, true) => Width::Wide,
        }
    }

    fn signed(&self, arguments: &mut dyn Arguments) -> i64 {
        match self.size {
            Size::LongLong => arguments.long_long(),
            Size::Address => arguments.address() as isize as i64,
            Size::Short => i64::from(arguments.int() as i16),
            Size::Char => i64::from(arguments.int() as i8),
            _ => i64::from(arguments.int()),
        }
    }

    fn unsigned(&self, arguments: &mut dyn Arguments) -> u64 {
        match self.size {
            Size::LongLong => arguments.long_long() as u64,
            Size::Address => arguments.address() as u64,
            Size::Short => u64::from(arguments.int() as u16),
            Size::Char => u64::from(arguments.int() as u8),
            _ => u64::from(arguments.int() as u32),
        }
    }

    fn integer(&self, prefix: &str, digits: &str, output: &mut Vec<u32>) -> Result<()> {
        let least = checked(self.precision.unwrap_or(1))?;
        let digits = match (digits, least) {
            ("0", 0) => String::new(),
            _ => "0".repeat(least.saturating_sub(digits.len())) + digits,
        };
        // A precision says how many zeros there are.
        let zero = self.zero && self.precision.is_none();
        Self { zero, ..*self }.pad(&units(prefix), &units(&digits), output);
        Ok(())
    }

    fn float(&self, arguments: &mut dyn Arguments, output: &mut Vec<u32>) -> Result<()> {
        let value = match self.size {
            Size::LongDouble => arguments.long_double(),
            _ => arguments.double(),
        };
        let flags: String = [(self.plus, '+'), (self.space, ' '), (self.alternative, '#')]
            .iter()
            .filter_map(|&(is_set, flag)| is_set.then_some(flag))
            .collect();
        let precision = self.precision.map(checked).transpose()?;
        let text = number_text::of_double(&flags, precision, self.letter, value);
        let sign = text.starts_with(['+', '-', ' ']).into();
        let (sign, digits) = text.split_at(sign);
        let zero = self.zero && value.is_finite();
        Self { zero, ..*self }.pad(&units(sign), &units(digits), output);
        Ok(())
    }

    /// Fills up to the width: on the right, or on the left before the prefix, or with zeros behind it.
    fn pad(&self, prefix: &[u32], text: &[u32], output: &mut Vec<u32>) {
        let fill = self.width.saturating_sub(prefix.len() + text.len());
        let filled = |unit: char| std::iter::repeat_n(unit as u32, fill);
        if !self.left && !self.zero {
            output.extend(filled(' '));
        }
        output.extend(prefix);
        if !self.left && self.zero {
            output.extend(filled('0'));
        }
        output.extend(text);
        if self.left {
            output.extend(filled(' '));
        }
    }
}

/// A width or precision within reason: a wrong argument must not use up the memory.
fn checked(number: usize) -> Result<usize> {
    if number <= MOST_FILL {
        return Ok(number);
    }
    Err(failure(ERROR_INVALID_PARAMETER, "a format asks for a field of more than a million"))
}

fn units(text: &str) -> Vec<u32> {
    text.bytes().map(u32::from).collect()
}

const MOST_FILL: usize = 1 << 20;
const ADDRESS_DIGITS: usize = size_of::<usize>() * 2;

/// Longer ones first.
const SIZES: &[(&str, Size)] = &[
    ("I64", Size::LongLong),
    ("I32", Size::Long),
    ("I", Size::Address),
    ("hh", Size::Char),
    ("h", Size::Short),
    ("ll", Size::LongLong),
    ("l", Size::Long),
    ("w", Size::Long),
    ("L", Size::LongDouble),
    ("j", Size::LongLong),
    ("z", Size::Address),
    ("t", Size::Address),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What a test passes.
    #[derive(Clone, Copy)]
    enum Value {
        Int(i32),
        Long(i64),
        Double(f64),
        Narrow(&'static [u8]),
        Wide(&'static str),
        Null,
    }
    use Value::{Double, Int, Long, Narrow, Null, Wide};

    struct Values<'a>(&'a [Value], usize);

    impl Values<'_> {
        fn next(&mut self) -> Value {
            self.1 += 1;
            self.0[self.1 - 1]
        }
    }

    impl Arguments for Values<'_> {
        fn int(&mut self) -> i32 {
            match self.next() {
                Int(value) => value,
                // As a register that is read in half.
                Long(value) => value as i32,
                _ => panic!("no int"),
            }
        }

        fn long_long(&mut self) -> i64 {
            match self.next() {
                Long(value) => value,
                _ => panic!("no long long"),
            }
        }

        fn address(&mut self) -> usize {
            match self.next() {
                Long(value) => value as usize,
                Null => 0,
                Narrow(_) | Wide(_) => self.1,
                _ => panic!("no address"),
            }
        }

        fn double(&mut self) -> f64 {
            match self.next() {
                Double(value) => value,
                _ => panic!("no double"),
            }
        }

        fn long_double(&mut self) -> f64 {
            self.double()
        }

        fn string(&self, address: usize, width: Width, limit: usize) -> Vec<u32> {
            match (self.0[address - 1], width) {
                (Narrow(text), Width::Narrow) => {
                    text.iter().map(|&byte| u32::from(byte)).take(limit).collect()
                }
                (Wide(text), Width::Wide) => text.chars().map(u32::from).take(limit).collect(),
                _ => panic!("a string of the other width"),
            }
        }
    }

    fn made(width: Width, pattern: &str, values: &[Value]) -> String {
        let pattern: Vec<_> = pattern.chars().map(u32::from).collect();
        let mut arguments = Values(values, 0);
        let text = format(width, &pattern, &mut arguments).unwrap();
        assert_eq!(arguments.1, values.len(), "not all arguments have been used");
        text.iter().map(|&unit| char::from_u32(unit).unwrap()).collect()
    }

    const BOTH: &[(&str, &[Value], &str)] = &[
        ("", &[], ""),
        ("100%%", &[], "100%"),
        ("%d %i", &[Int(-1), Int(7)], "-1 7"),
        ("%u", &[Int(-1)], "4294967295"),
        // 32 bits, also where a long of 64 was passed.
        ("%ld %lu", &[Long(-1), Long(-1)], "-1 4294967295"),
        ("%lx %lX", &[Int(-1), Int(0xbeef)], "ffffffff BEEF"),
        ("%I64d %I64u", &[Long(i64::MIN), Long(-1)], "-9223372036854775808 18446744073709551615"),
        ("%lld %llu %I64x", &[Long(-5), Long(5), Long(255)], "-5 5 ff"),
        ("%I32d %Id %Iu", &[Int(-3), Long(-3), Long(3)], "-3 -3 3"),
        ("%zu %td %jd", &[Long(1), Long(-1), Long(2)], "1 -1 2"),
        ("%hd %hu %hx", &[Int(0x1_ffff), Int(0x1_ffff), Int(-1)], "-1 65535 ffff"),
        (
            "%5d|%-5d|%05d|%+d|% d",
            &[Int(42), Int(42), Int(-42), Int(42), Int(42)],
            "   42|42   |-0042|+42| 42",
        ),
        ("%*d|%-*d|%*d", &[Int(4), Int(7), Int(4), Int(7), Int(-4), Int(7)], "   7|7   |7   "),
        (
            "%.3d|%6.3d|%06.3d|%.0d|%.d",
            &[Int(7), Int(7), Int(7), Int(0), Int(0)],
            "007|   007|   007||",
        ),
        ("%#x %#X %#o %#x", &[Int(255), Int(255), Int(8), Int(0)], "0xff 0XFF 010 0"),
        ("%#06x|%02x%02X", &[Int(255), Int(10), Int(10)], "0x00ff|0a0A"),
        ("%o", &[Int(8)], "10"),
        ("%p", &[Long(0x12ff7c)], "000000000012FF7C"),
        (
            "%f %.2f %e %g %G",
            &[Double(1.5), Double(-2.345), Double(12345.678), Double(0.0001), Double(1e20)],
            "1.500000 -2.35 1.234568e+04 0.0001 1E+20",
        ),
        (
            "%8.3f|%-8.1f|%08.2f|%+.1f|%Lf",
            &[Double(1.0), Double(1.0), Double(-1.5), Double(2.0), Double(0.5)],
            "   1.000|1.0     |-0001.50|+2.0|0.500000",
        ),
        ("%.*f", &[Int(1), Double(0.26)], "0.3"),
        ("%s|%10s|%-4s|", &[Null, Null, Null], "(null)|    (null)|(null)|"),
        ("%.3s", &[Null], "(nu"),
        // What is no conversion is written as it stands.
        ("%y %", &[], "y "),
        ("%c%c", &[Int('a' as i32), Int('b' as i32)], "ab"),
        ("%3c|%-3c|", &[Int('a' as i32), Int('b' as i32)], "  a|b  |"),
    ];

    #[test]
    fn numbers_are_microsofts_in_both_widths() {
        for &(pattern, values, expected) in BOTH {
            for width in [Width::Narrow, Width::Wide] {
                assert_eq!(made(width, pattern, values), expected, "{pattern} {width:?}");
            }
        }
    }

    #[test]
    fn strings_have_the_width_of_the_format_and_capitals_the_other() {
        let narrow: &[(&str, &[Value], &str)] = &[
            ("%s|%S", &[Narrow(b"abc"), Wide("d€f")], "abc|d\u{80}f"),
            (
                "%hs|%ls|%ws|%hS|%lS",
                &[Narrow(b"a"), Wide("b"), Wide("c"), Narrow(b"d"), Wide("e")],
                "a|b|c|d|e",
            ),
            (
                "%.2s|%5.1s|%-5s|%.*s",
                &[Narrow(b"abc"), Narrow(b"abc"), Narrow(b"abc"), Int(1), Narrow(b"xyz")],
                "ab|    a|abc  |x",
            ),
            ("%05s", &[Narrow(b"ab")], "000ab"),
            ("%.*s", &[Int(-1), Narrow(b"xyz")], "xyz"),
            // What the code page does not have.
            ("%S", &[Wide("Жx")], "?x"),
            (
                "%C%lc%hc%c",
                &[Int('Ä' as i32), Int(0x20ac), Int(0x141), Int(0x142)],
                "\u{c4}\u{80}AB",
            ),
        ];
        for &(pattern, values, expected) in narrow {
            assert_eq!(made(Width::Narrow, pattern, values), expected, "{pattern}");
        }
        let wide: &[(&str, &[Value], &str)] = &[
            ("%s|%S", &[Wide("Жb"), Narrow(b"a\x80\xfc")], "Жb|a€ü"),
            (
                "%hs|%ls|%ws|%hS|%lS",
                &[Narrow(b"a"), Wide("b"), Wide("c"), Narrow(b"d"), Wide("e")],
                "a|b|c|d|e",
            ),
            ("%.2s|%.1S", &[Wide("abc"), Narrow(b"abc")], "ab|a"),
            ("%c%C%lc%hc", &[Int(0x416), Int(0x80), Int(0x1f600), Int(0x141)], "Ж€😀A"),
        ];
        for &(pattern, values, expected) in wide {
            assert_eq!(made(Width::Wide, pattern, values), expected, "{pattern}");
        }
    }

    #[test]
    fn fields_may_be_long() {
        let zeros = "0".repeat(99_999);
        assert_eq!(made(Width::Narrow, "%.100000d", &[Int(-7)]), format!("-{zeros}7"));
        assert_eq!(made(Width::Narrow, "%.100000f", &[Double(0.0)]), format!("0.{zeros}0"));
        assert_eq!(made(Width::Narrow, "%100000d", &[Int(7)]).len(), 100_000);
    }

    #[test]
    fn what_would_do_harm_is_refused() {
        for pattern in ["%n", "%99999999999d", "%.99999999999f", "%*d"] {
            let units: Vec<_> = pattern.chars().map(u32::from).collect();
            let mut values = Values(&[Int(i32::MIN), Int(1)], 0);
            let error = format(Width::Narrow, &units, &mut values).unwrap_err();
            assert_eq!(error.windows, ERROR_INVALID_PARAMETER, "{pattern}");
        }
    }

    #[test]
    fn every_rule_ends_as_its_functions_do() {
        // The rule, length and capacity; what is stored, whether a NUL follows, the answer.
        let table = [
            (Rule::Unlimited, 5, usize::MAX, (5, true, 5)),
            (Rule::Counted, 4, 5, (4, true, 4)),
            (Rule::Counted, 5, 5, (5, false, 5)),
            (Rule::Counted, 6, 5, (5, false, -1)),
            (Rule::Counted, 1, 0, (0, false, -1)),
            (Rule::Standard, 4, 5, (4, true, 4)),
            (Rule::Standard, 6, 5, (4, true, 6)),
            (Rule::Standard, 6, 0, (0, false, 6)),
            (Rule::Terminated, 4, 5, (4, true, 4)),
            (Rule::Terminated, 5, 5, (4, true, -1)),
            (Rule::Terminated, 5, 0, (0, false, -1)),
            (Rule::Wsprintf, 2000, 1024, (1023, true, 1023)),
        ];
        for (rule, length, capacity, expected) in table {
            assert_eq!(
                rule.place(length, capacity, true),
                expected,
                "{rule:?} {length} {capacity}"
            );
        }
        assert_eq!(Rule::Counted.place(7, 0, false), (0, false, 7));
        assert_eq!((Rule::of(4), Rule::of(5), Rule::of(-1)), (Some(Rule::Wsprintf), None, None));
    }
}
