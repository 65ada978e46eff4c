//! The few operations on files that the spool on disk needs: those of the system here, those of a simulated disk in tests.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Instant;

use metrics::histogram;
use nix::sys::statvfs::statvfs;

use super::{DirError, dir};

/// Operations on files, each of which either is done or gives an error.
///
/// What an operation has done may be undone by a power cut, part by part, until what it was done to was synced:
/// content by [`Files::write_synced`], names by [`Files::sync_dir`] of the folder they are in.
pub trait Files: Send + Sync + Debug {
    /// Makes a folder that is this user's alone, with what is missing above it, and takes it for this process.
    /// It is given back when what this gives is dropped.
    ///
    /// # Errors
    /// When it cannot be made, is not this user's alone, or is in use.
    fn claim(&self, dir: &Path) -> Result<Option<File>, DirError>;

    /// Makes one folder. One that is there already is as good.
    ///
    /// # Errors
    /// When it cannot be made.
    fn make_dir(&self, dir: &Path) -> io::Result<()>;

    /// Writes a file, in place of what it held; its content is on the disk when this returns without an error.
    ///
    /// # Errors
    /// When it cannot be written or synced. What it holds then is not known, and to sync it again proves nothing.
    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Gives a file another name in its folder, in place of what had that name.
    ///
    /// # Errors
    /// When it cannot be renamed.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Empties a file.
    ///
    /// # Errors
    /// When it cannot be emptied.
    fn truncate(&self, path: &Path) -> io::Result<()>;

    /// Brings the names in a folder to the disk.
    ///
    /// # Errors
    /// When it cannot be synced. To try again proves nothing.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Reads a file of at most so many bytes.
    ///
    /// # Errors
    /// When it cannot be read, or is larger.
    fn read(&self, path: &Path, max_bytes: u64) -> io::Result<Vec<u8>>;

    /// Removes a file.
    ///
    /// # Errors
    /// When it stays, or is not there.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    ///
    /// # Errors
    /// When it stays, or is not there.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;

    /// What is in a folder.
    ///
    /// # Errors
    /// When it cannot be read.
    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>>;

    /// How much room the folder's file system has.
    ///
    /// # Errors
    /// When it does not say.
    fn room(&self, dir: &Path) -> io::Result<Room>;
}

/// One entry of a folder.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// A file's length.
    pub n_bytes: u64,
}

/// How large a file system is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Room {
    /// All of it.
    pub total_bytes: u64,
    /// What is free for everybody.
    pub free_bytes: u64,
}

/// This system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemFiles;

impl Files for SystemFiles {
    fn claim(&self, path: &Path) -> Result<Option<File>, DirError> {
        let is_new = |path: &&Path| !path.exists();
        let new: Vec<&Path> = path.ancestors().take_while(is_new).collect();
        dir::make_private(path)?;
        let lock = dir::lock(path)?;
        for above in new.into_iter().filter_map(Path::parent).filter(|above| !above.as_os_str().is_empty()) {
            self.sync_dir(above).map_err(|source| DirError::Io { path: above.to_owned(), source })?;
        }
        Ok(Some(lock))
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        match fs::create_dir(dir) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            done => done,
        }
    }

    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut options = File::options();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        synced(&file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn truncate(&self, path: &Path) -> io::Result<()> {
        File::options().write(true).open(path)?.set_len(0)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        synced(&File::open(dir)?)
    }

    fn read(&self, path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max_bytes {
            let reason = format!("found more than the {max_bytes} bytes that were written");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(bytes)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let (Ok(name), Ok(meta)) = (entry.file_name().into_string(), entry.metadata()) else { continue };
            found.push(Listed { name, n_bytes: meta.len() });
        }
        Ok(found)
    }

    fn room(&self, dir: &Path) -> io::Result<Room> {
        let found = statvfs(dir)?;
        let block = found.fragment_size();
        Ok(Room {
            total_bytes: found.blocks().saturating_mul(block),
            free_bytes: found.blocks_available().saturating_mul(block),
        })
    }
}

fn synced(file: &File) -> io::Result<()> {
    let begun = Instant::now();
    let done = file.sync_all();
    histogram!("sensor_spool_fsync_seconds").record(begun.elapsed().as_secs_f64());
    done
}
