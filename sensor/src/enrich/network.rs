//! Connections, flows and sockets.

use std::net::SocketAddr;

use bytes::Bytes;
use wire::event::{Kind, Row};
use wire::field::Field;

use super::{Origin, set_error};
use crate::record::{Close, Connection, Made, Role, Socket, Transport};

/// What was done to a connection, or to a flow.
pub(super) fn connected(connection: &Connection, origin: Origin) -> (Kind, Row) {
    if let Some(error) = connection.failed {
        return not_connected(&connection.socket, error);
    }
    let kind = match connection.role {
        Role::Listen => return (Kind::LISTEN, at(&connection.socket)),
        Role::Bind => return (Kind::BIND, at(&connection.socket)),
        Role::Connect => Kind::CONNECT,
        Role::Accept => Kind::ACCEPT,
        Role::Serve => Kind::SERVE,
        Role::Send => Kind::SEND,
    };
    let socket = &connection.socket;
    let mut row = ends(socket, connection.role, connection.many);
    if socket.transport == Transport::Tcp {
        row.set(Field::NetworkSourceIsn, u64::from(socket.source_isn));
        row.set(Field::NetworkDestinationIsn, u64::from(socket.destination_isn));
    }
    if let Some(task) = connection.accepted_by {
        let entity = task.key.entity(origin.host, origin.boot).to_string();
        row.set(Field::NetworkAcceptEntityId, Bytes::from(entity));
    }
    (kind, row)
}

/// The end of a connection, or of a flow.
pub(super) fn closed(close: &Close) -> Row {
    let direction = if opens(close.role) { "outbound" } else { "inbound" };
    ends(&close.socket, close.role, close.many)
        .with(Field::NetworkDirection, direction)
        .with(Field::NetworkBytes, close.source_bytes.saturating_add(close.destination_bytes))
        .with(Field::NetworkPackets, close.source_packets.saturating_add(close.destination_packets))
        .with(Field::SourceBytes, close.source_bytes)
        .with(Field::DestinationBytes, close.destination_bytes)
        .with(Field::SourcePackets, close.source_packets)
        .with(Field::DestinationPackets, close.destination_packets)
}

/// The making of a socket.
pub(super) fn made(made: &Made) -> Row {
    let mut row = Row::default()
        .with(Field::NetworkTransport, made.transport.name())
        .with(Field::NetworkProtocolNumber, u64::from(made.protocol));
    if made.cookie != 0 {
        row.set(Field::NetworkSocketCookie, made.cookie);
    }
    row
}

fn not_connected(socket: &Socket, error: u32) -> (Kind, Row) {
    let mut row = ends(socket, Role::Connect, false)
        .with(Field::NetworkDirection, "outbound")
        .with(Field::EventOutcome, "failure");
    set_error(&mut row, error);
    (Kind::CONNECT_FAILED, row)
}

/// Whether the process with this role is the source.
fn opens(role: Role) -> bool {
    matches!(role, Role::Connect | Role::Send)
}

/// Where a socket can be reached.
fn at(socket: &Socket) -> Row {
    let mut row = of_socket(socket);
    set_destination(&mut row, socket.destination);
    row
}

fn ends(socket: &Socket, role: Role, many: bool) -> Row {
    let mut row = of_socket(socket);
    if !many || opens(role) {
        set_source(&mut row, socket.source);
    }
    if !many || !opens(role) {
        set_destination(&mut row, socket.destination);
    }
    if many {
        row.set(Field::NetworkManyPeers, true);
    }
    row
}

fn of_socket(socket: &Socket) -> Row {
    Row::default()
        .with(Field::NetworkTransport, socket.transport.name())
        .with(Field::NetworkSocketCookie, socket.cookie)
}

fn set_source(row: &mut Row, source: SocketAddr) {
    row.set(Field::SourceIp, source.ip());
    row.set(Field::SourcePort, u64::from(source.port()));
}

fn set_destination(row: &mut Row, destination: SocketAddr) {
    row.set(Field::DestinationIp, destination.ip());
    row.set(Field::DestinationPort, u64::from(destination.port()));
}
