//! Client certificates: which one a server gets, who signs for it, and when it leaves.

mod support;

use std::ffi::c_void;
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{NamedGroup, SignatureScheme, SupportedProtocolVersion};
use sslsock::abi::types::{ssl_blob, ssl_signature_fn, ssl_socket};
use sslsock::abi::{errors, handles, identity, information, session, settings};
use support::fixtures::{Directory, ders};
use support::pki::{Authority, Certified};
use support::wire::{MODES, Record, Served, Socket, Transport, connect, records};
use support::*;

static SERVERS: LazyLock<Authority> = LazyLock::new(|| Authority::new("servers"));
static MAIL: LazyLock<Certified> = LazyLock::new(|| SERVERS.issue(&["mail.test"]));
static CLIENTS: LazyLock<Authority> = LazyLock::new(|| Authority::new("clients"));
static OTHERS: LazyLock<Authority> = LazyLock::new(|| Authority::new("others"));
static ANN: LazyLock<Certified> = LazyLock::new(|| CLIENTS.issue(&["ann.test"]));
static BOB: LazyLock<Certified> = LazyLock::new(|| CLIENTS.issue(&["bob.test"]));
static OSCAR: LazyLock<Certified> = LazyLock::new(|| OTHERS.issue(&["oscar.test"]));
/// Of every kind of key, issued by themselves.
static KINDS: LazyLock<Vec<(Certified, Vec<u16>)>> = LazyLock::new(|| {
    let files = Directory::new();
    [
        ("rsa:2048", vec![0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601]),
        ("ec -pkeyopt ec_paramgen_curve:P-256", vec![0x0403]),
        ("ec -pkeyopt ec_paramgen_curve:P-384", vec![0x0503]),
        ("ec -pkeyopt ec_paramgen_curve:P-521", vec![0x0603]),
        ("ed25519", vec![0x0807]),
    ]
    .into_iter()
    .map(|(kind, schemes)| {
        let extensions =
            "-addext basicConstraints=critical,CA:FALSE -addext extendedKeyUsage=clientAuth";
        files.run(&format!(
            "req -x509 -nodes -newkey {kind} -subj /CN=kind -days 9 -keyout k -out c {extensions}"
        ));
        let text = |name| String::from_utf8(files.bytes(name)).unwrap();
        (Certified { chain: text("c"), key: text("k") }, schemes)
    })
    .collect()
});

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

fn der(pem: &str) -> Vec<u8> {
    ders(pem)[0].to_vec()
}

/// A server that asks for a certificate by one of these, and takes none for an answer unless it
/// `insists`.
fn asking(
    authorities: &[&str],
    version: &'static SupportedProtocolVersion,
    insists: bool,
) -> rustls::ServerConfig {
    let mut roots = rustls::RootCertStore::empty();
    for pem in authorities {
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    }
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let verifier = if insists { verifier } else { verifier.allow_unauthenticated() };
    rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            ders(&MAIL.chain),
            PrivateKeyDer::from_pem_slice(MAIL.key.as_bytes()).unwrap(),
        )
        .unwrap()
}

/// A client before its upgrade, and a server.
struct Scene {
    client: Socket,
    handle: Handle,
    record: Record,
    peer: thread::JoinHandle<Served>,
}

fn scene(mode: u32, config: rustls::ServerConfig) -> Scene {
    let (client, wire) = connect(Transport::Tcp);
    let record = wire.record();
    let peer = thread::spawn(move || wire.serve(Arc::new(config)));
    let handle = Handle::of(&client).flags(mode).trust(&SERVERS.pem());
    Scene { client, handle, record, peer }
}

impl Scene {
    fn end(self) -> (Record, Served) {
        let Self { client, handle, record, peer } = self;
        drop((handle, client));
        (record, peer.join().unwrap())
    }

    fn adding(self, certified: &Certified) -> Self {
        let (chain, key) = (certified.chain.as_bytes(), certified.key.as_bytes());
        let (from, key_from) = (chain.as_ptr().cast(), key.as_ptr().cast());
        let added = unsafe {
            identity::ssl_add_identity_pem(self.handle.0, from, chain.len(), key_from, key.len())
        };
        assert_eq!(added, 0, "{:?}", self.handle.error());
        self
    }

    fn signing(self, chain: &[u8], signer: &Signer) -> Self {
        assert_eq!(
            set_signer(&self.handle, chain, Some(sign), signer.argument()),
            0,
            "{:?}",
            self.handle.error()
        );
        self
    }

    fn choosing(self, chooser: &Chooser) -> Self {
        let argument = (chooser as *const Chooser).cast_mut().cast();
        assert_eq!(identity::ssl_set_auth_request_hook(self.handle.0, Some(choose), argument), 0);
        self
    }
}

