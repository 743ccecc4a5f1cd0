//! Windows: LoadLibrary and GetProcAddress.

use std::ffi::{c_char, c_void};

use super::boundary::shim;
use super::units::{self, Unit, wchar_t};
use super::{
    address_info, certificate_names, chains, contexts, crack, hosts, last_error, message_box,
    messages, random, select, services, socket_options, sockets, startup, stores, system, text,
    time, transfer,
};
use crate::error::Result;
use crate::winsock::error::{ERROR_INVALID_HANDLE, ERROR_PROC_NOT_FOUND, failure};
use crate::winsock::library::{self, Library};

/// The address of a shim.
pub struct Function(*const c_void);

// SAFETY: the code of a function is the same for every thread.
unsafe impl Sync for Function {}

/// `names: { Windows's name = shim, ... }` for each library.
macro_rules! libraries {
    ($($names:expr => { $($name:literal = $module:ident :: $shim:ident,)* })*) => {
        &[$(Library {
            names: &$names,
            functions: &[$(($name, Function($module::$shim as *const c_void)),)*],
        },)*]
    };
}

/// What the headers bind to functions of this library. Their inline functions are not there.
static LIBRARIES: &[Library<Function>] = libraries! {
    ["coredll", "kernel32", "user32", "advapi32"] => {
        "CompareFileTime" = time::ssl_wce_compare_file_time,
        "CompareStringW" = text::ssl_wce_compare_string_w,
        "CryptAcquireContextA" = random::ssl_wce_acquire_context_a,
        "CryptAcquireContextW" = random::ssl_wce_acquire_context_w,
        "CryptGenRandom" = random::ssl_wce_gen_random,
        "CryptReleaseContext" = random::ssl_wce_release_context,
        "FileTimeToLocalFileTime" = time::ssl_wce_file_time_to_local_file_time,
        "FileTimeToSystemTime" = time::ssl_wce_file_time_to_system_time,
        "FormatMessageW" = messages::ssl_wce_format_message_w,
        "FreeLibrary" = self::ssl_wce_free_library,
        "GetCurrentProcessId" = system::ssl_wce_get_current_process_id,
        "GetCurrentThreadId" = system::ssl_wce_get_current_thread_id,
        "GetLastError" = last_error::ssl_wce_get_last_error,
        "GetLocalTime" = time::ssl_wce_get_local_time,
        "GetModuleHandleW" = self::ssl_wce_get_module_handle_w,
        "GetProcAddressA" = self::ssl_wce_get_proc_address_a,
        "GetProcAddressW" = self::ssl_wce_get_proc_address_w,
        "GetSystemTime" = time::ssl_wce_get_system_time,
        "GetSystemTimeAsFileTime" = time::ssl_wce_get_system_time_as_file_time,
        "GetTickCount" = time::ssl_wce_get_tick_count,
        "GetTimeZoneInformation" = time::ssl_wce_get_time_zone_information,
        "LoadLibraryExW" = self::ssl_wce_load_library_ex_w,
        "LoadLibraryW" = self::ssl_wce_load_library_w,
        "LocalFileTimeToFileTime" = time::ssl_wce_local_file_time_to_file_time,
        "MessageBoxW" = message_box::ssl_wce_message_box_w,
        "MultiByteToWideChar" = text::ssl_wce_multi_byte_to_wide_char,
        "OutputDebugStringW" = system::ssl_wce_output_debug_string_w,
        "QueryPerformanceCounter" = time::ssl_wce_query_performance_counter,
        "QueryPerformanceFrequency" = time::ssl_wce_query_performance_frequency,
        "SetLastError" = last_error::ssl_wce_set_last_error,
        "Sleep" = time::ssl_wce_sleep,
        "SystemTimeToFileTime" = time::ssl_wce_system_time_to_file_time,
        "WideCharToMultiByte" = text::ssl_wce_wide_char_to_multi_byte,
    }
    ["ws2", "ws2_32", "winsock", "wsock32"] => {
        "WSACleanup" = startup::ssl_wce_cleanup,
        "WSAGetLastError" = last_error::ssl_wce_get_last_error,
        "WSAIoctl" = socket_options::ssl_wce_wsa_ioctl,
        "WSARecv" = transfer::ssl_wce_wsa_recv,
        "WSASend" = transfer::ssl_wce_wsa_send,
        "WSASetLastError" = last_error::ssl_wce_set_last_error,
        "WSASocketA" = sockets::ssl_wce_wsa_socket,
        "WSASocketW" = sockets::ssl_wce_wsa_socket,
        "WSAStartup" = startup::ssl_wce_startup,
        "accept" = sockets::ssl_wce_accept,
        "bind" = sockets::ssl_wce_bind,
        "closesocket" = sockets::ssl_wce_closesocket,
        "connect" = sockets::ssl_wce_connect,
        "freeaddrinfo" = address_info::ssl_wce_freeaddrinfo,
        "getaddrinfo" = address_info::ssl_wce_getaddrinfo,
        "gethostbyaddr" = hosts::ssl_wce_gethostbyaddr,
        "gethostbyname" = hosts::ssl_wce_gethostbyname,
        "gethostname" = hosts::ssl_wce_gethostname,
        "getnameinfo" = address_info::ssl_wce_getnameinfo,
        "getpeername" = sockets::ssl_wce_getpeername,
        "getprotobyname" = services::ssl_wce_getprotobyname,
        "getprotobynumber" = services::ssl_wce_getprotobynumber,
        "getservbyname" = services::ssl_wce_getservbyname,
        "getservbyport" = services::ssl_wce_getservbyport,
        "getsockname" = sockets::ssl_wce_getsockname,
        "getsockopt" = socket_options::ssl_wce_getsockopt,
        "inet_addr" = hosts::ssl_wce_inet_addr,
        "inet_ntoa" = hosts::ssl_wce_inet_ntoa,
        "ioctlsocket" = socket_options::ssl_wce_ioctlsocket,
        "listen" = sockets::ssl_wce_listen,
        "recv" = transfer::ssl_wce_recv,
        "recvfrom" = transfer::ssl_wce_recvfrom,
        "select" = select::ssl_wce_select,
        "send" = transfer::ssl_wce_send,
        "sendto" = transfer::ssl_wce_sendto,
        "setsockopt" = socket_options::ssl_wce_setsockopt,
        "shutdown" = sockets::ssl_wce_shutdown,
        "socket" = sockets::ssl_wce_socket,
    }
    ["schannel"] => {
        "SslCrackCertificate" = crack::ssl_wce_crack_certificate,
        "SslFreeCertificate" = crack::ssl_wce_free_certificate,
    }
    ["crypt32"] => {
        "CertAddCertificateContextToStore" = stores::ssl_wce_add_certificate_context_to_store,
        "CertAddEncodedCertificateToStore" = stores::ssl_wce_add_encoded_certificate_to_store,
        "CertCloseStore" = stores::ssl_wce_close_store,
        "CertCompareCertificate" = contexts::ssl_wce_compare_certificate,
        "CertCompareCertificateName" = contexts::ssl_wce_compare_certificate_name,
        "CertCreateCertificateContext" = contexts::ssl_wce_create_certificate_context,
        "CertDeleteCertificateFromStore" = stores::ssl_wce_delete_certificate_from_store,
        "CertDuplicateCertificateContext" = contexts::ssl_wce_duplicate_certificate_context,
        "CertEnumCertificatesInStore" = stores::ssl_wce_enum_certificates_in_store,
        "CertFindCertificateInStore" = stores::ssl_wce_find_certificate_in_store,
        "CertFreeCertificateChain" = chains::ssl_wce_free_certificate_chain,
        "CertFreeCertificateContext" = contexts::ssl_wce_free_certificate_context,
        "CertGetCertificateChain" = chains::ssl_wce_get_certificate_chain,
        "CertGetCertificateContextProperty" = contexts::ssl_wce_get_certificate_context_property,
        "CertGetIssuerCertificateFromStore" = stores::ssl_wce_get_issuer_certificate_from_store,
        "CertGetNameStringA" = certificate_names::ssl_wce_get_name_string_a,
        "CertGetNameStringW" = certificate_names::ssl_wce_get_name_string_w,
        "CertNameToStrA" = certificate_names::ssl_wce_name_to_str_a,
        "CertNameToStrW" = certificate_names::ssl_wce_name_to_str_w,
        "CertOpenStore" = stores::ssl_wce_open_store,
        "CertOpenSystemStoreA" = stores::ssl_wce_open_system_store_a,
        "CertOpenSystemStoreW" = stores::ssl_wce_open_system_store_w,
        "CertVerifyCertificateChainPolicy" = chains::ssl_wce_verify_certificate_chain_policy,
        "CertVerifyTimeValidity" = contexts::ssl_wce_verify_time_validity,
    }
};

