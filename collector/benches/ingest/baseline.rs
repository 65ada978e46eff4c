//! What most would do: one row per event, with the indexes that our searches and trees have.

use std::net::IpAddr;

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;
use uuid::Uuid;
use wire::batch::{Batch, Sealed};
use wire::field::Field;
use wire::flat::{self, Outer};
use wire::id::HostId;
use wire::value::Value;

/// How many rows a commit has.
const COMMIT: usize = 10_000;
/// How many rows an INSERT has.
const INSERT: usize = 1_000;

/// A row: already encoded in both ways, as making them is not what is measured.
pub(crate) struct Row {
    binary: Vec<u8>,
    literals: String,
}

pub(crate) async fn create(pool: &PgPool) {
    for sql in [
        "create table event (time timestamptz not null, host uuid not null, epoch uuid not null, seq bigint not null,
             category text, action text, entity text, parent text, pid bigint, executable text, args text,
             user_id bigint, container text, path text, source_ip inet, source_port bigint, destination_ip inet,
             destination_port bigint, exit_code bigint)",
        "create index on event (host, time)",
        "create index on event (time)",
        "create index on event (executable)",
        "create index on event (destination_ip)",
        "create index on event (path)",
        "create index on event (entity)",
        "create index on event (parent)",
    ] {
        sqlx::query(sql).execute(pool).await.unwrap();
    }
}

pub(crate) async fn copy(pool: &PgPool, rows: &[Row]) -> super::cost::Span {
    let span = super::cost::Span::begin(pool).await;
    for rows in rows.chunks(COMMIT) {
        let mut conn = pool.acquire().await.unwrap();
        let mut copy = conn.copy_in_raw("copy event from stdin (format binary)").await.unwrap();
        let mut bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        rows.iter().for_each(|row| bytes.extend_from_slice(&row.binary));
        bytes.extend_from_slice(&(-1_i16).to_be_bytes());
        for chunk in bytes.chunks(1 << 20) {
            copy.send(chunk).await.unwrap();
        }
        assert_eq!(copy.finish().await.unwrap(), rows.len() as u64);
    }
    span.end(pool).await
}

pub(crate) async fn insert(pool: &PgPool, rows: &[Row]) -> super::cost::Span {
    let span = super::cost::Span::begin(pool).await;
    for rows in rows.chunks(COMMIT) {
        let mut tx = pool.begin().await.unwrap();
        for rows in rows.chunks(INSERT) {
            let values: Vec<&str> = rows.iter().map(|row| row.literals.as_str()).collect();
            let sql = format!("insert into event values {}", values.join(","));
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    span.end(pool).await
}

/// The events of these batches as rows.
pub(crate) fn rows(batches: &[(HostId, Sealed)]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (host, sealed) in batches {
        let batch = Batch::open(sealed).unwrap();
        let outer = Outer {
            host: *host,
            host_name: "a-host".into(),
            host_tags: vec![],
            received: super::support::wall_clock(),
        };
        for number in 0..batch.n_events() {
            let event = flat::flatten(&batch, &outer, number).unwrap().unwrap();
            let mut row = Writer::default();
            let text = |field| match event.row.get(field) {
                Some(Value::Keyword(b)) => Some(String::from_utf8_lossy(b).into_owned()),
                Some(Value::List(items)) => {
                    Some(items.iter().map(|b| String::from_utf8_lossy(b)).collect::<Vec<_>>().join(" "))
                }
                _ => None,
            };
            let int = |field| match event.row.get(field) {
                Some(Value::Uint(n)) => Some(*n as i64),
                Some(Value::Int(n)) => Some(*n),
                _ => None,
            };
            let ip = |field| match event.row.get(field) {
                Some(Value::Ip(ip)) => Some(*ip),
                _ => None,
            };
            let time = match event.row.get(Field::Timestamp) {
                Some(Value::Time(t)) => t.unix_ns() / 1_000,
                _ => 0,
            };
            row.time(time);
            row.uuid(host.uuid());
            row.uuid(batch.header().epoch.uuid());
            row.int(Some((batch.header().first_seq + u64::from(number)) as i64));
            row.text(text(Field::EventCategory));
            row.text(text(Field::EventAction));
            row.text(text(Field::ProcessEntityId));
            row.text(text(Field::ProcessParentEntityId));
            row.int(int(Field::ProcessPid));
            row.text(text(Field::ProcessExecutable));
            row.text(text(Field::ProcessArgs));
            row.int(int(Field::ProcessUserId));
            row.text(text(Field::ContainerId));
            row.text(text(Field::FilePath));
            row.ip(ip(Field::SourceIp));
            row.int(int(Field::SourcePort));
            row.ip(ip(Field::DestinationIp));
            row.int(int(Field::DestinationPort));
            row.int(int(Field::ProcessExitCode));
            rows.push(row.finish());
        }
    }
    rows
}

#[derive(Default)]
struct Writer {
    n: i16,
    binary: Vec<u8>,
    literals: Vec<String>,
}

impl Writer {
    fn field(&mut self, bytes: Option<&[u8]>, literal: String) {
        self.n += 1;
        match bytes {
            Some(bytes) => {
                self.binary.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
                self.binary.extend_from_slice(bytes);
                self.literals.push(literal);
            }
            None => {
                self.binary.extend_from_slice(&(-1_i32).to_be_bytes());
                self.literals.push("null".into());
            }
        }
    }

    fn time(&mut self, us: i64) {
        let literal = format!("to_timestamp({us} / 1000000.0)");
        self.field(Some(&(us - 946_684_800_000_000).to_be_bytes()), literal);
    }

    fn uuid(&mut self, id: Uuid) {
        self.field(Some(id.as_bytes()), format!("'{id}'"));
    }

    fn int(&mut self, n: Option<i64>) {
        let bytes = n.map(i64::to_be_bytes);
        self.field(bytes.as_ref().map(<[u8; 8]>::as_slice), n.unwrap_or_default().to_string());
    }

    fn text(&mut self, text: Option<String>) {
        let text = text.map(|t| t.replace('\0', ""));
        let literal = format!("'{}'", text.as_deref().unwrap_or_default().replace('\'', "''"));
        self.field(text.as_deref().map(str::as_bytes), literal);
    }

    fn ip(&mut self, ip: Option<IpAddr>) {
        let bytes = ip.map(|ip| match ip {
            IpAddr::V4(v4) => [&[2, 32, 0, 4][..], &v4.octets()].concat(),
            IpAddr::V6(v6) => [&[3, 128, 0, 16][..], &v6.octets()].concat(),
        });
        self.field(bytes.as_deref(), ip.map(|ip| format!("'{ip}'")).unwrap_or_default());
    }

    fn finish(self) -> Row {
        let binary = [&self.n.to_be_bytes()[..], &self.binary].concat();
        Row { binary, literals: format!("({})", self.literals.join(",")) }
    }
}
