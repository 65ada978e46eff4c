//! Rules: the query language with an action.
//!
//! A [`Rule`] is what its author wrote. [`Rule::check`] reads its texts, says everything that is wrong with it, and who can
//! decide it: a kernel ([`crate::decide`]), or a predicate in user space alone. Collector and sensor check alike, so that what
//! one accepts the other does not refuse. What a rule matches is what a search with its `when` finds.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::decide;
use crate::event::Kind;
use crate::field::Field;
use crate::predicate::{Options, Predicate};
use crate::query::{Hint, QueryError};

mod refusable;

pub use refusable::is_refusable;

/// The longest name of a rule, in characters.
pub const MAX_NAME: usize = 64;
/// The longest description, in bytes.
pub const MAX_DESCRIPTION: usize = 1024;

/// The fields that say which hosts a rule is for.
pub const SCOPE: &[Field] = &[Field::HostId, Field::HostName, Field::HostTags];
/// What is only known afterwards, or is another moment each time it is asked.
const TIMES: &[Field] = &[Field::Timestamp, Field::EventSensorTime, Field::EventIngested];

/// A rule as its author wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What it is called: unique among the rules of a fleet.
    pub name: String,
    /// What it is for, in words.
    pub description: String,
    /// Which events: a query.
    pub when: String,
    /// The most it may do.
    pub action: Action,
    /// Whether it does that, or only tells what it would do.
    pub mode: Mode,
    /// Which hosts: a query of [`SCOPE`]; empty for all.
    pub hosts: String,
    /// What to do on a kernel that cannot refuse.
    pub fallback: Option<Fallback>,
}

/// The most that a rule may do, the mildest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Ship the event.
    Ship,
    /// Ship it, and make a finding of it.
    Alert,
    /// Refuse what the process asks for.
    Deny,
    /// Kill the process, and refuse what it asks for.
    Kill,
}

/// Whether a rule does what it may do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It tells what it would do.
    #[default]
    Observe,
    /// It does it.
    Enforce,
}

/// What a rule that denies does on a kernel that cannot refuse.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fallback {
    /// Kill the process where that comes before the harm.
    Kill,
}

impl Action {
    /// All of them, the mildest first.
    pub const ALL: [Self; 4] = [Self::Ship, Self::Alert, Self::Deny, Self::Kill];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Action::Ship => "ship",
            Action::Alert => "alert",
            Action::Deny => "deny",
            Action::Kill => "kill",
        }
    }

    /// Whether it keeps a process from what it asks for.
    pub fn refuses(self) -> bool {
        matches!(self, Action::Deny | Action::Kill)
    }
}

impl Mode {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Observe => "observe",
            Mode::Enforce => "enforce",
        }
    }
}

/// A rule whose texts make sense.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Which events.
    pub when: Predicate,
    /// Which hosts.
    pub hosts: Predicate,
    /// Who can decide it.
    pub decider: Decider,
    /// The kinds of event that it can match; `None` where that cannot be told, because only user space can decide it.
    pub kinds: Option<Vec<Kind>>,
    /// What is odd about `when` though it is valid.
    pub hints: Vec<Hint>,
}

/// Who can decide a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decider {
    /// A kernel, with so many rows of its tables.
    Kernel {
        /// How many.
        n_rows: usize,
    },
    /// Only a predicate in user space, for this reason.
    UserSpace(QueryError),
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// In which of its parts, as that is called in a rule's text.
    pub part: &'static str,
    /// What was found, what was expected, and what to do.
    pub said: String,
    /// Where in that part's text, in characters from 1, if it is a query.
    pub column: Option<usize>,
}

impl Fault {
    fn new(part: &'static str, said: impl Into<String>) -> Self {
        Self { part, said: said.into(), column: None }
    }

    fn of_query(part: &'static str, text: &str, error: &QueryError) -> Self {
        Self { part, said: error.render(text), column: Some(error.column) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part, self.said)
    }
}

impl Rule {
    /// Reads its texts.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of its parts.
    pub fn check(&self) -> Result<Checked, Vec<Fault>> {
        let mut faults = Vec::new();
        faults.extend(wrong_name(&self.name));
        if self.description.len() > MAX_DESCRIPTION {
            let found = self.description.len();
            faults.push(Fault::new(
                "description",
                format!("found {found} bytes, expected at most {MAX_DESCRIPTION}"),
            ));
        }
        let when = self.checked_when().map_err(|fault| faults.push(fault)).ok();
        let hosts = self.checked_hosts().map_err(|fault| faults.push(fault)).ok();
        if let Some((_, decider, kinds)) = &when {
            faults.extend(self.wrong_action(decider, kinds.as_deref()));
        }
        if self.fallback.is_some() && self.action != Action::Deny {
            let found = self.action.name();
            faults.push(Fault::new(
                "fallback",
                format!("it is for rules that deny, and this one's action is {found}: leave it out"),
            ));
        }
        match (when, hosts) {
            (Some((when, decider, kinds)), Some(hosts)) if faults.is_empty() => {
                let hints = when.hints().to_vec();
                Ok(Checked { when, hosts, decider, kinds, hints })
            }
            _ => Err(faults),
        }
    }

