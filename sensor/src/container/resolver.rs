//! The thread that asks runtimes for the names of their containers.
//!
//! What answers is not trusted, neither to answer at all nor to answer with sense: each question has a moment, each
//! answer may be so long and no longer, so many are asked a second, and a source that fails is left alone for a while.

use std::cell::Cell;
use std::io;
use std::num::NonZeroU32;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::Id;
use super::names::{About, Miss, Request};
pub use source::{Source, SourceError};

mod cri;
mod docker;
mod source;
mod store;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;

/// How long one source may take over one container.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most bytes of an answer. What runtimes say of a container is some kilobytes long.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// The most bytes of a name that are kept.
const MAX_NAME_BYTES: usize = 512;
/// So many containers are asked about a second, and so many at once.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(50).expect("50 is not 0");
const AT_ONCE: NonZeroU32 = NonZeroU32::new(256).expect("256 is not 0");
/// How long a source that failed is left alone at first, and at most.
const REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_secs(300);

/// What became of a request.
pub type Answered = (Id, Result<About, Miss>);

/// A running thread. It ends when this is dropped, after what it is at.
#[derive(Debug)]
pub struct Resolver {
    requests: UnboundedSender<Request>,
    answers: UnboundedReceiver<Answered>,
}

/// Why a source says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not there, may not be read, or is of another kind.
    #[error("is not there, or cannot be read")]
    Absent,
    /// Its answer makes no sense, or is too long.
    #[error("gives no answer that makes sense")]
    Garbled,
    /// It does not answer.
    #[error("does not answer within {} s", PATIENCE.as_secs())]
    Late,
}

impl Resolver {
    /// Starts the thread, which asks these sources, in their order.
    ///
    /// # Errors
    /// When the system has no more threads or descriptors.
    pub fn start(sources: Vec<Source>) -> io::Result<Self> {
        let (requests, asked) = unbounded_channel();
        let (sender, answers) = unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let clerk = Clerk {
            rate: RateLimiter::direct(Quota::per_second(PER_SECOND).allow_burst(AT_ONCE)),
            desks: sources.into_iter().map(Desk::new).collect(),
        };
        thread::Builder::new()
            .name("containers".to_owned())
            .spawn(move || runtime.block_on(clerk.run(asked, sender)))?;
        Ok(Self { requests, answers })
    }

    /// Hands it a container to ask about. How many it has is the caller's to bound.
    pub fn ask(&self, request: Request) {
        if self.requests.send(request).is_err() {
            // The thread ends only with this.
            warn!(container = %request.id, "nobody asks for names of containers any more");
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

/// Looks whether each source answers: for people. Takes 2 s for each that hangs.
///
/// # Errors
/// When the system has no more descriptors.
pub fn look(sources: &[Source]) -> io::Result<Vec<Result<(), Fault>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(async {
        let mut found = Vec::new();
        for source in sources {
            found.push(timeout(PATIENCE, source.look()).await.unwrap_or(Err(Fault::Late)));
        }
        found
    }))
}

struct Clerk {
    rate: DefaultDirectRateLimiter,
    desks: Vec<Desk>,
}

/// A source, and whether it is left alone.
struct Desk {
    source: Source,
    rest: Cell<Option<Rest>>,
}

/// A source failed, is left alone so long, and then the next time so much longer.
#[derive(Clone, Copy)]
struct Rest {
    fault: Fault,
    until: Instant,
    length: Duration,
}

impl Clerk {
    async fn run(self, mut asked: UnboundedReceiver<Request>, answers: UnboundedSender<Answered>) {
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                request = asked.recv() => match request {
                    Some(request) => under_way.push(self.serve(request)),
                    None => return,
                },
                Some(answer) = under_way.next() => if answers.send(answer).is_err() {
                    return;
                },
            }
        }
    }

    async fn serve(&self, request: Request) -> Answered {
        while let Err(early) = self.rate.check() {
            sleep(early.wait_time_from(self.rate.clock().now())).await;
        }
        (request.id, self.find(request).await)
    }

    async fn find(&self, request: Request) -> Result<About, Miss> {
        let mut missed = Miss::NoSource;
        for desk in &self.desks {
            let runtime = desk.source.runtime();
            if request.runtime.is_some_and(|wanted| wanted != runtime) {
                continue;
            }
            let miss = match desk.ask(request.id).await {
                Ok(Some(about)) => {
                    let told = request.runtime.is_none().then_some(runtime);
                    return Ok(About { runtime: told, ..about });
                }
                Ok(None) => Miss::Unknown,
                Err(Fault::Absent) => Miss::NoSource,
                Err(Fault::Garbled) => Miss::Garbled,
                Err(Fault::Late) => Miss::Late,
            };
            // One that says nothing may know it, whatever others say.
            let weight = |miss| {
                [Miss::NoSource, Miss::Unknown, Miss::Garbled, Miss::Late].iter().position(|m| *m == miss)
            };
            if weight(miss) > weight(missed) {
                missed = miss;
            }
        }
        Err(missed)
    }
}

impl Desk {
    fn new(source: Source) -> Self {
        Self { source, rest: Cell::new(None) }
    }

    async fn ask(&self, id: Id) -> Result<Option<About>, Fault> {
        if let Some(rest) = self.rest.get()
            && Instant::now() < rest.until
        {
            return Err(rest.fault);
        }
        let found = timeout(PATIENCE, self.source.ask(id)).await.unwrap_or(Err(Fault::Late));
        match found {
            Ok(_) => self.rest.set(None),
            Err(Fault::Absent) => {}
            Err(fault) => self.leave_alone(fault),
        }
        found
    }

    fn leave_alone(&self, fault: Fault) {
        let length = match self.rest.get() {
            // What else was under way says nothing new.
            Some(rest) if Instant::now() < rest.until => return,
            Some(rest) => rest.length.saturating_mul(2).min(LONGEST_REST),
            None => REST,
        };
        debug!(source = %self.source, ?length, "{fault}; it is left alone for a while");
        self.rest.set(Some(Rest { fault, until: Instant::now() + length, length }));
    }
}

/// A name as far as it is kept.
fn name(text: String) -> Bytes {
    let mut bytes = Bytes::from(text);
    bytes.truncate(MAX_NAME_BYTES);
    // What is cut off is not kept either.
    if bytes.len() == MAX_NAME_BYTES { Bytes::copy_from_slice(&bytes) } else { bytes }
}
