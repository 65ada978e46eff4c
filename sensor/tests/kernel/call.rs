use std::fs;

use vedette_sensor::plan::Collection;
use vedette_sensor::record::{Body, Call};

use crate::bench::{Bench, run, with_root};

const PIN: &str = "link_call_returned";

fn shell() -> String {
    fs::canonicalize("/bin/sh").unwrap().to_str().unwrap().to_owned()
}

impl Bench {
    /// Has a shell change its mask, which is a call of one argument; what is told of its calls.
    async fn calls_of_shell(&mut self, mask: u32) -> Vec<Call> {
        let command = format!("umask {mask:o}");
        let (pid, out) = run(self.command(shell()).args(["-c", &command]));
        assert!(out.status.success(), "{out:?}");
        self.exit_of(pid).await;
        self.look();
        let calls = self.seen().filter_map(|record| match record.body {
            Body::Call(call) if call.task.key.pid == pid => Some(call),
            _ => None,
        });
        calls.collect()
    }

    fn ask(&mut self, text: &str) {
        let collection = Collection::read(text.as_bytes()).unwrap();
        assert_eq!(collection.refusals().count(), 0, "{text}");
        self.probe().set_collection(collection.tables()).unwrap();
    }

    fn has_program(&mut self) -> bool {
        self.probe().folder().join(PIN).exists()
    }
}

#[test]
fn the_program_of_calls_is_attached_while_some_are_asked_for() {
    with_root("calls", async |mut bench| {
        bench.ask("event.action:umask");
        assert!(!bench.has_program());
        assert!(bench.probe().sights().all(|(sight, _)| sight.name != "syscall.call"));
        assert_eq!(bench.calls_of_shell(0o71).await, []);
        for is_asked in [true, false] {
            bench.close();
            bench.config.on_demand = is_asked;
            assert!(!bench.reopen().is_reopened());
            assert_eq!(bench.has_program(), is_asked);
            assert_eq!(!bench.calls_of_shell(0o72).await.is_empty(), is_asked);
        }
    });
}

#[test]
fn just_the_calls_that_a_row_asks_for_are_told() {
    with_root("calls-asked", async |mut bench| {
        bench.close();
        bench.config.on_demand = true;
        bench.reopen();
        assert_eq!(bench.calls_of_shell(0o71).await, [], "without a collection none is");
        let number = if cfg!(target_arch = "x86_64") { 95 } else { 166 };
        for (text, is_told) in [
            ("event.action:umask".to_owned(), true),
            (format!("event.action:umask and process.executable:{}", shell()), true),
            (format!("syscall.number:{number} and not process.user.id:7"), true),
            ("event.action:umask and process.executable:/nowhere/*".to_owned(), false),
            (format!("event.action:umask and not process.executable:*{}", shell()), false),
            ("event.action:umask and process.user.id:7".to_owned(), false),
            (format!("event.action:umask and not syscall.number:{number}"), false),
            ("event.action:keyctl".to_owned(), false),
            ("event.category:file".to_owned(), false),
            ("event.action:(umask or keyctl) and process.user.id:0".to_owned(), true),
        ] {
            bench.ask(&text);
            let calls = bench.calls_of_shell(0o73).await;
            let told = calls.iter().find(|call| call.args.first() == Some(&0o73));
            assert_eq!(told.is_some(), is_told, "{text}: {calls:?}");
            if let Some(call) = told {
                assert_eq!((call.kind.to_string().as_str(), call.number), ("syscall.umask", number));
                assert!(call.result <= 0o777 && call.error() == 0, "the mask before: {call:?}");
            }
            assert!(is_told || calls.is_empty(), "{text}: {calls:?}");
        }
        let harm = bench.probe().inspect(true);
        assert!(harm.is_empty(), "{harm:?}");
    });
}
