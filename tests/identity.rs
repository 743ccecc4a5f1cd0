//! Certificates and keys of this side in every form in which they come, and what is refused.

mod support;

use std::ffi::CString;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::sync::LazyLock;

use sslsock::abi::identity;
use support::fixtures::Directory;
use support::*;

/// Kinds of keys as openssl makes them, and whether there is an older form of the key for them.
const KINDS: [(&str, &str, bool); 5] = [
    ("rsa", "RSA -pkeyopt rsa_keygen_bits:2048", true),
    ("p256", "EC -pkeyopt ec_paramgen_curve:P-256", true),
    ("p384", "EC -pkeyopt ec_paramgen_curve:P-384", true),
    ("p521", "EC -pkeyopt ec_paramgen_curve:P-521", true),
    ("ed25519", "ED25519", false),
];

/// A root, an intermediate, and for each kind KIND.key and KIND.pem, and both as DER.
static FILES: LazyLock<Directory> = LazyLock::new(|| {
    let files = Directory::new();
    let authority = "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign";
    let ec = "-nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 9";
    files.run(&format!("req -x509 {ec} -subj /CN=root -keyout root.key -out root.pem {authority}"));
    files.run(&format!("req -x509 {ec} -subj /CN=other -keyout other.key -out other.pem"));
    for (kind, options, _) in KINDS {
        make(&files, kind, options);
    }
    files
});

fn make(files: &Directory, name: &str, options: &str) {
    files.run(&format!("genpkey -algorithm {options} -out {name}.key"));
    files.run(&format!("pkey -in {name}.key -outform DER -out {name}.key.der"));
    certify(files, name);
}

/// A certificate by the root.
fn certify(files: &Directory, name: &str) {
    files.run(&format!("req -new -key {name}.key -subj /CN={name} -out {name}.csr"));
    files.run(&format!(
        "x509 -req -days 9 -in {name}.csr -CA root.pem -CAkey root.key -CAcreateserial -out {name}.pem"
    ));
    files.run(&format!("x509 -in {name}.pem -outform DER -out {name}.der"));
}

fn handle() -> Handle {
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let socket = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    Handle::of(&socket)
}

fn set(handle: &Handle, chain: &[u8], key: &[u8]) -> i32 {
    let (chain_start, key_start) = (chain.as_ptr().cast(), key.as_ptr().cast());
    unsafe {
        identity::ssl_set_identity_pem(handle.0, chain_start, chain.len(), key_start, key.len())
    }
}

fn set_files(handle: &Handle, chain: &str, key: &str) -> i32 {
    let path = |name| CString::new(FILES.path(name).as_os_str().as_bytes()).unwrap();
    let (chain, key) = (path(chain), path(key));
    unsafe { identity::ssl_set_identity_file(handle.0, chain.as_ptr(), key.as_ptr()) }
}

#[test]
fn every_kind_of_key_is_taken_in_every_form() {
    let handle = handle();
    let root = FILES.bytes("root.pem");
    for (kind, _, has_older_form) in KINDS {
        let mut keys =
            vec![FILES.bytes(&format!("{kind}.key")), FILES.bytes(&format!("{kind}.key.der"))];
        if has_older_form {
            FILES.run(&format!("pkey -traditional -in {kind}.key -out {kind}.old"));
            let old = FILES.bytes(&format!("{kind}.old"));
            let label: &[u8] =
                if kind == "rsa" { b"BEGIN RSA PRIVATE" } else { b"BEGIN EC PRIVATE" };
            assert!(old.windows(label.len()).any(|part| part == label));
            keys.push(old);
            let converter = if kind == "rsa" { "rsa -traditional" } else { "ec" };
            FILES.run(&format!("{converter} -in {kind}.key -outform DER -out {kind}.old.der"));
            keys.push(FILES.bytes(&format!("{kind}.old.der")));
        }
        let leaf = FILES.bytes(&format!("{kind}.pem"));
        let der = FILES.bytes(&format!("{kind}.der"));
        FILES.run("x509 -in root.pem -outform DER -out root.der");
        let both = [&leaf[..], &root].concat();
        // As mail programs and other systems write it.
        let windows = String::from_utf8(both.clone()).unwrap().replace('\n', "\r\n").into_bytes();
        let commented = [b"Bag Attributes\n  x: 1\n", &both[..], b"\nthe end"].concat();
        let chains =
            [leaf, both, windows, commented, der.clone(), [der, FILES.bytes("root.der")].concat()];
        for (at, key) in keys.iter().enumerate() {
            for (place, chain) in chains.iter().enumerate() {
                let what = format!("{kind}, key {at}, chain {place}");
                assert_eq!(set(&handle, chain, key), 0, "{what}: {:?}", handle.error());
            }
            // All in one, in either order.
            if key.starts_with(b"-----") {
                for all in [[&chains[1][..], key].concat(), [&key[..], &chains[1]].concat()] {
                    assert_eq!(set(&handle, &all, &all), 0, "{kind}: {:?}", handle.error());
                }
            }
        }
        assert_eq!(set_files(&handle, &format!("{kind}.pem"), &format!("{kind}.key")), 0);
        assert_eq!(set_files(&handle, &format!("{kind}.der"), &format!("{kind}.key.der")), 0);
    }
    // What `openssl ecparam -genkey` writes has the curve in front of the key.
    FILES.run("ecparam -name prime256v1 -genkey -out curve.key");
    certify(&FILES, "curve");
    assert_eq!(set_files(&handle, "curve.pem", "curve.key"), 0, "{:?}", handle.error());
}

