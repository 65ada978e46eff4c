use proptest::prelude::*;

use super::*;

const NOW: BootTime = BootTime::from_ns(1_000_000_000);
const LATER: BootTime = BootTime::from_ns(1_000_000_000 + SETTLE_NS);

fn place(seq: u64) -> Place {
    Place { class: Class::Bulk, cpu: 0, seq }
}

fn ledger(generated: u64, lost: u64, dropped: u64) -> Ledger {
    Ledger { generated, lost, dropped, merged: 0 }
}

fn fresh() -> Account {
    Account::new(Start::Fresh, NOW)
}

#[test]
fn a_record_that_overtook_another_makes_no_loss() {
    let mut account = fresh();
    for seq in [0, 2, 1, 4, 3] {
        assert!(account.arrived(place(seq), NOW), "{seq}");
    }
    account.settle(LATER);
    assert_eq!(account.ledger(Lane::Bulk), ledger(5, 0, 0));
    assert_eq!(account.ledger(Lane::Critical), Ledger::default());
}

#[test]
fn a_number_that_never_comes_is_lost_and_stays_lost() {
    let mut account = fresh();
    account.arrived(place(0), NOW);
    account.arrived(place(5), NOW);
    assert_eq!(account.ledger(Lane::Bulk), ledger(2, 0, 0), "not yet");
    account.settle(LATER);
    assert_eq!(account.ledger(Lane::Bulk), ledger(6, 4, 0));
    assert!(!account.arrived(place(3), LATER), "too late");
    assert!(!account.arrived(place(5), LATER), "twice");
    assert_eq!(account.ledger(Lane::Bulk), ledger(6, 4, 0));
}

#[test]
fn loss_at_the_end_is_seen_in_the_kernels_counter() {
    let mut account = fresh();
    account.arrived(place(0), NOW);
    account.reached(Class::Bulk, 0, 4, NOW);
    account.reached(Class::Bulk, 1, 2, NOW);
    assert!(account.arrived(place(1), NOW), "was on its way");
    account.settle(LATER);
    assert_eq!(account.ledger(Lane::Bulk), ledger(6, 4, 0));
    account.arrived(place(4), LATER);
    assert_eq!(account.ledger(Lane::Bulk), ledger(7, 4, 0));
}

#[test]
fn skipped_runs_are_lost_and_own_events_generated() {
    let mut account = fresh();
    account.skipped(Class::Process, 3);
    account.own(Lane::Critical);
    assert_eq!(account.ledger(Lane::Critical), ledger(4, 3, 0));
}

#[test]
fn what_a_crash_lost_is_booked_by_the_next_sensor() {
    let mut before = fresh();
    for seq in [0, 1, 3] {
        before.arrived(place(seq), NOW);
    }
    let sealed = Positions { clean: false, sequences: [vec![], before.positions(Class::Bulk), vec![]] };
    // 4 to 8 arrived there, but were not sealed. While no sensor ran, 10 and 11 found no room.
    let mut after = Account::new(Start::Resumed(sealed), NOW);
    after.arrived(place(9), NOW);
    after.arrived(place(12), NOW);
    after.settle(LATER);
    assert_eq!(after.ledger(Lane::Bulk), ledger(10, 2, 6));
}

#[test]
fn a_crash_before_anything_was_sealed_is_booked_from_the_first_record_on() {
    let begun = Positions { clean: false, sequences: Default::default() };
    let mut after = Account::new(Start::Resumed(begun), NOW);
    after.arrived(place(500), NOW);
    after.settle(LATER);
    assert_eq!(after.ledger(Lane::Bulk), ledger(501, 0, 500));
}

#[test]
fn after_a_stop_in_good_order_what_is_missing_was_lost() {
    let position = Position { cpu: 0, next: 4, gaps: vec![] };
    let sealed = Positions { clean: true, sequences: [vec![], vec![position], vec![]] };
    let mut after = Account::new(Start::Resumed(sealed), NOW);
    after.arrived(place(9), NOW);
    after.settle(LATER);
    assert_eq!(after.ledger(Lane::Bulk), ledger(6, 5, 0));
}

