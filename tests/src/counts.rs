//! What collector and hosts counted, by the names of their metrics.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// Counters of one moment, or of the time between two: the name with its labels, and the number.
#[derive(Clone, Debug, Default)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// From Prometheus' text.
    pub fn parse(text: &str) -> Self {
        let counter = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            let is_counter = name.split('{').next()?.ends_with("_total");
            is_counter.then_some((name.to_owned(), value.parse().ok()?))
        };
        Self(text.lines().filter_map(counter).collect())
    }

    /// What a program serves at `/metrics`; nothing when it does not answer.
    pub fn fetch(at: SocketAddr) -> Self {
        Self::parse(&fetch(at))
    }

    /// These and others.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// What has grown since, and by how much.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let grown = |(name, n): (&String, &u64)| {
            let grown = n.saturating_sub(before.0.get(name).copied().unwrap_or(0));
            (grown > 0).then(|| (name.clone(), grown))
        };
        Self(self.0.iter().filter_map(grown).collect())
    }

    /// The sum of those whose name and labels begin like this.
    pub fn of(&self, beginning: &str) -> u64 {
        self.0.iter().filter(|(name, _)| name.starts_with(beginning)).map(|(_, n)| n).sum()
    }

    /// Those of sessions and handshakes, in one line.
    pub fn of_sessions(&self) -> String {
        let is_told =
            |name: &str| ["session", "handshake", "connection_failed"].iter().any(|n| name.contains(n));
        let told = self.0.iter().filter(|(name, _)| is_told(name));
        told.map(|(name, n)| format!("{n} {}", name.replace("_total", ""))).collect::<Vec<_>>().join(", ")
    }
}

/// What a program serves at `/metrics`, as it stands; nothing when it does not answer.
pub fn fetch(at: SocketAddr) -> String {
    let mut text = String::new();
    let ask = || -> std::io::Result<usize> {
        let mut stream = TcpStream::connect(at)?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        stream.read_to_string(&mut text)
    };
    if let Err(e) = { ask }() {
        eprintln!("no metrics at {at}: {e}");
    }
    text
}
