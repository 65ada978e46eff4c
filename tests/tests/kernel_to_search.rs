//! One thing done on the real kernel, exactly that event found through the command line.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;
use std::sync::{Arc, Mutex, Weak};

use serde_json::Value;
use tests::group::Group;
use tests::skip::needs_root;
use tests::stack::Stack;

/// A product whose sensor sees only one control group, shared by the tests that run at the same time.
struct Host {
    stack: Stack,
    group: Group,
    scratch: tempfile::TempDir,
}

fn host(test: &str) -> Option<Arc<Host>> {
    static SHARED: Mutex<Weak<Host>> = Mutex::new(Weak::new());
    if !needs_root(test) {
        return None;
    }
    let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(host) = shared.upgrade() {
        return Some(host);
    }
    let group = Group::new("search").unwrap();
    let stack = Stack::up(&["--cgroup", group.path().to_str().unwrap()]).unwrap();
    let host = Arc::new(Host { stack, group, scratch: tempfile::tempdir().unwrap() });
    *shared = Arc::downgrade(&host);
    Some(host)
}

impl Host {
    /// A file of its own in the scratch folder, executable, with this content.
    fn program(&self, name: &[u8], content: &[u8]) -> std::path::PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.scratch.path().join(std::ffi::OsStr::from_bytes(name));
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn copy_of(&self, program: &str, name: &[u8]) -> std::path::PathBuf {
        self.program(name, &std::fs::read(program).unwrap())
    }
}

fn field<'a>(event: &'a Value, name: &str) -> &'a Value {
    name.split('.').fold(event, |value, key| &value[key])
}

