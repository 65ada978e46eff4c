//! The folder in the BPF file system that keeps an instance alive without its sensor.
//!
//! It holds maps as `NAME-DIGEST`, the digest being of what they hold: versions that lay a map out alike share it, others have
//! one each. `link_NAME` keeps a program's door attached, and `to_NAME-DIGEST` says what is behind it; see [`super::doors`].
//! The value in the map `identity` is written last: where it is not this version's, what is behind the doors is replaced.
//! The folder is locked while a sensor uses it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use aya::maps::{Array, Map, MapData};
use nix::fcntl::{Flock, FlockArg};
use sensor_bpf::event::EVENT_IDENTITY_BYTES;

use super::host::BPFFS;
use super::{Hook, ProbeError};

/// The value in the map `identity`: a version, then a digest of the pins that it made.
type Identity = [u8; EVENT_IDENTITY_BYTES as usize];

/// Half of it.
pub(super) type Half = [u8; EVENT_IDENTITY_BYTES as usize / 2];

/// What is behind the doors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing, or another version's programs, or some of each.
    Other,
    /// All of this version's programs, just as they were put there.
    Whole,
    /// This version's, but somebody has removed or added pins.
    Changed,
}

#[derive(Debug)]
pub(super) struct Pins {
    folder: PathBuf,
    /// The pins of this version's maps.
    maps: BTreeMap<&'static str, String>,
    _lock: Flock<File>,
}

impl Pins {
    /// Makes the folder if there is none, and locks it.
    pub(super) fn claim(name: &str) -> Result<Self, ProbeError> {
        let folder = folder(name)?;
        let fail = |source: io::Error| match source.kind() {
            io::ErrorKind::PermissionDenied => ProbeError::NotRoot,
            _ => ProbeError::Folder { path: folder.clone(), source },
        };
        fs::create_dir_all(&folder).map_err(fail)?;
        let open = File::open(&folder).map_err(fail)?;
        let lock = Flock::lock(open, FlockArg::LockExclusiveNonblock)
            .map_err(|_| ProbeError::Running { name: name.into() })?;
        Ok(Self { folder, maps: BTreeMap::new(), _lock: lock })
    }

    /// The same, knowing how this version's maps are pinned.
    pub(super) fn knowing(self, maps: BTreeMap<&'static str, String>) -> Self {
        Self { maps, ..self }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// How this version's maps are pinned, by their names.
    pub(super) fn maps(&self) -> &BTreeMap<&'static str, String> {
        &self.maps
    }

    pub(super) fn path(&self, pin: &str) -> PathBuf {
        self.folder.join(pin)
    }

    pub(super) fn link_path(&self, hook: &Hook) -> PathBuf {
        self.path(&format!("{LINK}{}", hook.program))
    }

    /// Where a map of this version is pinned.
    pub(super) fn map_path(&self, name: &str) -> PathBuf {
        self.path(self.maps.get(name).map_or(name, String::as_str))
    }

    pub(super) fn map(&self, name: &'static str) -> Result<MapData, ProbeError> {
        MapData::from_pin(self.map_path(name))
            .map_err(|source| ProbeError::Map { name, source: Box::new(source) })
    }

    /// What is behind the doors, to this version.
    pub(super) fn found(&self, version: Half) -> Result<Found, ProbeError> {
        let Ok(map) = self.map("identity") else { return Ok(Found::Other) };
        let map = Array::<_, Identity>::try_from(Map::Array(map)).map_err(failed)?;
        let identity = map.get(&0, 0).map_err(failed)?;
        Ok(match identity.split_at(version.len()) {
            (found, _) if found != version => Found::Other,
            (_, pins) if pins == self.digest()? => Found::Whole,
            _ => Found::Changed,
        })
    }

    /// Notes that all of this version's programs are behind the doors; `None`: that they are being put there.
    pub(super) fn identify(&self, version: Option<Half>) -> Result<(), ProbeError> {
        let mut identity = Identity::default();
        if let Some(version) = version {
            let bytes = version.into_iter().chain(self.digest()?);
            identity.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        }
        let map = Array::<_, Identity>::try_from(Map::Array(self.map("identity")?));
        map.and_then(|mut map| map.set(0, identity, 0)).map_err(failed)
    }

    /// Of the doors and of this version's maps.
    fn digest(&self) -> Result<Half, ProbeError> {
        let mut pins = self.all()?;
        pins.retain(|pin| is_of_door(pin) || self.maps.values().any(|map| map == pin));
        pins.sort();
        let mut hasher = blake3::Hasher::new();
        for pin in pins {
            hasher.update(pin.as_bytes()).update(b"\n");
        }
        let mut digest = Half::default();
        hasher.finalize_xof().fill(&mut digest);
        Ok(digest)
    }

    /// The names of all that is pinned here.
    pub(super) fn all(&self) -> Result<Vec<String>, ProbeError> {
        let read = || -> io::Result<Vec<String>> {
            let names = fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
            Ok(names.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
        };
        read().map_err(|source| ProbeError::Folder { path: self.folder.clone(), source })
    }

    /// The programs whose doors are attached.
    pub(super) fn attached(&self) -> Result<Vec<String>, ProbeError> {
        let links = self.all()?.into_iter().filter_map(|name| name.strip_prefix(LINK).map(str::to_owned));
        Ok(links.collect())
    }

    /// Removes a pin, if it is there.
    pub(super) fn forget(&self, pin: &str) -> Result<(), ProbeError> {
        let path = self.path(pin);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(ProbeError::Folder { path, source })
            }
            _ => Ok(()),
        }
    }

    /// Puts what `pin` pins in the place of what is pinned under this path.
    pub(super) fn replace<T>(
        &self,
        path: &Path,
        pin: impl FnOnce(&Path) -> Result<T, ProbeError>,
    ) -> Result<T, ProbeError> {
        let beside = self.path("new");
        self.forget("new")?;
        let pinned = pin(&beside)?;
        fs::rename(&beside, path).map_err(|source| ProbeError::Folder { path: path.to_owned(), source })?;
        Ok(pinned)
    }

    /// Removes the folder and all that is pinned in it.
    pub(super) fn remove(self) -> Result<(), ProbeError> {
        self.clear_io().map_err(|source| ProbeError::Folder { path: self.folder.clone(), source })?;
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
        names.sort_by_key(|name| !name.as_encoded_bytes().starts_with(LINK.as_bytes()));
        names.iter().try_for_each(|name| fs::remove_file(self.folder.join(name)))
    }
}

/// What the pins of links begin with.
const LINK: &str = "link_";
/// What the pins of the maps begin with that say what is behind a door.
pub(super) const TO: &str = "to_";

/// Whether it belongs to a door.
pub(super) fn is_of_door(pin: &str) -> bool {
    pin.starts_with(LINK) || pin.starts_with(TO)
}

fn failed(source: aya::maps::MapError) -> ProbeError {
    ProbeError::Map { name: "identity", source: Box::new(source) }
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

pub(super) fn folder(name: &str) -> Result<PathBuf, ProbeError> {
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
