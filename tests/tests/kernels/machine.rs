//! One boot of a virtual machine, emulated: it needs no rights and no hardware.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tests::wait::poll;

/// The emulator.
pub(crate) const QEMU: &str = "qemu-system-x86_64";

/// How long a boot may take with everything that is played.
const PATIENCE: Duration = Duration::from_secs(420);

/// What is booted.
pub(crate) struct Boot<'a> {
    /// The image.
    pub(crate) kernel: &'a Path,
    pub(crate) initramfs: &'a Path,
    /// Whether programs may be attached to the kernel's security hooks.
    pub(crate) lsm: bool,
    /// A folder for what it says.
    pub(crate) folder: &'a Path,
}

impl Boot<'_> {
    /// Runs it until it turns itself off; gives what the guest wrote.
    ///
    /// # Errors
    /// When it does not end; with the end of what stood on the console.
    pub(crate) fn run(&self) -> anyhow::Result<String> {
        let (console, results) = (self.folder.join("console"), self.folder.join("results"));
        let lsm = if self.lsm { "lockdown,capability,landlock,bpf" } else { "lockdown,capability,landlock" };
        let append =
            format!("console=ttyS0 panic=-1 loglevel=5 mitigations=off random.trust_cpu=on lsm={lsm}");
        let mut command = Command::new(QEMU);
        // The console is the first serial port, the guest's results are the second one; there is no network.
        command
            .args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-nic", "none"])
            .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024"])
            .arg("-kernel")
            .arg(self.kernel)
            .arg("-initrd")
            .arg(self.initramfs)
            .arg("-append")
            .arg(append)
            .arg("-serial")
            .arg(file(&console))
            .arg("-serial")
            .arg(file(&results));
        let log = File::create(self.folder.join("emulator"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut machine = command.spawn().with_context(|| format!("cannot run {QEMU}"))?;
        let ended = poll(PATIENCE, || machine.try_wait().ok().flatten());
        if ended.is_none() {
            machine.kill()?;
            machine.wait()?;
        }
        let told = fs::read(&results).unwrap_or_default();
        match ended {
            Some(status) if status.success() && !told.is_empty() => Ok(String::from_utf8(told)?),
            Some(status) => {
                bail!("the machine ended with {status}, and told {} bytes:\n{}", told.len(), self.said())
            }
            None => bail!("the machine did not end within {PATIENCE:?}:\n{}", self.said()),
        }
    }

    /// The end of all that was written, for messages.
    pub(crate) fn said(&self) -> String {
        let mut text = String::new();
        for name in ["emulator", "console"] {
            let all = fs::read(self.folder.join(name)).unwrap_or_default();
            let all = String::from_utf8_lossy(&all).into_owned();
            let lines: Vec<_> = all.lines().rev().take(40).collect();
            text.extend(lines.into_iter().rev().flat_map(|line| ["  ", line.trim_end(), "\n"]));
        }
        text
    }
}

fn file(path: &Path) -> String {
    format!("file:{}", path.display())
}
