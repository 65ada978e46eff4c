//! What must come of a scenario, and what an event must be to count for it.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Exactly the events that a scenario causes.
///
/// Every event of the scenario's own category that its processes cause must be one of these, and each of these must
/// come as often as it says. Events of other categories count only where they are named here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Expect {
    pub(crate) events: Vec<Event>,
    pub(crate) unseen: Vec<Unseen>,
    pub(crate) alike: Vec<String>,
}

/// An event that does not come though the thing happened, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Unseen {
    pub(crate) event: Event,
    pub(crate) why: String,
}

/// What an event looks like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Event {
    wants: Vec<(String, Want)>,
    pub(crate) times: usize,
}

/// What a field must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Want {
    /// This very value.
    Is(Value),
    /// A list that has this item.
    Holds(Value),
    /// A text with this end.
    EndsWith(String),
    /// Any value.
    Any,
    /// No value.
    Absent,
}

impl Expect {
    /// Nothing at all.
    pub(crate) fn nothing() -> Self {
        Self::default()
    }

    /// This event too.
    #[must_use]
    pub(crate) fn event(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }

    /// All that is expected there, too.
    #[must_use]
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.events.extend(other.events);
        self.unseen.extend(other.unseen);
        self.alike.extend(other.alike);
        self
    }

    /// The events that have this field all have the same value in it.
    #[must_use]
    pub(crate) fn alike(mut self, field: &str) -> Self {
        self.alike.push(field.into());
        self
    }

    /// This event where the sensor can see it, and else not, for this reason.
    #[must_use]
    pub(crate) fn event_if(self, can_see: bool, event: Event, why_not: &str) -> Self {
        if can_see { self.event(event) } else { self.unseen(event, why_not) }
    }

    /// Not this event, though one might wish for it; the documentation tells why.
    #[must_use]
    pub(crate) fn unseen(mut self, event: Event, why: &str) -> Self {
        self.unseen.push(Unseen { event, why: why.into() });
        self
    }
}

impl Event {
    /// An event of this action, once.
    pub(crate) fn new(action: &str) -> Self {
        Self { wants: Vec::new(), times: 1 }.with("event.action", action)
    }

    /// Caused by this process.
    #[must_use]
    pub(crate) fn by(self, pid: u32) -> Self {
        self.with("process.pid", pid)
    }

    /// With this value in a field.
    #[must_use]
    pub(crate) fn with(self, field: &str, value: impl Into<Value>) -> Self {
        self.want(field, Want::Is(value.into()))
    }

    /// With this path in a field.
    #[must_use]
    pub(crate) fn with_path(self, field: &str, path: &Path) -> Self {
        self.with(field, path.to_string_lossy().into_owned())
    }

    /// With a field that is like this.
    #[must_use]
    pub(crate) fn want(mut self, field: &str, want: Want) -> Self {
        self.wants.push((field.into(), want));
        self
    }

    /// This often.
    #[must_use]
    pub(crate) fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Whether this is such an event.
    pub(crate) fn is(&self, found: &Value) -> bool {
        self.wants.iter().all(|(name, want)| want.is(field(found, name)))
    }
}

impl Want {
    fn is(&self, found: Option<&Value>) -> bool {
        match (self, found) {
            (Self::Absent, found) => found.is_none(),
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::Is(value), Some(found)) => value == found,
            (Self::Holds(item), Some(found)) => found.as_array().is_some_and(|all| all.contains(item)),
            (Self::EndsWith(end), Some(found)) => found.as_str().is_some_and(|text| text.ends_with(end)),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (name, want)) in self.wants.iter().enumerate() {
            let and = if n == 0 { "" } else { " and " };
            match want {
                Want::Is(value) => write!(f, "{and}{name}:{value}")?,
                Want::Holds(value) => write!(f, "{and}{name} holds {value}")?,
                Want::EndsWith(end) => write!(f, "{and}{name}:*{end}")?,
                Want::Any => write!(f, "{and}{name}:*")?,
                Want::Absent => write!(f, "{and}not {name}:*")?,
            }
        }
        Ok(())
    }
}

/// The value of a field, named as in a query.
pub(crate) fn field<'a>(event: &'a Value, name: &str) -> Option<&'a Value> {
    name.split('.').try_fold(event, |value, key| value.get(key))
}

/// The text of a field.
pub(crate) fn text<'a>(event: &'a Value, name: &str) -> Option<&'a str> {
    field(event, name)?.as_str()
}
