use super::*;
use crate::record::{Access, Class, Namespaces, Place, Task};

const HOST: Host = Host { mnt: 1, pid: 2 };
const INSIDE: &[u8] = b"/docker/3f4a0b6c2d1e8f7a9b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6";

fn task(pid: u32) -> Task {
    Task { key: ProcessKey { start: BootTime::from_ns(5), pid }, image: 1 }
}

fn image(cgroup: &'static [u8]) -> Image<'static> {
    let namespaces = Namespaces { mnt: 11, pid: 12, net: 13, user: 14 };
    Image { cgroup, namespaces, ..Image::default() }
}

fn record(body: Body<'_>) -> Record<'_> {
    Record { at: Place { class: Class::Bulk, cpu: 0, seq: 0 }, time: BootTime::from_ns(9), body }
}

fn file(action: Kind, path: &'static [u8], name: &'static [u8]) -> Body<'static> {
    Body::File(Box::new(File {
        action,
        task: task(7),
        path,
        target: b"",
        name,
        inode: 1,
        device: 1,
        filesystem: 1,
        mode: 0o100_644,
        owner: 0,
        group: 0,
        size: 0,
        access: Access::default(),
        error: 0,
        truncated: false,
        host_namespace: false,
        from_syscall: false,
    }))
}

fn moved(before: Option<(u32, u32)>, after: (u32, u32)) -> Body<'static> {
    let held = |(mnt, pid)| Held { mnt, pid, ..Held::default() };
    Body::Move(Move { task: task(7), before: before.map(held), after: held(after) })
}

fn setting(name: &'static [u8]) -> Body<'static> {
    Body::Setting(Setting { task: task(7), name, value: b"|/x" })
}

fn sign(body: Body<'_>, cgroup: &'static [u8]) -> Option<Kind> {
    let found =
        Watch::new(HOST).sign(&record(body), &image(cgroup), &Row::default(), BootTime::from_ns(1 << 40));
    found.map(|(kind, _)| kind)
}

#[test]
fn each_way_out_of_a_container_has_its_sign() {
    for (body, kind) in [
        (moved(Some((11, 12)), (1, 12)), Kind::ESCAPE_HOST_NAMESPACE),
        (moved(Some((11, 12)), (11, 2)), Kind::ESCAPE_HOST_NAMESPACE),
        // Where it lived before is not known: in its image's namespaces.
        (moved(None, (1, 12)), Kind::ESCAPE_HOST_NAMESPACE),
        (setting(b"kernel/core_pattern"), Kind::ESCAPE_CORE_PATTERN),
        (setting(b"kernel/modprobe"), Kind::ESCAPE_MODPROBE),
        (file(Kind::SYSCTL, b"/tmp/c/release_agent", b""), Kind::ESCAPE_RELEASE_AGENT),
        (file(Kind::MOUNT, b"/mnt", b"ext4"), Kind::ESCAPE_HOST_MOUNT),
    ] {
        assert_eq!(sign(body.clone(), INSIDE), Some(kind), "{body:?}");
        assert_eq!(sign(body.clone(), b"/user.slice"), None, "{body:?}");
    }
}

#[test]
fn what_containers_do_every_day_is_no_sign() {
    for body in [
        moved(Some((11, 12)), (15, 12)),
        // It was there already.
        moved(Some((1, 12)), (1, 16)),
        moved(None, (11, 12)),
        setting(b"net/ipv4/ip_forward"),
        file(Kind::SYSCTL, b"/sys/fs/cgroup/x/cgroup.freeze", b""),
        file(Kind::MOUNT, b"/proc", b"proc"),
        file(Kind::MOUNT, b"/x", b"overlay"),
        file(Kind::FILE_OPEN, b"/etc/shadow", b""),
    ] {
        assert_eq!(sign(body.clone(), INSIDE), None, "{body:?}");
    }
}

#[test]
fn a_host_that_is_not_known_is_nobodys() {
    let mut watch = Watch::new(Host::default());
    let body = moved(Some((11, 12)), (0, 0));
    assert_eq!(watch.sign(&record(body), &image(INSIDE), &Row::default(), BootTime::from_ns(1)), None);
}

#[test]
fn the_same_again_is_told_after_a_while() {
    let mut watch = Watch::new(HOST);
    let mut at = |s: u64| {
        let now = BootTime::from_ns((100 + s) * 1_000_000_000);
        let modprobe = record(setting(b"kernel/modprobe"));
        watch.sign(&modprobe, &image(INSIDE), &Row::default(), now).is_some()
    };
    assert_eq!([0, 1, 9, 10, 11, 25].map(&mut at), [true, false, false, true, false, true]);
}

#[test]
fn memory_of_signs_is_bounded() {
    let mut watch = Watch::new(HOST);
    for pid in 0..3 * MAX_RECENT as u32 {
        let body = Body::Setting(Setting { task: task(pid), name: b"kernel/modprobe", value: b"" });
        let told = watch.sign(&record(body), &image(INSIDE), &Row::default(), BootTime::from_ns(1));
        assert!(told.is_some(), "{pid}");
        assert!(watch.recent.len() <= MAX_RECENT);
    }
}

#[test]
fn a_sign_says_what_the_deed_says() {
    let row = Row::default()
        .with(Field::KernelObjectName, "kernel.core_pattern")
        .with(Field::KernelObjectValue, "|/x")
        .with(Field::SignalNumber, 9u64);
    let record = record(setting(b"kernel/core_pattern"));
    let found = Watch::new(HOST).sign(&record, &image(INSIDE), &row, BootTime::from_ns(1 << 40));
    let expected = Row::default()
        .with(Field::KernelObjectName, "kernel.core_pattern")
        .with(Field::KernelObjectValue, "|/x");
    assert_eq!(found, Some((Kind::ESCAPE_CORE_PATTERN, expected)));
}

#[test]
fn outside_of_a_container_a_reach_is_an_open() {
    for kind in [Kind::ESCAPE_RUNTIME_SOCKET, Kind::ESCAPE_OUTSIDE_ROOT] {
        assert_eq!(settled(kind, Some(&image(INSIDE))), kind);
        assert_eq!(settled(kind, Some(&image(b"/system.slice/x.service"))), Kind::FILE_OPEN);
        assert_eq!(settled(kind, None), Kind::FILE_OPEN);
    }
    assert_eq!(settled(Kind::FILE_CHMOD, None), Kind::FILE_CHMOD);
}
