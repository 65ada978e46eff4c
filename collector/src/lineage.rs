//! The tree of a process: its ancestors to the root, then its descendants, on one host.
//!
//! The shape comes from the narrow `process` rows and is decided in [`forest`], which is pure; command lines and
//! the like are read out of the batches that the rows came with ([`details`]), exit codes by a search.
//! Rows are what hosts claim: cycles are cut, and depth and number are bounded.

use std::sync::Arc;

use wire::id::{EntityId, HostId};
use wire::time::WallTime;

use crate::search::{Engine, Failure, Fleet};
use crate::store::reader::Reader;
use crate::store::{Stamp, StoreError, process};

mod details;
mod exits;
pub mod forest;

pub use forest::{Node, Notice};

/// Whatever lives is announced again within this time: who had an id is looked for here first.
const ANNOUNCED_US: i64 = 2 * 86_400_000_000;

/// Which process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The one with this id, on whichever host, or on this one.
    Entity {
        /// Its id.
        entity: EntityId,
        /// Its host.
        host: Option<HostId>,
    },
    /// The latest that had this process id on this host, at `at` or before.
    Pid {
        /// The host.
        host: HostId,
        /// The process id.
        pid: u32,
        /// When.
        at: WallTime,
    },
}

/// A process and what is above and below it.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The process that was asked for.
    pub entity: EntityId,
    /// Its host.
    pub host: HostId,
    /// From the root down, each before its children.
    pub nodes: Vec<Node>,
    /// What was cut, or could not be told.
    pub notices: Vec<Notice>,
}

/// Why there is no tree.
#[derive(Debug, thiserror::Error)]
pub enum LineageError {
    /// Nothing is known of such a process.
    #[error("no process {0} is known")]
    UnknownEntity(EntityId),
    /// Nothing is known of a process with this id.
    #[error("no process with pid {pid} is known on that host at that time")]
    UnknownPid {
        /// The process id.
        pid: u32,
    },
    /// Two hosts have a process of this id, by chance or not.
    #[error("process {entity} is on {n} hosts: {list}", n = hosts.len(), list = listed(hosts))]
    Ambiguous {
        /// The id.
        entity: EntityId,
        /// The hosts.
        hosts: Vec<HostId>,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A search failed.
    #[error(transparent)]
    Search(#[from] Failure),
}

/// The tree of a process.
///
/// # Errors
/// See [`LineageError`].
///
/// # Cancel safety
/// Dropped, it stops, in the database too.
pub async fn tree(engine: &Engine, fleet: &Arc<Fleet>, asked: &Asked) -> Result<Tree, LineageError> {
    let mut reader = engine.readers().open().await?;
    let (host, entity) = match asked {
        Asked::Entity { entity, host: Some(host) } => (*host, *entity),
        Asked::Entity { entity, host: None } => (host_of(&mut reader, *entity).await?, *entity),
        Asked::Pid { host, pid, at } => (*host, by_pid(&mut reader, *host, *pid, *at).await?),
    };
    let mut forest = forest::Forest::new(entity);
    while let Some(wanted) = forest.wanted() {
        let rows = match &wanted {
            forest::Wanted::Processes(entities) => {
                process::of_host(reader.conn()?, host, entities, forest::MAX_ROWS).await?
            }
            forest::Wanted::ChildrenOf(parents) => {
                process::children(reader.conn()?, host, parents, forest::MAX_ROWS).await?
            }
        };
        forest.add(&wanted, rows);
    }
    let Some((mut nodes, mut notices)) = forest.finish() else {
        return Err(LineageError::UnknownEntity(entity));
    };
    details::add(&mut reader, fleet, host, &mut nodes, &mut notices).await?;
    reader.close();
    exits::add(engine, fleet, host, &mut nodes, &mut notices).await?;
    Ok(Tree { entity, host, nodes, notices })
}

/// The only host that has such a process.
async fn host_of(reader: &mut Reader, entity: EntityId) -> Result<HostId, LineageError> {
    let rows = process::anywhere(reader.conn()?, &[entity], forest::MAX_ROWS).await?;
    let mut hosts: Vec<HostId> = rows.iter().map(|row| row.host).collect();
    hosts.sort_unstable();
    hosts.dedup();
    match hosts.as_slice() {
        [] => Err(LineageError::UnknownEntity(entity)),
        [host] => Ok(*host),
        _ => Err(LineageError::Ambiguous { entity, hosts }),
    }
}

/// The latest process with an id, by the rows: each subject of an event has one, and its parent.
async fn by_pid(reader: &mut Reader, host: HostId, pid: u32, at: WallTime) -> Result<EntityId, LineageError> {
    let until = Stamp::ceil(at);
    let announced = until.plus_us(-ANNOUNCED_US);
    let mut row = process::by_pid(reader.conn()?, host, pid, announced, until).await?;
    if row.is_none() {
        row = process::by_pid(reader.conn()?, host, pid, Stamp::from_unix_us(0), announced).await?;
    }
    row.map(|row| row.entity).ok_or(LineageError::UnknownPid { pid })
}

fn listed(hosts: &[HostId]) -> String {
    hosts.iter().map(HostId::to_string).collect::<Vec<_>>().join(", ")
}
