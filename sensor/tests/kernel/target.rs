use std::process::{Command, Stdio};

use vedette_sensor::record::{Body, Target};
use wire::event::Kind;

use crate::bench::{Bench, run, with_root};
use crate::child;

impl Bench {
    async fn target(&mut self, action: Kind, pid: u32) -> Target {
        self.find(&format!("{action} of process {pid}"), |record| match record.body {
            Body::Target(it) if it.action == action && it.target.key.pid == pid => Some(it),
            _ => None,
        })
        .await
    }
}

#[test]
fn a_signal_is_told_with_who_sent_it_to_whom() {
    with_root("signal", async |mut bench| {
        let mut victim = Command::new("/bin/sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let (sender, out) = run(bench.command("/bin/kill").args(["-KILL", &victim.id().to_string()]));
        assert!(out.status.success(), "{out:?}");
        victim.wait().unwrap();
        let sent = bench.target(Kind::SIGNAL, victim.id()).await;
        assert_eq!((sent.task.key.pid, sent.signal, sent.error), (sender, 9, 0));
    });
}

#[test]
fn who_takes_hold_of_another_process_is_told() {
    with_root("ptrace", async |mut bench| {
        let mut victim = Command::new("/bin/sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let (tracer, out) = run(&mut child::command(&bench, "ptrace", &[&victim.id().to_string()]));
        assert!(out.status.success(), "{out:?}");
        let entered = bench.target(Kind::PTRACE, victim.id()).await;
        assert_eq!((entered.task.key.pid, entered.error), (tracer, 0));
        victim.kill().unwrap();
        victim.wait().unwrap();
    });
}
