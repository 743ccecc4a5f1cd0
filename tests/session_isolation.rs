//! A session got under one setting is never offered under another.

mod support;

use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};

use sslsock::abi::types::ssl_blob;
use support::pki::{Authority, Certified};
use support::resuming::{Client, KINDS, Kind, WAYS, answer, config, serve};
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
    let settings = settings(&authority, &certified);
    for kind in KINDS {
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
                assert_eq!(offers, is_same, "{what}");
                assert_eq!(later.has_resumed(), is_same, "{what}");
                assert!(is_same || !hello.offers_ticket(), "{what}");
            }
        }
    }
}

fn settings(authority: &Authority, _certified: &Certified) -> Vec<Setting> {
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
    vec![
        Setting::new("trust", trusting.clone()),
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
