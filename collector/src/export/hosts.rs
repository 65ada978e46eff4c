//! What records say of hosts: names, tags, and what a sensor says of its host.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wire::flat::Outer;
use wire::id::HostId;
use wire::time::WallTime;

use crate::record::HostFacts;
use crate::store::{Pool, StoreError, hosts};

/// For how long they are taken from memory.
const AGE: Duration = Duration::from_secs(30);
/// How often they are asked for at most, for the sake of a host that is not among them.
const PAUSE: Duration = Duration::from_secs(2);

/// A host.
#[derive(Clone, Debug, Default)]
struct Known {
    name: Bytes,
    tags: Vec<Bytes>,
    facts: HostFacts,
}

/// All hosts, as they were some seconds ago.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    known: Arc<HashMap<HostId, Known>>,
    asked: Option<Instant>,
}

/// The same, for the threads that write records.
#[derive(Clone, Debug)]
pub(super) struct Shown(Arc<HashMap<HostId, Known>>);

impl Hosts {
    /// Those that are known when these are wanted.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn shown(
        &mut self,
        pool: &Pool,
        mut wanted: impl Iterator<Item = HostId>,
    ) -> Result<Shown, StoreError> {
        let age = self.asked.map(|at| at.elapsed());
        let is_old = age.is_none_or(|age| age > AGE);
        let may_ask = age.is_none_or(|age| age > PAUSE);
        if is_old || (may_ask && wanted.any(|host| !self.known.contains_key(&host))) {
            let records = hosts::all(pool).await?;
            let known = records.into_iter().map(|record| {
                let facts = HostFacts {
                    kernel: record.kernel,
                    arch: record.arch,
                    sensor_version: record.sensor_version,
                    address: record.address,
                };
                let tags = record.tags.into_iter().map(Bytes::from).collect();
                (record.id, Known { name: record.name.into(), tags, facts })
            });
            self.known = Arc::new(known.collect());
            self.asked = Some(Instant::now());
        }
        Ok(Shown(Arc::clone(&self.known)))
    }
}

impl Shown {
    /// What is known of a batch from outside it. A host that is not known has no name.
    pub(super) fn outer(&self, host: HostId, received: WallTime) -> (Outer, HostFacts) {
        let Known { name, tags, facts } = self.0.get(&host).cloned().unwrap_or_default();
        (Outer { host, host_name: name, host_tags: tags, received }, facts)
    }
}
