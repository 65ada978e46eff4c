//! What processes may do, and do to one another.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{pause, setresgid, setresuid};

use super::{exec, execute, exit, fork};
use crate::expect::{Event, Expect, Want};
use crate::scenario::{Absent, Scenario};
use crate::stage::{Stage, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "setresuid", about: "A process gives up root for good.", play: give_up },
    Scenario { name: "kill", about: "A process kills another one, which both of them tell.", play: kills },
    Scenario { name: "ptrace", about: "A process takes hold of another one.", play: holds },
    Scenario {
        name: "process_vm_writev",
        about: "A process writes into the memory of another one.",
        play: writes_into,
    },
    Scenario {
        name: "file capabilities",
        about: "A process without rights runs a program that has a capability.",
        play: file_capabilities,
    },
    Scenario { name: "memfd_create", about: "A process makes a file that is memory only.", play: file_in_memory },
    Scenario {
        name: "executable memory",
        about: "A process maps memory that may be executed, three times: it is told once.",
        play: executable_memory,
    },
    Scenario {
        name: "memory made executable",
        about: "A process makes memory executable that it has written to.",
        play: made_executable,
    },
];

fn give_up(_: &Stage) -> anyhow::Result<Expect> {
    let child = wait(sys::fork(|| {
        setresgid(65534.into(), 65534.into(), 65534.into())?;
        setresuid(65534.into(), 65534.into(), 65534.into())?;
        Ok(0)
    })?)?
    .with_code(0)?;
    let new = |action: &str| Event::new(action).by(child.pid).with("event.outcome", "success");
    Ok(Expect::nothing()
        .event(fork(child.pid))
        .event(new("setgid").with("process.new.group.id", 65534))
        .event(new("setuid").with("process.new.user.id", 65534).with("process.new.capabilities", 0))
        .event(exit(child)))
}

fn kills(_: &Stage) -> anyhow::Result<Expect> {
    let victim = sleeper()?;
    kill(victim, Signal::SIGKILL)?;
    let ended = wait(victim)?.with_code(137)?;
    let sent = Event::new("signal")
        .by(std::process::id())
        .with("signal.number", 9)
        .with("target.process.pid", ended.pid)
        .want("target.process.entity_id", Want::Any);
    Ok(Expect::nothing().event(fork(ended.pid)).event(sent).event(exit(ended)))
}

fn holds(_: &Stage) -> anyhow::Result<Expect> {
    let victim = sleeper()?;
    ptrace::seize(victim, ptrace::Options::empty())?;
    kill(victim, Signal::SIGKILL)?;
    let ended = wait(victim)?.with_code(137)?;
    let held = Event::new("ptrace")
        .by(std::process::id())
        .with("event.outcome", "success")
        .with("target.process.pid", ended.pid);
    Ok(Expect::nothing().event(fork(ended.pid)).event(held).event(exit(ended)))
}

fn writes_into(_: &Stage) -> anyhow::Result<Expect> {
    let victim = sleeper()?;
    sys::write_into(victim)?;
    kill(victim, Signal::SIGKILL)?;
    let ended = wait(victim)?.with_code(137)?;
    let written = Event::new("process_vm_write")
        .by(std::process::id())
        .with("event.outcome", "success")
        .with("target.process.pid", ended.pid);
    let killed = Event::new("signal").by(std::process::id()).with("target.process.pid", ended.pid);
    Ok(Expect::nothing().event(fork(ended.pid)).event(written).event(killed).event(exit(ended)))
}

/// The user that runs programs which give it more.
const NOBODY: u32 = 65534;

fn file_capabilities(stage: &Stage) -> anyhow::Result<Expect> {
    const CAP_NET_RAW: u32 = 13;
    // struct vfs_cap_data of include/uapi/linux/capability.h: revision 2, effective; permitted, inheritable, and again for more.
    let words = [0x0200_0001, 1 << CAP_NET_RAW, 0, 0, 0];
    let data: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    let program = stage.program("capable", 9)?;
    match sys::set_attribute(&program, c"security.capability", &data) {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            return Err(Absent("this file system keeps no capabilities").into());
        }
        other => other?,
    }
    // The folder is root's alone.
    fs::set_permissions(stage.folder(), Permissions::from_mode(0o755))?;
    let child = wait(sys::fork(|| {
        setresgid(NOBODY.into(), NOBODY.into(), NOBODY.into())?;
        setresuid(NOBODY.into(), NOBODY.into(), NOBODY.into())?;
        execute(&program, &[])
    })?)?
    .with_code(9)?;
    let by = |action: &str| Event::new(action).by(child.pid);
    let given = by("capset")
        .with("process.old.capabilities", 0)
        .with("process.new.capabilities", 1 << CAP_NET_RAW);
    Ok(Expect::nothing()
        .event(fork(child.pid))
        .event(by("setgid").with("process.new.group.id", NOBODY))
        .event(by("setuid").with("process.new.user.id", NOBODY))
        .event_if(stage.sees_rights_of_files(), given, "what a program's file gives is seen by its exec only")
        .event(exec(child.pid, &program))
        .event(exit(child)))
}

fn file_in_memory(_: &Stage) -> anyhow::Result<Expect> {
    drop(memfd_create(c"x y\xff", MFdFlags::empty())?);
    let made = Event::new("memfd_create").by(std::process::id()).want("file.inode", Want::Any);
    Ok(Expect::nothing().event(made))
}

fn executable_memory(_: &Stage) -> anyhow::Result<Expect> {
    (0..3).try_for_each(|_| sys::executable_page())?;
    let made = Event::new("mprotect_exec")
        .by(std::process::id())
        .with("memory.protection", serde_json::json!(["read", "write", "exec"]))
        .with("event.source", "kernel");
    Ok(Expect::nothing().event(made))
}

fn made_executable(stage: &Stage) -> anyhow::Result<Expect> {
    sys::page_made_executable()?;
    let sees = stage.has_hook("fexit/security_file_mprotect");
    let made = Event::new("mprotect_exec")
        .by(std::process::id())
        .with("memory.protection", serde_json::json!(["read", "exec"]))
        .with("event.source", if sees { "kernel" } else { "syscall" });
    Ok(Expect::nothing().event(made))
}

/// A child that waits to be killed.
fn sleeper() -> anyhow::Result<nix::unistd::Pid> {
    Ok(sys::fork(|| {
        pause();
        Ok(0)
    })?)
}
