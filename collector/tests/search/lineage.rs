//! Trees.

use std::time::Duration;

use vedette_collector::lineage::{self, Asked, LineageError, forest::State};
use vedette_collector::store::partitions::MINUTE_US;
use wire::field::Field;
use wire::value::Value;

use crate::support::wall_clock;
use crate::world::{World, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_has_the_ancestors_that_the_events_tell() {
    let mut world = World::new(2).await;
    for _ in 0..3 {
        world.store(0, 1_500, Duration::ZERO).await;
        world.store(1, 50, Duration::ZERO).await;
    }
    world.merge(2 * MINUTE_US).await;
    let fleet = world.engine.fleet().await.unwrap();
    let exec = world.events.iter().rev().map(|(_, event)| event).find(|event| {
        let is_deep = matches!(event.row.get(Field::ProcessAncestorEntityId), Some(Value::List(items)) if items.len() >= 2);
        text(event, Field::EventAction) == "exec" && is_deep
    });
    let exec = exec.unwrap();
    let entity = text(exec, Field::ProcessEntityId).parse().unwrap();
    let tree = lineage::tree(&world.engine, &fleet, &Asked::Entity { entity, host: None }).await.unwrap();
    let Some(Value::List(ancestors)) = exec.row.get(Field::ProcessAncestorEntityId) else {
        panic!("ancestors")
    };
    let shown: Vec<String> = tree.nodes.iter().map(|node| node.row.entity.to_string()).collect();
    let told: Vec<String> =
        ancestors.iter().rev().map(|item| String::from_utf8_lossy(item).into_owned()).collect();
    assert_eq!(shown[..told.len()], told);
    let own = &tree.nodes[told.len()];
    assert_eq!((own.row.entity, own.depth), (entity, told.len()));
    assert_eq!(own.fields.get(Field::ProcessExecutable), exec.row.get(Field::ProcessExecutable));
    for node in &tree.nodes {
        assert!(node.fields.get(Field::ProcessCommandLine).is_some(), "{node:?}");
        let exited = world.events.iter().any(|(_, event)| {
            text(event, Field::EventAction) == "exit"
                && text(event, Field::ProcessEntityId) == node.row.entity.to_string()
        });
        assert_eq!(matches!(node.state, State::Exited { code: Some(_) }), exited, "{node:?}");
    }

    // By its process id, too; the sample never uses one again.
    let Some(Value::Uint(pid)) = exec.row.get(Field::ProcessPid) else { panic!("a pid") };
    let asked = Asked::Pid { host: tree.host, pid: u32::try_from(*pid).unwrap(), at: wall_clock() };
    let by_pid = lineage::tree(&world.engine, &fleet, &asked).await.unwrap();
    assert_eq!(by_pid.entity, entity);
    let asked = Asked::Pid { host: tree.host, pid: 4_000_000, at: wall_clock() };
    let unknown = lineage::tree(&world.engine, &fleet, &asked).await.unwrap_err();
    assert!(matches!(unknown, LineageError::UnknownPid { .. }), "{unknown}");
}
