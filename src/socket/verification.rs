//! Verifying a chain by a handle's settings, without a connection.

use std::time::{SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;

use super::Socket;
use super::settings::SSL_FLAG_SERVER;
use crate::error::{Code, Error, Result};
use crate::verify::name::PeerName;
use crate::verify::report::Report;
use crate::verify::verifier::{Mode, Purpose, Subject, Verifier};

impl Socket {
    /// What a handshake would find: in the role of the settings, for any name if none is given, at
    /// `time` in Unix seconds or now. An error if nothing can be verified.
    pub fn verify_chain(
        &self,
        chain: &[CertificateDer<'_>],
        name: Option<&PeerName>,
        time: Option<i64>,
    ) -> Result<Report> {
        let settings = self.settings();
        let trust = &settings.trust;
        trust.check()?;
        let purpose = match settings.has(SSL_FLAG_SERVER) {
            true if !trust.is_explicit() => {
                return Err(Error::new(
                    Code::INVALID,
                    "nobody was said to vouch for clients, and the built-in roots do not: call \
                     ssl_add_trust_file, ssl_add_trust_pem or ssl_add_trust_dir first",
                ));
            }
            true => Purpose::Client,
            false => Purpose::Server,
        };
        let subject = name.map_or(Subject::Any, |name| Subject::Named(name.server_name()));
        let verifier = Verifier::of(purpose, trust, Mode::Reject)?;
        Ok(verifier.examine_at(chain, subject, time.unwrap_or_else(now)))
    }
}

fn now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        // A clock that was never set.
        Err(_) => 0,
    }
}
