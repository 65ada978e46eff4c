//! What processes may do: as whom they act, and with which rights.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{setresgid, setresuid};

use super::{exec, execute, exit, fork, life};
use crate::expect::{Event, Expect, Want};
use crate::scenario::{Absent, Scenario};
use crate::stage::{Stage, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "setresuid", about: "A process gives up root for good.", play: give_up },
    Scenario { name: "setfsuid", about: "A process acts on files as another user.", play: on_files },
    Scenario { name: "capset", about: "A process gives up all capabilities but one.", play: fewer },
    Scenario {
        name: "file capabilities",
        about: "A user executes a program whose file gives it a capability.",
        play: by_file,
    },
    Scenario { name: "32-bit setuid", about: "A process gives up root through int 0x80.", play: thirty_two },
    Scenario {
        name: "memfd_create",
        about: "A process makes a file that is memory only.",
        play: file_in_memory,
    },
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

fn on_files(_: &Stage) -> anyhow::Result<Expect> {
    let child = wait(sys::fork(|| {
        sys::act_on_files_as(65534);
        Ok(0)
    })?)?
    .with_code(0)?;
    let changed = Event::new("setuid").by(child.pid).with("event.outcome", "success");
    Ok(Expect::nothing().event(fork(child.pid)).event(changed).event(exit(child)))
}

/// CAP_NET_BIND_SERVICE
const BIND: u64 = 1 << 10;

fn fewer(_: &Stage) -> anyhow::Result<Expect> {
    let child = wait(sys::fork(|| {
        sys::keep_capabilities(BIND)?;
        Ok(0)
    })?)?
    .with_code(0)?;
    let changed = Event::new("capset").by(child.pid).with("process.new.capabilities", BIND);
    Ok(Expect::nothing().event(fork(child.pid)).event(changed).event(exit(child)))
}

fn by_file(stage: &Stage) -> anyhow::Result<Expect> {
    let program = stage.program("has-capabilities", 41)?;
    let name = CString::new(program.as_os_str().as_bytes())?;
    // struct vfs_cap_data: version 2 and "effective", then permitted and inheritable ones, lower and upper 32.
    let value = [0x0200_0001, BIND as u32, 0, 0, 0].map(u32::to_le_bytes).concat();
    sys::set_attribute(&name, c"security.capability", &value)?;
    fs::set_permissions(stage.folder(), fs::Permissions::from_mode(0o755))?;
    let child = wait(sys::fork(|| {
        setresgid(65534.into(), 65534.into(), 65534.into())?;
        setresuid(65534.into(), 65534.into(), 65534.into())?;
        execute(&program, &[])
    })?)?
    .with_code(41)?;
    let image = exec(child.pid, &program)
        .with("process.user.id", 65534)
        .want("process.capabilities", Want::Holds("CAP_NET_BIND_SERVICE".into()));
    let by = |action: &str| Event::new(action).by(child.pid);
    let given = by("capset").with("process.old.capabilities", 0).with("process.new.capabilities", BIND);
    Ok(life(child, image)
        .event(by("setgid").with("process.new.group.id", 65534))
        .event(by("setuid").with("process.new.user.id", 65534))
        .event_if(
            stage.sees_rights_of_files(),
            given,
            "what a program's file gives is seen by its exec only",
        ))
}

#[cfg(target_arch = "x86_64")]
fn thirty_two(_: &Stage) -> anyhow::Result<Expect> {
    const SYS_SETUID32: u32 = 213;
    let child = wait(sys::fork(|| {
        sys::thirty_two(SYS_SETUID32, [65534, 0, 0].map(sys::Given::Number))?;
        Ok(0)
    })?)?;
    if child.code == 128 + nix::libc::SIGSEGV {
        return Err(Absent("this kernel runs no 32-bit programs").into());
    }
    let child = child.with_code(0)?;
    let changed = Event::new("setuid").by(child.pid).with("process.new.user.id", 65534);
    Ok(Expect::nothing().event(fork(child.pid)).event(changed).event(exit(child)))
}

#[cfg(not(target_arch = "x86_64"))]
fn thirty_two(_: &Stage) -> anyhow::Result<Expect> {
    Err(Absent("32-bit programs are tried on x86-64 only").into())
}
