//! Gathers deliveries into groups that are stored together: what happens now first, and a share of what comes after an outage.

use std::time::{Duration, Instant};

use crate::listener::{Arrivals, Delivery};

/// How long the first of a group waits for others, so that quiet hosts share a commit.
const GATHER: Duration = Duration::from_millis(20);
/// A group is full with this many deliveries, or bytes.
const GROUP_DELIVERIES: usize = 2048;
pub(super) const GROUP_BYTES: u64 = 1 << 20;
/// So much of it may be what comes after an outage: groups that hold little are stored soon, and with them what happens now.
const BEHIND_DELIVERIES: usize = 512;
const BEHIND_BYTES: u64 = 512 << 10;
/// So many of that are taken, if they are there, however much happens now.
const BEHIND_LEAST: usize = 64;

/// The next group; `None` when there will be no more. `last`: when the one before was gathered.
pub(super) async fn gather(arrivals: &mut Arrivals, last: Instant) -> Option<Vec<Delivery>> {
    let mut group = Gathered::default();
    group.add(arrivals.next().await?);
    for _ in 0..BEHIND_LEAST {
        let Some(delivery) = arrivals.try_behind() else { break };
        group.add(delivery);
    }
    let until = last + GATHER;
    while !group.is_full() {
        let waiting = arrivals.try_live().or_else(|| arrivals.try_behind());
        let next = match waiting {
            Some(next) => Some(next),
            None => tokio::time::timeout_at(until.into(), arrivals.next()).await.ok().flatten(),
        };
        let Some(next) = next else { break };
        group.add(next);
    }
    Some(group.deliveries)
}

#[derive(Default)]
struct Gathered {
    deliveries: Vec<Delivery>,
    n_bytes: u64,
    n_behind: usize,
    n_bytes_behind: u64,
}

impl Gathered {
    fn add(&mut self, delivery: Delivery) {
        let n_bytes = delivery.item.n_bytes();
        self.n_bytes += n_bytes;
        if delivery.is_behind {
            self.n_behind += 1;
            self.n_bytes_behind += n_bytes;
        }
        self.deliveries.push(delivery);
    }

    fn is_full(&self) -> bool {
        self.deliveries.len() >= GROUP_DELIVERIES
            || self.n_bytes >= GROUP_BYTES
            || self.n_behind >= BEHIND_DELIVERIES
            || self.n_bytes_behind >= BEHIND_BYTES
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use tokio::sync::oneshot;
    use uuid::Uuid;
    use wire::batch::Digest;
    use wire::id::{Epoch, HostId, Lane};
    use wire::time::WallTime;

    use super::*;
    use crate::listener::{HostIdentity, Item, intake};

    fn delivery(is_behind: bool) -> Delivery {
        Delivery {
            host: HostIdentity { host: HostId::new(Uuid::nil()), serial: [0; 16], not_after: 0 },
            host_name: "h".into(),
            received_at: WallTime::default(),
            is_behind,
            epoch: Epoch::new(Uuid::nil()),
            lane: Lane::Bulk,
            item: Item::Tombstone { first_seq: 0, n_events: 1, digest: Digest::START },
            reply: oneshot::channel().0,
        }
    }

    /// How many are in the next group, and how many of them are behind.
    async fn next(arrivals: &mut Arrivals) -> (usize, usize) {
        let group = gather(arrivals, Instant::now()).await.unwrap();
        (group.len(), group.iter().filter(|delivery| delivery.is_behind).count())
    }

    #[tokio::test]
    async fn what_happens_now_is_in_the_next_group_however_much_comes_after_an_outage() {
        let (into, mut arrivals) = intake(4096);
        for _ in 0..2000 {
            into.send(delivery(true)).await.unwrap();
        }
        assert_eq!(next(&mut arrivals).await, (BEHIND_DELIVERIES, BEHIND_DELIVERIES));
        for _ in 0..700 {
            into.send(delivery(false)).await.unwrap();
        }
        assert_eq!(next(&mut arrivals).await, (700 + BEHIND_DELIVERIES, BEHIND_DELIVERIES));
    }

    #[tokio::test]
    async fn what_comes_after_an_outage_gets_a_share_however_much_happens_now() {
        let (into, mut arrivals) = intake(4096);
        into.send(delivery(true)).await.unwrap();
        for _ in 0..4000 {
            into.send(delivery(false)).await.unwrap();
        }
        assert_eq!(next(&mut arrivals).await, (GROUP_DELIVERIES, 1));
        drop(into);
        let (rest, behind) = next(&mut arrivals).await;
        assert_eq!((rest, behind), (4001 - GROUP_DELIVERIES, 0));
        assert!(gather(&mut arrivals, Instant::now()).await.is_none(), "that was all");
    }
}
