use bytes::Bytes;
use wire::batch::{Digest, Sealed};
use wire::frame::VERSION;
use wire::frame::collector::{Credit, Rejected, Resend};
use wire::frame::data::{Batch, Data, Open, Tombstone};
use wire::frame::sensor::{Facts, Hello};
use wire::id::BootId;

use super::*;
use crate::listener::{Finding, Outcome};

const KEY: Key = (Epoch::new(Uuid::from_u128(1)), Lane::Bulk);

struct Rig {
    session: Session,
    start: Instant,
}

fn hello() -> Hello {
    Hello {
        versions: vec![VERSION],
        sensor_version: "0".into(),
        host_name: "h".into(),
        kernel_release: "6".into(),
        arch: "x".into(),
        boot: BootId::new(Uuid::nil()),
        capabilities: vec![],
        streams: vec![],
    }
}

impl Rig {
    fn new() -> Self {
        let (start, limits) = (Instant::now(), Limits::default());
        let session = Session::new(start, limits, Uuid::nil(), Duration::from_secs(3600));
        Self { session, start }
    }

    fn live() -> Self {
        let mut rig = Self::new();
        rig.session.handle_control(rig.at(0), hello().into());
        rig.session.handle_watermarks(rig.at(1), Some(vec![]));
        rig.outputs();
        rig
    }

    /// Live, with a data stream open.
    fn open() -> Self {
        let mut rig = Self::live();
        rig.open_wire(1, 0);
        rig
    }

    fn open_wire(&mut self, wire: u64, from: u64) {
        self.session.handle_wire(self.at(2), wire);
        let open = Open { epoch: KEY.0, lane: KEY.1, from };
        self.session.handle_data(self.at(2), wire, Data::Open(open));
    }

    fn batch(&mut self, wire: u64, first_seq: u64) {
        let sealed = Sealed { header: Bytes::new(), payload: Bytes::from_static(b"payload") };
        let batch = Batch { first_seq, n_events: 10, sealed };
        self.session.handle_data(self.at(3), wire, Data::Batch(batch));
    }

    fn at(&self, ms: u64) -> Now {
        let wall = WallTime::from_unix_ns(ms as i64 * 1_000_000);
        Now { at: self.start + Duration::from_millis(ms), wall }
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.session.poll_output()).collect()
    }

    /// Every deadline up to then is met in time, and nothing comes.
    fn timeout(&mut self, ms: u64) -> Option<Code> {
        let until = self.at(ms);
        while let Some(at) = self.session.poll_timeout().filter(|asked| *asked <= until.at) {
            self.session.handle_timeout(Now { at, ..until });
            if let Some(code) = ended(&self.outputs()) {
                return Some(code);
            }
        }
        None
    }
}

fn ended(outputs: &[Output]) -> Option<Code> {
    outputs.iter().find_map(|output| match output {
        Output::Ended { code, .. } => Some(*code),
        _ => None,
    })
}

fn delivered(outputs: &[Output]) -> Vec<(u64, u64)> {
    let of = |output: &Output| match output {
        Output::Deliver { delivery, item, .. } => Some((*delivery, item.first_seq())),
        _ => None,
    };
    outputs.iter().filter_map(of).collect()
}

fn watermark(next_seq: u64) -> Watermark {
    Watermark { epoch: KEY.0, lane: KEY.1, next_seq, digest: Digest([3; 32]) }
}

fn stored(next_seq: u64) -> Option<Outcome> {
    Some(Outcome::Stored { next_seq, digest: Digest([3; 32]) })
}

#[test]
fn deadlines_end_a_session_that_says_nothing() {
    assert_eq!(Rig::new().timeout(14_999), None);
    assert_eq!(Rig::new().timeout(15_000), Some(Code::TOO_SLOW));
    assert_eq!(Rig::live().timeout(29_999), None);
    assert_eq!(Rig::live().timeout(30_001), Some(Code::TOO_SLOW));
    let mut rig = Rig::live();
    rig.session.handle_wire(rig.at(2), 1);
    assert_eq!(rig.timeout(15_002), Some(Code::TOO_SLOW), "a data stream without a first frame");
}

#[test]
fn who_overslept_hears_the_sensor_out_before_giving_it_up() {
    let mut rig = Rig::live();
    rig.session.handle_wire(rig.at(2), 1);
    rig.session.handle_timeout(rig.at(60_000));
    assert_eq!(ended(&rig.outputs()), None, "the first frame may wait to be read");
    let open = Open { epoch: KEY.0, lane: KEY.1, from: 0 };
    rig.session.handle_data(rig.at(60_001), 1, Data::Open(open));
    assert_eq!(rig.timeout(90_000), None);
    assert_eq!(rig.timeout(90_001), Some(Code::TOO_SLOW), "it said nothing then either");
}

