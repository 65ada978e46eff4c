//! A Parquet file: a row an event, a column a field.

use std::io::{BufRead, Write};
use std::sync::Arc;

use anyhow::Context as _;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use serde_json::Value;

use super::column::{self, Column};

/// Rows of a group, which readers take or skip as a whole, and which is in memory while it is made.
const ROWS_OF_GROUP: usize = 50_000;

/// Makes a file of events, one of our own JSON a line; `about` is kept in it, by name.
///
/// # Errors
/// When a line is no event of this version's, or nothing more can be read or written.
pub(super) fn write(
    mut events: impl BufRead,
    about: &[(&str, String)],
    to: impl Write + Send,
) -> anyhow::Result<u64> {
    let mut columns = column::all();
    let schema = columns.iter().map(Column::schema).collect::<Result<_, _>>()?;
    let schema = Type::group_type_builder("event").with_fields(schema).build()?;
    let about = about.iter().map(|(name, text)| KeyValue::new(format!("vedette.{name}"), text.clone()));
    let properties = WriterProperties::builder()
        .set_created_by(concat!("vedette ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_key_value_metadata(Some(about.collect()));
    let mut file = SerializedFileWriter::new(to, Arc::new(schema), Arc::new(properties.build()))?;
    let mut line = Vec::new();
    let (mut n_rows, mut n_in_group) = (0_u64, 0);
    loop {
        line.clear();
        let is_end = events.read_until(b'\n', &mut line)? == 0;
        if n_in_group == ROWS_OF_GROUP || (is_end && n_in_group > 0) {
            group(&mut file, &mut columns)?;
            n_in_group = 0;
        }
        if is_end {
            break;
        }
        let event: Value = serde_json::from_slice(&line).context("an event is not JSON")?;
        columns.iter_mut().try_for_each(|column| column.push(&event))?;
        n_rows += 1;
        n_in_group += 1;
    }
    file.close()?;
    Ok(n_rows)
}

fn group(file: &mut SerializedFileWriter<impl Write + Send>, columns: &mut [Column]) -> anyhow::Result<()> {
    let mut group = file.next_row_group()?;
    for column in columns {
        let mut place = group.next_column()?.context("the file has fewer columns than fields")?;
        column.write(&mut place)?;
        place.close()?;
    }
    group.close()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use bytes::Bytes;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::RowAccessor as _;

    use super::*;

    fn written(lines: &str) -> anyhow::Result<Vec<u8>> {
        let mut to = Vec::new();
        write(lines.as_bytes(), &[("query", "a".to_owned())], &mut to)?;
        Ok(to)
    }

    #[test]
    fn a_row_has_what_its_event_has_and_nothing_else() {
        let events = concat!(
            r#"{"@timestamp":"2026-01-31T12:00:00.000000001Z","process":{"pid":7,"args":["a","b"],"interactive":false,"exit_code":-1},"event":{"id":"x"}}"#,
            "\n{\"process\":{\"args\":[],\"capabilities\":[\"CAP_BPF\"]},\"new\":1}\n{}\n"
        );
        let file = SerializedFileReader::new(Bytes::from(written(events).unwrap())).unwrap();
        let told = file.metadata().file_metadata().key_value_metadata().unwrap();
        assert_eq!(told.first().map(|pair| pair.key.as_str()), Some("vedette.query"));
        let rows: Vec<_> = file.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        let at = |name: &str| {
            let first = rows.first().unwrap();
            first.get_column_iter().position(|(known, _)| known == name).unwrap()
        };
        let [first, second, third] = &rows[..] else { panic!("{} rows", rows.len()) };
        assert_eq!(first.get_string(at("event.id")).unwrap(), "x");
        assert_eq!(first.get_ulong(at("process.pid")).unwrap(), 7);
        assert_eq!(first.get_long(at("process.exit_code")).unwrap(), -1);
        assert!(!first.get_bool(at("process.interactive")).unwrap());
        let args = first.get_list(at("process.args")).unwrap();
        assert_eq!(format!("{args:?}"), r#"List { elements: [Str("a"), Str("b")] }"#);
        let time = first.get_column_iter().find(|(name, _)| *name == "@timestamp").unwrap().1.clone();
        assert!(format!("{time:?}").contains("1769860800000000001"), "{time:?}");
        assert_eq!(second.get_list(at("process.args")).unwrap().len(), 0);
        assert_eq!(second.get_list(at("process.capabilities")).unwrap().len(), 1);
        assert!(third.get_column_iter().all(|(_, value)| matches!(value, parquet::record::Field::Null)));
    }

    #[test]
    fn groups_hold_so_many_rows_and_none_is_lost_between_them() {
        let lines: String =
            (0..ROWS_OF_GROUP + 3).map(|n| format!("{{\"process\":{{\"pid\":{n}}}}}\n")).collect();
        let file = SerializedFileReader::new(Bytes::from(written(&lines).unwrap())).unwrap();
        let groups: Vec<i64> = file.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
        assert_eq!(groups, [ROWS_OF_GROUP as i64, 3]);
        let none = SerializedFileReader::new(Bytes::from(written("").unwrap())).unwrap();
        assert_eq!(none.metadata().file_metadata().num_rows(), 0);
    }

    #[test]
    fn what_is_of_another_type_is_named() {
        for (event, name) in [
            (r#"{"process":{"pid":"seven"}}"#, "process.pid"),
            (r#"{"process":{"args":[1]}}"#, "process.args"),
            (r#"{"@timestamp":"today"}"#, "@timestamp"),
        ] {
            let error = written(event).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
