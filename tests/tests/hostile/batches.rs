//! Batches that are not what they say, or too much of it.

use bytes::Bytes;
use wire::batch::{Header, Sealed, restored};
use wire::event::{Event, Kind, Row};
use wire::field::Field;
use wire::frame::data::{Batch, Data};
use wire::frame::{Code, FromCollector, RejectReason, encode};
use wire::limits::{MAX_BATCH_BYTES, MAX_EVENTS_PER_BATCH};

use crate::client::Client;
use crate::scene::{Before, Expected, Scene, play};
use crate::source::{NOW, Source, frame, opened};

/// Sends batches of one stream; what was refused of it, with the reason.
async fn refused(client: &mut Client, source: &Source, batches: Vec<Batch>) -> Vec<(u64, RejectReason)> {
    let from = batches.first().map_or(0, |batch| batch.first_seq);
    let mut stream = client.open(source.epoch, source.lane, from).await;
    for batch in batches {
        stream.write_all(&frame(batch)).await.unwrap();
    }
    stream.finish().unwrap();
    let others = client.acknowledged(source.epoch, source.lane, source.next_seq).await;
    let rejected = others.into_iter().map(|other| match other {
        FromCollector::Rejected(rejected) => (rejected.first_seq, rejected.reason),
        other => panic!("{other:?}"),
    });
    rejected.collect()
}

/// Sends what is junk, and after it what is not: the first is refused, kept and counted, the second stored.
fn junk_is_refused(scene: &Scene, junk: Vec<(&str, Sealed, u32)>) {
    let before = scene.look();
    let n_quarantined = quarantined(scene);
    let n_junk = junk.len() as u64;
    // Within what a session may have refused.
    for junk in junk.chunks(24) {
        let (n, whats) = (junk.len(), junk.iter().map(|(what, ..)| *what).collect::<Vec<_>>());
        let mut source = Source::new();
        let mut batches: Vec<_> =
            junk.iter().map(|(_, sealed, n_events)| source.junk(sealed.clone(), *n_events)).collect();
        batches.push(source.batch("good", 1));
        let found = scene.run(async {
            let mut client = scene.session().await;
            let found = refused(&mut client, &source, batches).await;
            client.leave().await;
            found
        });
        assert_eq!(found.len(), n, "of {whats:?} these were refused: {found:?}");
    }
    assert_eq!(quarantined(scene) - n_quarantined, n_junk);
    judge(scene, &before, n_junk.div_ceil(24));
}

fn quarantined(scene: &Scene) -> u64 {
    scene.number(&format!("select count(*) from quarantine where host = '{}'", scene.villain))
}

fn judge(scene: &Scene, before: &Before, stored: u64) {
    let counter = "collector_batch_rejected_total";
    scene.judge("junk", before, Expected { counter, log: "refused a batch", stored });
}

/// A whole payload without dictionaries whose columns are this frame and claim to decompress to `raw` bytes.
fn whole(header: &Bytes, frame: &[u8], raw: usize) -> Sealed {
    let lengths = [raw, frame.len(), 0].map(|n| postcard_varint(n as u64)).concat();
    let payload = [&[1], &[0; 17][..], &lengths[..], frame].concat();
    let payload = restored(header, &payload).unwrap_or_else(|_| payload.into());
    Sealed { header: header.clone(), payload }
}

fn postcard_varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push((n as u8) | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

/// A zstd frame without its magic number.
fn compress(raw: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(raw, 3).unwrap().split_off(4)
}

/// Row 8.
#[test]
fn a_payload_that_decompresses_to_too_much_is_stopped() {
    play(|scene| {
        let header = Source::new().batch("header", 1).sealed.header;
        let zeros = compress(&vec![0; 1 << 28]);
        assert!(zeros.len() < 33 << 10, "{} bytes", zeros.len());
        let short = compress(b"short");
        // A window of 2 GiB: descriptor without single segment, exponent 21 of 10 to 31.
        let window = [&[0x00, 0xa8][..], &[0x01, 0x00, 0x00]].concat();
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], &[0; 4], &short].concat();
        let junk = vec![
            ("zeros beyond what it says", whole(&header, &zeros, 1 << 20), 1),
            ("zeros beyond the limit", whole(&header, &zeros, 1 << 28), 1),
            ("a window of 2 GiB", whole(&header, &window, 4_000), 1),
            ("a skippable frame", whole(&header, &skippable, 4_000), 1),
            ("bytes behind the frame", whole(&header, &[&short[..], b"more"].concat(), 5), 1),
            ("two frames", whole(&header, &[&short[..], &compress(b"short")].concat(), 10), 1),
            ("less than it says", whole(&header, &short, 4_000), 1),
            ("no frame", whole(&header, &[], 4_000), 1),
            (
                "an unknown dictionary",
                {
                    let mut payload = whole(&header, &short, 5).payload.to_vec();
                    payload[17] = 77;
                    Sealed { header: header.clone(), payload: payload.into() }
                },
                1,
            ),
        ];
        junk_is_refused(scene, junk);
    });
}

