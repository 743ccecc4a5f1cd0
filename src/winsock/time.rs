//! Windows's times: FILETIME, in units of 100 ns since 1601, and SYSTEMTIME, the fields of a date.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::error::{ERROR_INVALID_PARAMETER, failure};
use crate::error::Result;
use crate::sys::clock;

/// SYSTEMTIME, in the order of its members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Fields {
    pub year: u16,
    pub month: u16,
    pub day_of_week: u16,
    pub day: u16,
    pub hour: u16,
    pub minute: u16,
    pub second: u16,
    pub milliseconds: u16,
}

/// What GetTimeZoneInformation tells: minutes that are to be added to local time to get UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    pub bias: i32,
    pub daylight_bias: i32,
    /// Whether daylight saving time is on; `None` where there is none.
    pub is_daylight: Option<bool>,
    pub standard_name: String,
    pub daylight_name: String,
}

/// Now, as a FILETIME.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH_AS_FILE_TIME + (since.as_nanos() / 100) as u64
}

/// The date of a FILETIME.
pub fn fields_of(time: u64) -> Result<Fields> {
    if time > i64::MAX as u64 {
        return Err(failure(ERROR_INVALID_PARAMETER, format!("{time:#x} is no FILETIME")));
    }
    let days = time / DAY;
    let rest = time % DAY;
    let (year, month, day) = date_of(days);
    Ok(Fields {
        year: year as u16,
        month: month as u16,
        // The first of January 1601 was a Monday.
        day_of_week: ((days + 1) % 7) as u16,
        day: day as u16,
        hour: (rest / HOUR) as u16,
        minute: (rest / MINUTE % 60) as u16,
        second: (rest / SECOND % 60) as u16,
        milliseconds: (rest / MILLISECOND % 1000) as u16,
    })
}

/// The FILETIME of a date, whose day of the week does not count.
pub fn file_time_of(fields: &Fields) -> Result<u64> {
    let (year, month) = (u64::from(fields.year), u64::from(fields.month));
    let is_valid = (FIRST_YEAR..=LAST_YEAR).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&fields.day.into())
        && fields.hour < 24
        && fields.minute < 60
        && fields.second < 60
        && fields.milliseconds < 1000;
    if !is_valid {
        return Err(failure(ERROR_INVALID_PARAMETER, format!("{fields:?} is no date")));
    }
    let days = days_before_year(year)
        + (1..month).map(|month| days_in(year, month)).sum::<u64>()
        + u64::from(fields.day)
        - 1;
    Ok(days * DAY
        + u64::from(fields.hour) * HOUR
        + u64::from(fields.minute) * MINUTE
        + u64::from(fields.second) * SECOND
        + u64::from(fields.milliseconds) * MILLISECOND)
}

/// Local time by what is in force now, whenever the time is: as Windows does it.
pub fn to_local(time: u64) -> u64 {
    time.wrapping_add_signed(offset_now())
}

pub fn from_local(time: u64) -> u64 {
    time.wrapping_add_signed(-offset_now())
}

pub fn zone() -> Zone {
    let now = seconds_now();
    let here = clock::local(now);
    // Half a year away the other one is in force, if there are two.
    let other = (1..12)
        .map(|month| clock::local(now + month * 30 * 86_400))
        .find(|other| other.is_daylight != here.is_daylight);
    let (standard, daylight) = match &other {
        Some(other) if here.is_daylight => (other, Some(&here)),
        Some(other) => (&here, Some(other)),
        None => (&here, None),
    };
    let change = daylight.map_or(0, |daylight| daylight.offset - standard.offset);
    Zone {
        bias: -standard.offset / 60,
        daylight_bias: -change / 60,
        is_daylight: daylight.map(|_| here.is_daylight),
        standard_name: standard.name.clone(),
        daylight_name: daylight.unwrap_or(standard).name.clone(),
    }
}

/// GetTickCount: milliseconds, which begin again with 0 after 49.7 days.
pub fn ticks() -> u32 {
    clock::since_start().as_millis() as u32
}

