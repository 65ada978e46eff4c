//! A small DNS server and who asks it, in a network namespace of their own.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::str::FromStr as _;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, TXT};
use hickory_proto::rr::{Name, RData, Record as Resource, RecordType};
use nix::sched::{CloneFlags, unshare};
use vedette_sensor::dns::{Dns, Told};
use vedette_sensor::probe::Filter;
use vedette_sensor::record::Body;
use wire::event::Kind;
use wire::field::Field;
use wire::value::Value;

use crate::bench::{Bench, run, skip, with_root};
use crate::child;

impl Bench {
    /// What is told of this process, once it has ended.
    async fn told_of(&mut self, pid: u32) -> Vec<Told> {
        self.exit_of(pid).await;
        self.look();
        let mut dns = Dns::default();
        let mut told = Vec::new();
        for record in self.seen() {
            if let Body::Dns(message) = &record.body
                && message.ends.task.key.pid == pid
            {
                told.extend(dns.take(message, record.time));
            }
        }
        told
    }

    /// Has a process ask, and tells what is told of it.
    async fn asks(&mut self, words: &[&str]) -> Vec<String> {
        let (pid, out) = run(&mut child::command(self, "ask", words));
        assert!(out.status.success(), "{out:?}");
        self.told_of(pid).await.iter().map(brief).collect()
    }
}

/// An event in a line.
fn brief(told: &Told) -> String {
    let row = &told.event.row;
    let text = |field| match row.get(field) {
        Some(Value::Keyword(bytes)) => bytes.escape_ascii().to_string(),
        Some(Value::Uint(n)) => n.to_string(),
        Some(Value::Ip(ip)) => ip.to_string(),
        Some(Value::Bool(is)) => is.to_string(),
        Some(Value::List(items)) => {
            items.iter().map(|item| item.escape_ascii().to_string()).collect::<Vec<_>>().join(",")
        }
        _ => "-".to_owned(),
    };
    let what = if told.event.kind == Kind::DNS_ANSWER { "answer" } else { "query" };
    let fields = [
        Field::NetworkTransport,
        Field::DestinationIp,
        Field::DestinationPort,
        Field::DnsQuestionName,
        Field::DnsQuestionType,
        Field::DnsResponseCode,
        Field::DnsAnswers,
        Field::EventOutcome,
    ];
    let cut = if row.get(Field::DnsTruncated).is_some() { " cut" } else { "" };
    format!("{what} {}{cut}", fields.map(text).join(" "))
}

#[test]
fn who_asks_is_told_once_with_the_answer() {
    with_root("dns4", async |mut bench| {
        let expected = [
            "query udp 127.0.0.1 53 www.example.org A - - success",
            "answer udp 127.0.0.1 53 www.example.org A NOERROR 192.0.2.1 success",
        ];
        assert_eq!(bench.asks(&["connected", "127.0.0.1:53", "www.example.org."]).await, expected);
        assert_eq!(bench.asks(&["sendto", "127.0.0.1:53", "WWW.example.org."]).await, expected);
        assert_eq!(bench.asks(&["sendto", "[::ffff:127.0.0.1]:53", "www.example.org."]).await, expected);
    });
}

#[test]
fn resolvers_on_other_addresses_and_over_ipv6_are_told_as_they_were_named() {
    with_root("dns6", async |mut bench| {
        for (server, ip) in [("127.0.0.53:53", "127.0.0.53"), ("[::1]:53", "::1")] {
            for way in ["connected", "sendto"] {
                let expected = [
                    format!("query udp {ip} 53 www.example.org A - - success"),
                    format!("answer udp {ip} 53 www.example.org A NOERROR 192.0.2.1 success"),
                ];
                assert_eq!(bench.asks(&[way, server, "www.example.org."]).await, expected, "{way}");
            }
        }
    });
}

#[test]
fn tcp_is_told_message_by_message() {
    with_root("dns-tcp", async |mut bench| {
        let expected = [
            "query tcp ::1 53 www.example.org A - - success",
            "answer tcp ::1 53 www.example.org A NOERROR 192.0.2.1 success",
        ];
        assert_eq!(bench.asks(&["tcp", "[::1]:53", "www.example.org."]).await, expected);
    });
}

#[test]
fn what_the_server_does_not_say_is_told() {
    with_root("dns-no", async |mut bench| {
        let told = bench.asks(&["connected", "127.0.0.1:53", "nowhere.example.org."]).await;
        assert_eq!(
            told,
            [
                "query udp 127.0.0.1 53 nowhere.example.org A - - success",
                "answer udp 127.0.0.1 53 nowhere.example.org A NXDOMAIN - failure",
            ]
        );
        let told = bench.asks(&["retry", "127.0.0.1:53", "truncated.example.org."]).await;
        assert_eq!(
            told,
            [
                "query udp 127.0.0.1 53 truncated.example.org A - - success",
                "answer udp 127.0.0.1 53 truncated.example.org A NOERROR - success",
                "query tcp 127.0.0.1 53 truncated.example.org A - - success",
                "answer tcp 127.0.0.1 53 truncated.example.org A NOERROR 192.0.2.1 success",
            ]
        );
    });
}

