//! Certificates made for a test, and what examines them.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, IsCa, Issuer, KeyPair, RevokedCertParams, SanType, SerialNumber,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};

use crate::error::Code;
use crate::verify::facts::Facts;
use crate::verify::name::PeerName;
use crate::verify::report::Report;
use crate::verify::trust::Trust;
use crate::verify::verifier::{Mode, Purpose, Subject, Verifier};

/// 2026-01-01, the start of validity where a test says nothing else.
pub const START: i64 = 1_767_225_600;
/// 2027-01-01.
pub const END: i64 = 1_798_761_600;
/// 2026-06-01.
pub const NOW: u64 = 1_780_272_000;

pub struct Ca {
    pub der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub fn root(name: &str) -> Self {
        let (params, key) = ca_params(name);
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { der, issuer: Issuer::new(params, key) }
    }

    pub fn intermediate(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (mut params, key) = ca_params(name);
        change(&mut params);
        let der = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Self { der, issuer: Issuer::new(params, key) }
    }

    pub fn leaf(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let (mut params, key) = (leaf_params(names), KeyPair::generate().unwrap());
        change(&mut params);
        let der = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Leaf { der, key }
    }

    /// A list in DER of what this CA has revoked, from [`START`] to [`END`].
    pub fn revokes(
        &self,
        revoked: &[&CertificateDer<'_>],
        change: impl FnOnce(&mut CertificateRevocationListParams),
    ) -> Vec<u8> {
        let entry = |der: &&CertificateDer<'_>| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&Facts::parse(der).unwrap().serial),
            revocation_time: rcgen::date_time_ymd(2026, 5, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let mut params = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2026, 1, 1),
            next_update: rcgen::date_time_ymd(2027, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        change(&mut params);
        params.signed_by(&self.issuer).unwrap().der().to_vec()
    }
}

pub struct Leaf {
    pub der: CertificateDer<'static>,
    pub key: KeyPair,
}

impl Leaf {
    pub fn self_signed(names: &[&str]) -> Self {
        Self::self_signed_with(names, |_| {})
    }

    pub fn self_signed_with(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (mut params, key) = (leaf_params(names), KeyPair::generate().unwrap());
        change(&mut params);
        Self { der: params.self_signed(&key).unwrap().der().clone(), key }
    }

    pub fn spki(&self) -> Vec<u8> {
        use rcgen::PublicKeyData;
        self.key.subject_public_key_info()
    }
}

pub fn set_dates(params: &mut CertificateParams, start: (i32, u8, u8), end: (i32, u8, u8)) {
    params.not_before = rcgen::date_time_ymd(start.0, start.1, start.2);
    params.not_after = rcgen::date_time_ymd(end.0, end.1, end.2);
}

/// What `openssl req -x509` makes when it is told nothing else: CA:TRUE.
pub fn openssl_self_signed(name: &str, host: &str) -> CertificateDer<'static> {
    openssl_request(name, host, &["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
}

pub fn openssl_leaf(host: &str, arguments: &[&str]) -> CertificateDer<'static> {
    let plain = ["-x509", "-addext", "basicConstraints=CA:FALSE"];
    openssl_request("leaf", host, &[&plain, arguments].concat())
}

/// `openssl x509 -req` without extensions makes version 1.
pub fn openssl_version_1(name: &str) -> CertificateDer<'static> {
    let directory = Directory::temporary();
    let subject = format!("/CN={name}");
    let request = ["req", "-new", "-nodes", "-newkey", "rsa:2048", "-keyout", "key", "-subj"];
    openssl(&directory, &[&request[..], &[&subject, "-out", "request"]].concat());
    let sign = ["x509", "-req", "-in", "request", "-signkey", "key", "-days", "36500"];
    let pem = openssl(&directory, &sign);
    CertificateDer::from_pem_slice(&pem).unwrap()
}

/// A root, a CA below it with a key of this kind, and a leaf below that; both signed with this hash.
pub fn openssl_path(hash: &str, key: &str) -> [CertificateDer<'static>; 3] {
    openssl_path_in(hash, key, "basicConstraints=critical,CA:TRUE\n").1
}

fn openssl_path_in(
    hash: &str,
    key: &str,
    of_ca: &str,
) -> (Directory, [CertificateDer<'static>; 3]) {
    let directory = Directory::temporary();
    let root = ["req", "-x509", "-nodes", "-newkey", "rsa:2048", "-keyout", "root.key", "-out"];
    openssl(
        &directory,
        &[&root[..], &["root.pem", "-subj", "/CN=Root", "-days", "36500"]].concat(),
    );
    std::fs::write(directory.0.join("ca"), of_ca).unwrap();
    std::fs::write(directory.0.join("leaf"), "subjectAltName=DNS:a.test\n").unwrap();
    let sign = |name: &str, key: &str, extensions: &str, issuer: &str| {
        let (private, public) = (format!("{name}.key"), format!("{name}.pem"));
        let (subject, request) = (format!("/CN={name}"), format!("{name}.csr"));
        let new = ["req", "-new", "-nodes", "-newkey", key, "-keyout", &private, "-subj"];
        openssl(&directory, &[&new[..], &[&subject, "-out", &request]].concat());
        let (ca, ca_key) = (format!("{issuer}.pem"), format!("{issuer}.key"));
        let sign = ["x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &ca_key, "-days"];
        let rest = ["36500", "-CAcreateserial", "-extfile", extensions, hash, "-out", &public];
        openssl(&directory, &[&sign[..], &rest].concat());
    };
    sign("middle", key, "ca", "root");
    sign("end", "rsa:2048", "leaf", "middle");
    let path = ["root.pem", "middle.pem", "end.pem"]
        .map(|name| CertificateDer::from_pem_file(directory.0.join(name)).unwrap());
    (directory, path)
}

/// A CA that may issue certificates but no lists, and has issued one of each.
pub struct WithoutCrlSign {
    pub root: CertificateDer<'static>,
    pub certificate: CertificateDer<'static>,
    pub leaf: CertificateDer<'static>,
    pub list: Vec<u8>,
}

/// rcgen does not make such a list.
pub fn openssl_ca_without_crl_sign() -> WithoutCrlSign {
    let usage = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n";
    let (directory, [root, certificate, leaf]) = openssl_path_in("-sha256", "rsa:2048", usage);
    openssl_list(&directory, "crlnumber = number\n");
    let list = std::fs::read(directory.0.join("list.der")).unwrap();
    WithoutCrlSign { root, certificate, leaf, list }
}

/// A list in DER as `openssl ca` makes it when it is told nothing else.
pub fn openssl_version_1_list() -> Vec<u8> {
    let usage = "basicConstraints=critical,CA:TRUE\n";
    let (directory, _) = openssl_path_in("-sha256", "rsa:2048", usage);
    openssl_list(&directory, "");
    std::fs::read(directory.0.join("list.der")).unwrap()
}

fn openssl_list(directory: &Directory, settings: &str) {
    let write = |name: &str, text: &str| std::fs::write(directory.0.join(name), text).unwrap();
    write("database", "");
    write("number", "01\n");
    write("settings", &format!("[ca]\ndefault_ca = own\n[own]\ndatabase = database\n{settings}"));
    let ca = ["ca", "-gencrl", "-config", "settings", "-keyfile", "middle.key", "-cert"];
    let rest = ["middle.pem", "-md", "sha256", "-crldays", "3000", "-out", "list.pem"];
    openssl(directory, &[&ca[..], &rest].concat());
    openssl(directory, &["crl", "-in", "list.pem", "-outform", "DER", "-out", "list.der"]);
}

/// Examines at [`NOW`], with the CAs' certificates as trust.
pub fn examine(trusted: &[&Ca], chain: &[&CertificateDer<'static>], host: &str) -> Report {
    let trusted: Vec<_> = trusted.iter().map(|ca| &ca.der).collect();
    examine_with(&trusted, chain, host)
}

pub fn examine_with(
    trusted: &[&CertificateDer<'static>],
    chain: &[&CertificateDer<'static>],
    host: &str,
) -> Report {
    examine_at(time(), trusted, chain, host)
}

/// For what openssl makes, which is valid from the moment on.
pub fn examine_today(
    trusted: &[&CertificateDer<'static>],
    chain: &[&CertificateDer<'static>],
    host: &str,
) -> Report {
    examine_at(UnixTime::now(), trusted, chain, host)
}

pub fn verifier(trusted: &[&CertificateDer<'static>], mode: Mode) -> Verifier {
    Verifier::new(&trusting(trusted), mode).unwrap()
}

pub fn trusting(trusted: &[&CertificateDer<'static>]) -> Trust {
    let mut trust = Trust::default();
    trusted.iter().for_each(|der| trust.add_pem(pem(der).as_bytes()).unwrap());
    trust
}

pub fn time() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(NOW))
}

#[track_caller]
pub fn assert_error(report: &Report, causes: u32, code: Code, text: &str) {
    let error = report.error.as_ref().expect("not trusted");
    assert_eq!(error.text, text);
    assert_eq!((report.causes, error.code), (causes, code));
}

/// At [`NOW`], for a.test.
pub fn examine_by(trust: &Trust, chain: &[&CertificateDer<'static>]) -> Report {
    examine_by_at(time(), trust, chain)
}

/// Now, for a.test.
pub fn examine_by_today(trust: &Trust, chain: &[&CertificateDer<'static>]) -> Report {
    examine_by_at(UnixTime::now(), trust, chain)
}

fn examine_by_at(now: UnixTime, trust: &Trust, chain: &[&CertificateDer<'static>]) -> Report {
    let chain: Vec<_> = chain.iter().map(|der| (*der).clone()).collect();
    let name = PeerName::parse("a.test").unwrap();
    Arc::unwrap_or_clone(Verifier::new(trust, Mode::Reject).unwrap().examine(
        &chain,
        Some(name.server_name()),
        now,
    ))
}

fn ca_params(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    set_dates(&mut params, (2020, 1, 1), (2040, 1, 1));
    (params, KeyPair::generate().unwrap())
}

fn leaf_params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject("leaf");
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    params.subject_alt_names = names
        .iter()
        .map(|name| match (name.strip_prefix("dns:"), name.parse::<IpAddr>()) {
            (Some(name), _) => dns(name),
            (None, Ok(address)) => SanType::IpAddress(address),
            (None, Err(_)) => dns(name),
        })
        .collect();
    set_dates(&mut params, (2026, 1, 1), (2027, 1, 1));
    params
}

fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

fn examine_at(
    now: UnixTime,
    trusted: &[&CertificateDer<'static>],
    chain: &[&CertificateDer<'static>],
    host: &str,
) -> Report {
    let chain: Vec<_> = chain.iter().map(|der| (*der).clone()).collect();
    let name = PeerName::parse(host).unwrap();
    Arc::unwrap_or_clone(verifier(trusted, Mode::Reject).examine(
        &chain,
        Some(name.server_name()),
        now,
    ))
}

/// For a peer that nobody has named, at [`NOW`].
pub fn examine_nameless(
    trusted: &[&CertificateDer<'static>],
    chain: &[&CertificateDer<'static>],
) -> Report {
    let chain: Vec<_> = chain.iter().map(|der| (*der).clone()).collect();
    Arc::unwrap_or_clone(verifier(trusted, Mode::Nameless).examine(&chain, None, time()))
}

/// As a client's chain, at [`NOW`].
pub fn examine_client(trusted: &[&Ca], chain: &[&CertificateDer<'static>]) -> Report {
    let chain: Vec<_> = chain.iter().map(|der| (*der).clone()).collect();
    let trusted: Vec<_> = trusted.iter().map(|ca| &ca.der).collect();
    let verifier = Verifier::of(Purpose::Client, &trusting(&trusted), Mode::Reject).unwrap();
    Arc::unwrap_or_clone(verifier.examine(&chain, Subject::Any, time()))
}

fn pem(der: &[u8]) -> String {
    pem_block("CERTIFICATE", der)
}

pub fn pem_block(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}-----END {label}-----\n", base64(der))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for (number, group) in bytes.chunks(3).enumerate() {
        let bits = group.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
            encoded.push(if place > group.len() { '=' } else { char::from(digit) });
        }
        if number % 16 == 15 {
            encoded.push('\n');
        }
    }
    encoded + "\n"
}

fn openssl_request(name: &str, host: &str, arguments: &[&str]) -> CertificateDer<'static> {
    let (subject, names) = (format!("/CN={name}"), format!("subjectAltName=DNS:{host}"));
    let fixed = ["req", "-nodes", "-keyout", "key", "-days", "36500", "-subj"];
    let pem = openssl(
        &Directory::temporary(),
        &[&fixed[..], &[&subject, "-addext", &names], arguments].concat(),
    );
    CertificateDer::from_pem_slice(&pem).unwrap()
}

fn openssl(directory: &Directory, arguments: &[&str]) -> Vec<u8> {
    let output =
        Command::new("openssl").args(arguments).current_dir(&directory.0).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A new directory that goes with what is in it.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn temporary() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("sslsock-verify-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).unwrap();
        Self(directory)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}