fn set_signer(handle: &Handle, chain: &[u8], sign: ssl_signature_fn, argument: *mut c_void) -> i32 {
    unsafe {
        identity::ssl_set_identity_signer(
            handle.0,
            chain.as_ptr().cast(),
            chain.len(),
            sign,
            argument,
        )
    }
}

/// A key outside the library, how it misbehaves, and how it was asked.
struct Signer {
    key: String,
    answer: i32,
    /// What becomes of the signature and of its length.
    spoil: fn(&mut Vec<u8>, &mut u32),
    inside: Box<dyn Fn() + Send + Sync>,
    calls: Mutex<Vec<SignCall>>,
}

#[derive(Debug)]
struct SignCall {
    thread: ThreadId,
    scheme: u32,
    flags: u32,
    capacity: u32,
}

impl Signer {
    fn of(certified: &Certified) -> Self {
        Self {
            key: certified.key.clone(),
            answer: 0,
            spoil: |_, _| {},
            inside: Box::new(|| {}),
            calls: Mutex::default(),
        }
    }

    fn argument(&self) -> *mut c_void {
        (self as *const Self).cast_mut().cast()
    }
}

unsafe extern "C" fn sign(
    scheme: u32,
    arg: *mut c_void,
    source: *const u8,
    source_len: u32,
    flags: u32,
    dest: *mut u8,
    dest_len: *mut u32,
) -> i32 {
    let (signer, capacity) = unsafe { (&*arg.cast::<Signer>(), *dest_len) };
    let source = unsafe { std::slice::from_raw_parts(source, source_len as usize) };
    signer.calls.lock().unwrap().push(SignCall {
        thread: thread::current().id(),
        scheme,
        flags,
        capacity,
    });
    (signer.inside)();
    let key = PrivateKeyDer::from_pem_slice(signer.key.as_bytes()).unwrap();
    let key = any_supported_type(&key).unwrap();
    let scheme = SignatureScheme::from(u16::try_from(scheme).unwrap());
    let Some(with_scheme) = key.choose_scheme(&[scheme]) else { return -77 };
    let mut signature = with_scheme.sign(source).unwrap();
    let mut length = signature.len() as u32;
    (signer.spoil)(&mut signature, &mut length);
    unsafe {
        std::ptr::copy(signature.as_ptr(), dest, signature.len());
        *dest_len = length;
    }
    signer.answer
}

/// What the hook answers, and how it was called.
struct Chooser {
    answer: i32,
    chain: Vec<Vec<u8>>,
    /// The answer's number of certificates instead of the true one.
    count: Option<u32>,
    spoil: fn(&mut Vec<ssl_blob>),
    is_null: bool,
    inside: Box<dyn Fn() + Send + Sync>,
    blobs: Mutex<Vec<ssl_blob>>,
    calls: Mutex<Vec<ChooseCall>>,
}

struct ChooseCall {
    thread: ThreadId,
    kind: u32,
    issuers: Vec<Vec<u8>>,
    flags: u32,
}

// What the blobs point to is the chain beside them.
unsafe impl Send for Chooser {}
unsafe impl Sync for Chooser {}

impl Chooser {
    fn answering(answer: i32, chain: Vec<Vec<u8>>) -> Self {
        Self {
            answer,
            chain,
            count: None,
            spoil: |_| {},
            is_null: false,
            inside: Box::new(|| {}),
            blobs: Mutex::default(),
            calls: Mutex::default(),
        }
    }

    fn issuers(&self) -> Vec<Vec<u8>> {
        let calls = self.calls.lock().unwrap();
        assert_eq!(calls.len(), 1, "called exactly once");
        let ChooseCall { thread, kind, issuers, flags } = &calls[0];
        assert_eq!((*thread, *kind, *flags), (thread::current().id(), SSL_CERT_X509, 0));
        issuers.clone()
    }
}

unsafe extern "C" fn choose(
    kind: u32,
    arg: *mut c_void,
    count: u32,
    issuers: *const ssl_blob,
    flags: u32,
    chain_len: *mut u32,
    chain: *mut *mut ssl_blob,
) -> i32 {
    let chooser = unsafe { &*arg.cast::<Chooser>() };
    assert_eq!(issuers.is_null(), count == 0);
    let issuers = (0..count as usize).map(|place| unsafe {
        let blob = &*issuers.add(place);
        std::slice::from_raw_parts(blob.pBlobData, blob.cbSize as usize).to_vec()
    });
    let (thread, issuers) = (thread::current().id(), issuers.collect());
    chooser.calls.lock().unwrap().push(ChooseCall { thread, kind, issuers, flags });
    (chooser.inside)();
    let mut blobs = chooser.blobs.lock().unwrap();
    *blobs = chooser
        .chain
        .iter()
        .map(|der| ssl_blob { cbSize: der.len() as u32, pBlobData: der.as_ptr().cast_mut() })
        .collect();
    (chooser.spoil)(&mut blobs);
    unsafe {
        assert_eq!((*chain_len, (*chain).is_null()), (0, true));
        *chain_len = chooser.count.unwrap_or(blobs.len() as u32);
        *chain = if chooser.is_null { std::ptr::null_mut() } else { blobs.as_mut_ptr() };
    }
    chooser.answer
}

