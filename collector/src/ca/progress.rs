//! How far a rotation is, and what may happen next. Pure.
//!
//! 1. One collector has made the next authority; its files are brought to the others. All go on making certificates with the
//!    old one, and tell sensors to trust both.
//! 2. Every collector holds it: it certifies hosts from now on, who renew within a while.
//! 3. Every host has a certificate of it and trusts it: the rotation can be finished, on one collector after the other. What
//!    no collector holds any more, sensors forget.

use wire::authority::{AuthorityId, MAX_RETIRED};

use super::Authority;
use crate::store::Stamp;
use crate::store::authorities::Holder;
use crate::store::hosts::HostRecord;

/// A collector that has said nothing for so long is not waited for.
pub const GONE_US: i64 = 10 * 60 * 1_000_000;
/// How long after its end a certificate still renews; see [`crate::enrolment::renew`].
const GRACE_US: i64 = 90 * 86_400 * 1_000_000;
/// So many hosts are to renew in a second, and within which bounds all of them, in seconds.
const PER_SECOND: usize = 50;
const WITHIN_S: (u32, u32) = (10, 3600);

/// The collectors that do not hold this authority.
pub fn lacking(next: AuthorityId, holders: &[Holder]) -> Vec<&Holder> {
    holders.iter().filter(|holder| !holder.held.contains(&next)).collect()
}

/// The hosts that would have to be enrolled again if only this authority counted: those that have not connected by a
/// certificate of it, or do not trust it. Those revoked, and those that are too late to renew in any case, are left out.
pub fn left<'a>(next: &Authority, hosts: &'a [HostRecord], now: Stamp) -> Vec<&'a HostRecord> {
    let (id, key) = (next.id(), next.key_id());
    let may_renew = |host: &HostRecord| host.certified_until.plus_us(GRACE_US) >= now;
    let is_left =
        |host: &HostRecord| host.issuer.as_deref() != Some(key.as_slice()) || !host.trusts.contains(&id);
    hosts.iter().filter(|host| host.revoked.is_none() && may_renew(host) && is_left(host)).collect()
}

/// What hosts trust and no collector holds.
pub fn retired(trusted: &[AuthorityId], holders: &[Holder]) -> Vec<AuthorityId> {
    let is_held = |id: &AuthorityId| holders.iter().any(|holder| holder.held.contains(id));
    let mut retired: Vec<AuthorityId> = trusted.iter().copied().filter(|id| !is_held(id)).collect();
    retired.sort_unstable();
    retired.dedup();
    retired.truncate(MAX_RETIRED);
    retired
}

/// Within how many seconds so many hosts are to renew.
pub fn renew_within_s(n_hosts: usize) -> u32 {
    let (least, most) = WITHIN_S;
    u32::try_from(n_hosts / PER_SECOND).unwrap_or(most).clamp(least, most)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use time::OffsetDateTime;
    use uuid::Uuid;
    use wire::id::HostId;

    use super::*;

    const NOW: Stamp = Stamp::from_unix_us(1_700_000_000_000_000);
    const OLD: AuthorityId = AuthorityId([1; 32]);

    fn holder(n: u128, held: &[AuthorityId]) -> Holder {
        let name = format!("c-{n}");
        Holder { collector: Uuid::from_u128(n), name, serving: OLD, held: held.to_vec(), seen: NOW }
    }

    fn host(n: u128, issuer: &[u8], trusts: &[AuthorityId]) -> HostRecord {
        HostRecord {
            issuer: Some(issuer.to_vec()),
            trusts: trusts.to_vec(),
            ..HostRecord::named(HostId::new(Uuid::from_u128(n)), "a-host", NOW)
        }
    }

    #[test]
    fn a_host_is_left_until_it_both_shows_and_trusts_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let next = Authority::open_or_create(folder.path(), OffsetDateTime::now_utc()).unwrap();
        let (id, key) = (next.id(), next.key_id());
        assert_eq!(key.len(), 20);
        let mut hosts = [
            host(1, &key, &[OLD, id]),
            host(2, b"old", &[OLD, id]),
            // Its sensor is too old to be told: it has the certificate, and would not know the collector any more.
            host(3, &key, &[OLD]),
            HostRecord { revoked: Some(NOW), ..host(4, b"old", &[OLD]) },
            HostRecord { certified_until: NOW.plus_us(-GRACE_US - 1), ..host(5, b"old", &[OLD]) },
            HostRecord { certified_until: NOW.plus_us(-GRACE_US), ..host(6, b"old", &[OLD]) },
        ];
        hosts.iter_mut().take(4).for_each(|host| host.certified_until = NOW);
        let names: Vec<u128> = left(&next, &hosts, NOW).iter().map(|host| host.id.uuid().as_u128()).collect();
        assert_eq!(names, [2, 3, 6]);
    }

    #[test]
    fn what_no_collector_holds_is_forgotten() {
        let next = AuthorityId([2; 32]);
        let hosts = [OLD, next, next];
        assert_eq!(retired(&hosts, &[holder(1, &[next]), holder(2, &[OLD, next])]), []);
        assert_eq!(retired(&hosts, &[holder(1, &[next]), holder(2, &[next])]), [OLD]);
        let holders = [holder(1, &[OLD, next]), holder(2, &[OLD])];
        assert_eq!(lacking(next, &holders), [&holders[1]]);
    }

    #[test]
    fn a_large_fleet_takes_its_time() {
        assert_eq!([0, 1_000, 10_000, 1_000_000].map(renew_within_s), [10, 20, 200, 3600]);
    }
}
