//! The way to the collectors: identity, TLS, the uplink and the renewal of the certificate.

use std::sync::Arc;
use std::time::Duration;

use nix::sys::utsname::uname;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use wire::frame::sensor::Facts;
use wire::id::BootId;

use super::{RunError, host};
use crate::config::Config;
use crate::identity::Identity;
use crate::outbox::Outbox;
use crate::probe::Probe;
use crate::renew::{self, RenewConfig};
use crate::uplink::{self, About, Link, UplinkConfig};

/// How long the uplink may take to end; it waits for acknowledgements of its own accord.
const PATIENCE: Duration = Duration::from_secs(15);

/// The tasks that talk to the collectors.
pub(super) struct Report {
    uplink: JoinHandle<()>,
    renewal: JoinHandle<()>,
    stop: CancellationToken,
}

/// What the tasks share with the rest.
pub(super) struct Shared {
    pub(super) outbox: Arc<Outbox>,
    pub(super) link: Arc<Link>,
    pub(super) facts: watch::Receiver<Facts>,
    pub(super) about: About,
}

impl Report {
    /// Starts them. They do not end by themselves.
    ///
    /// # Errors
    /// When the identity's certificates cannot be used.
    pub(super) fn start(config: &Config, identity: Identity, shared: Shared) -> Result<Self, RunError> {
        let stop = CancellationToken::new();
        let collectors = match &config.collectors[..] {
            [] => identity.collectors.clone(),
            given => given.to_vec(),
        };
        if collectors.is_empty() {
            return Err(RunError::NoCollector);
        }
        shared.link.set_trusts(identity.trusted_ids());
        let (renewed, tls) = watch::channel(identity.tls().map_err(RunError::Tls)?);
        let link = shared.link.clone();
        let uplink =
            UplinkConfig { collectors: collectors.clone(), tls, about: shared.about, facts: shared.facts };
        let renewal = RenewConfig { folder: config.folder(), identity, collectors, link };
        Ok(Self {
            uplink: tokio::spawn(uplink::run(uplink, shared.outbox, shared.link, stop.clone())),
            renewal: tokio::spawn(renew::run(renewal, renewed, stop.clone())),
            stop,
        })
    }

    /// Ends them; the uplink first waits a little for what was shipped last to be acknowledged.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        let both = async { tokio::join!(self.uplink, self.renewal) };
        match tokio::time::timeout(PATIENCE, both).await {
            Ok((Ok(()), Ok(()))) => {}
            Ok(_) => warn!("a task that talks to the collectors ended badly"),
            Err(_) => warn!("the uplink does not end; batches that are not acknowledged stay in the spool"),
        }
    }
}

/// What this host says of itself when it connects.
pub(super) fn about(boot: BootId, probe: &Probe) -> About {
    let (kernel_release, arch) = match uname() {
        Ok(name) => {
            (name.release().to_string_lossy().into_owned(), name.machine().to_string_lossy().into_owned())
        }
        Err(_) => Default::default(),
    };
    About {
        host_name: host::name(),
        kernel_release,
        arch,
        boot,
        capabilities: probe.sights().map(|(sight, way)| sight.told(way)).collect(),
    }
}