/// Windows: LoadLibraryA.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_load_library_a(name: *const c_char) -> *const c_void {
    shim!(ssl_wce_load_library_a, std::ptr::null(), {
        // SAFETY: NUL-terminated as the header demands.
        unsafe { load(name.cast::<u8>()) }
    })
}

/// Windows: LoadLibraryW.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_load_library_w(name: *const wchar_t) -> *const c_void {
    shim!(ssl_wce_load_library_w, std::ptr::null(), {
        // SAFETY: NUL-terminated as the header demands.
        unsafe { load(name) }
    })
}

/// Windows: LoadLibraryExA.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_load_library_ex_a(
    name: *const c_char,
    _file: *mut c_void,
    _flags: u32,
) -> *const c_void {
    shim!(ssl_wce_load_library_ex_a, std::ptr::null(), {
        // SAFETY: NUL-terminated as the header demands.
        unsafe { load(name.cast::<u8>()) }
    })
}

/// Windows: LoadLibraryExW.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_load_library_ex_w(
    name: *const wchar_t,
    _file: *mut c_void,
    _flags: u32,
) -> *const c_void {
    shim!(ssl_wce_load_library_ex_w, std::ptr::null(), {
        // SAFETY: NUL-terminated as the header demands.
        unsafe { load(name) }
    })
}

