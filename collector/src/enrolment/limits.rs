//! How often one address may call the routes that need no token.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Calls a second from one address, and how many at once: a thousand hosts behind one address
/// enrol within two minutes.
const PER_ADDRESS: (u32, u32) = (10, 50);
/// The same for all addresses together.
const ALTOGETHER: (u32, u32) = (200, 400);
/// Refusals written to the audit log: as many as tell of an attack, too few to fill a disk.
const NOTED: (u32, u32) = (1, 60);
/// Above this many addresses, those that have been quiet are forgotten.
const MAX_ADDRESSES: usize = 10_000;

/// The limits on enrolments and renewals, shared by all requests.
#[derive(Debug)]
pub struct Limits {
    by_address: DefaultKeyedRateLimiter<IpAddr>,
    altogether: DefaultDirectRateLimiter,
    noted: DefaultDirectRateLimiter,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            by_address: RateLimiter::keyed(quota(PER_ADDRESS)),
            altogether: RateLimiter::direct(quota(ALTOGETHER)),
            noted: RateLimiter::direct(quota(NOTED)),
        }
    }
}

impl Limits {
    /// Whether a call from this address may go on.
    pub fn admit(&self, address: IpAddr) -> bool {
        if self.by_address.len() > MAX_ADDRESSES {
            self.by_address.retain_recent();
        }
        // The address first: one that asks too often does not use up what the others share.
        self.by_address.check_key(&network(address)).is_ok() && self.altogether.check().is_ok()
    }

    /// Whether a refusal may be written to the audit log.
    pub fn note(&self) -> bool {
        self.noted.check().is_ok()
    }
}

/// What counts as one address: of IPv6 the /64, as whoever has one address has them all.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !0 << 64)),
        v4 => v4,
    }
}

fn quota((per_second, burst): (u32, u32)) -> Quota {
    let at_least_one = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(at_least_one(per_second)).allow_burst(at_least_one(burst))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_held_back_and_another_is_not() {
        let limits = Limits::default();
        let (one, two) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let admitted = (0..1000).filter(|_| limits.admit(one)).count();
        assert!((50..200).contains(&admitted), "{admitted}");
        assert!(limits.admit(two));
    }

    #[test]
    fn a_v6_network_is_one_address() {
        let at = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
    }
}
