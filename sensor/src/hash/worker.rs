//! The thread that reads executables: one file at a time, at a low priority, so many bytes a second. A shorter file
//! that is asked for meanwhile is read first, so that a long one does not make all others miss their batches.

use std::collections::VecDeque;
use std::io::{self, Read as _, Seek as _};
use std::num::NonZeroU32;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use aws_lc_rs::digest;
use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use metrics::counter;
use nix::time::{ClockId, clock_getres};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::{debug, warn};

use super::find::{Found, find};
use super::stat::Stat;
use super::tick::Tick;
use super::{FileId, Request, Sha256, Skip};
use crate::clock::Reading;

/// So much is read at once.
const CHUNK_BYTES: u64 = 128 << 10;
/// So much every file counts at least, as finding it costs too.
const LEAST_BYTES: u64 = 64 << 10;
/// A tenth of what others get where they compete; the rate is what bounds the cost. At the very lowest priority a host
/// that is busy would make the batches go without their hashes.
const NICE: i32 = 10;

/// What became of a request.
pub type Answered = (FileId, Result<Sha256, Skip>);

/// A running thread. It ends when this is dropped, after what it is at.
#[derive(Debug)]
pub struct Worker {
    requests: mpsc::Sender<Request>,
    answers: UnboundedReceiver<Answered>,
}

struct Reader {
    requests: mpsc::Receiver<Request>,
    /// Taken out of there, and not shorter than what was being read.
    later: VecDeque<Request>,
    max_bytes: u64,
    rate: DefaultDirectRateLimiter,
    tick: Tick,
    answers: UnboundedSender<Answered>,
}

impl Worker {
    /// Starts the thread, which reads files of up to so many bytes, and so many MiB a second.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub fn start(max_file_bytes: u64, mib_per_second: NonZeroU32) -> io::Result<Self> {
        let (requests, asked) = mpsc::channel();
        let (sender, answers) = unbounded_channel();
        let kib = mib_per_second.saturating_mul(NonZeroU32::new(1024).unwrap_or(NonZeroU32::MIN));
        let step = clock_getres(ClockId::CLOCK_REALTIME_COARSE).map_err(io::Error::from)?;
        let reader = Reader {
            requests: asked,
            later: VecDeque::new(),
            max_bytes: max_file_bytes,
            rate: RateLimiter::direct(Quota::per_second(kib)),
            tick: Tick::new(i64::try_from(Duration::from(step).as_nanos()).unwrap_or(i64::MAX)),
            answers: sender,
        };
        thread::Builder::new().name("hash".to_owned()).spawn(move || {
            if let Err(error) = rustix::process::setpriority_process(None, NICE) {
                warn!(%error, "executables are read at the priority of everything else");
            }
            reader.run();
        })?;
        Ok(Self { requests, answers })
    }

    /// Hands it a file to read, after those that it has been handed. How many these are is the caller's to bound.
    pub fn ask(&self, request: Request) {
        let file = request.file;
        if self.requests.send(request).is_err() {
            // The thread ends only with this.
            warn!(inode = file.inode, "nobody reads executables any more");
        }
    }

    /// The next answer that is there.
    pub fn next_answer(&mut self) -> Option<Answered> {
        self.answers.try_recv().ok()
    }

    /// Waits for the next answer.
    ///
    /// # Cancel safety
    /// No answer is lost when it is dropped.
    pub async fn answered(&mut self) -> Option<Answered> {
        self.answers.recv().await
    }
}

impl Reader {
    fn run(mut self) {
        while !self.answers.is_closed() {
            let Some(request) = self.later.pop_front().or_else(|| self.requests.recv().ok()) else { return };
            self.serve(&request);
        }
    }

    fn serve(&mut self, request: &Request) {
        let answer = self.hash(request);
        if let Err(skip) = answer {
            let executable = String::from_utf8_lossy(&request.executable);
            debug!(%executable, reason = skip.name(), just_executed = request.ran.is_some(), "an executable is not hashed");
        }
        // Nobody waits for it any more when the sensor ends.
        let _ = self.answers.send((request.file, answer));
    }

    /// Reads first what is asked for by now and is shorter than what is left of this one.
    fn let_pass(&mut self, n_left: u64) {
        while let Ok(request) = self.requests.try_recv() {
            if request.file.size < n_left {
                self.serve(&request);
            } else {
                self.later.push_back(request);
            }
        }
    }

    fn hash(&mut self, request: &Request) -> Result<Sha256, Skip> {
        let Found { mut file, mut stat, runs } = find(request, self.tick)?;
        for _ in 0..2 {
            if stat.size > self.max_bytes {
                return Err(Skip::TooLarge);
            }
            // From here on every change will show.
            let now_ns = Reading::now().map_err(|_| Skip::Unreadable)?.wall.unix_ns();
            thread::sleep(Duration::from_nanos(self.tick.rest_ns(stat.changed_ns, now_ns)));
            let sha256 = self.read(&mut file, stat.size)?;
            let after = Stat::of(&file)?;
            match (sha256, after == stat) {
                (Some(sha256), true) => return Ok(sha256),
                // It may just have been unlinked. Whoever changes it twice does so again.
                (_, false) if runs && after.inode == stat.inode && after.size == stat.size => {
                    stat = after;
                    file.rewind().map_err(|_| Skip::Unreadable)?;
                }
                _ => break,
            }
        }
        Err(Skip::Changed)
    }

    /// The hash of the file from its start; `None` if it is not of this length.
    fn read(&mut self, file: &mut std::fs::File, size: u64) -> Result<Option<Sha256>, Skip> {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut chunk = vec![0; CHUNK_BYTES.min(size.saturating_add(1)) as usize];
        let mut n_read = 0;
        loop {
            self.let_pass(size.saturating_sub(n_read));
            self.pay(CHUNK_BYTES.min(size.saturating_sub(n_read)));
            let n = match file.read(&mut chunk) {
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(Skip::Unreadable),
            };
            let Some(read) = chunk.get(..n).filter(|read| !read.is_empty()) else { break };
            n_read += n as u64;
            if n_read > size || self.answers.is_closed() {
                return Ok(None);
            }
            counter!("sensor_hash_read_bytes_total").increment(n as u64);
            context.update(read);
        }
        let bytes: Option<[u8; 32]> = context.finish().as_ref().try_into().ok();
        Ok(bytes.filter(|_| n_read == size).map(Sha256::new))
    }

    /// Waits until so many more bytes may be read.
    fn pay(&self, n_bytes: u64) {
        let kib = u32::try_from(n_bytes.max(LEAST_BYTES).div_ceil(1024)).unwrap_or(u32::MAX);
        let Some(kib) = NonZeroU32::new(kib) else { return };
        // A chunk is less than what may be read in a second, so it is never refused for good.
        while let Ok(Err(early)) = self.rate.check_n(kib) {
            thread::sleep(early.wait_time_from(self.rate.clock().now()));
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
