//! Calls to a collector's API: the next of the list when one is out of reach, and errors that say what to do.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::identity::Fingerprint;
use crate::identity::pin::{Pin, PinError};

const CONNECT: Duration = Duration::from_secs(10);
const WHOLE: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes; ours have a few KB.
const MAX_ANSWER: usize = 64 * 1024;

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// None could be reached.
    #[error("no collector could be reached: {}; check the address, and that TCP to this port is allowed on the way", tried.join("; "))]
    Unreachable {
        /// Each collector with what happened.
        tried: Vec<String>,
    },
    /// A collector of another fleet, or none at all.
    #[error("{collector} is not a collector of this fleet: {wrong}; {}", advice(wrong))]
    Pin {
        /// Which.
        collector: String,
        /// What was wrong.
        wrong: PinError,
    },
    /// The collector said no.
    #[error("{collector} refused: {refusal}")]
    Refused {
        /// Which.
        collector: String,
        /// Its reason.
        refusal: Refusal,
    },
    /// Something else answered.
    #[error(
        "{collector} answered with status {status} and no reason, expected a collector's API: is it the right port?"
    )]
    Foreign {
        /// Which.
        collector: String,
        /// What it said.
        status: u16,
    },
    /// HTTPS could not be set up.
    #[error("cannot set up HTTPS: {0}")]
    Setup(String),
}

/// A collector's no, in its own words.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Refusal {
    /// A word for programs.
    pub code: String,
    /// For people.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Calls collectors of one fleet.
pub(crate) struct Caller {
    pin: Arc<Pin>,
    http: reqwest::Client,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: Refusal,
}

impl Caller {
    pub(crate) fn new(authorities: Vec<Fingerprint>) -> Result<Self, CallError> {
        let pin = Pin::new(authorities);
        let setup = |e: &(dyn std::error::Error + 'static)| CallError::Setup(wire::cause::chain(e));
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(pin.tls().map_err(|e| setup(&e))?)
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            .user_agent(concat!("vedette-sensor/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| setup(&e))?;
        Ok(Self { pin, http })
    }

    /// Posts to the first collector of the list that can be reached. What one answers is final.
    pub(crate) async fn post<A: DeserializeOwned>(
        &self,
        collectors: &[String],
        path: &str,
        body: &impl Serialize,
    ) -> Result<A, CallError> {
        let mut tried = Vec::new();
        for collector in collectors {
            let sent = self.http.post(format!("https://{collector}{path}")).json(body).send().await;
            match sent {
                Ok(response) => return answer(collector, response).await,
                Err(error) => match self.pin.take_wrong() {
                    Some(wrong) => return Err(CallError::Pin { collector: collector.clone(), wrong }),
                    // The URL of the request says nothing new.
                    None => tried.push(format!("{collector}: {}", root(&error.without_url()))),
                },
            }
        }
        Err(CallError::Unreachable { tried })
    }
}

async fn answer<A: DeserializeOwned>(
    collector: &str,
    mut response: reqwest::Response,
) -> Result<A, CallError> {
    let status = response.status();
    let collector = collector.to_owned();
    let foreign = |collector| CallError::Foreign { collector, status: status.as_u16() };
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(foreign(collector));
        }
        bytes.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return serde_json::from_slice(&bytes).map_err(|_| foreign(collector));
    }
    match serde_json::from_slice::<ErrorBody>(&bytes) {
        Ok(body) => Err(CallError::Refused { collector, refusal: body.error }),
        Err(_) => Err(foreign(collector)),
    }
}

fn advice(wrong: &PinError) -> &'static str {
    match wrong {
        PinError::Fingerprint { .. } => {
            "compare it with what `vedette enroll-token create` prints: either --ca-sha256 or --collector is of another fleet, or somebody sits in between"
        }
        PinError::Time { .. } => "set this host's clock (or the collector's) right and try again",
        PinError::Other(_) => "check that the address is a collector's",
    }
}

/// The innermost cause: it is what says "connection refused".
fn root(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(cause) = inner.source() {
        inner = cause;
    }
    inner.to_string()
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}
