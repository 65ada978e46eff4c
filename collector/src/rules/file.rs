//! Rules as they stand in a file: YAML, one rule a document, with the line of each part.

use serde::Deserialize;
use serde_saphyr::Spanned;
use wire::rule::{Action, Checked, Fallback, Mode, Rule};
use wire::time::WallTime;

use super::Expiry;

/// The largest file of rules, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// The most rules of one file.
pub const MAX_RULES: usize = 1_024;

/// A rule as it was written, and what its texts mean.
#[derive(Clone, Debug)]
pub struct Written {
    /// The rule.
    pub rule: Rule,
    /// What its texts mean.
    pub checked: Checked,
    /// Until when it lasts, if not for ever.
    pub expires: Option<Expiry>,
    /// The line of its name, from 1.
    pub line: u64,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The rule that it is about, if that has a name.
    pub rule: Option<String>,
    /// The line of the part that is wrong, from 1; 0 where that is not known.
    pub line: u64,
    /// What was found, what was expected, and what to do.
    pub said: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: Spanned<String>,
    #[serde(default)]
    description: Option<Spanned<String>>,
    when: Spanned<String>,
    action: Spanned<Action>,
    #[serde(default)]
    mode: Option<Mode>,
    #[serde(default)]
    hosts: Option<Spanned<String>>,
    #[serde(default)]
    expires: Option<Spanned<String>>,
    #[serde(default)]
    fallback: Option<Spanned<Fallback>>,
}

/// Reads all rules of a file.
///
/// # Errors
/// All that is wrong with it.
pub fn read(text: &str, now: WallTime) -> Result<Vec<Written>, Vec<Problem>> {
    let whole = |line: u64, said: String| vec![Problem { rule: None, line, said }];
    if text.len() > MAX_BYTES {
        return Err(whole(0, format!("found {} bytes, expected at most {MAX_BYTES}: divide it", text.len())));
    }
    let documents: Vec<Document> = serde_saphyr::from_multiple(text).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        whole(line, error.without_snippet().to_string())
    })?;
    if documents.is_empty() {
        return Err(whole(0, "found no rule, expected name, when and action".to_owned()));
    }
    if documents.len() > MAX_RULES {
        return Err(whole(0, format!("found {} rules, expected at most {MAX_RULES}", documents.len())));
    }
    let mut problems = Vec::new();
    let mut written: Vec<Written> = Vec::new();
    for document in documents {
        match document.rule(now) {
            Ok(rule) => match written.iter().find(|other| other.rule.name == rule.rule.name) {
                None => written.push(rule),
                Some(other) => problems.push(Problem {
                    line: rule.line,
                    said: format!("there is a rule of this name on line {} already", other.line),
                    rule: Some(rule.rule.name),
                }),
            },
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(written) } else { Err(problems) }
}

impl Document {
    fn rule(self, now: WallTime) -> Result<Written, Vec<Problem>> {
        let line = line(&self.name);
        let lines = [
            ("name", line),
            ("description", self.description.as_ref().map_or(0, self::line)),
            ("when", self::line(&self.when)),
            ("action", self::line(&self.action)),
            ("hosts", self.hosts.as_ref().map_or(0, self::line)),
            ("fallback", self.fallback.as_ref().map_or(0, self::line)),
        ];
        let expires_line = self.expires.as_ref().map_or(0, self::line);
        let rule = Rule {
            name: self.name.value,
            description: self.description.map(|text| text.value).unwrap_or_default(),
            when: self.when.value,
            action: self.action.value,
            mode: self.mode.unwrap_or_default(),
            hosts: self.hosts.map(|text| text.value).unwrap_or_default(),
            fallback: self.fallback.map(|fallback| fallback.value),
        };
        let name = rule.name.clone();
        let problem = |line, said| Problem { rule: Some(name.clone()), line, said };
        let mut problems = Vec::new();
        let expires = match self.expires.map(|text| Expiry::parse(&text.value, now)).transpose() {
            Ok(expires) => expires,
            Err(said) => {
                problems.push(problem(expires_line, format!("expires: {said}")));
                None
            }
        };
        match rule.check() {
            Ok(checked) if problems.is_empty() => Ok(Written { rule, checked, expires, line }),
            Ok(_) => Err(problems),
            Err(faults) => {
                problems.extend(faults.into_iter().map(|fault| {
                    let found = lines.iter().find(|(part, _)| *part == fault.part);
                    problem(found.map_or(line, |(_, line)| *line), fault.to_string())
                }));
                Err(problems)
            }
        }
    }
}