#[test]
fn large_answers_are_cut_and_say_so() {
    with_root("dns-big", async |mut bench| {
        for way in ["connected", "tcp"] {
            let (pid, out) =
                run(&mut child::command(&bench, "ask", &[way, "127.0.0.1:53", "big.example.org."]));
            assert!(out.status.success(), "{out:?}");
            let told = bench.told_of(pid).await;
            let [_, answer] = &told[..] else { panic!("{told:?}") };
            let row = &answer.event.row;
            assert_eq!(row.get(Field::DnsTruncated), Some(&Value::Bool(true)), "{way}");
            assert_eq!(row.get(Field::EventOutcome), Some(&Value::from("success")), "{way}");
            let Some(Value::List(answers)) = row.get(Field::DnsAnswers) else { panic!("{row:?}") };
            assert!(answers.iter().all(|answer| answer == &"x".repeat(200)), "{answers:?}");
            let n_bytes: Vec<_> = bench
                .seen()
                .filter_map(|record| match record.body {
                    Body::Dns(it) if it.is_answer && it.ends.task.key.pid == pid => {
                        Some((it.n_bytes, it.payload.len()))
                    }
                    _ => None,
                })
                .collect();
            assert!(
                n_bytes.iter().all(|(n, copied)| *copied <= 4096 && *n as usize >= *copied),
                "{n_bytes:?}"
            );
            let total: u32 = n_bytes.iter().map(|(n, _)| n).sum();
            assert!(total > 50_000, "{n_bytes:?}");
        }
    });
}

#[test]
fn who_is_left_out_is_not_told_of() {
    with_root("dns-out", async |mut bench| {
        let ask = ["connected", "127.0.0.1:53", "outside.example.org."];
        let (outside, out) = run(&mut child::command_outside("ask", &ask));
        assert!(out.status.success(), "{out:?}");
        bench.probe().set_filter(&Filter { uids: [0].into(), ..Filter::default() }).unwrap();
        let (filtered, out) =
            run(&mut child::command(&bench, "ask", &["tcp", "127.0.0.1:53", "filtered.example."]));
        assert!(out.status.success(), "{out:?}");
        bench.probe().set_filter(&Filter::default()).unwrap();
        assert_eq!(bench.asks(&["connected", "127.0.0.1:53", "inside.example.org."]).await.len(), 2);
        let strangers = bench.seen().filter(|record| match &record.body {
            Body::Dns(it) => [outside, filtered].contains(&it.ends.task.key.pid),
            _ => false,
        });
        assert_eq!(strangers.count(), 0);
    });
}

#[test]
fn a_restarted_sensor_takes_the_programs_over() {
    with_root("dns-again", async |mut bench| {
        let before = bench.asks(&["sendto", "127.0.0.1:53", "before.example.org."]).await;
        bench.close();
        let (between, out) =
            run(&mut child::command(&bench, "ask", &["sendto", "127.0.0.1:53", "between.example.org."]));
        assert!(out.status.success(), "{out:?}");
        assert!(bench.reopen().is_reopened());
        let after = bench.asks(&["sendto", "127.0.0.1:53", "after.example.org."]).await;
        assert_eq!((before.len(), bench.told_of(between).await.len(), after.len()), (2, 2, 2));
        let sights: Vec<_> = bench.probe().missing().map(|sight| sight.name).collect();
        assert!(!sights.iter().any(|name| name.starts_with("dns")), "{sights:?}");
    });
}

#[test]
fn other_ports_are_told_where_they_are_asked_for() {
    with_root("dns-port", async |mut bench| {
        assert_eq!(bench.asks(&["connected", "127.0.0.1:5300", "www.example.org."]).await.len(), 0);
        bench.close();
        bench.config.dns_ports = vec![53, 5300];
        assert!(!bench.reopen().is_reopened(), "other ports are another installation");
        for way in ["connected", "sendto", "tcp"] {
            let told = bench.asks(&[way, "127.0.0.1:5300", "www.example.org."]).await;
            assert_eq!(told.len(), 2, "{told:?}");
            assert!(told.iter().all(|line| line.contains("127.0.0.1 5300 www.example.org")), "{told:?}");
        }
    });
}

/// As a container engine does it: what goes to 127.0.0.11:53 is sent on to a server at another port.
#[test]
fn where_addresses_are_translated_the_server_is_told_that_was_named() {
    with_root("dns-nat", async |mut bench| {
        if !translate(Command::new("unshare").args(["-n", "iptables"]), "udp") {
            return skip(
                "dns-nat",
                "there is no iptables that translates addresses here (apt-get install iptables)",
            );
        }
        for (way, transport) in [("sendto", "udp"), ("connected", "udp"), ("tcp", "tcp")] {
            let told = bench.asks(&[way, "127.0.0.11:53", "www.example.org."]).await;
            let expected = [
                format!("query {transport} 127.0.0.11 53 www.example.org A - - success"),
                format!("answer {transport} 127.0.0.11 53 www.example.org A NOERROR 192.0.2.1 success"),
            ];
            assert_eq!(told, expected, "{way}");
        }
    });
}

