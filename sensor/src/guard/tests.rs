use wire::id::ProcessKey;
use wire::time::BootTime;

use super::*;
use crate::plan::Collection;
use crate::record::{Access, Class, File, Object, Place, Target, Touch};

fn own() -> Own {
    Own {
        executable: "/usr/local/bin/vedette-sensor".into(),
        pid: 77,
        before: Some(70),
        began: BootTime::from_ns(10),
        folders: vec!["/sys/fs/bpf/vedette/sensor".into(), "/var/lib/vedette \"x\"/sensor".into()],
        files: vec!["/etc/ship.txt".into(), "/sys/fs/cgroup/system.slice/cgroup.freeze".into()],
    }
}

fn task(pid: u32) -> Task {
    Task { key: ProcessKey { start: BootTime::from_ns(5), pid }, image: 1 }
}

fn record(body: Body<'_>) -> Record<'_> {
    Record { at: Place { class: Class::File, cpu: 0, seq: 0 }, time: BootTime::from_ns(9), body }
}

fn blamed(body: Body<'_>) -> Option<String> {
    let blame = own().blame(&record(body))?;
    Some(format!("{}: {}, {}", blame.task.key.pid, String::from_utf8_lossy(&blame.what), blame.deed))
}

fn file<'a>(action: Kind, pid: u32, path: &'a str, target: &'a str, write: bool) -> Body<'a> {
    Body::File(Box::new(File {
        action,
        task: task(pid),
        path: path.as_bytes(),
        target: target.as_bytes(),
        name: b"",
        inode: 1,
        device: 1,
        filesystem: 0,
        mode: 0,
        owner: 0,
        group: 0,
        size: 0,
        access: Access { read: !write, write, exec: false },
        error: 0,
        truncated: false,
        host_namespace: true,
        from_syscall: false,
    }))
}

#[test]
fn the_kernel_can_decide_every_query_of_the_sensors_own() {
    let queries = own().queries();
    assert_eq!(queries.len(), 3);
    let tables = Collection::read(b"").unwrap().tables_with(&queries).unwrap();
    assert!(tables.n_rows >= 3);
    assert_eq!(Own::default().queries().len(), 1, "without anything to guard the canary flies all the same");
    let full = Collection::built_in();
    assert!(full.tables_with(&queries).unwrap().n_rows > full.tables().n_rows);
}

#[test]
fn who_changes_what_is_the_sensors_is_blamed() {
    let pin = "/sys/fs/bpf/vedette/sensor/link_process_exec";
    assert_eq!(
        blamed(file(Kind::FILE_UNLINK, 5, pin, "", false)),
        Some(format!("5: file {pin}, unlink by another program"))
    );
    assert_eq!(
        blamed(file(Kind::FILE_OPEN, 5, "/etc/ship.txt", "", true)),
        Some("5: file /etc/ship.txt, open by another program".into())
    );
    assert_eq!(
        blamed(file(Kind::FILE_RENAME, 5, "/tmp/x", "/etc/ship.txt", false)),
        Some("5: file /etc/ship.txt, rename by another program".into())
    );
    for harmless in [
        file(Kind::FILE_OPEN, 5, "/etc/ship.txt", "", false),
        file(Kind::FILE_UNLINK, 77, pin, "", false),
        file(Kind::FILE_UNLINK, 5, "/sys/fs/bpf/vedette/sensor-2/link_x", "", false),
        file(Kind::FILE_UNLINK, 5, "/etc/ship.txt.old", "", false),
    ] {
        assert_eq!(blamed(harmless.clone()), None, "{harmless:?}");
    }
}

#[test]
fn who_stops_or_enters_a_sensor_is_blamed() {
    let target = |action, signal, pid| Target {
        action,
        task: task(5),
        target: task(pid),
        from_syscall: false,
        signal,
        error: 0,
    };
    let told = |target: Target| blamed(Body::Target(target));
    assert_eq!(told(target(Kind::SIGNAL, 9, 70)), Some("5: process 70, sent signal 9".into()));
    assert_eq!(told(target(Kind::SIGNAL, 19, 77)), Some("5: process 77, sent signal 19".into()));
    assert_eq!(told(target(Kind::PTRACE, 0, 77)), Some("5: process 77, entered by another process".into()));
    assert_eq!(told(target(Kind::SIGNAL, 15, 77)), None, "it tells its end itself");
    assert_eq!(told(target(Kind::SIGNAL, 9, 78)), None, "another process");
    let late = Record { time: BootTime::from_ns(10), ..record(Body::Target(target(Kind::SIGNAL, 9, 70))) };
    assert_eq!(own().blame(&late), None, "the number was given to another process");
    assert_eq!(told(Target { error: 1, ..target(Kind::PTRACE, 0, 77) }), None, "it was refused");
}

#[test]
fn what_the_sensor_opens_itself_is_no_event() {
    let touch = |pid| {
        let touch = Touch { task: task(pid), object: Object::Map, name: b"counters".to_vec() };
        own().is_own_touch(&record(Body::Touch(touch)))
    };
    assert!(touch(77) && touch(70));
    assert!(!touch(5));
}
