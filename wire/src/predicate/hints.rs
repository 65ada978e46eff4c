//! Values that are valid but that no event has.

use super::value;
use crate::event::Kind;
use crate::field::Field;
use crate::query::{Hint, Word, nearest_of};

/// Tells of a value that no event of this version has.
pub(super) fn hint(field: Field, word: &Word) -> Option<Hint> {
    let known: Vec<&'static str> = match field {
        Field::EventAction => Kind::known().map(|info| info.action).collect(),
        Field::EventCategory => Kind::known().map(|info| info.category).collect(),
        Field::EventSource => vec!["kernel", "syscall"],
        Field::EventOutcome => vec!["success", "failure"],
        Field::NetworkType => vec!["ipv4", "ipv6"],
        Field::NetworkDirection => vec!["inbound", "outbound"],
        Field::RuleMode => vec!["observe", "enforce"],
        Field::RuleVerdict => vec!["observed", "denied", "killed"],
        _ => return None,
    };
    let text = std::str::from_utf8(word.literal()?).ok()?;
    let same = |known: &&str| *known == text || (word.fold && known.eq_ignore_ascii_case(text));
    if known.iter().any(same) || text == "unknown" || text.starts_with("kind-") {
        return None;
    }
    let nearest = nearest_of(&text.to_ascii_lowercase(), known.into_iter().map(|name| (name, name)));
    Some(Hint {
        span: word.span,
        message: format!("no event of this version has `{}` as its {field}", value::shown(text)),
        suggestion: nearest.map(|name| format!("`{name}`")),
    })
}
