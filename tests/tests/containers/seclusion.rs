//! A thread's own view of the folders that runtimes write to whatever they are told: what they leave there goes with it.

use std::fs::{self, File};
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

/// Folders of which the thread and the programs that it runs see a copy of their own.
const COPIED: [&str; 4] = ["/etc", "/opt", "/var/lib", "/var/cache"];

/// The thread that has made it lives in a mount namespace of its own until it is dropped.
pub(crate) struct Seclusion {
    home: File,
}

impl Seclusion {
    /// Begins it; what is written to the copies goes below this folder.
    pub(crate) fn enter(folder: &Path) -> Self {
        let home = File::open("/proc/thread-self/ns/mnt").unwrap();
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        mount(Some("none"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=755")).unwrap();
        for (n, copied) in COPIED.into_iter().enumerate() {
            let [upper, work] = ["upper", "work"].map(|name| folder.join(format!("{name}-{n}")));
            for folder in [&upper, &work] {
                fs::create_dir_all(folder).unwrap();
            }
            let options =
                format!("lowerdir={copied},upperdir={},workdir={}", upper.display(), work.display());
            mount(Some("none"), copied, Some("overlay"), MsFlags::empty(), Some(options.as_str())).unwrap();
        }
        Self { home }
    }
}

impl Drop for Seclusion {
    fn drop(&mut self) {
        setns(&self.home, CloneFlags::CLONE_NEWNS).unwrap();
    }
}
