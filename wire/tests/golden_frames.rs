//! Frames of every released version are read as on the day they were sent, and today's senders still send those bytes.
//!
//! `tests/golden/frames/VERSION/*.frame` hold one frame each, header and body, as the build that became that version sent
//! it. They are never made again. `unreleased` holds the types that no released version has: `UPDATE_GOLDEN=1` writes them
//! anew, and a release renames that folder to its version.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;

use bytes::Bytes;
use uuid::Uuid;
use wire::authority::{Authorities, AuthorityId, Endorsed, Endorsement, Trusts};
use wire::batch::{Digest, Sealed};
use wire::frame::collector::{Ack, Credit, HeartbeatReply, Rejected, Resend, Watermark, Welcome};
use wire::frame::data::{Batch, Data, Open, Tombstone};
use wire::frame::sensor::{Facts, FromSensor, Goodbye, Heartbeat, Held, Hello, LaneFacts};
use wire::frame::{Code, Decoder, Frame, FrameError, FromCollector, RejectReason, SKIPPABLE, encode};
use wire::id::{BootId, Epoch, Lane};
use wire::ledger::Ledger;
use wire::time::WallTime;

const UNRELEASED: &str = "unreleased";
const EPOCH: Epoch = Epoch::new(Uuid::from_u128(0x0102_0304));

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/frames")
}

/// Every golden frame by its name, with the version that had it first.
fn golden() -> BTreeMap<String, (String, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for version in std::fs::read_dir(folder()).unwrap() {
        let version = version.unwrap();
        for file in std::fs::read_dir(version.path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let version = version.file_name().into_string().unwrap();
            let before = found.insert(name.clone(), (version, std::fs::read(&path).unwrap()));
            assert!(before.is_none(), "{name} is there twice");
        }
    }
    found
}

fn watermark() -> Watermark {
    Watermark { epoch: EPOCH, lane: Lane::Bulk, next_seq: 300, digest: Digest([7; 32]) }
}

fn from_sensor() -> Vec<(&'static str, FromSensor)> {
    let hello = Hello {
        versions: vec![1],
        sensor_version: "0.1.0".into(),
        host_name: "web-1".into(),
        kernel_release: "6.12.9".into(),
        arch: "x86_64".into(),
        boot: BootId::new(Uuid::from_u128(5)),
        capabilities: vec!["exec".into()],
        streams: vec![Held { epoch: EPOCH, lane: Lane::Critical, acked: 1, digest: Digest([1; 32]), end: 2 }],
    };
    let lane = LaneFacts {
        epoch: EPOCH,
        lane: Lane::Bulk,
        ledger: Ledger { generated: 5, merged: 1, lost: 1, dropped: 0 },
        end: 3,
        shed: 0,
        rejected: 0,
    };
    let facts = Facts { lanes: vec![lane], held_bytes: 4096, clock_offset_ns: -5, ..Facts::default() };
    vec![
        ("sensor-hello", hello.into()),
        ("sensor-heartbeat", Heartbeat { sent: WallTime::from_unix_ns(-1), facts }.into()),
        ("sensor-goodbye", Goodbye { code: Code::SHUTDOWN, reason: "restart".into() }.into()),
        ("sensor-trusts", Trusts { authorities: vec![AuthorityId([3; 32]), AuthorityId([4; 32])] }.into()),
    ]
}

fn from_collector() -> Vec<(&'static str, FromCollector)> {
    let t = WallTime::from_unix_ns(1_800_000_000_000_000_000);
    let welcome = Welcome {
        version: 1,
        collector: Uuid::from_u128(9),
        collector_version: "0.1.0".into(),
        time: t,
        heartbeat_ms: 3000,
        max_batch_bytes: 1 << 20,
        watermarks: vec![watermark()],
        credit: Credit { bytes: 4 << 20, batches: 256 },
    };
    let rejected = |reason| -> FromCollector {
        Rejected { epoch: EPOCH, lane: Lane::Critical, first_seq: 7, n_events: 2, reason }.into()
    };
    let first = Endorsed { certificate: b"first".to_vec(), endorsements: vec![] };
    let by = Endorsement { by: AuthorityId([3; 32]), signature: b"signature".to_vec() };
    let authorities = Authorities {
        authorities: vec![first, Endorsed { certificate: b"second".to_vec(), endorsements: vec![by] }],
        issuing: AuthorityId([4; 32]),
        renew_within_s: 300,
        retired: vec![AuthorityId([2; 32])],
    };
    vec![
        ("collector-welcome", welcome.into()),
        ("collector-ack", Ack { watermark: watermark() }.into()),
        ("collector-rejected-header", rejected(RejectReason::Header)),
        ("collector-rejected-payload", rejected(RejectReason::Payload)),
        ("collector-rejected-limit", rejected(RejectReason::Limit)),
        ("collector-rejected-store", rejected(RejectReason::Store)),
        ("collector-resend", Resend { watermark: watermark() }.into()),
        ("collector-credit", Credit { bytes: 1, batches: 2 }.into()),
        ("collector-heartbeat-reply", HeartbeatReply { sent: t, received: t, replied: t }.into()),
        ("collector-goodbye", Goodbye { code: Code(400), reason: String::new() }.into()),
        ("collector-authorities", authorities.into()),
    ]
}

