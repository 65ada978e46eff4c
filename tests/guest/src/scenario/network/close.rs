//! How connections end.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt};

use super::{Ends, LOCALHOST, Scenario, me, one_connection, pair};
use crate::expect::Expect;
use crate::stage::{Stage, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "reset", about: "One side ends a connection with a reset.", play: reset },
    Scenario {
        name: "process ends",
        about: "A process connects and ends without closing; the end is told as its own.",
        play: with_process,
    },
    Scenario {
        name: "closed twice",
        about: "Two processes have a connection open, and each closes it: one end.",
        play: twice,
    },
];

fn reset(_: &Stage) -> anyhow::Result<Expect> {
    let (mut client, server, ends) = pair(LOCALHOST)?;
    client.write_all(&[b'x'; 100])?;
    setsockopt(&client, sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 })?;
    drop(client);
    drop(server);
    Ok(ends.all(me(), (100, 0)))
}

fn with_process(_: &Stage) -> anyhow::Result<Expect> {
    let listener = TcpListener::bind(LOCALHOST)?;
    let to = listener.local_addr()?;
    let (mut reads, writes) = std::io::pipe()?;
    let child = sys::fork(|| {
        let client = TcpStream::connect(to)?;
        (&writes).write_all(&client.local_addr()?.port().to_le_bytes())?;
        std::mem::forget(client);
        Ok(0)
    })?;
    let mut port = [0; 2];
    reads.read_exact(&mut port)?;
    let child = wait(child)?.with_code(0)?.pid;
    drop(listener.accept()?);
    let source = (to.ip(), u16::from_le_bytes(port)).into();
    let ends = Ends { source, destination: to };
    Ok(one_connection()
        .event(ends.connect(child))
        .event(ends.accept(me()))
        .event(ends.client_closes(child, (0, 0)))
        .event(ends.server_closes(me(), (0, 0))))
}

fn twice(_: &Stage) -> anyhow::Result<Expect> {
    let (client, server, ends) = pair(LOCALHOST)?;
    let child = sys::fork(|| Ok(0))?;
    drop(client);
    drop(server);
    wait(child)?.with_code(0)?;
    Ok(ends.all(me(), (0, 0)))
}
