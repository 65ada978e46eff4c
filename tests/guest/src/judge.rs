//! What came, against what should have come. Pure.

use serde_json::Value;

use crate::expect::{Event, Expect, field, text};
use crate::report::Verdict;

/// The process that plays a scenario, as its exec event tells: the one with these last arguments.
pub(crate) fn player<'a>(events: &'a [Value], last_args: &[&str]) -> Option<&'a str> {
    let plays = |event: &&Value| {
        let args = field(event, "process.args").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let last = args.len().checked_sub(last_args.len()).and_then(|from| args.get(from..));
        text(event, "event.action") == Some("exec")
            && last.is_some_and(|last| last.iter().map(Value::as_str).eq(last_args.iter().copied().map(Some)))
    };
    text(events.iter().find(plays)?, "process.entity_id")
}

/// The events that a player and its descendants caused, without those of the player's own birth and end.
pub(crate) fn caused_by<'a>(player: &str, events: &'a [Value]) -> Vec<&'a Value> {
    let caused = |event: &&Value| {
        let is_frame = matches!(text(event, "event.action"), Some("fork" | "exec" | "exit"));
        let ancestors = field(event, "process.ancestor.entity_id").and_then(Value::as_array);
        match text(event, "process.entity_id") {
            Some(entity) if entity == player => !is_frame,
            _ => ancestors.is_some_and(|all| all.iter().any(|ancestor| ancestor.as_str() == Some(player))),
        }
    };
    events.iter().filter(caused).collect()
}

/// What many things do besides: scenarios that are about it name it.
const BESIDE: [&str; 7] = ["signal", "setuid", "setgid", "capset", "ptrace", "listen", "bind"];

/// Compares them. Of a category of its own, everything must be expected.
pub(crate) fn judge(category: &str, expect: &Expect, caused: &[&Value]) -> Verdict {
    let mut wrong = Vec::new();
    let n_like = |event: &Event| caused.iter().filter(|found| event.is(found)).count();
    for event in &expect.events {
        let found = n_like(event);
        if found != event.times {
            wrong.push(format!("{found} events, expected {}: {event}", event.times));
        }
    }
    for unseen in &expect.unseen {
        let found = n_like(&unseen.event);
        if found > 0 {
            wrong.push(format!("{found} events that were thought not to be seen: {}", unseen.event));
        }
    }
    for name in &expect.alike {
        let mut values: Vec<_> = caused.iter().filter_map(|event| field(event, name)).collect();
        values.dedup();
        if values.len() != 1 {
            wrong.push(format!("{name} should be one value in all events that have it, and is {values:?}"));
        }
    }
    let is_beside =
        |event: &&&Value| text(event, "event.action").is_some_and(|action| BESIDE.contains(&action));
    let of_category = caused.iter().filter(|event| text(event, "event.category") == Some(category));
    let ours = of_category.filter(|event| !is_beside(event));
    for stray in ours.filter(|found| !expect.events.iter().any(|event| event.is(found))) {
        wrong.push(format!("not expected: {}", brief(stray)));
    }
    if !wrong.is_empty() {
        let all = caused.iter().map(|event| brief(event)).collect::<Vec<_>>().join("\n    ");
        return Verdict::Failed { why: format!("{}\n  all events:\n    {all}", wrong.join("\n  ")) };
    }
    let mut reasons: Vec<&str> = expect.unseen.iter().map(|unseen| unseen.why.as_str()).collect();
    reasons.dedup();
    let why = reasons.join("; ");
    match (reasons.is_empty(), expect.events.iter().any(|event| event.times > 0)) {
        (true, _) => Verdict::Seen,
        (false, true) => Verdict::Partly { why },
        (false, false) => Verdict::Unseen { why },
    }
}

/// An event without what is the same for all of a process, and cut short.
fn brief(event: &Value) -> String {
    let mut event = event.clone();
    let dull = ["@timestamp", "host", "user"];
    if let Some(fields) = event.as_object_mut() {
        fields.retain(|name, _| !dull.contains(&name.as_str()));
        for (of, dull) in [
            ("event", &["sensor_time", "ingested", "id", "sequence", "category"][..]),
            ("process", &["ancestor", "parent", "capabilities", "namespace", "start", "image", "io"][..]),
        ] {
            if let Some(inner) = fields.get_mut(of).and_then(Value::as_object_mut) {
                inner.retain(|name, _| !dull.contains(&name.as_str()));
            }
        }
    }
    let mut text = event.to_string();
    if let Some((at, _)) = text.char_indices().nth(1200) {
        text.truncate(at);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(action: &str, entity: &str, ancestors: &[&str]) -> Value {
        json!({
            "event": {"category": "process", "action": action},
            "process": {"entity_id": entity, "ancestor": {"entity_id": ancestors}, "args": ["g", "play", action]},
        })
    }

    #[test]
    fn a_scenario_answers_for_its_descendants_only() {
        let events = [
            event("exec", "p", &["init"]),
            event("fork", "c", &["p", "init"]),
            event("exit", "x", &["init"]),
        ];
        assert_eq!(player(&events, &["play", "exec"]), Some("p"));
        assert_eq!(player(&events, &["play", "fork"]), None, "only an exec tells a player");
        assert_eq!(caused_by("p", &events), [&events[1]]);
    }

    #[test]
    fn exactly_what_is_expected_is_seen() {
        let fork = event("fork", "c", &["p"]);
        let expect = Expect::nothing().event(Event::new("fork"));
        assert_eq!(judge("process", &expect, &[&fork]), Verdict::Seen);
        for (found, said) in [
            (&[][..], "0 events, expected 1: event.action:\"fork\""),
            (&[&fork, &fork][..], "2 events, expected 1"),
            (&[&fork, &event("exit", "c", &["p"])][..], "not expected: "),
        ] {
            let Verdict::Failed { why } = judge("process", &expect, found) else { panic!("{found:?}") };
            assert!(why.contains(said), "{why}");
        }
        assert_eq!(judge("network", &expect, &[&fork, &event("exit", "c", &["p"])]), Verdict::Seen);
    }

    #[test]
    fn ends_of_one_thing_agree() {
        let expect = Expect::nothing().event(Event::new("fork").times(2)).alike("process.entity_id");
        let one = event("fork", "c", &["p"]);
        assert_eq!(judge("process", &expect, &[&one, &one]), Verdict::Seen);
        let other = event("fork", "d", &["p"]);
        assert!(matches!(judge("process", &expect, &[&one, &other]), Verdict::Failed { .. }));
    }

    #[test]
    fn what_is_not_seen_must_not_come() {
        let expect = Expect::nothing().unseen(Event::new("fork"), "no hook");
        assert_eq!(judge("file", &expect, &[]), Verdict::Unseen { why: "no hook".into() });
        let fork = event("fork", "c", &["p"]);
        assert!(matches!(judge("file", &expect, &[&fork]), Verdict::Failed { .. }));
        let partly = expect.event(Event::new("exit"));
        let exit = event("exit", "c", &["p"]);
        assert_eq!(judge("file", &partly, &[&exit]), Verdict::Partly { why: "no hook".into() });
    }
}
