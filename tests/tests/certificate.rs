//! A sensor outlives its certificate: renewed while it runs, and good for a collector that starts anew.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tests::group::Group;
use tests::skip::needs_root;
use tests::stack::Stack;
use tests::wait::until;
use vedette_sensor::identity::Identity;

#[test]
fn a_sensor_outlives_its_certificate_and_its_collector() {
    if !needs_root("a_sensor_outlives_its_certificate_and_its_collector") {
        return;
    }
    let group = Group::new("certificate").unwrap();
    let lifetime = [("VEDETTE_COLLECTOR_CERTIFICATE_LIFETIME", "10s")];
    let stack = Stack::up_with(&lifetime, &["--cgroup", group.path().to_str().unwrap()]).unwrap();
    let folder = std::fs::read_dir(stack.home())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.join("host.pem").exists())
        .unwrap();
    let first = Identity::load(&folder).unwrap();
    let life = first.validity().not_after - first.validity().not_before;
    assert!((10..=11).contains(&life), "{life} s");

    let end = first.validity().not_after;
    until("the first certificate has ended", Duration::from_secs(30), || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
        (now > end).then_some(())
    });
    let renewed = Identity::load(&folder).unwrap();
    assert!(renewed.validity().not_after > end, "it was not renewed\n{}", stack.logs());
    marker(&stack, &group, "after-its-end");

    // `up` starts it again; nothing but a valid certificate lets the sensor in then.
    let [collector] = stack.pids("vedette-collector")[..] else { panic!("one collector runs") };
    let pid = nix::unistd::Pid::from_raw(collector);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    until("another collector answers", Duration::from_secs(60), || {
        let is_another = stack.pids("vedette-collector").first().is_some_and(|pid| *pid != collector);
        (is_another && stack.vedette(&["status"]).unwrap().code == 0).then_some(())
    });
    marker(&stack, &group, "after-the-restart");
}

/// Runs something in the group and finds it.
fn marker(stack: &Stack, group: &Group, name: &str) {
    let script = format!("exec -a {name} /bin/true");
    assert!(group.command("/bin/bash").args(["-c", &script]).status().unwrap().success());
    stack.expect(&format!("event.action:exec and process.args:{name}"), 1);
}
