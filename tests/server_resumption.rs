//! Which sessions a server resumes: those that were made under the very same settings.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::HandshakeKind;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use support::pki::{Authority, Certified};
use support::{
    Handle, SSL_FLAG_ASK_CLIENT, SSL_FLAG_AUTH_CLIENT, SSL_FLAG_DEFER_HANDSHAKE,
    SSL_FLAG_EXPLICIT_IO, SSL_FLAG_NO_RESUMPTION, SSL_FLAG_SERVER, SSL_FLAG_STRICT, hooks::Hook,
};

struct Scene {
    authority: Authority,
    first: Certified,
    second: Certified,
    of_client: Certified,
    hook: Hook,
}

impl Scene {
    fn new() -> Self {
        let authority = Authority::new("server resumption");
        let [first, second] = [(), ()].map(|()| authority.issue(&["mail.test"]));
        let of_client = authority.issue(&["client.test"]);
        Self { authority, first, second, of_client, hook: Hook::answering(0) }
    }

    /// A client with a memory of its own, and a certificate.
    fn client(
        &self,
        version: &'static rustls::SupportedProtocolVersion,
    ) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.authority.pem().as_bytes()).unwrap();
        roots.add(root).unwrap();
        let chain = CertificateDer::pem_slice_iter(self.of_client.chain.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(self.of_client.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain.collect::<Result<_, _>>().unwrap(), key)
            .unwrap();
        Arc::new(config)
    }

    /// Whether a connection to a server with these settings resumes. Both sides have to say so.
    fn resumes(
        &self,
        client: &Arc<rustls::ClientConfig>,
        set: &dyn Fn(&Self, Handle) -> Handle,
        flags: u32,
    ) -> bool {
        let listener = TcpListener::bind("127.0.0.2:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let far = listener.accept().unwrap().0;
        let client = client.clone();
        let client = thread::spawn(move || {
            let name = ServerName::try_from("mail.test").unwrap();
            let connection = rustls::ClientConnection::new(client, name).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, near);
            stream.write_all(b"hello").unwrap();
            // The tickets come before it.
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).unwrap();
            stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
        });
        let flags = SSL_FLAG_SERVER | SSL_FLAG_DEFER_HANDSHAKE | SSL_FLAG_EXPLICIT_IO | flags;
        let handle = set(self, Handle::of(&far).flags(flags));
        handle.handshake_without_name().unwrap();
        let mut line = [0; 5];
        assert_eq!(handle.recv(&mut line, libc::MSG_WAITALL), Ok(5));
        assert_eq!(handle.send(b"hello", 0), Ok(5));
        let resumed = client.join().unwrap();
        assert_eq!(handle.session_info().resumed, u8::from(resumed));
        resumed
    }
}

type Set = dyn Fn(&Scene, Handle) -> Handle;

fn first(scene: &Scene, handle: Handle) -> Handle {
    handle.identity(&scene.first.chain, &scene.first.key)
}

/// Settings under each of which a session has to stay among its own.
fn variants() -> Vec<(&'static str, u32, Box<Set>)> {
    let variant =
        |name, flags, set: fn(&Scene, Handle) -> Handle| (name, flags, Box::new(set) as Box<Set>);
    vec![
        variant("nothing", 0, first),
        variant("another identity", 0, |scene, handle| {
            handle.identity(&scene.second.chain, &scene.second.key)
        }),
        variant("trust", 0, |scene, handle| first(scene, handle).trust(&scene.authority.pem())),
        variant("asked", SSL_FLAG_ASK_CLIENT, |scene, handle| {
            first(scene, handle).trust(&scene.authority.pem())
        }),
        variant("demanded", SSL_FLAG_AUTH_CLIENT, |scene, handle| {
            first(scene, handle).trust(&scene.authority.pem())
        }),
        variant("more trust", SSL_FLAG_AUTH_CLIENT, |scene, handle| {
            let other = Authority::new("other").pem();
            first(scene, handle).trust(&scene.authority.pem()).trust(&other)
        }),
        variant("hook", SSL_FLAG_AUTH_CLIENT, |scene, handle| {
            scene.hook.on(first(scene, handle).trust(&scene.authority.pem()))
        }),
        variant("strict hook", SSL_FLAG_AUTH_CLIENT | SSL_FLAG_STRICT, |scene, handle| {
            scene.hook.on(first(scene, handle).trust(&scene.authority.pem()))
        }),
        variant("protocol", 0, |scene, handle| first(scene, handle).alpn(&["h2"])),
    ]
}

#[test]
fn a_session_is_good_under_its_own_settings_alone() {
    let scene = Scene::new();
    for version in [&TLS12, &TLS13] {
        for (name, flags, set) in &variants() {
            // "more trust" is another one each time.
            let is_stable = *name != "more trust";
            let client = scene.client(version);
            assert!(!scene.resumes(&client, set, *flags), "{name}: the first");
            let asked = || scene.hook.calls.lock().unwrap().len();
            let asked_before = asked();
            assert_eq!(scene.resumes(&client, set, *flags), is_stable, "{name}: the second");
            let is_asked = usize::from(name.ends_with("hook"));
            assert_eq!(asked() - asked_before, is_asked, "{name}: the client is judged again");
            for (other_name, other_flags, other) in &variants() {
                if other_name == name {
                    continue;
                }
                let client = scene.client(version);
                scene.resumes(&client, set, *flags);
                let resumed = scene.resumes(&client, other, *other_flags);
                assert!(!resumed, "made with {name}, resumed with {other_name}");
            }
        }
    }
}

#[test]
fn no_session_without_resumption() {
    let scene = Scene::new();
    for version in [&TLS12, &TLS13] {
        let client = scene.client(version);
        for _ in 0..2 {
            assert!(!scene.resumes(&client, &first, SSL_FLAG_NO_RESUMPTION));
        }
    }
}
