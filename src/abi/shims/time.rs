//! Windows: FILETIME, SYSTEMTIME, the tick count.

use super::boundary::shim;
use super::units::{self, wchar_t};
use crate::abi::memory;
use crate::error::Result;
use crate::winsock::time::{self, Fields};

/// Windows's structure.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct FileTime {
    low: u32,
    high: u32,
}

/// Windows's structure.
#[repr(C)]
pub struct TimeZoneInformation {
    bias: i32,
    standard_name: [wchar_t; 32],
    standard_date: Fields,
    standard_bias: i32,
    daylight_name: [wchar_t; 32],
    daylight_date: Fields,
    daylight_bias: i32,
}

/// Windows: GetTickCount.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_get_tick_count() -> u32 {
    shim!(ssl_wce_get_tick_count, 0, Ok(time::ticks()))
}

/// Windows: Sleep.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_sleep(milliseconds: u32) {
    shim!(ssl_wce_sleep, (), {
        time::sleep(milliseconds);
        Ok(())
    });
}

/// Windows: QueryPerformanceCounter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_query_performance_counter(count: *mut i64) -> i32 {
    shim!(ssl_wce_query_performance_counter, 0, {
        // SAFETY: writable as the header demands.
        unsafe { memory::write(count, time::performance_count(), "the count") }?;
        Ok(1)
    })
}

/// Windows: QueryPerformanceFrequency.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_query_performance_frequency(frequency: *mut i64) -> i32 {
    shim!(ssl_wce_query_performance_frequency, 0, {
        // SAFETY: writable as the header demands.
        unsafe { memory::write(frequency, time::PERFORMANCE_FREQUENCY, "the frequency") }?;
        Ok(1)
    })
}

/// Windows: GetSystemTime.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_get_system_time(to: *mut Fields) {
    shim!(ssl_wce_get_system_time, (), {
        // SAFETY: writable as the header demands.
        unsafe { memory::write(to, time::fields_of(time::now())?, "the time") }
    });
}

/// Windows: GetLocalTime.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_get_local_time(to: *mut Fields) {
    shim!(ssl_wce_get_local_time, (), {
        // SAFETY: writable as the header demands.
        unsafe { memory::write(to, time::fields_of(time::to_local(time::now()))?, "the time") }
    });
}

/// Windows: GetSystemTimeAsFileTime.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_get_system_time_as_file_time(to: *mut FileTime) {
    shim!(ssl_wce_get_system_time_as_file_time, (), {
        // SAFETY: writable as the header demands.
        unsafe { memory::write(to, FileTime::of(time::now()), "the time") }
    });
}

/// Windows: SystemTimeToFileTime.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_system_time_to_file_time(
    from: *const Fields,
    to: *mut FileTime,
) -> i32 {
    shim!(ssl_wce_system_time_to_file_time, 0, {
        // SAFETY: readable and writable as the header demands.
        unsafe { convert(from, to, |fields| Ok(FileTime::of(time::file_time_of(&fields)?))) }
    })
}

/// Windows: FileTimeToSystemTime.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_file_time_to_system_time(
    from: *const FileTime,
    to: *mut Fields,
) -> i32 {
    shim!(ssl_wce_file_time_to_system_time, 0, {
        // SAFETY: readable and writable as the header demands.
        unsafe { convert(from, to, |time: FileTime| time::fields_of(time.value())) }
    })
}

/// Windows: FileTimeToLocalFileTime.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_file_time_to_local_file_time(
    from: *const FileTime,
    to: *mut FileTime,
) -> i32 {
    shim!(ssl_wce_file_time_to_local_file_time, 0, {
        // SAFETY: readable and writable as the header demands.
        unsafe {
            convert(from, to, |time: FileTime| Ok(FileTime::of(time::to_local(time.value()))))
        }
    })
}

/// Windows: LocalFileTimeToFileTime.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_local_file_time_to_file_time(
    from: *const FileTime,
    to: *mut FileTime,
) -> i32 {
    shim!(ssl_wce_local_file_time_to_file_time, 0, {
        // SAFETY: readable and writable as the header demands.
        unsafe {
            convert(from, to, |time: FileTime| Ok(FileTime::of(time::from_local(time.value()))))
        }
    })
}

/// Windows: CompareFileTime.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_compare_file_time(
    first: *const FileTime,
    second: *const FileTime,
) -> i32 {
    shim!(ssl_wce_compare_file_time, 0, {
        memory::check_target(first, "the first time")?;
        memory::check_target(second, "the second time")?;
        // SAFETY: not NULL; readable as the header demands.
        let (first, second) = unsafe { (first.read().value(), second.read().value()) };
        Ok(first.cmp(&second) as i32)
    })
}

/// Windows: GetTimeZoneInformation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_get_time_zone_information(to: *mut TimeZoneInformation) -> u32 {
    shim!(ssl_wce_get_time_zone_information, INVALID, {
        let zone = time::zone();
        let answer = match zone.is_daylight {
            None => UNKNOWN,
            Some(false) => STANDARD,
            Some(true) => DAYLIGHT,
        };
        let information = TimeZoneInformation {
            bias: zone.bias,
            standard_name: name(&zone.standard_name),
            standard_date: Fields::default(),
            standard_bias: 0,
            daylight_name: name(&zone.daylight_name),
            daylight_date: Fields::default(),
            daylight_bias: zone.daylight_bias,
        };
        // SAFETY: writable as the header demands.
        unsafe { memory::write(to, information, "the information") }?;
        Ok(answer)
    })
}

impl FileTime {
    fn of(value: u64) -> Self {
        Self { low: value as u32, high: (value >> 32) as u32 }
    }

    fn value(self) -> u64 {
        u64::from(self.high) << 32 | u64::from(self.low)
    }
}

fn name(text: &str) -> [wchar_t; 32] {
    let mut name = [0; 32];
    let units: Vec<_> = text.chars().map(u32::from).take(31).collect();
    // SAFETY: at most 31 of 32.
    unsafe { units::store(name.as_mut_ptr(), &units, true) };
    name
}

/// # Safety
/// The pointers are NULL or, if aligned, readable and writable.
unsafe fn convert<T: Copy, U>(
    from: *const T,
    to: *mut U,
    convert: impl FnOnce(T) -> Result<U>,
) -> Result<i32> {
    memory::check_target(from, "the time")?;
    // SAFETY: not NULL and aligned; readable as the caller promises.
    let converted = convert(unsafe { from.read() })?;
    // SAFETY: writable as the caller promises.
    unsafe { memory::write(to, converted, "the converted time") }?;
    Ok(1)
}

const UNKNOWN: u32 = 0;
const STANDARD: u32 = 1;
const DAYLIGHT: u32 = 2;
const INVALID: u32 = u32::MAX;
