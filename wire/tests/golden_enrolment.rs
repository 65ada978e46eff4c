//! Enrolment and renewal of the last release, both ways: its bodies are read by today's code, and what today's code sends it
//! reads.
//!
//! `tests/golden/enrolment/VERSION/*.json` hold bodies as the build that became that version sent them; never made again.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fmt::Debug;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use wire::enrolment::{Certified, Challenge, EnrollRequest, RenewRequest};

fn golden(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/enrolment/0.1.0");
    std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap()
}

/// What the last release sent is read, and sent again is the same.
fn survives<T: Serialize + DeserializeOwned + Debug>(name: &str) -> T {
    let text = golden(name);
    let body: T = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&body).unwrap(), text, "{name} is sent otherwise");
    body
}

#[test]
fn bodies_of_the_last_release_are_read_and_sent_as_they_were() {
    survives::<EnrollRequest>("enroll");
    survives::<RenewRequest>("renew");
    survives::<Challenge>("challenge");
    let certified: Certified = survives("certified");
    assert_eq!(certified.authorities, Vec::<String>::new());
}

/// `Certified` as the sensors of the last release have it.
#[derive(Debug, Deserialize)]
struct Released {
    host: Uuid,
    certificate: String,
    ca: String,
    not_after: i64,
    now: i64,
}

#[test]
fn sensors_of_the_last_release_read_todays_answers() {
    let mut today: Certified = serde_json::from_str(&golden("certified")).unwrap();
    today.authorities = vec!["00".to_owned(), "01".to_owned()];
    let read: Released = serde_json::from_value(serde_json::to_value(&today).unwrap()).unwrap();
    assert_eq!((read.host, read.certificate, read.ca), (today.host, today.certificate, today.ca));
    assert_eq!((read.not_after, read.now), (today.not_after, today.now));
}

/// Collectors of the last release refuse what they do not know in a request, so nothing was added there.
#[test]
fn requests_have_the_fields_that_the_last_release_knows() {
    let names = |text: &str| -> Vec<String> {
        let body: Value = serde_json::from_str(text).unwrap();
        body.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(names(&golden("enroll")), ["token", "csr", "facts"]);
    assert_eq!(names(&golden("renew")), ["certificate", "challenge", "csr", "signature"]);
    let full: EnrollRequest = serde_json::from_str(&golden("enroll")).unwrap();
    assert_eq!(names(&serde_json::to_string(&full).unwrap()), ["token", "csr", "facts"]);
}
