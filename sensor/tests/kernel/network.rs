use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use vedette_sensor::record::{Body, Close, Connection, Role};

use crate::bench::{Bench, with_root};
use crate::child;

impl Bench {
    async fn connection(&mut self, role: Role, port: u16) -> Connection {
        self.find(&format!("{role:?} on port {port}"), |record| match record.body {
            Body::Connection(it) if it.role == role && it.socket.destination.port() == port => Some(it),
            _ => None,
        })
        .await
    }

    async fn close_of(&mut self, role: Role, port: u16) -> Close {
        self.find(&format!("close after {role:?} on port {port}"), |record| match record.body {
            Body::Close(it) if it.role == role && it.socket.destination.port() == port => Some(it),
            _ => None,
        })
        .await
    }
}

/// A pre-forking server: the child accepts from the listener it inherited.
async fn both_ends_agree(mut bench: Bench, address: &str, connect_to: &str) {
    let listener = TcpListener::bind(address).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut server = child::command(&bench, "accept-from-stdin", &[])
        .stdin(OwnedFd::from(listener))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let to = format!("{connect_to}:{port}");
    let mut client = child::command(&bench, "connect", &[&to, "1000"]).stdout(Stdio::null()).spawn().unwrap();
    assert!(client.wait().unwrap().success());
    assert!(server.wait().unwrap().success());

    let connect = bench.connection(Role::Connect, port).await;
    let accept = bench.connection(Role::Accept, port).await;
    assert_eq!(connect.task.key.pid, client.id());
    assert_eq!(accept.task.key.pid, server.id());
    assert_eq!(
        (connect.socket.source, connect.socket.destination),
        (accept.socket.source, accept.socket.destination)
    );
    assert_eq!(connect.socket.destination, to.parse().unwrap());
    assert_eq!(
        (connect.socket.source_isn, connect.socket.destination_isn),
        (accept.socket.source_isn, accept.socket.destination_isn)
    );
    assert_ne!(connect.socket.source_isn, connect.socket.destination_isn);
    assert_ne!(connect.socket.cookie, accept.socket.cookie);

    for role in [Role::Connect, Role::Accept] {
        let close = bench.close_of(role, port).await;
        assert_eq!((close.source_bytes, close.destination_bytes), (1000, 500), "{role:?}");
        let opened = if role == Role::Connect { connect } else { accept };
        assert_eq!((close.socket, close.task), (opened.socket, opened.task));
    }
    let served =
        bench.seen().any(|record| matches!(record.body, Body::Connection(it) if it.role == Role::Serve));
    assert!(!served, "who accepts and reads does not also serve");
}

#[test]
fn both_ends_of_a_connection_have_one_pair_of_numbers() {
    with_root("tcp4", async |bench| both_ends_agree(bench, "127.0.0.1:0", "127.0.0.1").await);
}

#[test]
fn ipv6_is_told_as_such() {
    with_root("tcp6", async |bench| both_ends_agree(bench, "[::1]:0", "[::1]").await);
}

#[test]
fn a_mapped_address_is_ipv4_on_both_ends() {
    with_root("mapped", async |bench| both_ends_agree(bench, "[::]:0", "127.0.0.1").await);
}

#[test]
fn who_reads_first_serves_what_another_accepted() {
    with_root("serve", async |mut bench| {
        // The parent, outside of the group, accepts; the child that gets the connection reads.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let to = format!("127.0.0.1:{port}");
        let mut client =
            child::command(&bench, "connect", &[&to, "10"]).stdout(Stdio::null()).spawn().unwrap();
        let (stream, _) = listener.accept().unwrap();
        let mut server = bench
            .command("cat")
            .stdin(OwnedFd::from(stream.try_clone().unwrap()))
            .stdout(OwnedFd::from(stream))
            .spawn()
            .unwrap();
        assert!(client.wait().unwrap().success());
        assert!(server.wait().unwrap().success());

        let connect = bench.connection(Role::Connect, port).await;
        let serve = bench.connection(Role::Serve, port).await;
        assert_eq!(serve.task.key.pid, server.id());
        assert_eq!(serve.accepted_by.unwrap().key.pid, std::process::id());
        assert_eq!(
            (serve.socket.source_isn, serve.socket.destination_isn),
            (connect.socket.source_isn, connect.socket.destination_isn)
        );
        let close = bench.close_of(Role::Accept, port).await;
        assert_eq!(close.task, serve.task);
        assert_eq!((close.source_bytes, close.destination_bytes), (10, 10));
    });
}

#[test]
fn who_listens_and_who_is_turned_away_is_told() {
    with_root("listen", async |mut bench| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        // Nobody listens there now.
        let to = format!("127.0.0.1:{port}");
        let (pid, _) = crate::bench::run(&mut child::command(&bench, "connect", &[&to, "1"]));
        let failed = bench.connection(Role::Connect, port).await;
        assert_eq!((failed.task.key.pid, failed.failed), (pid, Some(111)), "ECONNREFUSED");

        let (pid, out) = crate::bench::run(&mut child::command(&bench, "listen", &[&to]));
        assert!(out.status.success(), "{out:?}");
        let listens = bench.connection(Role::Listen, port).await;
        assert_eq!((listens.task.key.pid, listens.socket.destination), (pid, to.parse().unwrap()));
    });
}
