//! The spool on disk, on real files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;
use wire::id::BootId;

use super::*;
use crate::spool::{Files, Listed, Room, SystemFiles};

const BOOT: BootId = BootId::new(Uuid::from_u128(1));
const NEXT_BOOT: BootId = BootId::new(Uuid::from_u128(2));

/// A folder in memory and one on disk.
struct Host {
    memory: TempDir,
    disk: TempDir,
    files: Arc<dyn Files>,
    max_disk_bytes: u64,
}

impl Host {
    fn new() -> Self {
        Self::with(Arc::new(SystemFiles), 1 << 30)
    }

    fn with(files: Arc<dyn Files>, max_disk_bytes: u64) -> Self {
        Self { memory: fresh(), disk: tempfile::tempdir_in("/var/tmp").unwrap(), files, max_disk_bytes }
    }

    fn start(&self, boot: BootId) -> Outbox {
        let disk = DiskConfig {
            dir: self.disk.path().join("spool"),
            max_bytes: self.max_disk_bytes,
            files: self.files.clone(),
            boot,
            now: BootTime::default(),
        };
        let dir = self.memory.path().join("spool");
        Outbox::open(&OutboxConfig { dir, max_bytes: 1 << 20, disk: Some(disk) }).unwrap()
    }

    fn lose_memory(&self) {
        std::fs::remove_dir_all(self.memory.path().join("spool")).unwrap();
    }

    fn files(&self, epoch: Epoch, lane: Lane) -> Vec<String> {
        let dir = self.disk.path().join(format!("spool/{epoch}.{lane}"));
        let listed = SystemFiles.list(&dir).unwrap_or_default();
        let mut names: Vec<String> = listed.into_iter().map(|one| one.name).collect();
        names.sort();
        names
    }
}

fn name(first: u64, end: u64) -> String {
    format!("{first:020}-{end:020}")
}

#[test]
fn a_backlog_goes_to_disk_and_outlives_memory() {
    let host = Host::new();
    let outbox = host.start(BOOT);
    outbox.begin(EPOCH);
    for i in 0..4 {
        outbox.append(EPOCH, Lane::Bulk, batch(i * 10, 100)).unwrap();
        outbox.append(EPOCH, Lane::Critical, batch(i * 10, 100)).unwrap();
        outbox.note_positions(vec![i as u8]);
    }
    work(&outbox, 1);
    assert_eq!(host.files(EPOCH, Lane::Bulk), Vec::<String>::new(), "a collector may answer yet");
    work(&outbox, 7);
    assert_eq!((outbox.n_memory_bytes(), outbox.n_bytes() > 0), (0, true));
    assert_eq!(host.files(EPOCH, Lane::Bulk), [name(0, 40)], "one file for all");
    assert_eq!(outbox.durable_end(stream(EPOCH, Lane::Bulk)), Some(40));
    // It is taken from there, and acknowledged in part; what comes later is in memory alone.
    outbox.acknowledge(stream(EPOCH, Lane::Bulk), 20, Digest([5; 32]));
    outbox.append(EPOCH, Lane::Bulk, batch(40, 100)).unwrap();
    work(&outbox, 9);
    assert_eq!(held(&outbox, EPOCH, Lane::Bulk), "20 30 40");
    assert_eq!(outbox.durable_end(stream(EPOCH, Lane::Bulk)), Some(40));
    drop(outbox);
    host.lose_memory();
    let outbox = host.start(NEXT_BOOT);
    outbox.begin(LATER);
    assert_eq!(held(&outbox, EPOCH, Lane::Bulk), "20 30");
    assert_eq!(held(&outbox, EPOCH, Lane::Critical), "0 10 20 30");
    let since = WallTime::from_unix_ns(7);
    assert_eq!(outbox.doubts(), [Doubt { epoch: EPOCH, since, durable: [40, 40], rebooted: true }]);
    assert_eq!(outbox.holdings().in_doubt, [EPOCH]);
    assert_eq!(outbox.positions_before(), None, "the kernel counts anew");
    drop(outbox);
    host.lose_memory();
    let outbox = host.start(BOOT);
    assert_eq!(outbox.positions_before(), Some(&[3][..]), "the same kernel counts on");
    for lane in Lane::ALL {
        outbox.acknowledge(stream(EPOCH, lane), 40, Digest([6; 32]));
    }
    work(&outbox, 20);
    assert_eq!(outbox.holdings().streams, []);
    let left = SystemFiles.list(&host.disk.path().join("spool")).unwrap();
    assert_eq!(left.iter().map(|one| &one.name).collect::<Vec<_>>(), ["lock"], "nothing is left behind");
}

