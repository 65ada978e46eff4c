//! auditd with rules for what the sensor ships, for the processes of one login id.
//!
//! Once audit was switched on, the kernel looks at every system call of each task that began since, until it boots
//! again, even while audit is off; a task that the rule `never,task` leaves out at its birth is spared. So that rule
//! stands whenever auditd does not run, also after the benchmark.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::wait::poll;

use super::watch::Told;

/// A login id that nobody has.
const LOGIN: u32 = 424_242;
const NO_LOGIN: u32 = u32::MAX;
/// Records that wait for auditd, as Debian's rules set it.
const BACKLOG: u64 = 8192;

static WAS_USED: AtomicBool = AtomicBool::new(false);

/// auditd at work with its own folder; stopped, and its rules removed, when dropped.
pub(crate) struct Auditd {
    child: Child,
    kernel: Option<u32>,
    dir: tempfile::TempDir,
    backlog_before: u64,
    lost_before: u64,
}

/// Why it cannot run here.
pub(crate) fn missing() -> Option<String> {
    if !std::path::Path::new("/sbin/auditd").exists() {
        return Some("auditd is not installed".to_owned());
    }
    match (status("pid"), status("enabled")) {
        (Ok(0), Ok(0)) => None,
        (Ok(0), Ok(enabled)) => Some(format!("audit is in use here (enabled {enabled})")),
        (Ok(pid), _) => Some(format!("another auditd runs here, process {pid}")),
        (Err(error), _) => Some(format!("the kernel does not audit: {error:#}")),
    }
}

impl Auditd {
    pub(crate) fn start(with_opens: bool) -> anyhow::Result<Self> {
        let backlog_before = status("backlog_limit")?;
        let dir = tempfile::tempdir()?;
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir(path("plugins.d"))?;
        std::fs::write(path("auditd.conf"), settings(&path("audit.log"), &path("plugins.d")))?;
        std::fs::write(path("rules"), rules(with_opens))?;
        WAS_USED.store(true, Ordering::Relaxed);
        let mut command = Command::new("/sbin/auditd");
        command.args(["-n", "-s", "nochange", "-c"]).arg(dir.path()).stdin(Stdio::null());
        let out = std::fs::File::create(path("out"))?;
        let child = command.stdout(out.try_clone()?).stderr(out).spawn()?;
        let mut auditd = Self { child, kernel: kernel_thread(), dir, backlog_before, lost_before: 0 };
        let pid = u64::from(auditd.child.id());
        let listens = poll(Duration::from_secs(10), || {
            let ended = !matches!(auditd.child.try_wait(), Ok(None));
            (ended || status("pid").is_ok_and(|found| found == pid)).then_some(!ended)
        });
        if listens != Some(true) {
            bail!("auditd does not listen: {}", std::fs::read_to_string(auditd.dir.path().join("out"))?);
        }
        control(&["-D"])?;
        control(&["-b", &BACKLOG.to_string()])?;
        let rules = auditd.dir.path().join("rules");
        control(&["-R", rules.to_str().context("a temporary folder has a plain name")?])?;
        control(&["-e", "1"])?;
        auditd.lost_before = status("lost")?;
        // Those who are started from now on are audited.
        log_in(LOGIN)?;
        Ok(auditd)
    }

    /// auditd, and the kernel's thread that hands it what it writes.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.kernel.into_iter().chain([self.child.id()]).collect()
    }

    pub(crate) fn told(&self) -> Told {
        let log = std::fs::read(self.dir.path().join("audit.log")).unwrap_or_default();
        let n = log.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"type=SYSCALL ")).count();
        let lost = status("lost").unwrap_or(0).saturating_sub(self.lost_before);
        Told { n: n as u64, lost }
    }
}

