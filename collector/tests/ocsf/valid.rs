//! Every event makes a valid record: of every kind, whatever it lacks, and whatever a host makes up.

use bytes::Bytes;
use serde_json::json;
use uuid::Uuid;
use vedette_collector::record::{self, Finding, Format};
use wire::batch::{Batch, Builder};
use wire::event::{Kind, Row};
use wire::field::Field;
use wire::sample::{Host, Mix};
use wire::time::WallTime;
use wire::value::Value;

use crate::schema::check;
use crate::world::{event, facts, json, list, of_one, only, outer, process, records, row, seal};
use crate::{arbitrary, examples};

#[test]
fn every_kind_has_an_example_and_is_valid() {
    let batch = examples::batch();
    let kinds: Vec<Kind> = batch.groups().map(|group| group.kind()).collect();
    let missing: Vec<Kind> =
        Kind::known().map(|info| info.kind).filter(|kind| !kind.is_call() && !kinds.contains(kind)).collect();
    assert_eq!(missing, [], "kinds without an example in tests/ocsf/examples.rs");
    for record in records(Format::Ocsf, &batch) {
        check(&json(&record));
    }
}

#[test]
fn every_kind_is_valid_when_nothing_is_known() {
    for info in Kind::known() {
        let mut builder = Builder::new();
        builder.push(&event(info.kind, Row::default()), None);
        let subject = builder.subject(&process(5, 77, None, Row::default()));
        builder.push(&event(info.kind, Row::default()), Some(subject));
        for record in records(Format::Ocsf, &seal(&mut builder)) {
            check(&json(&record));
        }
    }
}

#[test]
fn the_events_of_made_up_hosts_are_valid() {
    for (seed, mix) in [(1, Mix::BENCHMARK), (2, Mix::PROCESSES)] {
        let mut host = Host::new(seed, mix);
        for _ in 0..3 {
            let batch = Batch::validate(&host.batch(&mut Builder::new(), 200)).unwrap();
            for record in records(Format::Ocsf, &batch) {
                check(&json(&record));
            }
        }
    }
}

#[test]
fn bytes_that_are_not_utf8_are_shown_as_the_search_shows_them() {
    let path = Value::Keyword(Bytes::from_static(b"/tmp/\xff\\x"));
    let args = Value::List(vec![Bytes::from_static(b"a b"), Bytes::from_static(b"\x80")]);
    let subject = row([(Field::ProcessExecutable, path.clone()), (Field::ProcessArgs, args)]);
    let record = only(&of_one(Kind::FILE_OPEN, row([(Field::FilePath, path)]), subject));
    check(&record);
    assert_eq!(record["file"]["path"], "/tmp/\\xff\\\\x");
    assert_eq!(record["file"]["name"], "\\xff\\\\x");
    assert_eq!(record["actor"]["process"]["cmd_line"], "a b \\x80");
    assert_eq!(record["unmapped"]["process.args"], json!(["a b", "\\x80"]));
    let escaped = record["unmapped"]["event.escaped"].as_array().unwrap();
    for field in ["file.path", "process.executable", "process.command_line", "process.args"] {
        assert!(escaped.contains(&json!(field)), "{field} is not in {escaped:?}");
    }
}

#[test]
fn arguments_stand_apart_only_where_the_command_line_does_not_tell_them() {
    let arguments = |args: &[&'static str]| {
        only(&of_one(Kind::EXEC, Row::default(), row([(Field::ProcessArgs, list(args))])))
    };
    let plain = arguments(&["ls", "-l"]);
    assert_eq!(plain["process"]["cmd_line"], "ls -l");
    assert_eq!(plain["unmapped"].get("process.args"), None);
    assert_eq!(arguments(&["sh", "-c", "a b"])["unmapped"]["process.args"], json!(["sh", "-c", "a b"]));
    assert_eq!(arguments(&["a", ""])["unmapped"]["process.args"], json!(["a", ""]));
}

#[test]
fn what_only_others_may_say_is_not_taken_from_an_event() {
    let claim = row([
        (Field::HostName, "another".into()),
        (Field::ProcessName, "sshd".into()),
        (Field::NetworkDirection, "inbound".into()),
    ]);
    for format in Format::ALL {
        let records = records(format, &of_one(Kind::CONNECT, claim.clone(), Row::default()));
        let text = String::from_utf8(records[0].value.clone()).unwrap();
        assert!(!text.contains("another") && !text.contains("sshd"), "{format}: {text}");
        assert!(!text.contains("nbound") && !text.contains("ingress"), "{format}: {text}");
    }
}