#[test]
fn a_key_outside_the_library_signs_with_every_scheme() {
    for (certified, schemes) in KINDS.iter() {
        for version in VERSIONS {
            for mode in MODES {
                let signer = Signer::of(certified);
                let config = asking(&[&certified.chain], version, true);
                let leaf = der(&certified.chain);
                // The chain as PEM and as DER.
                let chain = if mode == 0 { certified.chain.as_bytes() } else { &leaf };
                let scene = scene(mode, config).signing(chain, &signer);
                scene.handle.handshake("mail.test").unwrap();
                let (_, served) = scene.end();
                assert_eq!((served.client_chain, served.error), (vec![leaf], None));
                let calls = signer.calls.into_inner().unwrap();
                assert_eq!(calls.len(), 1, "{calls:?}");
                let call = &calls[0];
                assert_eq!(call.thread, thread::current().id());
                assert_eq!(
                    (call.scheme, call.flags),
                    (u32::from(schemes[0]), SSL_SIGN_PERFORM_HASH)
                );
                assert!(call.capacity >= 1024);
            }
        }
    }
}

/// A server that knows only some of the schemes of an RSA key.
#[test]
fn the_scheme_is_one_that_the_server_takes() {
    let (certified, schemes) = &KINDS[0];
    for version in VERSIONS {
        for &scheme in schemes {
            let is_pkcs1 = scheme & 0xff == 1;
            if is_pkcs1 && version == &TLS13 {
                continue;
            }
            let signer = Signer::of(certified);
            let verifier = Only(SignatureScheme::from(scheme));
            let mut config = asking(&[&certified.chain], version, false);
            config = rustls::ServerConfig::builder_with_provider(config.crypto_provider().clone())
                .with_protocol_versions(&[version])
                .unwrap()
                .with_client_cert_verifier(Arc::new(verifier))
                .with_single_cert(
                    ders(&MAIL.chain),
                    PrivateKeyDer::from_pem_slice(MAIL.key.as_bytes()).unwrap(),
                )
                .unwrap();
            let scene = scene(0, config).signing(certified.chain.as_bytes(), &signer);
            scene.handle.handshake("mail.test").unwrap();
            assert_eq!(scene.end().1.error, None, "{scheme:#06x}");
            assert_eq!(signer.calls.lock().unwrap()[0].scheme, u32::from(scheme));
        }
    }
}

/// Accepts any certificate, and signatures by one scheme.
#[derive(Debug)]
struct Only(SignatureScheme);

impl rustls::server::danger::ClientCertVerifier for Only {
    fn root_hint_subjects(&self) -> &[rustls::DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::server::danger::ClientCertVerified, rustls::Error> {
        Ok(rustls::server::danger::ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let supported = default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, &supported)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let supported = default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &supported)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![self.0]
    }
}

/// Whatever is wrong with the signature, the server gets neither it nor the certificate.
#[test]
fn a_wrong_signature_fails_the_handshake_before_anything_leaves() {
    type Spoil = fn(&mut Vec<u8>, &mut u32);
    let cases: [(i32, Spoil, &str); 8] = [
        (5, |_, _| {}, "it answered 5 instead of 0"),
        (-2_146_885_613, |_, _| {}, "it answered -2146885613 instead of 0"),
        (0, |_, length| *length = 0, "its signature has 0 bytes"),
        (0, |_, length| *length = 1025, "its signature has 1025 bytes"),
        (0, |_, length| *length = u32::MAX, "its signature has 4294967295 bytes"),
        (0, |_, length| *length -= 1, "no signature by the key of the certificate"),
        (0, |_, length| *length += 1, "no signature by the key of the certificate"),
        (0, |signature, _| *signature.last_mut().unwrap() ^= 1, "no signature by the key"),
    ];
    for (certified, _) in [&KINDS[0], &KINDS[1]] {
        for (answer, spoil, word) in cases {
            for version in VERSIONS {
                let signer = Signer { answer, spoil, ..Signer::of(certified) };
                let scene = scene(0, asking(&[&certified.chain], version, true))
                    .signing(certified.chain.as_bytes(), &signer);
                let outcome = scene.handle.handshake("mail.test");
                let failure = scene.handle.assert_failed(outcome, SSL_ERR_SIGNATURE);
                assert!(failure.text.contains(word), "{}", failure.text);
                assert_eq!(scene.handle.error_info().from_hook, 0);
                assert_only_hello(&scene.end().0.bytes());
            }
        }
    }
    // By the key of another certificate.
    let signer = Signer::of(&KINDS[1].0);
    let config = asking(&[&CLIENTS.pem()], &TLS13, true);
    let scene = scene(0, config).signing(ANN.chain.as_bytes(), &signer);
    let failure = scene.handle.handshake("mail.test").unwrap_err();
    assert_eq!(failure.code, SSL_ERR_SIGNATURE);
    scene.end();
}

