use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

use vedette_sensor::record::{Body, Role, Transport};

use crate::bench::{run, with_root};
use crate::child;

/// Binds sockets of all sorts, and says where; one more gets its port without a bind.
pub(crate) fn bind_all() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let sockets = ["0.0.0.0:0", "[::1]:0", "[::ffff:127.0.0.1]:0"].map(|at| UdpSocket::bind(at).unwrap());
    let udp = sockets.iter().map(|socket| socket.local_addr().unwrap());
    for at in [listener.local_addr().unwrap()].into_iter().chain(udp) {
        println!("at={at}");
    }
    println!("free={}", client.local_addr().unwrap());
}

#[test]
fn who_binds_a_socket_is_told_with_the_port_it_got() {
    with_root("bind", async |mut bench| {
        let (pid, out) = run(&mut child::command(&bench, "bind", &[]));
        assert!(out.status.success(), "{out:?}");
        let text = String::from_utf8(out.stdout).unwrap();
        let said = |word: &str| {
            let of = text.lines().filter_map(|line| line.split_once(word));
            of.map(|(_, at)| at.trim().parse::<SocketAddr>().unwrap()).collect::<Vec<_>>()
        };
        bench.exit_of(pid).await;
        bench.look();
        let told: Vec<_> = bench
            .seen()
            .filter_map(|record| match record.body {
                Body::Connection(it) if it.role == Role::Bind => Some(it),
                _ => None,
            })
            .collect();
        assert!(told.iter().all(|it| it.task.key.pid == pid && it.socket.source.port() == 0));
        let expected: Vec<SocketAddr> = said("at=").into_iter().map(canonical).collect();
        assert_eq!(told.iter().map(|it| it.socket.destination).collect::<Vec<_>>(), expected);
        let transports: Vec<_> = told.iter().map(|it| it.socket.transport).collect();
        assert_eq!(transports, [Transport::Tcp, Transport::Udp, Transport::Udp, Transport::Udp]);
        let unbound = said("free=").into_iter().next().unwrap();
        assert!(told.iter().all(|it| it.socket.destination.port() != unbound.port()), "{unbound}");
    });
}

fn canonical(at: SocketAddr) -> SocketAddr {
    SocketAddr::new(at.ip().to_canonical(), at.port())
}
