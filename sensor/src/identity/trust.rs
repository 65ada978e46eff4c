//! Which authorities this host trusts: the first by the fingerprint given at enrolment, further ones by the word of one that
//! is trusted already. Pure.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls_pki_types::CertificateDer;
use wire::authority::{Authorities, AuthorityId, Endorsed, MAX_AUTHORITIES, endorsement_statement};
use x509_parser::extensions::ParsedExtension;

use super::Fingerprint;

/// The fingerprint of an authority as it travels.
pub fn id_of(authority: &CertificateDer<'_>) -> AuthorityId {
    AuthorityId(Fingerprint::of(authority).0)
}

/// The authorities trusted afterwards, if any of these is new and one that is trusted has signed for it; `None`: nothing
/// changes. One that is no authority, or that nobody speaks for, is passed over.
pub fn extended(
    trusted: &[CertificateDer<'static>],
    offered: &[Endorsed],
) -> Option<Vec<CertificateDer<'static>>> {
    let mut all = trusted.to_vec();
    for endorsed in offered {
        let certificate = CertificateDer::from(endorsed.certificate.clone());
        let is_new = !all.contains(&certificate);
        if is_new && all.len() < MAX_AUTHORITIES && is_authority(&certificate) && is_endorsed(&all, endorsed)
        {
            all.push(certificate);
        }
    }
    (all.len() > trusted.len()).then_some(all)
}

/// The authorities trusted once those that were retired are forgotten; `None`: nothing changes. The one that has made this
/// host's certificate stays, and so does the last that the collector uses.
pub fn reduced(
    trusted: &[CertificateDer<'static>],
    told: &Authorities,
    host: &CertificateDer<'_>,
) -> Option<Vec<CertificateDer<'static>>> {
    let used: Vec<AuthorityId> = told
        .authorities
        .iter()
        .map(|used| id_of(&CertificateDer::from(used.certificate.as_slice())))
        .collect();
    let may_go = |authority: &CertificateDer<'_>| {
        let id = id_of(authority);
        told.retired.contains(&id) && !used.contains(&id) && !is_issuer(authority, host)
    };
    let rest: Vec<_> = trusted.iter().filter(|authority| !may_go(authority)).cloned().collect();
    let serves = rest.iter().any(|authority| used.contains(&id_of(authority)));
    (serves && rest.len() < trusted.len()).then_some(rest)
}

/// Whether a host's certificate says that this authority has made it.
pub fn is_issuer(authority: &CertificateDer<'_>, host: &CertificateDer<'_>) -> bool {
    let key = key_id(authority, |extension| match extension {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    });
    let signer = key_id(host, |extension| match extension {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
        _ => None,
    });
    key.is_some() && key == signer
}

fn key_id(
    certificate: &CertificateDer<'_>,
    pick: impl Fn(&ParsedExtension<'_>) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    parsed.extensions().iter().find_map(|extension| pick(extension.parsed_extension()))
}

fn is_authority(certificate: &CertificateDer<'_>) -> bool {
    x509_parser::parse_x509_certificate(certificate)
        .is_ok_and(|(rest, parsed)| rest.is_empty() && parsed.is_ca())
}

fn is_endorsed(trusted: &[CertificateDer<'_>], endorsed: &Endorsed) -> bool {
    let statement = endorsement_statement(&endorsed.certificate);
    endorsed.endorsements.iter().any(|endorsement| {
        let by = trusted.iter().find(|authority| id_of(authority) == endorsement.by);
        by.is_some_and(|authority| has_signed(authority, &statement, &endorsement.signature))
    })
}

fn has_signed(authority: &CertificateDer<'_>, statement: &[u8], signature: &[u8]) -> bool {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(authority) else { return false };
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &parsed.public_key().subject_public_key.data);
    key.verify(statement, signature).is_ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SigningKey as _};
    use wire::authority::Endorsement;

    use super::*;

    struct Made {
        key: KeyPair,
        certificate: CertificateDer<'static>,
    }

    fn made(is_ca: bool) -> Made {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        if is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        }
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Made { key, certificate }
    }

    impl Made {
        fn endorsed_by(&self, by: &Made) -> Endorsed {
            let signature = by.key.sign(&endorsement_statement(&self.certificate)).unwrap();
            let endorsement = Endorsement { by: id_of(&by.certificate), signature };
            Endorsed { certificate: self.certificate.to_vec(), endorsements: vec![endorsement] }
        }

        fn alone(&self) -> Endorsed {
            Endorsed { certificate: self.certificate.to_vec(), endorsements: vec![] }
        }

        fn certify(&self) -> CertificateDer<'static> {
            let issuer = Issuer::from_ca_cert_der(&self.certificate, &self.key).unwrap();
            let mut params = CertificateParams::default();
            params.use_authority_key_identifier_extension = true;
            params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().clone()
        }
    }

    #[test]
    fn only_the_word_of_a_trusted_authority_adds_one() {
        let (old, next, thief) = (made(true), made(true), made(true));
        let trusted = std::slice::from_ref(&old.certificate);
        let offered = [old.alone(), next.endorsed_by(&old)];
        let both = [old.certificate.clone(), next.certificate.clone()];
        assert_eq!(extended(trusted, &offered).unwrap(), both);
        assert_eq!(extended(&both, &offered), None, "there is nothing new");
        assert_eq!(extended(trusted, &[next.alone()]), None);
        assert_eq!(extended(trusted, &[next.endorsed_by(&thief), thief.endorsed_by(&thief)]), None);
        // A word for another certificate, and one for a certificate that is no authority's.
        let moved = Endorsed { certificate: thief.certificate.to_vec(), ..next.endorsed_by(&old) };
        assert_eq!(extended(trusted, &[moved, made(false).endorsed_by(&old)]), None);
    }

    #[test]
    fn there_is_an_end_to_how_many_are_trusted() {
        let old = made(true);
        let offered: Vec<_> = (0..9).map(|_| made(true).endorsed_by(&old)).collect();
        assert_eq!(extended(&[old.certificate], &offered).unwrap().len(), MAX_AUTHORITIES);
    }

    #[test]
    fn what_was_retired_goes_unless_it_is_still_needed() {
        let (old, next) = (made(true), made(true));
        let trusted = [old.certificate.clone(), next.certificate.clone()];
        let told = |authorities: Vec<Endorsed>, retired: Vec<&Made>| Authorities {
            authorities,
            issuing: id_of(&next.certificate),
            renew_within_s: 0,
            retired: retired.iter().map(|made| id_of(&made.certificate)).collect(),
        };
        let finished = told(vec![next.alone()], vec![&old]);
        let rest = reduced(&trusted, &finished, &next.certify()).unwrap();
        assert_eq!(rest, std::slice::from_ref(&next.certificate));
        assert_eq!(reduced(&trusted, &finished, &old.certify()), None, "its certificate is of the old one");
        let everything = told(vec![made(true).alone()], vec![&old, &next]);
        assert_eq!(reduced(&trusted, &everything, &made(true).certify()), None, "nobody would be left");
        let contradiction = told(vec![old.alone(), next.alone()], vec![&old]);
        assert_eq!(reduced(&trusted, &contradiction, &next.certify()), None);
    }
}