#[track_caller]
fn assert_only_hello(stream: &[u8]) {
    let kinds: Vec<_> = records(stream).iter().map(|record| record[0]).collect();
    assert!(matches!(kinds[..], [0x16] | [0x16, 0x14] | [0x16, 0x15]), "{kinds:?}");
}

#[test]
fn a_chain_for_a_signer_is_looked_at_when_it_is_set() {
    let handle = scene(0, asking(&[&CLIENTS.pem()], &TLS13, true)).handle;
    let good = ANN.chain.as_bytes();
    let turned = [CLIENTS.pem(), ANN.chain.clone()].concat();
    let null = std::ptr::null_mut();
    assert_eq!(set_signer(&handle, good, None, null), SSL_ERR_INVALID);
    assert_eq!(set_signer(&handle, b"", Some(sign), null), SSL_ERR_BAD_DATA);
    assert_eq!(set_signer(&handle, b"junk", Some(sign), null), SSL_ERR_BAD_DATA);
    assert_eq!(set_signer(&handle, turned.as_bytes(), Some(sign), null), SSL_ERR_BAD_DATA);
    assert!(handle.error().text.contains("the issuer of number 2: put the leaf first"));
    assert_eq!(set_signer(&handle, good, Some(sign), null), 0);
}

#[test]
fn the_first_whose_issuer_the_server_names_is_shown() {
    for version in VERSIONS {
        let server = |authorities: &[&str]| asking(authorities, version, false);
        let shown = |scene: Scene| {
            scene.handle.handshake("mail.test").unwrap();
            scene.end().1.client_chain
        };
        let (clients, others) = (CLIENTS.pem(), OTHERS.pem());
        let three = |scene: Scene| scene.adding(&ANN).adding(&OSCAR).adding(&BOB);
        assert_eq!(shown(three(scene(0, server(&[&others])))), [der(&OSCAR.chain)]);
        assert_eq!(shown(three(scene(0, server(&[&clients])))), [der(&ANN.chain)]);
        assert_eq!(shown(three(scene(0, server(&[&others, &clients])))), [der(&ANN.chain)]);
        // Named by an intermediate's issuer, too: the second certificate of the chain has it.
        let chained =
            Certified { chain: [&OSCAR.chain, &OTHERS.pem()[..]].concat(), key: OSCAR.key.clone() };
        let chain = [der(&OSCAR.chain), der(&OTHERS.pem())];
        assert_eq!(shown(scene(0, server(&[&others])).adding(&ANN).adding(&chained)), chain);
        // A new one in the place of all of them.
        let mut replaced = three(scene(0, server(&[&clients])));
        replaced.handle = replaced.handle.identity(&BOB.chain, &BOB.key);
        assert_eq!(shown(replaced), [der(&BOB.chain)]);
    }
    // No issuer fits: the first all the same, and the server says what it thinks of it.
    let scene = scene(0, asking(&[&CLIENTS.pem()], &TLS12, true)).adding(&OSCAR);
    let failure = scene.handle.handshake("mail.test").unwrap_err();
    assert_eq!(failure.code, SSL_ERR_ALERT);
    assert!(
        failure.text.contains("does not accept the certificate of this side"),
        "{}",
        failure.text
    );
    assert_eq!(scene.end().1.client_chain, [] as [Vec<u8>; 0]);
}

