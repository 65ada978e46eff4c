#![expect(clippy::unwrap_used, reason = "tests")]

use bytes::Bytes;
use tempfile::TempDir;
use uuid::Uuid;
use wire::batch::Sealed;

use super::*;
use crate::spool::DirError;
use wire::time::WallTime;

mod disk;

const EPOCH: Epoch = Epoch::new(Uuid::from_u128(10));
const LATER: Epoch = Epoch::new(Uuid::from_u128(20));

fn open(dir: &TempDir, max_bytes: u64) -> Outbox {
    Outbox::open(&OutboxConfig { dir: dir.path().join("spool"), max_bytes, disk: None }).unwrap()
}

fn fresh() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

fn batch(first_seq: u64, n_bytes: usize) -> Batch {
    let payload = Bytes::from(vec![first_seq as u8; n_bytes]);
    Batch { first_seq, n_events: 10, sealed: Sealed { header: Bytes::from_static(b"h"), payload } }
}

fn stream(epoch: Epoch, lane: Lane) -> StreamKey {
    StreamKey { epoch, lane }
}

/// What is there, read from disk if it must be.
fn parcel(outbox: &Outbox, stream: StreamKey, seq: u64) -> Option<Parcel> {
    loop {
        match outbox.parcel(stream, seq) {
            Poll::Ready(parcel) => return parcel,
            Poll::Pending => work(outbox, 0),
        }
    }
}

/// Does on disk what is to be done at this time.
fn work(outbox: &Outbox, at_s: u64) {
    let now =
        Reading { boot: BootTime::from_ns(at_s * 1_000_000_000), wall: WallTime::from_unix_ns(at_s as i64) };
    while let Some(job) = outbox.next_job(now) {
        outbox.finish(job.run(), now.boot);
    }
}

/// What is held of a stream, as first sequences; tombstones as ranges.
fn held(outbox: &Outbox, epoch: Epoch, lane: Lane) -> String {
    let Some(held) = outbox.holdings().streams.into_iter().find(|h| (h.epoch, h.lane) == (epoch, lane))
    else {
        return "nothing".into();
    };
    let mut text = Vec::new();
    let mut at = held.acked;
    while let Some(parcel) = parcel(outbox, stream(epoch, lane), at) {
        text.push(match &parcel {
            Parcel::Batch(b) => b.first_seq.to_string(),
            Parcel::Tombstone { first_seq, .. } => format!("{first_seq}..{}", parcel.end()),
        });
        at = parcel.end();
    }
    assert_eq!(at, held.end);
    text.join(" ")
}

#[test]
fn batches_stay_until_they_are_acknowledged() {
    let dir = fresh();
    let outbox = open(&dir, 1 << 20);
    outbox.begin(EPOCH);
    (0..4).for_each(|i| outbox.append(EPOCH, Lane::Bulk, batch(i * 10, 100)).unwrap());
    assert_eq!(held(&outbox, EPOCH, Lane::Bulk), "0 10 20 30");
    outbox.acknowledge(stream(EPOCH, Lane::Bulk), 20, Digest([1; 32]));
    assert_eq!(held(&outbox, EPOCH, Lane::Bulk), "20 30");
    assert_eq!(
        outbox.parcel(stream(EPOCH, Lane::Bulk), 25),
        Poll::Ready(Some(Parcel::Batch(batch(20, 100))))
    );
    outbox.acknowledge(stream(EPOCH, Lane::Bulk), 40, Digest([2; 32]));
    assert_eq!(held(&outbox, EPOCH, Lane::Bulk), "");
    assert_eq!(outbox.n_bytes(), 0);
}

#[test]
fn a_batch_that_is_not_next_is_refused() {
    let dir = fresh();
    let outbox = open(&dir, 1 << 20);
    outbox.begin(EPOCH);
    assert!(matches!(
        outbox.append(EPOCH, Lane::Bulk, batch(10, 1)),
        Err(AppendError::NotNext { found: 10, expected: 0, .. })
    ));
}

