use vedette_sensor::record::{Body, Transport};

use crate::bench::{run, with_root};
use crate::child;

/// Makes sockets of every kind that is told, and some that are not.
pub(crate) fn make_all() {
    use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
    let made = [
        socket(AddressFamily::Inet, SockType::Raw, SockFlag::empty(), SockProtocol::Icmp),
        socket(AddressFamily::Inet6, SockType::Raw, SockFlag::empty(), SockProtocol::Raw),
        socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), SockProtocol::EthAll),
        socket(AddressFamily::Inet, SockType::Datagram, SockFlag::empty(), None),
        socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None),
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::empty(), None),
    ];
    for socket in made {
        drop(socket.unwrap());
    }
}

#[test]
fn who_makes_a_raw_or_packet_socket_is_told() {
    with_root("socket", async |mut bench| {
        let (pid, out) = run(&mut child::command(&bench, "socket", &[]));
        assert!(out.status.success(), "{out:?}");
        bench.exit_of(pid).await;
        bench.look();
        let told: Vec<_> = bench
            .seen()
            .filter_map(|record| match record.body {
                Body::Made(made) => Some(made),
                _ => None,
            })
            .collect();
        assert!(told.iter().all(|made| made.task.key.pid == pid), "{told:?}");
        assert_eq!(
            told.iter().map(|made| (made.transport, made.protocol)).collect::<Vec<_>>(),
            [(Transport::Raw, 1), (Transport::Raw, 255), (Transport::Packet, 3)]
        );
    });
}
