//! The decision on the peer's certificate: by the verifier, by the program's hook, or by the program
//! later.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustls::pki_types::{CertificateDer, UnixTime};

use super::resumption;
use super::settings::{Hook, SSL_FLAG_NONBLOCKING, SSL_FLAG_STRICT, Settings};
use super::{Phase, Role, Socket, Verdict, Verification, not_open, settings_only};
use crate::error::{Code, Error, Result};
use crate::io::deadline::Deadline;
use crate::io::handshake::timed_out;
use crate::log;
use crate::sys::{process, thread};
use crate::tls::engine::Engine;
use crate::tls::server::Demand;
use crate::verify::judged::judge;
use crate::verify::name::PeerName;
use crate::verify::report::{CAUSE_SIGNATURE, Report};
use crate::verify::verifier::{Subject, Verifier};

/// The one certificate flag of Windows CE: set if anything is wrong.
const SSL_CERT_FLAG_ISSUER_UNKNOWN: u32 = 0x1;

/// What is needed to judge the peer.
pub(super) struct Peer {
    pub(super) verifier: Arc<Verifier>,
    pub(super) whose: Whose,
}

pub(super) enum Whose {
    /// `None`: Windows CE's nameless way.
    Server(Option<PeerName>),
    Client(Demand),
}

impl Peer {
    fn examine(&self, chain: &[CertificateDer<'_>]) -> Arc<Report> {
        let subject = match &self.whose {
            Whose::Server(name) => name.as_ref().map(PeerName::server_name).into(),
            Whose::Client(_) => Subject::Any,
        };
        self.verifier.examine(chain, subject, UnixTime::now())
    }
}

/// The answer that a hook may leave open.
#[derive(Default)]
pub(super) enum Validation {
    /// The hook has not been called, or has to answer itself.
    #[default]
    NotAsked,
    /// The hook has been called.
    Awaited {
        answer: Option<i32>,
        /// Known once the hook has returned: its own time does not count.
        until: Option<Deadline>,
    },
    Over,
}

impl Socket {
    /// Decides on the peer's certificate, before our last flight leaves. Answers WANT_VALIDATION,
    /// and `asked` is what about, as long as the program does not know.
    pub(super) fn approve(
        &self,
        engine: &mut Engine,
        deadline: &mut Deadline,
        settings: &Settings,
        peer: &Option<Peer>,
        asked: &mut Option<Arc<Report>>,
    ) -> Result<()> {
        if let Some(report) = asked {
            let answer = self.awaited_answer(deadline, settings)?;
            return self.decide(answer, report, settings);
        }
        let Some(peer) = peer else { return Ok(()) };
        let report = match (engine.take_report(), engine.peer_certificates()) {
            (Some(report), _) => report,
            (None, None | Some([])) => return no_certificate(peer),
            // A resumed session: rustls does not look at the chain again, and dates pass.
            (None, Some(chain)) => peer.examine(chain),
        };
        let verdict = if report.error.is_some() { Verdict::NotTrusted } else { Verdict::Trusted };
        self.keep(report.clone(), verdict);
        resumption::check_resumed(engine, settings)?;
        let Some(hook) = &settings.hook else {
            return report.error.clone().map_or(Ok(()), Err);
        };
        let mut answer = self.ask(hook, &report, deadline, settings)?;
        if answer == Code::WANT_VALIDATION.0 && may_wait(settings) {
            let report = asked.insert(report.clone());
            answer = self.awaited_answer(deadline, settings)?;
            return self.decide(answer, report, settings);
        }
        self.next_step()?.validation = Validation::Over;
        self.decide(answer, &report, settings)
    }

    /// Calls the hook.
    fn ask(
        &self,
        hook: &Hook,
        report: &Arc<Report>,
        deadline: &mut Deadline,
        settings: &Settings,
    ) -> Result<i32> {
        if may_wait(settings) {
            // Another thread may be faster than the hook.
            self.next_step()?.validation = Validation::Awaited { answer: None, until: None };
        }
        let flags = if report.error.is_some() { SSL_CERT_FLAG_ISSUER_UNKNOWN } else { 0 };
        let epoch = process::epoch();
        self.hook_thread.store(thread::current(), Ordering::Release);
        // A copy: the program gets a pointer that can be written through.
        let leaf = report.chain.first().cloned().unwrap_or_default();
        let answer = deadline.paused(|| judge(report, || (hook.call)(&leaf, flags)));
        self.hook_thread.store(0, Ordering::Release);
        if process::epoch() != epoch {
            return Err(Error::new(
                Code::FORKED,
                "the certificate hook has forked and returned in the child: the connection is the \
                 parent's",
            ));
        }
        Ok(answer)
    }

