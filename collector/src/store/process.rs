//! `process`: one narrow row per process image, insert only; read by process and by parent.

use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};
use wire::id::{EntityId, HostId};

use super::copy::{Buckets, Rows};
use super::statements::{Statement, fan_out, insert, routed};
use super::{Stamp, StoreError};

/// A process image named for the first time in its stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessRow {
    /// The host.
    pub host: HostId,
    /// The receipt of the batch that holds it, with its arguments.
    pub received: Stamp,
    /// When the process started, corrected.
    pub started: Stamp,
    /// Which process.
    pub entity: EntityId,
    /// Which of its images.
    pub image: u32,
    /// Its parent at the fork, and the image that had then.
    pub parent: Option<(EntityId, u32)>,
    /// The hash of its executable's path ([`super::executables::hash`]).
    pub executable: i64,
    /// The hash of its container's id.
    pub container: Option<i64>,
    /// The process id.
    pub pid: u32,
    /// The effective user id.
    pub user_id: Option<u64>,
}

pub(super) const STATEMENTS: &[Statement] = &[COPY, ANYWHERE, OF_HOST, CHILDREN, BY_PID];

const COPY: Statement = insert(
    "process.copy",
    "copy process (received, started, entity, parent, executable, container, user_id, image, parent_image, pid,
        bucket, host) from stdin (format binary)",
);

const ANYWHERE: Statement = fan_out(
    "process.anywhere",
    "select host, received, started, entity, parent, executable, container, user_id, image, parent_image, pid
       from process where entity = any($1) order by received desc limit $2",
);

const OF_HOST: Statement = routed(
    "process.of_host",
    "select host, received, started, entity, parent, executable, container, user_id, image, parent_image, pid
       from process where bucket = $1 and host = $2 and entity = any($3) order by received desc limit $4",
);

const CHILDREN: Statement = routed(
    "process.children",
    "select host, received, started, entity, parent, executable, container, user_id, image, parent_image, pid
       from process where bucket = $1 and host = $2 and parent = any($3) order by received desc limit $4",
);

// The index leads to the pages on which the id may be, a few in a hundred of them wrongly.
const BY_PID: Statement = routed(
    "process.by_pid",
    "select host, received, started, entity, parent, executable, container, user_id, image, parent_image, pid
       from process where bucket = $1 and host = $2 and pid = $3 and received >= $4 and received <= $5
      order by started desc, received desc limit 1",
);

/// The rows of these processes on any host, the latest received first, at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn anywhere(
    conn: &mut PgConnection,
    entities: &[EntityId],
    limit: u32,
) -> Result<Vec<ProcessRow>, StoreError> {
    let rows =
        sqlx::query(ANYWHERE.sql).bind(numbers(entities)).bind(i64::from(limit)).fetch_all(conn).await?;
    rows.iter().map(process_row).collect()
}

/// The rows of a host's processes, the latest received first, at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn of_host(
    conn: &mut PgConnection,
    host: HostId,
    entities: &[EntityId],
    limit: u32,
) -> Result<Vec<ProcessRow>, StoreError> {
    let rows = sqlx::query(OF_HOST.sql)
        .bind(host.bucket())
        .bind(host.uuid())
        .bind(numbers(entities))
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await?;
    rows.iter().map(process_row).collect()
}

/// The rows of the children of a host's processes, the latest received first, at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn children(
    conn: &mut PgConnection,
    host: HostId,
    parents: &[EntityId],
    limit: u32,
) -> Result<Vec<ProcessRow>, StoreError> {
    let rows = sqlx::query(CHILDREN.sql)
        .bind(host.bucket())
        .bind(host.uuid())
        .bind(numbers(parents))
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await?;
    rows.iter().map(process_row).collect()
}

/// The last started of a host's processes with this id that was told of in `since..=until`.
///
/// # Errors
/// When the database fails.
pub async fn by_pid(
    conn: &mut PgConnection,
    host: HostId,
    pid: u32,
    since: Stamp,
    until: Stamp,
) -> Result<Option<ProcessRow>, StoreError> {
    let row = sqlx::query(BY_PID.sql)
        .bind(host.bucket())
        .bind(host.uuid())
        .bind(pid.cast_signed())
        .bind(since)
        .bind(until)
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(process_row).transpose()
}

fn numbers(entities: &[EntityId]) -> Vec<i64> {
    entities.iter().map(|entity| entity.number().cast_signed()).collect()
}

fn process_row(row: &PgRow) -> Result<ProcessRow, StoreError> {
    let entity = |n: i64| EntityId::new(n.cast_unsigned());
    let parent: Option<i64> = row.try_get("parent")?;
    let parent_image: i32 = row.try_get("parent_image")?;
    Ok(ProcessRow {
        host: HostId::new(row.try_get("host")?),
        received: row.try_get("received")?,
        started: row.try_get("started")?,
        entity: entity(row.try_get("entity")?),
        image: row.try_get::<i32, _>("image")?.cast_unsigned(),
        parent: parent.map(|parent| (entity(parent), parent_image.cast_unsigned())),
        executable: row.try_get("executable")?,
        container: row.try_get("container")?,
        pid: row.try_get::<i32, _>("pid")?.cast_unsigned(),
        user_id: row.try_get::<Option<i64>, _>("user_id")?.map(i64::cast_unsigned),
    })
}

/// Adds these rows.
///
/// # Errors
/// When the database fails.
pub async fn add(
    conn: &mut PgConnection,
    processes: impl Iterator<Item = ProcessRow>,
) -> Result<u64, StoreError> {
    let (mut rows, mut buckets) = (Rows::new(), Buckets::default());
    for p in processes {
        rows.row(12)
            .stamp(p.received)
            .stamp(p.started)
            .i64(p.entity.number().cast_signed())
            .optional_i64(p.parent.map(|(entity, _)| entity.number().cast_signed()))
            .i64(p.executable)
            .optional_i64(p.container)
            .optional_i64(p.user_id.map(u64::cast_signed))
            .i32(p.image.cast_signed())
            .i32(p.parent.map_or(0, |(_, image)| image.cast_signed()))
            .i32(p.pid.cast_signed())
            .i16(buckets.of(p.host))
            .uuid(p.host.uuid());
    }
    rows.copy(conn, COPY).await
}
