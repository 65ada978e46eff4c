//! Cleans up after a site, also when the process that had it was killed.

use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A shell that waits for the end of its input, which comes with the end of this process at the latest.
pub struct Watcher(Child);

/// Ends whoever has the folder in its command line, and removes the folders.
const SCRIPT: &str = r#"
    cat >/dev/null
    for round in 1 2 3; do
        for pid in $(pgrep -f "$0"); do
            [ "$pid" = $$ ] || kill -9 "$pid" 2>/dev/null
        done
        sleep 0.2
    done
    mountpoint -q "$0/disk" && { umount "$0/disk" || umount -l "$0/disk"; } 2>/dev/null
    rm -rf "$0" "$1"
"#;

impl Watcher {
    /// Watches over a site's folder, and its folder in memory.
    ///
    /// # Errors
    /// When there is no shell.
    pub fn over(folder: &Path, memory: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(SCRIPT).arg(folder).arg(memory);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Ctrl-C is for the test.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Ok(Self(command.spawn()?))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