/// Windows: GetModuleHandleA.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_get_module_handle_a(name: *const c_char) -> *const c_void {
    shim!(ssl_wce_get_module_handle_a, std::ptr::null(), {
        // SAFETY: NUL-terminated as the header demands.
        unsafe { module_or_program(name.cast::<u8>()) }
    })
}

/// Windows: GetModuleHandleW.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_get_module_handle_w(name: *const wchar_t) -> *const c_void {
    shim!(ssl_wce_get_module_handle_w, std::ptr::null(), {
        // SAFETY: NUL-terminated as the header demands.
        unsafe { module_or_program(name) }
    })
}

/// Windows: FreeLibrary.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_free_library(module: *const c_void) -> i32 {
    shim!(ssl_wce_free_library, 0, of_handle(module).map(|_| 1))
}

/// Windows: GetProcAddressA.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_get_proc_address_a(
    module: *const c_void,
    name: *const c_char,
) -> *const c_void {
    shim!(ssl_wce_get_proc_address_a, std::ptr::null(), {
        // SAFETY: NUL-terminated as the header demands.
        unsafe { function(module, name.cast::<u8>()) }
    })
}

/// Windows: GetProcAddressW.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_get_proc_address_w(
    module: *const c_void,
    name: *const wchar_t,
) -> *const c_void {
    shim!(ssl_wce_get_proc_address_w, std::ptr::null(), {
        // SAFETY: NUL-terminated as the header demands.
        unsafe { function(module, name) }
    })
}

/// # Safety
/// The name is NULL or NUL-terminated.
unsafe fn load<U: Unit>(name: *const U) -> Result<*const c_void> {
    // SAFETY: as the caller promises.
    let library = library::find(LIBRARIES, &unsafe { units::text(name) })?;
    Ok(std::ptr::from_ref(library).cast())
}

/// # Safety
/// As for [`load`].
unsafe fn module_or_program<U: Unit>(name: *const U) -> Result<*const c_void> {
    if name.is_null() {
        // The program itself: not NULL, and without functions.
        return Ok((&raw const LIBRARIES).cast());
    }
    // SAFETY: as the caller promises.
    unsafe { load(name) }
}

/// # Safety
/// As for [`load`]; the name may be a number in the place of an address.
unsafe fn function<U: Unit>(module: *const c_void, name: *const U) -> Result<*const c_void> {
    let library = of_handle(module)?;
    if name as usize <= 0xffff {
        return Err(failure(ERROR_PROC_NOT_FOUND, "functions are found by names, not by numbers"));
    }
    // SAFETY: as the caller promises.
    Ok(library.function(&unsafe { units::text(name) })?.0)
}

fn of_handle(module: *const c_void) -> Result<&'static Library<Function>> {
    LIBRARIES
        .iter()
        .find(|&library| std::ptr::eq(std::ptr::from_ref(library).cast(), module))
        .ok_or_else(|| {
            failure(ERROR_INVALID_HANDLE, "the module is none that LoadLibrary has answered")
        })
}
