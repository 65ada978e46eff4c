use expect_test::{Expect, expect};
use uuid::Uuid;
use wire::id::ProcessKey;
use wire::time::BootTime;

use super::*;
use crate::record::{Class, Close, Connection, Fork, Made, Namespaces, Place, Role, Socket, Task, Transport};

fn show(row: &Row) -> String {
    let show = |value: &Value| match value {
        Value::Keyword(bytes) => bytes.escape_ascii().to_string(),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| item.escape_ascii().to_string()).collect();
            format!("{items:?}")
        }
        Value::Uint(n) => n.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Bool(b) => b.to_string(),
        Value::Ip(ip) => ip.to_string(),
        Value::Time(t) => t.to_string(),
    };
    row.iter().map(|(field, value)| format!("{field}: {}\n", show(value))).collect()
}

fn task(pid: u32) -> Task {
    Task { key: ProcessKey { start: BootTime::from_ns(5), pid }, image: 1 }
}

fn check_event(body: Body<'_>, kind: Kind, expected: Expect) {
    let at = Place { class: Class::Bulk, cpu: 0, seq: 0 };
    let origin = Origin { host: HostId::new(Uuid::from_u128(1)), boot: BootId::new(Uuid::from_u128(2)) };
    let event = event(&Record { at, time: BootTime::from_ns(9), body }, b"", origin).unwrap();
    assert_eq!((event.kind, event.time), (kind, BootTime::from_ns(9)));
    for (field, _) in event.row.iter() {
        assert!(
            kind.info().is_some_and(|info| info.columns.contains(&field)),
            "{field} is no column of {kind}"
        );
    }
    expected.assert_eq(&show(&event.row));
}

fn socket() -> Socket {
    Socket {
        cookie: 7,
        source: ([10, 0, 0, 1], 40000).into(),
        destination: ([0xfd00u16, 0, 0, 0, 0, 0, 0, 1], 443).into(),
        source_isn: 1,
        destination_isn: u32::MAX,
        transport: Transport::Tcp,
    }
}

