//! Ways out of a container that was given too much: each is a sign of its own.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use tests::skip::skip;

use crate::place::Place;
use crate::podman::Podman;
use crate::sensor::{Sensor, field, is, text};

/// Where a runtime that is gone from most hosts had its socket.
const SOCKET: &str = "/run/dockershim.sock";

/// Everything that a container should not have.
const OPTIONS: &[&str] =
    &["--privileged", "--pid=host", "--cgroupns=host", "--volume=/run/dockershim.sock:/dev/log"];

/// Process 2 is the kernel's own, and lives where the host does. What is set is what was set before.
const WAYS: [(&str, &str); 6] = [
    ("host_namespace", "/bin/busybox nsenter --target 2 --mount /bin/true"),
    ("outside_root", "/bin/cat /proc/2/root/etc/passwd >/dev/null"),
    (
        "core_pattern",
        "v=$(/bin/cat /proc/sys/kernel/core_pattern); /bin/echo \"$v\" >/proc/sys/kernel/core_pattern",
    ),
    ("modprobe", "v=$(/bin/cat /proc/sys/kernel/modprobe); /bin/echo \"$v\" >/proc/sys/kernel/modprobe"),
    (
        "release_agent",
        "/bin/mkdir /agent && /bin/busybox mount -t cgroup -o none,name=vedette-test of-test /agent && : >>/agent/release_agent; /bin/busybox umount /agent",
    ),
    // It connects to /dev/log, whatever that is.
    ("runtime_socket", "/bin/busybox logger from inside"),
];

/// The socket, removed when it is dropped.
struct Socket(#[expect(dead_code, reason = "it is listened at")] UnixListener);

impl Drop for Socket {
    fn drop(&mut self) {
        drop(std::fs::remove_file(SOCKET));
    }
}

/// The device that this machine's root lies on, where it is one.
fn disk() -> Option<(PathBuf, String)> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let root =
        mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|words| words[1] == "/")?;
    let device = PathBuf::from(root[0]);
    device.starts_with("/dev").then(|| (device, root[2].to_owned()))
}

#[test]
fn every_way_out_of_a_container_is_a_sign() {
    let test = "every_way_out_of_a_container_is_a_sign";
    let Some(place) = Place::new(test, &Podman::PROGRAMS) else { return };
    let podman = Podman::new(&place);
    let _socket = Socket(UnixListener::bind(SOCKET).unwrap_or_else(|error| panic!("{SOCKET}: {error}")));
    let mut sensor = Sensor::start(&place, &[]);
    let id = podman.run_with("out", OPTIONS, &["/bin/sleep", "1000"]);
    sensor.start_of(&id);
    let mut try_out = |action: &str, way: &str| {
        let said = podman.exec("out", &["/bin/sh", "-c", &format!("{{ {way}; }} 2>&1; /bin/true")]);
        println!("{action}: {said}");
        let sign = sensor.find(action, |event| is(event, "escape", action));
        assert_eq!(text(&sign, "container.id"), id, "{sign}");
        sign
    };
    for (action, way) in WAYS {
        if action == "modprobe" && !Path::new("/proc/sys/kernel/modprobe").exists() {
            skip("modprobe_set_in_a_container_is_a_sign", "this kernel loads no modules by itself");
            continue;
        }
        try_out(action, way);
    }
    match disk() {
        Some((device, filesystem)) => {
            let device = device.display();
            let way = format!(
                "/bin/mkdir /disk && /bin/busybox mount -t {filesystem} {device} /disk && /bin/busybox umount /disk"
            );
            let sign = try_out("host_mount", &way);
            assert_eq!(text(&sign, "file.path"), "/disk", "{sign}");
            assert_eq!(field(&sign, "kernel.object.name"), &serde_json::json!(filesystem));
        }
        None => skip("a_disk_mounted_in_a_container_is_a_sign", "the root of this machine is on no device"),
    }
    podman.stop("out");
    let signs = sensor.end().into_iter().filter(|event| text(event, "event.category") == "escape");
    let others: Vec<_> = signs.filter(|event| text(event, "container.id") != id).collect();
    assert!(others.is_empty(), "{others:?}");
}
