//! What is offered in a handshake beside certificates: equal parameters share a configuration.

use super::key_log::KeyLogFile;
use super::suites::Suites;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Parameters {
    pub suites: Suites,
    /// The oldest and the newest version, as on the wire.
    pub oldest: u16,
    pub newest: u16,
    /// Most wanted first.
    pub alpn: Vec<Vec<u8>>,
    pub post_quantum: bool,
    /// Where the secrets go.
    pub key_log: Option<KeyLogFile>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            suites: Suites::default(),
            oldest: TLS1_2,
            newest: TLS1_3,
            alpn: Vec::new(),
            post_quantum: true,
            key_log: None,
        }
    }
}

impl Parameters {
    /// The versions that are on, for a text.
    pub fn versions_text(&self) -> &'static str {
        match (self.oldest, self.newest) {
            (TLS1_3, _) => "TLS 1.3 alone",
            (_, TLS1_2) => "TLS 1.2 alone",
            _ => ALL_VERSIONS,
        }
    }
}

pub(crate) const ALL_VERSIONS: &str = "TLS 1.2 and 1.3";
pub(crate) const TLS1_2: u16 = 0x0303;
pub(crate) const TLS1_3: u16 = 0x0304;
