//! Secrets in arguments, replaced before anything keeps them.
//!
//! Pure. A rule is a pattern of the `regex` crate over all arguments at once, each ended by NUL, as bytes: `^` and `$`
//! are the ends of an argument, `.` is any byte of one, and `\x00` leads from one to the next. What its groups take is
//! the secret; without groups all that it matches is.
//!
//! The time is linear in the length of the arguments: one pass tells which built-in rules can match at all, as it finds
//! what must be there for them, and only those look. (A `RegexSet` would tell exactly, but its automaton knows so many
//! states that it took 40 times as long and 2 MB.)

use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{Regex, RegexBuilder};

mod builtin;
mod names;
mod programs;
mod services;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;

/// What stands in place of a secret.
pub const MARKER: &[u8] = b"<redacted>";

/// The most matches of one rule that are looked for; what follows after so many is replaced as a whole.
const MAX_MATCHES: usize = 256;
/// The most own patterns, and the longest of them.
const MAX_PATTERNS: usize = 64;
/// The most memory of a compiled pattern, and that a search with it may take, in bytes.
const SIZE_LIMIT: usize = 1 << 20;
const DFA_SIZE_LIMIT: usize = 256 << 10;

/// Which secrets are replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redaction {
    /// Whether any are.
    pub on: bool,
    /// Built-in rules that are not applied.
    pub without: Vec<String>,
    /// Further patterns.
    pub patterns: Vec<String>,
}

impl Default for Redaction {
    fn default() -> Self {
        Self { on: true, without: Vec::new(), patterns: Vec::new() }
    }
}

/// What is asked for cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum RedactionError {
    /// No built-in rule has this name.
    #[error("no rule {name:?} to switch off; the rules are {known}")]
    Rule {
        /// The name.
        name: String,
        /// All names.
        known: String,
    },
    /// Not a pattern.
    #[error("invalid pattern {pattern:?}, expected a regular expression of the regex crate: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        reason: String,
    },
    /// The names that are looked for cannot be.
    #[error("cannot look for names of secrets")]
    Needles(#[from] aho_corasick::BuildError),
    /// More than are looked for.
    #[error("{found} patterns, expected at most {MAX_PATTERNS}; join some with |")]
    TooMany {
        /// How many.
        found: usize,
    },
}

/// Replaces secrets.
#[derive(Debug)]
pub struct Redactor {
    needles: AhoCorasick,
    /// The rule of each needle, by its place among them.
    rules_of: Vec<usize>,
    rules: Vec<Rule>,
    own: Vec<Regex>,
}

/// A built-in pattern, compiled when it is first needed, as most never are on a host.
#[derive(Debug)]
struct Rule {
    pattern: String,
    regex: OnceLock<Option<Regex>>,
}

impl Redactor {
    /// Compiles the rules.
    ///
    /// # Errors
    /// When a rule is not known, or a pattern is none or too large.
    pub fn new(asked: &Redaction) -> Result<Self, RedactionError> {
        let mut builtin = builtin::rules();
        let is_known = |name: &&String| builtin.iter().any(|rule| rule.name == *name);
        if let Some(name) = asked.without.iter().find(|name| !is_known(name)) {
            return Err(RedactionError::Rule { name: name.clone(), known: rule_names().join(", ") });
        }
        if asked.patterns.len() > MAX_PATTERNS {
            return Err(RedactionError::TooMany { found: asked.patterns.len() });
        }
        let own = asked.patterns.iter().map(|pattern| {
            compile(pattern).map_err(|error| RedactionError::Pattern {
                pattern: pattern.clone(),
                reason: in_one_line(&error),
            })
        });
        let own = own.collect::<Result<Vec<Regex>, _>>()?;
        builtin.retain(|rule| asked.on && !asked.without.iter().any(|off| off == rule.name));
        let needles =
            || builtin.iter().enumerate().flat_map(|(at, rule)| rule.needles.iter().map(move |n| (at, n)));
        Ok(Self {
            needles: AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(needles().map(|(_, needle)| needle))?,
            rules_of: needles().map(|(at, _)| at).collect(),
            rules: builtin
                .iter()
                .map(|rule| Rule { pattern: rule.pattern.clone(), regex: OnceLock::new() })
                .collect(),
            own: if asked.on { own } else { Vec::new() },
        })
    }

    /// The arguments without their secrets; `None` if there are none. NULs stay, and so does the number of arguments.
    pub fn redact(&self, args: &[u8]) -> Option<Vec<u8>> {
        let mut secrets = Vec::new();
        let mut asked: u64 = 0;
        for found in self.needles.find_overlapping_iter(args) {
            let Some(&at) = self.rules_of.get(found.pattern().as_usize()) else { continue };
            if asked & 1 << at == 0 {
                asked |= 1 << at;
                if let Some(rule) = self.rules.get(at) {
                    rule.find(args, &mut secrets);
                }
            }
        }
        self.own.iter().for_each(|regex| find(regex, args, &mut secrets));
        (!secrets.is_empty()).then(|| replace(args, secrets))
    }
}

/// The names of the built-in rules.
pub fn rule_names() -> Vec<&'static str> {
    let mut names: Vec<_> = builtin::rules().into_iter().map(|rule| rule.name).collect();
    names.dedup();
    names
}

impl Rule {
    /// Where its secrets are.
    fn find(&self, args: &[u8], secrets: &mut Vec<(usize, usize)>) {
        match self.regex.get_or_init(|| compile(&self.pattern).ok()) {
            Some(regex) => find(regex, args, secrets),
            // A test compiles each of them; if one cannot be, anything may be a secret.
            None => secrets.push((0, args.len())),
        }
    }
}

fn find(regex: &Regex, args: &[u8], secrets: &mut Vec<(usize, usize)>) {
    for (n, found) in regex.captures_iter(args).enumerate() {
        if n == MAX_MATCHES {
            let start = found.get(0).map_or(0, |whole| whole.start());
            return secrets.push((start, args.len()));
        }
        let whole = usize::from(found.len() > 1);
        let taken = found.iter().skip(whole).flatten().map(|part| (part.start(), part.end()));
        secrets.extend(taken.filter(|(start, end)| start < end));
    }
}

fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .multi_line(true)
        .line_terminator(0)
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(DFA_SIZE_LIMIT)
        .build()
}

/// A syntax error shows the pattern again, with a mark below, and says in its last line what is wrong.
fn in_one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_ascii_lowercase()
}

/// Puts the marker in place of each stretch; one that spans arguments is replaced in each of them.
fn replace(args: &[u8], mut secrets: Vec<(usize, usize)>) -> Vec<u8> {
    secrets.sort_unstable();
    let mut redacted = Vec::with_capacity(args.len());
    let mut kept_to = 0;
    let mut secrets = secrets.into_iter().peekable();
    while let Some((start, mut end)) = secrets.next() {
        while let Some((_, further)) = secrets.next_if(|(next, _)| *next <= end) {
            end = end.max(further);
        }
        redacted.extend_from_slice(args.get(kept_to..start).unwrap_or_default());
        for (n, piece) in args.get(start..end).unwrap_or_default().split(|byte| *byte == 0).enumerate() {
            redacted.extend_from_slice(if n > 0 { b"\0" } else { b"" });
            redacted.extend_from_slice(if piece.is_empty() { b"" } else { MARKER });
        }
        kept_to = end;
    }
    redacted.extend_from_slice(args.get(kept_to..).unwrap_or_default());
    redacted
}