#[test]
fn without_a_trace_of_the_sensor_before_counting_starts_at_the_first_record() {
    let mut account = Account::new(Start::Unknown, NOW);
    account.arrived(place(1000), NOW);
    account.arrived(place(1002), NOW);
    account.reached(Class::Bulk, 7, 500, NOW);
    account.settle(LATER);
    assert_eq!(account.ledger(Lane::Bulk), ledger(3, 1, 0));
}

#[test]
fn damaged_positions_do_no_harm() {
    let gaps = vec![(5, 2), (0, 0), (3, 4), (1, 9), (8, u64::MAX)];
    let position = Position { cpu: 0, next: 10, gaps };
    let sealed = Positions { clean: false, sequences: [vec![], vec![position], vec![]] };
    let mut account = Account::new(Start::Resumed(sealed), NOW);
    account.arrived(place(u64::MAX), NOW);
    account.arrived(place(u64::MAX), NOW);
    account.reached(Class::Bulk, 0, u64::MAX, NOW);
    account.settle(BootTime::from_ns(u64::MAX));
    let ledger = account.ledger(Lane::Bulk);
    assert_eq!(ledger.residue(2, 0), 0, "{ledger:?}");
}

proptest! {
    #[test]
    fn the_equation_holds_whatever_arrives(
        steps in proptest::collection::vec(
            (0..8u8, 0..3u32, 0..200u64, 0..4_000_000_000u64), 0..300,
        ),
    ) {
        let mut account = fresh();
        let (mut now, mut stored, mut dropped) = (NOW, 0u64, 0u64);
        for (step, cpu, seq, pass) in steps {
            now = BootTime::from_ns(now.ns() + pass);
            match step {
                0 => account.settle(now),
                1 => account.reached(Class::Bulk, cpu, seq, now),
                2 => { account.own(Lane::Bulk); stored += 1 }
                3 if stored > dropped => { account.dropped(Lane::Bulk, 1); dropped += 1 }
                _ => stored += u64::from(account.arrived(Place { cpu, ..place(seq) }, now)),
            }
            prop_assert_eq!(account.ledger(Lane::Bulk).residue(stored - dropped, 0), 0);
        }
    }

    #[test]
    fn every_number_is_counted_once_in_the_end(
        lost in proptest::collection::btree_set(0..300u64, 0..100),
        overtakers in proptest::collection::btree_set(0..299u64, 0..100),
    ) {
        let mut order: Vec<u64> = (0..300).collect();
        for at in overtakers {
            order.swap(at as usize, at as usize + 1);
        }
        let mut account = fresh();
        for (i, seq) in order.into_iter().enumerate() {
            if !lost.contains(&seq) {
                prop_assert!(account.arrived(place(seq), BootTime::from_ns(i as u64)));
            }
        }
        account.reached(Class::Bulk, 0, 300, NOW);
        account.settle(BootTime::from_ns(u64::MAX));
        prop_assert_eq!(account.ledger(Lane::Bulk), ledger(300, lost.len() as u64, 0));
    }
}

#[test]
fn what_has_not_come_when_numbers_begin_anew_does_not_come() {
    let mut account = fresh();
    account.arrived(place(0), NOW);
    account.arrived(place(3), NOW);
    account.reached(Class::Bulk, 1, 2, NOW);
    account.begin_numbering(Start::Fresh, NOW);
    assert_eq!(account.ledger(Lane::Bulk), ledger(6, 4, 0), "1 and 2 of one CPU, 0 and 1 of the other");
    assert!(account.arrived(place(0), NOW), "the same number is another record");
    account.arrived(place(2), NOW);
    account.settle(LATER);
    assert_eq!(account.ledger(Lane::Bulk), ledger(9, 5, 0));
    assert_eq!(account.positions(Class::Bulk), [Position { cpu: 0, next: 3, gaps: vec![] }]);
}
