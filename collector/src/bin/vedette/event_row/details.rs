//! What matters most about an event, in a few words.

use serde_json::Value;

use super::{either, text};

/// The details column of an event's row, not yet escaped.
pub(super) fn details(event: &Value) -> String {
    let told = match text(event, "event.category").as_str() {
        "process" => process(event),
        "network" => network(event),
        "dns" => dns(event),
        "file" => file(event),
        "kernel" => kernel(event),
        "escape" => escape(event),
        "container" => container(event),
        "syscall" => call(event),
        "sensor" => either(event, &["sensor.reason", "sensor.version"]),
        _ => String::new(),
    };
    match text(event, "event.outcome").as_str() {
        "failure" => {
            format!("{told}: {}", either(event, &["error.code", "dns.response_code", "event.outcome"]))
        }
        _ => told,
    }
}

fn process(event: &Value) -> String {
    match text(event, "event.action").as_str() {
        "exit" => format!("exit code {}", text(event, "process.exit_code")),
        "fork" => format!("from {}", someone(event, "process.parent.name", "process.parent.pid")),
        "signal" => format!("signal {} to {}", text(event, "signal.number"), target(event)),
        "ptrace" | "process_vm_write" => format!("into {}", target(event)),
        "mprotect_exec" => format!("memory to {}", text(event, "memory.protection").replace(',', " and ")),
        "memfd_create" => text(event, "file.path"),
        "setuid" => changed(event, "user", "user.id"),
        "setgid" => changed(event, "group", "group.id"),
        "capset" => changed(event, "capabilities", "capabilities"),
        _ => either(event, &["process.command_line", "process.executable"]),
    }
}

fn network(event: &Value) -> String {
    let end =
        |side: &str| address(&text(event, &format!("{side}.ip")), &text(event, &format!("{side}.port")));
    match text(event, "event.action").as_str() {
        "listen" | "bind" => return format!("at {}", end("destination")),
        "socket" => {
            let number = text(event, "network.protocol_number");
            return format!("{}, protocol {number}", text(event, "network.transport"));
        }
        _ => {}
    }
    let counted = |field: &str, what: &str| match text(event, field) {
        n if n.is_empty() => n,
        n => format!(", {n} {what}"),
    };
    let end = |side: &str| match text(event, &format!("{side}.ip")) {
        ip if ip.is_empty() => "many".to_owned(),
        _ => end(side),
    };
    let (packets, bytes) = (counted("network.packets", "packets"), counted("network.bytes", "bytes"));
    format!("{} → {}{packets}{bytes}", end("source"), end("destination"))
}

/// The question, or the server where there is none; then what was found.
fn dns(event: &Value) -> String {
    let asked = match text(event, "dns.question.name") {
        name if name.is_empty() => address(&text(event, "destination.ip"), &text(event, "destination.port")),
        name => format!("{name} {}", text(event, "dns.question.type")),
    };
    let answers = text(event, "dns.answers").replace(',', ", ");
    let told = if answers.is_empty() { asked } else { format!("{asked} → {answers}") };
    match text(event, "dns.repeats") {
        n if n.is_empty() => told,
        n => format!("{told} ({n} times)"),
    }
}

fn file(event: &Value) -> String {
    let mut told = text(event, "file.path");
    for (field, before) in
        [("file.target_path", " → "), ("file.access", ", to "), ("file.xattr", ", attribute ")]
    {
        let value = text(event, field).replace(',', " and ");
        if !value.is_empty() {
            told = format!("{told}{before}{value}");
        }
    }
    told
}

