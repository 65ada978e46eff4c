//! What is not of IP.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};

use super::{Scenario, me};
use crate::expect::{Event, Expect};
use crate::stage::Stage;

pub(crate) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "Unix socket",
    about: "A process connects to itself over a Unix socket.",
    play: unix,
}];

fn unix(stage: &Stage) -> anyhow::Result<Expect> {
    let listener = UnixListener::bind(stage.folder().join("socket"))?;
    let mut client = UnixStream::connect(stage.folder().join("socket"))?;
    let (mut server, _) = listener.accept()?;
    client.write_all(b"hello")?;
    server.read_exact(&mut [0; 5])?;
    Ok(Expect::nothing().unseen(Event::new("connect").by(me()), "only connections over IP are told"))
}
