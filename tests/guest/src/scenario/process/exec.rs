//! How programs are run.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, FcntlArg, FdFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{Gid, Uid, execv, execveat, setgid, setuid};

use super::{Scenario, exec, execute, exit, fork, life};
use crate::expect::{Event, Expect, Want};
use crate::scenario::Absent;
use crate::stage::{Stage, run, wait};
use crate::{elf, sys};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "execve", about: "A program is executed by its path, with three words.", play: by_path },
    Scenario {
        name: "execveat",
        about: "A program is executed by a descriptor (AT_EMPTY_PATH).",
        play: by_descriptor,
    },
    Scenario { name: "memfd", about: "A program that has no file is executed from memory.", play: memfd },
    Scenario {
        name: "deleted",
        about: "A program whose file was unlinked is executed by a descriptor.",
        play: deleted,
    },
    Scenario {
        name: "symbolic link",
        about: "A program is executed through a symbolic link; its own path is told.",
        play: link,
    },
    Scenario {
        name: "script",
        about: "A script is executed: its interpreter runs, the script is named.",
        play: script,
    },
    Scenario {
        name: "script of a script",
        about: "The interpreter of a script is a script itself.",
        play: nested,
    },
    Scenario {
        name: "script by descriptor",
        about: "A script is executed by a descriptor.",
        play: script_by_descriptor,
    },
    Scenario {
        name: "ld.so",
        about: "The dynamic loader is executed with a program as its argument, which it maps and runs.",
        play: loader,
    },
    Scenario {
        name: "32-bit program",
        about: "A 32-bit program executes another one through int 0x80.",
        play: thirty_two,
    },
    Scenario {
        name: "other thread",
        about: "A thread that is not the first one executes a program.",
        play: in_thread,
    },
    Scenario {
        name: "two images",
        about: "A process executes a program, which executes another one.",
        play: twice,
    },
    Scenario {
        name: "exec that fails",
        about: "A process tries to execute what is no program.",
        play: failing,
    },
    Scenario {
        name: "set-user-id",
        about: "An ordinary user executes a program that runs as root.",
        play: set_user_id,
    },
];

fn by_path(stage: &Stage) -> anyhow::Result<Expect> {
    let program = stage.program("three-words", 1)?;
    let child = run(Command::new(&program)
        .args(["one", "two words"])
        .stdin(Stdio::null())
        .current_dir(stage.folder()))?
    .with_code(1)?;
    let words = serde_json::json!([program.to_string_lossy(), "one", "two words"]);
    let image = exec(child.pid, &program)
        .with("process.args", words)
        .with("process.args_count", 3)
        .with("process.user.id", 0)
        .with("process.io.stdin", "null")
        .with_path("process.working_directory", stage.folder())
        .with("process.image.memfd", false)
        .with("process.image.deleted", false);
    Ok(life(child, image))
}

fn by_descriptor(stage: &Stage) -> anyhow::Result<Expect> {
    let program = stage.program("by-descriptor", 2)?;
    let open = File::open(&program)?;
    let child = wait(sys::fork(|| become_descriptor(&open, &["by-descriptor"]))?)?.with_code(2)?;
    Ok(life(child, exec(child.pid, &program)))
}

fn memfd(_: &Stage) -> anyhow::Result<Expect> {
    let made = Event::new("memfd_create").by(std::process::id()).with("file.path", "/memfd:ghost");
    let file = memfd_create(c"ghost", MFdFlags::empty())?;
    File::from(file.try_clone()?).write_all(&elf::exiting(3))?;
    let child = wait(sys::fork(|| become_descriptor(&file, &["ghost"]))?)?.with_code(3)?;
    let image = exec(child.pid, Path::new("/memfd:ghost"))
        .with("process.image.memfd", true)
        .with("process.image.deleted", true);
    Ok(life(child, image).event(made))
}

fn deleted(stage: &Stage) -> anyhow::Result<Expect> {
    let program = stage.program("deleted", 4)?;
    let open = File::open(&program)?;
    fs::remove_file(&program)?;
    let child = wait(sys::fork(|| become_descriptor(&open, &["deleted"]))?)?.with_code(4)?;
    let image =
        exec(child.pid, &program).with("process.image.memfd", false).with("process.image.deleted", true);
    Ok(life(child, image))
}

fn link(stage: &Stage) -> anyhow::Result<Expect> {
    let program = stage.program("linked-to", 5)?;
    let link = stage.folder().join("link");
    symlink(&program, &link)?;
    let child = run(&mut Command::new(&link))?.with_code(5)?;
    Ok(life(
        child,
        exec(child.pid, &program).with("process.args", serde_json::json!([link.to_string_lossy()])),
    ))
}

fn script(stage: &Stage) -> anyhow::Result<Expect> {
    let interpreter = stage.program("interpreter", 6)?;
    let script = stage.file("script", format!("#!{} -x\n", interpreter.display()).as_bytes())?;
    let child = run(Command::new(&script).arg("word"))?.with_code(6)?;
    let words = serde_json::json!([interpreter.to_string_lossy(), "-x", script.to_string_lossy(), "word"]);
    let image =
        exec(child.pid, &interpreter).with_path("process.script", &script).with("process.args", words);
    Ok(life(child, image))
}