#[test]
fn an_image_is_told_in_full() {
    let id = "3f4a0b6c2d1e8f7a9b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6";
    let cgroup = format!("/kubepods/pod0ccf6f1b-5a3e-4f54-9d77-2a1f8d0c9e11/crio-{id}");
    let image = Image {
        executable: b"/usr/bin/\xffcurl",
        args: b"curl\0\0-s\0cut",
        args_bytes: 20_000,
        args_count: 900,
        cwd: b"/root",
        cgroup: cgroup.as_bytes(),
        tty: b"pts0",
        truncated: true,
        uid: 1000,
        euid: 0,
        egid: 4,
        loginuid: u32::MAX,
        session: 77,
        capabilities: 1 << 40,
        namespaces: Namespaces { mnt: 1, pid: 2, net: 3, user: 4 },
        inode: 12,
        device: 13,
        stdio: [Stdio::Tty, Stdio::Null, Stdio::Other],
        ..Image::default()
    };
    let names = Names::parse(b"root:x:0:0\n");
    expect![[r#"
        process.executable: /usr/bin/\xffcurl
        process.args: ["curl", "", "-s", "cut"]
        process.args_count: 900
        process.working_directory: /root
        process.user.id: 0
        process.user.name: root
        process.real_user.id: 1000
        process.group.id: 4
        process.session_id: 77
        process.tty: pts0
        process.interactive: true
        process.capabilities: 1099511627776
        process.truncated: true
        process.image.deleted: false
        process.image.memfd: false
        process.image.inode: 12
        process.image.device: 13
        process.image.writable_mount: false
        process.io.stdin: tty
        process.io.stdout: null
        process.args_bytes: 20000
        process.namespace.mnt: 1
        process.namespace.pid: 2
        process.namespace.net: 3
        process.namespace.user: 4
        process.cgroup: /kubepods/pod0ccf6f1b-5a3e-4f54-9d77-2a1f8d0c9e11/crio-3f4a0b6c2d1e8f7a9b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6
        container.id: 3f4a0b6c2d1e8f7a9b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6
        container.runtime: cri-o
        kubernetes.pod.uid: 0ccf6f1b-5a3e-4f54-9d77-2a1f8d0c9e11
    "#]]
    .assert_eq(&show(&subject(&image, &names)));
    expect![[r#"
        process.executable: /usr/bin/\xffcurl
        process.args: ["curl", "", "-s", "cut"]
    "#]]
    .assert_eq(&show(&parent(&image)));
}

#[test]
fn a_single_empty_argument_is_not_no_argument() {
    let row = parent(&Image { args: b"\0", ..Image::default() });
    assert_eq!(row.get(Field::ProcessArgs), Some(&Value::List(vec![Bytes::new()])));
}

#[test]
fn process_records_become_events() {
    let fork = Fork { child: task(2), parent: task(1), cgroup_id: 0 };
    check_event(Body::Fork(fork), Kind::FORK, expect![""]);
    check_event(Body::Image(Box::default()), Kind::EXEC, expect![""]);
    check_event(
        Body::Exit(Exit { task: task(2), code: 137, signal: 9, duration_ns: 1_000 }),
        Kind::EXIT,
        expect![[r#"
            process.exit_code: 137
            process.duration_ns: 1000
            signal.number: 9
        "#]],
    );
}

#[test]
fn connection_records_become_events() {
    let serve = Connection {
        role: Role::Serve,
        task: task(2),
        accepted_by: Some(task(1)),
        socket: socket(),
        failed: None,
        many: false,
    };
    check_event(
        Body::Connection(serve),
        Kind::SERVE,
        expect![[r#"
            source.ip: 10.0.0.1
            source.port: 40000
            destination.ip: fd00::1
            destination.port: 443
            network.transport: tcp
            network.source_isn: 1
            network.destination_isn: 4294967295
            network.socket_cookie: 7
            network.accepted_by.entity_id: 7310819bff583e90
        "#]],
    );
    let bind = Connection { role: Role::Bind, accepted_by: None, ..serve };
    check_event(
        Body::Connection(bind),
        Kind::BIND,
        expect![[r#"
            destination.ip: fd00::1
            destination.port: 443
            network.transport: tcp
            network.socket_cookie: 7
        "#]],
    );
    let made = Made { task: task(2), cookie: 0, transport: Transport::Packet, protocol: 3 };
    check_event(
        Body::Made(made),
        Kind::SOCKET,
        expect![[r#"
            network.transport: packet
            network.protocol_number: 3
        "#]],
    );
    let close = Close {
        role: Role::Connect,
        task: task(2),
        socket: socket(),
        source_bytes: u64::MAX,
        destination_bytes: 1,
        source_packets: 3,
        destination_packets: 2,
        many: false,
    };
    check_event(
        Body::Close(close),
        Kind::CLOSE,
        expect![[r#"
            source.ip: 10.0.0.1
            source.port: 40000
            destination.ip: fd00::1
            destination.port: 443
            network.transport: tcp
            network.direction: outbound
            network.bytes: 18446744073709551615
            network.packets: 5
            source.bytes: 18446744073709551615
            destination.bytes: 1
            network.socket_cookie: 7
            source.packets: 3
            destination.packets: 2
        "#]],
    );
}

#[test]
fn flow_records_become_events() {
    let socket = Socket { transport: Transport::Udp, ..socket() };
    let send =
        Connection { role: Role::Send, task: task(2), accepted_by: None, socket, failed: None, many: false };
    check_event(
        Body::Connection(send),
        Kind::SEND,
        expect![[r#"
            source.ip: 10.0.0.1
            source.port: 40000
            destination.ip: fd00::1
            destination.port: 443
            network.transport: udp
            network.socket_cookie: 7
        "#]],
    );
    check_event(
        Body::Connection(Connection { many: true, ..send }),
        Kind::SEND,
        expect![[r#"
            source.ip: 10.0.0.1
            source.port: 40000
            network.transport: udp
            network.socket_cookie: 7
            network.many_peers: true
        "#]],
    );
    check_event(
        Body::Connection(Connection { role: Role::Accept, many: true, ..send }),
        Kind::ACCEPT,
        expect![[r#"
            destination.ip: fd00::1
            destination.port: 443
            network.transport: udp
            network.socket_cookie: 7
            network.many_peers: true
        "#]],
    );
}
