//! Enrolment tokens: each lets one host in, once, or as many as it says.

use axum::extract::State as AxumState;
use axum::http::StatusCode;
use serde::Deserialize;
use std::time::Duration;
use utoipa::ToSchema;
use wire::enrolment::Invitation;

use super::error::ErrorBody;
use super::extract::Json;
use super::peer::Peer;
use super::{ApiError, State};
use crate::access::Caller;
use crate::access::secret::{Purpose, Secret};
use crate::store::{StoreError, audit, enrolment};

const DEFAULT_TTL: &str = "10m";
const MAX_TTL: Duration = Duration::from_secs(30 * 86_400);
const MAX_HOSTS: u16 = 10_000;
const MAX_TAGS: usize = 32;
const MAX_TAG_BYTES: usize = 128;

/// What token is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateEnrollToken {
    /// How long it may be used, such as `10m` (the default); at most `30d`.
    ttl: Option<String>,
    /// How many hosts it enrols: 1 (the default) to 10000.
    #[serde(default = "one")]
    hosts: u16,
    /// What each host will be tagged with, each as `key=value`.
    #[serde(default)]
    tags: Vec<String>,
}

fn one() -> u16 {
    1
}

/// Makes a token that enrols one host, or so many. The answer is shown only now.
#[utoipa::path(post, path = "/api/v1/enroll-tokens", operation_id = "create_enroll_token", tag = "enrolment", request_body = CreateEnrollToken, responses(
    (status = CREATED, body = Invitation),
    (status = BAD_REQUEST, body = ErrorBody),
), security(("token" = [])))]
pub(super) async fn create(
    AxumState(state): AxumState<State>,
    caller: Caller,
    Peer(address): Peer,
    Json(request): Json<CreateEnrollToken>,
) -> Result<(StatusCode, Json<Invitation>), ApiError> {
    let ttl = super::tokens::ttl(request.ttl.as_deref().unwrap_or(DEFAULT_TTL), MAX_TTL, "30d")?;
    check_tags(&request.tags)?;
    if !(1..=MAX_HOSTS).contains(&request.hosts) {
        return Err(ApiError::bad_request(
            "invalid_hosts",
            format!("a token for {} hosts, expected 1 to {MAX_HOSTS}", request.hosts),
        ));
    }
    let now = super::now();
    let secret = Secret::generate(Purpose::Enroll);
    let token = enrolment::NewEnrollToken {
        hosts: request.hosts,
        tags: request.tags,
        created_by: caller.actor(),
        created: now,
        expires: now.plus_us(i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX)),
    };
    let mut transaction = state.pool.begin().await.map_err(StoreError::from)?;
    enrolment::create(&mut *transaction, secret.hash(), &token).await?;
    audit::commit(
        transaction,
        audit::Entry {
            at: now,
            actor: &token.created_by,
            action: "enroll-token.create",
            about: "",
            address: Some(address),
            outcome: audit::Outcome::Done,
            detail: Some(&detail(&token)),
        },
    )
    .await?;
    let body = Invitation {
        token: secret.reveal().to_owned(),
        expires: token.expires.to_string(),
        ca_sha256: state.ca.current().serving().fingerprint().to_string(),
        collectors: state.addresses.to_vec(),
    };
    Ok((StatusCode::CREATED, Json(body)))
}

/// What the audit log keeps of a token.
fn detail(token: &enrolment::NewEnrollToken) -> String {
    let tags = token.tags.join(" ");
    match token.hosts {
        1 => tags,
        hosts => format!("for {hosts} hosts {tags}").trim_end().to_owned(),
    }
}

fn check_tags(tags: &[String]) -> Result<(), ApiError> {
    if tags.len() > MAX_TAGS {
        return Err(ApiError::bad_request(
            "invalid_tags",
            format!("{} tags, expected at most {MAX_TAGS}", tags.len()),
        ));
    }
    let sound = |tag: &str| {
        tag.len() <= MAX_TAG_BYTES
            && !tag.chars().any(char::is_control)
            && tag.split_once('=').is_some_and(|(key, value)| !key.is_empty() && !value.is_empty())
    };
    match tags.iter().find(|tag| !sound(tag)) {
        None => Ok(()),
        Some(tag) => Err(ApiError::bad_request(
            "invalid_tags",
            format!(
                "invalid tag {tag:?}, expected key=value of at most {MAX_TAG_BYTES} bytes, such as env=prod"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_keys_and_values() {
        let check = |tag: &str| check_tags(&[tag.to_owned()]).is_ok();
        assert!(check("env=prod"));
        assert!(check("note=a=b"));
        assert!(!check("env"));
        assert!(!check("=prod"));
        assert!(!check("env="));
        assert!(!check("env=a\nb"));
        assert!(check_tags(&vec!["a=b".to_owned(); 33]).is_err());
    }
}
