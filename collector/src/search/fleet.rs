//! The hosts' names and tags, as searches see them.

use std::collections::BTreeMap;

use bytes::Bytes;
use wire::flat::Outer;
use wire::id::HostId;
use wire::predicate::Predicate;
use wire::time::WallTime;

/// Every host that was ever enrolled, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    hosts: BTreeMap<HostId, Member>,
}

/// What events are shown with of their host.
#[derive(Clone, Debug, Default)]
struct Member {
    name: Bytes,
    tags: Vec<Bytes>,
}

/// A host that cannot be told from what was typed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// There is none of this name or id.
    #[error("host {name:?} not found")]
    Unknown {
        /// What was typed.
        name: String,
    },
    /// There are several of this name.
    #[error("{n} hosts are named {name:?}: {list}", n = ids.len(), list = listed(ids))]
    Ambiguous {
        /// What was typed.
        name: String,
        /// Their ids.
        ids: Vec<HostId>,
    },
}

impl Fleet {
    /// These hosts: id, name, tags.
    pub fn new(hosts: impl IntoIterator<Item = (HostId, String, Vec<String>)>) -> Self {
        let member = |name: String, tags: Vec<String>| Member {
            name: name.into(),
            tags: tags.into_iter().map(Bytes::from).collect(),
        };
        Self { hosts: hosts.into_iter().map(|(id, name, tags)| (id, member(name, tags))).collect() }
    }

    /// What is known of a batch from outside it. A host that is not known has no name.
    pub fn outer(&self, host: HostId, received: WallTime) -> Outer {
        let Member { name, tags } = self.hosts.get(&host).cloned().unwrap_or_default();
        Outer { host, host_name: name, host_tags: tags, received }
    }

    /// A host's name; its id where it is not known.
    pub fn name(&self, host: HostId) -> String {
        match self.hosts.get(&host) {
            Some(member) if !member.name.is_empty() => String::from_utf8_lossy(&member.name).into_owned(),
            _ => host.to_string(),
        }
    }

    /// The host with this id, or the only one with this name.
    ///
    /// # Errors
    /// See [`HostError`].
    pub fn resolve(&self, name: &str) -> Result<HostId, HostError> {
        let shown = || name.chars().take(256).collect::<String>();
        if let Some(id) = name.parse::<HostId>().ok().filter(|id| self.hosts.contains_key(id)) {
            return Ok(id);
        }
        let named = self.hosts.iter().filter(|(_, member)| member.name == name.as_bytes());
        let ids: Vec<HostId> = named.map(|(id, _)| *id).collect();
        match ids.as_slice() {
            [] => Err(HostError::Unknown { name: shown() }),
            [only] => Ok(*only),
            _ => Err(HostError::Ambiguous { name: shown(), ids }),
        }
    }

    /// How many hosts there are.
    pub fn n_hosts(&self) -> usize {
        self.hosts.len()
    }

    /// The hosts that a query can match events of; `None` if it says nothing of hosts.
    pub fn admitted(&self, predicate: &Predicate) -> Option<Vec<HostId>> {
        if !predicate.names_hosts() {
            return None;
        }
        let admits = |host: HostId| predicate.admits_host(&self.outer(host, WallTime::default()));
        let admitted: Vec<HostId> = self.hosts.keys().copied().filter(|host| admits(*host)).collect();
        (admitted.len() < self.hosts.len()).then_some(admitted)
    }
}

fn listed(ids: &[HostId]) -> String {
    ids.iter().map(HostId::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use wire::predicate::Options;

    use super::*;

    fn id(n: u128) -> HostId {
        HostId::new(Uuid::from_u128(n))
    }

    fn fleet() -> Fleet {
        let host = |n, name: &str| (id(n), name.to_owned(), vec![format!("n={n}")]);
        Fleet::new([host(1, "web-1"), host(2, "web-2"), host(3, "web-2")])
    }

    #[test]
    fn two_hosts_of_one_name_are_refused_with_both_ids() {
        let error = fleet().resolve("web-2").expect_err("two");
        assert_eq!(error.to_string(), format!("2 hosts are named \"web-2\": {}, {}", id(2), id(3)));
        assert_eq!(fleet().resolve("web-1"), Ok(id(1)));
        assert_eq!(fleet().resolve(&id(3).to_string()), Ok(id(3)));
        assert!(matches!(fleet().resolve(&id(9).to_string()), Err(HostError::Unknown { .. })));
    }

    #[test]
    fn a_query_narrows_the_hosts() {
        let admitted =
            |text: &str| fleet().admitted(&Predicate::parse(text, &Options::default()).expect("a query"));
        assert_eq!(admitted("host.name:web-1"), Some(vec![id(1)]));
        assert_eq!(admitted("host.name:web-* and process.pid:1"), None);
        assert_eq!(admitted("host.tags:\"n=3\" or host.name:web-1"), Some(vec![id(1), id(3)]));
        assert_eq!(admitted("host.name:web-1 or process.pid:1"), None);
        assert_eq!(admitted("host.name:db"), Some(vec![]));
    }
}
