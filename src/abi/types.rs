//! The structures and callback types of the ABI.

use std::ffi::{c_char, c_void};

/// A handle: a checked token, never an address. NULL, garbage and freed handles are told apart
/// from live ones and answered with SSL_ERR_BAD_HANDLE.
pub struct ssl_socket {
    _private: (),
}

/// A block of bytes (Windows CE: BLOB).
#[repr(C)]
pub struct ssl_blob {
    /// How many bytes `pBlobData` points to.
    pub cbSize: u32,
    /// The bytes; read only.
    pub pBlobData: *mut u8,
}

/// The certificate hook (Windows CE: SSLVALIDATECERTFUNC).
///
/// It is called once per handshake, on the thread that asked for the handshake, with no lock held,
/// after the handshake signature has been checked and before anything of ours that depends on the
/// answer is sent. It may take as long as it likes: its time does not count. `type` is
/// SSL_CERT_X509; `arg` is what was given to ssl_set_validate_cert_hook; `chain_len` is 1 and
/// `chain` the peer's own certificate in DER, valid during the call only; `flags` has
/// SSL_CERT_FLAG_ISSUER_UNKNOWN set if anything is wrong: issuer, name, dates or form.
///
/// It answers SSL_ERR_OKAY (0) to accept the certificate, whatever is wrong with it (but not a key
/// that is too weak or not among the pins), anything else to refuse. With SSL_FLAG_NONBLOCKING
/// SSL_ERR_WANT_VALIDATION means that ssl_complete_validation will bring the answer. Inside it only
/// the ssl_get_* functions may be called for the same handle. It must return: an exception or
/// longjmp through the library is undefined.
pub type ssl_validate_cert_fn = Option<
    unsafe extern "C" fn(
        r#type: u32,
        arg: *mut c_void,
        chain_len: u32,
        chain: *const ssl_blob,
        flags: u32,
    ) -> i32,
>;

/// The hook that chooses a client certificate (Windows CE: SSLAUTHREQUESTFUNC).
///
/// It is called at most once per handshake, when the server asks for a certificate, on the thread
/// that asked for the handshake, with no lock held; its time does not count. That may be before the
/// certificate hook is called: what it answers does not leave before the latter has accepted the
/// server. `type` is SSL_CERT_X509; `arg` is what was given to ssl_set_auth_request_hook; `issuers`
/// has the distinguished names in DER of the CAs that the server accepts, none if it does not say;
/// `flags` is 0. All are valid during the call only.
///
/// It answers SSL_ERR_OKAY with a chain, leaf first, in DER: `*chain` points to `*chain_len` blobs,
/// 32 at most and 64 KiB in all, which the library copies as soon as the hook has returned. The
/// leaf must be that of an identity set on the handle (ssl_set_identity_*, ssl_add_identity_*),
/// whose key then signs, and by itself stands for the whole chain of that; or the signature hook
/// (SO_SSL_SET_SIGNATURE_HOOK) has to hold the key. With `*chain_len` left 0 the library chooses
/// among the handle's identities as without a hook. SSL_ERR_NO_CERT: go on without a certificate.
/// Anything else ends the handshake with that result, as from the certificate hook. Inside it only
/// the ssl_get_* functions may be called for the same handle. It must return: an exception or
/// longjmp through the library is undefined.
pub type ssl_auth_request_fn = Option<
    unsafe extern "C" fn(
        r#type: u32,
        arg: *mut c_void,
        issuer_count: u32,
        issuers: *const ssl_blob,
        flags: u32,
        chain_len: *mut u32,
        chain: *mut *mut ssl_blob,
    ) -> i32,
>;

/// Signs with a private key that the library does not see, such as one in a smart card or a
/// hardware module (Windows CE: SSLSIGNATUREFUNC, with the schemes of today).
///
/// It is called on the thread that asked for the handshake, with no lock held; its time does not
/// count. In a client that may be before the certificate hook is called: what it signs does not
/// leave before the latter has accepted the server. `type` is the signature scheme as in RFC 8446,
/// section 4.2.3 (0x0403 ecdsa_secp256r1_sha256, 0x0804 rsa_pss_rsae_sha256, ...); `arg` is what
/// was given with the hook; `source` has the `source_len` bytes to be signed, not hashed yet;
/// `flags` is SSL_SIGN_PERFORM_HASH. `*dest_len` is the capacity of `dest`, at least 1,024, and
/// becomes the length of the signature (ECDSA in DER).
///
/// It answers SSL_ERR_OKAY, or anything else to fail the handshake with SSL_ERR_SIGNATURE. So does
/// what is no signature by the certificate's key, before anything of it is sent. Inside
/// it only the ssl_get_* functions may be called for the same handle. It must return: an exception
/// or longjmp through the library is undefined.
pub type ssl_signature_fn = Option<
    unsafe extern "C" fn(
        r#type: u32,
        arg: *mut c_void,
        source: *const u8,
        source_len: u32,
        flags: u32,
        dest: *mut u8,
        dest_len: *mut u32,
    ) -> i32,
