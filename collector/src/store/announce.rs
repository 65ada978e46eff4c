//! What collectors tell each other through the database: which segments were stored, and that tails are served.
//!
//! `notify` in the transaction that stores them, so that it is told when they are there, and only then. It goes to whoever
//! listens on the same server; on a store of many servers, through the one that all collectors talk to first.

use sqlx::PgExecutor;
use sqlx::postgres::{PgConnection, PgListener, PgNotification};
use uuid::Uuid;
use wire::id::HostId;

use super::candidates::{Place, SegmentKey};
use super::statements::{Statement, maintenance};
use super::{Pool, Stamp, StoreError};

const STORED: &str = "vedette_stored";
const TAILS: &str = "vedette_tails";
/// Segments named in one message: PostgreSQL takes fewer than 8,000 bytes.
const KEYS_A_MESSAGE: usize = 48;

/// What another collector told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It has stored these segments.
    Stored(Vec<SegmentKey>),
    /// It serves a tail.
    Tails,
    /// What was told meanwhile was missed: the connection was lost, and is there again.
    Missed,
}

pub(super) const STATEMENTS: &[Statement] = &[NOTIFY];

const NOTIFY: Statement = maintenance("announce.notify", "select pg_notify($1, $2)");

/// Tells the others, once this transaction commits, that `run` has stored these.
///
/// # Errors
/// When the database fails.
pub async fn stored(conn: &mut PgConnection, run: Uuid, keys: &[SegmentKey]) -> Result<(), StoreError> {
    for keys in keys.chunks(KEYS_A_MESSAGE) {
        let text: String =
            std::iter::once(run.to_string()).chain(keys.iter().map(written)).collect::<Vec<_>>().join("\n");
        sqlx::query(NOTIFY.sql).bind(STORED).bind(text).execute(&mut *conn).await?;
    }
    Ok(())
}

/// Tells the others that `run` serves a tail.
///
/// # Errors
/// When the database fails.
pub async fn tails(db: impl PgExecutor<'_>, run: Uuid) -> Result<(), StoreError> {
    sqlx::query(NOTIFY.sql).bind(TAILS).bind(run.to_string()).execute(db).await?;
    Ok(())
}

/// Hears what other collectors tell.
#[derive(Debug)]
pub struct Listener {
    listener: PgListener,
    run: Uuid,
}

impl Listener {
    /// Listens over a connection of its own.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open(pool: &Pool, run: Uuid) -> Result<Self, StoreError> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen_all([STORED, TAILS]).await?;
        Ok(Self { listener, run })
    }

    /// The next thing that another collector tells.
    ///
    /// # Errors
    /// When the connection is lost and cannot be had again.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn next(&mut self) -> Result<Told, StoreError> {
        loop {
            let Some(notification) = self.listener.try_recv().await? else { return Ok(Told::Missed) };
            if let Some(told) = self.read(&notification) {
                return Ok(told);
            }
        }
    }

    fn read(&self, notification: &PgNotification) -> Option<Told> {
        let mut lines = notification.payload().lines();
        let run: Uuid = lines.next()?.parse().ok()?;
        if run == self.run {
            return None;
        }
        match notification.channel() {
            TAILS => Some(Told::Tails),
            _ => Some(Told::Stored(lines.filter_map(read).collect())),
        }
    }
}

fn written(key: &SegmentKey) -> String {
    let SegmentKey { place, bucket, id, received, latest } = key;
    let host = match place {
        Place::Fresh => String::new(),
        Place::Merged(host) => host.to_string(),
    };
    format!("{bucket} {id} {} {} {host}", received.unix_us(), latest.unix_us())
}

fn read(line: &str) -> Option<SegmentKey> {
    let mut parts = line.split(' ');
    let (bucket, id) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let mut stamp = || Some(Stamp::from_unix_us(parts.next()?.parse().ok()?));
    let (received, latest) = (stamp()?, stamp()?);
    let place = match parts.next()? {
        "" => Place::Fresh,
        host => Place::Merged(host.parse::<HostId>().ok()?),
    };
    Some(SegmentKey { place, bucket, id, received, latest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_and_fit_into_a_message() {
        let (received, latest) = (Stamp::from_unix_us(i64::MAX), Stamp::from_unix_us(i64::MIN));
        for place in [Place::Fresh, Place::Merged(HostId::new(Uuid::max()))] {
            let key = SegmentKey { place, bucket: 63, id: Uuid::max(), received, latest };
            let text = written(&key);
            assert_eq!(read(&text), Some(key));
            assert!((text.len() + 1) * KEYS_A_MESSAGE + 37 < 8000, "{}", text.len());
        }
        for damaged in ["", "1", "1 x 2 3 ", "1 00000000-0000-0000-0000-000000000000 2"] {
            assert_eq!(read(damaged), None, "{damaged}");
        }
    }
}
