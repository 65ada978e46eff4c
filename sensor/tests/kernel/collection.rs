use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use vedette_sensor::plan::Collection;
use vedette_sensor::probe::Probe;
use vedette_sensor::record::{Body, Class};
use wire::event::{FlatEvent, Kind};
use wire::field::Field;
use wire::predicate::{Options, Predicate};
use wire::value::Value;

use crate::bench::{Bench, Running, run, with_root};

#[test]
fn a_collection_stands_in_the_kernel_as_it_was_laid_out() {
    with_root("collection", async |mut bench| {
        assert!(bench.probe().collection().unwrap().is_none(), "nothing was set");
        let other = Collection::read(b"event.action:open and file.path:/a*b and not file.path:/a/b").unwrap();
        let empty = Collection::read(b"").unwrap();
        let built_in = Collection::built_in();
        for (n, collection) in (1u32..).zip([built_in, &other, built_in, built_in, &empty, built_in]) {
            assert_eq!(bench.probe().set_collection(collection.tables()).unwrap(), u64::from(n));
            let found = bench.probe().collection().unwrap().unwrap();
            assert_eq!(found, collection.tables().image(n % 2, n.into()), "the {n}th");
            assert_eq!(bench.probe().n_left_over().unwrap(), 0, "after the {n}th");
        }
        bench.close();
        assert!(bench.reopen().is_reopened());
        let found = bench.probe().collection().unwrap().unwrap();
        assert_eq!(found, built_in.tables().image(0, 6), "it decides on while no sensor runs");
        assert_eq!(bench.probe().set_collection(other.tables()).unwrap(), 7);
    });
}

#[test]
fn half_a_collection_that_a_sensor_left_is_cleared() {
    with_root("collection-half", async |mut bench| {
        let (one, other) = (
            Collection::read(b"event.action:open and file.path:/one/*").unwrap(),
            Collection::read(b"event.action:unlink and file.path:(/other/* or /more)").unwrap(),
        );
        bench.probe().set_collection(one.tables()).unwrap();
        bench.probe().fill_idle(other.tables()).unwrap();
        assert!(bench.probe().n_left_over().unwrap() > 0);
        let found = bench.probe().collection().unwrap().unwrap();
        assert_eq!(found, one.tables().image(1, 1), "what was filled and not switched to decides nothing");
        bench.probe().set_collection(one.tables()).unwrap();
        assert_eq!(bench.probe().n_left_over().unwrap(), 0);
    });
}

/// What of the files that `cat` opens is shipped, and what should be.
async fn compare(bench: &mut Bench, files: &[PathBuf], text: &str) {
    let collection = Collection::read(text.as_bytes()).unwrap();
    assert_eq!(collection.refusals().count(), 0, "{text}");
    bench.probe().set_collection(collection.tables()).unwrap();
    let (pid, out) = run(bench.command("/bin/cat").args(files));
    assert!(out.status.success(), "{out:?}");
    bench.exit_of(pid).await;
    bench.look();
    let opened = bench.seen().filter_map(|record| match &record.body {
        Body::File(file) if file.action == Kind::FILE_OPEN && file.task.key.pid == pid => {
            Some(PathBuf::from(String::from_utf8_lossy(file.path).into_owned()))
        }
        _ => None,
    });
    let opened: BTreeSet<PathBuf> = opened.filter(|path| files.contains(path)).collect();
    let queries: Vec<Predicate> =
        text.lines().map(|line| Predicate::parse(line, &Options::default()).unwrap()).collect();
    let wanted = files.iter().filter(|path| queries.iter().any(|query| query.matches(&opened_by_cat(path))));
    assert_eq!(opened, wanted.cloned().collect(), "{text}");
}

fn opened_by_cat(path: &Path) -> FlatEvent {
    let bytes = |path: &Path| Value::Keyword(path.as_os_str().as_encoded_bytes().to_vec().into());
    let mut event = FlatEvent::default();
    for (field, value) in [
        (Field::EventCategory, "file".into()),
        (Field::EventAction, "open".into()),
        (Field::ProcessExecutable, bytes(&fs::canonicalize("/bin/cat").unwrap())),
        (Field::ProcessName, "cat".into()),
        (Field::ProcessUserId, Value::Uint(0)),
        (Field::FilePath, bytes(path)),
        (Field::FileAccess, Value::List(vec!["read".into()])),
    ] {
        event.row.set(field, value);
    }
    event
}

