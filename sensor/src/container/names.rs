//! What runtimes call their containers: asked for once, away from the events' path.
//!
//! Pure: a [`Resolver`](super::resolver::Resolver) does the asking. How much is remembered and asked for is bounded, as who
//! makes control groups chooses the ids.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use lru::LruCache;
use wire::time::BootTime;

use super::{Id, Runtime};
pub use miss::Miss;

mod miss;

/// What a runtime says of a container. What it does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Its name; that of a container in a pod is the pod's for it.
    pub name: Bytes,
    /// The image that it runs, as it was asked for.
    pub image: Bytes,
    /// The name of its pod.
    pub pod: Bytes,
    /// The namespace of its pod.
    pub namespace: Bytes,
    /// The labels of its pod, each `key=value`, in order.
    pub labels: Vec<Bytes>,
    /// Which runtime said so, if the control group's path does not tell.
    pub runtime: Option<Runtime>,
}

/// A container to ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which.
    pub id: Id,
    /// The runtime to ask; `None`: whichever knows it.
    pub runtime: Option<Runtime>,
}

/// What is known of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This.
    Is(Arc<About>),
    /// It was asked for at this time.
    Asked(BootTime),
    /// Nothing, for now.
    Nothing,
}

/// What is remembered, and what is asked for.
#[derive(Debug)]
pub struct ContainerNames {
    is_on: bool,
    fates: LruCache<Id, Fate>,
    waiting: VecDeque<Request>,
    /// Handed out and not answered.
    n_out: usize,
    counts: Counts,
    trouble: Option<Miss>,
}

/// How many containers have names, and how often there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Containers named.
    pub named: u64,
    /// Requests without an answer, in the order of [`Miss::ALL`].
    pub missed: [u64; Miss::ALL.len()],
}

#[derive(Clone, Debug)]
enum Fate {
    /// Since when; and how often that failed before.
    Asked(BootTime, u32),
    Is(Arc<About>),
    /// When it failed last, and how often.
    Failed(BootTime, u32),
}

/// The most containers that are remembered: some 300 bytes each, and a pod's labels.
const MAX_KNOWN: usize = 4096;
/// The most that wait to be handed out.
const MAX_WAITING: usize = 1024;
/// The most that are handed out.
const MAX_OUT: usize = 4;
/// How long what failed is left alone at first, in ns. Each time it is twice as long, up to 2^9 times: 8 minutes.
const REST_NS: u64 = 1_000_000_000;

impl ContainerNames {
    /// Nothing is known. Off: nothing is asked for either.
    pub fn new(is_on: bool) -> Self {
        Self {
            is_on,
            fates: LruCache::unbounded(),
            waiting: VecDeque::new(),
            n_out: 0,
            counts: Counts::default(),
            trouble: None,
        }
    }

    /// Whether anything is asked for.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// What is known of this container; asked for if nothing is.
    pub fn get(&mut self, request: Request, now: BootTime) -> Answer {
        if !self.is_on {
            return Answer::Nothing;
        }
        let n_failed = match self.fates.get(&request.id) {
            Some(Fate::Is(about)) => return Answer::Is(Arc::clone(about)),
            Some(Fate::Asked(since, _)) => return Answer::Asked(*since),
            Some(Fate::Failed(at, n)) => {
                if now.ns().saturating_sub(at.ns()) < REST_NS << (*n).min(9) {
                    return Answer::Nothing;
                }
                n.saturating_add(1)
            }
            None => 0,
        };
        if self.waiting.len() >= MAX_WAITING {
            self.miss(Miss::Busy);
            return Answer::Nothing;
        }
        self.waiting.push_back(request);
        self.remember(request.id, Fate::Asked(now, n_failed));
        Answer::Asked(now)
    }

    /// Asks anew if that failed: the runtime knows more by now.
    pub fn ask_again(&mut self, id: Id) {
        if let Some(Fate::Failed(..)) = self.fates.peek(&id) {
            self.fates.pop(&id);
        }
    }

    /// The next container to ask about, while few are. Each must be [answered](Self::answer).
    pub fn next_request(&mut self) -> Option<Request> {
        if self.n_out >= MAX_OUT {
            return None;
        }
        let request = self.waiting.pop_front()?;
        self.n_out += 1;
        Some(request)
    }

