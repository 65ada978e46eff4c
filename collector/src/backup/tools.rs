//! PostgreSQL's own programs for a copy of a database: `pg_dump` and `pg_restore`.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};

use crate::postgres::Binaries;

/// A program of PostgreSQL did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It is not installed, or cannot be run.
    #[error("cannot run {program}: apt-get install postgresql-client")]
    Run {
        /// Which.
        program: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It said no.
    #[error("{program} failed: {said}")]
    Failed {
        /// Which.
        program: &'static str,
        /// Its last words.
        said: String,
    },
}

/// One that runs.
pub(super) struct Tool {
    program: &'static str,
    child: Child,
    said: Option<std::thread::JoinHandle<String>>,
}

/// Writes the whole database to its standard output, as of one moment.
pub(super) fn dump(url: &str) -> Result<Tool, ToolError> {
    // Batches are compressed already; the narrow rows beside them get half as long with little effort.
    let words = ["--format=custom", "--compress=1", "--no-owner", "--no-privileges"];
    start("pg_dump", url, &words, (Stdio::null(), Stdio::piped()))
}

/// Reads what [`dump`] wrote from its standard input, into an empty database: all of it or nothing.
pub(super) fn load(url: &str) -> Result<Tool, ToolError> {
    let words = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"];
    start("pg_restore", url, &words, (Stdio::piped(), Stdio::null()))
}

fn start(
    program: &'static str,
    url: &str,
    words: &[&str],
    (input, output): (Stdio, Stdio),
) -> Result<Tool, ToolError> {
    let path = Binaries::find(None).map_or_else(|_| program.into(), |binaries| binaries.program(program));
    let (url, password) = without_password(url);
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    // Not among the words: those everybody can read.
    command.envs(password.map(|password| ("PGPASSWORD", password)));
    command.args(words).arg("--dbname").arg(url).env("LC_ALL", "C").env("TZ", "UTC");
    let child = command.stdin(input).stdout(output).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|source| ToolError::Run { program, source })?;
    let said = child.stderr.take().map(|mut stderr| {
        std::thread::spawn(move || {
            let mut said = Vec::new();
            drop(stderr.read_to_end(&mut said));
            String::from_utf8_lossy(&said).into_owned()
        })
    });
    Ok(Tool { program, child, said })
}

impl Tool {
    /// What it writes.
    pub(super) fn output(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// What it reads; it ends when this is dropped.
    pub(super) fn input(&mut self) -> Option<std::process::ChildStdin> {
        self.child.stdin.take()
    }

    /// Waits for its end.
    pub(super) fn end(mut self) -> Result<(), ToolError> {
        let program = self.program;
        let status = self.child.wait().map_err(|source| ToolError::Run { program, source })?;
        let said = self.said.take().and_then(|said| said.join().ok()).unwrap_or_default();
        if status.success() {
            return Ok(());
        }
        let error = said.lines().find_map(|line| Some(line.split_once("error: ")?.1));
        let said = error.or_else(|| said.lines().last()).unwrap_or("it said nothing");
        Err(ToolError::Failed { program, said: said.trim().to_owned() })
    }
}

/// A URL, and the password that was in it.
fn without_password(url: &str) -> (String, Option<String>) {
    let Ok(mut parsed) = reqwest::Url::parse(url) else { return (url.to_owned(), None) };
    let Some(password) = parsed.password().map(str::to_owned) else { return (url.to_owned(), None) };
    if parsed.set_password(None).is_err() {
        return (url.to_owned(), None);
    }
    (parsed.into(), Some(decoded(&password)))
}

/// Without percent signs.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = |rest: &mut std::str::Bytes<'_>| {
            let pair = [rest.next()?, rest.next()?];
            u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()
        };
        bytes.push(if byte == b'%' { hex(&mut rest).unwrap_or(b'%') } else { byte });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_taken_out_of_the_url() {
        let (url, password) = without_password("postgres://u:a%40b@db:5433/v?sslmode=require");
        assert_eq!(url, "postgres://u@db:5433/v?sslmode=require");
        assert_eq!(password.as_deref(), Some("a@b"));
        let socket = "postgres://vedette@localhost/vedette?host=/var/lib/a%20b";
        assert_eq!(without_password(socket), (socket.to_owned(), None));
    }
}
