//! The archive: written to its end or not at all, and read through once before anything of it is believed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::manifest::{Entry, FORMAT, Manifest};

const MANIFEST: &str = "manifest.json";
/// The longest manifest, and the longest of the small files, that is read.
const MAX_SMALL: u64 = 1 << 20;
const BLOCK: u64 = 512;

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read or written.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is there already.
    #[error("{} exists already; remove it, or name another with --out", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// It is no backup, or not all of one.
    #[error("{} is no whole backup: {what}; nothing was touched", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// A newer version made it.
    #[error("{} was made by a newer version, {version}, of the form {found}, expected {FORMAT}: restore it with that version", path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// That version.
        version: String,
        /// Its form.
        found: u32,
    },
}

/// An archive that is being written, beside its place.
pub(super) struct Writer {
    path: PathBuf,
    part: PathBuf,
    file: File,
    entries: Vec<Entry>,
}

impl Writer {
    pub(super) fn create(path: &Path) -> Result<Self, ArchiveError> {
        if path.exists() {
            return Err(ArchiveError::Exists { path: path.to_owned() });
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        // A leftover of one that was killed, whose mode may be another.
        drop(std::fs::remove_file(&part));
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&part);
        let file = file.map_err(failed("make", &part))?;
        Ok(Self { path: path.to_owned(), part, file, entries: Vec::new() })
    }

    /// Adds an entry as long as what can be read.
    pub(super) fn add(&mut self, name: &str, content: &mut impl Read) -> Result<(), ArchiveError> {
        let result = self.append(name, content);
        let entry = result.map_err(failed("write", &self.part))?;
        self.entries.push(entry);
        Ok(())
    }

    /// Writes the manifest with what was added, and puts the archive in its place.
    pub(super) fn finish(mut self, manifest: Manifest) -> Result<(Manifest, u64), ArchiveError> {
        let manifest = Manifest { entries: std::mem::take(&mut self.entries), ..manifest };
        let mut finish = || {
            let text = serde_json::to_vec_pretty(&manifest).map_err(io::Error::other)?;
            self.append(MANIFEST, &mut text.as_slice())?;
            self.file.write_all(&[0; 2 * BLOCK as usize])?;
            self.file.sync_all()?;
            std::fs::rename(&self.part, &self.path)?;
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
            Ok(self.file.metadata()?.len())
        };
        let n_bytes = finish().map_err(failed("write", &self.path))?;
        Ok((manifest, n_bytes))
    }

    /// Writes the content, and then its header before it: only then is its length known.
    fn append(&mut self, name: &str, content: &mut impl Read) -> io::Result<Entry> {
        let start = self.file.stream_position()?;
        self.file.write_all(&[0; BLOCK as usize])?;
        let mut hashing = Hashing { inner: &mut self.file, hasher: blake3::Hasher::new(), n_bytes: 0 };
        io::copy(content, &mut hashing)?;
        let (n_bytes, digest) = (hashing.n_bytes, hashing.hasher.finalize());
        let padding = n_bytes.next_multiple_of(BLOCK) - n_bytes;
        self.file.write_all(&vec![0; usize::try_from(padding).unwrap_or(0)])?;
        let end = self.file.stream_position()?;
        let mut header = tar::Header::new_gnu();
        header.set_path(name)?;
        header.set_size(n_bytes);
        header.set_mode(0o600);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        self.file.seek(SeekFrom::Start(start))?;
        self.file.write_all(header.as_bytes())?;
        self.file.seek(SeekFrom::Start(end))?;
        Ok(Entry { name: name.to_owned(), bytes: n_bytes, blake3: digest.to_string() })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Gone when it was finished; what is not whole is nobody's backup.
        drop(std::fs::remove_file(&self.part));
    }
}

/// An archive whose every byte was checked.
pub(super) struct Checked {
    path: PathBuf,
    pub(super) manifest: Manifest,
}

impl Checked {
    /// Reads all of it: every entry has to be as the manifest says, and no other may be there.
    pub(super) fn open(path: &Path) -> Result<Self, ArchiveError> {
        let mut found = Vec::new();
        let mut manifest = None;
        let wrong = |what: String| ArchiveError::Content { path: path.to_owned(), what };
        each(path, |name, content| {
            if name == MANIFEST {
                let mut text = Vec::new();
                content.take(MAX_SMALL).read_to_end(&mut text)?;
                manifest = Some(text);
                return Ok(());
            }
            let mut hashing = Hashing { inner: &mut io::sink(), hasher: blake3::Hasher::new(), n_bytes: 0 };
            io::copy(content, &mut hashing)?;
            let (bytes, blake3) = (hashing.n_bytes, hashing.hasher.finalize().to_string());
            found.push(Entry { name: name.to_owned(), bytes, blake3 });
            Ok(())
        })?;
        let text = manifest.ok_or_else(|| wrong("it ends without a manifest".to_owned()))?;
        let said: serde_json::Value =
            serde_json::from_slice(&text).map_err(|_| wrong("its manifest cannot be read".to_owned()))?;
        let format = said.get("format").and_then(serde_json::Value::as_u64).unwrap_or(0);
        if format > u64::from(FORMAT) {
            let version = said.get("version").and_then(serde_json::Value::as_str).unwrap_or("?").to_owned();
            let found = u32::try_from(format).unwrap_or(u32::MAX);
            return Err(ArchiveError::Newer { path: path.to_owned(), version, found });
        }
        let manifest: Manifest =
            serde_json::from_value(said).map_err(|e| wrong(format!("its manifest cannot be read: {e}")))?;
        if let Some(entry) = manifest.entries.iter().find(|entry| !found.contains(entry)) {
            return Err(wrong(format!("{} is not as the manifest says", entry.name)));
        }
        if found.len() != manifest.entries.len() {
            return Err(wrong("it holds more than its manifest says".to_owned()));
        }
        Ok(Self { path: path.to_owned(), manifest })
    }

