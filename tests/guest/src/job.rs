//! Small jobs in a program of its own: what a scenario needs beside itself.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::bail;

use crate::scenario::escape;
use crate::scenario::process::{end, exec, words};

/// Does a job of [`crate::stage::Stage::job`].
pub(crate) fn run(job: &[&str]) -> anyhow::Result<()> {
    match job {
        ["end-with-threads"] => end::end_with_threads(),
        ["end-leader-first"] => end::end_leader_first(),
        ["overwrite-arguments", _] => words::overwrite_arguments(),
        ["execute", program] => Err(Command::new(program).exec().into()),
        ["execute-in-thread", program] => exec::execute_in_thread(program),
        ["escape", job @ ..] => escape::run_job(job),
        _ => bail!("no job {job:?}"),
    }
}
