use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use vedette_sensor::record::{Body, Class, Close, Connection, Role, Transport};
use wire::time::BootTime;

use crate::bench::{Bench, run, skip, with_root};
use crate::child;

/// Peers of one socket that are told one by one, each way.
const TOLD: usize = 512;
/// Flows that the kernel keeps.
const FLOWS: usize = 32_768;

/// The word that stands before an address in what a child says.
const AT: &str = "at=";

/// One datagram there and one back, between two sockets of this process. Says between whom.
pub(crate) fn exchange() {
    let [from, to] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    from.send_to(b"hello", to.local_addr().unwrap()).unwrap();
    let (_, peer) = to.recv_from(&mut [0; 10]).unwrap();
    to.send_to(b"you", peer).unwrap();
    from.recv(&mut [0; 10]).unwrap();
    println!("{AT}{}", from.local_addr().unwrap());
    println!("{AT}{}", to.local_addr().unwrap());
}

/// Sends five bytes there for every line that comes, and ends with the lines.
pub(crate) fn send_when_told(to: &str) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    println!("{AT}{}", socket.local_addr().unwrap());
    for _ in std::io::stdin().lines() {
        socket.send_to(b"hello", to).unwrap();
        println!("sent");
    }
}

/// Binds a socket, says where, and reads nothing until its standard input ends.
pub(crate) fn wait_bound() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    println!("{AT}{}", socket.local_addr().unwrap());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// From each of so many sockets a datagram to each of so many addresses.
pub(crate) fn send_to_many(n_sockets: u8, n_peers: u16) {
    for of_socket in 0..n_sockets {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        for n in 0..n_peers {
            let [high, low] = n.to_be_bytes();
            socket.send_to(b"hello", (Ipv4Addr::new(127, of_socket + 1, high, low), 9)).unwrap();
        }
        if n_sockets > 1 {
            // It stays open, and so its flows do.
            std::mem::forget(socket);
        }
    }
}

/// Sends to an address that a rule of this process's network namespace translates to another one, where there is an answer.
pub(crate) fn exchange_translated() {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    let sh = |script: &str| assert!(Command::new("sh").args(["-ec", script]).status().unwrap().success());
    sh("ip link set lo up; ip addr add 10.9.9.1/24 dev lo");
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    sh(&format!("iptables -t nat -A OUTPUT -p udp -d 10.9.9.9 --dport 53 -j DNAT --to 127.0.0.1:{port}"));
    let client = UdpSocket::bind("10.9.9.1:0").unwrap();
    client.send_to(b"hello", "10.9.9.9:53").unwrap();
    let (_, peer) = server.recv_from(&mut [0; 10]).unwrap();
    server.send_to(b"you", peer).unwrap();
    let (_, answerer) = client.recv_from(&mut [0; 10]).unwrap();
    assert_eq!(answerer, "10.9.9.9:53".parse().unwrap(), "translated back");
    println!("{AT}{}", client.local_addr().unwrap());
}

impl Bench {
    /// What was seen of this process's flows so far.
    fn flows_of(&self, pid: u32) -> (Vec<Connection>, Vec<Close>) {
        let (mut begun, mut ended) = (Vec::new(), Vec::new());
        for record in self.seen() {
            match record.body {
                Body::Connection(it) if it.role != Role::Bind && it.task.key.pid == pid => begun.push(it),
                Body::Close(it) if it.task.key.pid == pid => ended.push(it),
                _ => {}
            }
        }
        (begun, ended)
    }

    /// The same, when there are so many ends of flows.
    async fn flows_ended(&mut self, pid: u32, n_ended: usize) -> (Vec<Connection>, Vec<Close>) {
        for _ in 0..400 {
            self.end_flows();
            let (begun, ended) = self.flows_of(pid);
            if ended.len() >= n_ended {
                return (begun, ended);
            }
            tokio::time::sleep(Duration::from_millis(50)).await; // poll interval
        }
        let (begun, ended) = self.flows_of(pid);
        panic!("{} flows of {pid} began, {} have ended, not {n_ended}", begun.len(), ended.len());
    }

