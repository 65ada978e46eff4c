//! A small disk of its own: a file system in a file, that can be filled.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;

/// A mounted disk; unmounted when dropped.
pub struct Disk {
    image: PathBuf,
    /// Where its root is.
    pub mounted: PathBuf,
}

impl Disk {
    /// Makes one of so many MiB.
    pub fn make(folder: &Path, name: &str, mib: u64) -> anyhow::Result<Self> {
        let (image, mounted) = (folder.join(format!("{name}.img")), folder.join(name));
        std::fs::File::create(&image)?.set_len(mib << 20)?;
        std::fs::create_dir_all(&mounted)?;
        run(Command::new("mkfs.ext4").args(["-q", "-m", "0", "-E", "nodiscard"]).arg(&image))?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&mounted))?;
        Ok(Self { image, mounted })
    }

    /// Takes all the room that is left.
    pub fn fill(&self) -> anyhow::Result<()> {
        use std::io::Write as _;
        let mut balloon = std::fs::File::create(self.balloon())?;
        let (mut piece, zeros) = (1 << 20, vec![0; 1 << 20]);
        while piece >= 4096 {
            match balloon.write_all(&zeros[..piece]) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::StorageFull => piece /= 4,
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// Gives it back.
    pub fn make_room(&self) {
        let _ = std::fs::remove_file(self.balloon());
    }

    fn balloon(&self) -> PathBuf {
        self.mounted.join("balloon")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = (0..50).any(|_| {
            let done = run(Command::new("umount").arg(&self.mounted)).is_ok();
            if !done {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            done
        });
        if !unmounted {
            let _ = run(Command::new("umount").arg("-l").arg(&self.mounted));
        }
        let _ = std::fs::remove_file(&self.image);
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let said = command.output()?;
    ensure!(said.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said.stderr));
    Ok(())
}