fn kernel(event: &Value) -> String {
    let path = text(event, "file.path");
    match text(event, "event.action").as_str() {
        "mount" => match text(event, "file.target_path") {
            what if what.is_empty() => path,
            what => format!("{what} on {path}"),
        },
        "namespace_change" => format!("other: {}", either(event, &["namespace.changed", "namespace.mnt"])),
        "bpf_load" => {
            let at = [text(event, "kernel.object.type"), text(event, "kernel.object.attach")];
            let at: Vec<_> = at.into_iter().filter(|part| !part.is_empty()).collect();
            format!("{} ({})", text(event, "kernel.object.name"), at.join(" "))
        }
        "sysctl" => setting(event),
        _ if path.is_empty() => text(event, "kernel.object.name"),
        _ => path,
    }
}

fn setting(event: &Value) -> String {
    match text(event, "kernel.object.name") {
        name if name.is_empty() => file(event),
        name => format!("{name} = {}", text(event, "kernel.object.value")),
    }
}

fn escape(event: &Value) -> String {
    match text(event, "event.action").as_str() {
        "host_namespace" => {
            format!("into the host's {}", either(event, &["namespace.changed", "namespace.mnt"]))
        }
        "host_mount" => format!("{} on {}", text(event, "file.target_path"), text(event, "file.path")),
        _ => setting(event),
    }
}

/// What it was given and what it returned, as a call is written; what it failed with is told beside it.
fn call(event: &Value) -> String {
    let (action, args) = (text(event, "event.action"), text(event, "syscall.args").replace(',', ", "));
    format!("{action}({args}) = {}", text(event, "syscall.result"))
}

/// Which container, by name and image where they are known, and how it ended.
fn container(event: &Value) -> String {
    let mut told = either(event, &["container.name", "kubernetes.pod.name", "container.id"]);
    for (field, before) in [("container.image.name", " of "), ("process.exit_code", ", exit code ")] {
        let value = text(event, field);
        if !value.is_empty() {
            told = format!("{told}{before}{value}");
        }
    }
    told
}

/// `from → to`, or only the latter where the former is not known.
fn changed(event: &Value, what: &str, field: &str) -> String {
    let (old, new) =
        (text(event, &format!("process.old.{field}")), text(event, &format!("process.new.{field}")));
    if old.is_empty() { format!("{what} {new}") } else { format!("{what} {old} → {new}") }
}

fn target(event: &Value) -> String {
    someone(event, "target.process.executable", "target.process.pid")
}

/// A process by what it runs and its number.
fn someone(event: &Value, name: &str, pid: &str) -> String {
    let name = match text(event, name) {
        name if name.is_empty() => "?".to_owned(),
        name => name,
    };
    format!("{name} ({})", text(event, pid))
}

