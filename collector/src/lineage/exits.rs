//! Which processes of a tree have ended, by a search for their exits.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use wire::field::Field;
use wire::id::HostId;
use wire::time::WallTime;
use wire::value::Value;

use super::forest::{Node, Notice, State};
use crate::search::{Answer, Engine, Failure, Fleet, Progress, Request, Search};

/// A tree is shown without exits rather than later than this.
const PATIENCE: Duration = Duration::from_secs(3);
/// Exits of so many processes are looked for, the lowest of the tree first.
const MAX_PROCESSES: usize = 1_000;

/// Fills in the nodes' states.
pub(super) async fn add(
    engine: &Engine,
    fleet: &Arc<Fleet>,
    host: HostId,
    nodes: &mut [Node],
    notices: &mut Vec<Notice>,
) -> Result<(), Failure> {
    let looked_for = nodes.len().min(MAX_PROCESSES);
    let Some(search) = search(fleet, host, nodes.iter().rev().take(looked_for)) else { return Ok(()) };
    let running = engine.run(Arc::new(search), Arc::clone(fleet), Arc::<Progress>::default());
    let Ok(outcome) = tokio::time::timeout(PATIENCE, running).await else {
        notices.push(Notice::NoExits);
        return Ok(());
    };
    let mut codes: HashMap<String, Option<i64>> = HashMap::new();
    if let Answer::Events(events) = outcome?.answer {
        for event in events {
            if let Some(Value::Keyword(entity)) = event.row.get(Field::ProcessEntityId) {
                let code = match event.row.get(Field::ProcessExitCode) {
                    Some(Value::Int(code)) => Some(*code),
                    _ => None,
                };
                codes.insert(String::from_utf8_lossy(entity).into_owned(), code);
            }
        }
    }
    for node in nodes.iter_mut().rev().take(looked_for) {
        node.state = match codes.get(&node.row.entity.to_string()) {
            Some(code) => State::Exited { code: *code },
            None => State::Running,
        };
        if let State::Exited { code: Some(code) } = node.state {
            node.fields.set(Field::ProcessExitCode, Value::Int(code));
        }
    }
    Ok(())
}

fn search<'a>(fleet: &Fleet, host: HostId, nodes: impl Iterator<Item = &'a Node>) -> Option<Search> {
    let (mut entities, mut since) = (Vec::new(), None);
    for node in nodes {
        entities.push(node.row.entity.to_string());
        // A host whose clock is far off is indexed at receipt.
        let begun = node.row.started.min(node.row.received);
        since = Some(since.map_or(begun, |since: crate::store::Stamp| since.min(begun)));
    }
    let request = Request {
        query: format!("event.action:exit and process.entity_id:({})", entities.join(" or ")),
        since: Some("1970-01-01".to_owned()),
        until: Some("9999-01-01".to_owned()),
        limit: Some(u32::try_from(entities.len()).unwrap_or(u32::MAX)),
        ..Request::default()
    };
    let search = Search::new(&request, fleet, WallTime::default()).ok()?;
    Some(search.narrowed([host].into(), since?.plus_us(-1_000_000).wall()))
}