#[test]
fn a_key_that_does_not_fit_is_passed_over() {
    for version in VERSIONS {
        let only = |scheme| {
            rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()))
                .with_protocol_versions(&[version])
                .unwrap()
                .with_client_cert_verifier(Arc::new(Only(scheme)))
                .with_single_cert(
                    ders(&MAIL.chain),
                    PrivateKeyDer::from_pem_slice(MAIL.key.as_bytes()).unwrap(),
                )
                .unwrap()
        };
        let (rsa, ec) = (&KINDS[0].0, &KINDS[1].0);
        for (scheme, expected) in
            [(SignatureScheme::RSA_PSS_SHA256, rsa), (SignatureScheme::ECDSA_NISTP256_SHA256, ec)]
        {
            let scene = scene(0, only(scheme)).adding(ec).adding(rsa);
            scene.handle.handshake("mail.test").unwrap();
            assert_eq!(scene.end().1.client_chain, [der(&expected.chain)]);
        }
        // None fits, and the server insists.
        let scene = scene(0, only(SignatureScheme::ED25519)).adding(ec).adding(rsa);
        let failure = failure_of(&scene);
        assert_eq!(failure.code, SSL_ERR_ALERT);
        assert!(
            failure.text.contains("by the key of any identity that is set"),
            "{}",
            failure.text
        );
        scene.end();
        // Chosen by the hook it is an error of this side.
        let chooser = Chooser::answering(0, vec![der(&ec.chain)]);
        let scene = self::scene(0, only(SignatureScheme::ED25519)).adding(ec).choosing(&chooser);
        let failure = scene.handle.handshake("mail.test").unwrap_err();
        assert_eq!(failure.code, SSL_ERR_SIGNATURE);
        assert!(failure.text.contains("accepts no signature by the key"), "{}", failure.text);
        assert_only_hello(&scene.end().0.bytes());
    }
}

/// In TLS 1.3 this side is done before the server looks.
fn failure_of(scene: &Scene) -> Failure {
    use std::os::fd::AsRawFd;
    scene.handle.handshake("mail.test").err().unwrap_or_else(|| {
        assert!(plain_recv(scene.client.as_raw_fd(), &mut [0; 10]).is_err());
        scene.handle.error()
    })
}

#[test]
fn the_hook_is_told_whom_the_server_trusts_and_chooses() {
    for version in VERSIONS {
        for mode in MODES {
            let config = || asking(&[&CLIENTS.pem(), &OTHERS.pem()], version, true);
            // The leaf alone, and a chain of its own.
            let chain = vec![der(&BOB.chain), der(&CLIENTS.pem())];
            for answer in [vec![der(&BOB.chain)], chain] {
                let chooser = Chooser::answering(0, answer.clone());
                let scene = scene(mode, config()).adding(&ANN).adding(&BOB).choosing(&chooser);
                scene.handle.handshake("mail.test").unwrap();
                assert_eq!(scene.end().1.client_chain, answer);
                let names: Vec<Vec<u8>> =
                    [&CLIENTS, &OTHERS].iter().map(|ca| subject(&ca.pem())).collect();
                assert_eq!(chooser.issuers(), names);
            }
            // The library chooses.
            let chooser = Chooser::answering(0, Vec::new());
            let scene = self::scene(mode, config()).adding(&BOB).choosing(&chooser);
            scene.handle.handshake("mail.test").unwrap();
            assert_eq!(scene.end().1.client_chain, [der(&BOB.chain)]);
            chooser.issuers();
        }
    }
    // The identity's own intermediates go with a leaf that is answered alone.
    let chained =
        Certified { chain: [&BOB.chain, &CLIENTS.pem()[..]].concat(), key: BOB.key.clone() };
    let chooser = Chooser::answering(0, vec![der(&BOB.chain)]);
    let scene =
        scene(0, asking(&[&CLIENTS.pem()], &TLS13, true)).adding(&chained).choosing(&chooser);
    scene.handle.handshake("mail.test").unwrap();
    assert_eq!(scene.end().1.client_chain, [der(&BOB.chain), der(&CLIENTS.pem())]);
}

/// The name of a certificate's subject in DER.
fn subject(pem: &str) -> Vec<u8> {
    let certificate = ders(pem);
    let anchor = webpki::anchor_from_trusted_cert(&certificate[0]).unwrap();
    rustls::DistinguishedName::in_sequence(&anchor.subject).as_ref().to_vec()
}