fn address(ip: &str, port: &str) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(event: Value, expected: &str) {
        assert_eq!(details(&event), expected);
    }

    #[test]
    fn a_failure_says_why() {
        check(
            json!({
                "event": {"category": "network", "action": "connect", "outcome": "failure"},
                "error": {"code": "ECONNREFUSED"},
                "source": {"ip": "10.0.0.1", "port": 4000},
                "destination": {"ip": "10.0.0.2", "port": 22}
            }),
            "10.0.0.1:4000 → 10.0.0.2:22: ECONNREFUSED",
        );
    }

    #[test]
    fn a_flow_to_many_is_told_with_how_much() {
        let network = json!({"many_peers": true, "packets": 9488, "bytes": 18_976});
        let source = json!({"ip": "10.0.0.1", "port": 5000});
        check(
            json!({"event": {"category": "network", "action": "close"}, "network": network, "source": source}),
            "10.0.0.1:5000 → many, 9488 packets, 18976 bytes",
        );
    }

    #[test]
    fn sockets_are_told_by_where_they_are_or_what_for() {
        let network = |transport: &str| json!({"transport": transport, "protocol_number": 255});
        let at = json!({"ip": "::1", "port": 53});
        check(json!({"event": {"category": "network", "action": "bind"}, "destination": at}), "at [::1]:53");
        check(
            json!({"event": {"category": "network", "action": "socket"}, "network": network("raw")}),
            "raw, protocol 255",
        );
    }

    #[test]
    fn names_are_told_with_what_they_lead_to() {
        let event = |outcome: &str, dns: Value| json!({"event": {"category": "dns", "outcome": outcome}, "dns": dns, "destination": {"ip": "::1", "port": 53}});
        let question = json!({"name": "example.org", "type": "A"});
        check(event("success", json!({"question": question})), "example.org A");
        check(
            event("success", json!({"question": question, "answers": ["192.0.2.1", "192.0.2.2"]})),
            "example.org A → 192.0.2.1, 192.0.2.2",
        );
        check(
            event("failure", json!({"question": question, "response_code": "NXDOMAIN", "repeats": 7})),
            "example.org A (7 times): NXDOMAIN",
        );
        check(event("failure", json!({})), "[::1]:53: failure");
    }

    #[test]
    fn a_system_call_is_told_as_it_is_written() {
        let call = json!({"number": 252, "args": ["99", "0"], "result": -22});
        let event = json!({"category": "syscall", "action": "ioprio_get", "outcome": "failure"});
        check(
            json!({"event": event, "error": {"code": "EINVAL"}, "syscall": call}),
            "ioprio_get(99, 0) = -22: EINVAL",
        );
    }

    #[test]
    fn files_are_told_with_what_was_done() {
        let event = |action: &str, file: Value| json!({"event": {"category": "file", "action": action}, "file": file});
        check(
            event("open", json!({"path": "/etc/shadow", "access": ["read", "write"]})),
            "/etc/shadow, to read and write",
        );
        check(event("rename", json!({"path": "/a", "target_path": "/b"})), "/a → /b");
        check(event("unlink", json!({"path": "/a"})), "/a");
    }

    #[test]
    fn what_is_done_to_the_kernel_is_told() {
        let event = |category: &str, action: &str, object: Value| json!({"event": {"category": category, "action": action}, "kernel": {"object": object}});
        check(
            event(
                "kernel",
                "bpf_load",
                json!({"name": "hide", "type": "tracing", "attach": "trace_fexit/vfs_read"}),
            ),
            "hide (tracing trace_fexit/vfs_read)",
        );
        let core = json!({"name": "kernel.core_pattern", "value": "|/tmp/x"});
        check(event("kernel", "sysctl", core.clone()), "kernel.core_pattern = |/tmp/x");
        check(event("escape", "core_pattern", core), "kernel.core_pattern = |/tmp/x");
    }

    #[test]
    fn containers_are_told_by_their_names_if_they_have_one() {
        let event = |action: &str, container: Value| json!({"event": {"category": "container", "action": action}, "container": container});
        let named = json!({"id": "3f4a", "name": "web", "image": {"name": "nginx:1.27"}});
        check(event("start", named.clone()), "web of nginx:1.27");
        check(event("start", json!({"id": "3f4a"})), "3f4a");
        check(
            json!({
                "event": {"category": "container", "action": "stop"},
                "container": named,
                "process": {"exit_code": 137}
            }),
            "web of nginx:1.27, exit code 137",
        );
    }

    #[test]
    fn who_acts_on_whom_is_told() {
        check(
            json!({
                "event": {"category": "process", "action": "signal"},
                "signal": {"number": 9},
                "target": {"process": {"executable": "/usr/sbin/sshd", "pid": 7}}
            }),
            "signal 9 to /usr/sbin/sshd (7)",
        );
        let process = json!({"old": {"user": {"id": 0}}, "new": {"user": {"id": 33}}});
        check(
            json!({"event": {"category": "process", "action": "setuid"}, "process": process}),
            "user 0 → 33",
        );
    }

    #[test]
    fn the_kernel_is_told_of_by_what_was_done_to_it() {
        let event = |action: &str, file: Value| json!({"event": {"category": "kernel", "action": action}, "file": file});
        check(event("mount", json!({"path": "/mnt", "target_path": "/dev/sda1"})), "/dev/sda1 on /mnt");
        check(event("chroot", json!({"path": "/srv/jail"})), "/srv/jail");
    }
}