/// QueryPerformanceCounter, in nanoseconds.
pub fn performance_count() -> i64 {
    i64::try_from(clock::since_start().as_nanos()).unwrap_or(i64::MAX)
}

pub(crate) const PERFORMANCE_FREQUENCY: i64 = 1_000_000_000;

/// Sleep; the largest number means for ever.
pub fn sleep(milliseconds: u32) {
    match milliseconds {
        0 => std::thread::yield_now(),
        u32::MAX => loop {
            std::thread::sleep(Duration::from_secs(u32::MAX.into()));
        },
        _ => std::thread::sleep(Duration::from_millis(milliseconds.into())),
    }
}

fn seconds_now() -> i64 {
    ((now() - UNIX_EPOCH_AS_FILE_TIME) / SECOND) as i64
}

fn offset_now() -> i64 {
    i64::from(clock::local(seconds_now()).offset) * SECOND as i64
}

/// Year, month and day, by the days since the first of January 1601.
fn date_of(days: u64) -> (u64, u64, u64) {
    // Too early, if anything.
    let mut year = FIRST_YEAR + days / 366;
    while days_before_year(year + 1) <= days {
        year += 1;
    }
    let mut rest = days - days_before_year(year);
    let mut month = 1;
    while rest >= days_in(year, month) {
        rest -= days_in(year, month);
        month += 1;
    }
    (year, month, rest + 1)
}

fn days_before_year(year: u64) -> u64 {
    let years = year - FIRST_YEAR;
    years * 365 + years / 4 - years / 100 + years / 400
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

const MILLISECOND: u64 = 10_000;
const SECOND: u64 = 1000 * MILLISECOND;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const FIRST_YEAR: u64 = 1601;
const LAST_YEAR: u64 = 30_827;
const UNIX_EPOCH_AS_FILE_TIME: u64 = 134_774 * DAY;

#[cfg(test)]
mod tests {
    use super::*;

    fn date(year: u16, month: u16, day: u16, day_of_week: u16) -> Fields {
        Fields { year, month, day_of_week, day, ..Fields::default() }
    }

    #[test]
    fn known_dates() {
        let table = [
            (0, date(1601, 1, 1, 1)),
            (UNIX_EPOCH_AS_FILE_TIME, date(1970, 1, 1, 4)),
            (125_911_584_000_000_000, date(2000, 1, 1, 6)),
            // The last day of February of a year by 400, and of one by 100.
            (125_963_424_000_000_000 - DAY, date(2000, 2, 29, 2)),
            (days_before_year(1900) * DAY + 59 * DAY, date(1900, 3, 1, 4)),
        ];
        for (time, fields) in table {
            assert_eq!(fields_of(time).unwrap(), fields);
            assert_eq!(file_time_of(&fields).unwrap(), time);
        }
    }

    #[test]
    fn every_part_comes_back() {
        for time in (0..LAST).step_by((LAST / 5000) as usize) {
            let time = time / MILLISECOND * MILLISECOND;
            assert_eq!(file_time_of(&fields_of(time).unwrap()).unwrap(), time);
        }
        assert!(fields_of(u64::MAX).is_err());
    }

    #[test]
    fn what_is_no_date_is_refused() {
        let good = date(2024, 2, 29, 0);
        assert!(file_time_of(&good).is_ok());
        for bad in [
            Fields { year: 2023, ..good },
            Fields { year: 1600, ..good },
            Fields { month: 0, ..good },
            Fields { month: 13, ..good },
            Fields { day: 0, ..good },
            Fields { hour: 24, ..good },
            Fields { minute: 60, ..good },
            Fields { second: 60, ..good },
            Fields { milliseconds: 1000, ..good },
        ] {
            assert_eq!(file_time_of(&bad).unwrap_err().windows, ERROR_INVALID_PARAMETER);
        }
    }

    #[test]
    fn now_is_the_systems_time_and_local_time_comes_back() {
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        let now = now();
        assert!(((now - UNIX_EPOCH_AS_FILE_TIME) / SECOND) as i64 - before < 100);
        assert_eq!(from_local(to_local(now)), now);
    }

    /// The end of the last year.
    const LAST: u64 = 10_674_942 * DAY;
}