impl Drop for Auditd {
    fn drop(&mut self) {
        let _ = log_in(NO_LOGIN);
        let _ = control(&["-e", "0"]);
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let _ = self.child.wait();
        let _ = control(&["-D"]);
        let _ = control(&["-a", "never,task"]);
        let _ = control(&["-b", &self.backlog_before.to_string()]);
    }
}

/// Says what stays in the kernel.
pub(crate) fn leave() {
    if WAS_USED.load(Ordering::Relaxed) {
        println!(
            "\naudit is off again; its rule `never,task` stays, which spares new processes what audit costs even then: \
             `auditctl -D` removes it"
        );
    }
}

fn settings(log: &std::path::Path, plugins: &std::path::Path) -> String {
    // As Debian's, but in one file, without bounds that could stop it.
    let mut text = format!(
        "local_events = yes\nwrite_logs = yes\nlog_file = {}\nlog_group = root\nplugin_dir = {}\n",
        log.display(),
        plugins.display()
    );
    text.push_str("log_format = ENRICHED\nflush = INCREMENTAL_ASYNC\nfreq = 50\nmax_log_file = 8\n");
    text.push_str("max_log_file_action = IGNORE\npriority_boost = 4\nname_format = NONE\n");
    for bound in ["space_left", "admin_space_left", "disk_full", "disk_error"] {
        text.push_str(&format!("{bound}_action = IGNORE\n"));
    }
    text.push_str("space_left = 2\nadmin_space_left = 1\n");
    text
}

/// What the default collection ships, as far as audit can say it.
fn rules(with_opens: bool) -> String {
    let mut calls = vec!["execve", "execveat", "clone", "clone3", "exit_group"];
    calls.extend(["connect", "accept", "accept4", "bind", "listen"]);
    calls.extend(["ptrace", "setns", "unshare", "mount", "umount2", "pivot_root", "chroot", "bpf"]);
    calls.extend(["init_module", "finit_module", "kexec_load", "io_uring_setup", "memfd_create"]);
    calls.extend(["setuid", "setgid", "setresuid", "setresgid", "setreuid", "setregid", "capset"]);
    calls.extend(["kill", "tkill", "tgkill"]);
    if cfg!(target_arch = "x86_64") {
        calls.extend(["fork", "vfork"]);
    }
    if with_opens {
        calls.extend(["openat", "openat2"]);
    }
    let mut text = format!("-a never,task -F auid!={LOGIN}\n");
    text.push_str(&format!("-a always,exit -F arch=b64 -S {} -F auid={LOGIN}\n", calls.join(",")));
    for dir in ["/etc", "/usr", "/boot", "/opt", "/var/spool/cron", "/var/lib/dpkg", "/var/www", "/srv"] {
        if std::fs::symlink_metadata(dir).is_ok_and(|meta| meta.is_dir()) {
            text.push_str(&format!("-a always,exit -F dir={dir} -F perm=wa -F auid={LOGIN}\n"));
        }
    }
    for secret in ["/etc/shadow", "/etc/gshadow", "/root/.ssh"] {
        if std::path::Path::new(secret).exists() {
            text.push_str(&format!("-a always,exit -F path={secret} -F perm=r -F auid={LOGIN}\n"));
        }
    }
    text
}

fn log_in(id: u32) -> anyhow::Result<()> {
    std::fs::write("/proc/self/loginuid", id.to_string()).context("cannot set this process's login id")
}

fn control(words: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("/sbin/auditctl").args(words).output().context("cannot run auditctl")?;
    let wrong = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "auditctl {words:?} ended with {}: {wrong}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// One number of `auditctl -s`.
fn status(name: &str) -> anyhow::Result<u64> {
    let told = control(&["-s"])?;
    let value = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = value.with_context(|| format!("auditctl -s says no {name}: {told}"))?;
    Ok(value.trim().parse()?)
}

fn kernel_thread() -> Option<u32> {
    let is_it = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "kauditd")
    };
    let all = std::fs::read_dir("/proc").ok()?.flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(is_it)
}