#[test]
fn a_number_that_a_schema_does_not_take_stands_in_the_rest() {
    let made_up = row([(Field::SourcePort, 65_536u64.into()), (Field::DestinationPort, 65_535u64.into())]);
    let record = only(&of_one(Kind::CONNECT, made_up, Row::default()));
    check(&record);
    assert_eq!(record["unmapped"]["source.port"], 65_536);
    assert_eq!(record["dst_endpoint"]["port"], 65_535);
    assert_eq!(record["unmapped"].get("destination.port"), None);
}

#[test]
fn a_verdict_stands_in_the_security_control_profile() {
    let verdict = |verdict: &'static str| {
        let row = row([
            (Field::RuleVerdict, verdict.into()),
            (Field::RuleName, list(&["no-shadow", "all"])),
            (Field::RuleAction, list(&["deny", "alert"])),
        ]);
        let record = only(&of_one(Kind::FILE_OPEN, row, Row::default()));
        check(&record);
        assert_eq!(record["policy"]["name"], "no-shadow");
        assert_eq!(record["unmapped"]["rule.name"], json!(["no-shadow", "all"]));
        assert_eq!(record["metadata"]["profiles"], json!(["host", "datetime", "security_control"]));
        ["action_id", "disposition_id"].map(|name| record[name].as_u64().unwrap())
    };
    assert_eq!(verdict("observed"), [3, 15]);
    assert_eq!(verdict("denied"), [2, 2]);
    assert_eq!(verdict("killed"), [2, 99]);
}

#[test]
fn an_ancestor_of_itself_is_told_once() {
    let mut builder = Builder::new();
    // Parents may be any entries: a host may claim cycles.
    let numbers: Vec<_> = (0..3).map(wire::subject::SubjectNumber).collect();
    for at in 0..3 {
        builder.subject(&process(at as u64, at as u32, Some(numbers[(at + 1) % 3]), Row::default()));
    }
    builder.push(&event(Kind::EXEC, Row::default()), Some(numbers[0]));
    let record = only(&seal(&mut builder));
    check(&record);
    assert_eq!(record["process"]["ancestry"].as_array().unwrap().len(), 2);
}

#[test]
fn findings_are_valid_and_each_state_is_a_record_of_its_own() {
    let evidence = json!({ "addresses": ["10.0.0.1:1", "10.0.0.2:1"] });
    let at = |second: i64| WallTime::from_unix_ns(1_700_000_000_000_000_000 + second * 1_000_000_000);
    let finding = |kind, n, is_open| Finding {
        id: Uuid::from_u128(7),
        host: outer().host,
        kind,
        about: "certificate",
        is_open,
        severity: 3,
        n,
        first_found: at(0),
        last_found: at(n as i64),
        evidence: &evidence,
    };
    let mut ids = Vec::new();
    for (n, is_open, activity) in [(1, true, 1), (2, true, 2), (2, false, 3)] {
        for kind in ["clone", "tamper", "residue", "of a later version"] {
            let record = record::finding(Format::Ocsf, &finding(kind, n, is_open), &outer(), &facts());
            let json = json(&record);
            check(&json);
            assert_eq!(json["activity_id"], activity);
            assert_eq!(json["severity_id"], 4);
            assert_eq!(json["evidences"][0]["data"], evidence);
            assert_eq!(json["finding_info"]["uid"], "00000000-0000-0000-0000-000000000007");
            assert_eq!(record.class, format!("vedette.finding.{kind}"));
            ids.push(record.id);
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 3, "{ids:?}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_a_host_makes_up_is_valid(made_up in arbitrary::batches()) {
        for record in records(Format::Ocsf, &made_up.0) {
            let wrong = crate::schema::wrong(&json(&record));
            proptest::prop_assert!(wrong.is_empty(), "{:#?}\n{}", wrong, String::from_utf8_lossy(&record.value));
        }
        records(Format::Ecs, &made_up.0).iter().for_each(|record| drop(json(record)));
        for (number, record) in (0..).zip(records(Format::Native, &made_up.0)) {
            let flat = wire::flat::flatten(&made_up.0, &outer(), number).unwrap().unwrap();
            proptest::prop_assert_eq!(json(&record), flat.to_json());
        }
    }
}