#[test]
fn a_script_is_found_with_its_interpreter() {
    let Some(host) = host("a_script_is_found_with_its_interpreter") else { return };
    let script = host.program(b"hello.sh", b"#!/bin/sh\nexit 0\n");
    assert!(host.group.command(&script).arg("one").arg("two words").status().unwrap().success());
    let found = host.stack.expect(r#"event.action:exec and process.script:*hello.sh"#, 1);
    let event = &found[0];
    assert_eq!(field(event, "process.script"), script.to_str().unwrap());
    assert_eq!(field(event, "process.args").as_array().unwrap().last().unwrap(), "two words");
    assert_eq!(field(event, "process.user.id"), 0);
    assert!(field(event, "process.executable").as_str().unwrap().ends_with("sh"), "{event}");
}

#[test]
fn arguments_of_twenty_kilobytes_are_cut_and_say_so() {
    let Some(host) = host("arguments_of_twenty_kilobytes_are_cut_and_say_so") else { return };
    let program = host.copy_of("/bin/true", b"longargs");
    let long = "x".repeat(20 * 1024);
    assert!(host.group.command(&program).arg(&long).arg("last").status().unwrap().success());
    let event = &host.stack.expect("event.action:exec and process.name:longargs", 1)[0];
    assert_eq!(field(event, "process.truncated"), true);
    let true_length = program.as_os_str().len() + 1 + long.len() + 1 + "last".len() + 1;
    assert_eq!(field(event, "process.args_bytes"), true_length);
    let kept: usize =
        field(event, "process.args").as_array().unwrap().iter().map(|a| a.as_str().unwrap().len() + 1).sum();
    assert!((16 * 1024 - 4096..=16 * 1024 + 1).contains(&kept), "kept {kept} bytes");
}

#[test]
fn a_path_that_is_not_utf8_is_found_again() {
    let Some(host) = host("a_path_that_is_not_utf8_is_found_again") else { return };
    let program = host.copy_of("/bin/true", b"caf\xe9");
    assert!(host.group.command(&program).status().unwrap().success());
    let event = &host.stack.expect(r#"event.action:exec and process.name:"caf\xe9""#, 1)[0];
    assert_eq!(field(event, "process.name"), "caf\\xe9");
    let escaped = field(event, "event.escaped").as_array().unwrap();
    assert!(escaped.iter().any(|name| name == "process.name"), "{event}");
}

#[test]
fn a_program_that_lives_only_in_memory_is_marked() {
    let Some(host) = host("a_program_that_lives_only_in_memory_is_marked") else { return };
    let python = host.program(
        b"memfd.py",
        b"import os\nfd = os.memfd_create('ghost')\nos.write(fd, open('/bin/true', 'rb').read())\nos.execve(fd, ['ghost-arg'], {})\n",
    );
    assert!(host.group.command("/usr/bin/python3").arg(&python).status().unwrap().success());
    let event =
        &host.stack.expect("event.action:exec and process.image.memfd:true and process.args:ghost-arg", 1)[0];
    assert!(field(event, "process.executable").as_str().unwrap().contains("memfd:ghost"), "{event}");
}

#[test]
fn a_secret_in_arguments_is_replaced_and_found_nowhere() {
    let Some(host) = host("a_secret_in_arguments_is_replaced_and_found_nowhere") else { return };
    let shell = host.copy_of("/bin/sh", b"secretive");
    let secret = "hunter2-in-the-clear";
    // Of the shell's children one is told of with it as the parent, and the marker comes after all of them.
    let script = format!("DB_PASSWORD={secret} /bin/true; :");
    let url = format!("https://bob:{secret}@host.example/");
    let marker = host.copy_of("/bin/true", b"after-secretive");
    assert!(
        host.group
            .command(&shell)
            .args(["-c", &script, "--password", secret, &url])
            .status()
            .unwrap()
            .success()
    );
    assert!(host.group.command(&marker).status().unwrap().success());
    let event = &host.stack.expect("event.action:exec and process.name:secretive", 1)[0];
    let args: Vec<&str> =
        field(event, "process.args").as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    let kept = ["-c", "DB_PASSWORD=<redacted> /bin/true; :", "--password", "<redacted>"];
    assert_eq!(args[1..5], kept);
    assert_eq!(args[5], "https://bob:<redacted>@host.example/");
    assert_eq!(
        (field(event, "process.redacted"), field(event, "process.args_count")),
        (&true.into(), &6.into())
    );
    let raw = [shell.to_str().unwrap(), "-c", &script, "--password", secret, &url];
    let true_length: usize = raw.iter().map(|arg| arg.len() + 1).sum();
    assert_eq!(field(event, "process.args_bytes"), true_length);
    let child = &host.stack.expect("event.action:exec and process.parent.name:secretive", 1)[0];
    assert!(field(child, "process.parent.command_line").as_str().unwrap().contains("--password <redacted>"));
    assert!(field(child, "process.redacted").is_null(), "{child}");
    for query in [
        secret.to_owned(),
        format!("process.args:*{secret}*"),
        format!("process.parent.command_line:*{secret}*"),
    ] {
        host.stack.expect_none(&query, "event.action:exec and process.name:after-secretive");
    }
}

#[test]
fn an_executable_is_found_by_its_hash_at_its_first_run() {
    let Some(host) = host("an_executable_is_found_by_its_hash_at_its_first_run") else { return };
    let sha256 = |path: &std::path::Path| {
        let output = Command::new("sha256sum").arg(path).output().unwrap();
        String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
    };
    // Its batch waits for the hash, but not for long: on a machine that is very busy another one may do better.
    for n in 0..10 {
        let name = format!("hashed-{n}");
        let content = [std::fs::read("/bin/cat").unwrap(), name.clone().into_bytes()].concat();
        let program = host.program(name.as_bytes(), &content);
        let hash = sha256(&program);
        let mut running = host.group.command(&program).stdin(std::process::Stdio::piped()).spawn().unwrap();
        let event = &host.stack.expect(&format!("event.action:exec and process.name:{name}"), 1)[0];
        let told = field(event, "process.hash.sha256").clone();
        std::fs::remove_file(&program).unwrap();
        drop(running.stdin.take());
        running.wait().unwrap();
        // Its end is told of later, when the hash is known in any case, and so are all further events.
        let end = &host.stack.expect(&format!("event.action:exit and process.hash.sha256:{hash}"), 1)[0];
        assert_eq!(field(end, "process.name"), name.as_str());
        if !told.is_null() {
            assert_eq!(told, hash.as_str());
            let found =
                &host.stack.expect(&format!("event.action:exec and process.hash.sha256:{hash}"), 1)[0];
            assert_eq!(field(found, "event.id"), field(event, "event.id"));
            return;
        }
    }
    panic!("of ten executables none was hashed in time");
}

#[test]
fn an_exit_carries_code_and_duration() {
    let Some(host) = host("an_exit_carries_code_and_duration") else { return };
    let program = host.copy_of("/bin/sh", b"exit-43");
    assert_eq!(host.group.command(&program).args(["-c", "exit 43"]).status().unwrap().code(), Some(43));
    let event = &host.stack.expect("event.action:exit and process.name:exit-43", 1)[0];
    assert_eq!(field(event, "process.exit_code"), 43);
    assert!(field(event, "process.duration_ns").as_u64().unwrap() > 0);

    let program = host.copy_of("/bin/sh", b"killed-by-9");
    host.group.command(&program).args(["-c", "kill -9 $$"]).status().unwrap();
    let event = &host.stack.expect("event.action:exit and process.name:killed-by-9", 1)[0];
    assert_eq!(field(event, "process.exit_code"), 137);
    assert_eq!(field(event, "signal.number"), 9);
}

#[test]
fn both_ends_of_a_connection_carry_the_same_numbers() {
    let Some(host) = host("both_ends_of_a_connection_carry_the_same_numbers") else { return };
    let script = host.program(
        b"both_ends.py",
        b"import socket, os\n\
          listener = socket.create_server(('127.0.0.1', 0))\n\
          port = listener.getsockname()[1]\n\
          print(port, flush=True)\n\
          if os.fork() == 0:\n\
          \x20   c = socket.create_connection(('127.0.0.1', port)); c.sendall(b'x' * 1000); c.shutdown(1); c.recv(10); os._exit(0)\n\
          conn, _ = listener.accept()\n\
          n = 0\n\
          while (data := conn.recv(4096)): n += len(data)\n\
          conn.sendall(b'done'); conn.close(); os.wait()\n",
    );
    let output = host.group.command("/usr/bin/python3").arg(&script).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let port = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let of =
        |action: &str, n| host.stack.expect(&format!("event.action:{action} and destination.port:{port}"), n);
    let (connect, accept) = (&of("connect", 1)[0], &of("accept", 1)[0]);
    for name in
        ["source.ip", "source.port", "destination.ip", "network.source_isn", "network.destination_isn"]
    {
        assert!(!field(connect, name).is_null(), "{name} is missing: {connect}");
        assert_eq!(field(connect, name), field(accept, name), "{name}");
    }
    assert_ne!(field(connect, "process.entity_id"), field(accept, "process.entity_id"));
    assert_eq!(field(connect, "network.direction"), "outbound");
    assert_eq!(field(accept, "network.direction"), "inbound");
    for close in of("close", 2) {
        assert_eq!(field(&close, "source.bytes"), 1000, "{close}");
        assert_eq!(field(&close, "destination.bytes"), 4, "{close}");
    }
}

#[test]
fn a_connection_belongs_to_the_process_that_accepts_it() {
    let Some(host) = host("a_connection_belongs_to_the_process_that_accepts_it") else { return };
    let script = host.program(
        b"prefork.py",
        b"import socket, os, sys\n\
          listener = socket.create_server(('127.0.0.1', 0))\n\
          print(listener.getsockname()[1], flush=True)\n\
          workers = []\n\
          for _ in range(2):\n\
          \x20   pid = os.fork()\n\
          \x20   if pid == 0:\n\
          \x20       conn, _ = listener.accept(); conn.recv(10); conn.sendall(str(os.getpid()).encode()); conn.close(); os._exit(0)\n\
          \x20   workers.append(pid)\n\
          for pid in workers: os.waitpid(pid, 0)\n",
    );
    let mut server = host
        .group
        .command("/usr/bin/python3")
        .arg(&script)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    let mut reader = std::io::BufReader::new(server.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut reader, &mut port).unwrap();
    let port: u16 = port.trim().parse().unwrap();
    let mut pids: Vec<u64> = (0..2)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.write_all(b"hi").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer.parse().unwrap()
        })
        .collect();
    assert!(server.wait().unwrap().success());
    let accepts = host.stack.expect(&format!("event.action:accept and destination.port:{port}"), 2);
    let mut found: Vec<u64> = accepts.iter().map(|e| field(e, "process.pid").as_u64().unwrap()).collect();
    found.sort_unstable();
    pids.sort_unstable();
    assert_eq!(found, pids);
}