#[test]
fn a_session_ends_with_its_certificate() {
    let mut rig = Rig::live();
    for t in (0..3_600_000).step_by(9_000) {
        let heartbeat = Heartbeat { sent: WallTime::default(), facts: Facts::default() };
        rig.session.handle_control(rig.at(t), heartbeat.into());
        assert_eq!(rig.timeout(t), None);
    }
    assert_eq!(rig.timeout(3_600_000), Some(Code::NOT_ALLOWED));
}

#[test]
fn frames_without_end_do_not_outlive_the_certificate() {
    let mut rig = Rig::live();
    let heartbeat = Heartbeat { sent: WallTime::default(), facts: Facts::default() };
    rig.session.handle_control(rig.at(3_599_999), heartbeat.clone().into());
    assert_eq!(ended(&rig.outputs()), None);
    rig.session.handle_control(rig.at(3_600_000), heartbeat.into());
    assert_eq!(ended(&rig.outputs()), Some(Code::NOT_ALLOWED));
}

#[test]
fn another_version_is_refused() {
    let mut rig = Rig::new();
    rig.session.handle_control(rig.at(0), Hello { versions: vec![2, 3], ..hello() }.into());
    assert_eq!(ended(&rig.outputs()), Some(Code::VERSION));
}

#[test]
fn nothing_is_acknowledged_before_the_store_has_it() {
    let mut rig = Rig::open();
    rig.batch(1, 0);
    rig.batch(1, 10);
    let out = rig.outputs();
    assert_eq!(delivered(&out), [(1, 0), (2, 10)]);
    assert!(!out.iter().any(|output| matches!(output, Output::Send(FromCollector::Ack(_)))));
    rig.session.handle_outcome(rig.at(4), 1, stored(10));
    rig.session.handle_outcome(rig.at(4), 2, stored(20));
    let ack = Output::Send(Ack { watermark: watermark(20) }.into());
    assert_eq!(rig.outputs(), [ack], "two answers at once are one acknowledgement");
}

#[test]
fn a_gap_is_looked_up_once_all_is_answered_and_the_sensor_told() {
    let mut rig = Rig::open();
    (0..3).for_each(|i| rig.batch(1, i * 10));
    rig.outputs();
    rig.session.handle_outcome(rig.at(4), 1, Some(Outcome::Gap));
    rig.session.handle_outcome(rig.at(4), 2, Some(Outcome::Gap));
    rig.batch(1, 30);
    assert_eq!(rig.outputs(), [], "one is still with the store, and what comes is let go");
    rig.session.handle_outcome(rig.at(4), 3, Some(Outcome::Gap));
    assert_eq!(rig.outputs(), [Output::LookUp(vec![KEY])]);
    rig.session.handle_watermarks(rig.at(5), Some(vec![watermark(7)]));
    let resend = Resend { watermark: watermark(7) };
    assert_eq!(rig.outputs(), [Output::Send(resend.into())]);
    rig.open_wire(2, 7);
    rig.batch(1, 40);
    assert_eq!(rig.outputs(), [], "the old data stream counts no more");
    rig.batch(2, 7);
    assert_eq!(delivered(&rig.outputs()), [(4, 7)]);
}

#[test]
fn a_store_that_is_away_is_asked_again_later() {
    let mut rig = Rig::open();
    rig.batch(1, 0);
    rig.outputs();
    rig.session.handle_outcome(rig.at(4), 1, None);
    assert_eq!(rig.outputs(), []);
    assert_eq!(rig.timeout(1_003), None);
    assert_eq!(rig.session.poll_timeout(), Some(rig.at(1_004).at));
    rig.session.handle_timeout(rig.at(1_004));
    assert_eq!(rig.outputs(), [Output::LookUp(vec![KEY])]);
    rig.session.handle_watermarks(rig.at(1_005), None);
    rig.session.handle_timeout(rig.at(2_005));
    assert_eq!(rig.outputs(), [Output::LookUp(vec![KEY])]);
}

#[test]
fn a_refusal_is_told_before_the_acknowledgement_that_passes_it() {
    let mut rig = Rig::open();
    rig.batch(1, 0);
    rig.outputs();
    let reason = wire::frame::RejectReason::Payload;
    let digest = Digest([3; 32]);
    rig.session.handle_outcome(rig.at(4), 1, Some(Outcome::Rejected { reason, next_seq: 10, digest }));
    let rejected = Rejected { epoch: KEY.0, lane: KEY.1, first_seq: 0, n_events: 10, reason };
    let ack = Ack { watermark: watermark(10) };
    assert_eq!(rig.outputs(), [Output::Send(rejected.into()), Output::Send(ack.into())]);
}

#[test]
fn a_tombstone_whose_digest_does_not_follow_is_a_finding() {
    let mut rig = Rig::open();
    let tombstone = Tombstone { first_seq: 0, n_events: 10, digest: Digest([9; 32]) };
    rig.session.handle_data(rig.at(3), 1, Data::Tombstone(tombstone));
    rig.outputs();
    rig.session.handle_outcome(rig.at(4), 1, stored(10));
    let finding = Finding::BrokenChain { epoch: KEY.0, lane: KEY.1, seq: 0 };
    assert!(rig.outputs().contains(&Output::Finding(finding)));
}