    /// A query for what it matches, on the hosts that it is for.
    pub fn matching(&self) -> String {
        match self.hosts.trim() {
            "" => self.when.clone(),
            hosts => format!("({}) and ({hosts})", self.when),
        }
    }

    fn checked_when(&self) -> Result<(Predicate, Decider, Option<Vec<Kind>>), Fault> {
        let wrong = |error: &QueryError| Fault::of_query("when", &self.when, error);
        if self.when.trim().is_empty() {
            return Err(Fault::new("when", "found nothing, expected a query that says which events"));
        }
        let predicate = Predicate::parse(&self.when, &Options::default()).map_err(|error| wrong(&error))?;
        let fields = predicate.fields();
        if let Some(field) = TIMES.iter().find(|field| fields.contains(field)) {
            return Err(Fault::new(
                "when",
                format!(
                    "{field} is a time, and a rule decides when something happens: leave it out, or use `expires`"
                ),
            ));
        }
        if let Some(field) = SCOPE.iter().find(|field| fields.contains(field)) {
            return Err(Fault::new("when", format!("{field} is about hosts: say it in `hosts`")));
        }
        match decide::all(&self.when) {
            Ok(decision) => {
                let mut kinds: Vec<Kind> = decision.rows.iter().flat_map(|row| row.kinds.iter()).collect();
                kinds.sort_unstable_by_key(|kind| kind.number());
                kinds.dedup();
                Ok((predicate, Decider::Kernel { n_rows: decision.rows.len() }, Some(kinds)))
            }
            Err(decide::Undecided::Never(error)) => Err(wrong(&error)),
            Err(decide::Undecided::Beyond(error)) => Ok((predicate, Decider::UserSpace(error), None)),
        }
    }

    fn checked_hosts(&self) -> Result<Predicate, Fault> {
        let wrong = |error: &QueryError| Fault::of_query("hosts", &self.hosts, error);
        let predicate = Predicate::parse(&self.hosts, &Options::default()).map_err(|error| wrong(&error))?;
        match predicate.fields().iter().find(|field| !SCOPE.contains(field)) {
            None => Ok(predicate),
            Some(field) => {
                let known: Vec<&str> = SCOPE.iter().map(|field| field.name()).collect();
                Err(Fault::new(
                    "hosts",
                    format!(
                        "found {field}, expected {}: hosts are chosen by what is known of them, events by `when`",
                        known.join(", ")
                    ),
                ))
            }
        }
    }

    /// What it may not do, given who can decide it.
    fn wrong_action(&self, decider: &Decider, kinds: Option<&[Kind]>) -> Option<Fault> {
        if !self.action.refuses() {
            return None;
        }
        let action = self.action.name();
        if let Decider::UserSpace(error) = decider {
            let why = error.render(&self.when);
            return Some(Fault::new(
                "action",
                format!(
                    "{action} is decided in the kernel, which cannot decide this; expected ship or alert, or another `when`\n{why}"
                ),
            ));
        }
        let beyond: Vec<String> = kinds
            .unwrap_or_default()
            .iter()
            .filter(|kind| !is_refusable(**kind))
            .filter_map(|kind| kind.info())
            .map(|info| format!("{}.{}", info.category, info.action))
            .collect();
        let (first, rest) =
            (beyond.iter().take(3).cloned().collect::<Vec<_>>().join(", "), beyond.len().saturating_sub(3));
        let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        (!beyond.is_empty()).then(|| {
            Fault::new(
                "action",
                format!("{action} cannot keep {first}{rest} from happening: they are told when they are over; name others with event.action, or use alert"),
            )
        })
    }
}

fn wrong_name(name: &str) -> Option<Fault> {
    let is_of = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_right = name.len() <= MAX_NAME
        && name.chars().all(is_of)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    (!is_right).then(|| {
        let found: String = name.chars().take(MAX_NAME).collect();
        Fault::new(
            "name",
            format!(
                "found {found:?}, expected 1 to {MAX_NAME} of a-z, 0-9 and -, and a letter or a digit first"
            ),
        )
    })
}

#[cfg(test)]
mod tests;
