//! Ingest while PostgreSQL is killed, paused, cut off, full or refusing: nothing acknowledged is lost, nothing is stored
//! twice, and it goes on by itself.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

#[path = "faults/load.rs"]
mod load;
#[path = "faults/server.rs"]
mod server;
mod support;

use std::time::Duration;

use load::Load;
use server::{Admin, Tablespace, pause};
use support::count;
use vedette_collector::postgres::scratch;

/// How long a server is silent.
const SILENCE: Duration = Duration::from_secs(4);

#[tokio::test]
async fn killed_in_the_middle_of_load() {
    let server = scratch::Server::start().await.unwrap();
    let mut load = Load::start(&server.database().await.unwrap());
    for _ in 0..2 {
        load.goes_on().await;
        server.crash();
        load.is_refused().await;
        server.restart().await.unwrap();
        load.comes_back().await;
    }
    load.finish().await;
}

#[tokio::test]
async fn every_connection_terminated_again_and_again() {
    let server = scratch::Server::start().await.unwrap();
    let mut load = Load::start(&server.database().await.unwrap());
    let mut admin = Admin::connect(&server).await;
    for _ in 0..20 {
        load.goes_on().await;
        admin.terminate_all().await;
    }
    load.comes_back().await;
    load.finish().await;
}

/// The commit is on the disk, and whoever asked for it never hears so.
#[tokio::test]
async fn connections_lost_in_the_middle_of_commits_that_were_done() {
    let server = scratch::Server::start().await.unwrap();
    let db = server.database().await.unwrap();
    let mut load = Load::start(&db);
    let mut admin = Admin::connect(&server).await;
    let (mut n_again, mut n_rounds) = (0, 0);
    while n_again < 3 {
        n_rounds += 1;
        assert!(
            n_rounds <= 10,
            "what was committed came again, and was found stored, in {n_again} of 10 rounds"
        );
        load.goes_on().await;
        let n_before = load.n_duplicates();
        // A commit waits for a standby that does not exist.
        admin.set("synchronous_standby_names", "nobody").await;
        admin.waits_in_commit().await;
        let terminated = admin.terminate_ingest().await;
        assert!(terminated, "a commit was waiting");
        admin.reset("synchronous_standby_names").await;
        load.comes_back().await;
        // The commit may have been that of a group in which nothing was stored.
        n_again += u32::from(load.n_duplicates() > n_before);
    }
    load.finish().await;
}

#[tokio::test]
async fn refused_as_read_only() {
    let server = scratch::Server::start().await.unwrap();
    let mut load = Load::start(&server.database().await.unwrap());
    let mut admin = Admin::connect(&server).await;
    load.goes_on().await;
    admin.set("default_transaction_read_only", "on").await;
    load.is_refused_again_and_again().await;
    admin.reset("default_transaction_read_only").await;
    load.comes_back().await;
    load.finish().await;
}

#[tokio::test]
async fn paused_for_seconds() {
    let server = scratch::Server::start().await.unwrap();
    let mut load = Load::start(&server.database().await.unwrap());
    load.goes_on().await;
    let paused = pause(&server);
    load.stands_still_for(SILENCE).await;
    drop(paused);
    load.comes_back().await;
    load.finish().await;
}

#[tokio::test]
async fn no_connection_left_for_it() {
    let server = scratch::Server::start().await.unwrap();
    let mut load = Load::start(&server.database().await.unwrap());
    let mut admin = Admin::connect(&server).await;
    load.goes_on().await;
    let mut others = Vec::new();
    // Whoever is faster has the place that becomes free.
    while others.len() < 3 || admin.sees_ingest().await {
        admin.terminate_ingest().await;
        others.push(admin.take_all_connections(&server).await);
    }
    load.is_refused_again_and_again().await;
    drop(others);
    load.comes_back().await;
    load.finish().await;
}

#[tokio::test]
async fn its_tables_locked_by_somebody_else() {
    let server = scratch::Server::start().await.unwrap();
    let db = server.database().await.unwrap();
    let mut load = Load::start(&db);
    load.goes_on().await;
    let mut other = db.pool.begin().await.unwrap();
    sqlx::query("lock table stream in access exclusive mode").execute(&mut *other).await.unwrap();
    load.stands_still_for(SILENCE).await;
    other.rollback().await.unwrap();
    load.comes_back().await;
    load.finish().await;
}

#[tokio::test]
async fn disk_full() {
    let server = scratch::Server::start().await.unwrap();
    let Some(small) = Tablespace::mount("disk_full", &server).await else { return };
    let db = server.database_with("tablespace small").await.unwrap();
    let mut load = Load::start(&db);
    load.goes_on().await;
    small.leave_room(256 << 10);
    load.is_refused_again_and_again().await;
    small.leave_room(256 << 20);
    load.comes_back().await;
    load.finish().await;
    db.pool.close().await;
}

/// Two collectors get the same batches while connections are cut: the watermark decides which of them stores each.
#[tokio::test]
async fn two_collectors_at_once_on_connections_that_are_cut() {
    let server = scratch::Server::start().await.unwrap();
    let db = server.database().await.unwrap();
    let (mut one, mut two) = (Load::start(&db), Load::start(&db));
    let mut admin = Admin::connect(&server).await;
    for _ in 0..10 {
        tokio::join!(one.goes_on(), two.goes_on());
        admin.terminate_all().await;
    }
    let sent = tokio::join!(one.stop(), two.stop());
    assert_eq!(count(&db.pool, "select count(*) from stream").await, 4);
    sent.0.max(sent.1).check(&db.pool).await;
}
