//! SHA-256 of executables: once for each content, away from the events' path.
//!
//! Pure, but for [`worker`] and `find`, which read files. The kernel tells of each image its file's device, inode, size
//! and change time, which together name a content ([`FileId`]). [`Hashes`] says whether that one's hash is known; if
//! not, it asks for it, once, and the answer comes later. How much it remembers and asks for is bounded.

use std::collections::VecDeque;
use std::fmt;

use lru::LruCache;
use wire::time::BootTime;

use crate::record::{Image, Task};

mod filesystem;
mod find;
mod skip;
mod stat;
mod tick;
pub mod worker;

pub use skip::Skip;

/// SHA-256 of a file's content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sha256([u8; 32]);

/// The content of a file: another one has another id, as every change of a file changes its change time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FileId {
    /// The file system's device, as user space has it.
    pub device: u64,
    /// The inode.
    pub inode: u64,
    /// Its length in bytes.
    pub size: u64,
    /// When it was changed last (ctime), in ns since 1970.
    pub changed_ns: i64,
}

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which content is asked for.
    pub file: FileId,
    /// A process that runs it, or did.
    pub task: Task,
    /// Its path in the process's mount namespace.
    pub executable: Box<[u8]>,
    /// The inode of that namespace.
    pub mnt_ns: u32,
    /// It lives in memory only.
    pub memfd: bool,
    /// When it was executed; `None` if it was found running.
    pub ran: Option<BootTime>,
    /// Processes of the same mount namespace, in which the path leads to it if the process has ended.
    pub witnesses: Vec<u32>,
}

/// What is known of a content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Its hash.
    Is(Sha256),
    /// It was asked for at this time and will come.
    Asked(BootTime),
    /// Nothing, and none will come.
    Nothing,
}

/// What is remembered, and what is asked for.
#[derive(Debug)]
pub struct Hashes {
    max_file_bytes: u64,
    fates: LruCache<FileId, Fate>,
    /// What was just executed: a batch waits for it.
    urgent: VecDeque<Request>,
    /// What was found running, or had been told of without.
    patient: VecDeque<Request>,
    /// Handed out and not answered.
    n_out: usize,
    counts: Counts,
}

/// How many files were hashed, and how many were not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files hashed.
    pub hashed: u64,
    /// Files skipped, in the order of [`Skip::ALL`].
    pub skipped: [u64; Skip::ALL.len()],
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    /// Since when it is asked for; and the `Wanted` of `Failed`.
    Asked(BootTime, Wanted),
    Is(Sha256),
    Never,
    /// It failed, and perhaps would not another time.
    Failed(Wanted),
}

/// How often somebody wanted what could not be read: as it was executed, and otherwise, as when it exits. Of each kind it is tried
/// again at 1, 2, 4, 8, … and at each 64th time. Of what runs for a millisecond only the first kind can succeed, and the two
/// come by turns.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    executed: u32,
    otherwise: u32,
}

impl Wanted {
    /// Once more; whether it is to be tried.
    fn again(&mut self, just_executed: bool) -> bool {
        let n = if just_executed { &mut self.executed } else { &mut self.otherwise };
        *n = n.saturating_add(1);
        n.is_power_of_two() || n.is_multiple_of(64)
    }
}

/// The most contents that are remembered: some 100 bytes each.
const MAX_KNOWN: usize = 4096;
/// The most that wait to be handed out.
const MAX_WANTED: usize = 1024;
/// The most that are handed out: one to read, and some that may be read first. What is urgent can overtake the others.
const MAX_OUT: usize = 4;

impl Hashes {
    /// Nothing is known, and files of up to so many bytes will be asked for; 0: none will.
    pub fn new(max_file_bytes: u64) -> Self {
        Self {
            max_file_bytes,
            // Bounded by hand, as a bounded one takes all its memory at once.
            fates: LruCache::unbounded(),
            urgent: VecDeque::new(),
            patient: VecDeque::new(),
            n_out: 0,
            counts: Counts::default(),
        }
    }

    /// What is known of this content, which was just executed or not; `None`: nothing, and it should be [asked for](Self::ask).
    pub fn get(&mut self, file: FileId, just_executed: bool) -> Option<Answer> {
        if self.max_file_bytes == 0 {
            return Some(Answer::Nothing);
        }
        match self.fates.get_mut(&file)? {
            Fate::Is(sha256) => Some(Answer::Is(*sha256)),
            Fate::Asked(since, _) => Some(Answer::Asked(*since)),
            Fate::Never => Some(Answer::Nothing),
            Fate::Failed(wanted) => (!wanted.again(just_executed)).then_some(Answer::Nothing),
        }
    }

