//! The same answer as looking at every event, however it is paged, whatever the merger does meanwhile.

use std::sync::Arc;
use std::time::Duration;

use vedette_collector::search::{Answer, Progress, Request, Search};
use vedette_collector::store::partitions::MINUTE_US;
use wire::event::FlatEvent;
use wire::field::Field;
use wire::value::Value;

use crate::support::{host_id, wall_clock};
use crate::world::{World, ids, text};

const QUERIES: &[&str] = &[
    "",
    "process.name:curl",
    "event.action:exec and process.user.id:0",
    "event.action:connect and destination.port:443",
    "not event.action:fork and process.ancestor.name:sshd",
    "curl",
    "*cron*",
    "destination.ip:10.20.0.0/16 or process.exit_code > 0",
    "process.executable:/usr/bin/* and not host.name:web-1",
    "process.parent.name:(sh or bash) and process.command_line:*-c*",
    "host.name:web-2 and event.action:(exit or exec)",
    "host.tags:\"env=test\" and source.port >= 40000",
    "process.name:no-such-thing",
    "event.sequence < 5",
];

async fn check_all(world: &World, label: &str) {
    let since = wall_clock().saturating_add_ns(-86_400_000_000_000);
    for query in QUERIES {
        let expected = world.expected(query, since, wall_clock());
        for limit in [7, 100, 10_000] {
            if limit == 7 && expected.len() > 400 {
                continue;
            }
            let found = world.all_pages(query, limit).await;
            assert_eq!(found.len(), expected.len(), "{label}: {query} by {limit}");
            assert!(found.iter().zip(&expected).all(|(a, b)| a == *b), "{label}: {query} by {limit}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_search_finds_what_looking_at_every_event_finds() {
    let mut world = World::new(3).await;
    for round in 0..6 {
        for host in 0..3 {
            // Large ones alone, small ones side by side, some late.
            let n_events = if (round + host) % 4 == 0 { 2_500 } else { 40 };
            let ago = Duration::from_secs((7 * round as u64 % 5) * 600);
            world.store(host, n_events, ago).await;
        }
    }
    check_all(&world, "fresh").await;
    world.merge(2 * MINUTE_US).await;
    check_all(&world, "merged").await;
    for host in 0..3 {
        world.store(host, 60, Duration::from_secs(1200)).await;
    }
    check_all(&world, "both").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_goes_on_exactly_while_batches_come_and_move() {
    let mut world = World::new(2).await;
    for _ in 0..5 {
        world.store(0, 90, Duration::from_secs(60)).await;
        world.store(1, 1_200, Duration::from_secs(60)).await;
    }
    let query = "event.action:exec";
    let before: Vec<String> = {
        let since = wall_clock().saturating_add_ns(-86_400_000_000_000);
        world.expected(query, since, wall_clock()).iter().map(|event| text(event, Field::EventId)).collect()
    };
    let (mut found, mut cursor, mut n_pages) = (Vec::new(), None, 0);
    loop {
        let (events, next) = world.page(query, 150, cursor).await;
        found.extend(ids(&events));
        cursor = next;
        if cursor.is_none() {
            break;
        }
        n_pages += 1;
        // Between two pages newer events come, minutes are merged, and at last dropped.
        world.store(n_pages % 2, 200, Duration::ZERO).await;
        world.merge(n_pages as i64 * 3 * MINUTE_US).await;
    }
    assert!(n_pages > 5, "{n_pages} pages");
    assert_eq!(found, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_for_a_process_finds_it_and_its_descendants() {
    let mut world = World::new(3).await;
    for host in 0..3 {
        world.store(host, 1_500, Duration::from_secs(60)).await;
    }
    let day_ago = wall_clock().saturating_add_ns(-86_400_000_000_000);
    let parent =
        world.events.iter().map(|(_, event)| text(event, Field::ProcessParentEntityId)).next_back().unwrap();
    for field in ["process.entity_id", "process.parent.entity_id", "process.ancestor.entity_id"] {
        let query = format!("{field}:{parent}");
        let expected = world.expected(&query, day_ago, wall_clock());
        assert_eq!(world.all_pages(&query, 1_000).await, expected.into_iter().cloned().collect::<Vec<_>>());
    }
    let (none, _) = world.page("process.entity_id:00000000000000aa", 10, None).await;
    assert!(none.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_and_hosts_narrow_a_search() {
    let mut world = World::new(2).await;
    for minutes in [50, 30, 10] {
        world.store(0, 100, Duration::from_secs(60 * minutes)).await;
        world.store(1, 100, Duration::from_secs(60 * minutes)).await;
    }
    let (since, until) = ("35m", "20m");
    let request = Request {
        since: Some(since.into()),
        until: Some(until.into()),
        host: Some("web-2".into()),
        limit: Some(10_000),
        ..Request::default()
    };
    let (Answer::Events(events), None) = world.run(&request).await else { panic!("events") };
    assert!(!events.is_empty() && events.len() <= 100);
    assert!(events.iter().all(|event| text(event, Field::HostId) == host_id(2).to_string()));
    let now = wall_clock();
    for event in &events {
        let Some(Value::Time(time)) = event.row.get(Field::Timestamp) else { panic!("a time") };
        assert!(now.ns_since(*time) < 36 * 60_000_000_000 && now.ns_since(*time) > 19 * 60_000_000_000);
    }
    let fleet = world.engine.fleet().await.unwrap();
    let unknown = Request { host: Some("web-9".into()), ..Request::default() };
    assert!(Search::new(&unknown, &fleet, now).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_handed_out_newest_first_while_the_search_goes_on() {
    let mut world = World::new(2).await;
    for round in 0..12 {
        // Neighbours overlap in time.
        world.store(round % 2, 2_500, Duration::from_secs(60 * (round as u64 / 2))).await;
    }
    let since = wall_clock().saturating_add_ns(-86_400_000_000_000);
    let fleet = world.engine.fleet().await.unwrap();
    for (query, limit) in [("event.action:exit", 10_000), ("", 9_000), ("", 10)] {
        let request = Request { query: query.into(), limit: Some(limit), ..Request::default() };
        let search = Arc::new(Search::new(&request, &fleet, wall_clock()).unwrap());
        let (progress, mut found) = Progress::handing_out();
        let outcome = world.engine.run(search, Arc::clone(&fleet), progress).await.unwrap();
        let Answer::Events(rest) = outcome.answer else { panic!("events") };
        let (mut all, mut n_times) = (Vec::new(), 0);
        while let Some(events) = found.recv().await {
            n_times += 1;
            all.extend(events);
        }
        // Twice where all segments are looked through: those taken first have 20,000 events.
        let expected_times = if query.is_empty() { 1 } else { 2 };
        assert!(n_times >= expected_times, "{query} by {limit}: handed out {n_times} times");
        all.extend(rest);
        let expected = world.expected(query, since, wall_clock());
        let expected: Vec<FlatEvent> = expected.into_iter().take(limit as usize).cloned().collect();
        assert_eq!(ids(&all), ids(&expected), "{query} by {limit}");
    }
}