#[test]
fn what_is_stopped_in_good_order_is_not_in_doubt() {
    let host = Host::new();
    let outbox = host.start(BOOT);
    outbox.begin(EPOCH);
    outbox.append(EPOCH, Lane::Critical, batch(0, 100)).unwrap();
    outbox.note_positions(Vec::new());
    outbox.close_up();
    assert!(!outbox.is_closed_up());
    work(&outbox, 1);
    assert!(outbox.is_closed_up());
    drop(outbox);
    host.lose_memory();
    let outbox = host.start(NEXT_BOOT);
    assert_eq!(outbox.doubts(), []);
    assert_eq!(held(&outbox, EPOCH, Lane::Critical), "0");
}

#[test]
fn a_sensor_that_died_goes_on_with_what_is_in_memory() {
    let host = Host::new();
    let outbox = host.start(BOOT);
    outbox.begin(EPOCH);
    (0..2).for_each(|i| outbox.append(EPOCH, Lane::Bulk, batch(i * 10, 100)).unwrap());
    outbox.note_positions(Vec::new());
    work(&outbox, 7);
    outbox.append(EPOCH, Lane::Bulk, batch(20, 100)).unwrap();
    drop(outbox);
    let outbox = host.start(BOOT);
    assert_eq!((outbox.doubts(), &outbox.holdings().in_doubt[..]), (&[][..], &[][..]));
    assert_eq!(held(&outbox, EPOCH, Lane::Bulk), "0 10 20");
}

#[test]
fn the_oldest_of_the_bulk_lane_gives_way_on_disk_and_leaves_a_tombstone() {
    // Each bundle of 60,000 bytes takes 15 blocks and an inode.
    let cost = 15 * 4096 + 1024;
    let host = Host::with(Arc::new(SystemFiles), 3 * cost);
    let outbox = host.start(BOOT);
    outbox.begin(EPOCH);
    let append = |lane, n: u64, at_s| {
        outbox.append(EPOCH, lane, batch(n * 10, 60_000)).unwrap();
        work(&outbox, at_s);
    };
    append(Lane::Critical, 0, 7);
    append(Lane::Bulk, 0, 10);
    append(Lane::Bulk, 1, 13);
    assert_eq!(outbox.totals(Lane::Bulk).shed, 0);
    append(Lane::Bulk, 2, 16);
    assert_eq!(held(&outbox, EPOCH, Lane::Bulk), "0..10 10 20");
    append(Lane::Critical, 1, 19);
    append(Lane::Critical, 2, 22);
    assert_eq!(held(&outbox, EPOCH, Lane::Bulk), "0..30");
    assert_eq!(host.files(EPOCH, Lane::Bulk), [format!("{}.shed", name(0, 30))]);
    append(Lane::Bulk, 3, 25);
    assert_eq!(
        held(&outbox, EPOCH, Lane::Bulk),
        "0..30 30",
        "in memory: it does not drive out the critical lane"
    );
    assert!(outbox.n_memory_bytes() > 0);
    append(Lane::Critical, 3, 28);
    assert_eq!(held(&outbox, EPOCH, Lane::Critical), "0..10 10 20 30");
    assert_eq!((outbox.totals(Lane::Critical).shed, outbox.totals(Lane::Bulk).shed), (10, 30));
    drop(outbox);
    host.lose_memory();
    let outbox = host.start(NEXT_BOOT);
    assert_eq!(held(&outbox, EPOCH, Lane::Bulk), "0..30", "tombstones outlive a power cut too");
    assert_eq!(held(&outbox, EPOCH, Lane::Critical), "0..10 10 20 30");
}

