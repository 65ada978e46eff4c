//! The authorities that a collector uses: the one that certifies it, and during a rotation the next one.

use std::path::Path;
use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;
use wire::authority::{AuthorityId, Endorsed};

use super::{Authority, CaError, ServerCertificate, ServerTls, rotate, tls};

/// One or two authorities. Certificates of hosts count when either has made them.
#[derive(Debug)]
pub struct Authorities {
    serving: Authority,
    next: Option<Authority>,
    endorsed: Vec<Endorsed>,
}

impl Authorities {
    /// One authority alone.
    pub fn of(serving: Authority) -> Self {
        let endorsed = vec![told(&serving)];
        Self { serving, next: None, endorsed }
    }

    /// Those whose files are in this folder; see [`Authority::open_or_create`] for the first.
    ///
    /// # Errors
    /// When files cannot be read or do not belong together.
    pub fn open(folder: &Path) -> Result<Self, CaError> {
        let (serving, next) = rotate::read(folder)?;
        let mut both = Self::of(serving);
        if let Some(next) = next {
            let endorsement = both.serving.endorse(next.certificate())?;
            both.endorsed.push(Endorsed { endorsements: vec![endorsement], ..told(&next) });
            both.next = Some(next);
        }
        Ok(both)
    }

    /// The same, making certificates of hosts that are valid for so long.
    #[must_use]
    pub fn with_host_life(self, life: std::time::Duration) -> Self {
        let next = self.next.map(|next| next.with_host_life(life));
        Self { serving: self.serving.with_host_life(life), next, endorsed: self.endorsed }
    }

    /// The one that certifies this collector.
    pub fn serving(&self) -> &Authority {
        &self.serving
    }

    /// The one that takes its place when the rotation is finished.
    pub fn next(&self) -> Option<&Authority> {
        self.next.as_ref()
    }

    /// All of them, the serving one first.
    pub fn all(&self) -> impl Iterator<Item = &Authority> {
        std::iter::once(&self.serving).chain(&self.next)
    }

    /// The fingerprints of all of them.
    pub fn ids(&self) -> Vec<AuthorityId> {
        self.all().map(Authority::id).collect()
    }

    /// All of them as sensors are told: the next one with the word of the serving one.
    pub fn endorsed(&self) -> &[Endorsed] {
        &self.endorsed
    }

    /// The certificates of all of them, as PEM: what `ca.pem` holds.
    pub fn pem(&self) -> String {
        self.all().map(Authority::pem).collect()
    }

    /// Checks that a host's certificate was made by one of them.
    ///
    /// # Errors
    /// When a certificate of theirs cannot serve as a root.
    pub fn client_verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, CaError> {
        tls::client_verifier(self.all())
    }

    /// TLS with this server certificate, for hosts that any of them has certified.
    ///
    /// # Errors
    /// When the certificate and its key do not fit, which ours always do.
    pub fn server_tls(
        &self,
        server: &ServerCertificate,
        quic_alpn: &[u8],
    ) -> Result<ServerTls, rustls::Error> {
        tls::server_tls(self.all(), server, quic_alpn)
    }
}

fn told(authority: &Authority) -> Endorsed {
    Endorsed { certificate: authority.certificate().to_vec(), endorsements: Vec::new() }
}
