//! DNS messages on their way through: a record may complete no event, or several, and some events come of time passing.

use wire::id::Lane;
use wire::time::BootTime;

use super::{Pipeline, sealer};
use crate::dns::Told;
use crate::record::Dns;
use crate::seal::Who;
use crate::user::Names;

impl Pipeline {
    /// Tells what was held back. What is to come is not told together with what came before, then.
    pub fn finish(&mut self, names: &Names, now: BootTime) {
        let told = self.dns.finish(now);
        self.tell_late(told, names, now);
    }

    /// TCP streams to DNS servers that could not be read to their end, as something was missing.
    pub fn n_dns_given_up(&self) -> u64 {
        self.dns.n_given_up()
    }

    /// A record that completes no event is part of one that comes later, or stands for it.
    pub(super) fn take_dns(
        &mut self,
        (lane, dns): (Lane, &Dns<'_>),
        time: BootTime,
        names: &Names,
        now: BootTime,
    ) {
        let told = self.dns.take(dns, time);
        if told.is_empty() {
            self.account.merged(lane, 1);
        }
        for (n, told) in told.into_iter().enumerate() {
            if n > 0 {
                self.account.own(lane);
            }
            self.push_dns(lane, told, names, now);
        }
    }

    pub(super) fn expire_dns(&mut self, names: &Names, now: BootTime) {
        let told = self.dns.expire(now);
        self.tell_late(told, names, now);
    }

    /// The records of these events were booked when they came, as part of others'.
    fn tell_late(&mut self, all: Vec<Told>, names: &Names, now: BootTime) {
        for told in all {
            self.account.own(Lane::Bulk);
            if self.shedding {
                self.account.dropped(Lane::Bulk, 1);
            } else {
                self.push_dns(Lane::Bulk, told, names, now);
            }
        }
    }

    fn push_dns(&mut self, lane: Lane, told: Told, names: &Names, now: BootTime) {
        let node = self.table.named(told.task, now);
        let who = Some(Who { node, image: None, ran: None });
        sealer(&mut self.critical, &mut self.bulk, lane).push(&told.event, who, &mut self.table, names, now);
        self.seal_if_due(lane, names, now);
    }
}
