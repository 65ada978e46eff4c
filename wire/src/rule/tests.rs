use expect_test::{Expect, expect};

use super::*;

fn rule(when: &str, action: Action) -> Rule {
    Rule {
        name: "a-rule".into(),
        description: String::new(),
        when: when.into(),
        action,
        mode: Mode::Observe,
        hosts: String::new(),
        fallback: None,
    }
}

#[track_caller]
fn refused(rule: &Rule, expected: Expect) {
    let faults = rule.check().expect_err("refused");
    let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
    expected.assert_eq(&said.join("\n"));
}

#[test]
fn what_a_kernel_can_decide_it_decides() {
    let text = "event.action:open and file.path:/etc/shadow and not process.executable:/usr/sbin/sshd";
    for action in Action::ALL {
        let checked = rule(text, action).check().expect("valid");
        assert_eq!(checked.decider, Decider::Kernel { n_rows: 1 });
        assert_eq!(checked.kinds.as_deref(), Some(&[Kind::FILE_OPEN][..]));
    }
    // The life of processes is shipped anyway, and can be refused all the same.
    let checked =
        rule("event.action:exec and process.executable:/tmp/*", Action::Kill).check().expect("valid");
    assert_eq!(checked.kinds.as_deref(), Some(&[Kind::EXEC][..]));
}

#[test]
fn what_only_user_space_can_decide_is_told_and_not_refused() {
    let text = r#"event.action:exec and process.command_line:"*--insecure*""#;
    for action in [Action::Ship, Action::Alert] {
        let checked = rule(text, action).check().expect("valid");
        assert!(matches!(checked.decider, Decider::UserSpace(_)), "{:?}", checked.decider);
    }
    refused(
        &rule(text, Action::Deny),
        expect![[r#"
            action: deny is decided in the kernel, which cannot decide this; expected ship or alert, or another `when`
            column 23: process.command_line is not known where the kernel decides, expected one of event.category, event.action, process.user.id, process.executable, process.name, file.path, file.target_path, file.access, syscall.number
              event.action:exec and process.command_line:"*--insecure*"
                                    ^^^^^^^^^^^^^^^^^^^^"#]],
    );
}

#[test]
fn what_is_over_when_it_is_told_cannot_be_refused() {
    refused(
        &rule("event.action:(exit or connect)", Action::Kill),
        expect![
            "action: kill cannot keep process.exit from happening: they are told when they are over; name others with event.action, or use alert"
        ],
    );
    refused(
        &rule("process.executable:/tmp/*", Action::Deny),
        expect![
            "action: deny cannot keep process.fork, process.exit, network.accept and 13 more from happening: they are told when they are over; name others with event.action, or use alert"
        ],
    );
}

#[test]
fn every_part_that_is_wrong_is_named() {
    let wrong = Rule {
        name: "Not a name".into(),
        description: "x".repeat(MAX_DESCRIPTION + 1),
        hosts: "process.name:curl".into(),
        fallback: Some(Fallback::Kill),
        ..rule("process.nam:curl", Action::Alert)
    };
    refused(
        &wrong,
        expect![[r#"
        name: found "Not a name", expected 1 to 64 of a-z, 0-9 and -, and a letter or a digit first
        description: found 1025 bytes, expected at most 1024
        when: column 1: unknown field `process.nam`, expected the name of a field (to look for a text with `:` in it, quote all of it); did you mean `process.name`?
          process.nam:curl
          ^^^^^^^^^^^
        hosts: found process.name, expected host.id, host.name, host.tags: hosts are chosen by what is known of them, events by `when`
        fallback: it is for rules that deny, and this one's action is alert: leave it out"#]],
    );
}

#[test]
fn a_rule_is_about_what_happens_and_hosts_are_named_apart() {
    refused(&rule("", Action::Ship), expect!["when: found nothing, expected a query that says which events"]);
    refused(
        &rule("process.name:curl and @timestamp > now-1h", Action::Ship),
        expect![
            "when: @timestamp is a time, and a rule decides when something happens: leave it out, or use `expires`"
        ],
    );
    refused(
        &rule("process.name:curl and host.name:web-*", Action::Ship),
        expect!["when: host.name is about hosts: say it in `hosts`"],
    );
    refused(
        &rule("lineage.ancestor.name:sshd", Action::Ship),
        expect![[r#"
        when: column 1: lineage.ancestor.name is not known here, expected a field of the event itself, such as process.ancestor.name
          lineage.ancestor.name:sshd
          ^^^^^^^^^^^^^^^^^^^^^"#]],
    );
    refused(
        &rule("event.action:connect and file.path:/etc/*", Action::Ship),
        expect![[r#"
        when: column 26: no event of network.connect, syscall.connect has file.path, so it never matches
          event.action:connect and file.path:/etc/*
                                   ^^^^^^^^^"#]],
    );
    let scoped = Rule {
        hosts: r#"host.tags:"env=prod" or host.name:db-*"#.into(),
        ..rule("event.action:exec", Action::Ship)
    };
    assert!(scoped.check().is_ok());
}

#[test]
fn only_what_is_known_is_refusable() {
    let named: Vec<u16> = (0..u16::MAX).filter(|number| is_refusable(Kind::new(*number))).collect();
    assert!(named.iter().all(|number| Kind::new(*number).info().is_some()), "{named:?}");
}
