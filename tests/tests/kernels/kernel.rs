//! The kernels that can be had.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};

/// One line of the table in `setup/kernels.sh`.
pub(crate) struct Kernel {
    pub(crate) name: String,
    /// Where its image and modules are, or why it cannot be had.
    pub(crate) folder: Result<PathBuf, String>,
}

/// All of the table; fetches what is not here yet.
pub(crate) fn all() -> anyhow::Result<Vec<Kernel>> {
    let script = crate::root().join("setup/kernels.sh");
    let ran = Command::new(&script).output().with_context(|| format!("cannot run {}", script.display()))?;
    ensure!(ran.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&ran.stderr));
    let lines = String::from_utf8(ran.stdout)?;
    lines
        .lines()
        .map(|line| parse(line).with_context(|| format!("{} printed {line:?}", script.display())))
        .collect()
}

fn parse(line: &str) -> Option<Kernel> {
    let mut words = line.splitn(3, ' ');
    let (state, name, rest) = (words.next()?, words.next()?.to_owned(), words.next()?);
    match state {
        "here" => Some(Kernel { name, folder: Ok(PathBuf::from(rest)) }),
        "missing" => Some(Kernel { name, folder: Err(rest.to_owned()) }),
        _ => None,
    }
}
