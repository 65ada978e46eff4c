//! What becomes of a first packet, from how many handshakes are in progress. Pure.

use super::ListenerLimits;

/// Handshakes in progress, of clients whose address is proven, and of others.
#[derive(Clone, Copy, Debug)]
pub(super) struct InProgress {
    pub(super) proven: usize,
    pub(super) unproven: usize,
}

/// What becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entry {
    /// The handshake begins.
    Begin,
    /// The client has to prove its address first.
    Prove,
    /// There is too much to do already.
    Refuse,
}

/// Decides it, when `most` handshakes may be in progress. Those who send from addresses that are not theirs can take
/// the places of unproven ones only: whoever is there in truth proves it, and has places of its own.
pub(super) fn decide(is_proven: bool, now: InProgress, most: usize, limits: &ListenerLimits) -> Entry {
    let unproven = limits.retry_above.min(most / 2);
    let proven = most - unproven;
    match is_proven {
        true if now.proven < proven => Entry::Begin,
        false if now.unproven < unproven => Entry::Begin,
        false if now.proven < proven => Entry::Prove,
        _ => Entry::Refuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_made_up_addresses_keeps_nobody_out_who_is_there() {
        let limits = ListenerLimits::default();
        for most in [limits.max_handshakes, limits.max_handshakes_late] {
            let entry = |is_proven, proven, unproven| {
                decide(is_proven, InProgress { proven, unproven }, most, &limits)
            };
            assert_eq!(entry(false, 0, 0), Entry::Begin);
            // However many there were before it was late.
            let flood = limits.retry_above;
            assert_eq!(entry(false, 0, flood), Entry::Prove, "{most}");
            assert_eq!(entry(true, 0, flood), Entry::Begin, "{most}");
            assert_eq!(entry(true, most, flood), Entry::Refuse);
            assert_eq!(entry(false, most, flood), Entry::Refuse, "proof would be for nothing");
            let begun = |is_proven| (0..).take_while(|n| entry(is_proven, *n, *n) == Entry::Begin).count();
            assert_eq!(begun(true) + begun(false), most, "both together");
        }
    }
}
