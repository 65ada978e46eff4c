//! One boot of the host, in a virtual machine, emulated: that needs no hardware.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tests::wait::poll;

const QEMU: &str = "qemu-system-x86_64";
/// How long the host's life may take, emulated on a busy machine.
const PATIENCE: Duration = Duration::from_secs(900);
const COMMAND_LINE: &str = "root=/dev/vda rw console=ttyS0 panic=-1 mitigations=off random.trust_cpu=on no_timer_check tsc=reliable systemd.show_status=0";

/// Boots the host in this folder with the archive as its second disk, until it turns itself off; gives what it told. Its disk is
/// left as it was.
///
/// # Errors
/// When it does not end; with the end of what stood on the console.
pub(crate) fn run(host: &Path, archive: &Path, scratch: &Path) -> anyhow::Result<String> {
    let start = Instant::now();
    let (told, console) = (scratch.join("told"), scratch.join("console"));
    let drive = |path: &Path, more: &str| format!("file={},format=raw,if=virtio,{more}", path.display());
    let log = File::create(scratch.join("emulator"))?;
    let mut machine = Command::new(QEMU)
        .args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-nic", "none"])
        .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048"])
        .arg("-kernel")
        .arg(host.join("vmlinuz"))
        .arg("-initrd")
        .arg(host.join("initrd"))
        .args(["-append", COMMAND_LINE])
        .arg("-drive")
        .arg(drive(&host.join("disk"), "snapshot=on,cache=unsafe"))
        .arg("-drive")
        .arg(drive(archive, "readonly=on"))
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .arg("-serial")
        .arg(format!("file:{}", told.display()))
        .env("TMPDIR", scratch)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot run {QEMU} (apt-get install qemu-system-x86)"))?;
    let ended = poll(PATIENCE, || machine.try_wait().ok().flatten());
    let said = || {
        let tail = |path: &Path| {
            let text = String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
            let lines: Vec<_> = text.lines().rev().take(60).map(str::to_owned).collect();
            lines.into_iter().rev().collect::<Vec<_>>().join("\n")
        };
        format!("{}\n{}\n{}", tail(&scratch.join("emulator")), tail(&console), tail(&told))
    };
    match ended {
        None => {
            machine.kill()?;
            machine.wait()?;
            bail!("the host did not turn itself off within {PATIENCE:?}:\n{}", said())
        }
        Some(status) if !status.success() => bail!("the machine ended with {status}:\n{}", said()),
        Some(_) => {}
    }
    eprintln!("packages: the host lived for {} s", start.elapsed().as_secs());
    let told = String::from_utf8_lossy(&fs::read(&told)?).into_owned();
    if let Some(keep) = std::env::var_os("VEDETTE_TOLD") {
        fs::write(keep, &told)?;
    }
    if !told.contains("== end") {
        bail!("the trial did not come to its end:\n{}", said());
    }
    Ok(told)
}