fn nested(stage: &Stage) -> anyhow::Result<Expect> {
    let interpreter = stage.program("interpreter", 7)?;
    let inner = stage.file("inner", format!("#!{}\n", interpreter.display()).as_bytes())?;
    let outer = stage.file("outer", format!("#!{}\n", inner.display()).as_bytes())?;
    let child = run(&mut Command::new(&outer))?.with_code(7)?;
    let words =
        serde_json::json!([interpreter.to_string_lossy(), inner.to_string_lossy(), outer.to_string_lossy()]);
    let image = exec(child.pid, &interpreter).with_path("process.script", &outer).with("process.args", words);
    Ok(life(child, image))
}

fn script_by_descriptor(stage: &Stage) -> anyhow::Result<Expect> {
    let interpreter = stage.program("interpreter", 8)?;
    let script = File::open(stage.file("script", format!("#!{}\n", interpreter.display()).as_bytes())?)?;
    let fd = script.as_raw_fd();
    let child = wait(sys::fork(|| {
        // The interpreter is given /dev/fd/N: the descriptor must still be there.
        fcntl(&script, FcntlArg::F_SETFD(FdFlag::empty()))?;
        become_descriptor(&script, &["script"])
    })?)?
    .with_code(8)?;
    let image = exec(child.pid, &interpreter).with("process.script", format!("/dev/fd/{fd}"));
    Ok(life(child, image))
}

fn loader(stage: &Stage) -> anyhow::Result<Expect> {
    let Ok(loader) = Path::new(elf::LOADER).canonicalize() else {
        return Err(Absent("there is no dynamic loader").into());
    };
    let program = stage.file("loaded", &elf::loadable(9))?;
    let child = run(Command::new(&loader).arg(&program))?.with_code(9)?;
    let image = exec(child.pid, &loader).want("process.args", Want::Holds(program.to_string_lossy().into()));
    Ok(life(child, image).unseen(
        exec(child.pid, &program),
        "the kernel executes the loader alone; the program stands in its arguments",
    ))
}

fn thirty_two(stage: &Stage) -> anyhow::Result<Expect> {
    let second = stage.file("second", &elf::exiting_32(11))?;
    let first = stage.file("first", &elf::executing_32(second.as_os_str().as_bytes()))?;
    let child = match run(&mut Command::new(&first)) {
        Err(error) if error.root_cause().to_string().contains("Exec format error") => {
            return Err(Absent("this kernel runs no 32-bit programs").into());
        }
        child => child?.with_code(11)?,
    };
    let image = exec(child.pid, &second).with("process.args", serde_json::json!([second.to_string_lossy()]));
    Ok(life(child, image).event(exec(child.pid, &first)))
}

fn in_thread(stage: &Stage) -> anyhow::Result<Expect> {
    let program = stage.program("by-other-thread", 12)?;
    let child = run(stage.job(&["execute-in-thread"]).arg(&program))?.with_code(12)?;
    Ok(life(child, exec(child.pid, &program)).event(exec(child.pid, stage.me())))
}

/// The job of [`in_thread`].
pub(crate) fn execute_in_thread(program: &str) -> anyhow::Result<()> {
    std::thread::scope(|scope| scope.spawn(|| Command::new(program).exec()).join())
        .map_or_else(|_| anyhow::bail!("the thread panicked"), |error| Err(error.into()))
}

fn twice(stage: &Stage) -> anyhow::Result<Expect> {
    let program = stage.program("second-image", 13)?;
    let child = run(stage.job(&["execute"]).arg(&program))?.with_code(13)?;
    Ok(life(child, exec(child.pid, &program)).event(exec(child.pid, stage.me())))
}

fn failing(stage: &Stage) -> anyhow::Result<Expect> {
    let nothing = stage.file("no-program", b"\0\0\0\0")?;
    // Not by the C library's execvp(3), which would take it for a shell's.
    let path = CString::new(nothing.as_os_str().as_bytes())?;
    let child = wait(sys::fork(|| Ok(if execv(&path, &[&path]) == Err(Errno::ENOEXEC) { 14 } else { 1 }))?)?
        .with_code(14)?;
    Ok(Expect::nothing().event(fork(child.pid)).event(exit(child)))
}

fn set_user_id(stage: &Stage) -> anyhow::Result<Expect> {
    const USER: u32 = 1234;
    let program = stage.program("set-user-id", 20)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755))?;
    fs::set_permissions(stage.folder(), fs::Permissions::from_mode(0o755))?;
    let child = wait(sys::fork(|| {
        setgid(Gid::from_raw(USER))?;
        setuid(Uid::from_raw(USER))?;
        execute(&program, &[])
    })?)?
    .with_code(20)?;
    let image = exec(child.pid, &program)
        .with("process.user.id", 0)
        .with("process.real_user.id", USER)
        .with("process.group.id", USER);
    let by = |action: &str| Event::new(action).by(child.pid);
    let given = by("setuid").with("process.old.user.id", USER).with("process.new.user.id", 0);
    Ok(life(child, image)
        .event(by("setgid").with("process.new.group.id", USER))
        .event(by("setuid").with("process.new.user.id", USER))
        .event_if(
            stage.sees_rights_of_files(),
            given,
            "what a program's file gives is seen by its exec only",
        ))
}

fn become_descriptor(program: &impl AsFd, words: &[&str]) -> anyhow::Result<u8> {
    let words = words.iter().map(|word| CString::new(*word)).collect::<Result<Vec<_>, _>>()?;
    let none: &[CString] = &[];
    execveat(program.as_fd(), c"", &words, none, AtFlags::AT_EMPTY_PATH)?;
    Ok(1)
}