#[test]
fn a_torn_bundle_is_a_tombstone() {
    let host = Host::new();
    let outbox = host.start(BOOT);
    outbox.begin(EPOCH);
    for (n, at_s) in [(0, 7), (1, 10), (2, 13)] {
        outbox.append(EPOCH, Lane::Critical, batch(n * 10, 100)).unwrap();
        work(&outbox, at_s);
    }
    drop(outbox);
    let path =
        |n: u64| host.disk.path().join(format!("spool/{EPOCH}.critical/{}", name(n * 10, n * 10 + 10)));
    let torn = std::fs::read(path(1)).unwrap();
    std::fs::write(path(1), torn.get(..50).unwrap()).unwrap();
    std::fs::write(path(2), []).unwrap();
    host.lose_memory();
    let outbox = host.start(NEXT_BOOT);
    // Each shows when it is read.
    assert_eq!(held(&outbox, EPOCH, Lane::Critical), "0 10..20 10..30");
    assert_eq!(held(&outbox, EPOCH, Lane::Critical), "0 10..30");
    assert_eq!(outbox.totals(Lane::Critical).shed, 20);
}

/// Real files, of which one operation fails with EIO.
#[derive(Debug)]
struct Failing {
    /// How many synced writes go well before one does not; each failed one is counted here below zero.
    left: AtomicU64,
    n_after: AtomicU64,
}

impl Files for Failing {
    fn claim(&self, dir: &Path) -> Result<Option<std::fs::File>, DirError> {
        SystemFiles.claim(dir)
    }
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        SystemFiles.make_dir(dir)
    }
    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        SystemFiles.write_synced(path, bytes)?;
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
            Ok(1) => Err(io::Error::from_raw_os_error(nix::libc::EIO)),
            Ok(_) => Ok(()),
            Err(_) => {
                self.n_after.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        }
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemFiles.rename(from, to)
    }
    fn truncate(&self, path: &Path) -> io::Result<()> {
        SystemFiles.truncate(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        SystemFiles.sync_dir(dir)
    }
    fn read(&self, path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
        SystemFiles.read(path, max_bytes)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        SystemFiles.remove(path)
    }
    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        SystemFiles.remove_dir(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>> {
        SystemFiles.list(dir)
    }
    fn room(&self, dir: &Path) -> io::Result<Room> {
        SystemFiles.room(dir)
    }
}

#[test]
fn after_a_failed_sync_nothing_is_written_any_more_and_memory_goes_on() {
    let failing = Arc::new(Failing { left: AtomicU64::new(3), n_after: AtomicU64::new(0) });
    let host = Host::with(failing.clone(), 1 << 30);
    let outbox = host.start(BOOT);
    outbox.begin(EPOCH);
    for (n, at_s) in [(0, 7), (1, 10), (2, 13), (3, 200)] {
        outbox.append(EPOCH, Lane::Critical, batch(n * 10, 100)).unwrap();
        outbox.note_positions(Vec::new());
        work(&outbox, at_s);
        assert_eq!(outbox.trouble().is_some(), n > 0, "the second bundle fails");
    }
    assert_eq!(failing.n_after.load(Ordering::Relaxed), 0, "tried again");
    assert!(outbox.trouble().unwrap().contains("closed"), "{:?}", outbox.trouble());
    assert_eq!(
        held(&outbox, EPOCH, Lane::Critical),
        "0 10 20 30",
        "what was durable is read, the rest is in memory"
    );
    outbox.close_up();
    work(&outbox, 300);
    assert!(outbox.is_closed_up());
}

#[test]
fn a_disk_that_cannot_be_used_is_done_without() {
    use std::os::unix::fs::PermissionsExt as _;
    let host = Host::new();
    let dir: PathBuf = host.disk.path().join("spool");
    std::fs::create_dir(&dir).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    let outbox = host.start(BOOT);
    assert!(outbox.trouble().unwrap().contains("0755"), "{:?}", outbox.trouble());
    outbox.begin(EPOCH);
    outbox.append(EPOCH, Lane::Critical, batch(0, 100)).unwrap();
    work(&outbox, 100);
    assert_eq!(held(&outbox, EPOCH, Lane::Critical), "0");
}