    /// What [`Self::complete_validation`] has brought.
    fn awaited_answer(&self, deadline: &Deadline, settings: &Settings) -> Result<i32> {
        let mut state = self.next_step()?;
        let given = match state.validation {
            Validation::Awaited { answer, .. } => answer,
            Validation::NotAsked | Validation::Over => None,
        };
        match given {
            Some(answer) => {
                state.validation = Validation::Over;
                Ok(answer)
            }
            None if deadline.is_over() => {
                state.validation = Validation::Over;
                let awaited =
                    "the program's decision on the certificate by ssl_complete_validation";
                Err(timed_out(settings.handshake_timeout, awaited))
            }
            None => {
                state.validation = Validation::Awaited { answer: None, until: Some(*deadline) };
                Err(Error::new(
                    Code::WANT_VALIDATION,
                    "the handshake goes on when the program has decided on the certificate: call \
                     ssl_complete_validation, then ssl_perform_handshake again",
                ))
            }
        }
    }

    /// The program has decided on the certificate.
    pub fn complete_validation(&self, result: i32) -> Result<()> {
        if !matches!(self.role, Role::Descriptor(_)) {
            return Err(settings_only());
        }
        let mut state = self.state();
        match &state.phase {
            Phase::Handshaking(_) | Phase::Paused(_) => {}
            Phase::Open(_) => return Err(not_awaited("the handshake is complete")),
            phase => return Err(not_open(phase)),
        }
        if self.errors.fatal().is_some() {
            return Err(not_awaited("the handshake has failed"));
        }
        match &mut state.validation {
            Validation::NotAsked => Err(not_awaited("the certificate hook has not been called")),
            Validation::Over | Validation::Awaited { answer: Some(_), .. } => {
                Err(not_awaited("it has been decided already"))
            }
            Validation::Awaited { until: Some(until), .. } if until.is_over() => {
                Err(not_awaited("the handshake's time limit is over"))
            }
            Validation::Awaited { .. } if result == Code::WANT_VALIDATION.0 => Err(Error::new(
                Code::INVALID,
                "SSL_ERR_WANT_VALIDATION is no decision: the certificate still awaits one",
            )),
            Validation::Awaited { answer, .. } => {
                *answer = Some(result);
                Ok(())
            }
        }
    }

    /// What the program's answer means, be it the hook's own or the one that came later.
    fn decide(&self, answer: i32, report: &Report, settings: &Settings) -> Result<()> {
        if let (0, Some(error)) = (answer, report.beyond_hooks()) {
            return Err(error);
        }
        match (answer, report.error.clone()) {
            (0, None) => Ok(()),
            (0, Some(flaw)) if settings.has(SSL_FLAG_STRICT) => Err(Error {
                text: format!("{}; SSL_FLAG_STRICT does not let the hook accept that", flaw.text),
                ..flaw
            }),
            (0, Some(flaw)) => {
                let note = format!("certificate accepted by the hook despite: {}", flaw.text);
                log::write(log::Level::Warning, &note);
                if let Some(verification) = &mut self.state().verification {
                    verification.verdict = Verdict::AcceptedByHook;
                }
                Ok(())
            }
            (answer, flaw) => Err(refused_by_hook(answer, flaw)),
        }
    }

    /// For a handshake that ended before the certificate was to be approved.
    pub(super) fn keep_after_failure(&self, mut report: Arc<Report>, error: &Error) {
        let rejected = report.error.as_ref().is_some_and(|flaw| flaw.text == error.text);
        if !rejected && error.code == Code::BAD_SIG {
            // The chain may be in order: the peer does not hold the key that it speaks of.
            let report = Arc::make_mut(&mut report);
            report.causes |= CAUSE_SIGNATURE;
            report.error = Some(match report.error.take() {
                Some(flaw) => Error { text: format!("{}; {}", error.text, flaw.text), ..flaw },
                None => error.clone(),
            });
        }
        let verdict = if report.error.is_some() { Verdict::NotTrusted } else { Verdict::Trusted };
        self.keep(report, verdict);
    }

    fn keep(&self, report: Arc<Report>, verdict: Verdict) {
        self.state().verification = Some(Verification { report, verdict });
    }
}

/// Whether the hook may leave its answer open.
fn may_wait(settings: &Settings) -> bool {
    settings.has(SSL_FLAG_NONBLOCKING)
}

fn not_awaited(why: &str) -> Error {
    Error::new(
        Code::STATE,
        format!("no decision on a certificate is awaited on this handle: {why}"),
    )
}

/// No hook can let in who has shown nothing.
fn no_certificate(peer: &Peer) -> Result<()> {
    match peer.whose {
        Whose::Client(Demand::Asked | Demand::Nothing) => Ok(()),
        Whose::Client(Demand::Required) | Whose::Server(_) => {
            Err(Error::new(Code::NO_CERT, "peer sent no certificate"))
        }
    }
}

fn refused_by_hook(answer: i32, flaw: Option<Error>) -> Error {
    let reason = flaw.map_or(String::new(), |flaw| format!(" ({})", flaw.text));
    let hint = match Code(answer) {
        Code::WANT_VALIDATION => {
            "; to decide later by ssl_complete_validation it has to have SSL_FLAG_NONBLOCKING set"
        }
        _ => "",
    };
    Error::from_hook(
        answer,
        format!(
            "the program's certificate hook refused the certificate with {answer}{reason}{hint}"
        ),
    )
}
