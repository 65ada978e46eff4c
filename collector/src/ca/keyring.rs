//! The authorities of a collector that runs. Their files may change under it: it reads them again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::watch;
use wire::authority::AuthorityId;
use wire::id::HostId;

use super::{Authorities, Authority, CaError, HostCertificate, HostKey, Rotating};

/// The authorities as their files are now, shared by all that make or check certificates.
#[derive(Debug)]
pub struct Keyring {
    folder: PathBuf,
    host_life: Duration,
    current: watch::Sender<Arc<Authorities>>,
    /// Whether every collector takes what the next authority makes.
    issues_next: AtomicBool,
}

impl Keyring {
    /// Reads the authorities of this folder; makes one if there is none. Certificates of hosts will be valid for `host_life`.
    ///
    /// # Errors
    /// When files cannot be read or made, or do not belong together.
    pub fn open(folder: &Path, host_life: Duration, now: OffsetDateTime) -> Result<Self, CaError> {
        Authority::open_or_create(folder, now)?;
        // Ends what a command that was killed has begun; another one may be at it just now.
        drop(Rotating::take(folder));
        let current = Authorities::open(folder)?.with_host_life(host_life);
        let current = watch::Sender::new(Arc::new(current));
        Ok(Self { folder: folder.to_owned(), host_life, current, issues_next: AtomicBool::new(false) })
    }

    /// The authorities now.
    pub fn current(&self) -> Arc<Authorities> {
        self.current.borrow().clone()
    }

    /// The authorities, and their changes.
    pub fn changes(&self) -> watch::Receiver<Arc<Authorities>> {
        self.current.subscribe()
    }

    /// The fingerprint of the one that certifies hosts now.
    pub fn issuing(&self) -> AuthorityId {
        let current = self.current();
        self.issuer(&current).id()
    }

    /// Of these, the one that certifies hosts now.
    pub fn issuer<'a>(&self, current: &'a Authorities) -> &'a Authority {
        let next = current.next().filter(|_| self.issues_next.load(Ordering::Relaxed));
        next.unwrap_or(current.serving())
    }

    /// Makes a host's certificate by the authority that certifies hosts now; see [`Authority::certify_host`].
    ///
    /// # Errors
    /// When signing fails, which a sound key never does.
    pub fn certify_host(
        &self,
        host: HostId,
        key: &HostKey,
        now: OffsetDateTime,
    ) -> Result<HostCertificate, CaError> {
        let current = self.current();
        self.issuer(&current).certify_host(host, key, now)
    }

    /// Sets whether the next authority certifies hosts from now on.
    pub fn set_issues_next(&self, issues_next: bool) {
        self.issues_next.store(issues_next, Ordering::Relaxed);
    }

    /// Removes what a finished rotation has left of the authority before; to be called once what is shown was made anew.
    pub fn settle(&self) {
        // When another command is at it, that does the same.
        drop(Rotating::take(&self.folder));
    }

    /// Reads the files again; true if they hold other authorities than before.
    ///
    /// # Errors
    /// When they cannot be read, or are being copied just now: those read before stay.
    pub fn reload(&self) -> Result<bool, CaError> {
        let found = Authorities::open(&self.folder)?;
        if found.ids() == self.current().ids() {
            return Ok(false);
        }
        self.current.send_replace(Arc::new(found.with_host_life(self.host_life)));
        Ok(true)
    }
}
