use super::*;

fn one(spec: &str) -> Became {
    let text = format!(
        "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata:\n  name: \"A policy\"\nspec:\n{spec}"
    );
    let mut parts = read(&text).expect("a policy");
    assert_eq!(parts.len(), 1, "{parts:?}");
    parts.remove(0).became
}

#[track_caller]
fn rule(spec: &str) -> (String, Action) {
    match one(spec) {
        Became::Rule { rule, .. } => (rule.when, rule.action),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn left(spec: &str, why: &str) {
    match one(spec) {
        Became::Left(said) => assert!(said.contains(why), "{said}"),
        other => panic!("{other:?}"),
    }
}

const SECRETS: &str = "  kprobes:\n  - call: security_file_open\n    syscall: false\n    args:\n    - {index: 0, type: file}\n    selectors:\n    - matchArgs:\n      - {index: 0, operator: Prefix, values: [/etc/shadow, /root/.ssh]}\n";

#[test]
fn secrets_that_are_opened_are_observed_and_then_killed_for() {
    let when = "event.action:open and (file.path:/etc/shadow* or file.path:/root/.ssh*)";
    assert_eq!(rule(SECRETS), (when.to_owned(), Action::Ship));
    let killing = format!("{SECRETS}      matchActions:\n      - action: Sigkill\n");
    assert_eq!(rule(&killing), (when.to_owned(), Action::Kill));
    let parts = read(&format!("kind: TracingPolicy\nmetadata: {{name: A policy}}\nspec:\n{killing}"))
        .expect("a policy");
    let read = crate::rules::file::read(&yaml(&parts), wire::time::WallTime::default()).expect("rules");
    let [written] = &read[..] else { panic!("{read:?}") };
    assert_eq!((written.rule.name.as_str(), written.rule.when.as_str()), ("a-policy", when));
}

#[test]
fn what_is_asked_besides_is_asked_too() {
    let spec = "  podSelector: {matchLabels: {app: web}}\n  kprobes:\n  - call: tcp_connect\n    args: [{index: 0, type: sock}]\n    selectors:\n    - matchArgs:\n      - {index: 0, operator: NotDAddr, values: [10.0.0.0/8, \"::1\"]}\n      - {index: 0, operator: DPort, values: [\"443\", \"8000:8080\"]}\n      matchBinaries:\n      - {operator: NotIn, values: [/usr/bin/curl], followChildren: true}\n      matchNamespaces:\n      - {namespace: Pid, operator: NotIn, values: [host_ns]}\n      matchCapabilities:\n      - {type: Effective, operator: In, values: [CAP_SYS_ADMIN]}\n";
    let (when, action) = rule(spec);
    assert_eq!(action, Action::Ship);
    for condition in [
        "event.action:connect and network.transport:tcp",
        "kubernetes.labels:\"app=web\"",
        "not (destination.ip:10.0.0.0/8 or destination.ip:\"::1\")",
        "(destination.port:443 or (destination.port >= 8000 and destination.port <= 8080))",
        "not (process.executable:/usr/bin/curl or process.ancestor.executable:/usr/bin/curl)",
        "not process.namespace.pid:4026531836",
        "process.capabilities:CAP_SYS_ADMIN",
    ] {
        assert!(when.contains(condition), "{condition} is missing: {when}");
    }
}

#[test]
fn what_is_missing_is_named() {
    left(&SECRETS.replace("security_file_open", "tty_write"), "no event tells of tty_write");
    left(&SECRETS.replace("Prefix", "Mask"), "the operator Mask on a text");
    left(
        &SECRETS.replace("    - matchArgs", "    - matchReturnArgs: []\n      matchArgs"),
        "matchReturnArgs",
    );
    left(&SECRETS.replace("{index: 0, operator", "{index: 3, operator"), "argument 3");
    left(&format!("{SECRETS}      matchActions: [{{action: GetUrl}}]\n"), "the action geturl");
    left("  uprobes:\n  - path: /bin/bash\n", "functions of programs");
    left("  somethings: []\n", "spec.somethings");
    assert!(read("kind: Pod\n").is_err() && read("kind: [").is_err() && read("").is_err());
}

#[test]
fn a_rule_may_not_do_what_it_cannot() {
    let spec = "  kprobes:\n  - call: sys_dup\n    syscall: true\n    selectors:\n    - matchActions: [{action: Override, argError: -1}]\n";
    left(spec, "deny cannot keep syscall.dup from happening");
}
