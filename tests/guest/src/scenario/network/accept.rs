//! How connections are accepted.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;

use io_uring::{opcode, types};
use nix::sys::socket::accept;

use super::{Ends, LOCALHOST, Scenario, exchange, me, one_connection, own_network};
use crate::expect::Expect;
use crate::scenario::Absent;
use crate::stage::{Stage, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "accept", about: "accept(2), the oldest of its family.", play: oldest },
    Scenario {
        name: "dual-stack listener",
        about: "An IPv6 listener accepts an IPv4 connection, which is told as IPv4.",
        play: dual_stack,
    },
    Scenario {
        name: "SYN cookies",
        about: "A listener remembers nothing of a connection until it is made (tcp_syncookies).",
        play: syn_cookies,
    },
    Scenario {
        name: "pre-forked",
        about: "A child accepts from the listener that it inherited.",
        play: preforked,
    },
    Scenario {
        name: "accept of a 32-bit program",
        about: "socketcall(2) through int 0x80.",
        play: by_socketcall,
    },
    Scenario { name: "io_uring accept", about: "io_uring accepts, and the process reads.", play: by_uring },
    Scenario {
        name: "io_uring accept without a read",
        about: "io_uring accepts, and the process only writes.",
        play: by_uring_unread,
    },
    Scenario { name: "not accepted", about: "A connection that nobody accepts has one end.", play: nobody },
];

fn oldest(_: &Stage) -> anyhow::Result<Expect> {
    let (listener, client, ends) = connected(LOCALHOST)?;
    let server = TcpStream::from(sys::owned(accept(listener.as_raw_fd())?));
    Ok(ends.all(me(), exchange(client, server)?))
}

fn dual_stack(_: &Stage) -> anyhow::Result<Expect> {
    let listener = TcpListener::bind("[::]:0")?;
    let client = TcpStream::connect(("127.0.0.1", listener.local_addr()?.port()))?;
    let ends = Ends::of(&client)?;
    Ok(ends.all(me(), exchange(client, listener.accept()?.0)?))
}

fn syn_cookies(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    fs::write("/proc/sys/net/ipv4/tcp_syncookies", "2")?;
    let (listener, client, ends) = connected(LOCALHOST)?;
    Ok(ends.all(me(), exchange(client, listener.accept()?.0)?))
}

fn preforked(_: &Stage) -> anyhow::Result<Expect> {
    let (listener, mut client, ends) = connected(LOCALHOST)?;
    let child = sys::fork(|| {
        let (mut server, _) = listener.accept()?;
        server.write_all(&[b'y'; 500])?;
        Ok(0)
    })?;
    client.read_to_end(&mut Vec::new())?;
    let child = wait(child)?.with_code(0)?.pid;
    drop(client);
    Ok(one_connection()
        .event(ends.connect(me()))
        .event(ends.accept(child))
        .event(ends.client_closes(me(), (0, 500)))
        .event(ends.server_closes(child, (0, 500))))
}

#[cfg(not(target_arch = "x86_64"))]
fn by_socketcall(_: &Stage) -> anyhow::Result<Expect> {
    Err(Absent("int 0x80 is of x86").into())
}

#[cfg(target_arch = "x86_64")]
fn by_socketcall(_: &Stage) -> anyhow::Result<Expect> {
    let (listener, client, ends) = connected(LOCALHOST)?;
    let server = match sys::socketcall(5, [listener.as_raw_fd() as u32, 0, 0]) {
        Err(error) if error.raw_os_error() == Some(nix::libc::ENOSYS) => {
            return Err(Absent("this kernel runs no 32-bit programs").into());
        }
        made => TcpStream::from(made?),
    };
    Ok(ends.all(me(), exchange(client, server)?))
}

fn by_uring(_: &Stage) -> anyhow::Result<Expect> {
    let (listener, client, ends) = connected(LOCALHOST)?;
    let server = accept_by_uring(&listener)?;
    // Told when it is first read from.
    Ok(ends.all(me(), exchange(client, server)?))
}

fn by_uring_unread(stage: &Stage) -> anyhow::Result<Expect> {
    let (listener, mut client, ends) = connected(LOCALHOST)?;
    let mut server = accept_by_uring(&listener)?;
    server.write_all(&[b'y'; 500])?;
    drop(server);
    client.read_to_end(&mut Vec::new())?;
    drop(client);
    let why = "what io_uring accepted is told when it is first read from, and this never is";
    Ok(Expect::nothing()
        .event(ends.connect(me()))
        .event(ends.client_closes(me(), (0, 500)))
        .event_if(stage.has_hook("fexit/inet_accept"), ends.accept(me()), why)
        .event_if(stage.has_hook("fexit/inet_accept"), ends.server_closes(me(), (0, 500)), why))
}

fn nobody(_: &Stage) -> anyhow::Result<Expect> {
    let (listener, client, ends) = connected(LOCALHOST)?;
    drop(client);
    drop(listener);
    Ok(Expect::nothing().event(ends.connect(me())).event(ends.client_closes(me(), (0, 0))))
}

/// A connection that waits to be accepted.
fn connected(address: &str) -> anyhow::Result<(TcpListener, TcpStream, Ends)> {
    let listener = TcpListener::bind(address)?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let ends = Ends::of(&client)?;
    Ok((listener, client, ends))
}

fn accept_by_uring(listener: &TcpListener) -> anyhow::Result<TcpStream> {
    let nowhere = std::ptr::null_mut();
    let entry = opcode::Accept::new(types::Fd(listener.as_raw_fd()), nowhere, nowhere.cast()).build();
    Ok(TcpStream::from(sys::owned(sys::uring(&entry)?)))
}
