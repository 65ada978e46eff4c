//! What is not TCP, or comes to nothing.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};

use anyhow::ensure;

use super::{LOCALHOST, Scenario, me};
use crate::expect::{Event, Expect};
use crate::stage::Stage;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "refused", about: "A connection is refused.", play: refused },
    Scenario {
        name: "UDP",
        about: "A process sends a datagram to another socket, which receives it.",
        play: datagram,
    },
    Scenario { name: "Unix socket", about: "A process connects to itself over a Unix socket.", play: unix },
];

fn refused(_: &Stage) -> anyhow::Result<Expect> {
    let nobody = TcpListener::bind(LOCALHOST)?.local_addr()?;
    ensure!(TcpStream::connect(nobody).is_err(), "somebody listens at {nobody}");
    let attempt = Event::new("connect").by(me()).with("destination.port", nobody.port());
    Ok(Expect::nothing().event(attempt.with("event.outcome", "failure").with("error.code", "ECONNREFUSED")))
}

fn datagram(_: &Stage) -> anyhow::Result<Expect> {
    let (from, to) = (UdpSocket::bind(LOCALHOST)?, UdpSocket::bind(LOCALHOST)?);
    from.send_to(b"hello", to.local_addr()?)?;
    ensure!(to.recv(&mut [0; 10])? == 5, "another datagram came");
    let sent = Event::new("send").by(me()).with("destination.port", to.local_addr()?.port());
    Ok(Expect::nothing().unseen(sent, "only TCP is told"))
}

fn unix(stage: &Stage) -> anyhow::Result<Expect> {
    let listener = UnixListener::bind(stage.folder().join("socket"))?;
    let mut client = UnixStream::connect(stage.folder().join("socket"))?;
    let (mut server, _) = listener.accept()?;
    client.write_all(b"hello")?;
    server.read_exact(&mut [0; 5])?;
    Ok(Expect::nothing().unseen(Event::new("connect").by(me()), "only TCP is told"))
}
