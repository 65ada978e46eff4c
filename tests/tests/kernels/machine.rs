//! One boot of a virtual machine, emulated: it needs no rights and no hardware.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tests::wait::poll;

/// What a machine of some architecture needs.
pub(crate) struct Architecture {
    /// As Debian calls it.
    pub(crate) name: &'static str,
    /// The emulator, and its package.
    pub(crate) emulator: (&'static str, &'static str),
    /// What the emulator is told of the machine.
    machine: &'static [&'static str],
    /// What its first serial port is called there: the console.
    console: &'static str,
    /// The port that the guest's results go to.
    results: [&'static str; 2],
    /// A program that is linked dynamically needs it, and one scenario does: where it is here, and where there.
    pub(crate) loader: (&'static str, &'static str),
}

const AMD64: Architecture = Architecture {
    name: "amd64",
    emulator: ("qemu-system-x86_64", "qemu-system-x86"),
    machine: &["-cpu", "max"],
    console: "ttyS0",
    results: ["-serial", "chardev:results"],
    loader: ("/lib64/ld-linux-x86-64.so.2", "lib64/ld-linux-x86-64.so.2"),
};

// Pointer authentication as the architecture has it takes an emulator most of its time.
const ARM64: Architecture = Architecture {
    name: "arm64",
    emulator: ("qemu-system-aarch64", "qemu-system-arm"),
    machine: &["-machine", "virt", "-cpu", "max,pauth-impdef=on"],
    console: "ttyAMA0",
    results: ["-device", "pci-serial,chardev=results"],
    loader: ("/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1", "lib/ld-linux-aarch64.so.1"),
};

/// The architecture that is tried: that of VEDETTE_ARCH, else amd64.
pub(crate) fn architecture() -> &'static Architecture {
    match std::env::var("VEDETTE_ARCH").as_deref() {
        Ok("arm64") => &ARM64,
        _ => &AMD64,
    }
}

/// How long a boot may take with everything that is played.
const PATIENCE: Duration = Duration::from_secs(420);

/// How long it may take until the guest's first word, where a few seconds are usual: nobody waits for a machine that hangs.
const UNTIL_GUEST: Duration = Duration::from_secs(120);

/// What the guest says first, on the console.
const FIRST_WORD: &str = "starts";

/// How the kernel is to boot. The emulator's clocks are late where the host is busy, which no kernel expects of hardware:
/// it is not to test whether timer interrupts come, nor to doubt its time.
const COMMAND_LINE: &str =
    "panic=-1 loglevel=5 mitigations=off random.trust_cpu=on no_timer_check tsc=reliable";

/// What the kernel says when it meets a breakpoint that nobody set. It replaces instructions of its own under a breakpoint
/// (`text_poke_bp` in arch/x86/kernel/alternative.c: for a static key, say); an emulator before QEMU 8.1 that is just
/// translating the place on another processor may keep the breakpoint for ever. No program of ours can bring that about.
const STALE_BREAKPOINT: &str = "int3: 0000 [#";

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

/// How a machine ended.
enum End {
    /// It turned itself off, and this is what the guest wrote.
    Off(String),
    /// What the emulator is to blame for, and no sensor: no program had run on it yet, or it ran what was not there.
    Emulator(String),
}

impl Boot<'_> {
    /// Runs it until it turns itself off; gives what the guest wrote. One that the emulator failed is booted once more;
    /// `say` is told why.
    ///
    /// # Errors
    /// When it does not end; with the end of what stood on the console.
    pub(crate) fn run(&self, say: impl FnOnce(&str)) -> anyhow::Result<String> {
        match self.once()? {
            End::Off(told) => return Ok(told),
            End::Emulator(why) => say(&why),
        }
        match self.once()? {
            End::Off(told) => Ok(told),
            End::Emulator(why) => bail!("{why}, twice:\n{}", self.said()),
        }
    }

    fn once(&self) -> anyhow::Result<End> {
        let mut machine = self.start()?;
        let start = Instant::now();
        let mut is_late = false;
        let ended = poll(PATIENCE, || {
            let ended = machine.try_wait().ok().flatten();
            // Looked at once: whether it is up by then.
            if ended.is_none() && !is_late && start.elapsed() > UNTIL_GUEST {
                is_late = true;
                if !self.guest_has_run() {
                    return Some(None);
                }
            }
            ended.map(Some)
        });
        let Some(Some(status)) = ended else {
            machine.kill()?;
            machine.wait()?;
            if !self.guest_has_run() {
                return Ok(End::Emulator(format!("no program had run after {UNTIL_GUEST:?}")));
            }
            bail!("the machine did not end within {PATIENCE:?}:\n{}", self.said());
        };
        if self.said_on_console(STALE_BREAKPOINT) {
            return Ok(End::Emulator("the emulator ran a breakpoint that the kernel had removed".to_owned()));
        }
        let told = fs::read(self.results()).unwrap_or_default();
        if status.success() && !told.is_empty() {
            return Ok(End::Off(String::from_utf8(told)?));
        }
        let why = format!("the machine ended with {status}, and told {} bytes", told.len());
        // An emulator that fails says why, and would say it again.
        if status.success() && !self.guest_has_run() {
            return Ok(End::Emulator(why));
        }
        bail!("{why}:\n{}", self.said())
    }

    fn start(&self) -> anyhow::Result<Child> {
        let lsm = if self.lsm { "lockdown,capability,landlock,bpf" } else { "lockdown,capability,landlock" };
        let Architecture { emulator: (emulator, package), machine, console, results, .. } = architecture();
        let mut command = Command::new(emulator);
        command
            .args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-nic", "none"])
            .args(["-accel", "tcg,thread=multi", "-smp", "2", "-m", "1024"])
            .args(*machine)
            .arg("-kernel")
            .arg(self.kernel)
            .arg("-initrd")
            .arg(self.initramfs)
            .arg("-append")
            .arg(format!("console={console} {COMMAND_LINE} lsm={lsm}"))
            .arg("-serial")
            .arg(file(&self.console()))
            .arg("-chardev")
            .arg(format!("file,id=results,path={}", self.results().display()))
            .args(results);
        let log = File::create(self.folder.join("emulator"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.spawn().with_context(|| format!("cannot run {emulator} (apt-get install {package})"))
    }

    fn console(&self) -> PathBuf {
        self.folder.join("console")
    }

    fn results(&self) -> PathBuf {
        self.folder.join("results")
    }

    fn guest_has_run(&self) -> bool {
        self.said_on_console(&format!("guest: {FIRST_WORD}"))
    }

    fn said_on_console(&self, what: &str) -> bool {
        let console = fs::read(self.console()).unwrap_or_default();
        String::from_utf8_lossy(&console).contains(what)
    }

    /// How far the guest said it was, and when, since it began to play.
    pub(crate) fn timeline(&self) -> String {
        let console = fs::read(self.console()).unwrap_or_default();
        let console = String::from_utf8_lossy(&console);
        let said = console.lines().filter_map(|line| line.trim_end().strip_prefix("guest: "));
        said.filter(|line| *line != FIRST_WORD).collect::<Vec<_>>().join(", ")
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