    /// Asks for a content of which nothing is known.
    pub fn ask(&mut self, request: Request, now: BootTime) -> Answer {
        let file = request.file;
        let wanted = match self.fates.peek(&file) {
            Some(Fate::Failed(wanted)) => *wanted,
            _ => {
                let mut wanted = Wanted::default();
                wanted.again(request.ran.is_some());
                wanted
            }
        };
        if file.size > self.max_file_bytes {
            self.skip(file, Skip::TooLarge, wanted);
            return Answer::Nothing;
        }
        let queue = if request.ran.is_some() { &mut self.urgent } else { &mut self.patient };
        if queue.len() >= MAX_WANTED {
            self.counts.skip(Skip::Busy);
            return Answer::Nothing;
        }
        queue.push_back(request);
        self.remember(file, Fate::Asked(now, wanted));
        Answer::Asked(now)
    }

    /// The next file to read, while few are being read. Each must be [answered](Self::answer).
    pub fn next_request(&mut self) -> Option<Request> {
        if self.n_out >= MAX_OUT {
            return None;
        }
        let request = self.urgent.pop_front().or_else(|| self.patient.pop_front())?;
        self.n_out += 1;
        Some(request)
    }

    /// Takes what became of a request.
    pub fn answer(&mut self, file: FileId, found: Result<Sha256, Skip>) {
        self.n_out = self.n_out.saturating_sub(1);
        match found {
            Ok(sha256) => {
                self.counts.hashed += 1;
                self.remember(file, Fate::Is(sha256));
            }
            Err(skip) => {
                let wanted = match self.fates.peek(&file) {
                    Some(Fate::Asked(_, wanted)) => *wanted,
                    _ => Wanted::default(),
                };
                self.skip(file, skip, wanted);
            }
        }
    }

    /// What was hashed and what was not.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn skip(&mut self, file: FileId, skip: Skip, wanted: Wanted) {
        self.counts.skip(skip);
        self.remember(file, if skip.is_final() { Fate::Never } else { Fate::Failed(wanted) });
    }

    fn remember(&mut self, file: FileId, fate: Fate) {
        self.fates.put(file, fate);
        if self.fates.len() > MAX_KNOWN {
            self.fates.pop_lru();
        }
    }
}

impl Counts {
    fn skip(&mut self, skip: Skip) {
        if let Some(count) = self.skipped.get_mut(skip as usize) {
            *count += 1;
        }
    }
}

impl FileId {
    /// The content that an image runs; `None` for what has no file, such as a kernel's thread.
    pub fn of(image: &Image<'_>) -> Option<Self> {
        let Image { device, inode, size, changed_ns, .. } = *image;
        (inode != 0).then_some(Self { device, inode, size, changed_ns })
    }
}

impl Sha256 {
    /// From its bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use wire::id::ProcessKey;

    use super::*;

    const NOW: BootTime = BootTime::from_ns(7);

    fn file(inode: u64, size: u64) -> FileId {
        FileId { device: 1, inode, size, changed_ns: 3 }
    }

    fn request(file: FileId) -> Request {
        let task = Task { key: ProcessKey { start: NOW, pid: 1 }, image: 1 };
        let executable = (*b"/bin/x").into();
        Request { file, task, executable, mnt_ns: 1, memfd: false, ran: None, witnesses: Vec::new() }
    }

    /// What somebody who wants it is told, asking for it where that is due.
    fn want(hashes: &mut Hashes, file: FileId) -> Answer {
        hashes.get(file, false).unwrap_or_else(|| hashes.ask(request(file), NOW))
    }

    fn skipped(hashes: &Hashes, skip: Skip) -> u64 {
        hashes.counts().skipped.get(skip as usize).copied().unwrap_or_default()
    }