/// Rows 9 and 10.
#[test]
fn a_damaged_batch_is_kept_apart_and_its_neighbours_are_stored() {
    play(|scene| {
        let good = Source::new().batch("damaged", 40).sealed;
        let n = good.payload.len();
        let mut junk = Vec::new();
        // A bit in every byte of the payload is for the tests of the format; here a few of each part.
        for at in (0..n).step_by(n / 30) {
            let mut payload = good.payload.to_vec();
            payload[at] ^= 1 << (at % 8);
            junk.push(("a flipped bit", Sealed { header: good.header.clone(), payload: payload.into() }, 40));
        }
        for at in (0..n).step_by(n / 20) {
            junk.push(("cut", Sealed { header: good.header.clone(), payload: good.payload.slice(..at) }, 40));
        }
        for at in (0..good.header.len()).step_by(4) {
            junk.push((
                "a header cut",
                Sealed { header: good.header.slice(..at), payload: good.payload.clone() },
                40,
            ));
        }
        let mut form = good.payload.to_vec();
        form[0] = 9;
        junk.push(("an unknown form", Sealed { header: good.header.clone(), payload: form.into() }, 40));
        let claims = |change: fn(&mut Header)| {
            let mut header = Header::decode(&good.header).unwrap();
            change(&mut header);
            Sealed { header: header.encode(), payload: good.payload.clone() }
        };
        junk.push(("more events than it holds", claims(|header| header.n_events = 41), 41));
        junk.push(("no events", claims(|header| header.n_events = 0), 40));
        junk.push(("another place", claims(|header| header.first_seq = 1 << 40), 40));
        junk_is_refused(scene, junk);
    });
}

/// Row 10: kinds that this version does not know are stored and shown by their number.
#[test]
fn kinds_that_are_not_known_are_kept() {
    play(|scene| {
        let before = scene.look();
        let mut source = Source::new();
        for n in 0..5 {
            source.push(&Event { time: NOW, kind: Kind::new(60_000 + n), row: Row::default() }, None);
        }
        let batch = source.seal();
        scene.run(async {
            let mut client = scene.session().await;
            assert_eq!(refused(&mut client, &source, vec![batch]).await, []);
            client.leave().await;
        });
        let villain = scene.villain.to_string();
        let found = scene.json(&["search", "", "--host", &villain, "--limit", "5", "--output", "json"]);
        let text = serde_json::to_string(&found).unwrap();
        assert!((60_000..60_005).all(|n| text.contains(&n.to_string())), "{text}");
        let counter = "collector_event_stored_total";
        scene.judge("unknown kinds", &before, Expected { counter, log: "connected", stored: 5 });
    });
}

/// Row 11. The largest number there may be is stored, one more is no frame at all, and a million is not even that.
#[test]
fn a_batch_has_a_bound_on_its_events() {
    play(|scene| {
        let before = scene.look();
        let mut source = Source::new();
        for _ in 0..MAX_EVENTS_PER_BATCH {
            source.push(&Event { time: NOW, kind: Kind::FILE_OPEN, row: Row::default() }, None);
        }
        let batch = source.seal();
        assert_eq!(batch.n_events, MAX_EVENTS_PER_BATCH);
        scene.run(async {
            let mut client = scene.session().await;
            assert_eq!(refused(&mut client, &source, vec![batch.clone()]).await, []);
            client.leave().await;
            for n_events in [0, MAX_EVENTS_PER_BATCH + 1, 1_000_000, u32::MAX] {
                let client = scene.session().await;
                let mut stream = client.open(source.epoch, source.lane, source.next_seq).await;
                let first_seq = source.next_seq;
                let batch = Batch { first_seq, n_events, sealed: batch.sealed.clone() };
                drop(stream.write_all(&encode(&Data::Batch(batch))).await);
                assert_eq!(client.code().await, Code::BAD_FRAME, "{n_events} events");
            }
        });
        let counter = "collector_session_ended_total{code=\"bad_frame\"}";
        let stored = u64::from(MAX_EVENTS_PER_BATCH);
        scene.judge("a million events", &before, Expected { counter, log: "a session ended", stored });
    });
}

