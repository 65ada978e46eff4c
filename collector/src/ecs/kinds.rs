//! What ECS's own words for a kind of events are: <https://www.elastic.co/guide/en/ecs/8.17/ecs-category-field-values-reference.html>.

use wire::event::Kind;

use crate::record::ByKind;

/// How ECS sorts a kind of events.
#[derive(Clone, Copy, Debug)]
pub struct Sorted {
    kind: Kind,
    /// `event.kind`.
    pub event_kind: &'static str,
    /// `event.category`, as JSON.
    pub category: &'static str,
    /// `event.type`, as JSON.
    pub event_type: &'static str,
}

const _: () =
    assert!(BY_KIND.covers_all(), "a kind of `wire::event` has no line below: how does ECS sort it?");

/// How ECS sorts this kind; all system calls alike, and all that this version does not know.
pub fn of(kind: Kind) -> Sorted {
    match BY_KIND.get(kind) {
        Some(sorted) => *sorted,
        None if kind.is_call() => event(kind, r#"["process"]"#, r#"["info"]"#),
        None => event(kind, r#"["host"]"#, r#"["info"]"#),
    }
}

static BY_KIND: ByKind<Sorted> = by_kind();

const fn by_kind() -> ByKind<Sorted> {
    let mut by_kind = ByKind::EMPTY;
    let mut rest: &'static [Sorted] = KINDS;
    while let [sorted, others @ ..] = rest {
        rest = others;
        by_kind = by_kind.with(sorted.kind, sorted);
    }
    by_kind
}

const PROCESS: &str = r#"["process"]"#;
const FILE: &str = r#"["file"]"#;
const NETWORK: &str = r#"["network"]"#;
const HOST: &str = r#"["host"]"#;
const DRIVER: &str = r#"["driver"]"#;
const START: &str = r#"["start"]"#;
const END: &str = r#"["end"]"#;
const CHANGE: &str = r#"["change"]"#;
const ACCESS: &str = r#"["access"]"#;
const CREATION: &str = r#"["creation"]"#;
const DELETION: &str = r#"["deletion"]"#;
const INFO: &str = r#"["info"]"#;
const OPENED: &str = r#"["connection","start"]"#;

const fn event(kind: Kind, category: &'static str, event_type: &'static str) -> Sorted {
    Sorted { kind, event_kind: "event", category, event_type }
}

const fn alert(kind: Kind) -> Sorted {
    Sorted { kind, event_kind: "alert", category: r#"["intrusion_detection"]"#, event_type: INFO }
}

const KINDS: &[Sorted] = &[
    event(Kind::FORK, PROCESS, START),
    event(Kind::EXEC, PROCESS, START),
    event(Kind::EXIT, PROCESS, END),
    event(Kind::FILE_OPEN, FILE, ACCESS),
    event(Kind::CONNECT, NETWORK, OPENED),
    event(Kind::CLOSE, NETWORK, r#"["connection","end"]"#),
    event(Kind::DNS_QUERY, NETWORK, r#"["protocol"]"#),
    event(Kind::DNS_ANSWER, NETWORK, r#"["protocol"]"#),
    event(Kind::SETUID, PROCESS, CHANGE),
    event(Kind::SETGID, PROCESS, CHANGE),
    event(Kind::CAPSET, PROCESS, CHANGE),
    event(Kind::PTRACE, PROCESS, ACCESS),
    event(Kind::SIGNAL, PROCESS, CHANGE),
    event(Kind::MPROTECT_EXEC, PROCESS, CHANGE),
    event(Kind::MEMFD_CREATE, FILE, CREATION),
    event(Kind::PROCESS_VM_WRITE, PROCESS, CHANGE),
    event(Kind::FILE_CREATE, FILE, CREATION),
    event(Kind::FILE_UNLINK, FILE, DELETION),
    event(Kind::FILE_RENAME, FILE, CHANGE),
    event(Kind::FILE_LINK, FILE, CREATION),
    event(Kind::FILE_SYMLINK, FILE, CREATION),
    event(Kind::FILE_CHMOD, FILE, CHANGE),
    event(Kind::FILE_CHOWN, FILE, CHANGE),
    event(Kind::FILE_TRUNCATE, FILE, CHANGE),
    event(Kind::FILE_SETXATTR, FILE, CHANGE),
    event(Kind::FILE_MMAP_EXEC, r#"["library"]"#, START),
    event(Kind::ACCEPT, NETWORK, OPENED),
    event(Kind::SERVE, NETWORK, r#"["connection","info"]"#),
    event(Kind::SEND, NETWORK, OPENED),
    event(Kind::CONNECT_FAILED, NETWORK, OPENED),
    event(Kind::LISTEN, NETWORK, INFO),
    event(Kind::BIND, NETWORK, INFO),
    event(Kind::SOCKET, NETWORK, INFO),
    event(Kind::MODULE_LOAD, DRIVER, START),
    event(Kind::BPF_LOAD, DRIVER, START),
    event(Kind::MOUNT, HOST, CHANGE),
    event(Kind::UNMOUNT, HOST, CHANGE),
    event(Kind::NAMESPACE_CHANGE, PROCESS, CHANGE),
    event(Kind::CHROOT, PROCESS, CHANGE),
    event(Kind::PIVOT_ROOT, PROCESS, CHANGE),
    event(Kind::KEXEC, HOST, CHANGE),
    event(Kind::SYSCTL, r#"["configuration"]"#, CHANGE),
    event(Kind::IO_URING_SETUP, PROCESS, INFO),
    event(Kind::CONTAINER_START, HOST, START),
    event(Kind::CONTAINER_STOP, HOST, END),
    alert(Kind::ESCAPE_HOST_NAMESPACE),
    alert(Kind::ESCAPE_HOST_MOUNT),
    alert(Kind::ESCAPE_RELEASE_AGENT),
    alert(Kind::ESCAPE_CORE_PATTERN),
    alert(Kind::ESCAPE_MODPROBE),
    alert(Kind::ESCAPE_RUNTIME_SOCKET),
    alert(Kind::ESCAPE_OUTSIDE_ROOT),
    event(Kind::SENSOR_STARTED, HOST, INFO),
    event(Kind::SENSOR_STOPPED, HOST, INFO),
    event(Kind::SENSOR_HEARTBEAT, HOST, INFO),
    event(Kind::SENSOR_LOSS, HOST, INFO),
    event(Kind::SENSOR_CANARY, HOST, INFO),
    alert(Kind::SENSOR_TAMPER),
];
