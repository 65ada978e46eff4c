use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use vedette_sensor::plan::Collection;
use vedette_sensor::probe::{Filter, Harm};
use vedette_sensor::record::{Body, Object};

use crate::bench::{Bench, run, with_root};
use crate::bpf::{delete, open, pin_of, update};
use crate::child;

/// What an inspection finds; all of it is repaired.
fn found(bench: &mut Bench, thorough: bool) -> BTreeSet<String> {
    let harms = bench.probe().inspect(thorough);
    let unhealed: Vec<&Harm> = harms.iter().filter(|harm| !harm.repaired).collect();
    assert!(unhealed.is_empty(), "{unhealed:?}");
    harms.into_iter().map(|harm| format!("{}: {}", harm.what, harm.how)).collect()
}

fn expect(bench: &mut Bench, thorough: bool, expected: &str) {
    assert_eq!(found(bench, thorough), [expected.to_owned()].into());
    assert_eq!(found(bench, true), BTreeSet::new(), "after {expected}");
}

#[test]
fn what_is_done_to_pins_and_maps_is_found_and_put_right() {
    with_root("tamper", async |mut bench| {
        let collection = Collection::read(b"event.action:open and file.path:/etc/*").unwrap();
        bench.probe().set_collection(collection.tables()).unwrap();
        bench.probe().set_filter(&Filter { uids: [4242].into(), ..Filter::default() }).unwrap();
        assert_eq!(found(&mut bench, true), BTreeSet::new(), "nobody has done anything");
        let folder = bench.probe().folder().to_path_buf();

        fs::remove_file(folder.join("link_process_exec")).unwrap();
        expect(&mut bench, false, "link process_exec: its pin was removed");
        fs::remove_file(pin_of(&folder, "filter_uid")).unwrap();
        expect(&mut bench, false, "map filter_uid: its pin was removed");
        let (exec, exit) = (folder.join("link_process_exec"), folder.join("link_process_exit"));
        fs::rename(&exit, &exec).unwrap();
        assert_eq!(
            found(&mut bench, false),
            [
                "link process_exec: another pin stands in its place".to_owned(),
                "link process_exit: its pin was removed".to_owned()
            ]
            .into()
        );
        assert_eq!(found(&mut bench, true), BTreeSet::new());

        delete(&open(&pin_of(&folder, "to_process_exec")), &0u32.to_ne_bytes());
        run(&mut bench.command("/bin/true"));
        expect(&mut bench, false, "program process_exec: it was taken away from behind its door");
        update(&open(&pin_of(&folder, "filter")), &0u32.to_ne_bytes(), &0u32.to_ne_bytes());
        expect(&mut bench, false, "map filter: somebody has written into it");
        update(&open(&pin_of(&folder, "filter_uid")), &7u32.to_ne_bytes(), &1u32.to_ne_bytes());
        expect(&mut bench, true, "map filter: somebody has written into it");
        update(&open(&pin_of(&folder, "match_active")), &0u32.to_ne_bytes(), &0u32.to_ne_bytes());
        expect(&mut bench, false, "map match: somebody has written into it");
        let vectors = open(&pin_of(&folder, "match_vectors"));
        for number in 0u32..4096 {
            update(&vectors, &number.to_ne_bytes(), &[0; 128]);
        }
        expect(&mut bench, true, "map match: somebody has written into it");
        update(&open(&pin_of(&folder, "sensor")), &0u32.to_ne_bytes(), &[0; 24]);
        expect(&mut bench, false, "map sensor: somebody has written into it");
        update(&open(&pin_of(&folder, "syscall_shapes")), &1u32.to_ne_bytes(), &[0; 12]);
        assert_eq!(found(&mut bench, true), BTreeSet::new(), "that call is not looked at");
        update(&open(&pin_of(&folder, "syscall_shapes")), &257u32.to_ne_bytes(), &[0; 12]);
        expect(&mut bench, true, "map syscall_shapes: somebody has written into it");
        update(&open(&pin_of(&folder, "identity")), &0u32.to_ne_bytes(), &[7; 32]);
        expect(&mut bench, false, "map identity: somebody has written into it");

        // All of it works as before.
        let (pid, _) = run(&mut bench.command("/bin/true"));
        bench.image_of(pid).await;
        bench.exit_of(pid).await;
        let (pid, _) = run(bench.command("/bin/cat").arg("/etc/passwd"));
        bench
            .find("the file that the collection asks for", |record| match &record.body {
                Body::File(file) if file.task.key.pid == pid && file.path == b"/etc/passwd" => Some(()),
                _ => None,
            })
            .await;
        bench.close();
        assert!(bench.reopen().is_reopened(), "the next sensor finds it as it should be");
    });
}

#[test]
fn who_gets_hold_of_a_map_is_told_once() {
    with_root("tamper-touch", async |mut bench| {
        let pin = pin_of(bench.probe().folder(), "filter_cgroup");
        // No filter leaves it out, not even that of a confined sensor.
        let mut command = child::command_outside("open-pin", &[pin.to_str().unwrap()]);
        let (pid, out) = run(&mut command);
        assert!(out.status.success(), "{out:?}");
        let name = bench
            .find("touch", |record| match &record.body {
                Body::Touch(touch) if touch.task.key.pid == pid => Some((touch.object, touch.name.clone())),
                _ => None,
            })
            .await;
        assert_eq!(name, (Object::Map, b"filter_cgroup".to_vec()));
        let touches = bench
            .seen()
            .filter(|record| matches!(&record.body, Body::Touch(touch) if touch.task.key.pid == pid));
        assert_eq!(touches.count(), 1, "twice is once");
        // The sensor's own are left out: its programs know who it is.
        bench.probe().inspect(true);
        drop(open(&pin));
        bench.look();
        let own = std::process::id();
        let late = bench
            .seen()
            .filter(|record| matches!(&record.body, Body::Touch(touch) if touch.task.key.pid == own));
        assert!(late.count() <= 1, "at most before it could say who it is");
    });
}

pub(crate) fn open_pin(pin: &str) {
    drop(open(Path::new(pin)));
    drop(open(Path::new(pin)));
}