>;

/// The log callback: called on the program's own threads, inside a call to the library, with no
/// lock held. `message` is UTF-8, NUL-terminated and valid during the call only. It never holds
/// secrets or payload.
pub type ssl_log_fn =
    Option<unsafe extern "C" fn(arg: *mut c_void, level: u32, message: *const c_char)>;

/// What is shown and asked in the place of Windows's MessageBox: called on the thread that called
/// MessageBox, with no lock held; it may take as long as the user does. `owner` is the program's
/// window handle, which the library does not look at; `text` and `caption` are UTF-8,
/// NUL-terminated and valid during the call only; `type` holds Windows's MB_* bits. Answers the
/// button that was chosen, as IDOK (1), IDCANCEL (2), IDYES (6) or IDNO (7).
pub type ssl_message_box_fn = Option<
    unsafe extern "C" fn(
        arg: *mut c_void,
        owner: *mut c_void,
        text: *const c_char,
        caption: *const c_char,
        r#type: u32,
    ) -> i32,
>;

/// What was agreed in the handshake. Set `size` to sizeof(ssl_session_info) before the call.
#[repr(C)]
pub struct ssl_session_info {
    /// In: sizeof. Out: how much the library filled.
    pub size: u32,
    /// SSL_DATAPATH_*.
    pub datapath: u32,
    /// The version as on the wire: 0x0303 for TLS 1.2, 0x0304 for TLS 1.3.
    pub protocol: u16,
    /// The cipher suite's IANA number.
    pub suite: u16,
    /// The key-exchange group's IANA number.
    pub group: u16,
    /// 1 if an earlier session was resumed.
    pub resumed: u8,
    /// How many bytes of `alpn` count.
    pub alpn_len: u8,
    /// The application protocol agreed by ALPN, not NUL-terminated.
    pub alpn: [u8; 256],
    /// As "TLSv1.3", NUL-terminated.
    pub protocol_name: [c_char; 16],
    /// As "TLS_AES_128_GCM_SHA256", NUL-terminated.
    pub suite_name: [c_char; 64],
    /// As "X25519", NUL-terminated.
    pub group_name: [c_char; 32],
}

/// What verification found. Set `size` to sizeof(ssl_verify_report) before the call.
#[repr(C)]
pub struct ssl_verify_report {
    /// In: sizeof. Out: how much the library filled.
    pub size: u32,
    /// SSL_VERDICT_*; inside the hook, and as long as its answer is awaited, what verification says
    /// by itself.
    pub verdict: u32,
    /// SSL_CAUSE_* bits: everything that is wrong at once.
    pub causes: u32,
    /// How many certificates the peer sent: see ssl_get_peer_certificate.
    pub chain_len: u32,
    /// Start of the certificate's validity in Unix seconds.
    pub not_before: i64,
    /// End of the certificate's validity in Unix seconds.
    pub not_after: i64,
    /// SHA-256 of the certificate's SubjectPublicKeyInfo, for pinning.
    pub spki_sha256: [u8; 32],
}

/// One consistent picture of an error. Set `size` to sizeof(ssl_error_info) before the call.
#[repr(C)]
pub struct ssl_error_info {
    /// In: sizeof. Out: how much the library filled.
    pub size: u32,
    /// SSL_ERR_*, or the certificate hook's own value.
    pub code: i32,
    /// SSL_CATEGORY_*.
    pub category: u32,
    /// The errno of the system call that failed, or 0.
    pub sys_errno: i32,
    /// The number of the TLS alert received, or -1.
    pub tls_alert: i32,
    /// 1 if the certificate hook chose `code`.
    pub from_hook: u32,
}

/// The program's argument, which the library only carries.
/// cbindgen:ignore
pub(super) struct Opaque(pub *mut c_void);

// SAFETY: the library never looks at what it points to. That a callback runs on whichever thread
// calls the library is in its documentation.
unsafe impl Send for Opaque {}
// SAFETY: as above.
unsafe impl Sync for Opaque {}

// What C programs have compiled in.
const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<ssl_blob>() == 2 * size_of::<usize>());
    assert!(size_of::<ssl_session_info>() == 384);
    assert!(offset_of!(ssl_session_info, protocol) == 8);
    assert!(offset_of!(ssl_session_info, resumed) == 14);
    assert!(offset_of!(ssl_session_info, alpn) == 16);
    assert!(offset_of!(ssl_session_info, protocol_name) == 272);
    assert!(offset_of!(ssl_session_info, suite_name) == 288);
    assert!(offset_of!(ssl_session_info, group_name) == 352);
    assert!(size_of::<ssl_verify_report>() == 64);
    assert!(offset_of!(ssl_verify_report, not_before) == 16);
    assert!(offset_of!(ssl_verify_report, spki_sha256) == 32);
    assert!(size_of::<ssl_error_info>() == 24);
    assert!(offset_of!(ssl_error_info, tls_alert) == 16);
};
