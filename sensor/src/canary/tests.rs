use std::net::SocketAddr;

use super::*;
use crate::record::{Access, Connection, Exit, File, Fork, Place, Socket, Task, Transport};

const PID: u32 = 100;
const PATH: &[u8] = b"/sys/kernel/btf/vmlinux";

fn second(n: u64) -> BootTime {
    BootTime::from_ns(n * 1_000_000_000)
}

fn task(pid: u32, start: u64) -> Task {
    Task { key: ProcessKey { start: second(start), pid }, image: 1 }
}

fn deeds(n: u32) -> Deeds {
    Deeds { child: Some(n), port: Some(4000), opened: Some(PATH.to_vec()) }
}

fn record(body: Body<'_>) -> Record<'_> {
    Record { at: Place { class: Class::Bulk, cpu: 0, seq: 0 }, time: second(0), body }
}

fn fork(child: Task, parent: u32) -> Record<'static> {
    record(Body::Fork(Fork { child, parent: task(parent, 0), cgroup_id: 0 }))
}

fn exit(task: Task) -> Record<'static> {
    record(Body::Exit(Exit { task, code: 0, signal: 0, duration_ns: 0 }))
}

fn listen(port: u16, pid: u32) -> Record<'static> {
    at_port(Role::Listen, port, pid)
}

fn at_port(role: Role, port: u16, pid: u32) -> Record<'static> {
    let socket = Socket {
        transport: Transport::Tcp,
        cookie: 1,
        source: "0.0.0.0:0".parse().unwrap(),
        destination: SocketAddr::from(([127, 0, 0, 1], port)),
        source_isn: 0,
        destination_isn: 0,
    };
    let task = task(pid, 0);
    record(Body::Connection(Connection { role, task, accepted_by: None, socket, failed: None, many: false }))
}

fn open(path: &[u8], pid: u32) -> Record<'_> {
    record(Body::File(Box::new(File {
        action: Kind::FILE_OPEN,
        task: task(pid, 0),
        path,
        target: b"",
        name: b"",
        inode: 1,
        device: 1,
        filesystem: 0,
        mode: 0o100_444,
        owner: 0,
        group: 0,
        size: 0,
        access: Access { read: true, ..Access::default() },
        error: 0,
        truncated: false,
        host_namespace: true,
        from_syscall: false,
    })))
}

fn comes_back(canary: &mut Canary, n: u32, now: BootTime) {
    let child = task(n, u64::from(n));
    let bind = at_port(Role::Bind, 4000, PID);
    for record in [fork(child, PID), exit(child), bind, listen(4000, PID), open(PATH, PID)] {
        assert!(canary.took(&record, now), "{record:?}");
    }
    canary.heard_out();
}

#[test]
fn what_comes_back_is_told_at_first_and_once_a_minute() {
    let mut canary = Canary::new(PID, |_| true, second(0));
    let mut reports = Vec::new();
    for n in 0..=25 {
        let now = second(5 * n);
        assert!(canary.is_due(now));
        reports.extend(canary.round(deeds(n as u32 + 1), &[0; 3], now));
        assert!(!canary.is_due(second(5 * n + 4)));
        comes_back(&mut canary, n as u32 + 1, second(5 * n + 1));
    }
    let well = Report { blind: vec![], sent: 12, returned: 12, delay_ns: 1_000_000_000, reason: WELL };
    assert_eq!(reports, [Report { sent: 1, returned: 1, ..well.clone() }, well.clone(), well]);
}

#[test]
fn what_others_do_is_an_event() {
    let mut canary = Canary::new(PID, |_| true, second(0));
    canary.round(deeds(7), &[0; 3], second(0));
    for other in [
        fork(task(7, 1), 99),
        fork(task(8, 1), PID),
        exit(task(8, 1)),
        listen(4001, PID),
        listen(4000, 99),
        at_port(Role::Bind, 4001, PID),
        open(b"/etc/shadow", PID),
        open(PATH, 99),
    ] {
        assert!(!canary.took(&other, second(1)), "{other:?}");
    }
    let child = task(7, 1);
    assert!(canary.took(&fork(child, PID), second(1)));
    assert!(!canary.took(&exit(task(7, 2)), second(1)), "the number was given to another process");
    assert!(canary.took(&exit(child), second(1)));
    assert!(!canary.took(&exit(child), second(1)), "it ends once");
}

#[test]
fn a_ring_that_is_silent_is_told_after_three_rounds_and_when_it_speaks_again() {
    let mut canary = Canary::new(PID, |bird| bird != Bird::Open, second(0));
    let round = |canary: &mut Canary, n: u64, lost| {
        let report = canary.round(deeds(n as u32 + 1), &lost, second(5 * n));
        let child = task(n as u32 + 1, n);
        canary.took(&fork(child, PID), second(5 * n));
        canary.took(&exit(child), second(5 * n));
        canary.heard_out();
        report
    };
    let reports: Vec<_> = (0..4).map(|n| round(&mut canary, n, [9, 9, 9])).collect();
    assert_eq!(reports.iter().flatten().count(), 1);
    let report = reports.last().unwrap().clone().unwrap();
    assert_eq!((report.blind, report.reason), (vec!["network.connect"], BLIND));
    assert_eq!((report.sent, report.returned), (3, 0));
    assert_eq!(canary.blind(), ["network.connect"]);
    assert!(canary.took(&listen(4000, PID), second(16)), "late, and no event all the same");
    let report = round(&mut canary, 4, [9, 9, 9]).unwrap();
    assert_eq!((report.blind.len(), report.reason), (0, AGAIN));
    // The same while records are lost.
    let report = (5..9).find_map(|n| round(&mut canary, n, [9, 9 + n, 9])).unwrap();
    assert_eq!((report.blind, report.reason), (vec!["network.connect"], LOST));
}

#[test]
fn a_sensor_that_reads_behind_takes_nothing_for_silent() {
    let mut canary = Canary::new(PID, |_| true, second(0));
    for n in 0..10 {
        assert_eq!(canary.round(deeds(n as u32 + 1), &[0; 3], second(5 * n)), None);
    }
    // All that was told comes at last; what is done from then on is judged again.
    for n in 0..10 {
        comes_back(&mut canary, n + 1, second(49));
    }
    let report = canary.round(deeds(11), &[0; 3], second(50)).unwrap();
    assert_eq!((report.blind.len(), report.reason), (0, WELL));
    let reports = (11..14).filter_map(|n| {
        canary.heard_out();
        canary.round(deeds(n as u32 + 1), &[0; 3], second(5 * n))
    });
    let report = reports.last().unwrap();
    assert_eq!((report.blind.len(), report.reason), (4, BLIND));
}

#[test]
fn each_is_shown_by_a_sight() {
    for bird in Bird::ALL {
        assert!(crate::probe::sight::Sight::all().any(|sight| sight.name == bird.sight()), "{bird:?}");
    }
}

#[test]
fn what_could_not_be_done_is_not_waited_for() {
    let mut canary = Canary::new(PID, |_| true, second(0));
    for n in 0..8 {
        assert_eq!(canary.round(Deeds::default(), &[0; 3], second(5 * n)), None);
    }
    assert!(canary.blind().is_empty());
}
