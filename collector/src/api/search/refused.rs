//! What a search that cannot run, or failed, is answered with.

use crate::api::ApiError;
use crate::search::fleet::HostError;
use crate::search::{Failure, RequestError};

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        let message = error.to_string();
        match error {
            RequestError::Query { error, .. } => {
                let column = error.column;
                let hint = error.suggestion.map(|suggestion| format!("did you mean {suggestion}?"));
                let refused = ApiError::bad_request("invalid_query", message).column(column);
                // The message has it already; programs find it here.
                match hint {
                    Some(hint) => refused.hint(hint),
                    None => refused,
                }
            }
            RequestError::Host(error) => error.into(),
            _ => ApiError::bad_request("invalid_search", message),
        }
    }
}

impl From<HostError> for ApiError {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Unknown { .. } => {
                ApiError::not_found(error.to_string()).hint("`vedette hosts` lists the hosts")
            }
            HostError::Ambiguous { .. } => {
                ApiError::conflict("ambiguous_host", error.to_string()).hint("name the host by its id")
            }
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Store(error) => error.into(),
            Failure::Busy => ApiError::too_many(failure.to_string()),
            Failure::Thread(error) => ApiError::internal(error),
        }
    }
}
