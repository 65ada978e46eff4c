//! A process with what is above and below it.

use axum::extract::State as AxumState;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use utoipa::{IntoParams, ToSchema};
use wire::event::FlatEvent;
use wire::field::Field;
use wire::id::EntityId;
use wire::value::Value;

use super::error::ErrorBody;
use super::extract::{Json as JsonBody, Query};
use super::{ApiError, State};
use crate::lineage::forest::State as Life;
use crate::lineage::{self, Asked, LineageError, Node};
use crate::search::{Fleet, RequestError};

/// Which process: `entity`, or `host` and `pid`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TreeParams {
    /// The process's `process.entity_id`.
    entity: Option<String>,
    /// Its host, by name or id.
    host: Option<String>,
    /// Its process id: the latest process that had it.
    pid: Option<u32>,
    /// With `pid`: the latest at this time, such as `2h` (ago) or `2026-01-31T12:00:00Z`.
    at: Option<String>,
}

/// A process, its ancestors and its descendants, on its host.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TreeBody {
    /// The process that was asked for.
    entity_id: String,
    /// Its host.
    #[schema(value_type = Object)]
    host: Json,
    /// From the root down, each before its children: an event's `process` and container fields, and `depth`
    /// (0 for the root) and `state` (`running`, `exited` or `unknown`).
    #[schema(value_type = Vec<Object>)]
    nodes: Vec<Json>,
    /// What was cut, or could not be told.
    notices: Vec<String>,
}

/// Shows a process with its ancestors to the root, then its descendants.
#[utoipa::path(get, path = "/api/v1/tree", tag = "search", params(TreeParams), responses(
    (status = OK, body = TreeBody),
    (status = BAD_REQUEST, body = ErrorBody),
    (status = NOT_FOUND, body = ErrorBody),
    (status = CONFLICT, body = ErrorBody, description = "Several hosts have that name, or that process."),
), security(("token" = [])))]
pub(super) async fn show(
    AxumState(state): AxumState<State>,
    Query(params): Query<TreeParams>,
) -> Result<JsonBody<TreeBody>, ApiError> {
    let fleet = state.search.fleet().await?;
    let asked = asked(&params, &fleet)?;
    let tree = lineage::tree(&state.search, &fleet, &asked).await?;
    let host = json!({ "id": tree.host.to_string(), "name": fleet.name(tree.host) });
    Ok(JsonBody(TreeBody {
        entity_id: tree.entity.to_string(),
        nodes: tree.nodes.into_iter().map(|node| body(node, &host)).collect(),
        host,
        notices: tree.notices.iter().map(ToString::to_string).collect(),
    }))
}

fn asked(params: &TreeParams, fleet: &Fleet) -> Result<Asked, ApiError> {
    let host = params.host.as_deref().map(|name| fleet.resolve(name)).transpose()?;
    let invalid = |message: String| ApiError::bad_request("invalid_process", message);
    match (&params.entity, host, params.pid) {
        (Some(entity), host, None) => {
            let entity: EntityId =
                entity.to_ascii_lowercase().parse().map_err(|e| invalid(format!("{e}")))?;
            Ok(Asked::Entity { entity, host })
        }
        (None, Some(host), Some(pid)) => {
            let now = super::now().wall();
            let text = params.at.as_deref().unwrap_or("now");
            let at = crate::search::moment(text, now)
                .ok_or_else(|| RequestError::Time { name: "at", found: text.chars().take(64).collect() })?;
            Ok(Asked::Pid { host, pid, at })
        }
        _ => Err(invalid("no process is named, expected entity, or host and pid".to_owned())),
    }
}

fn body(node: Node, host: &Json) -> Json {
    let mut row = node.fields;
    // A node has no more than its own part of an event.
    row.set(Field::ProcessEntityId, Value::Keyword(node.row.entity.to_string().into()));
    let mut json = FlatEvent { row }.to_json();
    if let Some(object) = json.as_object_mut() {
        let state = match node.state {
            Life::Exited { .. } => "exited",
            Life::Running => "running",
            Life::Unknown => "unknown",
        };
        object.insert("depth".to_owned(), node.depth.into());
        object.insert("state".to_owned(), state.into());
        object.insert("host".to_owned(), host.clone());
    }
    json
}

impl From<LineageError> for ApiError {
    fn from(error: LineageError) -> Self {
        let message = error.to_string();
        match error {
            LineageError::UnknownEntity(_) | LineageError::UnknownPid { .. } => ApiError::not_found(message)
                .hint("search for `process.pid:…` or `process.entity_id:…` shows which processes are stored"),
            LineageError::Ambiguous { .. } => {
                ApiError::conflict("ambiguous_process", message).hint("name the host too")
            }
            LineageError::Store(error) => error.into(),
            LineageError::Search(error) => error.into(),
        }
    }
}
