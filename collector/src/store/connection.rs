//! `connection`: one narrow row per half of a TCP connection, or of a flow of UDP datagrams, insert only.

use std::net::IpAddr;

use sqlx::postgres::PgConnection;
use wire::id::{EntityId, HostId};

use super::address::Address;
use super::copy::{Buckets, Rows};
use super::statements::{Statement, insert};
use super::{Stamp, StoreError};

/// Which half of a connection a host saw.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(i16)]
pub enum Side {
    /// The process connected, or sent first.
    Connect = 0,
    /// The process accepted.
    Accept = 1,
    /// The process reads from what another one accepted.
    Serve = 2,
}

/// One half of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionRow {
    /// The host that saw it.
    pub host: HostId,
    /// The receipt of the batch that holds the event.
    pub received: Stamp,
    /// When, corrected.
    pub established: Stamp,
    /// Which half.
    pub side: Side,
    /// The process.
    pub entity: EntityId,
    /// Its image then.
    pub image: u32,
    /// The side that connected.
    pub source: (IpAddr, u16),
    /// The side that was connected to.
    pub destination: (IpAddr, u16),
    /// TCP: the initial sequence number of the side that connected.
    pub source_isn: Option<u32>,
    /// TCP: the initial sequence number of the side that accepted.
    pub destination_isn: Option<u32>,
}

pub(super) const STATEMENTS: &[Statement] = &[COPY];

const COPY: Statement = insert(
    "connection.copy",
    "copy connection (received, established, entity, source_isn, destination_isn, image, source_port,
        destination_port, bucket, side, host, source_ip, destination_ip) from stdin (format binary)",
);

/// Adds these rows.
///
/// # Errors
/// When the database fails.
pub async fn add(
    conn: &mut PgConnection,
    connections: impl Iterator<Item = ConnectionRow>,
) -> Result<u64, StoreError> {
    let (mut rows, mut buckets) = (Rows::new(), Buckets::default());
    for c in connections {
        rows.row(13)
            .stamp(c.received)
            .stamp(c.established)
            .i64(c.entity.number().cast_signed())
            .optional_i64(c.source_isn.map(i64::from))
            .optional_i64(c.destination_isn.map(i64::from))
            .i32(c.image.cast_signed())
            .i32(i32::from(c.source.1))
            .i32(i32::from(c.destination.1))
            .i16(buckets.of(c.host))
            .i16(c.side as i16)
            .uuid(c.host.uuid())
            .address(Address(c.source.0))
            .address(Address(c.destination.0));
    }
    rows.copy(conn, COPY).await
}
