//! One running product in a home of its own: started by `vedette up`, asked by its command line.

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::wait::poll;

/// A started product; stopped by `vedette down` when dropped.
pub struct Stack {
    home: TempDir,
    port: u16,
    variables: Vec<(String, String)>,
}

/// What a command printed and how it ended.
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Stack {
    /// Starts everything in an empty home, in the background, with these further flags of `vedette up`.
    ///
    /// # Errors
    /// When it does not start; its own words are in the error.
    pub fn up(flags: &[&str]) -> anyhow::Result<Self> {
        Self::up_with(&[], flags)
    }

    /// The same, with these variables, which are settings of the programs that `vedette up` starts.
    ///
    /// # Errors
    /// As [`Self::up`].
    pub fn up_with(variables: &[(&str, &str)], flags: &[&str]) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new().prefix("vedette-").tempdir_in("/var/tmp")?;
        open_to_the_database(home.path())?;
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let stack = Self { home, port: free_port()?, variables };
        stack.again(flags)?;
        Ok(stack)
    }

    /// Starts everything again in its home, after `vedette down`.
    ///
    /// # Errors
    /// When it does not start; its own words are in the error.
    pub fn again(&self, flags: &[&str]) -> anyhow::Result<()> {
        let listen = format!("127.0.0.1:{}", self.port);
        let mut words = vec!["up", "--detach", "--listen", &listen];
        words.extend(flags);
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        let up = vedette(self.home()).args(words).envs(variables).output();
        let ran = Ran::from(up.context("cannot run vedette")?);
        ensure!(ran.code == 0, "vedette up ended with {}: {}{}\n{}", ran.code, ran.out, ran.err, self.logs());
        Ok(())
    }

    /// Its `$VEDETTE_HOME`.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The collector's port, UDP and TCP.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs `vedette` with these words against this product.
    pub fn vedette(&self, words: &[&str]) -> anyhow::Result<Ran> {
        let output = vedette(self.home.path()).args(words).output().context("cannot run vedette")?;
        Ok(Ran::from(output))
    }

    /// Enrols one more sensor of this machine, with this name, and gives back its host id.
    pub fn enroll(&self, name: &str) -> anyhow::Result<String> {
        let made = self.json(&["enroll-token", "create", "--output", "json"])?;
        let said = |key: &str| made.first().and_then(|made| made.get(key)?.as_str()).unwrap_or_default();
        let ran = Command::new(program("vedette-sensor"))
            .args(["enroll", "--collector", &format!("127.0.0.1:{}", self.port), "--name", name])
            .args(["--token", said("token"), "--ca-sha256", said("ca_sha256"), "--home"])
            .arg(self.home())
            .output()?;
        let ran = Ran::from(ran);
        ensure!(ran.code == 0, "vedette-sensor enroll ended with {}: {}", ran.code, ran.err);
        let words = ran.out.split([' ', ';']);
        words.skip_while(|word| *word != "as").nth(1).map(str::to_owned).context("no host id was printed")
    }

    /// The events that match, newest first, as the API sends them.
    pub fn search(&self, query: &str) -> anyhow::Result<Vec<Value>> {
        self.json(&["search", query, "--since", "1h", "--limit", "100000", "--output", "json"])
    }

    /// The JSON lines a command prints; an exit code of 1 (nothing found) is an empty list.
    pub fn json(&self, words: &[&str]) -> anyhow::Result<Vec<Value>> {
        let ran = self.vedette(words)?;
        if ran.code > 1 {
            bail!("vedette {words:?} ended with {}: {}\n{}", ran.code, ran.err, self.logs());
        }
        ran.out
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}")))
            .collect()
    }

    /// Waits until exactly `n` events match, and gives them back.
    ///
    /// # Panics
    /// When that does not come true, with what was found instead. When `n` is 0, which is true before anything
    /// was stored; see [`Self::expect_none`].
    pub fn expect(&self, query: &str, n: usize) -> Vec<Value> {
        assert!(n > 0, "{query}: nothing is found at once; wait for what came later in the same lane");
        let mut last = Vec::new();
        let found = poll(Duration::from_secs(20), || {
            last = self.search(query).unwrap_or_else(|error| panic!("search {query}: {error:#}"));
            (last.len() == n).then(|| std::mem::take(&mut last))
        });
        found.unwrap_or_else(|| {
            panic!("{query}: {} events, expected {n}: {last:#?}\n{}", last.len(), self.logs())
        })
    }

    /// Waits until `marker` is stored, then finds nothing for `query`. The marker must have happened after what
    /// the query would find and go the same way (a process's life in one lane, connections in the other).
    ///
    /// # Panics
    /// When the marker does not come, or something is found.
    pub fn expect_none(&self, query: &str, marker: &str) {
        self.expect(marker, 1);
        let found = self.search(query).unwrap_or_else(|error| panic!("search {query}: {error:#}"));
        assert!(found.is_empty(), "{query}: {} events, expected none: {found:#?}", found.len());
    }

    /// The process ids of the programs of this home with this name.
    pub fn pids(&self, program: &str) -> Vec<i32> {
        let home = self.home.path().to_string_lossy().into_owned();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).into_owned();
            let first = words.split('\0').next().unwrap_or_default();
            if first.rsplit('/').next() == Some(program) && words.contains(&home) {
                found.push(pid);
            }
        }
        found
    }

    /// The ends of all logs, for messages.
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for entry in std::fs::read_dir(self.home.path().join("log")).into_iter().flatten().flatten() {
            let log = std::fs::read(entry.path()).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<_> = log.lines().rev().take(25).collect();
            text.push_str(&format!("--- {}\n", entry.path().display()));
            text.extend(lines.into_iter().rev().flat_map(|line| [line, "\n"]));
        }
        text
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = self.vedette(&["down"]);
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The command `vedette` of this build, with a home and with nothing else of this machine's environment.
pub fn vedette(home: &Path) -> Command {
    let mut command = Command::new(program("vedette"));
    command.env("VEDETTE_HOME", home).stdin(Stdio::null());
    for name in ["VEDETTE_URL", "VEDETTE_TOKEN", "VEDETTE_CA", "VEDETTE_DATABASE"] {
        command.env_remove(name);
    }
    command
}

/// A program of this build.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it lies");
    let built = test.parent().and_then(Path::parent).expect("tests lie in target/PROFILE/deps").join(name);
    assert!(
        built.is_file(),
        "{} is not built: cargo build -p vedette-collector -p vedette-sensor",
        built.display()
    );
    built
}

/// A port that is free for UDP and TCP now.
pub fn free_port() -> anyhow::Result<u16> {
    for _ in 0..50 {
        let tcp = TcpListener::bind("127.0.0.1:0")?;
        let port = tcp.local_addr()?.port();
        // The next one is for the metrics.
        let next = TcpListener::bind(("127.0.0.1", port.wrapping_add(1)));
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() && next.is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free for both UDP and TCP")
}

/// The private database's user must be able to pass through.
fn open_to_the_database(home: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(home, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}
