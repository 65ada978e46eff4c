//! Who serves a connection that another process accepted: who reads from it first.

use std::io::{IoSlice, IoSliceMut, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::net::UnixStream;

use anyhow::ensure;
use io_uring::{opcode, types};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recv, recvmsg, sendmsg};
use nix::unistd::{getppid, pipe};

use super::{Ends, LOCALHOST, Scenario, me, one_connection, pair};
use crate::expect::{Expect, Want};
use crate::stage::{Stage, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "child reads",
        about: "A process accepts, and a child of it reads, as sshd's do.",
        play: child,
    },
    Scenario {
        name: "passed on",
        about: "A process accepts and passes the descriptor over a Unix socket (SCM_RIGHTS) to another one, which reads.",
        play: passed,
    },
    Scenario {
        name: "taken",
        about: "A process takes the descriptor from the one that accepted (pidfd_getfd) and reads.",
        play: taken,
    },
    Scenario { name: "io_uring read", about: "A child reads through io_uring.", play: by_uring },
    Scenario {
        name: "splice",
        about: "A child moves what came into a pipe, without reading.",
        play: by_splice,
    },
    Scenario {
        name: "peek",
        about: "A child only looks (MSG_PEEK), which for the kernel is a read.",
        play: peeked,
    },
    Scenario {
        name: "served without a read",
        about: "A child writes to the connection and never reads.",
        play: unread,
    },
];

fn child(stage: &Stage) -> anyhow::Result<Expect> {
    served(stage, |mut server| Ok(server.read_exact(&mut [0; 100])?))
}

fn by_uring(stage: &Stage) -> anyhow::Result<Expect> {
    served(stage, |server| {
        let mut buffer = [0; 100];
        let entry = opcode::Recv::new(types::Fd(server.as_raw_fd()), buffer.as_mut_ptr(), 100).build();
        ensure!(sys::uring(&entry)? == 100, "less came");
        Ok(())
    })
}

fn by_splice(stage: &Stage) -> anyhow::Result<Expect> {
    served(stage, |server| {
        let (_reads, writes) = pipe()?;
        ensure!(sys::splice(server.as_fd(), writes.as_fd(), 100)? == 100, "less came");
        Ok(())
    })
}

/// A child does this with a connection that its parent accepted and that 100 bytes came through: it serves it.
fn served(stage: &Stage, read: impl FnOnce(&TcpStream) -> anyhow::Result<()>) -> anyhow::Result<Expect> {
    let (mut client, server, ends) = pair(LOCALHOST)?;
    client.write_all(&[b'x'; 100])?;
    let child = wait(sys::fork(|| read(&server).map(|()| 0))?)?.with_code(0)?.pid;
    drop(client);
    drop(server);
    Ok(of_server(stage, ends, child))
}

/// Another process than the one that accepted has served it; its end is that one's.
fn of_server(stage: &Stage, ends: Ends, server: u32) -> Expect {
    let told = ends.serve(server).want("network.accepted_by.entity_id", Want::Any);
    let sees = stage.has_hook("tp_btf/tcp_rcv_space_adjust");
    one_connection()
        .event(ends.connect(me()))
        .event(ends.accept(me()))
        .event_if(sees, told, "no hook sees who reads")
        .event(ends.client_closes(me(), (100, 0)))
        .event(ends.server_closes(if sees { server } else { me() }, (100, 0)))
}

fn passed(stage: &Stage) -> anyhow::Result<Expect> {
    let (ours, theirs) = UnixStream::pair()?;
    // Born before the connection, so that it has it only from the message.
    let child = sys::fork(|| {
        let mut stream = receive(&theirs)?;
        stream.read_exact(&mut [0; 100])?;
        Ok(0)
    })?;
    let (mut client, server, ends) = pair(LOCALHOST)?;
    client.write_all(&[b'x'; 100])?;
    let fds = [server.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&fds)];
    sendmsg::<()>(ours.as_raw_fd(), &[IoSlice::new(b"!")], &message, MsgFlags::empty(), None)?;
    let child = wait(child)?.with_code(0)?.pid;
    drop(client);
    drop(server);
    Ok(of_server(stage, ends, child))
}

pub(super) fn receive(socket: &UnixStream) -> anyhow::Result<TcpStream> {
    let mut byte = [0];
    let mut space = nix::cmsg_space!([i32; 1]);
    let mut parts = [IoSliceMut::new(&mut byte)];
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())?;
    let fds = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
        _ => None,
    });
    Ok(TcpStream::from(sys::owned(anyhow::Context::context(fds, "no descriptor came")?)))
}

fn taken(stage: &Stage) -> anyhow::Result<Expect> {
    let (mut go, gone) = UnixStream::pair()?;
    let child = sys::fork(|| {
        let mut fd = [0; 4];
        (&gone).read_exact(&mut fd)?;
        let taken = sys::take_descriptor(getppid().as_raw() as u32, i32::from_le_bytes(fd))?;
        TcpStream::from(taken).read_exact(&mut [0; 100])?;
        Ok(0)
    })?;
    let (mut client, server, ends) = pair(LOCALHOST)?;
    client.write_all(&[b'x'; 100])?;
    go.write_all(&server.as_raw_fd().to_le_bytes())?;
    let child = wait(child)?.with_code(0)?.pid;
    drop(client);
    drop(server);
    Ok(of_server(stage, ends, child))
}

fn peeked(stage: &Stage) -> anyhow::Result<Expect> {
    served(stage, |server| {
        ensure!(recv(server.as_raw_fd(), &mut [0; 100], MsgFlags::MSG_PEEK)? == 100, "less came");
        Ok(())
    })
}

fn unread(_: &Stage) -> anyhow::Result<Expect> {
    let (mut client, server, ends) = pair(LOCALHOST)?;
    let child = wait(sys::fork(|| {
        (&server).write_all(&[b'y'; 100])?;
        Ok(0)
    })?)?
    .with_code(0)?
    .pid;
    client.read_exact(&mut [0; 100])?;
    drop(client);
    drop(server);
    let why = "who reads from a connection is told to serve it, and this process never does";
    Ok(ends.all(me(), (0, 100)).unseen(ends.serve(child), why))
}
