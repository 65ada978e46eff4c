//! CloudEvents 1.0 in binary mode, as its Kafka binding has it: what a message's headers say of its value.
//!
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md>

use super::ExportRecord;

/// The headers of a record that comes from `source`, a reference to a URI, to which the host is added.
pub fn headers(record: &ExportRecord, source: &str) -> [(&'static str, String); 6] {
    [
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", record.id.clone()),
        ("ce_source", format!("{}/hosts/{}", source.trim_end_matches('/'), record.key)),
        ("ce_type", record.class.clone().into_owned()),
        ("ce_time", record.time.to_string()),
        ("content-type", "application/json".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use wire::id::HostId;
    use wire::time::WallTime;

    use super::*;
    use crate::record::Group;

    #[test]
    fn headers_say_what_the_value_is() {
        let record = ExportRecord {
            id: "a.b.critical.7".to_owned(),
            group: Group::Process,
            key: HostId::new(Uuid::nil()),
            time: WallTime::from_unix_ns(1_700_000_000_000_000_000),
            class: "vedette.process.exec".into(),
            value: b"{}".to_vec(),
        };
        let headers = headers(&record, "/vedette/");
        assert_eq!(
            headers.each_ref().map(|(name, value)| (*name, value.as_str())),
            [
                ("ce_specversion", "1.0"),
                ("ce_id", "a.b.critical.7"),
                ("ce_source", "/vedette/hosts/00000000-0000-0000-0000-000000000000"),
                ("ce_type", "vedette.process.exec"),
                ("ce_time", "2023-11-14T22:13:20Z"),
                ("content-type", "application/json"),
            ]
        );
    }
}