#[test]
fn the_kernel_ships_what_the_queries_match() {
    with_root("collection-files", async |mut bench| {
        let folder = tempfile::Builder::new().prefix("vedette-collection-").tempdir_in("/var/tmp").unwrap();
        let root = folder.path().to_str().unwrap().to_owned();
        let deep = "d".repeat(120);
        // Longer than what is looked up, not longer than what is compared.
        let long = format!("{deep}/{}", "e".repeat(254 - root.len() - deep.len() - 2));
        let mut files = Vec::new();
        for name in [
            "a",
            "ab",
            "a.pem",
            "home/x/.ssh/id",
            "home/y/.ssh/key.pem",
            "home/.ssh",
            "b/a",
            &long,
            &format!("{long}e"),
            &format!("{deep}/{}/f.pem", "g".repeat(200)),
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "x").unwrap();
            files.push(path);
        }
        for query in [
            "event.action:open and file.path:ROOT/a",
            "event.action:open and file.path:ROOT/a*",
            "event.action:open and file.path:(ROOT/* and not ROOT/home/*)",
            "event.action:open and file.path:ROOT/home/*/.ssh/*",
            "event.action:open and file.path:ROOT/*.pem and not file.path:*/.ssh/*",
            "event.action:open and file.path:*pem",
            "event.action:open and file.path:ROOT/LONG",
            "event.action:open and file.path:ROOT/LONG*",
            "event.action:open and file.path:ROOT/* and not file.path:ROOT/LONG",
            "event.action:open and file.path:ROOT/ddd*/f.pem",
            "event.action:open and file.path:ROOT/* and process.name:cat",
            "event.action:open and file.path:ROOT/* and not process.name:(cat or dog)",
            "event.action:open and file.path:ROOT/* and not process.name:(dog or *og)",
            "event.action:open and file.path:ROOT/* and process.executable:(/usr/* or /bin/*) and process.user.id < 1",
            "event.action:open and file.path:ROOT/* and process.user.id > 0",
            "event.action:open and file.path:ROOT/* and file.access:write",
            "event.action:unlink and file.path:ROOT/*",
            "event.action:open and file.path:ROOT/a\nevent.action:open and file.path:*/id\nevent.action:open and file.path:ROOT/b*",
        ] {
            compare(&mut bench, &files, &query.replace("ROOT", &root).replace("LONG", &long)).await;
        }
        // As many patterns as there can be, of which the last row's decides.
        let mut many: String =
            (0..255).map(|n| format!("event.action:open and file.path:*/no{n}/*x\n")).collect();
        many.push_str("event.action:open and file.path:*/.ssh/*");
        compare(&mut bench, &files, &many).await;
        bench.close();
        Probe::unload_named(&bench.config.name).unwrap();
    });
}

#[test]
fn the_second_path_decides_too() {
    with_root("collection-rename", async |mut bench| {
        let folder = tempfile::Builder::new().prefix("vedette-collection-").tempdir_in("/var/tmp").unwrap();
        let root = folder.path().to_str().unwrap().to_owned();
        let text = format!(
            "event.action:rename and file.target_path:{root}/to* and not file.target_path:*.tmp\n\
             event.action:rename and not file.target_path:{root}/* and file.path:{root}/*"
        );
        bench.probe().set_collection(Collection::read(text.as_bytes()).unwrap().tables()).unwrap();
        let mut last = 0;
        for (from, to) in [("a", "to/a"), ("b", "to.tmp"), ("c", "elsewhere"), ("d", "told")] {
            let [from, to] = [from, to].map(|name| folder.path().join(name));
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::write(&from, "x").unwrap();
            let (pid, out) = run(bench.command("/bin/mv").args([&from, &to]));
            assert!(out.status.success(), "{out:?}");
            last = pid;
        }
        bench.exit_of(last).await;
        bench.look();
        let targets = bench.seen().filter_map(|record| match &record.body {
            Body::File(file) if file.action == Kind::FILE_RENAME => {
                Some(String::from_utf8_lossy(file.target).into_owned())
            }
            _ => None,
        });
        let targets: Vec<String> = targets.filter(|target| target.starts_with(&root)).collect();
        assert_eq!(targets, [format!("{root}/to/a"), format!("{root}/told")]);
    });
}

#[test]
fn a_collection_decides_from_the_first_event_on() {
    with_root("collection-first", async |mut bench| {
        bench.close();
        Probe::unload_named(&bench.config.name).unwrap();
        let script = "while :; do : < /etc/passwd; done";
        let opens = Running(bench.command("/bin/sh").args(["-c", script]).spawn().unwrap());
        let mut prepared = Probe::prepare(&bench.config).unwrap();
        prepared.set_collection(Collection::read(b"event.action:unlink").unwrap().tables()).unwrap();
        let probe = bench.probe.insert(prepared.attach().unwrap());
        let all = |probe: &mut Probe| probe.counters().unwrap().of(Class::File).generated();
        assert_eq!(all(probe), 0, "files were told before the collection decided");
        // Without one, everything is.
        bench.close();
        Probe::unload_named(&bench.config.name).unwrap();
        bench.reopen();
        let start = std::time::Instant::now();
        while all(bench.probe()) == 0 {
            assert!(start.elapsed().as_secs() < 20, "nothing is opened: this shows nothing");
        }
        drop(opens);
    });
}

/// Where only the caller's argument is seen, no look-up can tell what it leads to.
#[test]
fn a_path_that_is_written_in_another_way_is_not_dropped() {
    with_root("collection-odd", async |mut bench| {
        let folder = tempfile::Builder::new().prefix("vedette-collection-").tempdir_in("/var/tmp").unwrap();
        let root = folder.path().to_str().unwrap();
        let text = format!(
            "event.action:unlink and file.path:{root}/a/kept\nevent.action:unlink and file.path:{root}/a/x*y*z"
        );
        bench.probe().set_collection(Collection::read(text.as_bytes()).unwrap().tables()).unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        for (argument, is_wanted) in [
            ("kept", true),
            ("other", false),
            ("x-y-z", true),
            ("x-y", false),
            ("./kept", true),
            ("../a/kept", true),
            ("b/../kept", true),
            ("b//../kept", true),
            (".//x-y-z", true),
            ("b/..//x-y-z", true),
        ] {
            let place = folder.path().join("a");
            fs::write(place.join(argument), "x").unwrap();
            let (pid, out) = run(bench.command("/usr/bin/unlink").arg(argument).current_dir(&place));
            assert!(out.status.success(), "{out:?}");
            bench.exit_of(pid).await;
            bench.look();
            let is_told = bench.seen().any(|record| match &record.body {
                Body::File(file) => file.action == Kind::FILE_UNLINK && file.task.key.pid == pid,
                _ => false,
            });
            assert_eq!(is_told, is_wanted, "{argument}");
        }
    });
}
