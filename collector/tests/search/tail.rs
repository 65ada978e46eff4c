//! Live tail.

use std::sync::Arc;
use std::time::Duration;

use vedette_collector::tail::{Message, Tail};
use wire::event::FlatEvent;
use wire::field::Field;
use wire::predicate::{Options, Predicate};

use crate::support::host_id;
use crate::world::{World, ids, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_shows_what_is_stored_and_says_what_it_missed() {
    let mut world = World::new(2).await;
    let predicate = |text: &str| Predicate::parse(text, &Options::default()).unwrap();
    let tail = |query: &str, host| {
        Tail::new(predicate(query), host, Arc::clone(&world.engine), world.ingest.committed.subscribe())
    };
    let mut exits = tail("event.action:exit and host.tags:\"env=test\"", Some(host_id(2)));
    let mut slow = tail("", None);
    world.store(0, 100, Duration::ZERO).await;
    world.store(1, 100, Duration::ZERO).await;
    let Some(Message::Events(events)) = exits.next().await else { panic!("events") };
    let expected: Vec<FlatEvent> = world
        .events
        .iter()
        .map(|(_, event)| event.clone())
        .filter(|event| {
            text(event, Field::EventAction) == "exit" && text(event, Field::HostId) == host_id(2).to_string()
        })
        .collect();
    assert_eq!(events.len(), expected.len());
    assert_eq!(ids(&events), ids(&expected));

    for _ in 0..vedette_collector::ingest::COMMITTED_CAPACITY {
        world.store(0, 1, Duration::ZERO).await;
    }
    assert!(matches!(slow.next().await, Some(Message::Lagged { n_batches: 2 })));
    assert!(matches!(slow.next().await, Some(Message::Events(_))));
}
