//! `vedette up` from an empty home: as root and not, twice, detached, interrupted.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::group::Group;
use tests::skip::{needs_root, skip};
use tests::stack::{Stack, free_port, program, vedette};
use tests::wait::until;

#[test]
fn up_runs_once_and_down_leaves_nothing() {
    let name = "up_runs_once_and_down_leaves_nothing";
    if !needs_root(name) {
        return;
    }
    let group = Group::new("up").unwrap();
    let stack = Stack::up(&["--cgroup", group.path().to_str().unwrap()]).unwrap();
    for program in ["vedette-collector", "vedette-sensor"] {
        assert_eq!(stack.pids(program).len(), 1, "{program}");
    }
    let listen = format!("127.0.0.1:{}", stack.port());
    let again = stack.vedette(&["up", "--listen", &listen]).unwrap();
    assert_eq!(again.code, 2);
    assert!(again.err.contains("already running") && again.err.contains("vedette down"), "{}", again.err);

    // Another home cannot have this port, and says which and what to do.
    let other = tempfile::tempdir_in("/var/tmp").unwrap();
    let taken = vedette(other.path()).args(["up", "--no-sensor", "--listen", &listen]).output().unwrap();
    let words =
        format!("{}{}", String::from_utf8_lossy(&taken.stdout), String::from_utf8_lossy(&taken.stderr));
    assert_eq!(taken.status.code(), Some(2), "{words}");
    assert!(words.contains(&stack.port().to_string()) && words.contains("--listen"), "{words}");

    let status = stack.vedette(&["status"]).unwrap();
    assert_eq!(status.code, 0, "{}{}", status.out, status.err);
    let hosts = stack.json(&["hosts", "--output", "json"]).unwrap();
    assert_eq!(hosts.len(), 1, "{hosts:?}");

    let pins = pins_of(&stack);
    assert!(!pins.is_empty(), "the sensor's programs are pinned");
    assert_eq!(stack.vedette(&["down"]).unwrap().code, 0);
    assert_eq!(pins_of(&stack), Vec::<String>::new());
    for program in ["vedette", "vedette-collector", "vedette-sensor", "postgres"] {
        assert_eq!(stack.pids(program), Vec::<i32>::new(), "{program}");
    }
    assert_eq!(stack.vedette(&["down"]).unwrap().code, 1);
}

/// What is pinned by this home's sensor, whose folder in the home has the name of the folder of its pins.
fn pins_of(stack: &Stack) -> Vec<String> {
    let names = std::fs::read_dir(stack.home()).unwrap().map(|entry| entry.unwrap().file_name());
    let sensor =
        names.map(|name| name.to_string_lossy().into_owned()).find(|name| name.starts_with("sensor"));
    let pins = std::path::Path::new("/sys/fs/bpf/vedette").join(sensor.unwrap());
    let Ok(entries) = std::fs::read_dir(pins) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn ctrl_c_stops_everything() {
    let home = tempfile::tempdir_in("/var/tmp").unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let listen = format!("127.0.0.1:{}", free_port().unwrap());
    let mut up = vedette(home.path()).args(["up", "--no-sensor", "--listen", &listen]).spawn().unwrap();
    until("the collector is ready", Duration::from_secs(60), || {
        assert!(up.try_wait().unwrap().is_none(), "it ended early");
        home.path().join("collector/ready").exists().then_some(())
    });
    kill(Pid::from_raw(up.id() as i32), Signal::SIGINT).unwrap();
    let ended = until("it ends", Duration::from_secs(60), || up.try_wait().unwrap());
    assert!(ended.success(), "{ended}");
    let left = Command::new("pgrep").arg("-f").arg(home.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "", "processes are left");
}

#[test]
fn without_root_the_collector_runs_and_tells_about_the_sensor() {
    let name = "without_root_the_collector_runs_and_tells_about_the_sensor";
    if !nix::unistd::geteuid().is_root() {
        return skip(name, "this test becomes another user, which takes root");
    }
    let home = tempfile::tempdir_in("/var/tmp").unwrap();
    let bin = tempfile::tempdir_in("/var/tmp").unwrap();
    for name in ["vedette", "vedette-collector", "vedette-sensor"] {
        std::fs::copy(program(name), bin.path().join(name)).unwrap();
    }
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(bin.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    nix::unistd::chown(home.path(), Some(nobody.uid), Some(nobody.gid)).unwrap();
    let as_nobody = |words: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--"]);
        command
            .arg(bin.path().join("vedette"))
            .args(words)
            .env("VEDETTE_HOME", home.path())
            .env("HOME", home.path());
        command.stdin(std::process::Stdio::null()).output().unwrap()
    };
    let listen = format!("127.0.0.1:{}", free_port().unwrap());
    let up = as_nobody(&["up", "--detach", "--listen", &listen]);
    let words = format!("{}{}", String::from_utf8_lossy(&up.stdout), String::from_utf8_lossy(&up.stderr));
    assert_eq!(up.status.code(), Some(0), "{words}");
    assert!(words.contains("root") && words.contains("vedette-sensor enroll"), "{words}");
    let status = as_nobody(&["status"]);
    assert_eq!(status.status.code(), Some(0), "{}", String::from_utf8_lossy(&status.stderr));
    assert_eq!(as_nobody(&["down"]).status.code(), Some(0));
}
