//! What a program sets on a socket before the handshake.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Code, Error, Result};
use crate::tls::config::Remembered;
use crate::tls::identity::Identity;
use crate::tls::parameters::Parameters;
use crate::tls::program::{AuthRequestHook, SignatureHook};
use crate::tls::server::Demand;
use crate::verify::name::PeerName;
use crate::verify::trust::Trust;

pub(crate) const SSL_FLAG_SERVER: u32 = 0x2;
pub(crate) const SSL_FLAG_AUTH_CLIENT: u32 = 0x4;
pub(crate) const SSL_FLAG_DEFER_HANDSHAKE: u32 = 0x8;
pub(crate) const SSL_FLAG_EXPLICIT_IO: u32 = 0x1_0000;
pub(crate) const SSL_FLAG_NONBLOCKING: u32 = 0x2_0000;
pub(crate) const SSL_FLAG_STRICT: u32 = 0x4_0000;
pub(crate) const SSL_FLAG_ALLOW_TRUNCATION: u32 = 0x8_0000;
pub(crate) const SSL_FLAG_UNIX_PAIR: u32 = 0x10_0000;
pub(crate) const SSL_FLAG_REQUIRE_RESUMPTION: u32 = 0x20_0000;
pub(crate) const SSL_FLAG_NO_RESUMPTION: u32 = 0x40_0000;
pub(crate) const SSL_FLAG_ASK_CLIENT: u32 = 0x80_0000;
pub(crate) const SSL_FLAG_NO_POST_QUANTUM: u32 = 0x100_0000;
pub(crate) const SSL_FLAG_SOLE_DESCRIPTOR: u32 = 0x200_0000;

/// The leaf's DER and the `SSL_CERT_FLAG_*` bits in, the verdict out.
pub type HookCall = Arc<dyn Fn(&[u8], u32) -> i32 + Send + Sync>;

/// The certificate hook.
#[derive(Clone)]
pub struct Hook {
    pub call: HookCall,
    /// The program's function and its argument as numbers, for a program that asks for them.
    pub function: usize,
    pub argument: usize,
}

#[derive(Clone)]
pub struct Settings {
    flags: u32,
    pub hook: Option<Hook>,
    pub peer_name: Option<PeerName>,
    pub trust: Trust,
    /// The first is shown where nothing speaks for another.
    pub identities: Vec<Identity>,
    /// Chooses among them, or brings others whose key the signature hook has.
    pub auth_request: Option<AuthRequestHook>,
    pub signature: Option<SignatureHook>,
    pub handshake_timeout: Option<Duration>,
    pub close_timeout: Option<Duration>,
    pub parameters: Parameters,
    pub kept: Kept,
    /// dwRequestClientAuth of Windows CE's SSLCLIENTAUTHOPTS is set.
    pub requests_client_auth: bool,
    /// What a client makes of all this.
    pub setup: Remembered,
}

/// What Windows CE's codes have set, as it stood in their buffers, for a program that asks again.
#[derive(Clone, Default)]
pub struct Kept {
    pub protocols: Option<Arc<[u8]>>,
    pub ciphers: Option<Arc<[u8]>>,
    pub client_opts: Option<Arc<[u8]>>,
    pub server_opts: Option<Arc<[u8]>>,
    pub client_auth_opts: Option<Arc<[u8]>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            flags: 0,
            hook: None,
            peer_name: None,
            trust: Trust::default(),
            identities: Vec::new(),
            auth_request: None,
            signature: None,
            handshake_timeout: Some(Duration::from_secs(30)),
            close_timeout: Some(Duration::from_secs(5)),
            parameters: Parameters::default(),
            kept: Kept::default(),
            requests_client_auth: false,
            setup: Remembered::default(),
        }
    }
}

impl Settings {
    /// To be changed, by whoever shares them with others as well.
    pub fn changeable(shared: &mut Arc<Self>) -> &mut Self {
        let settings = Arc::make_mut(shared);
        settings.setup = Remembered::default();
        settings
    }

    pub fn flags(&self) -> u32 {
        self.flags
    }

    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// What a server's clients have to show. Windows CE's option is a demand unless the program
    /// says that it only asks: who relies on it must not let everybody in.
    pub fn demand(&self) -> Demand {
        if self.has(SSL_FLAG_AUTH_CLIENT) {
            Demand::Required
        } else if self.has(SSL_FLAG_ASK_CLIENT) {
            Demand::Asked
        } else if self.requests_client_auth {
            Demand::Required
        } else {
            Demand::Nothing
        }
    }

    /// The first replaces the built-in roots, later ones add. What could not be loaded stands in
    /// the way of the handshake as long as nothing else was.
    pub fn add_trust(&mut self, loaded: Result<Trust>) -> Result<()> {
        match loaded {
            Ok(trust) => self.trust.merge(trust),
            Err(error) => {
                self.trust.note_failure(&error);
                return Err(error);
            }
        }
        Ok(())
    }

    /// One more beside those that are there.
    pub fn add_identity(&mut self, identity: Identity) -> Result<()> {
        if self.identities.len() >= IDENTITY_LIMIT {
            return Err(Error::new(
                Code::INVALID,
                format!("there are {IDENTITY_LIMIT} identities already: nothing was changed"),
            ));
        }
        self.identities.push(identity);
        Ok(())
    }

