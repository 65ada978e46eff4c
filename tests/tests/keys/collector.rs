//! A collector of a test's own: the real program in a home of its own, over a database that others may share.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tests::stack::{Ran, free_port, program, vedette};
use tests::wait::until;

use crate::PATIENCE;

pub(crate) struct Collector {
    home: TempDir,
    port: u16,
    /// `None`: a private one.
    database: Option<String>,
    child: Option<Child>,
}

impl Collector {
    /// Starts one with an authority of its own.
    pub(crate) fn start(database: Option<&str>) -> Self {
        let mut collector = Self::prepare(database);
        collector.up();
        collector
    }

    /// Starts one more of the same fleet: with the keys of that one, over the same database.
    pub(crate) fn beside(other: &Self) -> Self {
        let mut collector = Self::prepare(other.database.as_deref());
        other.bring(&["ca.pem", "ca.key"], &collector);
        collector.up();
        collector
    }

    fn prepare(database: Option<&str>) -> Self {
        let home = tempfile::Builder::new().prefix("vedette-").tempdir_in("/var/tmp").unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(home.path(), open).unwrap();
        std::fs::create_dir_all(home.path().join("collector")).unwrap();
        Self { home, port: free_port().unwrap(), database: database.map(str::to_owned), child: None }
    }

    /// Starts it, or starts it again.
    pub(crate) fn up(&mut self) {
        let mut command = self.program(&["serve", "--local-cli"]);
        command.args(["--listen", &self.address()]);
        let log = std::fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.child = Some(child);
        let ready = self.folder().join("ready");
        until(&format!("the collector is ready\n{}", self.logs()), PATIENCE, || {
            std::fs::read_to_string(&ready).ok()
        });
    }

    /// Stops it, with its private database.
    pub(crate) fn down(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
        child.wait().unwrap();
    }

    /// Copies files of its folder into that of another, as an operator does.
    pub(crate) fn bring(&self, files: &[&str], to: &Self) {
        for file in files {
            std::fs::copy(self.folder().join(file), to.folder().join(file)).unwrap();
        }
    }

    /// Removes everything it has.
    pub(crate) fn destroy(&mut self) {
        self.down();
        for entry in std::fs::read_dir(self.home.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.unwrap();
        }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where its keys are.
    pub(crate) fn folder(&self) -> PathBuf {
        self.home.path().join("collector")
    }

    /// Runs `vedette-collector` with these words, on its home and database.
    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        self.program(words).stdin(Stdio::null()).output().unwrap().into()
    }

    /// Runs `vedette` with these words, as on its host.
    pub(crate) fn vedette(&self, words: &[&str]) -> Ran {
        vedette(self.home.path()).args(words).output().unwrap().into()
    }

    /// The JSON lines that `vedette` prints.
    pub(crate) fn json(&self, words: &[&str]) -> Vec<Value> {
        let ran = self.vedette(words);
        assert!(ran.code < 2, "vedette {words:?}: {}\n{}", ran.err, self.logs());
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What `vedette status` says.
    pub(crate) fn status(&self) -> Value {
        self.json(&["status", "--output", "json"]).remove(0)
    }

    /// An enrolment token, and the authority's fingerprint beside it.
    pub(crate) fn enroll_token(&self) -> (String, String) {
        let made = self.json(&["enroll-token", "create", "--output", "json"]).remove(0);
        let said = |name: &str| made[name].as_str().unwrap().to_owned();
        (said("token"), said("ca_sha256"))
    }

    /// How many events have this marker, and how many different ones of them.
    pub(crate) fn found(&self, marker: &str) -> (usize, usize) {
        let query = format!("file.path:/{marker}/*");
        let events = self.json(&["search", &query, "--since", "1h", "--limit", "100000", "--output", "json"]);
        let paths: std::collections::HashSet<_> =
            events.iter().map(|event| event["file"]["path"].to_string()).collect();
        (events.len(), paths.len())
    }

    /// Waits until so many events have this marker, each once.
    pub(crate) fn expect(&self, marker: &str, n: usize) {
        let begun = Instant::now();
        while self.found(marker) != (n, n) {
            let found = self.found(marker);
            assert!(begun.elapsed() < PATIENCE, "{marker}: {found:?}, expected {n}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(200)); // poll interval
        }
    }

    pub(crate) fn logs(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(30).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn log(&self) -> PathBuf {
        self.home.path().with_extension("log")
    }

    fn program(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program("vedette-collector"));
        command.args(words).arg("--home").arg(self.home.path()).env_remove("VEDETTE_DATABASE");
        if let Some(url) = &self.database {
            command.args(["--database", url]);
        }
        command
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(child) = &self.child {
            let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
        }
        if let Some(mut child) = self.child.take() {
            drop(child.wait());
        }
        drop(std::fs::remove_file(self.log()));
    }
}
