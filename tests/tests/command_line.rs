//! What people see of the command line when something is odd: wrong connections, hosts of one name, exit codes.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::process::Command;
use std::sync::{Arc, Mutex, Weak};

use tests::skip::needs_root;
use tests::stack::{Ran, Stack, vedette};

/// A product without a sensor, shared by the tests that run at the same time.
fn stack() -> Arc<Stack> {
    static SHARED: Mutex<Weak<Stack>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(stack) = shared.upgrade() {
        return stack;
    }
    let stack = Arc::new(Stack::up(&["--no-sensor"]).unwrap());
    *shared = Arc::downgrade(&stack);
    stack
}

/// `vedette` as on another machine, with what it is told of the collector.
struct Elsewhere {
    home: tempfile::TempDir,
    url: String,
    token: String,
    ca: std::path::PathBuf,
}

impl Elsewhere {
    fn new(stack: &Stack) -> Self {
        let made = stack.json(&["token", "create", "--role", "viewer", "--output", "json"]).unwrap();
        let home = tempfile::tempdir().unwrap();
        let ca = home.path().join("ca.pem");
        std::fs::copy(stack.home().join("collector/ca.pem"), &ca).unwrap();
        let url = format!("https://127.0.0.1:{}", stack.port());
        Self { url, token: made[0]["token"].as_str().unwrap().to_owned(), ca, home }
    }

    fn command(&self) -> Command {
        let mut command = vedette(&self.home.path().join("empty"));
        command.env("VEDETTE_URL", &self.url).env("VEDETTE_TOKEN", &self.token).env("VEDETTE_CA", &self.ca);
        command
    }
}

fn run(command: &mut Command) -> Ran {
    command.output().unwrap().into()
}

/// An error: exit code 2, nothing on standard output, one sentence that has these words.
fn refused(command: &mut Command, words: &[&str]) {
    let ran = run(command);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{command:?}: {}", ran.err);
    for word in words {
        assert!(ran.err.contains(word), "{command:?}: {word:?} is missing: {}", ran.err);
    }
}

#[test]
fn the_environment_or_flags_name_a_collector_elsewhere() {
    let stack = stack();
    let elsewhere = Elsewhere::new(&stack);
    let ran = run(elsewhere.command().arg("status"));
    assert_eq!(ran.code, 0, "{}", ran.err);
    let mut flags = vedette(&elsewhere.home.path().join("empty"));
    flags.args(["status", "--url", &format!("{}/api/v1/", elsewhere.url), "--token", &elsewhere.token]);
    let ran = run(flags.arg("--ca").arg(&elsewhere.ca));
    assert_eq!(ran.code, 0, "{}", ran.err);
    // A viewer may look and no more.
    refused(elsewhere.command().args(["token", "list"]), &["role is viewer", "admin"]);
    refused(elsewhere.command().args(["audit"]), &["role is viewer", "admin"]);
}

#[test]
fn what_is_wrong_with_a_connection_is_said_in_a_sentence() {
    let stack = stack();
    let elsewhere = Elsewhere::new(&stack);
    let status = || {
        let mut command = elsewhere.command();
        command.arg("status");
        command
    };
    refused(status().env_remove("VEDETTE_TOKEN"), &["no token", "VEDETTE_TOKEN"]);
    refused(status().env_remove("VEDETTE_CA"), &["no CA", "VEDETTE_CA"]);
    refused(status().env_remove("VEDETTE_URL"), &["no collector on this host", "vedette up", "VEDETTE_URL"]);
    refused(status().env("VEDETTE_URL", "http://127.0.0.1:1"), &["invalid URL", "https://"]);
    refused(status().env("VEDETTE_URL", "https://127.0.0.1:1"), &["cannot reach", "refused", "127.0.0.1:1"]);
    refused(status().env("VEDETTE_TOKEN", "two words"), &["invalid token", "vedette token create"]);
    let foreign = "vdt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    refused(status().env("VEDETTE_TOKEN", foreign), &["not valid", "vedette token create"]);
    refused(status().env("VEDETTE_CA", "/nowhere/ca.pem"), &["/nowhere/ca.pem", "No such file"]);
    refused(status().env("VEDETTE_CA", "/etc/passwd"), &["holds no certificate"]);
    let other = rcgen::generate_simple_self_signed(["other".to_owned()]).unwrap();
    let file = elsewhere.home.path().join("other.pem");
    std::fs::write(&file, other.cert.pem()).unwrap();
    refused(status().env("VEDETTE_CA", &file), &["not certified by the CA", "other.pem"]);
}

