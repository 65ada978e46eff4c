//! A survey says what searches, histograms and top values say, all at once.

use std::time::Duration;

use vedette_collector::search::{Answer, Bucket, Request, Survey, Top};

use crate::world::World;

async fn survey(world: &World, query: &str) -> Survey {
    let request = Request { query: query.into(), limit: Some(7), survey: Some(40), ..Request::default() };
    let (Answer::Survey(survey), None) = world.run(&request).await else { panic!("a survey") };
    *survey
}

async fn top(world: &World, query: &str, field: &str) -> Top {
    let request =
        Request { query: query.into(), top: Some(field.into()), limit: Some(20), ..Request::default() };
    let (Answer::Top(top), None) = world.run(&request).await else { panic!("a top") };
    top
}

async fn counts(world: &World, query: &str) -> Vec<Bucket> {
    let request = Request { query: query.into(), histogram: Some(40), ..Request::default() };
    let (Answer::Histogram(buckets), None) = world.run(&request).await else { panic!("a histogram") };
    buckets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_survey_says_what_its_parts_say() {
    let mut world = World::new(3).await;
    for round in 0..3 {
        world.store(0, 1_200, Duration::from_secs(900 * round)).await;
        world.store(1, 60, Duration::from_secs(500 * round)).await;
    }
    for is_merged in [false, true] {
        if is_merged {
            world.merge(300_000_000).await;
        }
        for query in ["", "event.action:exec", "destination.port:443", "process.name:nobody-has-this"] {
            let found = survey(&world, query).await;
            let (page, _) = world.page(query, 7, None).await;
            assert_eq!(crate::world::ids(&found.events), crate::world::ids(&page), "{query}");
            assert_eq!(found.hosts, top(&world, query, "host.id").await, "{query}");
            assert_eq!(found.executables, top(&world, query, "process.executable").await, "{query}");
            assert_eq!(found.actions, top(&world, query, "event.action").await, "{query}");
            let counted = |buckets: &[Bucket]| buckets.iter().map(|bucket| bucket.count).sum::<u64>();
            assert_eq!(counted(&found.histogram), counted(&counts(&world, query).await), "{query}");
            assert_eq!(found.n_events, counted(&found.histogram), "{query}");
            let mut times: Vec<_> = world
                .expected(query, a_day_ago(), crate::support::wall_clock())
                .iter()
                .filter_map(|event| world.events.iter().find(|(_, other)| std::ptr::eq(other, *event)))
                .map(|(position, _)| position.time)
                .collect();
            times.sort_unstable();
            assert_eq!(found.range, times.first().copied().zip(times.last().copied()), "{query}");
        }
    }
}

/// A day ago, as searches have it that do not say.
fn a_day_ago() -> wire::time::WallTime {
    crate::support::wall_clock().saturating_add_ns(-86_400_000_000_000)
}
