//! What to make of the events that match.

use wire::field::Field;
use wire::predicate::{Options, Predicate};
use wire::query::nearest;

use super::{Request, RequestError, bounded};

/// The most stretches of a histogram.
const MAX_BUCKETS: u32 = 1_000;

/// What to make of the events that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gathering {
    /// List them, newest first.
    Events,
    /// Count them over time.
    Histogram {
        /// In about so many stretches.
        n_buckets: u32,
    },
    /// Count the values of a field.
    Top {
        /// The field.
        field: Field,
    },
    /// All of that at once: a few events, how many there are over time, and on which hosts, by which programs and of which
    /// kinds.
    Survey {
        /// In about so many stretches.
        n_buckets: u32,
    },
}

/// What a request asks for.
pub(super) fn gathering(request: &Request) -> Result<Gathering, RequestError> {
    if let Some(n) = request.survey {
        return match (request.histogram, &request.top) {
            (None, None) => {
                Ok(Gathering::Survey { n_buckets: bounded("number of buckets", n, MAX_BUCKETS)? })
            }
            _ => Err(RequestError::Combination("a survey has a histogram and top values already")),
        };
    }
    match (request.histogram, &request.top) {
        (Some(_), Some(_)) => Err(RequestError::Combination("histogram and top exclude each other")),
        (Some(n), None) => {
            Ok(Gathering::Histogram { n_buckets: bounded("number of buckets", n, MAX_BUCKETS)? })
        }
        (None, Some(name)) => Ok(Gathering::Top { field: countable(name)? }),
        (None, None) => Ok(Gathering::Events),
    }
}

fn countable(name: &str) -> Result<Field, RequestError> {
    let found = || name.chars().take(64).collect::<String>();
    let Some(field) = Field::from_name(name) else {
        return Err(RequestError::Field { why: "unknown field", found: found(), suggestion: nearest(name) });
    };
    let options = Options::default();
    // What only the store knows cannot be searched for, so it cannot be counted either.
    match Predicate::parse(&format!("{name}:*"), &options) {
        Ok(_) => Ok(field),
        Err(_) => Err(RequestError::Field { why: "cannot count field", found: found(), suggestion: None }),
    }
}