/// What is refused, by what the text says.
#[test]
fn what_cannot_be_used_is_said() {
    let files = &*FILES;
    let handle = handle();
    let good = files.bytes("p256.pem");
    let good_key = files.bytes("p256.key");
    let refused = |chain: &[u8], key: &[u8], words: &[&str]| {
        assert_eq!(set(&handle, chain, key), SSL_ERR_BAD_DATA, "{words:?}");
        let text = handle.error().text;
        for word in words {
            assert!(text.contains(word), "{word:?} is not in: {text}");
        }
    };
    // Encrypted keys.
    files.run("pkey -in rsa.key -aes128 -passout pass:x -out rsa.encrypted");
    files.run("pkey -in rsa.key -aes128 -passout pass:x -traditional -out rsa.proc");
    files.run(
        "pkcs8 -topk8 -in p256.key -v2 aes128 -passout pass:x -outform DER -out p256.encrypted",
    );
    files.run("pkcs8 -topk8 -in p256.key -v1 PBE-SHA1-3DES -passout pass:x -outform DER -out p256.old-encrypted");
    for (name, command) in [
        ("rsa.encrypted", "openssl pkey -in key.pem -out"),
        ("rsa.proc", "openssl pkey -in key.pem -out"),
        ("p256.encrypted", "openssl pkey -inform DER -in"),
        ("p256.old-encrypted", "openssl pkey -inform DER -in"),
    ] {
        refused(&good, &files.bytes(name), &["it is encrypted", command]);
    }
    assert!(String::from_utf8(files.bytes("rsa.proc")).unwrap().contains("Proc-Type"));
    // Other containers.
    files.run("pkcs12 -export -in p256.pem -inkey p256.key -passout pass:x -out p256.p12");
    let p12 = files.bytes("p256.p12");
    refused(&p12, &p12, &["PKCS #12", "openssl pkcs12 -in"]);
    refused(&good, &p12, &["PKCS #12", "openssl pkcs12 -in"]);
    for (form, name) in [("PEM", "chain.p7"), ("DER", "chain.p7.der")] {
        files.run(&format!("crl2pkcs7 -nocrl -certfile p256.pem -outform {form} -out {name}"));
        refused(&files.bytes(name), &good_key, &["PKCS #7", "openssl pkcs7 -print_certs"]);
    }
    let openssh = b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
    refused(&good, openssh, &["OpenSSH's own form", "ssh-keygen -p -m PKCS8"]);
    // What the commands make works.
    files.run("pkey -in rsa.encrypted -passin pass:x -out rsa.plain");
    assert_eq!(set_files(&handle, "rsa.pem", "rsa.plain"), 0);
    files.run("pkcs12 -in p256.p12 -passin pass:x -nodes -out p256.all");
    assert_eq!(set_files(&handle, "p256.all", "p256.all"), 0, "{:?}", handle.error());
    files.run("pkcs7 -print_certs -in chain.p7 -out chain.p7.pem");
    assert_eq!(set_files(&handle, "chain.p7.pem", "p256.key"), 0, "{:?}", handle.error());
    // Kinds that cannot sign.
    for (name, options, word) in [
        ("small", "RSA -pkeyopt rsa_keygen_bits:1024", "RSA key of 1024 bits"),
        ("pss", "RSA-PSS -pkeyopt rsa_keygen_bits:2048", "RSASSA-PSS"),
        ("p224", "EC -pkeyopt ec_paramgen_curve:P-224", "the curve P-224"),
        ("k256", "EC -pkeyopt ec_paramgen_curve:secp256k1", "the curve secp256k1"),
        ("ed448", "ED448", "Ed448"),
    ] {
        make(files, name, options);
        let (chain, key) =
            (files.bytes(&format!("{name}.pem")), files.bytes(&format!("{name}.key")));
        refused(&chain, &key, &["the certificate cannot be used", word]);
        // And the key by itself.
        if name != "small" {
            refused(&good, &key, &["the private key cannot be used", word]);
        }
    }
    refused(&good, &files.bytes("small.key"), &["the private key cannot be used", "too small"]);
    files.run("dsaparam -out dsa.params 2048");
    files.run("gendsa -out dsa.key dsa.params");
    certify(files, "dsa");
    refused(&files.bytes("dsa.pem"), &files.bytes("dsa.key"), &["DSA key"]);
    refused(&good, &files.bytes("dsa.key"), &["DSA key", "EC"]);
    files.run("dsa -in dsa.key -out dsa.old");
    refused(&good, &files.bytes("dsa.old"), &["DSA key"]);
    // What does not belong together.
    let root = files.bytes("root.pem");
    let turned = [&root[..], &good].concat();
    refused(&turned, &good_key, &["to number 2: put the leaf first"]);
    refused(&good, &files.bytes("rsa.key"), &["nor to another in it"]);
    refused(&good, &files.bytes("p384.key"), &["nor to another in it"]);
    // What is not there at all.
    refused(b"", &good_key, &["the certificate chain cannot be used: it is empty"]);
    refused(&good, b"", &["the private key cannot be used: it is empty"]);
    refused(&good, &good, &["it holds no private key"]);
    refused(&good_key, &good_key, &["it holds no certificate, but \"PRIVATE KEY\""]);
    refused(b"hello", &good_key, &["neither PEM nor DER"]);
    refused(&good, b"hello", &["neither PEM nor DER"]);
    let text = String::from_utf8(good.clone()).unwrap();
    let cut = &good[..good.len() - 10];
    refused(cut, &good_key, &["the end of the PEM section \"CERTIFICATE\" is missing"]);
    refused(text.replacen("MII", "M*I", 1).as_bytes(), &good_key, &["else than base64"]);
    let der = files.bytes("p256.der");
    refused(&der[..der.len() - 1], &good_key, &["neither PEM nor DER"]);
    refused(&[&der[..], b"x"].concat(), &good_key, &["neither PEM nor DER"]);
    refused(&files.bytes("p256.key.der"), &good_key, &["is not X.509"]);
    refused(&good, &der, &["none in PKCS #8, PKCS #1 or SEC 1 form"]);
    let junk = "-----BEGIN PRIVATE KEY-----\nMAMCAQA=\n-----END PRIVATE KEY-----\n";
    refused(&good, junk.as_bytes(), &["the private key cannot be used"]);
    // Nothing of it is there afterwards: the identity that was set before is still the one.
    assert_eq!(set_files(&handle, "nonexistent", "p256.key"), SSL_ERR_IO);
    assert!(handle.error().text.contains("the certificate file"), "{}", handle.error().text);
    assert_eq!(set_files(&handle, "p256.pem", "nonexistent"), SSL_ERR_IO);
    assert!(handle.error().text.contains("the key file"), "{}", handle.error().text);
}

/// Whatever is cut off or changed, it is an answer and no crash.
#[test]
fn damaged_files_are_refused() {
    let handle = handle();
    for (chain, key) in
        [("p256.der", "p256.key.der"), ("rsa.pem", "rsa.key"), ("p256.der", "p256.encrypted.x")]
    {
        let chain = FILES.bytes(chain);
        if key == "p256.encrypted.x" {
            FILES.run("pkcs8 -topk8 -in p256.key -v2 aes128 -passout pass:x -outform DER -out p256.encrypted.x");
        }
        let key = FILES.bytes(key);
        for length in 0..key.len() {
            // A PEM text is whole before its last line end.
            let answer = set(&handle, &chain, &key[..length]);
            assert!(answer == SSL_ERR_BAD_DATA || length + 1 == key.len(), "{length}");
        }
        for at in 0..chain.len() {
            let mut changed = chain.clone();
            changed[at] ^= 0x41;
            let _ = set(&handle, &changed, &key);
        }
        for at in 0..key.len() {
            let mut changed = key.clone();
            changed[at] ^= 0x80;
            let _ = set(&handle, &chain, &changed);
        }
    }
}