#[test]
fn the_hook_may_decline_or_end_the_handshake() {
    for version in VERSIONS {
        // Who does not insist lets it in; who does gets told that the hook declined.
        let config = |insists| asking(&[&CLIENTS.pem()], version, insists);
        let chooser = Chooser::answering(SSL_ERR_NO_CERT, vec![der(&ANN.chain)]);
        let anonymous = scene(0, config(false)).adding(&ANN).choosing(&chooser);
        anonymous.handle.handshake("mail.test").unwrap();
        assert_eq!(anonymous.end().1.client_chain, [] as [Vec<u8>; 0]);
        let declined = scene(0, config(true)).adding(&ANN).choosing(&chooser);
        let failure = failure_of(&declined);
        assert_eq!(failure.code, SSL_ERR_ALERT);
        assert!(
            failure.text.contains("auth-request hook answered SSL_ERR_NO_CERT"),
            "{}",
            failure.text
        );
        declined.end();
        for (answer, code) in
            [(2, 2), (9, 9), (-5, -5), (1, 10), (12, 10), (112, 10), (i32::MAX, 10)]
        {
            for insists in [false, true] {
                let chooser = Chooser::answering(answer, vec![der(&ANN.chain)]);
                let scene = scene(0, config(insists)).adding(&ANN).choosing(&chooser);
                let outcome = scene.handle.handshake("mail.test");
                let failure = scene.handle.assert_failed(outcome, code);
                let text =
                    format!("the program's auth-request hook ended the handshake with {answer}");
                assert_eq!(failure.text, text);
                assert_eq!(scene.handle.error_info().from_hook, 1);
                assert_only_hello(&scene.end().0.bytes());
                chooser.issuers();
            }
        }
        // Cleared, it is not called.
        let chooser = Chooser::answering(2, Vec::new());
        let cleared = scene(0, config(true)).adding(&ANN).choosing(&chooser);
        let null = std::ptr::null_mut();
        assert_eq!(identity::ssl_set_auth_request_hook(cleared.handle.0, None, null), 0);
        cleared.handle.handshake("mail.test").unwrap();
        cleared.end();
        // Nor is it by a server that does not ask.
        let silent = scene(0, (*MAIL.server_with(&[version])).clone()).choosing(&chooser);
        silent.handle.handshake("mail.test").unwrap();
        silent.end();
        assert_eq!(chooser.calls.lock().unwrap().len(), 0);
    }
}

#[test]
fn an_answer_that_cannot_be_used_ends_the_handshake() {
    let ann = || vec![der(&ANN.chain)];
    let big = || [ann(), vec![vec![0x30; 65_000]]].concat();
    let cases = [
        (
            Chooser { is_null: true, ..Chooser::answering(0, ann()) },
            "a chain of 1 certificates at the address 0x0",
        ),
        (
            Chooser { count: Some(33), ..Chooser::answering(0, ann()) },
            "a chain of 33 certificates, more than 32",
        ),
        (
            Chooser { count: Some(u32::MAX), ..Chooser::answering(0, ann()) },
            "a chain of 4294967295 certificates",
        ),
        (
            Chooser {
                spoil: |blobs| blobs[0].pBlobData = std::ptr::null_mut(),
                ..Chooser::answering(0, ann())
            },
            "certificate number 1 of the chain is empty or NULL",
        ),
        (
            Chooser {
                spoil: |blobs| blobs[1].cbSize = 0,
                ..Chooser::answering(0, [ann(), ann()].concat())
            },
            "certificate number 2 of the chain is empty or NULL",
        ),
        (
            Chooser { spoil: |blobs| blobs[0].cbSize = u32::MAX, ..Chooser::answering(0, ann()) },
            "up to certificate number 1 the chain has 4294967295 bytes, more than 65536",
        ),
        (Chooser::answering(0, [big(), vec![vec![0; 600]]].concat()), "more than 65536"),
        (
            Chooser::answering(0, [ann(), vec![b"junk".to_vec()]].concat()),
            "number 2 of the chain is not X.509",
        ),
    ];
    for version in VERSIONS {
        for (chooser, word) in &cases {
            let scene =
                scene(0, asking(&[&CLIENTS.pem()], version, false)).adding(&ANN).choosing(chooser);
            let outcome = scene.handle.handshake("mail.test");
            let failure = scene.handle.assert_failed(outcome, SSL_ERR_BAD_DATA);
            assert!(failure.text.contains(word), "{word}: {}", failure.text);
            assert_only_hello(&scene.end().0.bytes());
        }
    }
    // Nobody has its key.
    let chooser = Chooser::answering(0, vec![der(&BOB.chain)]);
    let scene = scene(0, asking(&[&CLIENTS.pem()], &TLS13, false)).adding(&ANN).choosing(&chooser);
    let failure = scene.handle.handshake("mail.test").unwrap_err();
    assert_eq!(failure.code, SSL_ERR_NO_CERT);
    assert!(failure.text.contains("nobody can sign for it"), "{}", failure.text);
    scene.end();
}

