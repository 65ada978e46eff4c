//! A program that `up` runs: started, watched, started again, stopped.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cli::UpArgs;
use crate::home;

/// How to run it.
pub(crate) struct Program {
    name: &'static str,
    path: PathBuf,
    args: Vec<OsString>,
    log: PathBuf,
}

/// A program that runs, or ran.
pub(crate) struct Child {
    program: Program,
    process: tokio::process::Child,
    log_from: u64,
    started: Instant,
    pause: Duration,
}

impl Program {
    pub(crate) fn collector(home: &Path, args: &UpArgs) -> anyhow::Result<Self> {
        let mut words: Vec<OsString> =
            vec!["serve".into(), "--local-cli".into(), "--home".into(), home.into()];
        words.extend(["--listen".into(), args.listen.to_string().into()]);
        words.extend(["--retention".into(), args.retention.clone().into()]);
        if let Some(url) = &args.database {
            words.extend(["--database".into(), url.into()]);
        }
        if let Some(brokers) = &args.kafka {
            words.extend(["--kafka".into(), brokers.into(), "--kafka-create-topics".into()]);
        }
        Self::new("collector", "vedette-collector", words, home)
    }

    pub(crate) fn sensor(home: &Path, args: &UpArgs) -> anyhow::Result<Self> {
        let name = home::sensor_name(home);
        let mut words: Vec<OsString> =
            vec!["run".into(), "--home".into(), home.into(), "--name".into(), name.into()];
        // The address may be another than at enrolment.
        words.extend(["--collector".into(), super::reachable(args.listen).to_string().into()]);
        if let Some(cgroup) = &args.cgroup {
            words.extend(["--cgroup".into(), cgroup.into()]);
        }
        Self::new("sensor", "vedette-sensor", words, home)
    }

    fn new(name: &'static str, program: &str, args: Vec<OsString>, home: &Path) -> anyhow::Result<Self> {
        Ok(Self { name, path: sibling(program)?, args, log: home.join("log").join(format!("{name}.log")) })
    }
}

impl Child {
    pub(crate) fn start(program: Program) -> anyhow::Result<Self> {
        let (process, log_from) = spawn(&program)?;
        Ok(Self { program, process, log_from, started: Instant::now(), pause: FIRST_PAUSE })
    }

    /// Waits until the program has written the file; an end before that is an error with its last words.
    pub(crate) async fn wait_for_file(&mut self, file: &Path, at_most: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + at_most;
        loop {
            if file.exists() {
                return Ok(());
            }
            tokio::select! {
                ended = self.ended() => bail!("{ended}"),
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
            if Instant::now() > deadline {
                bail!(
                    "the {} is not ready after {at_most:?}; its log is {}",
                    self.program.name,
                    self.program.log.display()
                );
            }
        }
    }

    /// Waits for its end and says how that came, in its own words where it left any.
    pub(crate) async fn ended(&mut self) -> String {
        let status = self.process.wait().await;
        let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        match last_words(&self.program.log, self.log_from) {
            Some(words) => words,
            None => format!(
                "the {} ended with {how}; its log is {}",
                self.program.name,
                self.program.log.display()
            ),
        }
    }

    /// Asks it to end, and insists after a while.
    pub(crate) async fn stop(&mut self, patience: Duration) {
        let Some(pid) = self.process.id().and_then(|pid| i32::try_from(pid).ok()) else { return };
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        if tokio::time::timeout(patience, self.process.wait()).await.is_err() {
            eprintln!("vedette: the {} did not end within {patience:?} and is killed", self.program.name);
            let _ = self.process.kill().await;
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A program that ran so long starts again without a grown pause.
const STEADY: Duration = Duration::from_secs(60);

/// Returns after the child ended and was started again; never returns for no child.
///
/// # Cancel safety
/// A cancelled call loses nothing: an ended child is seen ended by the next call.
pub(crate) async fn keep_alive(slot: &mut Option<Child>) {
    let Some(child) = slot else { return std::future::pending().await };
    let how = child.ended().await;
    if child.started.elapsed() > STEADY {
        child.pause = FIRST_PAUSE;
    }
    eprintln!("vedette: the {} ended ({how}); starting it again in {:?}", child.program.name, child.pause);
    tokio::time::sleep(child.pause).await;
    child.pause = (child.pause * 2).min(LONGEST_PAUSE);
    match spawn(&child.program) {
        Ok((process, log_from)) => {
            child.process = process;
            child.log_from = log_from;
        }
        Err(error) => eprintln!("vedette: {error:#}"),
    }
    child.started = Instant::now();
}

/// Its own process group, so that Ctrl-C reaches only `up`, which then stops things in order; and a
/// signal at the death of `up`, so that nothing outlives it.
fn spawn(program: &Program) -> anyhow::Result<(tokio::process::Child, u64)> {
    let log = append(&program.log)?;
    let log_from = log.metadata()?.len();
    let mut command = tokio::process::Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]).arg(&program.path).args(&program.args);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    let process = command
        .spawn()
        .with_context(|| format!("cannot run {} (by setpriv, of util-linux)", program.path.display()))?;
    Ok((process, log_from))
}

fn append(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The last line that the program wrote since `from`: programs end on one clear sentence.
fn last_words(log: &Path, from: u64) -> Option<String> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = File::open(log).ok()?;
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut text = Vec::new();
    file.take(1 << 20).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

/// A program of ours: beside this one, else on the path.
pub(crate) fn sibling(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program lies")?;
    let beside = own.with_file_name(name);
    if beside.is_file() {
        return Ok(beside);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file()).with_context(|| {
        format!("{name} is neither beside {} nor on the PATH; run: make build", own.display())
    })
}
