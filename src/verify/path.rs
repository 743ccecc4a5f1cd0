//! The way from a certificate to the one that vouches for it, for programs that look at chains.
//! Nothing is decided here.

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;

use super::facts::Facts;
use super::signature::is_signed_by;

/// Upwards from `leaf`, by names and signatures: places in `pool`. It ends with a certificate that
/// has issued itself, or where the next one is not in the pool.
pub fn upwards(leaf: &[u8], pool: &[CertificateDer<'_>]) -> Vec<usize> {
    let supported = aws_lc_rs::default_provider().signature_verification_algorithms;
    let facts: Vec<_> = pool.iter().map(|der| Facts::parse(der)).collect();
    let mut path = Vec::new();
    let Some(leaf) = Facts::parse(leaf) else { return path };
    let mut top = &leaf;
    while !top.is_self_issued() && path.len() < LENGTH_LIMIT {
        let next = facts.iter().enumerate().find_map(|(place, other)| {
            let issuer = other.as_ref().filter(|other| other.subject_der == top.issuer_der)?;
            let fits =
                !path.contains(&place) && is_signed_by(top, &issuer.key.clone().into(), &supported);
            fits.then_some((place, issuer))
        });
        let Some((place, issuer)) = next else { break };
        path.push(place);
        top = issuer;
    }
    path
}

/// Whether the key of `issuer` has signed `certificate`.
pub fn is_signed(certificate: &[u8], issuer: &[u8]) -> bool {
    let supported = aws_lc_rs::default_provider().signature_verification_algorithms;
    match (Facts::parse(certificate), Facts::parse(issuer)) {
        (Some(certificate), Some(issuer)) => {
            is_signed_by(&certificate, &issuer.key.into(), &supported)
        }
        _ => false,
    }
}

const LENGTH_LIMIT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::fixtures::Ca;

    #[test]
    fn the_way_leads_over_names_and_signatures() {
        let (root, namesake) = (Ca::root("Root"), Ca::root("Root"));
        let middle = root.intermediate("Middle", |_| {});
        let leaf = middle.leaf(&["a.test"], |_| {}).der;
        let pool = [namesake.der.clone(), root.der.clone(), middle.der.clone(), leaf.clone()];
        assert_eq!(upwards(&leaf, &pool), [2, 1]);
        assert_eq!(upwards(&leaf, &pool[..2]), [] as [usize; 0]);
        assert_eq!(upwards(&leaf, &pool[2..]), [0]);
        assert_eq!(upwards(&root.der, &pool), [] as [usize; 0]);
        assert_eq!(upwards(b"junk", &pool), [] as [usize; 0]);
        assert!(is_signed(&middle.der, &root.der));
        assert!(!is_signed(&middle.der, &namesake.der) && !is_signed(b"junk", &root.der));
    }
}
