//! rustls's errors in the library's terms, with rustls's detail kept in the text.

use rustls::{AlertDescription, CertificateError, OtherError, PeerIncompatible};

use super::alpn;
use super::context::{Context, Unmet};
use super::parameters::ALL_VERSIONS;
use crate::error::{Code, Error};

/// `rejection` is why the verifier turned the peer's certificate down, if it did.
pub fn from_rustls(error: rustls::Error, rejection: Option<&Error>) -> Error {
    match &error {
        rustls::Error::AlertReceived(alert) => alert_received(*alert),
        rustls::Error::InvalidCertificate(reason) => match (rejection.or(ours(reason)), reason) {
            (Some(rejection), _) => rejection.clone(),
            // The handshake signature is the one thing that is checked beside the verifier.
            (None, CertificateError::BadSignature) => bad_handshake_signature(),
            (None, reason) => {
                Error::new(Code::BAD_DATA, format!("peer's certificate cannot be used: {reason}"))
            }
        },
        rustls::Error::NoCertificatesPresented => {
            Error::new(Code::NO_CERT, "peer sent no certificate")
        }
        rustls::Error::PeerIncompatible(reason) => Error::new(
            Code::PROTOCOL,
            format!(
                "peer and this side have nothing in common: {reason:?} (TLS 1.2 and 1.3 with \
                 modern suites are offered; older versions are refused on purpose)"
            ),
        ),
        rustls::Error::InvalidMessage(_)
        | rustls::Error::InappropriateMessage { .. }
        | rustls::Error::InappropriateHandshakeMessage { .. }
        | rustls::Error::PeerMisbehaved(_)
        | rustls::Error::PeerSentOversizedRecord
        | rustls::Error::DecryptError
        | rustls::Error::NoApplicationProtocol => {
            Error::new(Code::PROTOCOL, format!("peer broke the TLS protocol: {error}"))
        }
        rustls::Error::FailedToGetRandomBytes | rustls::Error::FailedToGetCurrentTime => {
            Error::new(Code::IO, format!("the system did not give what TLS needs: {error}"))
        }
        _ => Error::internal(&error.to_string()),
    }
}

/// What takes this side's settings to explain; `None` for everything else.
pub fn explained(error: &rustls::Error, context: &Context, is_server: bool) -> Option<Error> {
    let parameters = &context.parameters;
    let limited = parameters.versions_text();
    let bounds = || {
        let peer = if is_server { "client offers" } else { "server chose" };
        let why = match limited {
            ALL_VERSIONS => ": older versions are refused on purpose",
            _ => " (ssl_set_protocols)",
        };
        let text = format!("{peer} no version of TLS that this side allows: {limited}{why}");
        Error::new(Code::PROTOCOL, text)
    };
    match error {
        rustls::Error::NoApplicationProtocol => Some(Error::new(
            Code::PROTOCOL,
            format!(
                "client and server have no application protocol (ALPN) in common: the client offers \
                 {}, this side speaks {} (ssl_set_alpn)",
                context.offered_alpn,
                alpn::describe(parameters.alpn.iter().map(Vec::as_slice))
            ),
        )),
        rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        ) => Some(bounds()),
        rustls::Error::PeerIncompatible(reason) => Some(Error::new(
            Code::PROTOCOL,
            format!(
                "peer and this side have nothing in common: {reason:?} ({limited} with modern suites \
                 {}; older versions are refused on purpose)",
                if is_server { "are accepted" } else { "are offered" }
            ),
        )),
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
            if limited != ALL_VERSIONS =>
        {
            let advice = format!(": this side allows {limited} (ssl_set_protocols)");
            Some(alert_received_with(AlertDescription::ProtocolVersion, &advice))
        }
        rustls::Error::NoCertificatesPresented if is_server => Some(Error::new(
            Code::NO_CERT,
            "client sent no certificate, and SSL_FLAG_AUTH_CLIENT demands one (SSL_FLAG_ASK_CLIENT \
             lets in who has none)",
        )),
        _ => None,
    }
}