    #[test]
    fn a_content_is_read_once() {
        let mut hashes = Hashes::new(100);
        let (a, sha256) = (file(1, 100), Sha256::new([0xab; 32]));
        assert_eq!(want(&mut hashes, a), Answer::Asked(NOW));
        assert_eq!(want(&mut hashes, a), Answer::Asked(NOW));
        assert_eq!(hashes.next_request().map(|request| request.file), Some(a));
        assert_eq!(hashes.next_request(), None);
        hashes.answer(a, Ok(sha256));
        assert_eq!(want(&mut hashes, a), Answer::Is(sha256));
        assert_eq!(sha256.to_string(), "ab".repeat(32));
        assert_eq!(want(&mut hashes, FileId { changed_ns: 4, ..a }), Answer::Asked(NOW), "changed since");
        assert_eq!(hashes.counts(), Counts { hashed: 1, ..Counts::default() });
    }

    #[test]
    fn what_is_too_large_or_may_block_is_never_asked_for_again() {
        let mut hashes = Hashes::new(100);
        for _ in 0..3 {
            assert_eq!(want(&mut hashes, file(1, 101)), Answer::Nothing);
        }
        assert_eq!((hashes.next_request(), skipped(&hashes, Skip::TooLarge)), (None, 1));
        assert_eq!(want(&mut hashes, file(2, 1)), Answer::Asked(NOW));
        hashes.answer(file(2, 1), Err(Skip::FileSystem));
        assert!((0..100).all(|_| want(&mut hashes, file(2, 1)) == Answer::Nothing));
    }

    #[test]
    fn what_failed_is_tried_again_less_and_less() {
        let mut hashes = Hashes::new(100);
        let mut tried = Vec::new();
        for n in 1..=200 {
            if want(&mut hashes, file(1, 1)) == Answer::Asked(NOW) {
                tried.push(n);
                hashes.answer(file(1, 1), Err(Skip::Gone));
            }
        }
        assert_eq!(tried, [1, 2, 4, 8, 16, 32, 64, 128, 192]);
        assert_eq!(skipped(&hashes, Skip::Gone), 9);
    }

    #[test]
    fn what_failed_is_tried_again_when_it_is_executed_however_often_it_exits_between() {
        let mut hashes = Hashes::new(100);
        let mut tried = Vec::new();
        for n in 1..=10 {
            for ran in [Some(NOW), None] {
                let request = || Request { ran, ..request(file(1, 1)) };
                let answer =
                    hashes.get(file(1, 1), ran.is_some()).unwrap_or_else(|| hashes.ask(request(), NOW));
                if answer == Answer::Asked(NOW) {
                    tried.extend(ran.map(|_| n));
                    hashes.answer(file(1, 1), Err(Skip::Gone));
                }
            }
        }
        assert_eq!(tried, [1, 2, 4, 8]);
    }

    #[test]
    fn what_was_just_executed_overtakes_what_was_found_running() {
        let mut hashes = Hashes::new(100);
        for inode in 1..=6 {
            want(&mut hashes, file(inode, 1));
        }
        hashes.ask(Request { ran: Some(NOW), ..request(file(9, 1)) }, NOW);
        let mut out = Vec::new();
        let mut take =
            |hashes: &mut Hashes| out.push(hashes.next_request().map_or(0, |request| request.file.inode));
        (0..5).for_each(|_| take(&mut hashes));
        hashes.answer(file(9, 1), Err(Skip::Gone));
        hashes.ask(Request { ran: Some(NOW), ..request(file(8, 1)) }, NOW);
        take(&mut hashes);
        hashes.answer(file(1, 1), Err(Skip::Gone));
        take(&mut hashes);
        assert_eq!(out, [9, 1, 2, 3, 0, 8, 4]);
    }

    #[test]
    fn what_waits_and_what_is_remembered_is_bounded() {
        let mut hashes = Hashes::new(100);
        for inode in 1..=MAX_WANTED as u64 + 10 {
            want(&mut hashes, file(inode, 1));
        }
        assert_eq!(skipped(&hashes, Skip::Busy), 10);
        assert_eq!(hashes.patient.len(), MAX_WANTED);
        for inode in 1..=2 * MAX_KNOWN as u64 {
            want(&mut hashes, file(inode, 1));
            while let Some(request) = hashes.next_request() {
                hashes.answer(request.file, Ok(Sha256::new([0; 32])));
            }
        }
        assert_eq!((hashes.fates.len(), hashes.n_out), (MAX_KNOWN, 0));
    }

    #[test]
    fn switched_off_it_asks_for_nothing() {
        let mut hashes = Hashes::new(0);
        assert_eq!(want(&mut hashes, file(1, 0)), Answer::Nothing);
        assert_eq!((hashes.next_request(), hashes.counts()), (None, Counts::default()));
    }
}
