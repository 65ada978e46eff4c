//! What a host may say of itself when it enrols.

use wire::enrolment::HostFacts;

/// The longest name of a host, in bytes (the kernel allows 64, DNS 253).
const MAX_NAME: usize = 253;
/// The longest of the other facts, in bytes.
const MAX_FACT: usize = 128;

/// A fact that cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    /// Too long.
    #[error("{fact} has {found} bytes, expected at most {most}")]
    TooLong {
        /// Which.
        fact: &'static str,
        /// Its length.
        found: usize,
        /// What is allowed.
        most: usize,
    },
    /// Has control characters, which no honest kernel or host name has.
    #[error("{fact} has control characters in it")]
    Control {
        /// Which.
        fact: &'static str,
    },
    /// The host has no name.
    #[error("the host's name is empty")]
    NoName,
}

/// Whether these facts can be kept.
///
/// # Errors
/// With the first that cannot.
pub fn check(facts: &HostFacts) -> Result<(), FactsError> {
    if facts.name.is_empty() {
        return Err(FactsError::NoName);
    }
    let all = [
        ("the host's name", &facts.name, MAX_NAME),
        ("the kernel's release", &facts.kernel, MAX_FACT),
        ("the architecture", &facts.arch, MAX_FACT),
        ("the sensor's version", &facts.sensor_version, MAX_FACT),
    ];
    for (fact, text, most) in all {
        if text.len() > most {
            return Err(FactsError::TooLong { fact, found: text.len(), most });
        }
        if text.chars().any(char::is_control) {
            return Err(FactsError::Control { fact });
        }
    }
    Ok(())
}

/// A text from a host cut to what is kept of it: without control characters, at most `most` bytes.
pub fn tidy(text: &str, most: usize) -> String {
    let mut kept: String = text.chars().filter(|c| !c.is_control()).collect();
    kept.truncate(kept.floor_char_boundary(most));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_that_cannot_be_kept_are_refused() {
        let good = HostFacts { name: "web-1".into(), kernel: "6.1.0".into(), ..HostFacts::default() };
        assert_eq!(check(&good), Ok(()));
        assert_eq!(check(&HostFacts { name: String::new(), ..good.clone() }), Err(FactsError::NoName));
        let nul = HostFacts { kernel: "6\0".into(), ..good.clone() };
        assert_eq!(check(&nul), Err(FactsError::Control { fact: "the kernel's release" }));
        let long = HostFacts { name: "x".repeat(254), ..good };
        assert!(matches!(check(&long), Err(FactsError::TooLong { found: 254, .. })));
    }

    #[test]
    fn what_a_session_says_is_cut_not_refused() {
        assert_eq!(tidy("web\0-1\n", 64), "web-1");
        assert_eq!(tidy("ééé", 3), "é");
    }
}
