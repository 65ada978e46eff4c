//! What rules decided of an event: the security_control profile.
//!
//! Sensors do not say it of any event yet: the fields are there, and as soon as an event has them, they stand here.

use wire::field::Field;

use super::codes::{ACTIONS, DISPOSITIONS};
use crate::shape::{Attribute, Form};

/// What was decided, and by which policy. The rules and their modes stand in `unmapped`, all of them.
pub const VERDICT: &[Attribute] = &[
    Attribute::field("action_id", Field::RuleVerdict, Form::Code(&ACTIONS)),
    Attribute::field("action", Field::RuleVerdict, Form::Caption(&ACTIONS)),
    Attribute::field("disposition_id", Field::RuleVerdict, Form::Code(&DISPOSITIONS)),
    Attribute::field("disposition", Field::RuleVerdict, Form::Caption(&DISPOSITIONS)),
    Attribute::object("policy", &[Attribute::field("name", Field::RuleName, Form::First)]),
];
