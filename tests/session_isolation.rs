//! A session got under one setting is never offered under another.

mod support;

use std::ffi::{CString, c_void};
use std::sync::atomic::{AtomicU32, Ordering};

use sslsock::abi::identity::{ssl_set_auth_request_hook, ssl_set_identity_signer};
use sslsock::abi::settings::{ssl_set_alpn, ssl_set_protocols};
use sslsock::abi::trust::{ssl_add_crl_pem, ssl_add_pin};
use sslsock::abi::types::ssl_blob;
use sslsock::abi::windows_ce::ssl_ioctl;
use support::pki::{Authority, Certified};
use support::resuming::{Client, KINDS, Kind, WAYS, answer, config, last_text, serve};
use support::*;

/// One way to set up a client.
struct Setting {
    what: &'static str,
    flags: u32,
    set: Box<dyn Fn(Handle) -> Handle>,
    /// In front of the name of the pair.
    name: &'static str,
    /// Whether a second connection with this setting offers the first one's session.
    resumes: bool,
}

impl Setting {
    fn new(what: &'static str, set: impl Fn(Handle) -> Handle + 'static) -> Self {
        Self { what, flags: 0, set: Box::new(set), name: "a", resumes: true }
    }
}

#[test]
fn no_session_crosses_from_one_setting_to_another() {
    let authority = Authority::new("isolation");
    let certified = authority.issue(&["*.isolated.test"]);
    let mut wrong = Vec::new();
    for kind in KINDS {
        let settings = settings(&authority, &certified, kind);
        let server = serve(config(&certified, kind), answer);
        for (number, first) in settings.iter().enumerate() {
            for second in &settings {
                let way = WAYS[number % 2];
                let what = format!("{} then {}, {kind:?}, {way:#x}", first.what, second.what);
                // A name of its own, so that nothing of another pair can be offered.
                let pair = PAIRS.fetch_add(1, Ordering::Relaxed);
                let connect = |setting: &Setting| {
                    let name = format!("{}{pair}.isolated.test", setting.name);
                    Client::new(server, setting.flags | way, &setting.set).talk(&name)
                };
                let earlier = connect(first);
                let session_id = earlier.tap.server_session_id();
                assert!(!earlier.has_resumed(), "{what}");
                let earlier = earlier.close();
                assert!(!earlier.hello().offers_ticket(), "{what}");
                let later = connect(second);
                let hello = later.tap.hello();
                let offers = match kind {
                    Kind::Id => hello.session_id == session_id,
                    Kind::Ticket => hello.session_ticket().is_some(),
                    Kind::Tls13 => hello.pre_shared_key().is_some(),
                };
                let is_same = std::ptr::eq(first, second) && first.resumes;
                let offers_another = !is_same && hello.offers_ticket();
                if offers != is_same || later.has_resumed() != is_same || offers_another {
                    wrong.push(what);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn settings(authority: &Authority, certified: &Certified, kind: Kind) -> Vec<Setting> {
    let root = authority.pem();
    let other = Authority::new("another").pem();
    let identities =
        ["one", "two"].map(|name| Authority::new("clients").issue(&[&format!("{name}.test")]));
    let trusting = {
        let root = root.clone();
        move |handle: Handle| handle.trust(&root)
    };
    let with_identity = |at: usize| {
        let (chain, key) = (identities[at].chain.clone(), identities[at].key.clone());
        let trusting = trusting.clone();
        move |handle: Handle| trusting(handle).identity(&chain, &key)
    };
    let with_hook = {
        let trusting = trusting.clone();
        move |handle: Handle| trusting(handle).hook(Some(accept), std::ptr::null_mut())
    };
    let with_auth_hook = {
        let (hook, with) = (auth_hook as AuthHook, with_identity(0));
        move |handle: Handle| {
            let handle = with(handle);
            assert_eq!(ssl_set_auth_request_hook(handle.0, Some(hook), std::ptr::null_mut()), 0);
            handle
        }
    };
    let with_signer = {
        let (chain, trusting) = (identities[0].chain.clone(), trusting.clone());
        move |handle: Handle| {
            let handle = trusting(handle);
            let (bytes, length) = (chain.as_ptr().cast(), chain.len());
            let arg = std::ptr::null_mut();
            let set = unsafe { ssl_set_identity_signer(handle.0, bytes, length, Some(sign), arg) };
            assert_eq!(set, 0, "{}", last_text());
            handle
        }
    };
    let with_pins = |pins: &[[u8; 32]]| {
        let hex = |pin: &[u8; 32]| pin.iter().map(|byte| format!("{byte:02x}")).collect();
        let pins = pins.iter().map(hex).collect::<Vec<String>>().join(";");
        let (pins, trusting) = (CString::new(pins).unwrap(), trusting.clone());
        move |handle: Handle| {
            let handle = trusting(handle);
            assert_eq!(unsafe { ssl_add_pin(handle.0, pins.as_ptr()) }, 0, "{}", last_text());
            handle
        }
    };
    let with_crl = {
        let (crl, trusting) = (authority.empty_crl(), trusting.clone());
        move |handle: Handle| {
            let handle = trusting(handle);
            let set = unsafe { ssl_add_crl_pem(handle.0, crl.as_ptr().cast(), crl.len()) };
            assert_eq!(set, 0, "{}", last_text());
            handle
        }
    };
    let with_version = {
        let (version, trusting) = (kind.version(), trusting.clone());
        move |handle: Handle| {
            let handle = trusting(handle);
            assert_eq!(ssl_set_protocols(handle.0, version, version), 0, "{}", last_text());
            handle
        }
    };
    let with_ciphers = {
        let trusting = trusting.clone();
        move |handle: Handle| {
            let handle = trusting(handle);
            assert_eq!(set_ciphers(&handle, CALG_AES), 0, "{}", last_text());
            handle
        }
    };
    let actual = spki_sha256(certified);
    vec![
        Setting::new("trust", trusting.clone()),
        Setting::new("pin", with_pins(&[actual])),
        Setting::new("pin and another", with_pins(&[actual, [7; 32]])),
        Setting::new("revocation list", with_crl),
        Setting::new("one version", with_version),
        Setting::new("ciphers", with_ciphers),
        Setting::new("signer", with_signer),
        Setting { resumes: false, ..Setting::new("hook that chooses", with_auth_hook) },
        Setting::new("other trust too", {
            let trusting = trusting.clone();
            move |handle| trusting(handle).trust(&other)
        }),
        Setting::new("hook", with_hook.clone()),
        // What it trusts is not enough: only the hook lets it in.
        Setting::new("hook alone", |handle| handle.hook(Some(accept), std::ptr::null_mut())),
        Setting { flags: SSL_FLAG_STRICT, ..Setting::new("hook that must not accept", with_hook) },
        Setting { flags: SSL_FLAG_STRICT, ..Setting::new("strict", trusting.clone()) },
        Setting::new("identity", with_identity(0)),
        Setting::new("another identity", with_identity(1)),
        Setting { name: "b", ..Setting::new("another name", trusting.clone()) },
        Setting {
            flags: SSL_FLAG_NO_RESUMPTION,
            resumes: false,
            ..Setting::new("no resumption", trusting)
        },
    ]
}

#[test]
fn what_says_nothing_about_trust_does_not_stand_in_the_way() {
    let authority = Authority::new("isolation");
    let certified = authority.issue(&["plain.isolated.test"]);
    let server = serve(config(&certified, Kind::Tls13), answer);
    let trust = |handle: Handle| handle.trust(&authority.pem());
    let with_alpn = |handle: Handle| {
        let list = b"\x03ftp";
        assert_eq!(unsafe { ssl_set_alpn(handle.0, list.as_ptr().cast(), list.len()) }, 0);
        trust(handle)
    };
    Client::new(server, 0, trust).talk("plain.isolated.test").close();
    for way in WAYS {
        let client = Client::new(server, way, with_alpn).talk("plain.isolated.test");
        assert!(client.has_resumed());
        client.close();
        let client = Client::new(server, way | SSL_FLAG_NO_POST_QUANTUM, trust);
        assert!(client.talk("plain.isolated.test").has_resumed());
    }
}

fn spki_sha256(certified: &Certified) -> [u8; 32] {
    let server = serve(config(certified, Kind::Tls13), answer);
    let accepting = |handle: Handle| handle.hook(Some(accept), std::ptr::null_mut());
    let client = Client::new(server, SSL_FLAG_NO_RESUMPTION, accepting);
    client.talk("pin.isolated.test").handle.verify_report().spki_sha256
}

fn set_ciphers(handle: &Handle, cipher: u32) -> i32 {
    let list: Vec<u8> = [4, 1, cipher].into_iter().flat_map(u32::to_ne_bytes).collect();
    let (bytes, length) = (list.as_ptr().cast(), list.len() as u32);
    let (nothing, mut returned) = (std::ptr::null_mut(), 0);
    unsafe { ssl_ioctl(handle.0, SO_SSL_SET_CIPHERS, bytes, length, nothing, 0, &mut returned) }
}

type AuthHook = unsafe extern "C" fn(
    u32,
    *mut c_void,
    u32,
    *const ssl_blob,
    u32,
    *mut u32,
    *mut *mut ssl_blob,
) -> i32;

unsafe extern "C" fn auth_hook(
    _kind: u32,
    _arg: *mut c_void,
    _issuer_count: u32,
    _issuers: *const ssl_blob,
    _flags: u32,
    _chain_len: *mut u32,
    _chain: *mut *mut ssl_blob,
) -> i32 {
    0
}

/// No server here asks for a signature.
unsafe extern "C" fn sign(
    _kind: u32,
    _arg: *mut c_void,
    _source: *const u8,
    _source_len: u32,
    _flags: u32,
    _dest: *mut u8,
    _dest_len: *mut u32,
) -> i32 {
    2
}

const SO_SSL_SET_CIPHERS: u32 = 0x9073_0004;
const CALG_AES: u32 = 0x6611;

unsafe extern "C" fn accept(
    _kind: u32,
    _arg: *mut c_void,
    _chain_len: u32,
    _chain: *const ssl_blob,
    _flags: u32,
) -> i32 {
    0
}

static PAIRS: AtomicU32 = AtomicU32::new(0);
