//! Rows on their way into a table by `copy … from stdin (format binary)`.
//!
//! PostgreSQL 15, "COPY: Binary Format": a signature, flags, and for each row the number of fields and each
//! field as its length and its bytes in network order.

use sqlx::postgres::PgConnection;
use uuid::Uuid;
use wire::id::HostId;

use super::address::Address;
use super::statements::Statement;
use super::{Stamp, StoreError};

/// What is sent at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Rows as PostgreSQL reads them.
#[derive(Debug)]
pub(super) struct Rows {
    bytes: Vec<u8>,
    n: u64,
}

impl Rows {
    pub(super) fn new() -> Self {
        let mut bytes = Vec::with_capacity(4096);
        bytes.extend_from_slice(b"PGCOPY\n\xff\r\n\0");
        bytes.extend_from_slice(&[0; 8]);
        Self { bytes, n: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Begins a row of so many fields; they follow in the order of the statement's columns.
    pub(super) fn row(&mut self, n_fields: i16) -> &mut Self {
        self.n += 1;
        self.bytes.extend_from_slice(&n_fields.to_be_bytes());
        self
    }

    pub(super) fn i16(&mut self, n: i16) -> &mut Self {
        self.field(&n.to_be_bytes())
    }

    pub(super) fn i32(&mut self, n: i32) -> &mut Self {
        self.field(&n.to_be_bytes())
    }

    pub(super) fn i64(&mut self, n: i64) -> &mut Self {
        self.field(&n.to_be_bytes())
    }

    pub(super) fn optional_i32(&mut self, n: Option<i32>) -> &mut Self {
        match n {
            Some(n) => self.i32(n),
            None => self.null(),
        }
    }

    pub(super) fn optional_i64(&mut self, n: Option<i64>) -> &mut Self {
        match n {
            Some(n) => self.i64(n),
            None => self.null(),
        }
    }

    fn null(&mut self) -> &mut Self {
        self.bytes.extend_from_slice(&(-1_i32).to_be_bytes());
        self
    }

    pub(super) fn bool(&mut self, b: bool) -> &mut Self {
        self.field(&[u8::from(b)])
    }

    pub(super) fn uuid(&mut self, id: Uuid) -> &mut Self {
        self.field(id.as_bytes())
    }

    pub(super) fn stamp(&mut self, t: Stamp) -> &mut Self {
        self.i64(t.pg())
    }

    pub(super) fn address(&mut self, address: Address) -> &mut Self {
        let mut bytes = Vec::with_capacity(20);
        address.write(&mut bytes);
        self.field(&bytes)
    }

    /// A `bytea` that is made of several pieces.
    pub(super) fn pieces<'a>(&mut self, pieces: impl Iterator<Item = &'a [u8]> + Clone) -> &mut Self {
        let len: usize = pieces.clone().map(<[u8]>::len).sum();
        self.bytes.reserve(len + 4);
        self.bytes.extend_from_slice(&(len as i32).to_be_bytes());
        for piece in pieces {
            self.bytes.extend_from_slice(piece);
        }
        self
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.field(bytes)
    }

    /// A `bigint[]`: one dimension from 1, no nulls, elements of type 20.
    pub(super) fn i64_array(&mut self, items: &[i64]) -> &mut Self {
        const INT8_OID: i32 = 20;
        let dimensions = i32::from(!items.is_empty());
        let len = 12 + 8 * dimensions as usize + 12 * items.len();
        self.bytes.reserve(len + 4);
        self.bytes.extend_from_slice(&(len as i32).to_be_bytes());
        for n in [dimensions, 0, INT8_OID] {
            self.bytes.extend_from_slice(&n.to_be_bytes());
        }
        if dimensions == 1 {
            self.bytes.extend_from_slice(&(items.len() as i32).to_be_bytes());
            self.bytes.extend_from_slice(&1_i32.to_be_bytes());
        }
        for item in items {
            self.field(&item.to_be_bytes());
        }
        self
    }

    fn field(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Sends the rows. Without any, nothing is asked of the server.
    pub(super) async fn copy(
        mut self,
        conn: &mut PgConnection,
        statement: Statement,
    ) -> Result<u64, StoreError> {
        if self.is_empty() {
            return Ok(0);
        }
        self.bytes.extend_from_slice(&(-1_i16).to_be_bytes());
        let mut copy = conn.copy_in_raw(statement.sql).await?;
        for chunk in self.bytes.chunks(CHUNK_BYTES) {
            if let Err(e) = copy.send(chunk).await {
                // The connection is of no use now; what is said about the abort adds nothing.
                let _ = copy.abort("could not send").await;
                return Err(e.into());
            }
        }
        Ok(copy.finish().await?)
    }
}

/// Buckets of the hosts of rows: a host's rows stand side by side, and its bucket is a hash.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    last: Option<(HostId, i16)>,
}

impl Buckets {
    pub(super) fn of(&mut self, host: HostId) -> i16 {
        match self.last {
            Some((of, bucket)) if of == host => bucket,
            _ => {
                let bucket = host.bucket();
                self.last = Some((host, bucket));
                bucket
            }
        }
    }
}
