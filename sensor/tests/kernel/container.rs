//! Control groups that are named as containers' are: each is told when it fills and when it empties, and at no other time.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Stdio};

use vedette_sensor::record::{Body, Class};

use crate::bench::{Bench, Group, run, with_root};

const ID: &str = "3f4a0b6c2d1e8f7a9b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6";

/// What was told so far of groups whose path ends so: filled or emptied.
fn told(bench: &Bench, end: &str) -> Vec<bool> {
    let of_group = bench.seen().filter_map(|record| match record.body {
        Body::Populated(group) if group.path.ends_with(end.as_bytes()) => Some(group.is_populated),
        _ => None,
    });
    of_group.collect()
}

/// A process in the group that lives until its input is closed.
fn reader(group: &Group) -> Child {
    let mut child = group.command("/bin/cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // What it echoes, it echoes from within.
    child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    child
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_group_is_told_when_it_fills_and_when_it_empties() {
    with_root("populated", async |mut bench| {
        let docker = bench.group.below("docker");
        let group = docker.below(ID);
        let own = u32::try_from(fs::metadata("/proc/self/ns/mnt").unwrap().ino()).unwrap();
        let id = fs::metadata(&group.0).unwrap().ino();
        let (pid, _) = run(&mut group.command("/bin/true"));
        let (emptied, path) = bench
            .find("an emptied group", |record| match record.body {
                Body::Populated(group) if !group.is_populated => Some((record.at, group.path.to_vec())),
                _ => None,
            })
            .await;
        assert!(path.ends_with(format!("/docker/{ID}").as_bytes()) && path.starts_with(b"/"));
        assert_eq!(told(&bench, ID), [true, false]);
        let order: Vec<&str> = bench
            .seen()
            .filter(|record| record.at.class == Class::Process)
            .filter_map(|record| match record.body {
                Body::Populated(group) if group.is_populated => {
                    assert_eq!((group.cgroup_id, group.by_mnt_ns, group.truncated), (id, own, false));
                    Some("filled")
                }
                Body::Populated(_) => Some("emptied"),
                Body::Image(image) if image.task.is_some_and(|task| task.key.pid == pid) => {
                    assert_eq!((image.cgroup, image.cgroup_id), (&path[..], id));
                    Some("executed")
                }
                Body::Exit(exit) if exit.task.key.pid == pid => Some("ended"),
                _ => None,
            })
            .collect();
        assert_eq!(order, ["filled", "executed", "ended", "emptied"], "up to {emptied:?}");
    });
}

#[test]
fn groups_below_count_and_moves_within_do_not() {
    with_root("populated-below", async |mut bench| {
        let group = bench.group.below(&format!("libpod-{ID}.scope"));
        let (inner, other) = (group.below("container"), group.below("init.scope"));
        let first = reader(&inner);
        let second = reader(&other);
        end(first);
        // From one to the other, and out of both into the container's own; version 2 allows that without controllers.
        fs::write(inner.0.join("cgroup.procs"), second.id().to_string()).unwrap();
        fs::write(group.0.join("cgroup.procs"), second.id().to_string()).unwrap();
        let third = reader(&inner);
        fs::write(bench.group.0.join("cgroup.procs"), second.id().to_string()).unwrap();
        bench.look();
        assert_eq!(told(&bench, ".scope"), [true]);
        end(third);
        bench
            .find("an emptied group", |record| match record.body {
                Body::Populated(group) if !group.is_populated => Some(()),
                _ => None,
            })
            .await;
        end(second);
        bench.look();
        assert_eq!(told(&bench, &format!("/libpod-{ID}.scope")), [true, false]);
        assert_eq!(told(&bench, "").len(), 2, "nothing is told of the groups below");
    });
}

#[test]
fn other_groups_are_not_told() {
    with_root("populated-others", async |mut bench| {
        for name in ["a-service", "docker", &ID[1..], "user.slice"] {
            let group = bench.group.below(name);
            run(&mut group.command("/bin/true"));
        }
        let (pid, _) = run(&mut bench.command("/bin/true"));
        bench.exit_of(pid).await;
        assert_eq!(told(&bench, ""), [false; 0]);
        for name in ["lxc.payload.web", "systemd-nspawn@web.service"] {
            let group = bench.group.below(name);
            run(&mut group.command("/bin/true"));
            let (pid, _) = run(&mut bench.command("/bin/true"));
            bench.exit_of(pid).await;
            assert_eq!(told(&bench, name), [true, false]);
        }
    });
}