#[test]
fn inside_the_hooks_one_may_look_but_not_touch() {
    for version in VERSIONS {
        for mode in MODES {
            let token = Arc::new(Mutex::new(0_usize));
            let results = Arc::new(Mutex::new(Vec::new()));
            let (inside, told) = (token.clone(), results.clone());
            let touch = move || {
                let s = *inside.lock().unwrap() as *mut ssl_socket;
                let null = std::ptr::null_mut();
                let mut flags = 0;
                assert_eq!(unsafe { settings::ssl_get_flags(s, &mut flags) }, 0);
                let _ = errors::ssl_get_error(s);
                let mut report = [0_u8; 64];
                let _ =
                    unsafe { information::ssl_get_verify_report(s, report.as_mut_ptr().cast()) };
                told.lock().unwrap().extend([
                    settings::ssl_set_flags(s, 0),
                    identity::ssl_set_auth_request_hook(s, None, null),
                    unsafe {
                        identity::ssl_set_identity_signer(
                            s,
                            b"x".as_ptr().cast(),
                            1,
                            Some(sign),
                            null,
                        )
                    },
                    unsafe { identity::ssl_add_identity_file(s, c"x".as_ptr(), c"x".as_ptr()) },
                    unsafe { session::ssl_perform_handshake(s, std::ptr::null()) },
                    session::ssl_shutdown(s, 2),
                    handles::ssl_socket_free(s),
                ]);
            };
            let touch = Arc::new(touch);
            let (in_choice, in_signature) = (touch.clone(), touch);
            let signer = Signer { inside: Box::new(move || in_signature()), ..Signer::of(&ANN) };
            let chooser = Chooser {
                inside: Box::new(move || in_choice()),
                ..Chooser::answering(0, Vec::new())
            };
            let scene = scene(mode, asking(&[&CLIENTS.pem()], version, true))
                .signing(ANN.chain.as_bytes(), &signer)
                .choosing(&chooser);
            *token.lock().unwrap() = scene.handle.0 as usize;
            scene.handle.handshake("mail.test").unwrap();
            assert_eq!(*results.lock().unwrap(), [SSL_ERR_REENTRANT; 14]);
            assert_eq!(scene.end().1.client_chain, [der(&ANN.chain)]);
        }
    }
}

/// A person may be asked for a smart card and its number.
#[test]
fn they_may_take_longer_than_the_handshake_may() {
    let limit = Duration::from_millis(100);
    for version in VERSIONS {
        for mode in MODES {
            let wait = move || {
                let entered = Instant::now();
                while entered.elapsed() < 2 * limit {
                    thread::park_timeout(limit);
                }
            };
            let signer = Signer { inside: Box::new(wait), ..Signer::of(&ANN) };
            let chooser = Chooser { inside: Box::new(wait), ..Chooser::answering(0, Vec::new()) };
            let scene = scene(mode, asking(&[&CLIENTS.pem()], version, true))
                .signing(ANN.chain.as_bytes(), &signer)
                .choosing(&chooser);
            // Long enough for the rest also on a busy machine, and less than they take.
            settings::ssl_set_timeout(scene.handle.0, SSL_TIMEOUT_HANDSHAKE, 350);
            let outcome = scene.handle.handshake("mail.test");
            assert_eq!(outcome, Ok(()), "{mode:#x}");
            scene.end();
        }
    }
}

/// A key may be at the other end of a connection that is secured by this library as well.
#[test]
fn a_hook_may_make_a_handshake_of_its_own() {
    for version in VERSIONS {
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let told = outcomes.clone();
        let nested = move || {
            let inner = scene(0, (*OTHERS.issue(&["key.test"]).server()).clone());
            // Its server is not trusted.
            let failure = inner.handle.handshake("key.test").unwrap_err();
            told.lock().unwrap().push((failure.code, inner.handle.verify_report().causes));
            inner.end();
        };
        let signer = Signer { inside: Box::new(nested.clone()), ..Signer::of(&ANN) };
        let chooser = Chooser { inside: Box::new(nested), ..Chooser::answering(0, Vec::new()) };
        let scene = scene(0, asking(&[&CLIENTS.pem()], version, true))
            .signing(ANN.chain.as_bytes(), &signer)
            .choosing(&chooser);
        scene.handle.handshake("mail.test").unwrap();
        let report = scene.handle.verify_report();
        assert_eq!((report.verdict, report.causes), (SSL_VERDICT_TRUSTED, 0));
        let unknown = (SSL_ERR_CERT_UNKNOWN, SSL_CAUSE_ISSUER_UNKNOWN);
        assert_eq!(*outcomes.lock().unwrap(), [unknown, unknown]);
        scene.end();
    }
}

