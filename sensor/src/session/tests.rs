use bytes::Bytes;
use uuid::Uuid;
use wire::batch::{Digest, Sealed};
use wire::frame::collector::Ack;
use wire::frame::data::{Batch, Data};
use wire::frame::sensor::{FromSensor, Held};
use wire::id::{BootId, Lane};

use super::*;

const LIVE: Epoch = Epoch::new(Uuid::from_u128(100));

fn at(ms: u64) -> Now {
    let ns = ms * 1_000_000;
    Now { boot: BootTime::from_ns(ns), wall: WallTime::from_unix_ns(ns as i64) }
}

fn hello() -> Hello {
    Hello {
        versions: vec![],
        sensor_version: "0".into(),
        host_name: "h".into(),
        kernel_release: "6".into(),
        arch: "x".into(),
        boot: BootId::new(Uuid::nil()),
        capabilities: vec![],
        streams: vec![],
    }
}

fn held(epoch: Epoch, lane: Lane, acked: u64, end: u64) -> Held {
    Held { epoch, lane, acked, digest: Digest::START, end }
}

fn epoch(n: u128) -> Epoch {
    Epoch::new(Uuid::from_u128(n))
}

fn watermark(epoch: Epoch, lane: Lane, next_seq: u64, digest: Digest) -> Watermark {
    Watermark { epoch, lane, next_seq, digest }
}

fn welcome(watermarks: Vec<Watermark>) -> FromCollector {
    FromCollector::Welcome(Welcome {
        version: VERSION,
        collector: Uuid::nil(),
        collector_version: "0".into(),
        time: WallTime::default(),
        heartbeat_ms: 1000,
        max_batch_bytes: 1 << 20,
        watermarks,
        credit: Credit { bytes: 1 << 20, batches: 100 },
    })
}

fn batch(first_seq: u64) -> Batch {
    let sealed = Sealed { header: Bytes::new(), payload: Bytes::from(vec![first_seq as u8]) };
    Batch { first_seq, n_events: 10, sealed }
}

/// All outputs, with every wanted parcel answered from batches of ten.
fn outputs(session: &mut Session) -> Vec<Output> {
    let mut all = Vec::new();
    loop {
        all.extend(std::iter::from_fn(|| session.poll_output()));
        let Some(want) = session.poll_want() else { return all };
        session.handle_parcel(want, Some(Parcel::Batch(batch(want.seq / 10 * 10))));
    }
}

fn live_with(streams: Vec<Held>, watermarks: Vec<Watermark>) -> (Session, Vec<Output>) {
    let holdings = Holdings { live: Some(LIVE), streams, ..Holdings::default() };
    let mut session = Session::new(at(0), hello(), &holdings);
    outputs(&mut session);
    session.handle_frame(at(1), welcome(watermarks));
    let out = outputs(&mut session);
    (session, out)
}

fn sent(outputs: &[Output]) -> Vec<(Wire, u64)> {
    let of = |output: &Output| match output {
        Output::Data(wire, Data::Batch(batch)) => Some((*wire, batch.first_seq)),
        _ => None,
    };
    outputs.iter().filter_map(of).collect()
}

fn ended(outputs: &[Output]) -> Option<Code> {
    outputs.iter().find_map(|output| match output {
        Output::Ended { code, .. } => Some(*code),
        _ => None,
    })
}

/// Every deadline up to then is met in time, and nothing comes.
fn run_alone(session: &mut Session, until_ms: u64) -> Option<Code> {
    while let Some(asked) = session.poll_timeout().filter(|asked| *asked <= at(until_ms).boot) {
        session.handle_timeout(Now { boot: asked, wall: WallTime::default() });
        if let Some(code) = ended(&outputs(session)) {
            return Some(code);
        }
    }
    None
}

#[test]
fn nothing_leaves_before_the_welcome_and_no_welcome_ends_it() {
    let streams = vec![held(LIVE, Lane::Bulk, 0, 10)];
    let mut session =
        Session::new(at(0), hello(), &Holdings { live: Some(LIVE), streams, ..Holdings::default() });
    let out = outputs(&mut session);
    assert!(matches!(out.as_slice(), [Output::Control(FromSensor::Hello(h))] if h.streams.len() == 1));
    session.handle_timeout(at(14_999));
    assert_eq!(outputs(&mut session), []);
    session.handle_timeout(at(15_000));
    assert_eq!(ended(&outputs(&mut session)), Some(Code::TOO_SLOW));
    assert_eq!(session.poll_timeout(), None);
}

