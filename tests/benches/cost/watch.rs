//! Who watches while something is measured.

use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tests::bpftrace::{PROCESSES, Trace};
use tests::usage::cpu_exactly;

use super::auditd::{self, Auditd};
use super::site::Site;

/// How long whoever watches must have done (nearly) nothing to have finished with what there was.
const QUIET: Duration = Duration::from_millis(600);
const NEARLY_NOTHING: Duration = Duration::from_millis(6);
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Watch {
    Nothing,
    Default,
    Everything,
    Bpftrace,
    Auditd,
}

/// Somebody who watches now.
pub(crate) enum Watching<'a> {
    Nobody,
    Sensor { site: &'a Site, child: Option<Child>, before: Told },
    Bpftrace(Trace),
    Auditd(Auditd),
}

/// How many events somebody told of, and how many he knows to have lost.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Told {
    pub(crate) n: u64,
    pub(crate) lost: u64,
}

impl Watch {
    pub(crate) const OTHERS: [Self; 4] = [Self::Default, Self::Everything, Self::Bpftrace, Self::Auditd];

    /// As `WATCHES` names it.
    pub(crate) fn short(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Default => "default",
            Self::Everything => "everything",
            Self::Bpftrace => "bpftrace",
            Self::Auditd => "auditd",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Default => "sensor, default",
            Self::Everything => "sensor, everything",
            Self::Bpftrace => "bpftrace, the same",
            Self::Auditd => "auditd, the same",
        }
    }

    /// Why it cannot be had here.
    pub(crate) fn missing(self) -> Option<String> {
        match self {
            Self::Bpftrace => Trace::start("").err().map(|error| format!("{error:#}")),
            Self::Auditd => auditd::missing(),
            _ => None,
        }
    }

    /// Begins to watch; `with_opens`: those who have no collection look at all that is opened too.
    pub(crate) fn start(self, site: &Site, with_opens: bool) -> anyhow::Result<Watching<'_>> {
        let everything = site.everything();
        let everything = everything.to_str().context("a temporary folder has a plain name")?;
        let sensor = |words: &[&str]| -> anyhow::Result<Watching<'_>> {
            let before = ledger(site)?;
            Ok(Watching::Sensor { site, child: Some(site.watcher.start(words, &[])?), before })
        };
        Ok(match self {
            Self::Nothing => Watching::Nobody,
            Self::Default => sensor(&[])?,
            Self::Everything => sensor(&["--collection", everything])?,
            Self::Bpftrace => Watching::Bpftrace(Trace::start(&script(with_opens))?),
            Self::Auditd => Watching::Auditd(Auditd::start(with_opens)?),
        })
    }
}

impl Watching<'_> {
    /// The CPU time of those who watch, their programs in the kernel not included.
    pub(crate) fn cpu(&self) -> Duration {
        self.pids().into_iter().map(cpu_exactly).sum()
    }

    /// Waits until they have nothing to do any more.
    pub(crate) fn settle(&self) {
        if matches!(self, Self::Nobody) {
            return;
        }
        let start = Instant::now();
        loop {
            let before = self.cpu();
            std::thread::sleep(QUIET);
            if self.cpu() - before < NEARLY_NOTHING || start.elapsed() > LONGEST {
                return;
            }
        }
    }

    /// What they told of since they watch.
    pub(crate) fn told(&self) -> anyhow::Result<Told> {
        Ok(match self {
            Self::Nobody => Told::default(),
            Self::Sensor { site, before, .. } => {
                let now = ledger(site)?;
                Told { n: now.n.saturating_sub(before.n), lost: now.lost.saturating_sub(before.lost) }
            }
            Self::Bpftrace(trace) => {
                let (n, lost) = trace.told();
                Told { n, lost }
            }
            Self::Auditd(auditd) => auditd.told(),
        })
    }

    fn pids(&self) -> Vec<u32> {
        match self {
            Self::Nobody => Vec::new(),
            Self::Sensor { child, .. } => child.iter().map(Child::id).collect(),
            Self::Bpftrace(trace) => vec![trace.pid()],
            Self::Auditd(auditd) => auditd.pids(),
        }
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        if let Self::Sensor { site, child, .. } = self
            && let Some(child) = child.take()
        {
            site.watcher.stop(child).expect("the sensor's programs can be removed");
        }
    }
}

/// What the collector says of all streams of the sensor's host.
pub(crate) fn ledger(site: &Site) -> anyhow::Result<Told> {
    let shown = site.stack.json(&["hosts", "show", site.watcher.host(), "--output", "json"])?;
    let streams = shown.first().and_then(|shown| shown.get("streams")?.as_array());
    let of = |names: &[&str]| {
        let streams = streams.into_iter().flatten();
        let counts = streams.flat_map(|stream| names.iter().filter_map(|name| stream.get(name)?.as_u64()));
        counts.sum()
    };
    Ok(Told { n: of(&["stored"]), lost: of(&["lost", "dropped", "rejected"]) })
}

/// What the default collection ships, as far as tracepoints show it.
fn script(with_opens: bool) -> String {
    let only_writes = if with_opens { "" } else { "/args->flags & 3/" };
    format!(
        r#"{PROCESSES}
        tracepoint:sock:inet_sock_set_state {{ printf("socket %d %d %d %s %d\n", pid, args->newstate, args->sport, ntop(args->daddr), args->dport); }}
        tracepoint:syscalls:sys_enter_openat {only_writes} {{ printf("open %d %d %s\n", pid, args->flags, str(args->filename)); }}
        tracepoint:syscalls:sys_enter_unlink, tracepoint:syscalls:sys_enter_unlinkat {{ printf("unlink %d %s\n", pid, str(args->pathname)); }}
        tracepoint:syscalls:sys_enter_rename, tracepoint:syscalls:sys_enter_renameat2 {{ printf("rename %d %s %s\n", pid, str(args->oldname), str(args->newname)); }}
        tracepoint:syscalls:sys_enter_fchmodat {{ printf("chmod %d %s\n", pid, str(args->filename)); }}
        tracepoint:syscalls:sys_enter_mkdir, tracepoint:syscalls:sys_enter_mkdirat {{ printf("mkdir %d %s\n", pid, str(args->pathname)); }}
        tracepoint:syscalls:sys_enter_setuid {{ printf("setuid %d %d\n", pid, args->uid); }}
        tracepoint:signal:signal_generate {{ printf("signal %d %d %d\n", pid, args->pid, args->sig); }}"#
    )
}
