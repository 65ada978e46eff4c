//! Counts are those of looking at every event.

use std::collections::BTreeMap;
use std::time::Duration;

use vedette_collector::search::{Answer, Request};
use wire::field::Field;
use wire::predicate::{Options, Predicate};

use crate::support::wall_clock;
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_are_those_of_looking_at_every_event() {
    let mut world = World::new(2).await;
    for round in 0..4 {
        world.store(0, 1_500, Duration::from_secs(900 * round)).await;
        world.store(1, 80, Duration::from_secs(700 * round)).await;
    }
    let fields = [
        Field::ProcessName,
        Field::ProcessExecutable,
        Field::EventAction,
        Field::HostName,
        Field::HostTags,
        Field::DestinationPort,
        Field::DestinationIp,
        Field::ProcessParentName,
        Field::ProcessUserId,
        Field::ProcessAncestorName,
        Field::ProcessCommandLine,
        Field::ProcessArgs,
        Field::ProcessExitCode,
        Field::NetworkDirection,
    ];
    let day_ago = wall_clock().saturating_add_ns(-86_400_000_000_000);
    for query in ["", "event.action:exec", "destination.port:443"] {
        let expected = world.expected(query, day_ago, wall_clock());
        for field in fields {
            let request = Request {
                query: query.into(),
                top: Some(field.name().into()),
                limit: Some(10_000),
                ..Request::default()
            };
            let (Answer::Top(top), None) = world.run(&request).await else { panic!("a top") };
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            for event in &expected {
                let json = event.to_json();
                let value = field.name().split('.').try_fold(&json, |json, name| json.get(name)).cloned();
                let mut values = match value {
                    None => continue,
                    Some(serde_json::Value::Array(items)) => items.iter().map(ToString::to_string).collect(),
                    Some(value) => vec![value.to_string()],
                };
                values.sort_unstable();
                values.dedup();
                values.into_iter().for_each(|value| *counts.entry(value).or_default() += 1);
            }
            let found: BTreeMap<String, u64> = top.values.iter().map(|(v, n)| (v.to_string(), *n)).collect();
            assert_eq!(found, counts, "{query} by {field}");
            assert!(top.values.is_sorted_by(|a, b| a.1 >= b.1));
        }
        let request = Request { query: query.into(), histogram: Some(50), ..Request::default() };
        let (Answer::Histogram(buckets), None) = world.run(&request).await else { panic!("a histogram") };
        assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), expected.len() as u64);
        let times = world.events.iter().map(|(position, event)| (position.time, event));
        let (first, second) = (buckets[buckets.len() - 2].start, buckets[buckets.len() - 1].start);
        let predicate = Predicate::parse(query, &Options::default()).unwrap();
        let within =
            times.filter(|(time, event)| *time >= first && *time < second && predicate.matches(event));
        assert_eq!(buckets[buckets.len() - 2].count, within.count() as u64);
    }
}
