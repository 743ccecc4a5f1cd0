//! Which of its certificates a server shows.

use std::sync::Arc;

use rustls::pki_types::{DnsName, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

use super::alpn;
use super::context;
use super::identity::Identity;

/// The first identity that is for the name which the client asks for and whose key the client can
/// verify; else the first whose key it can; else the first of all.
#[derive(Debug)]
pub struct ByName(Vec<Arc<CertifiedKey>>);

impl ByName {
    pub fn new(identities: &[Identity]) -> Self {
        Self(identities.iter().map(Identity::certified_key).collect())
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        context::with(|context| {
            context.server_name = name.map(str::to_owned);
            context.offered_alpn = alpn::describe(hello.alpn().into_iter().flatten());
        });
        let name = name.and_then(|name| DnsName::try_from(name).ok()).map(ServerName::DnsName);
        let is_named = |identity: &&Arc<CertifiedKey>| {
            name.as_ref().is_some_and(|name| is_for(identity, name))
        };
        let schemes = hello.signature_schemes();
        let usable = self.0.iter().filter(|identity| identity.key.choose_scheme(schemes).is_some());
        let chosen = usable.clone().find(is_named).or(usable.clone().next());
        chosen.or(self.0.first()).cloned()
    }
}

/// As a client's verifier would see it.
fn is_for(identity: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let Some(leaf) = identity.cert.first() else { return false };
    EndEntityCert::try_from(leaf)
        .is_ok_and(|leaf| leaf.verify_is_valid_for_subject_name(name).is_ok())
}