#[test]
fn a_tree_leads_from_the_root_to_the_children() {
    let Some(host) = host("a_tree_leads_from_the_root_to_the_children") else { return };
    let top = host.copy_of("/bin/sh", b"tree-top");
    let leaf = host.copy_of("/bin/true", b"tree-leaf");
    let script = format!("{0} -c '{1}; {1}; :'; :", top.display(), leaf.display());
    assert!(host.group.command(&top).args(["-c", &script]).status().unwrap().success());
    let leaves = host.stack.expect("event.action:exec and process.name:tree-leaf", 2);
    let event = &leaves[0];
    assert_eq!(field(event, "process.parent.name"), "tree-top");
    let ancestors = field(event, "process.ancestor.name").as_array().unwrap();
    assert!(ancestors.iter().filter(|name| *name == "tree-top").count() >= 2, "{event}");

    let entity = field(event, "process.parent.entity_id").as_str().unwrap();
    let nodes = host.stack.json(&["tree", entity, "--output", "json"]).unwrap();
    let names: Vec<_> =
        nodes.iter().map(|node| field(node, "process.name").as_str().unwrap_or("?")).collect();
    assert_eq!(names.iter().filter(|name| **name == "tree-leaf").count(), 2, "{nodes:#?}");
    assert!(names.iter().filter(|name| **name == "tree-top").count() >= 2, "{nodes:#?}");
    let pid = field(event, "process.parent.pid").to_string();
    let name = field(event, "host.name").as_str().unwrap();
    let by_pid = host.stack.json(&["tree", "--host", name, "--pid", &pid, "--output", "json"]).unwrap();
    assert_eq!(by_pid.len(), nodes.len());
}