    fn end_flows(&mut self) {
        let now = clock_gettime(ClockId::CLOCK_BOOTTIME).unwrap();
        let now = BootTime::from_ns(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64);
        self.probe().end_flows(now).unwrap();
        self.look();
    }
}

/// The addresses that a child said.
fn said(out: &[u8]) -> Vec<SocketAddr> {
    let text = String::from_utf8(out.to_vec()).unwrap();
    text.lines().filter_map(|line| line.split_once(AT)).map(|(_, at)| at.parse().unwrap()).collect()
}

/// A child that does what it is told, line by line.
struct Told {
    child: Child,
    orders: ChildStdin,
    says: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Told {
    fn start(mut command: Command) -> (Self, SocketAddr) {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let orders = child.stdin.take().unwrap();
        let mut told = Self { orders, says: BufReader::new(child.stdout.take().unwrap()).lines(), child };
        let at = told.hears(AT).split_once(AT).unwrap().1.parse().unwrap();
        (told, at)
    }

    fn hears(&mut self, word: &str) -> String {
        self.says.by_ref().map(Result::unwrap).find(|line| line.contains(word)).unwrap()
    }

    fn send(&mut self) {
        writeln!(self.orders, "go").unwrap();
        self.hears("sent");
    }

    fn end(self) {
        let Self { mut child, orders, says } = self;
        drop(orders);
        assert!(child.wait().unwrap().success());
        drop(says);
    }
}

#[test]
fn a_flow_is_told_by_both_of_its_ends_with_what_went_either_way() {
    with_root("flow", async |mut bench| {
        let (pid, out) = run(&mut child::command(&bench, "udp-exchange", &[]));
        assert!(out.status.success(), "{out:?}");
        let ends: [SocketAddr; 2] = said(&out.stdout).try_into().unwrap();
        let (begun, ended) = bench.flows_ended(pid, 2).await;
        assert_eq!(begun.iter().map(|it| it.role).collect::<Vec<_>>(), [Role::Send, Role::Accept]);
        for socket in begun.iter().map(|it| it.socket).chain(ended.iter().map(|it| it.socket)) {
            assert_eq!(
                (socket.source, socket.destination, socket.transport),
                (ends[0], ends[1], Transport::Udp)
            );
        }
        for close in &ended {
            assert_eq!((close.source_packets, close.source_bytes), (1, 5), "{close:?}");
            assert_eq!((close.destination_packets, close.destination_bytes), (1, 3), "{close:?}");
        }
        assert_ne!(ended[0].socket.cookie, ended[1].socket.cookie);
    });
}

#[test]
fn a_flow_ends_when_it_is_quiet_and_is_told_again_when_it_comes_back() {
    with_root("flow-idle", async |mut bench| {
        bench.close();
        bench.config.flow_idle = Duration::from_secs(1);
        assert!(!bench.reopen().is_reopened());
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = server.local_addr().unwrap().to_string();
        let (mut sender, _) = Told::start(child::command(&bench, "udp-send", &[&to]));
        let pid = sender.child.id();
        sender.send();
        sender.send();
        let (begun, ended) = bench.flows_ended(pid, 1).await;
        assert_eq!((begun.len(), ended[0].source_packets, ended[0].source_bytes), (1, 2, 10));
        sender.send();
        sender.end();
        let (begun, ended) = bench.flows_ended(pid, 2).await;
        assert_eq!((begun.len(), ended[1].source_packets), (2, 1));
    });
}

#[test]
fn a_flow_goes_on_while_no_sensor_runs() {
    with_root("flow-restart", async |mut bench| {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = server.local_addr().unwrap().to_string();
        let (mut sender, _) = Told::start(child::command(&bench, "udp-send", &[&to]));
        let pid = sender.child.id();
        sender.send();
        bench.close();
        sender.send();
        assert!(bench.reopen().is_reopened());
        sender.send();
        sender.end();
        let (begun, ended) = bench.flows_ended(pid, 1).await;
        assert_eq!((begun.len(), ended.len(), ended[0].source_packets), (1, 1, 3));
    });
}

#[test]
fn a_socket_that_is_older_than_the_sensor_has_an_owner() {
    with_root("flow-found", async |mut bench| {
        bench.close();
        vedette_sensor::probe::Probe::unload_named(&bench.config.name).unwrap();
        let (server, at) = Told::start(child::command(&bench, "udp-wait", &[]));
        bench.reopen();
        bench.probe().seed().unwrap();
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"hello", at).unwrap();
        let pid = server.child.id();
        let accept = bench
            .find("datagram for a socket that was there before", |record| match record.body {
                Body::Connection(it) if it.role == Role::Accept && it.socket.destination == at => Some(it),
                _ => None,
            })
            .await;
        assert_eq!(accept.task.key.pid, pid);
        server.end();
        let (_, ended) = bench.flows_ended(pid, 1).await;
        assert_eq!((ended[0].role, ended[0].source_bytes), (Role::Accept, 5));
    });
}