/// Row 25: what a sensor would have cut. What is longer than the format takes cannot be said in it.
#[test]
fn strings_and_lists_have_bounds() {
    play(|scene| {
        let before = scene.look();
        let mut source = Source::new();
        // A path of 4096 bytes is kept whole; a string of 2 MiB and a list of 10^5 are cut by whoever builds the batch.
        source.push(&opened(&[b'p'; 4096]), None);
        source.push(&opened(&vec![b'q'; 2 << 20]), None);
        let arguments = vec![Bytes::from_static(b"argument"); 100_000];
        let row = Row::default().with(Field::DnsAnswers, wire::value::Value::List(arguments));
        source.push(&Event { time: NOW, kind: Kind::new(60_100), row }, None);
        let batch = source.seal();
        // The same with a length in it that is not true, under a sum that is: its directory says more than there is.
        let zeros = compress(&vec![0; MAX_BATCH_BYTES as usize]);
        let longest = whole(&source.batch("header", 1).sealed.header, &zeros, MAX_BATCH_BYTES as usize);
        let mut other = Source::new();
        let junk = other.junk(longest, 1);
        let (kept, lengths) = scene.run(async {
            let mut client = scene.session().await;
            source.next_seq = 3;
            assert_eq!(refused(&mut client, &source, vec![batch]).await, []);
            let found = refused(&mut client, &other, vec![junk]).await;
            assert_eq!(found.len(), 1, "{found:?}");
            client.leave().await;
            let villain = scene.villain.to_string();
            let path = |letter: &str| {
                let query = format!("file.path:{letter}*");
                let found = scene.json(&["search", &query, "--host", &villain, "--output", "json"]);
                found.iter().filter_map(|event| Some(event.pointer("/file/path")?.as_str()?.len())).max()
            };
            (path("pppp"), path("qqqq"))
        });
        assert_eq!(kept, Some(4096));
        assert_eq!(lengths, Some(wire::limits::MAX_STRING_BYTES as usize));
        judge(scene, &before, 3);
    });
}

/// Too many refused batches end the session: what sends them is broken, or tries something.
#[test]
fn whoever_sends_only_junk_has_to_go() {
    play(|scene| {
        let before = scene.look();
        scene.run(async {
            let client = scene.session().await;
            let mut source = Source::new();
            let mut stream = client.open(source.epoch, source.lane, 0).await;
            let sealed = Sealed { header: Bytes::from_static(b"junk"), payload: Bytes::from_static(b"junk") };
            for _ in 0..40 {
                drop(stream.write_all(&frame(source.junk(sealed.clone(), 1))).await);
            }
            assert_eq!(client.code().await, Code::REJECTED);
        });
        judge(scene, &before, 0);
    });
}

/// Row 40: what was quarantined does not trouble a collector that starts.
#[test]
fn a_collector_starts_beside_what_was_quarantined() {
    play(|scene| {
        let mut source = Source::new();
        let sealed = Sealed { header: Bytes::from_static(b"junk"), payload: Bytes::from_static(b"junk") };
        let junk = source.junk(sealed.clone(), 1);
        scene.run(async {
            let mut client = scene.session().await;
            assert_eq!(refused(&mut client, &source, vec![junk.clone()]).await.len(), 1);
            client.leave().await;
        });
        scene.site.collectors[0].program.kill();
        scene.site.collectors[0].program.start().unwrap();
        scene.site.collectors[0].wait_until_ready().unwrap();
        let before = scene.look();
        let good = source.batch("good", 5);
        scene.run(async {
            let mut client = scene.session().await;
            // Once more, as a sensor that has not heard of it sends it; and what comes after it.
            assert_eq!(refused(&mut client, &source, vec![junk, good]).await, []);
            client.leave().await;
        });
        let counter = "collector_batch_duplicate_total";
        scene.judge("a start", &before, Expected { counter, log: "connected", stored: 5 });
    });
}
