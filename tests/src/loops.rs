//! Deeds that are done again and again while somebody measures, and what repeats them.

use std::fs::File;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

/// How often something was done, and how long all of it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// How often.
    pub n: u64,
    /// The time from the first one's begin to the last one's end.
    pub took: Duration,
}

impl Done {
    /// So many a second.
    pub fn per_second(self) -> f64 {
        self.n as f64 / self.took.as_secs_f64()
    }
}

/// Repeats a deed for about so long; the clock is looked at after each `stride` of them.
pub fn repeat_for(at_least: Duration, stride: u64, mut deed: impl FnMut()) -> Done {
    let start = Instant::now();
    let mut n = 0;
    while start.elapsed() < at_least {
        (0..stride).for_each(|_| deed());
        n += stride;
    }
    Done { n, took: start.elapsed() }
}

/// Repeats a deed so many times.
pub fn repeat(n: u64, mut deed: impl FnMut()) -> Done {
    let start = Instant::now();
    (0..n).for_each(|_| deed());
    Done { n, took: start.elapsed() }
}

/// fork, exec and wait of /bin/true.
///
/// # Panics
/// When it does not run.
pub fn execute() {
    assert!(Command::new("/bin/true").status().expect("/bin/true runs").success());
}

/// Opens a file to read it, and closes it.
///
/// # Panics
/// When it cannot be opened.
pub fn open(path: &Path) {
    drop(File::open(path).expect("the file is there"));
}

/// One end that listens on loopback, for connections from this very thread.
pub struct Loopback {
    listener: TcpListener,
    address: SocketAddr,
}

impl Loopback {
    /// Listens on a port that was free.
    ///
    /// # Errors
    /// When the system has none.
    pub fn new() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Connects, accepts, and closes both ends. The client resets it: else its port would be taken for a minute.
    ///
    /// # Panics
    /// When it cannot connect.
    pub fn connect(&self) {
        let client = TcpStream::connect(self.address).expect("loopback connects");
        let (mut server, _) = self.listener.accept().expect("loopback accepts");
        let at_once = nix::libc::linger { l_onoff: 1, l_linger: 0 };
        setsockopt(&client, sockopt::Linger, &at_once).expect("a socket can be reset");
        drop(client);
        // The reset ends the server's side too.
        let _ = server.read(&mut [0]);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn deeds_are_counted_and_timed() {
        let mut n_seen = 0;
        let done = repeat(7, || n_seen += 1);
        assert_eq!((done.n, n_seen), (7, 7));
        let done = repeat_for(Duration::from_millis(1), 4, || n_seen += 1);
        assert!(done.n >= 4 && done.n % 4 == 0 && done.took >= Duration::from_millis(1));
        assert_eq!(Done { n: 10, took: Duration::from_secs(2) }.per_second(), 5.0);
    }

    #[test]
    fn each_deed_can_be_done_twice() {
        let loopback = Loopback::new().unwrap();
        repeat(2, || loopback.connect());
        repeat(2, || open(Path::new("/dev/null")));
        repeat(2, execute);
    }
}