    pub fn set_flags(&mut self, flags: u32) -> Result<()> {
        let unknown = flags & !KNOWN_FLAGS;
        if unknown != 0 {
            return Err(Error::new(
                Code::INVALID,
                format!("unknown SSL_FLAG bits {unknown:#x}: nothing was changed"),
            ));
        }
        let required = flags & SSL_FLAG_REQUIRE_RESUMPTION != 0;
        if required && flags & (SSL_FLAG_NO_RESUMPTION | SSL_FLAG_SERVER) != 0 {
            return Err(Error::new(
                Code::INVALID,
                "SSL_FLAG_REQUIRE_RESUMPTION is for clients, and contradicts \
                 SSL_FLAG_NO_RESUMPTION: nothing was changed",
            ));
        }
        self.flags = flags;
        self.parameters.post_quantum = flags & SSL_FLAG_NO_POST_QUANTUM == 0;
        Ok(())
    }
}

const IDENTITY_LIMIT: usize = 64;

const KNOWN_FLAGS: u32 = SSL_FLAG_SERVER
    | SSL_FLAG_AUTH_CLIENT
    | SSL_FLAG_DEFER_HANDSHAKE
    | SSL_FLAG_EXPLICIT_IO
    | SSL_FLAG_NONBLOCKING
    | SSL_FLAG_STRICT
    | SSL_FLAG_ALLOW_TRUNCATION
    | SSL_FLAG_UNIX_PAIR
    | SSL_FLAG_REQUIRE_RESUMPTION
    | SSL_FLAG_NO_RESUMPTION
    | SSL_FLAG_ASK_CLIENT
    | SSL_FLAG_NO_POST_QUANTUM
    | SSL_FLAG_SOLE_DESCRIPTOR;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::config::ClientInput;
    use crate::verify::verifier::Mode;

    #[test]
    fn a_demand_outweighs_asking_and_asking_outweighs_windows_ce() -> Result<()> {
        let mut settings = Settings::default();
        for (flags, requests, demand) in [
            (0, false, Demand::Nothing),
            (0, true, Demand::Required),
            (SSL_FLAG_ASK_CLIENT, false, Demand::Asked),
            (SSL_FLAG_ASK_CLIENT, true, Demand::Asked),
            (SSL_FLAG_AUTH_CLIENT, false, Demand::Required),
            (SSL_FLAG_AUTH_CLIENT | SSL_FLAG_ASK_CLIENT, true, Demand::Required),
        ] {
            settings.set_flags(flags)?;
            settings.requests_client_auth = requests;
            assert_eq!(settings.demand(), demand, "{flags:#x} {requests}");
        }
        Ok(())
    }

    #[test]
    fn refused_flags_change_nothing() -> Result<()> {
        let mut settings = Settings::default();
        settings.set_flags(SSL_FLAG_DEFER_HANDSHAKE)?;
        for refused in [
            0x1,
            0x10,
            0x400_0000,
            SSL_FLAG_STRICT | 0x8000_0000,
            SSL_FLAG_REQUIRE_RESUMPTION | SSL_FLAG_NO_RESUMPTION,
            SSL_FLAG_REQUIRE_RESUMPTION | SSL_FLAG_SERVER,
        ] {
            assert!(settings.set_flags(refused).is_err(), "{refused:#x}");
            assert_eq!(settings.flags(), SSL_FLAG_DEFER_HANDSHAKE);
        }
        settings.set_flags(SSL_FLAG_EXPLICIT_IO)?;
        assert!(!settings.has(SSL_FLAG_DEFER_HANDSHAKE), "set replaces");
        Ok(())
    }

    #[test]
    fn a_change_of_settings_is_a_change_of_what_a_client_makes_of_them() -> Result<()> {
        let setup = |settings: &Settings, mode: Mode| {
            settings.setup.client(&ClientInput {
                trust: &settings.trust,
                mode,
                strict: settings.has(SSL_FLAG_STRICT),
                identities: &settings.identities,
                auth_hook: None,
                signature_hook: None,
                parameters: &settings.parameters,
                resumption: !settings.has(SSL_FLAG_NO_RESUMPTION),
                same_as: None,
            })
        };
        let mut shared = Arc::new(Settings::default());
        let first = setup(&shared, Mode::Reject)?;
        assert!(Arc::ptr_eq(&first.config, &setup(&shared, Mode::Reject)?.config));
        let other_mode = setup(&shared, Mode::Provisional)?;
        assert_eq!(other_mode.mode, Mode::Provisional);
        assert!(!Arc::ptr_eq(&first.domain, &other_mode.domain));
        // By its only owner, then where others share it.
        Settings::changeable(&mut shared).set_flags(SSL_FLAG_STRICT)?;
        let strict = setup(&shared, Mode::Reject)?;
        assert!(!Arc::ptr_eq(&first.domain, &strict.domain));
        let sharing = shared.clone();
        Settings::changeable(&mut shared).set_flags(SSL_FLAG_STRICT | SSL_FLAG_NO_RESUMPTION)?;
        let single = setup(&shared, Mode::Reject)?;
        assert!(strict.resumption && !single.resumption);
        assert!(!Arc::ptr_eq(&strict.config, &single.config));
        assert!(Arc::ptr_eq(&strict.config, &setup(&sharing, Mode::Reject)?.config));
        Settings::changeable(&mut shared).set_flags(0)?;
        assert!(Arc::ptr_eq(&first.config, &setup(&shared, Mode::Reject)?.config));
        Ok(())
    }
}
