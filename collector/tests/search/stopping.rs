//! A search that nobody waits for any more stops, and leaves nothing behind.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use vedette_collector::postgres::scratch;
use vedette_collector::search::{Progress, Request, Search};
use vedette_collector::store::Pool;
use vedette_collector::store::reader::Readers;

use crate::support::{self, wall_clock};
use crate::world::World;

/// Statements of readers that the server works on.
async fn n_running(pool: &Pool) -> i64 {
    support::count(
        pool,
        "select count(*) from pg_stat_activity
          where datname = current_database() and state = 'active' and query like '%pg_sleep(%' and pid <> pg_backend_pid()",
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_away_stops_the_statement() {
    let db = scratch::database().await;
    let mut reader = Readers::new(&db.pool, 1, Duration::from_secs(60)).open().await.unwrap();
    let pool = db.pool.clone();
    let waiting = tokio::spawn(async move {
        sqlx::query("select pg_sleep(50)").execute(reader.conn().unwrap()).await.unwrap();
    });
    let patience = Duration::from_secs(20);
    let begun = async { while n_running(&pool).await == 0 {} };
    tokio::time::timeout(patience, begun).await.expect("the statement runs");
    waiting.abort();
    let ended = async { while n_running(&pool).await > 0 {} };
    tokio::time::timeout(patience, ended).await.expect("the statement was cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_has_its_time_and_a_connection_given_back_is_used_again() {
    let db = scratch::database().await;
    let readers = Readers::new(&db.pool, 1, Duration::from_millis(50));
    let mut reader = readers.open().await.unwrap();
    let slow = sqlx::query("select pg_sleep(50)").execute(reader.conn().unwrap()).await;
    assert!(slow.unwrap_err().to_string().contains("statement timeout"));
    let process = "select pg_backend_pid()";
    let before: i32 = sqlx::query_scalar(process).fetch_one(reader.conn().unwrap()).await.unwrap();
    reader.close();
    let mut reader = readers.open().await.unwrap();
    let after: i32 = sqlx::query_scalar(process).fetch_one(reader.conn().unwrap()).await.unwrap();
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_the_server_has_closed_is_not_handed_out() {
    let db = scratch::database().await;
    let readers = Readers::new(&db.pool, 1, Duration::from_secs(60));
    readers.open().await.unwrap().close();
    sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'vedette-search' and datname = current_database()")
        .execute(&db.pool)
        .await
        .unwrap();
    let working = async {
        loop {
            // Trusted for a second, and asked from then on.
            let mut reader = readers.open().await.unwrap();
            if sqlx::query("select 1").execute(reader.conn().unwrap()).await.is_ok() {
                break reader.close();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), working).await.expect("a connection that lives");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_dropped_half_way_leaves_nothing_behind() {
    let mut world = World::new(1).await;
    for _ in 0..4 {
        world.store(0, 3_000, Duration::ZERO).await;
    }
    let fleet = world.engine.fleet().await.unwrap();
    for n in 0..40 {
        let search = Arc::new(Search::new(&Request::default(), &fleet, wall_clock()).unwrap());
        let mut running = Box::pin(world.engine.run(search, Arc::clone(&fleet), Arc::<Progress>::default()));
        for _ in 0..n {
            if running.as_mut().now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    // All permits and connections are there again.
    let (events, _) = world.page("", 10, None).await;
    assert_eq!(events.len(), 10);
}
