//! Answers that go on, over the real HTTPS: searches as lines, tails as messages, and who goes away.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

#[path = "support/api.rs"]
mod api;
mod support;

#[path = "stream/lines.rs"]
mod lines;
#[path = "stream/search.rs"]
mod search;
#[path = "stream/tail.rs"]
mod tail;

use std::time::Duration;

use api::Api;
use support::{Ingest, Source, wall_clock};
use vedette_collector::access::Role;
use vedette_collector::listener::Outcome;
use vedette_collector::postgres::scratch;

/// How long anything may take here before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often something is looked at again.
const LOOK: Duration = Duration::from_millis(20);

/// A collector of which the ends are in the test's hands: ingest, API, and a caller.
struct Stage {
    api: Api,
    ingest: Ingest,
    source: Source,
    url: String,
    client: reqwest::Client,
}

impl Stage {
    async fn new() -> Self {
        let pool = scratch::database().await.pool;
        let ingest = Ingest::start(&pool, wall_clock);
        let api = Api::over(pool, ingest.committed.clone()).await;
        let (url, client) = api.serve(&api.token(Role::Viewer).await);
        Self { api, ingest, source: Source::new(1), url, client }
    }

    async fn store(&mut self, n_events: u32) {
        let sealed = self.source.batch(n_events);
        let outcome = self.ingest.batch(self.source.id, &sealed).await.await.unwrap();
        assert!(matches!(outcome, Outcome::Stored { .. }), "{outcome:?}");
    }

    async fn get(&self, path: &str, accept: &str) -> lines::Lines {
        let request = self.client.get(format!("{}/api/v1/{path}", self.url)).header("accept", accept);
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        lines::Lines::new(response)
    }
}

/// Looks again and again until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let so = async {
        while !is_so().await {
            tokio::time::sleep(LOOK).await; // poll interval
        }
    };
    tokio::time::timeout(PATIENCE, so).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"));
}