    /// The content of a small entry, if it is there.
    pub(super) fn small(&self, name: &str) -> Result<Option<Vec<u8>>, ArchiveError> {
        let mut found = None;
        each(&self.path, |entry, content| {
            if entry == name {
                let mut bytes = Vec::new();
                content.take(MAX_SMALL).read_to_end(&mut bytes)?;
                found = Some(bytes);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Writes an entry's content to where it is wanted; who does not want all of it is not given all of it.
    pub(super) fn pour(&self, name: &str, into: &mut impl Write) -> Result<(), ArchiveError> {
        each(&self.path, |entry, content| {
            if entry == name {
                match io::copy(content, into) {
                    Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
                    _ => {}
                }
            }
            Ok(())
        })
    }
}

fn each(
    path: &Path,
    mut visit: impl FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> Result<(), ArchiveError> {
    let file = File::open(path).map_err(failed("open", path))?;
    let wrong = |e: io::Error| ArchiveError::Content { path: path.to_owned(), what: e.to_string() };
    let mut archive = tar::Archive::new(file);
    for entry in archive.entries().map_err(wrong)? {
        let mut entry = entry.map_err(wrong)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        visit(&name, &mut entry).map_err(wrong)?;
    }
    Ok(())
}

struct Hashing<'a, W> {
    inner: &'a mut W,
    hasher: blake3::Hasher,
    n_bytes: u64,
}

impl<W: Write> Write for Hashing<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..n).unwrap_or_default());
        self.n_bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ArchiveError {
    let path = path.to_owned();
    move |source| ArchiveError::File { what, path, source }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            format: FORMAT,
            version: "0.1.0".to_owned(),
            schema: 11,
            taken_us: 1,
            taken: "then".to_owned(),
            authority: "ab".to_owned(),
            entries: Vec::new(),
        }
    }

    fn written(folder: &Path, manifest: Manifest) -> PathBuf {
        let path = folder.join("backup.tar");
        let mut writer = Writer::create(&path).unwrap();
        writer.add("store.dump", &mut vec![7; 1000].as_slice()).unwrap();
        writer.add("collector/ca.key", &mut b"key".as_slice()).unwrap();
        writer.finish(manifest).unwrap();
        path
    }

    #[test]
    fn what_was_written_is_read_and_nobody_else_may() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), manifest());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let checked = Checked::open(&path).unwrap();
        assert_eq!(checked.manifest.entries.len(), 2);
        assert_eq!(checked.small("collector/ca.key").unwrap().unwrap(), b"key");
        let mut store = Vec::new();
        checked.pour("store.dump", &mut store).unwrap();
        assert_eq!(store, [7; 1000]);
        assert!(matches!(Writer::create(&path), Err(ArchiveError::Exists { .. })));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_damaged_or_cut_archive_is_refused_wherever_it_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), manifest());
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len() - 2 * BLOCK as usize).step_by(101) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            std::fs::write(&path, &damaged).unwrap();
            // Padding and what a header says of owners mean nothing.
            if let Ok(read) = Checked::open(&path) {
                assert_eq!(read.small("collector/ca.key").unwrap().unwrap(), b"key", "byte {at}");
            }
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(Checked::open(&path).is_err(), "{at} bytes");
        }
        let mut damaged = whole;
        damaged[BLOCK as usize + 10] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let error = Checked::open(&path).err().unwrap().to_string();
        assert!(error.contains("store.dump is not as the manifest says"), "{error}");
    }

    #[test]
    fn one_of_a_newer_form_names_its_version() {
        let folder = tempfile::tempdir().unwrap();
        let newer = Manifest { format: FORMAT + 1, version: "9.0.0".to_owned(), ..manifest() };
        let error = Checked::open(&written(folder.path(), newer)).err().unwrap().to_string();
        assert!(error.contains("9.0.0"), "{error}");
    }

    #[test]
    fn one_that_is_given_up_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(&folder.path().join("backup.tar")).unwrap();
        writer.add("store.dump", &mut b"x".as_slice()).unwrap();
        drop(writer);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
