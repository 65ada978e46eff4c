//! Tetragon's TracingPolicy as rules.
//!
//! A policy names functions of the kernel to look at; a sensor has fixed places, of which each tells an event. What a policy asks
//! for becomes a rule where such an event tells it exactly, or more of it than was asked for, which the rule's notes then say;
//! else it is left, with the feature that is missing. Nothing is weakened in silence.
//!
//! | file | holds |
//! |---|---|
//! | `policy` | the parts of a policy: each selector of each hook |
//! | `hook` | which event tells of a function of the kernel, and what its arguments are there |
//! | `selector` | what a selector asks for, as conditions |
//! | `action` | what is to be done |
//! | `condition` | conditions as the text of a query |
//! | `write` | rules as YAML |

use serde_json::Value as Json;
use wire::rule::{Action, Mode, Rule};

mod action;
mod condition;
mod hook;
mod policy;
mod selector;
mod write;

pub use hook::reference;
pub use write::yaml;

/// What became of one part of a policy: a selector of a hook, or what stands beside the hooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The policy's name.
    pub policy: String,
    /// Where it stands, such as `kprobes[0] tcp_connect, selector 1`.
    pub place: String,
    /// What became of it.
    pub became: Became,
}

/// What became of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Became {
    /// A rule, and what is different about it.
    Rule {
        /// The rule; it observes.
        rule: Box<Rule>,
        /// What whoever wrote the policy should know.
        notes: Vec<String>,
    },
    /// Nothing, as the sensor does that anyway.
    Needless(String),
    /// Nothing: why it cannot be told or decided.
    Left(String),
}

/// Reads the policies of a file; what became of each part, in their order.
///
/// # Errors
/// When it is not YAML, or no tracing policy; says what was found.
pub fn read(text: &str) -> Result<Vec<Part>, String> {
    let documents: Vec<Json> =
        serde_saphyr::from_multiple(text).map_err(|error| error.without_snippet().to_string())?;
    if documents.is_empty() {
        return Err("found nothing, expected a TracingPolicy".to_owned());
    }
    let mut parts = Vec::new();
    for document in &documents {
        parts.extend(policy::parts(document)?);
    }
    Ok(parts)
}

/// Names the rules of a policy, which may be several, and checks each.
fn finished(policy: &str, found: Vec<(String, policy::Found)>) -> Vec<Part> {
    let n_rules = found.iter().filter(|(_, found)| matches!(found, policy::Found::Rule { .. })).count();
    let mut n = 0;
    let part = |(place, found): (String, policy::Found)| {
        let became = match found {
            policy::Found::Needless(why) => Became::Needless(why),
            policy::Found::Left(why) => Became::Left(why),
            policy::Found::Rule { when, action, notes } => {
                n += 1;
                checked(rule_of(policy, (n_rules > 1).then_some(n), when, action), notes)
            }
        };
        Part { policy: policy.to_owned(), place, became }
    };
    found.into_iter().map(part).collect()
}

fn rule_of(policy: &str, n: Option<usize>, when: String, action: Action) -> Rule {
    let suffix = n.map_or(String::new(), |n| format!("-{n}"));
    let is_of = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut name: String =
        policy.to_ascii_lowercase().chars().map(|c| if is_of(c) { c } else { '-' }).collect();
    name = name.trim_matches('-').to_owned();
    name.truncate(wire::rule::MAX_NAME - suffix.len());
    if name.is_empty() {
        name = "policy".to_owned();
    }
    Rule {
        name: name + &suffix,
        description: format!("From the tracing policy {policy}"),
        when,
        action,
        mode: Mode::Observe,
        hosts: String::new(),
        fallback: None,
    }
}

/// The rule, or why this version cannot have it.
fn checked(rule: Rule, notes: Vec<String>) -> Became {
    match rule.check() {
        Ok(_) => Became::Rule { rule: Box::new(rule), notes },
        Err(faults) => {
            let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Became::Left(said.join("; "))
        }
    }
}

#[cfg(test)]
mod tests;
