//! How much of history could have shown what a rule asks for. Pure.

use wire::event::Kind;
use wire::rule::Checked;
use wire::time::WallTime;

/// How much of history could have shown what a rule asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Why that is not all of it. Empty: what was not found did not happen, as far as the hosts' kernels could see.
    pub gaps: Vec<String>,
}

impl Coverage {
    /// Of a rule, over history from `since` on, in a store whose oldest event is `oldest`.
    pub fn of(checked: &Checked, since: WallTime, oldest: Option<WallTime>) -> Self {
        let mut gaps = Vec::new();
        match &checked.kinds {
            None => gaps.push(
                "its text does not say which kinds of event it asks for (name them with event.action), and not every kind is collected everywhere"
                    .to_owned(),
            ),
            Some(kinds) if kinds.iter().any(|kind| is_chosen(*kind)) => gaps.push(
                "files and system calls are stored as far as the hosts' collections asked for them (see sensor.collection)"
                    .to_owned(),
            ),
            Some(_) => {}
        }
        match oldest {
            Some(oldest) if oldest <= since => {}
            Some(oldest) => gaps.push(format!("the store begins at {oldest}")),
            None => gaps.push("nothing is stored yet".to_owned()),
        }
        Self { gaps }
    }

    /// Whether nothing is missing.
    pub fn is_whole(&self) -> bool {
        self.gaps.is_empty()
    }
}

/// Whether a sensor ships events of this kind only where its collection asks for them.
fn is_chosen(kind: Kind) -> bool {
    kind.is_call() || kind.info().is_some_and(|info| info.category == "file")
}

#[cfg(test)]
mod tests {
    use wire::rule::{Action, Mode, Rule};

    use super::*;

    #[test]
    fn only_what_is_always_collected_is_known() {
        let gaps = |when: &str, oldest: i64| {
            let rule = Rule {
                name: "a".into(),
                description: String::new(),
                when: when.into(),
                action: Action::Alert,
                mode: Mode::Observe,
                hosts: String::new(),
                fallback: None,
            };
            let time = WallTime::from_unix_ns;
            let coverage = rule.check().map(|checked| Coverage::of(&checked, time(100), Some(time(oldest))));
            coverage.map(|coverage| coverage.gaps.len())
        };
        assert_eq!(gaps("event.action:exec and process.executable:/usr/bin/nc", 100), Ok(0));
        assert_eq!(gaps("event.action:exec and process.executable:/usr/bin/nc", 101), Ok(1));
        assert_eq!(gaps("event.action:(exec or open) and process.executable:/usr/bin/nc", 100), Ok(1));
        assert_eq!(gaps("process.command_line:*nc*", 101), Ok(2));
    }
}