#[test]
fn a_host_is_refused_by_a_name_that_two_have() {
    let stack = stack();
    let ids = [stack.enroll("one").unwrap(), stack.enroll("two").unwrap()];
    let hosts = stack.json(&["hosts", "--output", "json"]).unwrap();
    let name = |id: &str| {
        let host = hosts.iter().find(|host| host["host"]["id"] == id).unwrap();
        host["host"]["name"].as_str().unwrap().to_owned()
    };
    let shared = name(&ids[0]);
    assert_eq!(shared, name(&ids[1]), "both have the name of this machine");
    let both: Vec<&str> = ids.iter().map(String::as_str).collect();
    // A search knows the fleet as of a few seconds ago.
    let knows_both = || run(vedette(stack.home()).args(["search", "--host", &shared])).code == 2;
    tests::wait::poll(std::time::Duration::from_secs(30), || knows_both().then_some(()));
    for words in [
        &["search", "--host", &shared][..],
        &["tree", "--host", &shared, "--pid", "1"],
        &["hosts", "show", &shared],
    ] {
        refused(vedette(stack.home()).args(words), &both);
    }
    let ran = stack.vedette(&["hosts", "show", both[0]]).unwrap();
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(stack.vedette(&["search", "--host", both[1]]).unwrap().code, 1, "nothing is found");
}

#[test]
fn what_is_not_there_is_nothing_found() {
    let stack = stack();
    for words in [
        &["search", "process.name:nobody"][..],
        &["tree", "00112233445566aa"],
        &["hosts", "show", "no-such-host"],
        &["token", "revoke", "0197c1de-93b4-7f00-8000-000000000000"],
    ] {
        let ran = stack.vedette(words).unwrap();
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{words:?}: {}", ran.err);
    }
    let later = vedette(stack.home()).args(["search", "--since", "1h", "--until", "2h"]).output().unwrap();
    assert_eq!(later.status.code(), Some(2), "it would end before it begins");
}

#[test]
fn every_list_is_json_lines() {
    let stack = stack();
    for words in [
        &["token", "list"][..],
        &["audit"],
        &["status"],
        &["token", "create", "--role", "viewer"],
        &["enroll-token", "create"],
        &["search", "--histogram", "--since", "5m"],
    ] {
        let mut words = words.to_vec();
        words.extend(["--output", "json"]);
        let lines = stack.json(&words).unwrap();
        assert!(!lines.is_empty() && lines.iter().all(serde_json::Value::is_object), "{words:?}: {lines:?}");
    }
    let of = |action: &str| {
        let audit = stack.json(&["audit", "--limit", "10000", "--output", "json"]).unwrap();
        audit.iter().filter(|entry| entry["action"] == action).count()
    };
    let before = of("enroll-token.create");
    stack.vedette(&["enroll-token", "create"]).unwrap();
    assert!(of("enroll-token.create") > before);
}

#[test]
fn a_machine_that_will_not_do_is_told_in_a_sentence() {
    if !needs_root("a_machine_that_will_not_do_is_told_in_a_sentence") {
        return;
    }
    let sensor = tests::stack::program("vedette-sensor");
    let watch = ["run", "--to", "stdout", "--name", "will-not-do"];
    let mut old = Command::new("setarch");
    old.arg("--uname-2.6").arg(&sensor);
    refused(old.args(watch), &["kernel 2.6 is too old", "5.10 or newer"]);
    let blank = "mount -t tmpfs none /sys/kernel/btf && exec \"$0\" \"$@\"";
    let mut without_btf = Command::new("unshare");
    without_btf.args(["--mount", "sh", "-c", blank]).arg(&sensor);
    refused(without_btf.args(watch), &["no type information", "CONFIG_DEBUG_INFO_BTF=y"]);

    let open = tempfile::tempdir_in("/var/tmp").unwrap();
    std::fs::set_permissions(open.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let copy = open.path().join("vedette-sensor");
    std::fs::copy(&sensor, &copy).unwrap();
    for words in [&watch[..], &["unload"], &["unload", "--name", "sensor"]] {
        let mut nobody = Command::new("setpriv");
        nobody.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--"]).arg(&copy);
        refused(nobody.args(words), &["needs root", "sudo"]);
    }
}

#[test]
fn every_program_writes_its_man_pages_and_completions() {
    for name in ["vedette", "vedette-sensor", "vedette-collector"] {
        let folder = tempfile::tempdir().unwrap();
        let program = tests::stack::program(name);
        let ran = run(Command::new(&program).arg("man").arg(folder.path()));
        assert_eq!(ran.code, 0, "{}", ran.err);
        let page = std::fs::read_to_string(folder.path().join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
        for shell in ["bash", "zsh", "fish"] {
            let ran = run(Command::new(&program).args(["completions", shell]));
            assert!(ran.code == 0 && ran.out.contains(name), "{shell}: {}", ran.out);
        }
        refused(Command::new(&program).args(["man", "/nowhere"]), &["/nowhere", "No such file"]);
    }
}
