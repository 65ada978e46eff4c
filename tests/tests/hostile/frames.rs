//! Frames that cannot be read, are too long, or may not come.

use wire::batch::{Digest, Sealed};
use wire::frame::collector::{Ack, FromCollector, Watermark};
use wire::frame::data::{Batch, Data, Open};
use wire::frame::{Code, FromSensor, MAX_CONTROL_BYTES, encode};
use wire::id::{Epoch, Lane};
use wire::limits::MAX_FRAME_BYTES;

use crate::client::hello;
use crate::scene::{Expected, play};
use crate::source::{Source, frame};

const EPOCH: Epoch = Epoch::new(uuid::Uuid::from_u128(6));

fn header(ty: u16, length: u32) -> Vec<u8> {
    [&ty.to_le_bytes()[..], &length.to_le_bytes()].concat()
}

fn open() -> Vec<u8> {
    encode(&Data::Open(Open { epoch: EPOCH, lane: Lane::Bulk, from: 0 }))
}

/// Rows 5, 6 and 33, on the control stream and on a data stream.
#[test]
fn frames_that_cannot_be_read_close_the_connection() {
    play(|scene| {
        let watermark = Watermark { epoch: EPOCH, lane: Lane::Bulk, next_seq: 0, digest: Digest::START };
        let ours = encode(&FromCollector::from(Ack { watermark }));
        let sealed = Sealed { header: vec![].into(), payload: vec![].into() };
        let batch = encode(&Data::Batch(Batch { first_seq: 0, n_events: 1, sealed }));
        let control: Vec<(&str, Vec<u8>)> = vec![
            ("an unknown type", header(0x7777, 0)),
            ("a rule, which goes the other way", header(0x0110, 9)),
            ("an acknowledgement, which goes the other way", ours),
            ("a batch on the control stream", batch),
            ("nothing in a heartbeat", header(2, 0)),
            ("a byte in a heartbeat", [header(2, 1), vec![0]].concat()),
            ("a byte too many", header(2, MAX_CONTROL_BYTES + 1)),
            ("64 MiB", header(2, 64 << 20)),
            ("4 GiB", header(2, u32::MAX)),
            ("a skipped frame of 4 GiB", header(0xffff, u32::MAX)),
        ];
        let data: Vec<(&str, Vec<u8>)> = vec![
            ("nothing in a batch", header(0x12, 0)),
            ("a batch of a byte", [header(0x12, 1), vec![0]].concat()),
            ("a byte too many", header(0x12, MAX_FRAME_BYTES + 1)),
            ("64 MiB", header(0x12, 64 << 20)),
            ("4 GiB", header(0x12, u32::MAX)),
            ("an open of 129 bytes", header(0x11, 129)),
            ("a hello on a data stream", encode(&FromSensor::from(hello()))),
        ];
        let before = scene.look();
        let n_bad = (control.len() + data.len()) as u64;
        scene.run(async {
            for (what, bytes) in control {
                let mut client = scene.session().await;
                client.say(&bytes).await;
                assert_eq!(client.code().await, Code::BAD_FRAME, "control stream: {what}");
            }
            for (what, bytes) in data {
                let client = scene.session().await;
                let mut stream = client.connection.open_uni().await.unwrap();
                drop(stream.write_all(&[open(), bytes].concat()).await);
                assert_eq!(client.code().await, Code::BAD_FRAME, "data stream: {what}");
            }
        });
        let counter = "collector_session_ended_total{code=\"bad_frame\"}";
        scene.judge("frames", &before, Expected { counter, log: "a session ended", stored: 0 });
        assert_eq!(scene.counted(&before).of(counter), n_bad);
    });
}

/// Row 6: the bound itself is allowed. A batch of that size is read, and refused for what it is.
#[test]
fn a_frame_of_exactly_the_bound_is_read() {
    play(|scene| {
        let before = scene.look();
        scene.run(async {
            let mut client = scene.session().await;
            let mut source = Source::new();
            let mut stream = client.open(source.epoch, source.lane, 0).await;
            let n = client.welcome.max_batch_bytes as usize;
            let sealed = Sealed { header: vec![].into(), payload: vec![0; n].into() };
            stream.write_all(&frame(source.junk(sealed, 1))).await.unwrap();
            let others = client.acknowledged(source.epoch, source.lane, 1).await;
            assert!(matches!(others[..], [FromCollector::Rejected(_)]), "{others:?}");
            // And the next one is stored.
            stream.write_all(&frame(source.batch("after", 3))).await.unwrap();
            client.acknowledged(source.epoch, source.lane, 4).await;
            client.leave().await;
        });
        let counter = "collector_batch_rejected_total";
        scene.judge("the bound", &before, Expected { counter, log: "refused a batch", stored: 3 });
    });
}
