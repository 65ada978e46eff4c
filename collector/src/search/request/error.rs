//! Why a search cannot run.

use wire::field::Field;
use wire::query::QueryError;
use wire::time::WallTime;

use crate::search::fleet::HostError;

/// Why a search cannot run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The query is wrong.
    #[error("{}", error.render(query))]
    Query {
        /// What is wrong, and where.
        error: QueryError,
        /// The query's text.
        query: String,
    },
    /// A time that is none.
    #[error(
        "invalid {name} {found:?}, expected a span such as 15m or 24h, or a time such as 2026-01-31T12:00:00Z"
    )]
    Time {
        /// Which.
        name: &'static str,
        /// What was found.
        found: String,
    },
    /// The end lies before the start.
    #[error("until ({until}) is before since ({since})")]
    Range {
        /// The start.
        since: WallTime,
        /// The end.
        until: WallTime,
    },
    /// Too much or nothing is asked for.
    #[error("invalid {name} {found}, expected 1 to {most}")]
    Number {
        /// Of what.
        name: &'static str,
        /// How much.
        found: u32,
        /// How much is allowed.
        most: u32,
    },
    /// The cursor is damaged, or belongs to another search.
    #[error("invalid cursor: {0}")]
    Cursor(&'static str),
    /// There is no such field, or it cannot be counted.
    #[error("{why} {found:?}{}", suggestion.map_or(String::new(), |field| format!("; did you mean {field}?")))]
    Field {
        /// What is wrong.
        why: &'static str,
        /// What was found.
        found: String,
        /// What was probably meant.
        suggestion: Option<Field>,
    },
    /// The host cannot be told.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Two things that exclude each other.
    #[error("{0}")]
    Combination(&'static str),
}
