//! Which shares of the hosts a collector should have. Pure.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::store::leases::Share;

/// What is known when it is decided.
pub(super) struct Seen<'a> {
    /// Those this collector has.
    pub(super) held: &'a BTreeSet<Share>,
    /// Those that others have, and that have not run out.
    pub(super) others: &'a BTreeSet<Share>,
    /// How many other collectors export, and can.
    pub(super) n_others: usize,
    /// Whether this one can.
    pub(super) works: bool,
    /// This run of this collector.
    pub(super) run: Uuid,
}

/// What is to be done about them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Plan {
    /// To be taken or kept.
    pub(super) keep: BTreeSet<Share>,
    /// To be given up, once what is on its way has arrived.
    pub(super) give_up: BTreeSet<Share>,
}

/// As many for each collector that can export as for the others, and nothing for one that cannot while another can.
pub(super) fn plan(seen: &Seen<'_>) -> Plan {
    let n = match (seen.works, seen.n_others) {
        (_, 0) => Share::N,
        (true, others) => Share::N.div_ceil(others + 1),
        (false, _) => 0,
    };
    let mut keep: BTreeSet<Share> = seen.held.iter().copied().take(n).collect();
    let give_up = seen.held.difference(&keep).copied().collect();
    // Two that begin at once do not both want the first.
    let start = (seen.run.as_u128() % Share::N as u128) as usize;
    let free = Share::all().cycle().skip(start).take(Share::N);
    for share in free.filter(|share| !seen.others.contains(share) && !seen.held.contains(share)) {
        if keep.len() >= n {
            break;
        }
        keep.insert(share);
    }
    Plan { keep, give_up }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(n: usize) -> BTreeSet<Share> {
        Share::all().take(n).collect()
    }

    fn check(held: usize, others: &BTreeSet<Share>, n_others: usize, works: bool) -> (usize, usize) {
        let held = first(held);
        let plan = plan(&Seen { held: &held, others, n_others, works, run: Uuid::from_u128(5) });
        assert!(plan.keep.is_disjoint(others) && plan.keep.is_disjoint(&plan.give_up));
        (plan.keep.len(), plan.give_up.len())
    }

    #[test]
    fn one_collector_has_all_and_two_have_half_each() {
        let none = BTreeSet::new();
        assert_eq!(check(0, &none, 0, true), (16, 0));
        assert_eq!(check(16, &none, 1, true), (8, 8));
        let second_half: BTreeSet<Share> = Share::all().skip(8).collect();
        assert_eq!(check(8, &second_half, 1, true), (8, 0));
        assert_eq!(check(0, &second_half, 1, true), (8, 0));
        // What a dead one had runs out, and is taken.
        assert_eq!(check(8, &none, 0, true), (16, 0));
        assert_eq!(check(6, &none, 2, true), (6, 0));
    }

    #[test]
    fn one_that_cannot_export_leaves_it_to_others() {
        let none = BTreeSet::new();
        assert_eq!(check(8, &none, 1, false), (0, 8));
        assert_eq!(check(16, &none, 0, false), (16, 0), "nobody else can either");
    }
}
