//! One `vedette up` for one home: the lock, and what others may know of who holds it.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

/// The right to run in a home; given back when dropped, however the process ends.
pub(crate) struct Instance {
    lock: Flock<File>,
    holder: Holder,
}

/// Who runs in a home.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) pid: i32,
    /// The API's address, once everything runs.
    pub(crate) url: Option<String>,
}

impl Instance {
    /// Takes the home, making its folders.
    ///
    /// # Errors
    /// When it is taken already, naming who holds it and how to stop it; when the folder cannot be made.
    pub(crate) fn claim(home: &Path) -> anyhow::Result<Self> {
        make_folders(home)?;
        let file = open(home).with_context(|| format!("cannot write in {}", home.display()))?;
        let Ok(lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
            match holder(home)? {
                Some(Holder { pid, url: Some(url) }) => bail!(
                    "already running in {} (pid {pid}, API at {url}); stop it with: vedette down",
                    home.display()
                ),
                Some(Holder { pid, .. }) => bail!("already starting in {} (pid {pid})", home.display()),
                None => bail!("another vedette is using {}; try again, or run: vedette down", home.display()),
            }
        };
        let mut instance =
            Self { lock, holder: Holder { pid: i32::try_from(std::process::id())?, url: None } };
        instance.write()?;
        Ok(instance)
    }

    /// Says that everything runs and where the API is.
    pub(crate) fn ready(&mut self, url: &str) -> anyhow::Result<()> {
        self.holder.url = Some(url.to_owned());
        self.write()
    }

    fn write(&mut self) -> anyhow::Result<()> {
        let text = serde_json::to_vec(&self.holder)?;
        self.lock.set_len(0)?;
        self.lock.rewind()?;
        self.lock.write_all(&text)?;
        Ok(())
    }
}

/// Who runs in the home now, if anyone does: the lock decides, not what the file says.
pub(crate) fn holder(home: &Path) -> anyhow::Result<Option<Holder>> {
    let path = lock_file(home);
    let mut file = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot open {}", path.display())),
    };
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(_free) => Ok(None),
        // Held, but not written yet: somebody is between the two.
        Err(_) => Ok(serde_json::from_str(&text).ok()),
    }
}

fn lock_file(home: &Path) -> PathBuf {
    home.join("up.lock")
}

fn open(home: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(lock_file(home))
}

/// The database's user must be able to pass through the home; what is secret has folders of its own.
fn make_folders(home: &Path) -> anyhow::Result<()> {
    for (folder, mode) in [("", 0o755), ("log", 0o755), ("collector", 0o700)] {
        let path = home.join(folder);
        if path.is_dir() {
            continue;
        }
        std::fs::create_dir_all(&path).with_context(|| {
            format!("cannot make the folder {}; choose another with VEDETTE_HOME", path.display())
        })?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_home_is_taken_once() {
        let home = tempfile::tempdir().unwrap();
        assert!(holder(home.path()).unwrap().is_none());
        let mut first = Instance::claim(home.path()).unwrap();
        first.ready("https://127.0.0.1:1").unwrap();
        let refused = Instance::claim(home.path()).err().unwrap().to_string();
        assert!(refused.contains("vedette down") && refused.contains("https://127.0.0.1:1"), "{refused}");
        drop(first);
        assert!(holder(home.path()).unwrap().is_none());
        Instance::claim(home.path()).unwrap();
    }
}
