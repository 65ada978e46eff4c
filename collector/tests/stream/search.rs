//! Searches as lines.

use serde_json::Value;
use sqlx::Connection as _;
use vedette_collector::store::Pool;

use crate::support;
use crate::{Stage, until};

const LINES: &str = "application/x-ndjson";

/// Statements of searches that the server is at, waiting for a lock or not.
async fn n_statements(pool: &Pool) -> i64 {
    support::count(
        pool,
        "select count(*) from pg_stat_activity
          where datname = current_database() and application_name = 'vedette-search' and state <> 'idle'",
    )
    .await
}

/// Holds up every search where it reads what was merged.
async fn hold_up(stage: &Stage) -> sqlx::PgConnection {
    let mut conn = sqlx::PgConnection::connect_with(&stage.api.pool.connect_options()).await.unwrap();
    sqlx::query("begin").execute(&mut conn).await.unwrap();
    sqlx::query("lock table segment in access exclusive mode").execute(&mut conn).await.unwrap();
    conn
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_search_says_how_far_it_is_and_then_what_it_found() {
    let mut stage = Stage::new().await;
    stage.store(30).await;
    stage.store(1_200).await;
    let mut held_up = hold_up(&stage).await;
    let mut answer = stage.get("search?since=7d&limit=10000", LINES).await;
    for _ in 0..2 {
        let word: Value = serde_json::from_str(&answer.next().await.unwrap()).unwrap();
        assert_eq!(word["progress"]["events"], 0, "{word}");
    }
    sqlx::query("rollback").execute(&mut held_up).await.unwrap();
    let (mut n_events, mut times) = (0, Vec::new());
    let end = loop {
        let line: Value = serde_json::from_str(&answer.next().await.expect("an end")).unwrap();
        if let Some(time) = line.pointer("/event/@timestamp") {
            n_events += 1;
            times.push(time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap());
        } else if line.get("end").is_some() {
            break line;
        } else {
            assert!(line.get("progress").is_some(), "{line}");
        }
    };
    assert_eq!(n_events, 1_230);
    assert!(times.is_sorted_by(|a, b| a >= b), "newest first");
    assert_eq!(end.pointer("/end/stats/events"), Some(&Value::from(1_230)), "{end}");
    assert!(answer.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_away_ends_the_search_down_to_the_database() {
    let mut stage = Stage::new().await;
    stage.store(30).await;
    let _held_up = hold_up(&stage).await;
    for accept in [LINES, "application/json"] {
        let request = stage.client.get(format!("{}/api/v1/search", stage.url)).header("accept", accept);
        let waiting = tokio::spawn(async move { request.send().await.unwrap().text().await });
        until("the search waits in the database", async || n_statements(&stage.api.pool).await == 1).await;
        waiting.abort();
        until("its statement is cancelled", async || n_statements(&stage.api.pool).await == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_under_way_ends_with_its_token() {
    let mut stage = Stage::new().await;
    stage.store(30).await;
    let _held_up = hold_up(&stage).await;
    let mut answer = stage.get("search", LINES).await;
    answer.with("progress").await;
    stage.expire_tokens().await;
    answer.with("revoked or has expired").await;
    assert!(answer.next().await.is_none());
    until("its statement is cancelled", async || n_statements(&stage.api.pool).await == 0).await;
}