#[test]
fn what_a_process_is_called_cannot_harm_a_terminal() {
    let Some(host) = host("what_a_process_is_called_cannot_harm_a_terminal") else { return };
    let program = host.copy_of("/bin/true", b"evil\x1b[2J");
    let words =
        ["\x1b]52;c;QUFB\x07", "two\nlines\r\t", "\u{202e}gpj.exe", "\u{9b}31m", "漢字漢字漢字漢字漢字漢字"];
    assert!(host.group.command(&program).args(words).status().unwrap().success());
    let event = &host.stack.expect("event.action:exec and process.name:evil*", 1)[0];
    let entity = field(event, "process.entity_id").as_str().unwrap();
    for columns in [None, Some(60), Some(80), Some(200)] {
        for command in
            [&["search", "process.name:evil*"][..], &["search", "--top", "process.args"], &["tree", entity]]
        {
            let mut vedette = tests::stack::vedette(host.stack.home());
            vedette.args(command).env_remove("COLUMNS");
            vedette.envs(columns.map(|columns: usize| ("COLUMNS", columns.to_string())));
            let out = String::from_utf8(vedette.output().unwrap().stdout).unwrap();
            assert!(out.contains("evil\\x1b[2J") || command[1] == "--top" || columns == Some(60), "{out}");
            for line in out.lines() {
                let harmful = |c: char| c.is_control() || c == '\u{202e}';
                assert!(!line.contains(harmful), "{command:?}: {line:?}");
                // The wide characters of this test take two columns, everything else one.
                let width = line.chars().map(|c| if "漢字".contains(c) { 2 } else { 1 }).sum::<usize>();
                assert!(columns.is_none_or(|columns| width <= columns), "{columns:?}: {width}: {line}");
            }
        }
    }
}

#[test]
fn what_nobody_did_is_not_found() {
    let Some(host) = host("what_nobody_did_is_not_found") else { return };
    let ran = host.stack.vedette(&["search", "process.name:nobody-ran-this", "--since", "1h"]).unwrap();
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    let ran = host.stack.vedette(&["search", "process.nmae:curl"]).unwrap();
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("process.name"), "the misspelt field is suggested: {}", ran.err);
    // Outside of the sensor's control group nothing is seen.
    let outside = host.copy_of("/bin/true", b"outside-the-group");
    assert!(Command::new(&outside).status().unwrap().success());
    let inside = host.copy_of("/bin/true", b"inside-the-group");
    assert!(host.group.command(&inside).status().unwrap().success());
    let marker = "event.action:exec and process.name:inside-the-group";
    host.stack.expect_none("process.name:outside-the-group", marker);
}

#[test]
fn events_are_followed_as_they_are_stored() {
    let Some(host) = host("events_are_followed_as_they_are_stored") else { return };
    let mut tail = tests::stack::vedette(host.stack.home());
    tail.args(["tail", "process.name:followed and event.action:exec", "--limit", "1", "--output", "json"]);
    let mut tail = tail.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let program = host.copy_of("/bin/true", b"followed");
    // The tail may not have begun when the first one runs.
    tests::wait::until("an event is followed", std::time::Duration::from_secs(20), || {
        assert!(host.group.command(&program).status().unwrap().success());
        tail.try_wait().unwrap()
    });
    let mut line = String::new();
    tail.stdout.take().unwrap().read_to_string(&mut line).unwrap();
    let event: Value = serde_json::from_str(line.trim()).unwrap();
    assert_eq!(field(&event, "process.name"), "followed");
}

#[test]
fn a_listener_that_nobody_calls_only_listens() {
    let Some(host) = host("a_listener_that_nobody_calls_only_listens") else { return };
    let script = host.program(
        b"two_listeners.py",
        b"import socket\n\
          quiet, called = (socket.create_server(('127.0.0.1', 0)) for _ in range(2))\n\
          print(quiet.getsockname()[1], called.getsockname()[1], flush=True)\n\
          c = socket.create_connection(called.getsockname()); called.accept()\n",
    );
    let output = host.group.command("/usr/bin/python3").arg(&script).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let ports = String::from_utf8(output.stdout).unwrap();
    let (quiet, called) = ports.trim().split_once(' ').unwrap();
    // The connection to the other one is later, in the lane of connections.
    let marker = format!("event.action:connect and destination.port:{called}");
    let of_quiet = format!("(source.port:{quiet} or destination.port:{quiet})");
    host.stack.expect_none(&format!("{of_quiet} and not event.action:(bind or listen)"), &marker);
    host.stack.expect(&format!("{of_quiet} and event.action:listen and process.name:python3*"), 1);
}