fn line<T>(part: &Spanned<T>) -> u64 {
    part.referenced.line()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const NOW: WallTime = WallTime::from_unix_ns(1_700_000_000_000_000_000);

    #[track_caller]
    fn wrong(text: &str, expected: Expect) {
        let problems = read(text, NOW).expect_err("refused");
        let said = |p: &Problem| format!("{}: {}: {}", p.line, p.rule.as_deref().unwrap_or("-"), p.said);
        expected.assert_eq(&problems.iter().map(said).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn several_rules_stand_in_one_file() {
        let text = "# Two.\nname: shadow\ndescription: nobody but sshd\nwhen: event.action:open and file.path:/etc/shadow and not process.executable:/usr/sbin/sshd\naction: deny\nfallback: kill\nhosts: host.tags:\"env=prod\"\nexpires: 30d\n---\nname: tools\nwhen: event.action:exec and process.name:(nc or ncat)\naction: alert\n";
        let rules = read(text, NOW).expect("valid");
        let [shadow, tools] = &rules[..] else { panic!("{rules:?}") };
        assert_eq!((shadow.rule.action, shadow.rule.mode), (Action::Deny, Mode::Observe));
        assert_eq!(shadow.rule.fallback, Some(Fallback::Kill));
        assert_eq!(
            shadow.expires.map(|expiry| expiry.at(NOW).to_string()).as_deref(),
            Some("2023-12-14T22:13:20Z")
        );
        assert_eq!((shadow.line, tools.line, tools.expires), (2, 10, None));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        wrong("", expect!["0: -: found no rule, expected name, when and action"]);
        wrong("name: [\n", expect!["1: -: expected string scalar at line 1, column 7"]);
        wrong(
            "name: a\nwhen: event.action:exec\n",
            expect!["2: -: missing field `action` at line 2, column 1"],
        );
        wrong(
            "name: a\nwhen: event.action:exec\naction: explode\n",
            expect![
                "3: -: unknown variant `explode`, expected one of ship, alert, deny, kill at line 3, column 9"
            ],
        );
        wrong(
            "name: a\nwhen: event.action:exec\naction: ship\nmod: enforce\n",
            expect![
                "4: -: unknown field `mod`, expected one of name, description, when, action, mode, hosts, expires, fallback at line 4, column 1"
            ],
        );
        wrong(
            "name: a\nwhen: event.acton:exec\naction: ship\nexpires: soon\n",
            expect![[r#"
            4: a: expires: found "soon", expected a span such as 30d or 4h, or a time such as 2026-12-31T12:00:00Z
            2: a: when: column 1: unknown field `event.acton`, expected the name of a field (to look for a text with `:` in it, quote all of it); did you mean `event.action`?
              event.acton:exec
              ^^^^^^^^^^^"#]],
        );
        let twice = "name: a\nwhen: event.action:exec\naction: ship\n";
        wrong(
            &format!("{twice}---\n{twice}"),
            expect!["5: a: there is a rule of this name on line 1 already"],
        );
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..12 {
            let before = format!("*a{}, ", n - 1).repeat(10);
            text.push_str(&format!("a{n}: &a{n} [{}]\n", before.trim_end_matches(", ")));
        }
        assert!(read(&text, NOW).is_err());
    }
}
