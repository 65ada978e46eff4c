//! Strings that are more than text: to a terminal, a database, a log, a spreadsheet, a browser.

use std::process::Output;

use serde_json::Value;
use tests::stack::vedette;
use wire::frame::sensor::{Facts, Heartbeat, Hello};
use wire::frame::{FromSensor, encode};
use wire::time::WallTime;

use crate::client::{Client, hello};
use crate::scene::{Expected, Scene, play};
use crate::source::{Source, frame, opened};

/// Rows 26, 27, 29, 30, 31 and 32; for the console 28.
const BAD: &[&[u8]] = &[
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbfbom",
    b"\xc0\xaf",
    b"\xf8\x88\x80\x80\x80",
    b"a\0b",
    b"'; drop table stream; --",
    b"$1 $2 :name %s",
    b"\\.",
    b"\\N\t\\N",
    b"\"}\n{\"event\":{\"forged\":true}}",
    b"\n2026-12-01T00:00:00Z  WARN forged: line",
    b"\r\nHTTP/1.1 200 OK\r\n",
    b"\x1b]52;c;AAAA\x07",
    b"\x1b[2J\x1b[H",
    b"\x1b]8;;http://evil/\x1b\\link\x1b]8;;\x1b\\",
    b"\xc2\x9b31m",
    b"\x9b31m",
    b"\x07\x08\x7f",
    "\u{202e}gpj.exe".as_bytes(),
    "zero\u{200b}width\u{feff}".as_bytes(),
    b"=HYPERLINK(\"http://evil/\")",
    b"+1;@SUM(A1)\t-2",
    b"<script>alert(1)</script></textarea>",
    b"javascript:alert(1)",
];

/// Tables; partitions come and go.
const TABLES: &str = "select count(*) from pg_class where relkind in ('r', 'p') and not relispartition";

/// What no output for people may hold, beside its own line ends.
fn harmful(output: &[u8]) -> Option<String> {
    let Ok(text) = std::str::from_utf8(output) else { return Some("bytes that are no text".into()) };
    let bad = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c as u32, 0x200b..=0x200f | 0x202a..=0x202e | 0x2066..=0x2069 | 0xfeff)
    };
    text.chars().find(|c| bad(*c)).map(|c| format!("{c:?}"))
}

fn ask(scene: &Scene, words: &[&str]) -> Output {
    vedette(&scene.site.collectors[0].home).args(words).output().unwrap()
}

/// A value as it stands in a query: quoted, with every byte that is not plain as `\xNN`.
fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in bytes {
        match byte {
            b'"' | b'\\' | 0..0x20 | 0x7f.. => text.push_str(&format!("\\x{byte:02x}")),
            _ => text.push(char::from(*byte)),
        }
    }
    text.push('"');
    text
}

#[test]
fn strings_are_kept_byte_for_byte_and_shown_without_harm() {
    play(|scene| {
        let before = scene.look();
        let n_tables = scene.sql(TABLES);
        let mut source = Source::new();
        let path = |n: usize| [format!("/strings/{n}/").as_bytes(), BAD[n]].concat();
        for n in 0..BAD.len() {
            source.push(&opened(&path(n)), None);
        }
        let batch = source.seal();
        scene.run(async {
            let mut client = scene.session().await;
            let mut stream = client.open(source.epoch, source.lane, 0).await;
            stream.write_all(&frame(batch)).await.unwrap();
            let others = client.acknowledged(source.epoch, source.lane, source.next_seq).await;
            assert!(others.is_empty(), "{others:?}");
            client.leave().await;
        });
        // One in, one out, however many lines it has.
        let all = ask(scene, &["search", "file.path:/strings/*", "--output", "json"]);
        let lines: Vec<Value> = String::from_utf8(all.stdout)
            .expect("JSON is text")
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect();
        assert_eq!(lines.len(), BAD.len());
        assert!(lines.iter().all(|event| event.get("forged").is_none()));
        // For people: nothing that a terminal acts on, and a line for each.
        let table = ask(scene, &["search", "file.path:/strings/*"]);
        assert_eq!(harmful(&table.stdout), None, "{}", String::from_utf8_lossy(&table.stdout));
        let n_lines = String::from_utf8_lossy(&table.stdout).lines().count();
        assert_eq!(n_lines, BAD.len() + 1, "a heading and a line each");
        let top = ask(scene, &["search", "file.path:/strings/*", "--top", "file.path"]);
        assert_eq!(harmful(&top.stdout), None);
        // Each is found again by exactly its bytes.
        for n in 0..BAD.len() {
            let query = format!("file.path:{}", quoted(&path(n)));
            let found = scene.json(&["search", &query, "--output", "json"]);
            assert_eq!(found.len(), 1, "{query}: {found:?}");
        }
        assert_eq!(scene.sql(TABLES), n_tables);
        let counter = "collector_event_stored_total";
        let stored = BAD.len() as u64;
        scene.judge("strings", &before, Expected { counter, log: "connected", stored });
    });
}

/// What a host says of itself when it connects, and what it complains of, is a string of its own choice too; and so is
/// why it says goodbye, which is logged.
#[test]
fn what_a_host_says_of_itself_is_shown_without_harm() {
    play(|scene| {
        let before = scene.look();
        let texts: Vec<String> = BAD.iter().filter_map(|bad| String::from_utf8(bad.to_vec()).ok()).collect();
        scene.run(async {
            for text in &texts {
                let hello = Hello {
                    host_name: text.clone(),
                    sensor_version: text.chars().take(16).collect(),
                    kernel_release: text.clone(),
                    arch: text.chars().take(8).collect(),
                    capabilities: vec![format!("exec={text}; {text}")],
                    ..hello()
                };
                let mut client = Client::greeted(scene.address(), scene.tls.clone(), hello).await;
                let facts = Facts { troubles: vec![text.clone()], ..Facts::default() };
                let beat = Heartbeat { sent: WallTime::default(), facts };
                client.say(&encode(&FromSensor::from(beat))).await;
                drop(client.any().await);
                client.connection.close(quinn::VarInt::from_u32(3), text.as_bytes());
                client.endpoint.wait_idle().await;
                let villain = scene.villain.to_string();
                for words in [&["hosts"][..], &["hosts", "show", &villain], &["status"]] {
                    let shown = ask(scene, words);
                    let all = [shown.stdout, shown.stderr].concat();
                    assert_eq!(harmful(&all), None, "{words:?} of {text:?}");
                }
            }
        });
        let logged = scene.logged(&before);
        assert_eq!(harmful(logged.as_bytes()), None, "{logged}");
        let forged = logged.lines().find(|line| line.starts_with("2026-12-01T00:00:00Z  WARN forged"));
        assert_eq!(forged, None);
        let metrics = scene.metrics_text();
        assert!(!["alert(1)", "HYPERLINK", "forged", "drop table"].iter().any(|bad| metrics.contains(bad)));
        let counter = "collector_session_ended_total{code=\"bad_frame\"}";
        scene.judge("what hosts say", &before, Expected { counter, log: "a session ended", stored: 0 });
    });
}
