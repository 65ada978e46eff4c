//! Tails.

use axum::http::{Method, StatusCode};
use vedette_collector::access::Role;
use vedette_collector::api::MAX_TAILS;

use crate::{Stage, until};

const MESSAGES: &str = "text/event-stream";

impl Stage {
    /// Nobody follows, and all places are free.
    async fn until_nobody_follows(&self) {
        let (tails, committed) = (&self.api.tails, &self.ingest.committed);
        until("nobody follows", async || {
            tails.available_permits() == MAX_TAILS && committed.receiver_count() == 0
        })
        .await;
    }

    /// As if their time had come, and the collector had looked.
    pub(crate) async fn expire_tokens(&self) {
        sqlx::query("update api_token set expires = $1")
            .bind(self.api.now().plus_us(-1))
            .execute(&self.api.pool)
            .await
            .unwrap();
        self.api.revocations.refresh(&self.api.pool, self.api.now()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_brings_what_is_stored_afterwards_until_the_caller_goes_away() {
    let mut stage = Stage::new().await;
    stage.store(1).await;
    let mut tail = stage.get("tail?query=event.sequence:1", MESSAGES).await;
    assert_eq!(stage.ingest.committed.receiver_count(), 1);
    stage.store(20).await;
    assert_eq!(tail.next().await.as_deref(), Some("event: event"));
    let data = tail.next().await.unwrap();
    let event: serde_json::Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(event.pointer("/event/sequence"), Some(&1.into()), "{event}");
    assert_eq!(event.pointer("/host/id").unwrap(), &stage.source.id.to_string(), "{event}");
    drop(tail);
    stage.until_nobody_follows().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_ends_when_its_token_is_revoked() {
    let stage = Stage::new().await;
    let admin = stage.api.token(Role::Admin).await;
    let (mut tail, other) = (stage.get("tail", MESSAGES).await, stage.api.token(Role::Viewer).await);
    let (url, client) = stage.api.serve(&other);
    let others = client.get(format!("{url}/api/v1/tail")).send().await.unwrap();
    let (_, list) = stage.api.call(Method::GET, "/api/v1/tokens", Some(&admin), None).await;
    let used = list["tokens"].as_array().unwrap().iter().find(|token| token["role"] == "viewer").unwrap();
    let path = format!("/api/v1/tokens/{}", used["id"].as_str().unwrap());
    let (status, _) = stage.api.call(Method::DELETE, &path, Some(&admin), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(tail.next().await.as_deref(), Some("event: ended"));
    tail.with("revoked or has expired").await;
    assert_eq!(tail.next().await.as_deref(), Some(""));
    assert_eq!(tail.next().await, None);
    until("one tail is left", async || stage.api.tails.available_permits() == MAX_TAILS - 1).await;
    drop(others);
    stage.until_nobody_follows().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_ends_when_its_token_expires() {
    let stage = Stage::new().await;
    let mut tail = stage.get("tail", MESSAGES).await;
    stage.api.revocations.refresh(&stage.api.pool, stage.api.now()).await.unwrap();
    assert_eq!(stage.api.tails.available_permits(), MAX_TAILS - 1, "a valid token goes on");
    stage.expire_tokens().await;
    tail.with("revoked or has expired").await;
    stage.until_nobody_follows().await;
}
