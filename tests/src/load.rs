//! Many execs, each with an argument of its own, and what became of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tempfile::TempDir;

use crate::group::Group;
use crate::stack::Stack;
use crate::wait::{poll, until};

/// A shell that executes a program again and again, with `n0`, `n1` and so on as its argument.
pub struct Load {
    scratch: TempDir,
    n: usize,
    shell: Child,
}

/// What was found of a load, and what the ledger tells.
#[derive(Clone, Debug, Default)]
pub struct Fate {
    /// How often the exec with each argument was found.
    pub seen: HashMap<String, usize>,
    /// Records lost, dropped or rejected, of all streams.
    pub lost: usize,
}

/// The records of each exec of a load: fork, exec and exit.
pub const RECORDS_PER_EXEC: usize = 3;

impl Load {
    /// Starts `n` execs, one after the other, in this group.
    ///
    /// # Errors
    /// When the shell or the program cannot be had.
    pub fn start(group: &Group, n: usize) -> anyhow::Result<Self> {
        let scratch = tempfile::tempdir()?;
        let program = program_in(scratch.path());
        std::fs::copy("/bin/true", &program)?;
        let script = format!(
            "i=0; while [ $i -lt {n} ]; do {} n$i; i=$((i+1)); [ $((i % 100)) -eq 0 ] && echo $i > {}; done; :",
            program.display(),
            progress_in(scratch.path()).display()
        );
        let shell = group
            .command("/bin/sh")
            .args(["-c", &script])
            .spawn()
            .context("cannot start the load's shell")?;
        Ok(Self { scratch, n, shell })
    }

    /// Waits until so many execs are done; it is told in hundreds.
    pub fn reached(&self, n: usize) {
        until("the load goes on", Duration::from_secs(120), || {
            let text = std::fs::read_to_string(progress_in(self.scratch.path())).unwrap_or_default();
            (text.trim().parse::<usize>().unwrap_or(0) >= n).then_some(())
        });
    }

    /// Waits for its end and executes the program once more; the query that finds all of its execs but that last one.
    ///
    /// # Panics
    /// When a program does not end well.
    pub fn end(&mut self, group: &Group) -> String {
        assert!(self.shell.wait().expect("the load's shell can be waited for").success());
        let mut last = group.command(program_in(self.scratch.path()));
        assert!(last.arg("the-end").status().expect("the program runs").success());
        self.query()
    }

    /// Waits for its end, executes the program once more, and asks until that is found and `is_whole` says that
    /// nothing more is to come.
    ///
    /// # Panics
    /// When that does not come true within a minute, with what was found instead.
    pub fn finish(&mut self, group: &Group, stack: &Stack, is_whole: impl Fn(&Fate) -> bool) -> Fate {
        self.end(group);
        until("the end is found", Duration::from_secs(60), || {
            let found = stack.search("process.args:the-end and event.action:exec").ok()?;
            (found.len() == 1).then_some(())
        });
        let mut fate = Fate::default();
        let whole = poll(Duration::from_secs(60), || {
            fate = Fate { seen: self.seen(stack)?, lost: lost(stack)? };
            is_whole(&fate).then_some(())
        });
        assert!(
            whole.is_some(),
            "of {} execs {} are found, and the ledger tells of {} records\n{}",
            self.n,
            fate.seen.len(),
            fate.lost,
            stack.logs()
        );
        fate
    }

    fn query(&self) -> String {
        format!(
            "process.executable:\"{}\" and event.action:exec and not process.args:the-end",
            program_in(self.scratch.path()).display()
        )
    }

    fn seen(&self, stack: &Stack) -> Option<HashMap<String, usize>> {
        let mut seen = HashMap::new();
        for event in stack.search(&self.query()).ok()? {
            let argument = event.pointer("/process/args/1").and_then(Value::as_str)?;
            *seen.entry(argument.to_owned()).or_default() += 1;
        }
        Some(seen)
    }
}

impl Fate {
    /// Those found more than once.
    pub fn twice(&self) -> Vec<&str> {
        self.seen.iter().filter(|(_, n)| **n > 1).map(|(argument, _)| argument.as_str()).collect()
    }
}

/// What the ledger of all streams of the one host says was lost, dropped or rejected.
fn lost(stack: &Stack) -> Option<usize> {
    let hosts = stack.json(&["hosts", "--output", "json"]).ok()?;
    let id = hosts.first()?.pointer("/host/id")?.as_str()?;
    let shown = stack.json(&["hosts", "show", id, "--output", "json"]).ok()?;
    let streams = shown.first()?.get("streams")?.as_array()?;
    let counts = streams.iter().flat_map(|stream| ["lost", "dropped", "rejected"].map(|name| &stream[name]));
    counts.map(|count| usize::try_from(count.as_u64()?).ok()).sum()
}

fn program_in(scratch: &Path) -> PathBuf {
    scratch.join("counted")
}

fn progress_in(scratch: &Path) -> PathBuf {
    scratch.join("progress")
}