fn data() -> Vec<(&'static str, Data)> {
    let sealed = Sealed { header: Bytes::from_static(b"head"), payload: Bytes::from_static(b"payload") };
    let tombstone = Tombstone { first_seq: 302, n_events: 1 << 40, digest: Digest([2; 32]) };
    vec![
        ("data-open", Data::Open(Open { epoch: EPOCH, lane: Lane::Bulk, from: 300 })),
        ("data-batch", Data::Batch(Batch { first_seq: 300, n_events: 2, sealed })),
        ("data-tombstone", Data::Tombstone(tombstone)),
    ]
}

/// Reads the one frame in these bytes.
fn read<F: Frame>(bytes: &[u8]) -> Result<Option<F>, FrameError> {
    let mut decoder = Decoder::default();
    decoder.push(bytes);
    decoder.next_frame()
}

/// Compares with the golden bytes, both ways, and gives back the names.
fn check<F: Frame + PartialEq + Debug>(frames: Vec<(&'static str, F)>) -> Vec<&'static str> {
    let mut golden = golden();
    let mut names = Vec::new();
    for (name, frame) in frames {
        let bytes = encode(&frame);
        let is_open = golden.get(name).is_none_or(|(version, _)| version == UNRELEASED);
        if is_open && std::env::var_os("UPDATE_GOLDEN").is_some() {
            let folder = folder().join(UNRELEASED);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(format!("{name}.frame")), &bytes).unwrap();
            golden.insert(name.to_owned(), (UNRELEASED.to_owned(), bytes.clone()));
        }
        let (version, kept) = golden.get(name).unwrap_or_else(|| {
            panic!("no golden frame {name}: UPDATE_GOLDEN=1 writes the frames that no release has yet")
        });
        assert_eq!(read::<F>(kept).unwrap().as_ref(), Some(&frame), "{name} of {version} is read otherwise");
        assert_eq!(&bytes, kept, "{name} is sent otherwise than by {version}: it needs a new type");
        names.push(name);
    }
    names
}

#[test]
fn every_frame_is_read_and_sent_as_by_the_version_that_had_it_first() {
    let mut names = check(from_sensor());
    names.extend(check(from_collector()));
    names.extend(check(data()));
    let golden = golden();
    let unread: Vec<_> = golden.keys().filter(|name| !names.contains(&name.as_str())).collect();
    assert!(unread.is_empty(), "golden frames that nothing reads: {unread:?}");
}

/// Each type that is known has a golden frame, so none is released without.
#[test]
fn no_frame_type_is_left_out() {
    let golden = golden();
    let of = |prefix: &str| -> Vec<u16> {
        let frames = golden.iter().filter(|(name, _)| name.starts_with(prefix));
        frames.map(|(_, (_, bytes))| u16::from_le_bytes(*bytes.first_chunk().unwrap())).collect()
    };
    let (sensor, collector, data) = (of("sensor-"), of("collector-"), of("data-"));
    for ty in 0..=u16::MAX {
        assert_eq!(FromSensor::max_bytes(ty).is_some(), sensor.contains(&ty), "sensor's {ty:#06x}");
        assert_eq!(FromCollector::max_bytes(ty).is_some(), collector.contains(&ty), "collector's {ty:#06x}");
        assert_eq!(Data::max_bytes(ty).is_some(), data.contains(&ty), "data's {ty:#06x}");
    }
}

/// What the frames of the last release look like to a program that knows only those: the same decoder, fewer types.
#[derive(Debug, PartialEq)]
struct Released(u16);

impl Frame for Released {
    fn max_bytes(ty: u16) -> Option<u32> {
        let golden = golden();
        let mut released = golden.values().filter(|(version, _)| version != UNRELEASED);
        let is_known = released.any(|(_, bytes)| bytes.first_chunk() == Some(&ty.to_le_bytes()));
        is_known.then_some(1 << 16)
    }

    fn parse(ty: u16, _: &Bytes) -> Result<Self, FrameError> {
        Ok(Self(ty))
    }

    fn write(&self, _: &mut Vec<u8>) -> u16 {
        self.0
    }
}

#[test]
fn the_last_release_skips_what_is_new_and_reads_on() {
    for (name, (version, bytes)) in golden().iter().filter(|(_, (version, _))| version == UNRELEASED) {
        let ty = u16::from_le_bytes(*bytes.first_chunk().unwrap());
        assert!(ty & SKIPPABLE != 0, "{name} of {version} would close the connection of an older program");
        let credit = encode(&FromCollector::Credit(Credit { bytes: 1, batches: 2 }));
        let both = [bytes.as_slice(), &credit].concat();
        assert_eq!(read::<Released>(&both), Ok(Some(Released(0x0105))), "{name}");
    }
}