const TRANSLATED: &str = "127.0.0.11:53";
const TRANSLATED_TO: &str = "127.0.0.1:10053";

fn translate(iptables: &mut Command, transport: &str) -> bool {
    iptables.args(["-t", "nat", "-A", "OUTPUT", "-d", "127.0.0.11", "-p", transport, "--dport", "53"]);
    iptables.args(["-j", "DNAT", "--to-destination", TRANSLATED_TO]);
    iptables.status().is_ok_and(|status| status.success())
}

/// Asks a server of its own for a name.
pub(crate) fn ask(way: &str, server: &str, name: &str) {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    assert!(Command::new("/bin/busybox").args(["ip", "link", "set", "lo", "up"]).status().unwrap().success());
    let is_translated = server == TRANSLATED;
    let server: SocketAddr = server.parse().unwrap();
    let mut at = SocketAddr::new(server.ip().to_canonical(), server.port());
    if is_translated {
        assert!(["udp", "tcp"].iter().all(|transport| translate(&mut Command::new("iptables"), transport)));
        at = TRANSLATED_TO.parse().unwrap();
    }
    let (udp, tcp) = (UdpSocket::bind(at).unwrap(), TcpListener::bind(at).unwrap());
    std::thread::spawn(move || serve_udp(&udp));
    std::thread::spawn(move || serve_tcp(&tcp));
    let client = || UdpSocket::bind((unspecified(server.ip()), 0)).unwrap();
    let asked = query(name);
    match way {
        "connected" => {
            let client = client();
            client.connect(server).unwrap();
            client.send(&asked).unwrap();
            await_answer(&client);
        }
        "sendto" => {
            let client = client();
            client.send_to(&asked, server).unwrap();
            await_answer(&client);
        }
        "tcp" => ask_tcp(server, &asked),
        "retry" => {
            let client = client();
            client.connect(server).unwrap();
            client.send(&asked).unwrap();
            await_answer(&client);
            ask_tcp(server, &asked);
        }
        other => panic!("no way {other:?}"),
    }
}

fn unspecified(of: IpAddr) -> IpAddr {
    if of.is_ipv4() { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) }
}

fn await_answer(client: &UdpSocket) {
    assert!(client.recv(&mut vec![0; 65536]).unwrap() > 12);
}

fn ask_tcp(server: SocketAddr, asked: &[u8]) {
    let mut client = TcpStream::connect(server).unwrap();
    // In pieces, as a slow process would.
    client.set_nodelay(true).unwrap();
    client.write_all(&(asked.len() as u16).to_be_bytes()).unwrap();
    client.write_all(&asked[..10]).unwrap();
    client.write_all(&asked[10..]).unwrap();
    receive(&mut client);
}

fn receive(connection: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    connection.read_exact(&mut length).unwrap();
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    connection.read_exact(&mut message).unwrap();
    message
}

fn query(name: &str) -> Vec<u8> {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_str(name).unwrap(), RecordType::A));
    message.to_vec().unwrap()
}

fn serve_udp(socket: &UdpSocket) {
    loop {
        let mut buffer = [0; 4096];
        let (n, from) = socket.recv_from(&mut buffer).unwrap();
        socket.send_to(&answer(&buffer[..n], true), from).unwrap();
    }
}

fn serve_tcp(listener: &TcpListener) {
    loop {
        let mut connection = listener.accept().unwrap().0;
        let answer = answer(&receive(&mut connection), false);
        connection.write_all(&(answer.len() as u16).to_be_bytes()).unwrap();
        connection.write_all(&answer).unwrap();
    }
}

/// What the server says, which the first label of the name tells it.
fn answer(asked: &[u8], is_udp: bool) -> Vec<u8> {
    let asked = Message::from_vec(asked).unwrap();
    let question = asked.queries[0].clone();
    let mut message = Message::response(asked.metadata.id, OpCode::Query);
    let name = question.name().clone();
    let add = |message: &mut Message, data| {
        message.add_answer(Resource::from_rdata(name.clone(), 60, data));
    };
    match question.name().iter().next().unwrap() {
        b"nowhere" => message.metadata.response_code = ResponseCode::NXDomain,
        b"truncated" if is_udp => message.metadata.truncation = true,
        b"big" => {
            for _ in 0..250 {
                add(&mut message, RData::TXT(TXT::new(vec!["x".repeat(200)])));
            }
        }
        _ => add(&mut message, RData::A(A::new(192, 0, 2, 1))),
    }
    message.add_query(question);
    message.to_vec().unwrap()
}
