//! The private PostgreSQL, for real: made, started, adopted, killed, started again, stopped.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sqlx::Row;
use vedette_collector::postgres::{PostgresError, Private, Status, scratch};

/// A home that the server's user may enter, also when the tests run as root.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    home
}

async fn one(url: &str) -> i32 {
    let pool = vedette_collector::store::pool(url, 1).unwrap();
    sqlx::query("select 1 as n").fetch_one(&pool).await.unwrap().get("n")
}

#[tokio::test]
async fn it_is_made_adopted_and_stopped() {
    let home = home();
    let server = Private::under(home.path()).unwrap();
    assert_eq!(server.status().unwrap(), Status::Absent);
    let url = Private::start(home.path()).await.unwrap();
    assert_eq!(one(&url).await, 1);
    let Status::Running(pid) = server.status().unwrap() else { panic!("it does not run") };
    // A second start finds it running.
    assert_eq!(Private::start(home.path()).await.unwrap(), url);
    assert_eq!(server.status().unwrap(), Status::Running(pid));
    assert!(server.stop().await.unwrap());
    assert!(!server.stop().await.unwrap());
    assert_eq!(server.status().unwrap(), Status::Stopped);
}

#[tokio::test]
async fn half_a_database_is_made_again() {
    let home = home();
    let unfinished = home.path().join("postgres/data.unfinished");
    std::fs::create_dir_all(&unfinished).unwrap();
    std::fs::write(unfinished.join("PG_VERSION"), "15\n").unwrap();
    let url = Private::start(home.path()).await.unwrap();
    assert_eq!(one(&url).await, 1);
    assert!(Private::under(home.path()).unwrap().stop().await.unwrap());
}

#[tokio::test]
async fn a_killed_server_starts_again() {
    let server = scratch::Server::start().await.unwrap();
    let database = server.database().await.unwrap();
    assert_eq!(one(&database.url).await, 1);
    server.crash();
    server.restart().await.unwrap();
    assert_eq!(one(&database.url).await, 1);
}

#[tokio::test]
async fn data_of_another_version_is_left_alone() {
    let home = home();
    let data = home.path().join("postgres/data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("PG_VERSION"), "9\n").unwrap();
    let error = Private::start(home.path()).await.unwrap_err();
    assert!(matches!(error, PostgresError::Version { .. }), "{error}");
    assert!(error.to_string().contains("apt-get install postgresql-9"), "{error}");
}

#[tokio::test]
async fn a_folder_with_something_else_is_left_alone() {
    let home = home();
    let data = home.path().join("postgres/data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("letter.txt"), "dear").unwrap();
    let error = Private::start(home.path()).await.unwrap_err();
    assert!(matches!(error, PostgresError::NotADatabase(_)), "{error}");
    assert!(Path::exists(&data.join("letter.txt")));
}

#[tokio::test]
async fn a_long_home_gets_a_working_socket() {
    let home = home();
    let long = home.path().join("h".repeat(100));
    let url = Private::start(&long).await.unwrap();
    assert_eq!(one(&url).await, 1);
    assert!(Private::under(&long).unwrap().stop().await.unwrap());
}

#[tokio::test]
async fn a_home_that_the_server_cannot_enter_is_named() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: only root runs the server as somebody else");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let error = Private::start(home.path()).await.unwrap_err();
    assert!(matches!(&error, PostgresError::Unreachable { path, .. } if path == home.path()), "{error}");
}