#[test]
fn a_socket_with_ten_thousand_peers_is_told_as_one() {
    with_root("flow-many", async |mut bench| {
        let (pid, out) = run(&mut child::command(&bench, "udp-many", &["1", "10000"]));
        assert!(out.status.success(), "{out:?}");
        let (begun, ended) = bench.flows_ended(pid, TOLD + 1).await;
        let peers: HashSet<_> = begun.iter().filter(|it| !it.many).map(|it| it.socket.destination).collect();
        assert_eq!((peers.len(), begun.len(), ended.len()), (TOLD, TOLD + 1, TOLD + 1));
        assert_eq!(ended.iter().map(|it| it.source_packets).sum::<u64>(), 10_000);
        assert_eq!(ended.iter().map(|it| it.source_bytes).sum::<u64>(), 50_000);
        let others: Vec<_> = ended.iter().filter(|it| it.many).collect();
        assert_eq!((others.len(), others[0].source_packets), (1, 10_000 - TOLD as u64));
    });
}

#[test]
fn more_flows_than_there_is_room_for_are_told_and_their_ends_counted_as_lost() {
    with_root("flow-full", async |mut bench| {
        const SOCKETS: usize = 80;
        let peers = TOLD.to_string();
        let mut sender = child::command(&bench, "udp-many", &[&SOCKETS.to_string(), &peers]);
        let mut sender = sender.stdout(Stdio::null()).spawn().unwrap();
        let pid = sender.id();
        while sender.try_wait().unwrap().is_none() {
            bench.look();
            bench.probe().ready().await;
        }
        bench.look();
        let (begun, _) = bench.flows_of(pid);
        assert_eq!(begun.len(), SOCKETS * TOLD);
        assert!(begun.iter().all(|it| it.role == Role::Send && !it.many));
        let lost = bench.probe().counters().unwrap().of(Class::Bulk).lost as usize;
        assert!(lost >= SOCKETS * TOLD - FLOWS, "{lost} ends are counted as lost");
        let (_, ended) = bench.flows_ended(pid, SOCKETS * TOLD - lost).await;
        assert_eq!(ended.len() + lost, SOCKETS * TOLD);
    });
}

#[test]
fn a_translated_peer_is_told_as_the_process_named_it() {
    if !Command::new("iptables").arg("--version").output().is_ok_and(|out| out.status.success()) {
        return skip("flow-translated", "there is no iptables");
    }
    with_root("flow-translated", async |mut bench| {
        let (pid, out) = run(&mut child::command(&bench, "udp-translated", &[]));
        assert!(out.status.success(), "{out:?}");
        let client = said(&out.stdout)[0];
        let (begun, ended) = bench.flows_ended(pid, 2).await;
        assert_eq!(begun.iter().map(|it| it.role).collect::<Vec<_>>(), [Role::Send, Role::Accept]);
        assert_eq!(begun[0].socket.source, client);
        assert_eq!(begun[0].socket.destination, "10.9.9.9:53".parse().unwrap());
        let close = ended.iter().find(|it| it.role == Role::Send).unwrap();
        assert_eq!(
            (close.source_packets, close.destination_packets),
            (1, 1),
            "the answer is of the same flow"
        );
    });
}