    /// Takes what became of a request.
    pub fn answer(&mut self, id: Id, found: Result<Arc<About>, Miss>, now: BootTime) {
        self.n_out = self.n_out.saturating_sub(1);
        match found {
            Ok(about) => {
                self.counts.named += 1;
                self.trouble = None;
                self.remember(id, Fate::Is(about));
            }
            Err(miss) => {
                let n_failed = match self.fates.peek(&id) {
                    Some(Fate::Asked(_, n)) => *n,
                    _ => 0,
                };
                self.miss(miss);
                // One that has ended by now is rightly not known any more.
                self.trouble = Some(miss).filter(|miss| *miss != Miss::Unknown);
                self.remember(id, Fate::Failed(now, n_failed));
            }
        }
    }

    /// How many were named, and how many not.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Why there was no answer about the container that was asked about last; `None` if there was one, or none was asked
    /// about.
    pub fn trouble(&self) -> Option<Miss> {
        self.trouble
    }

    fn miss(&mut self, miss: Miss) {
        if let Some(count) = self.counts.missed.get_mut(miss as usize) {
            *count += 1;
        }
    }

    fn remember(&mut self, id: Id, fate: Fate) {
        self.fates.put(id, fate);
        if self.fates.len() > MAX_KNOWN {
            self.fates.pop_lru();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(seconds: u64) -> BootTime {
        BootTime::from_ns(seconds * SECOND)
    }

    fn id(n: u32) -> Id {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(n.to_le_bytes()).for_each(|(to, from)| *to = from);
        Id(bytes)
    }

    fn request(n: u32) -> Request {
        Request { id: id(n), runtime: None }
    }

    fn missed(names: &ContainerNames, miss: Miss) -> u64 {
        names.counts().missed.get(miss as usize).copied().unwrap_or_default()
    }

    #[test]
    fn a_container_is_asked_about_once() {
        let mut names = ContainerNames::new(true);
        assert_eq!(names.get(request(1), at(1)), Answer::Asked(at(1)));
        assert_eq!(names.get(request(1), at(2)), Answer::Asked(at(1)));
        assert_eq!((names.next_request(), names.next_request()), (Some(request(1)), None));
        let about = Arc::new(About { name: "web".into(), ..About::default() });
        names.answer(id(1), Ok(Arc::clone(&about)), at(2));
        assert_eq!(names.get(request(1), at(1_000_000)), Answer::Is(about));
        assert_eq!((names.counts().named, names.trouble()), (1, None));
    }

    #[test]
    fn what_failed_is_asked_again_less_and_less_often() {
        let mut names = ContainerNames::new(true);
        let mut asked = Vec::new();
        for second in 0..40 {
            if names.get(request(1), at(second)) == Answer::Asked(at(second)) {
                asked.push(second);
                names.answer(id(1), Err(Miss::Unknown), at(second));
            }
        }
        assert_eq!(asked, [0, 1, 3, 7, 15, 31]);
        assert_eq!((missed(&names, Miss::Unknown), names.trouble()), (6, None));
        names.ask_again(id(1));
        assert_eq!(names.get(request(1), at(40)), Answer::Asked(at(40)), "it has started since");
        names.answer(id(1), Err(Miss::Late), at(41));
        assert_eq!(names.trouble(), Some(Miss::Late));
    }

    #[test]
    fn what_waits_and_what_is_remembered_is_bounded() {
        let mut names = ContainerNames::new(true);
        for n in 0..2 * MAX_WAITING as u32 {
            names.get(request(n), at(1));
        }
        assert_eq!((missed(&names, Miss::Busy), names.waiting.len()), (MAX_WAITING as u64, MAX_WAITING));
        assert_eq!(std::iter::from_fn(|| names.next_request()).count(), MAX_OUT);
        for n in 0..2 * MAX_KNOWN as u32 {
            names.answer(id(n), Ok(Arc::default()), at(1));
        }
        assert_eq!((names.fates.len(), names.n_out), (MAX_KNOWN, 0));
    }

    #[test]
    fn switched_off_it_asks_for_nothing() {
        let mut names = ContainerNames::new(false);
        assert_eq!((names.get(request(1), at(1)), names.next_request()), (Answer::Nothing, None));
    }
}