#[test]
fn what_is_older_than_an_epoch_that_was_begun_is_behind() {
    let mut rig = Rig::open();
    let behind = |rig: &mut Rig| {
        let of = |output| match output {
            Output::Deliver { key, is_behind, .. } => Some((key.0, is_behind)),
            _ => None,
        };
        rig.outputs().into_iter().filter_map(of).collect::<Vec<_>>()
    };
    rig.batch(1, 0);
    assert_eq!(behind(&mut rig), [(KEY.0, false)]);
    let newer = Epoch::new(Uuid::max());
    rig.session.handle_wire(rig.at(4), 2);
    rig.session.handle_data(rig.at(4), 2, Data::Open(Open { epoch: newer, lane: KEY.1, from: 0 }));
    rig.batch(1, 10);
    rig.batch(2, 0);
    assert_eq!(behind(&mut rig), [(KEY.0, true), (newer, false)]);
}

#[test]
fn a_smaller_window_holds_back_credit() {
    let mut rig = Rig::open();
    rig.session.handle_window(Credit { bytes: 10, batches: 1 });
    for i in 0..100 {
        rig.batch(1, i * 10);
        rig.session.handle_outcome(rig.at(4), i + 1, stored(i * 10 + 10));
    }
    let out = rig.outputs();
    assert!(!out.iter().any(|output| matches!(output, Output::Send(FromCollector::Credit(_)))));
    assert_eq!(ended(&out), None);
}

#[test]
fn a_sensor_that_begins_beyond_where_it_was_told_is_found_once() {
    let mut rig = Rig::new();
    let held =
        |end| wire::frame::sensor::Held { epoch: KEY.0, lane: KEY.1, acked: 0, digest: Digest::START, end };
    rig.session.handle_control(rig.at(0), Hello { streams: vec![held(50)], ..hello() }.into());
    let watermark = Watermark { epoch: KEY.0, lane: KEY.1, next_seq: 20, digest: Digest::START };
    rig.session.handle_watermarks(rig.at(1), Some(vec![watermark]));
    rig.outputs();
    let skipped = |rig: &mut Rig| {
        let found = |output| match output {
            Output::Finding(Finding::Skipped { told, from, .. }) => Some((told, from)),
            _ => None,
        };
        rig.outputs().into_iter().filter_map(found).collect::<Vec<_>>()
    };
    rig.open_wire(1, 30);
    assert_eq!(skipped(&mut rig), [(20, 30)]);
    rig.open_wire(2, 30);
    assert_eq!(skipped(&mut rig), []);

    let mut honest = Rig::new();
    honest.session.handle_control(honest.at(0), Hello { streams: vec![held(50)], ..hello() }.into());
    honest.session.handle_watermarks(honest.at(1), Some(vec![watermark]));
    honest.open_wire(1, 20);
    assert_eq!(skipped(&mut honest), []);
}

#[test]
fn authorities_are_told_after_the_welcome_and_each_change_once() {
    let told = |n: u8| {
        let first = wire::authority::Endorsed { certificate: vec![n], endorsements: vec![] };
        let issuing = wire::authority::AuthorityId([n; 32]);
        Authorities { authorities: vec![first], issuing, renew_within_s: 0, retired: vec![] }
    };
    let mut rig = Rig::new();
    rig.session.handle_authorities(Arc::new(told(1)));
    assert_eq!(rig.outputs(), []);
    rig.session.handle_control(rig.at(0), hello().into());
    rig.session.handle_watermarks(rig.at(1), Some(vec![]));
    let is_told = |output: &Output| matches!(output, Output::Send(FromCollector::Authorities(_)));
    let out = rig.outputs();
    let welcome = out.iter().position(|o| matches!(o, Output::Send(FromCollector::Welcome(_))));
    let welcome = welcome.expect("a welcome");
    assert_eq!(out.iter().position(is_told), Some(welcome + 1));
    assert!(!rig.outputs().iter().any(is_told));
    rig.session.handle_authorities(Arc::new(told(2)));
    assert_eq!(rig.outputs(), [Output::Send(FromCollector::Authorities(told(2)))]);
}

#[test]
fn what_a_sensor_trusts_is_heard_once_it_is_welcome() {
    let trusts = || wire::authority::Trusts { authorities: vec![wire::authority::AuthorityId([1; 32])] };
    let mut rig = Rig::live();
    rig.session.handle_control(rig.at(2), trusts().into());
    assert_eq!(rig.outputs(), [Output::Trusts(trusts().authorities)]);
    let mut rig = Rig::new();
    rig.session.handle_control(rig.at(0), trusts().into());
    assert_eq!(ended(&rig.outputs()), Some(Code::OUT_OF_ORDER));
}
