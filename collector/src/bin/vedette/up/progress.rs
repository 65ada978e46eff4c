//! What `up` prints while it works, and when it is done.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Instant;

use crate::cli::UpArgs;

/// Steps, one a line, each with the time it took.
pub(crate) struct Progress {
    step: Option<(String, Instant)>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { step: None }
    }

    pub(crate) fn step(&mut self, name: &str) {
        if let Some((unfinished, _)) = self.step.replace((name.to_owned(), Instant::now())) {
            say(&format!("{unfinished}: not finished"));
        }
        if std::io::stdout().is_terminal() {
            print!("  {name} …");
            let _ = std::io::stdout().flush();
        }
    }

    pub(crate) fn done(&mut self, note: impl AsRef<str>) {
        let Some((name, since)) = self.step.take() else { return };
        let note = note.as_ref();
        let note = if note.is_empty() { String::new() } else { format!(": {note}") };
        let start = if std::io::stdout().is_terminal() { "\r" } else { "" };
        say(&format!("{start}  {name}{note} ({:.1} s)", since.elapsed().as_secs_f64()));
    }

    /// The last thing a new user reads.
    pub(crate) fn ready(&mut self, home: &Path, args: &UpArgs, with_sensor: bool) {
        let url = super::collector_url(args);
        say("");
        say(&format!("Vedette runs. API: {url}/api/v1   state and logs: {}", home.display()));
        if !with_sensor && !args.no_sensor {
            let collector = super::reachable(args.listen);
            say("");
            say(
                "No sensor was started: loading programs into the kernel takes root. As root, on this or any host that",
            );
            say(&format!("reaches {collector}, with a token from `vedette enroll-token create`:"));
            say(&format!(
                "  vedette-sensor enroll --collector {collector} --token TOKEN --ca-sha256 FINGERPRINT && vedette-sensor run"
            ));
            say(
                "(the command with token and fingerprint filled in is printed by `vedette enroll-token create`)",
            );
        }
        say("");
        say("Try:");
        say("  vedette search 'event.action:exec' --since 10m");
        say("  vedette tail 'event.category:network'");
        say("  vedette status");
        say("");
        say("Ctrl-C stops everything and leaves nothing in the kernel.");
    }
}

fn say(text: &str) {
    // Nobody reading is no reason to stop what runs.
    let _ = writeln!(std::io::stdout(), "{text}");
    let _ = std::io::stdout().flush();
}