#[test]
fn a_silent_collector_is_given_up_after_two_heartbeats() {
    let (mut session, _) = live_with(vec![], vec![]);
    assert_eq!(run_alone(&mut session, 2500), None);
    assert_eq!(run_alone(&mut session, 2501), Some(Code::TOO_SLOW));
    let (session, _) = live_with(vec![], vec![]);
    let mut session = session.with_patience(2);
    assert_eq!(run_alone(&mut session, 5000), None);
    assert_eq!(run_alone(&mut session, 5001), Some(Code::TOO_SLOW));
}

#[test]
fn who_overslept_hears_the_collector_out_before_giving_it_up() {
    let (mut session, _) = live_with(vec![], vec![]);
    assert_eq!(run_alone(&mut session, 1500), None);
    session.handle_timeout(at(20_000));
    let out = outputs(&mut session);
    assert_eq!(ended(&out), None);
    assert!(out.contains(&Output::WantFacts), "the heartbeat is late, not left out");
    assert_eq!(run_alone(&mut session, 22_499), None);
    assert_eq!(run_alone(&mut session, 22_500), Some(Code::TOO_SLOW), "it said nothing then either");
}

#[test]
fn an_acknowledgement_with_another_digest_is_a_finding_and_frees_nothing() {
    let (mut session, out) = live_with(vec![held(LIVE, Lane::Bulk, 0, 10)], vec![]);
    assert_eq!(sent(&out).len(), 1);
    let forged = watermark(LIVE, Lane::Bulk, 10, Digest([1; 32]));
    session.handle_frame(at(2), Ack { watermark: forged }.into());
    let out = outputs(&mut session);
    assert!(out.contains(&Output::Finding(Finding::Diverged(forged))));
    assert_eq!(ended(&out), Some(Code::DIGEST));
    assert!(!out.iter().any(|output| matches!(output, Output::Acknowledged { .. })));
}

#[test]
fn what_was_acknowledged_while_we_were_away_is_checked_and_not_sent_again() {
    let digest = Digest::START.after(&batch(0).sealed);
    let here = watermark(LIVE, Lane::Bulk, 10, digest);
    let (_, out) = live_with(vec![held(LIVE, Lane::Bulk, 0, 20)], vec![here]);
    assert_eq!(sent(&out), [(Wire(1), 10)]);
    let stream = StreamKey { epoch: LIVE, lane: Lane::Bulk };
    assert!(out.contains(&Output::Acknowledged { stream, next_seq: 10, digest }));
    assert!(!out.iter().any(|output| matches!(output, Output::Finding(_))));

    let rewritten = watermark(LIVE, Lane::Bulk, 10, Digest([5; 32]));
    let (_, out) = live_with(vec![held(LIVE, Lane::Bulk, 0, 20)], vec![rewritten]);
    assert!(out.contains(&Output::Finding(Finding::Diverged(rewritten))));
    assert_eq!(sent(&out), [(Wire(1), 10)], "the host does not fall silent");
}

#[test]
fn a_collector_ahead_of_us_gets_a_new_epoch() {
    let ahead = watermark(LIVE, Lane::Bulk, 50, Digest([5; 32]));
    let (_, out) = live_with(vec![held(LIVE, Lane::Bulk, 0, 20)], vec![ahead]);
    assert!(out.contains(&Output::Finding(Finding::Ahead { watermark: ahead, end: 20 })));
    assert!(out.contains(&Output::NewEpoch));
    assert_eq!(sent(&out), []);
}

/// A power cut took what the collector has already.
#[test]
fn a_collector_ahead_of_an_epoch_in_doubt_is_no_finding() {
    let old = epoch(1);
    let ahead = watermark(old, Lane::Bulk, 50, Digest([5; 32]));
    for is_in_doubt in [true, false] {
        let in_doubt = if is_in_doubt { vec![old] } else { Vec::new() };
        let holdings = Holdings { live: Some(LIVE), streams: vec![held(old, Lane::Bulk, 0, 20)], in_doubt };
        let mut session = Session::new(at(0), hello(), &holdings);
        session.handle_frame(at(1), welcome(vec![ahead]));
        let out = outputs(&mut session);
        let stream = StreamKey { epoch: old, lane: Lane::Bulk };
        assert!(out.contains(&Output::Acknowledged { stream, next_seq: 50, digest: ahead.digest }));
        let is_found = out.iter().any(|output| matches!(output, Output::Finding(Finding::Ahead { .. })));
        assert_eq!(is_found, !is_in_doubt);
    }
}

