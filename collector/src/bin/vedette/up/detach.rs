//! `vedette up --detach`: the same in the background, with the terminal given back once it runs.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::Found;
use crate::up::instance;

/// Runs this very command line without `--detach`, follows what it prints, and returns when it is ready.
pub(crate) async fn run(home: &Path) -> anyhow::Result<Found> {
    if let Some(holder) = instance::holder(home)? {
        let url = holder.url.unwrap_or_else(|| "not ready yet".to_owned());
        bail!(
            "already running in {} (pid {}, API at {url}); stop it with: vedette down",
            home.display(),
            holder.pid
        );
    }
    let folder = home.join("log");
    std::fs::create_dir_all(&folder).with_context(|| {
        format!("cannot make the folder {}; choose another with VEDETTE_HOME", folder.display())
    })?;
    let path = folder.join("up.log");
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let mut follow = Follow { from: log.metadata()?.len(), file: File::open(&path)? };

    let own = std::env::current_exe().context("cannot tell where this program lies")?;
    let args = std::env::args_os().skip(1).filter(|arg| arg != "--detach");
    let mut child = tokio::process::Command::new("setsid");
    child.arg(own).args(args).env("VEDETTE_HOME", home);
    child.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let mut child = child.spawn().context("cannot start in the background (by setsid, of util-linux)")?;
    loop {
        let ended = tokio::time::timeout(Duration::from_millis(100), child.wait()).await;
        follow.print()?;
        if let Ok(status) = ended {
            bail!("did not start ({}); the above is also in {}", status?, path.display());
        }
        if instance::holder(home)?.is_some_and(|holder| holder.url.is_some()) {
            // What it says when it is ready may be a moment behind the lock.
            tokio::time::sleep(Duration::from_millis(100)).await;
            follow.print()?;
            println!("It runs in the background; stop it with: vedette down");
            return Ok(Found::Something);
        }
    }
}

struct Follow {
    file: File,
    from: u64,
}

impl Follow {
    fn print(&mut self) -> anyhow::Result<()> {
        let mut text = String::new();
        self.file.seek(SeekFrom::Start(self.from))?;
        self.from += self.file.read_to_string(&mut text)? as u64;
        // That line is for who sits in front of it.
        let shown = text.lines().filter(|line| !line.starts_with("Ctrl-C "));
        for line in shown {
            writeln!(std::io::stdout(), "{line}")?;
        }
        Ok(())
    }
}
