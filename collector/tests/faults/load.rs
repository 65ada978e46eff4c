//! Hosts that send without end, each batch again until it is acknowledged, as sessions do.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use vedette_collector::listener::Outcome;
use vedette_collector::postgres::scratch::Database;
use vedette_collector::store::accounts;
use wire::batch::Sealed;
use wire::id::HostId;

use crate::support::{Ingest, Source, count, everything, header, read, stream, wall_clock};

const N_HOSTS: u64 = 4;
/// Batches of each host that are on the way at a time.
const IN_FLIGHT: usize = 6;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) struct Load {
    counts: Arc<Counts>,
    /// Batches acknowledged.
    acked: watch::Receiver<u64>,
    running: JoinHandle<Sent>,
    pool: PgPool,
}

#[derive(Default)]
struct Counts {
    n_duplicates: AtomicU64,
    n_retries: AtomicU64,
    is_over: AtomicBool,
}

/// What was sent and acknowledged, by host.
pub(crate) struct Sent(Vec<(HostId, Vec<Sealed>)>);

impl Load {
    pub(crate) fn start(db: &Database) -> Self {
        let ingest = Ingest::start(&db.pool, wall_clock);
        let counts = Arc::new(Counts::default());
        let (acked, watched) = watch::channel(0);
        let running = tokio::spawn(run(ingest, counts.clone(), acked));
        Self { counts, acked: watched, running, pool: db.pool.clone() }
    }

    /// Waits until some more is acknowledged.
    pub(crate) async fn goes_on(&mut self) {
        let enough = *self.acked.borrow() + 40;
        let waited = tokio::time::timeout(PATIENCE, self.acked.wait_for(|n| *n >= enough)).await.is_ok();
        assert!(waited, "{} of {enough} batches acknowledged", *self.acked.borrow());
    }

    /// The same after a fault is over.
    pub(crate) async fn comes_back(&mut self) {
        let begun = Instant::now();
        self.goes_on().await;
        eprintln!("acknowledged again within {:?}", begun.elapsed());
    }

    /// Waits until batches are put off.
    pub(crate) async fn is_refused(&self) {
        let before = self.counts.n_retries.load(SeqCst);
        let refused = async {
            while self.counts.n_retries.load(SeqCst) == before {
                tokio::time::sleep(Duration::from_millis(10)).await; // poll interval
            }
        };
        tokio::time::timeout(PATIENCE, refused).await.expect("the fault shows");
    }

    /// The same for several attempts, with the pauses between them.
    pub(crate) async fn is_refused_again_and_again(&self) {
        for _ in 0..3 {
            self.is_refused().await;
        }
    }

    /// Nothing more is acknowledged, but for what was on its way, for so long.
    pub(crate) async fn stands_still_for(&mut self, time: Duration) {
        let much = *self.acked.borrow() + 200;
        let waited = tokio::time::timeout(time, self.acked.wait_for(|n| *n >= much)).await;
        assert!(waited.is_err(), "it goes on");
    }

    /// How many batches came again that were stored.
    pub(crate) fn n_duplicates(&self) -> u64 {
        self.counts.n_duplicates.load(SeqCst)
    }

    /// Sends no more, and waits until all that was sent is acknowledged.
    pub(crate) async fn stop(self) -> Sent {
        self.counts.is_over.store(true, SeqCst);
        tokio::time::timeout(PATIENCE, self.running).await.expect("all is acknowledged").unwrap()
    }

    /// The same, and looks whether all of it is stored, once.
    pub(crate) async fn finish(self) {
        let pool = self.pool.clone();
        self.stop().await.check(&pool).await;
    }
}

async fn run(ingest: Ingest, counts: Arc<Counts>, acked: watch::Sender<u64>) -> Sent {
    let mut hosts: Vec<_> = (1..=N_HOSTS).map(|n| (Source::new(n), Vec::new(), VecDeque::new())).collect();
    loop {
        let is_over = counts.is_over.load(SeqCst);
        let mut answers = Vec::new();
        for (n, (source, done, waiting)) in hosts.iter_mut().enumerate() {
            while waiting.len() < IN_FLIGHT && !is_over {
                // Every sixth is a large one.
                let n_events = if (done.len() + waiting.len()) % 6 == 5 { 1_000 } else { 15 };
                waiting.push_back(source.batch(n_events));
            }
            for sealed in waiting.iter() {
                answers.push((n, ingest.batch(source.id, sealed).await));
            }
        }
        if answers.is_empty() {
            break;
        }
        let mut retry = None;
        for (n, answer) in answers {
            let (_, done, waiting): &mut (Source, Vec<Sealed>, VecDeque<Sealed>) = &mut hosts[n];
            let end = match answer.await.unwrap() {
                Outcome::Stored { next_seq, .. } => next_seq,
                Outcome::Duplicate { next_seq, .. } => {
                    counts.n_duplicates.fetch_add(1, SeqCst);
                    next_seq
                }
                Outcome::Gap => continue,
                Outcome::Retry { after } => {
                    counts.n_retries.fetch_add(1, SeqCst);
                    retry = Some(after);
                    continue;
                }
                rejected => panic!("{rejected:?}"),
            };
            while waiting.front().is_some_and(|sealed| header(sealed).first_seq < end) {
                done.extend(waiting.pop_front());
                acked.send_modify(|n| *n += 1);
            }
        }
        if let Some(after) = retry {
            tokio::time::sleep(after).await; // poll interval: as it was told
        }
    }
    ingest.finish().await;
    Sent(hosts.into_iter().map(|(source, done, _)| (source.id, done)).collect())
}

impl Sent {
    fn n_batches(&self) -> usize {
        self.0.iter().map(|(_, batches)| batches.len()).sum()
    }

    /// Of two that sent the same batches, the one that sent more.
    pub(crate) fn max(self, other: Self) -> Self {
        let longer = |(a, b): ((HostId, Vec<Sealed>), (HostId, Vec<Sealed>))| match a.1.len().cmp(&b.1.len())
        {
            Ordering::Less => b,
            _ => a,
        };
        Self(self.0.into_iter().zip(other.0).map(longer).collect())
    }

    /// Every batch is stored once, as it was sent, and the ledgers close.
    pub(crate) async fn check(self, pool: &PgPool) {
        let mut conn = pool.acquire().await.unwrap();
        let met = read(&mut conn, &everything(), 100).await;
        assert_eq!(met.len(), self.n_batches());
        for (host, batches) in &self.0 {
            for sealed in batches {
                let at = (stream(*host, sealed), header(sealed).first_seq);
                assert_eq!(met[&at], std::slice::from_ref(sealed));
            }
        }
        let n_events: u64 =
            self.0.iter().flat_map(|(_, sent)| sent).map(|s| u64::from(header(s).n_events)).sum();
        let totals = accounts::of_hosts(&mut conn).await.unwrap();
        assert_eq!(totals.iter().map(|t| t.account.stored).sum::<u64>(), n_events);
        assert!(totals.iter().all(|t| t.account.residue() == 0 && t.n_residues == 0), "{totals:?}");
        assert_eq!(count(pool, "select count(*) from finding").await, 0);
        assert_eq!(count(pool, "select count(*) from quarantine").await, 0);
    }
}
