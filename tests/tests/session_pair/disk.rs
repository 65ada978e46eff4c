//! A disk that forgets what was not synced: content and names apart, each in part. It fills up, fails, rots, and loses its power.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use vedette_sensor::spool::{DirError, Files, Listed, Room};

/// What may go wrong with it.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Faults {
    /// One operation in so many fails with EIO; 0: none.
    pub(crate) errors: u32,
    /// One operation in so many is interrupted by a power cut: none comes after it. 0: none.
    pub(crate) cuts: u32,
}

#[derive(Debug)]
pub(crate) struct SimulatedDisk(Mutex<State>);

#[derive(Debug)]
struct State {
    rng: StdRng,
    faults: Faults,
    has_power: bool,
    inodes: Vec<Inode>,
    now: Names,
    synced: Names,
    /// What was done to names and not synced, in order, with the folder it was done in.
    pending: Vec<(PathBuf, Deed)>,
    total_bytes: u64,
    others_bytes: u64,
    n_reached: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    now: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
struct Names {
    files: BTreeMap<PathBuf, usize>,
    dirs: BTreeSet<PathBuf>,
}

#[derive(Clone, Debug)]
enum Deed {
    Made(PathBuf, usize),
    Removed(PathBuf),
    Renamed(PathBuf, PathBuf, usize),
    MadeDir(PathBuf),
    RemovedDir(PathBuf),
}

impl Names {
    fn apply(&mut self, deed: &Deed) {
        match deed {
            Deed::Made(path, inode) => drop(self.files.insert(path.clone(), *inode)),
            Deed::Removed(path) => drop(self.files.remove(path)),
            Deed::Renamed(from, to, inode) => {
                self.files.remove(from);
                self.files.insert(to.clone(), *inode);
            }
            Deed::MadeDir(path) => drop(self.dirs.insert(path.clone())),
            Deed::RemovedDir(path) => drop(self.dirs.remove(path)),
        }
    }
}

impl SimulatedDisk {
    pub(crate) fn new(seed: u64, total_bytes: u64) -> Self {
        Self(Mutex::new(State {
            rng: StdRng::seed_from_u64(seed ^ 0xd15c),
            faults: Faults::default(),
            has_power: true,
            inodes: Vec::new(),
            now: Names::default(),
            synced: Names::default(),
            pending: Vec::new(),
            total_bytes,
            others_bytes: 0,
            n_reached: BTreeMap::new(),
        }))
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Others take all of it, or give it back.
    pub(crate) fn fill(&self, is_full: bool) {
        let mut state = self.lock();
        let free = state.total_bytes - state.used_bytes().min(state.total_bytes);
        state.others_bytes = if is_full { free } else { 0 };
    }

    pub(crate) fn has_power(&self) -> bool {
        self.lock().has_power
    }

    /// The power goes, and comes again: what was synced is there, and of the rest nobody knows.
    pub(crate) fn cut_power(&self) {
        let mut state = self.lock();
        state.forget_what_was_not_synced();
        state.has_power = true;
    }

    /// One file rots: a bit, or its end. Whether there was one.
    pub(crate) fn rot(&self) -> bool {
        let mut state = self.lock();
        let inodes: Vec<usize> = state.now.files.values().copied().collect();
        let Some(at) = pick(&mut state.rng, &inodes) else { return false };
        let mut content = state.inodes[at].now.clone();
        if content.is_empty() {
            return false;
        }
        let byte = state.rng.random_range(0..content.len());
        if state.rng.random_bool(0.3) {
            content.truncate(byte);
            state.reached("file cut at rest");
        } else {
            content[byte] ^= 1 << state.rng.random_range(0..8);
            state.reached("bit flipped at rest");
        }
        state.inodes[at] = Inode { now: content.clone(), synced: content };
        true
    }

    /// How often each kind of fault was reached.
    pub(crate) fn n_reached(&self) -> BTreeMap<&'static str, u64> {
        self.lock().n_reached.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn reached(&mut self, fault: &'static str) {
        *self.n_reached.entry(fault).or_default() += 1;
    }

    fn used_bytes(&self) -> u64 {
        self.now
            .files
            .values()
            .map(|at| (self.inodes[*at].now.len() as u64).next_multiple_of(4096) + 1024)
            .sum()
    }

    /// Before an operation: whether it fails, or is the last one.
    fn ready(&mut self, error: &'static str, cut: &'static str) -> io::Result<()> {
        if !self.has_power {
            return Err(eio());
        }
        if self.faults.cuts > 0 && self.rng.random_ratio(1, self.faults.cuts) {
            self.has_power = false;
            self.reached(cut);
            return Err(eio());
        }
        if self.faults.errors > 0 && self.rng.random_ratio(1, self.faults.errors) {
            self.reached(error);
            return Err(eio());
        }
        Ok(())
    }

    fn done(&mut self, dir: &Path, deed: Deed) {
        self.now.apply(&deed);
        self.pending.push((dir.to_owned(), deed));
    }

    fn inode(&self, path: &Path) -> io::Result<usize> {
        self.now.files.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_names(&mut self, dir: &Path, mut takes: impl FnMut(&mut StdRng) -> bool) {
        let (of_dir, others) = std::mem::take(&mut self.pending).into_iter().partition(|(of, _)| of == dir);
        self.pending = others;
        let of_dir: Vec<(PathBuf, Deed)> = of_dir;
        for (_, deed) in &of_dir {
            if takes(&mut self.rng) {
                self.synced.apply(deed);
            }
        }
    }

    fn forget_what_was_not_synced(&mut self) {
        for (_, deed) in std::mem::take(&mut self.pending) {
            match self.rng.random_bool(0.5) {
                true => self.synced.apply(&deed),
                false => self.reached("name not synced, lost"),
            }
        }
        let (rng, n_reached) = (&mut self.rng, &mut self.n_reached);
        for inode in self.inodes.iter_mut().filter(|inode| inode.now != inode.synced) {
            match rng.random_range(0..3) {
                0 => {}
                1 => inode.synced = inode.now.clone(),
                _ => {
                    let n = rng.random_range(0..=inode.now.len());
                    inode.synced = inode.now[..n].to_vec();
                    *n_reached.entry("content not synced, torn").or_default() += 1;
                }
            }
            inode.now.clone_from(&inode.synced);
        }
        let dirs = self.synced.dirs.clone();
        self.synced.files.retain(|path, _| path.parent().is_some_and(|dir| dirs.contains(dir)));
        self.now = self.synced.clone();
    }
}

impl Files for SimulatedDisk {
    fn claim(&self, dir: &Path) -> Result<Option<File>, DirError> {
        let mut state = self.lock();
        state.now.dirs.insert(dir.to_owned());
        state.synced.dirs.insert(dir.to_owned());
        Ok(None)
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.ready("EIO: make folder", "power cut: make folder")?;
        let above = dir.parent().ok_or_else(eio)?.to_owned();
        state.done(&above, Deed::MadeDir(dir.to_owned()));
        Ok(())
    }

    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        let dir = path.parent().ok_or_else(eio)?.to_owned();
        if !state.now.dirs.contains(&dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.ready("EIO: create", "power cut: create")?;
        let at = match state.inode(path) {
            Ok(at) => at,
            Err(_) => {
                state.inodes.push(Inode::default());
                let at = state.inodes.len() - 1;
                state.done(&dir, Deed::Made(path.to_owned(), at));
                at
            }
        };
        state.inodes[at].now.clear();
        let room = state.total_bytes.saturating_sub(state.used_bytes() + state.others_bytes);
        if (bytes.len() as u64).next_multiple_of(4096) > room {
            state.inodes[at].now = bytes[..bytes.len() / 2].to_vec();
            state.reached("ENOSPC");
            return Err(io::ErrorKind::StorageFull.into());
        }
        if let Err(e) = state.ready("EIO: write", "power cut: write") {
            let n = state.rng.random_range(0..=bytes.len());
            state.inodes[at].now = bytes[..n].to_vec();
            return Err(e);
        }
        state.inodes[at].now = bytes.to_vec();
        if let Err(e) = state.ready("EIO: fsync of a file", "power cut: fsync of a file") {
            // What is in memory looks as it should, and is never written again.
            let n = state.rng.random_range(0..=bytes.len());
            state.inodes[at].synced = bytes[..n].to_vec();
            return Err(e);
        }
        state.inodes[at].synced = bytes.to_vec();
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let at = state.inode(from)?;
        state.ready("EIO: rename", "power cut: rename")?;
        let dir = to.parent().ok_or_else(eio)?.to_owned();
        state.done(&dir, Deed::Renamed(from.to_owned(), to.to_owned(), at));
        Ok(())
    }

    fn truncate(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let at = state.inode(path)?;
        state.ready("EIO: truncate", "power cut: truncate")?;
        state.inodes[at].now.clear();
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        if let Err(e) = state.ready("EIO: fsync of a folder", "power cut: fsync of a folder") {
            if state.has_power {
                state.sync_names(dir, |rng| rng.random_bool(0.5));
            }
            return Err(e);
        }
        state.sync_names(dir, |_| true);
        Ok(())
    }

    fn read(&self, path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
        let mut state = self.lock();
        let at = state.inode(path)?;
        state.ready("EIO: read", "power cut: read")?;
        let bytes = state.inodes[at].now.clone();
        if bytes.len() as u64 > max_bytes { Err(io::ErrorKind::InvalidData.into()) } else { Ok(bytes) }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.inode(path)?;
        state.ready("EIO: remove", "power cut: remove")?;
        let dir = path.parent().ok_or_else(eio)?.to_owned();
        state.done(&dir, Deed::Removed(path.to_owned()));
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        if !state.now.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.ready("EIO: remove folder", "power cut: remove folder")?;
        assert!(
            state.now.files.keys().all(|path| path.parent() != Some(dir)),
            "{} is not empty",
            dir.display()
        );
        let above = dir.parent().ok_or_else(eio)?.to_owned();
        state.done(&above, Deed::RemovedDir(dir.to_owned()));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>> {
        let state = self.lock();
        if !state.now.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let is_in = |path: &&Path| path.parent() == Some(dir);
        let listed = |path: &Path, n_bytes| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Listed { name, n_bytes }
        };
        let files =
            state.now.files.iter().map(|(path, at)| (path.as_path(), state.inodes[*at].now.len() as u64));
        let dirs = state.now.dirs.iter().map(|path| (path.as_path(), 0));
        Ok(files.chain(dirs).filter(|(path, _)| is_in(path)).map(|(path, n)| listed(path, n)).collect())
    }

    fn room(&self, _dir: &Path) -> io::Result<Room> {
        let state = self.lock();
        let taken = state.used_bytes() + state.others_bytes;
        Ok(Room { total_bytes: state.total_bytes, free_bytes: state.total_bytes.saturating_sub(taken) })
    }
}

fn eio() -> io::Error {
    io::Error::from_raw_os_error(nix::libc::EIO)
}

fn pick(rng: &mut StdRng, of: &[usize]) -> Option<usize> {
    (!of.is_empty()).then(|| of[rng.random_range(0..of.len())])
}
