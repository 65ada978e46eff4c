//! The folder in the BPF file system that keeps an instance alive without its sensor.
//!
//! It holds the maps by their names, programs as `program_NAME`, links as `link_NAME`. The value
//! in the map `identity` is written last: a folder without it is a broken installation and is
//! replaced. The folder is locked while a sensor uses it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use aya::maps::{Array, Map, MapData};
use aya::programs::{ProgramFd, ProgramInfo};
use nix::fcntl::{Flock, FlockArg};
use sensor_bpf::event::EVENT_IDENTITY_BYTES;

use super::host::BPFFS;
use super::{Hook, ProbeError};

pub(super) type Identity = [u8; EVENT_IDENTITY_BYTES as usize];

#[derive(Debug)]
pub(super) struct Pins {
    folder: PathBuf,
    _lock: Flock<File>,
}

impl Pins {
    /// Makes the folder if there is none, and locks it.
    pub(super) fn claim(name: &str) -> Result<Self, ProbeError> {
        let folder = folder(name)?;
        let fail = |source| ProbeError::Folder { path: folder.clone(), source };
        fs::create_dir_all(&folder).map_err(fail)?;
        let open = File::open(&folder).map_err(fail)?;
        let lock = Flock::lock(open, FlockArg::LockExclusiveNonblock)
            .map_err(|_| ProbeError::Running { name: name.into() })?;
        Ok(Self { folder, _lock: lock })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn path(&self, pin: &str) -> PathBuf {
        self.folder.join(pin)
    }

    pub(super) fn program_path(&self, hook: &Hook) -> PathBuf {
        self.path(&format!("program_{}", hook.program))
    }

    pub(super) fn link_path(&self, hook: &Hook) -> PathBuf {
        self.path(&format!("link_{}", hook.program))
    }

    pub(super) fn map(&self, name: &'static str) -> Result<MapData, ProbeError> {
        MapData::from_pin(self.path(name))
            .map_err(|source| ProbeError::Map { name, source: Box::new(source) })
    }

    /// The pinned program of a hook, if this kernel took it.
    pub(super) fn program(&self, hook: &Hook) -> Result<Option<ProgramFd>, ProbeError> {
        let path = self.program_path(hook);
        if !path.exists() {
            return Ok(None);
        }
        ProgramInfo::from_pin(path)
            .and_then(|info| info.fd())
            .map(Some)
            .map_err(|source| ProbeError::Program { program: hook.program, source: Box::new(source) })
    }

    /// What is installed here, if all of it is.
    pub(super) fn identity(&self) -> Option<Identity> {
        let map = Array::<_, Identity>::try_from(Map::Array(self.map("identity").ok()?)).ok()?;
        map.get(&0, 0).ok().filter(|identity| *identity != Identity::default())
    }

    /// Removes whatever is pinned here.
    pub(super) fn clear(&self) -> Result<(), ProbeError> {
        self.clear_io().map_err(|source| ProbeError::Folder { path: self.folder.clone(), source })
    }

    /// Removes the folder and all that is pinned in it.
    pub(super) fn remove(self) -> Result<(), ProbeError> {
        self.clear()?;
        fs::remove_dir(&self.folder)
            .map_err(|source| ProbeError::Folder { path: self.folder.clone(), source })?;
        // The last instance takes the common folder with it; others keep it from being removed.
        drop(fs::remove_dir(root()));
        Ok(())
    }

    /// Links first, so that no program runs whose maps are gone from sight.
    fn clear_io(&self) -> io::Result<()> {
        let mut names = fs::read_dir(&self.folder)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort_by_key(|name| !name.as_encoded_bytes().starts_with(b"link_"));
        names.iter().try_for_each(|name| fs::remove_file(self.folder.join(name)))
    }
}

/// Whether anything is pinned under this name.
pub(super) fn exists(name: &str) -> Result<bool, ProbeError> {
    let folder = folder(name)?;
    Ok(seen(fs::metadata(&folder), &folder)?.is_some_and(|found| found.is_dir()))
}

/// Every name under which something is pinned.
pub(super) fn names() -> Result<Vec<String>, ProbeError> {
    let entries = seen(fs::read_dir(root()), &root())?.into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// What is there, if anything; whoever may not look must not hear that there is nothing.
fn seen<T>(found: io::Result<T>, path: &Path) -> Result<Option<T>, ProbeError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(ProbeError::NotRoot),
        Err(source) => Err(ProbeError::Folder { path: path.to_owned(), source }),
    }
}

fn root() -> PathBuf {
    Path::new(BPFFS).join("vedette")
}

fn folder(name: &str) -> Result<PathBuf, ProbeError> {
    let fits = (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if fits { Ok(root().join(name)) } else { Err(ProbeError::Name(name.into())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_the_folder() {
        for name in ["", ".", "..", "a/b", "../x", "a b", &"x".repeat(65)] {
            assert!(matches!(folder(name), Err(ProbeError::Name(_))), "{name:?}");
        }
        assert!(folder("host-1_a").is_ok());
    }
}