#[test]
fn a_new_start_takes_up_what_was_left() {
    let dir = fresh();
    {
        let outbox = open(&dir, 1 << 20);
        outbox.begin(EPOCH);
        (0..3).for_each(|i| outbox.append(EPOCH, Lane::Critical, batch(i * 10, 100)).unwrap());
        outbox.append(EPOCH, Lane::Bulk, batch(0, 100)).unwrap();
        outbox.acknowledge(stream(EPOCH, Lane::Critical), 10, Digest([9; 32]));
        outbox.acknowledge(stream(EPOCH, Lane::Bulk), 10, Digest([8; 32]));
    }
    let outbox = open(&dir, 1 << 20);
    outbox.begin(LATER);
    let holdings = outbox.holdings();
    assert_eq!(holdings.live, Some(LATER));
    let streams: Vec<_> = holdings.streams.iter().map(|h| (h.epoch, h.lane, h.acked, h.end)).collect();
    let live = [(LATER, Lane::Critical, 0, 0), (LATER, Lane::Bulk, 0, 0)];
    assert_eq!(streams, [&live[..], &[(EPOCH, Lane::Critical, 10, 30)]].concat());
    assert_eq!(holdings.streams.last().unwrap().digest, Digest([9; 32]), "the chain goes on");
    assert_eq!(held(&outbox, EPOCH, Lane::Critical), "10 20");
    outbox.acknowledge(stream(EPOCH, Lane::Critical), 30, Digest([7; 32]));
    assert_eq!(held(&outbox, EPOCH, Lane::Critical), "nothing");
    drop(outbox);
    assert_eq!(open(&dir, 1 << 20).holdings().streams, [], "nothing is left behind");
}

#[test]
fn bulk_is_shed_before_critical_and_the_oldest_first() {
    let dir = fresh();
    // A batch costs two pages and an inode.
    let cost = Spool::cost(5001);
    let outbox = open(&dir, cost * 4);
    outbox.begin(EPOCH);
    for i in 0..2 {
        outbox.append(EPOCH, Lane::Critical, batch(i * 10, 5000)).unwrap();
        outbox.append(EPOCH, Lane::Bulk, batch(i * 10, 5000)).unwrap();
    }
    assert_eq!(outbox.totals(Lane::Bulk).shed, 0);
    outbox.append(EPOCH, Lane::Critical, batch(20, 5000)).unwrap();
    assert_eq!(held(&outbox, EPOCH, Lane::Bulk), "0..10 10");
    outbox.append(EPOCH, Lane::Critical, batch(30, 5000)).unwrap();
    assert_eq!(held(&outbox, EPOCH, Lane::Bulk), "0..20");
    assert_eq!(held(&outbox, EPOCH, Lane::Critical), "0 10 20 30");
    outbox.append(EPOCH, Lane::Critical, batch(40, 5000)).unwrap();
    assert_eq!(held(&outbox, EPOCH, Lane::Critical), "0..10 10 20 30 40");
    assert_eq!((outbox.totals(Lane::Bulk).shed, outbox.totals(Lane::Critical).shed), (20, 10));
    assert!(outbox.n_bytes() <= cost * 4);
    drop(outbox);
    let outbox = open(&dir, cost * 4);
    assert_eq!(held(&outbox, EPOCH, Lane::Bulk), "0..20", "tombstones outlive the sensor too");
    assert_eq!(held(&outbox, EPOCH, Lane::Critical), "0..10 10 20 30 40");
}

#[test]
fn a_damaged_file_becomes_a_tombstone() {
    let dir = fresh();
    let outbox = open(&dir, 1 << 20);
    outbox.begin(EPOCH);
    (0..4).for_each(|i| outbox.append(EPOCH, Lane::Bulk, batch(i * 10, 100)).unwrap());
    let path = |seq: u64| dir.path().join(format!("spool/{EPOCH}.bulk/{seq:020}"));
    let mut bytes = std::fs::read(path(10)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(path(10), bytes).unwrap();
    assert_eq!(held(&outbox, EPOCH, Lane::Bulk), "0 10..20 20 30");
    assert_eq!(outbox.totals(Lane::Bulk).shed, 10);
    drop(outbox);
    // At a start too: one that was moved, and one that is cut. What the last one held is not known.
    std::fs::rename(path(20), path(21)).unwrap();
    std::fs::write(path(30), b"VDP1").unwrap();
    let outbox = open(&dir, 1 << 20);
    assert_eq!(held(&outbox, EPOCH, Lane::Bulk), "0 10..20 20..30");
}

#[test]
fn a_folder_of_others_is_refused_and_one_sensor_has_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = fresh();
    let config = OutboxConfig { dir: dir.path().join("spool"), max_bytes: 1, disk: None };
    let outbox = Outbox::open(&config).unwrap();
    assert!(matches!(Outbox::open(&config), Err(DirError::InUse { .. })));
    drop(outbox);
    std::fs::set_permissions(&config.dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(Outbox::open(&config), Err(DirError::NotPrivate { .. })));
    std::fs::remove_dir_all(&config.dir).unwrap();
    std::os::unix::fs::symlink("/tmp", &config.dir).unwrap();
    assert!(matches!(Outbox::open(&config), Err(DirError::NotPrivate { .. })));
}
