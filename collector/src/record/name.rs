//! The group and the type of a kind of events, worked out once.

use std::borrow::Cow;
use std::sync::LazyLock;

use wire::event::Kind;

use super::Group;

/// What records of a kind of events are called.
#[derive(Clone, Debug)]
pub struct Name {
    /// What they belong to.
    pub group: Group,
    /// Their type: `vedette.` and the kind.
    pub class: Cow<'static, str>,
}

/// What all types begin with.
const PREFIX: &str = "vedette.";

/// What records of this kind are called.
pub fn of(kind: Kind) -> Name {
    match KNOWN.get(usize::from(kind.number())) {
        Some(Some((group, class))) => Name { group: *group, class: Cow::Borrowed(class) },
        _ => Name { group: Group::Other, class: Cow::Owned(format!("{PREFIX}{kind}")) },
    }
}

/// `process.exec` of the type `vedette.process.exec`.
pub fn code(class: &str) -> &str {
    class.strip_prefix(PREFIX).unwrap_or(class)
}

/// By the kinds' numbers.
static KNOWN: LazyLock<Vec<Option<(Group, String)>>> = LazyLock::new(|| {
    let mut known = Vec::new();
    for info in Kind::known() {
        let at = usize::from(info.kind.number());
        if known.len() <= at {
            known.resize(at + 1, None);
        }
        if let Some(slot) = known.get_mut(at) {
            let group = Group::named(info.category).unwrap_or(Group::Other);
            *slot = Some((group, format!("{PREFIX}{}.{}", info.category, info.action)));
        }
    }
    known
});