#[test]
fn old_streams_drain_behind_the_live_ones_and_yield_to_a_new_epoch() {
    let old: Vec<Held> = (1..=4).map(|n| held(epoch(n), Lane::Critical, 0, 10)).collect();
    let live = |epoch| Lane::ALL.map(|lane| held(epoch, lane, 0, 10));
    let (mut session, out) = live_with([&live(LIVE)[..], &old].concat(), vec![]);
    assert_eq!(sent(&out).len(), 4, "two live lanes and two old streams");
    let later = epoch(200);
    let streams = [&live(later)[..], &old, &live(LIVE)].concat();
    session.handle_holdings(&Holdings { live: Some(later), streams, ..Holdings::default() });
    let out = outputs(&mut session);
    let finished: Vec<_> = out.iter().filter(|output| matches!(output, Output::Finish(_))).collect();
    assert_eq!(finished, [&Output::Finish(Wire(1)), &Output::Finish(Wire(2))]);
    assert_eq!(sent(&out), [(Wire(5), 0), (Wire(6), 0)], "the new epoch is live at once");
    // The first old stream is done: the next one takes its place.
    let done = watermark(epoch(1), Lane::Critical, 10, Digest::START.after(&batch(0).sealed));
    session.handle_frame(at(5), Ack { watermark: done }.into());
    assert_eq!(sent(&outputs(&mut session)), [(Wire(7), 0)]);
}

#[test]
fn no_more_leaves_than_credit_was_given_for() {
    let (mut session, _) = live_with(vec![held(LIVE, Lane::Bulk, 0, 0)], vec![]);
    let streams = vec![held(LIVE, Lane::Bulk, 0, 5000)];
    session.handle_holdings(&Holdings { live: Some(LIVE), streams, ..Holdings::default() });
    let mut n = sent(&outputs(&mut session)).len();
    for _ in 0..200 {
        session.handle_written(Wire(1));
        n += sent(&outputs(&mut session)).len();
    }
    assert_eq!(n, 100);
    session.handle_frame(at(2), Credit { bytes: 2 << 20, batches: 101 }.into());
    assert_eq!(sent(&outputs(&mut session)).len(), 1);
}

#[test]
fn what_an_outage_left_leaves_credit_for_what_happens_now() {
    let streams = |end| vec![held(LIVE, Lane::Bulk, 0, end), held(epoch(1), Lane::Bulk, 0, 5000)];
    let (mut session, out) = live_with(streams(0), vec![]);
    let mut n = sent(&out).len();
    for _ in 0..200 {
        session.handle_written(Wire(1));
        n += sent(&outputs(&mut session)).len();
    }
    assert_eq!(n, 75, "of 100");
    session.handle_holdings(&Holdings { live: Some(LIVE), streams: streams(10), ..Holdings::default() });
    assert_eq!(sent(&outputs(&mut session)), [(Wire(2), 0)]);
}

#[test]
fn a_stream_that_never_gets_on_ends_the_session() {
    let (mut session, _) = live_with(vec![held(LIVE, Lane::Bulk, 0, 10)], vec![]);
    let resend = wire::frame::collector::Resend { watermark: watermark(LIVE, Lane::Bulk, 0, Digest::START) };
    for _ in 0..8 {
        session.handle_frame(at(2), resend.into());
        assert_eq!(sent(&outputs(&mut session)).len(), 1);
    }
    session.handle_frame(at(2), resend.into());
    assert_eq!(ended(&outputs(&mut session)), Some(Code::OUT_OF_ORDER));
    assert!(!session.is_live());
}

#[test]
fn what_is_trusted_is_told_after_the_welcome_and_when_it_changes() {
    let id = |n: u8| AuthorityId([n; 32]);
    let told = |authorities: Vec<AuthorityId>| Output::Control(Trusts { authorities }.into());
    let begun =
        Session::new(at(0), hello(), &Holdings { live: Some(LIVE), streams: vec![], in_doubt: vec![] });
    let mut session = begun.with_trusts(vec![id(1)]);
    assert!(!outputs(&mut session).contains(&told(vec![id(1)])), "not before the welcome");
    session.handle_frame(at(1), welcome(vec![]));
    assert!(outputs(&mut session).contains(&told(vec![id(1)])));
    session.handle_trusts(vec![id(1), id(2)]);
    assert_eq!(outputs(&mut session), [told(vec![id(1), id(2)])]);
    let (mut silent, out) = live_with(vec![], vec![]);
    assert!(!out.iter().any(|o| matches!(o, Output::Control(FromSensor::Trusts(_)))), "nothing to tell");
    silent.handle_trusts(vec![]);
    assert_eq!(outputs(&mut silent), []);
}

#[test]
fn what_a_collector_says_of_authorities_is_handed_on() {
    let first = wire::authority::Endorsed { certificate: vec![1], endorsements: vec![] };
    let authorities = wire::authority::Authorities {
        authorities: vec![first],
        issuing: AuthorityId([1; 32]),
        renew_within_s: 10,
        retired: vec![],
    };
    let (mut session, _) = live_with(vec![], vec![]);
    session.handle_frame(at(2), FromCollector::Authorities(authorities.clone()));
    assert_eq!(outputs(&mut session), [Output::Authorities(authorities)]);
}
