//! Who is connected now.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wire::authority::Authorities;
use wire::frame::Code;
use wire::id::{BootId, HostId};
use wire::time::WallTime;

use super::HostIdentity;

/// For how long an older session may still be heard of: what was on its way when it was given up.
const AFTERGLOW: Duration = Duration::from_secs(2);

/// The sessions that are live now, by host. Shared by the listener, the API and whoever revokes.
#[derive(Debug, Default)]
pub struct Sessions {
    live: Mutex<Live>,
    n_live: AtomicUsize,
    announced: watch::Sender<Option<Arc<Authorities>>>,
}

#[derive(Debug, Default)]
struct Live {
    /// The oldest first.
    by_host: HashMap<HostId, Vec<Entry>>,
    last: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    connected: Connected,
    /// A newer session of the same host that is to be reported, and since when it is there.
    challenger: Option<(Connected, Instant)>,
    cut: CancellationToken,
    code: Code,
}

/// One live session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Who.
    pub identity: HostIdentity,
    /// From where.
    pub address: SocketAddr,
    /// Since when.
    pub since: WallTime,
    /// The same on the clock that never jumps.
    pub begun: Instant,
    /// The host's boot, as it says.
    pub boot: BootId,
    /// The sensor's version, as it says.
    pub sensor_version: String,
    /// The host's name, as it says.
    pub host_name: String,
}

/// A session's place among the live ones; gone when this is dropped.
#[derive(Debug)]
pub(super) struct Registration<'a> {
    sessions: &'a Sessions,
    host: HostId,
    number: u64,
    cut: CancellationToken,
}

impl Sessions {
    /// Enters a session. Of more than `max` of one host, the oldest are cut.
    pub(super) fn enter(&self, connected: Connected, max: usize) -> Registration<'_> {
        let mut live = self.lock();
        live.last += 1;
        let (number, host, cut) = (live.last, connected.identity.host, CancellationToken::new());
        let entries = live.by_host.entry(host).or_default();
        let n_too_many = (entries.len() + 1).saturating_sub(max);
        for entry in entries.iter_mut().take(n_too_many) {
            entry.cut(Code::REPLACED);
        }
        for entry in entries.iter_mut() {
            entry.challenger = Some((connected.clone(), Instant::now()));
        }
        entries.push(Entry { number, connected, challenger: None, cut: cut.clone(), code: Code::DONE });
        self.n_live.fetch_add(1, Ordering::Relaxed);
        Registration { sessions: self, host, number, cut }
    }

    /// Closes every session of a host with this code. Returns how many there were.
    pub fn cut(&self, host: HostId, code: Code) -> usize {
        let mut live = self.lock();
        let mut n = 0;
        for entry in live.by_host.get_mut(&host).into_iter().flatten() {
            entry.cut(code);
            n += 1;
        }
        n
    }

    /// Tells every sensor, now and when it connects, which authorities are in use; `None`: there is nothing to be told.
    pub fn announce(&self, authorities: Option<Authorities>) {
        self.announced.send_if_modified(|announced| {
            let is_new = announced.as_deref() != authorities.as_ref();
            if is_new {
                *announced = authorities.map(Arc::new);
            }
            is_new
        });
    }

    /// What sensors are to be told, and its changes.
    pub(super) fn announced(&self) -> watch::Receiver<Option<Arc<Authorities>>> {
        self.announced.subscribe()
    }

    /// The live sessions of a host.
    pub fn of(&self, host: HostId) -> Vec<Connected> {
        let live = self.lock();
        live.by_host.get(&host).into_iter().flatten().map(|entry| entry.connected.clone()).collect()
    }

    /// Every live session, in no order.
    pub fn all(&self) -> Vec<Connected> {
        self.lock().by_host.values().flatten().map(|entry| entry.connected.clone()).collect()
    }

    /// How many sessions are live.
    pub fn n_live(&self) -> usize {
        self.n_live.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn cut(&mut self, code: Code) {
        self.code = code;
        self.cut.cancel();
    }
}

impl Registration<'_> {
    /// Waits until someone cuts this session; says why.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub(super) async fn cut(&self) -> Code {
        self.cut.cancelled().await;
        self.with(|entry| entry.code).unwrap_or(Code::DONE)
    }

    /// To be called when this session is heard of: if a newer one of the same host has been there
    /// for a while, gives this one and that one, once.
    pub(super) fn take_challenger(&self, now: Instant) -> Option<(Connected, Connected)> {
        self.with(|entry| {
            let (_, since) = entry.challenger.as_ref()?;
            if now.saturating_duration_since(*since) < AFTERGLOW {
                return None;
            }
            let (theirs, _) = entry.challenger.take()?;
            Some((entry.connected.clone(), theirs))
        })
        .flatten()
    }

    fn with<T>(&self, f: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let mut live = self.sessions.lock();
        let entries = live.by_host.get_mut(&self.host)?;
        entries.iter_mut().find(|entry| entry.number == self.number).map(f)
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        let mut live = self.sessions.lock();
        if let Some(entries) = live.by_host.get_mut(&self.host) {
            entries.retain(|entry| entry.number != self.number);
            if entries.is_empty() {
                live.by_host.remove(&self.host);
            }
        }
        self.sessions.n_live.fetch_sub(1, Ordering::Relaxed);
    }
}
