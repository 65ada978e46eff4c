//! What becomes of a kind of events.

use wire::event::{Kind, Row};
use wire::field::Field;

use super::class::Class;
use super::verdict::VERDICT;
use crate::shape::{Attribute, FieldSet};

/// What becomes of a kind of events: an event of one class, in one of some cases.
#[derive(Debug)]
pub struct Mapping {
    /// The kind; where it stands for several, the first.
    pub kind: Kind,
    /// Its class.
    pub class: &'static Class,
    /// Whose deed it is.
    pub roles: Roles,
    /// Which case an event is. Mostly there is but one.
    pub choose: fn(&Row) -> usize,
    /// The cases; the last also stands for one that is chosen and not there.
    pub cases: &'static [Case],
    /// The fields that have their place in what the subject became.
    mapped: FieldSet,
}

/// One of the things that a kind of events can be.
#[derive(Debug)]
pub struct Case {
    /// `activity_id`.
    pub activity: u32,
    /// `activity_name`, where the class has none of that number.
    pub name: Option<&'static str>,
    /// `severity_id`.
    pub severity: u32,
    /// Whether somebody should look at it at once (the security_control profile).
    pub is_alert: bool,
    /// Where its fields stand.
    pub attributes: &'static [Attribute],
    /// The fields that have their place there.
    mapped: FieldSet,
}

/// What the event's subject has to do with it.
#[derive(Clone, Copy, Debug)]
pub enum Roles {
    /// It does something: `actor.process`.
    Actor,
    /// It came to be: `process`. Its parent did that: `actor.process`.
    Launched,
    /// It does something to itself: both.
    Itself,
    /// It ended: both, and that is when.
    Ended,
    /// It became another: `actor.process` as it was, `process` with these attributes after.
    Changed(&'static [Attribute]),
}

/// `severity_id` of what is only told.
const INFORMATIONAL: u32 = 1;

impl Case {
    /// An activity of the class.
    pub const fn new(activity: u32, attributes: &'static [Attribute]) -> Self {
        let mapped = Attribute::fields(attributes);
        Self { activity, name: None, severity: INFORMATIONAL, is_alert: false, attributes, mapped }
    }

    /// What the class has no activity for.
    pub const fn other(name: &'static str, attributes: &'static [Attribute]) -> Self {
        Self { name: Some(name), ..Self::new(super::class::OTHER, attributes) }
    }

    /// The same, graver.
    #[must_use]
    pub const fn severity(self, severity: u32) -> Self {
        Self { severity, ..self }
    }

    /// The same, for somebody to look at.
    #[must_use]
    pub const fn alert(self, severity: u32) -> Self {
        Self { severity, is_alert: true, ..self }
    }

    /// The caption of its activity.
    pub fn activity_name(&self, class: &Class) -> &'static str {
        self.name.unwrap_or_else(|| class.activity(self.activity))
    }
}

impl Mapping {
    /// A kind whose subject does something, in always the same way.
    pub const fn new(kind: Kind, class: &'static Class, cases: &'static [Case]) -> Self {
        Self { kind, class, roles: Roles::Actor, choose: |_| 0, cases, mapped: FieldSet::EMPTY }
    }

    /// The same with another part for its subject.
    #[must_use]
    pub const fn roles(self, roles: Roles) -> Self {
        let mapped = match roles {
            Roles::Changed(attributes) => Attribute::fields(attributes),
            _ => FieldSet::EMPTY,
        };
        Self { roles, mapped, ..self }
    }

    /// The same in several cases, which this chooses.
    #[must_use]
    pub const fn choose(self, choose: fn(&Row) -> usize) -> Self {
        Self { choose, ..self }
    }

    /// The case of an event with this row.
    ///
    /// # Panics
    /// When there are no cases, which no table has.
    pub fn case(&self, row: &Row) -> &'static Case {
        let chosen = self.cases.get((self.choose)(row)).or_else(|| self.cases.last());
        chosen.expect("every kind has a case; a test holds that")
    }

    /// The fields of an event that have their place in this case.
    pub fn mapped(&self, case: &Case) -> FieldSet {
        case.mapped.union(self.mapped).union(self.class.mapped).union(OF_VERDICT)
    }
}

const OF_VERDICT: FieldSet = Attribute::fields(VERDICT);

/// A field's text, for those that choose.
pub(super) fn text(row: &Row, field: Field) -> &[u8] {
    match row.get(field) {
        Some(wire::value::Value::Keyword(text)) => text,
        _ => b"",
    }
}