/// The order of events for a client with a certificate hook.
#[test]
fn no_certificate_leaves_before_the_server_has_been_accepted() {
    static SEEN: Mutex<Option<Record>> = Mutex::new(None);
    unsafe extern "C" fn look(_: u32, arg: *mut c_void, _: u32, _: *const ssl_blob, _: u32) -> i32 {
        assert_only_hello(&SEEN.lock().unwrap().as_ref().unwrap().bytes());
        arg as usize as i32
    }
    for version in VERSIONS {
        for mode in MODES {
            for answer in [0, 5] {
                let scene = scene(mode, asking(&[&CLIENTS.pem()], version, true)).adding(&ANN);
                *SEEN.lock().unwrap() = Some(scene.record.clone());
                let handle = std::mem::ManuallyDrop::new(Handle(scene.handle.0));
                let argument = answer as usize as *mut c_void;
                assert_eq!(settings::ssl_set_validate_cert_hook(handle.0, Some(look), argument), 0);
                assert_eq!(scene.handle.handshake("mail.test").is_ok(), answer == 0);
                let (record, served) = scene.end();
                match answer {
                    0 => assert_eq!(served.client_chain, [der(&ANN.chain)]),
                    _ => assert_only_hello(&record.bytes()),
                }
            }
        }
    }
}

/// In TLS 1.2 the certificate is in clear, and rustls has it ready when it finds that the server's
/// half of the key exchange makes no secret.
#[test]
fn no_certificate_leaves_when_the_key_exchange_fails() {
    unsafe extern "C" fn accept(_: u32, _: *mut c_void, _: u32, _: *const ssl_blob, _: u32) -> i32 {
        unreachable!("the handshake fails before")
    }
    for is_hooked in [false, true] {
        let mut provider = default_provider();
        provider.kx_groups = vec![&NoSecret];
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(CLIENTS.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(provider);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS12])
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                ders(&MAIL.chain),
                PrivateKeyDer::from_pem_slice(MAIL.key.as_bytes()).unwrap(),
            )
            .unwrap();
        let mut scene = scene(0, config).adding(&ANN);
        if is_hooked {
            scene.handle = scene.handle.hook(Some(accept), std::ptr::null_mut());
        }
        scene.handle.handshake("mail.test").unwrap_err();
        let (record, _) = scene.end();
        let kinds: Vec<_> = records(&record.bytes()).iter().map(|record| record[0]).collect();
        assert_eq!(kinds, [0x16], "the ClientHello alone");
    }
}

#[derive(Debug)]
struct NoSecret;

impl SupportedKxGroup for NoSecret {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, rustls::Error> {
        Ok(Box::new(NoSecret))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for NoSecret {
    fn complete(self: Box<Self>, _: &[u8]) -> Result<SharedSecret, rustls::Error> {
        Err(rustls::Error::General("not reached".to_owned()))
    }

    /// The point of order 1.
    fn pub_key(&self) -> &[u8] {
        &[0; 32]
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// The server role signs with such a key as well.
#[test]
fn a_server_may_have_its_key_elsewhere() {
    use std::io::{Read, Write};
    for version in VERSIONS {
        for mode in MODES {
            for is_right in [true, false] {
                let signer = Signer::of(if is_right { &MAIL } else { &ANN });
                let listener = std::net::TcpListener::bind("127.0.0.2:0").unwrap();
                let address = listener.local_addr().unwrap();
                let client = thread::spawn(move || {
                    let mut roots = rustls::RootCertStore::empty();
                    roots
                        .add(CertificateDer::from_pem_slice(SERVERS.pem().as_bytes()).unwrap())
                        .unwrap();
                    let config =
                        rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
                            .with_protocol_versions(&[version])
                            .unwrap()
                            .with_root_certificates(roots)
                            .with_no_client_auth();
                    let name = "mail.test".try_into().unwrap();
                    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
                    let stream = std::net::TcpStream::connect(address).unwrap();
                    let mut stream = rustls::StreamOwned::new(connection, stream);
                    stream.write_all(b"hello").and_then(|()| stream.read_exact(&mut [0; 5])).is_ok()
                });
                let socket = listener.accept().unwrap().0;
                let handle = Handle::of(&socket).flags(mode | SSL_FLAG_SERVER);
                let set = set_signer(&handle, MAIL.chain.as_bytes(), Some(sign), signer.argument());
                assert_eq!(set, 0);
                let outcome = handle.handshake_without_name();
                assert_eq!(
                    outcome.as_ref().err().map(|failure| failure.code),
                    (!is_right).then_some(SSL_ERR_SIGNATURE)
                );
                if is_right {
                    let mut buffer = [0; 5];
                    assert_eq!(handle.recv(&mut buffer, 0), Ok(5));
                    assert_eq!(handle.send(&buffer, 0), Ok(5));
                }
                assert_eq!(signer.calls.lock().unwrap().len(), 1);
                drop((handle, socket));
                assert_eq!(client.join().unwrap(), is_right);
            }
        }
    }
}