/// What a peer means by these alerts once everything has been agreed.
pub fn stray_record(error: &rustls::Error) -> Option<Error> {
    let rustls::Error::AlertReceived(
        alert @ (AlertDescription::ProtocolVersion
        | AlertDescription::UnexpectedMessage
        | AlertDescription::DecodeError
        | AlertDescription::RecordOverflow),
    ) = *error
    else {
        return None;
    };
    let advice = ": it received what is no record of this session; with SSL_FLAG_EXPLICIT_IO what is \
                  sent by other means than ssl_send leaves in clear";
    Some(alert_received_with(alert, advice))
}

/// Says what a server may have missed that asked for a client certificate and got none.
pub fn with_unmet_demand(error: Error, why: Unmet) -> Error {
    let is_said = why == Unmet::NoneSet && error.text.contains("ssl_set_identity");
    if error.code != Code::ALERT || is_said {
        return error;
    }
    let reason = match why {
        Unmet::NoneSet => "none is set: see ssl_set_identity_pem and ssl_set_identity_file",
        Unmet::NoneFits => {
            "it accepts no signature by the key of any identity that is set: see \
             ssl_add_identity_pem"
        }
        Unmet::Declined => "the auth-request hook answered SSL_ERR_NO_CERT",
    };
    let text = format!("{}; it had asked for a client certificate and {reason}", error.text);
    Error { text, ..error }
}

/// What the library itself has said against a certificate's key.
fn ours(reason: &CertificateError) -> Option<&Error> {
    match reason {
        CertificateError::Other(OtherError(error)) => error.downcast_ref(),
        _ => None,
    }
}

fn bad_handshake_signature() -> Error {
    Error::new(
        Code::BAD_SIG,
        "peer could not prove that it holds the certificate's private key: the handshake \
         signature is wrong; somebody may be using a certificate that is not theirs",
    )
}

fn alert_received(alert: AlertDescription) -> Error {
    let advice = match alert {
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            ": it found nothing acceptable in what was offered (versions, suites, certificate)"
        }
        AlertDescription::NoApplicationProtocol => {
            ": it speaks none of the application protocols that were offered (ssl_set_alpn)"
        }
        AlertDescription::ProtocolVersion => ": it speaks neither TLS 1.2 nor TLS 1.3",
        AlertDescription::UnrecognisedName => {
            ": it does not serve the name that was asked for; check the peer name"
        }
        AlertDescription::CertificateRequired => {
            ": it demands a client certificate; set one with ssl_set_identity_pem or \
             ssl_set_identity_file"
        }
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate => {
            ": it does not accept the certificate of this side"
        }
        _ => "",
    };
    alert_received_with(alert, advice)
}

fn alert_received_with(alert: AlertDescription, advice: &str) -> Error {
    let number = u8::from(alert);
    let name = snake_case(alert.as_str().unwrap_or("unknown alert"));
    Error::new(
        Code::ALERT,
        format!("peer ended the connection with the TLS alert {name} ({number}){advice}"),
    )
    .with_alert(number)
}

/// "HandshakeFailure" as RFC 8446 writes it: "handshake_failure".
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut after_lower = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && after_lower {
            snake.push('_');
        }
        after_lower = letter.is_ascii_lowercase();
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_named_as_in_the_rfc_and_keeps_its_number() {
        let error = from_rustls(rustls::Error::AlertReceived(AlertDescription::UnknownCA), None);
        assert_eq!((error.code, error.tls_alert), (Code::ALERT, 48));
        assert_eq!(
            error.text,
            "peer ended the connection with the TLS alert unknown_ca (48): it does not accept the \
             certificate of this side"
        );
        let error =
            from_rustls(rustls::Error::AlertReceived(AlertDescription::HandshakeFailure), None);
        assert!(error.text.contains("handshake_failure (40)"), "{}", error.text);
    }
}
