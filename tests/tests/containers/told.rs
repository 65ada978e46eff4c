//! What is told of podman's containers.

use std::os::unix::net::UnixListener;

use serde_json::{Value, json};
use tests::stack::Stack;

use crate::image::IMAGE;
use crate::place::Place;
use crate::podman::Podman;
use crate::sensor::{self, Sensor, field, is, source, text};

/// Checks that an event is of this container.
#[track_caller]
fn assert_of(event: &Value, id: &str, name: &str) {
    let found = ["container.id", "container.name", "container.image.name", "container.runtime"]
        .map(|name| text(event, name).to_owned());
    let image = if name.is_empty() { "" } else { IMAGE };
    assert_eq!(found, [id, name, image, "podman"], "{event}");
}

/// How often a container started and stopped.
fn n_lives(events: &[Value], id: &str) -> [usize; 2] {
    let n = |action| {
        events
            .iter()
            .filter(|event| is(event, "container", action) && text(event, "container.id") == id)
            .count()
    };
    ["start", "stop"].map(n)
}

#[test]
fn a_container_is_told_from_its_start_to_its_stop() {
    let Some(place) = Place::new("a_container_is_told_from_its_start_to_its_stop", &Podman::PROGRAMS) else {
        return;
    };
    let mut podman = Podman::new(&place);
    let socket = podman.serve();
    let mut sensor = Sensor::start(&place, &[source("podman", &socket)]);
    let id = podman.run("web", &["/bin/sleep", "1000"]);
    let start = sensor.start_of(&id);
    assert_of(&start, &id, "web");
    assert_eq!(field(&start, "process.args"), &json!(["/bin/sleep", "1000"]), "its first own program");
    assert_eq!(text(&start, "process.executable"), "/bin/busybox");
    // Somebody enters it, and what runs in it makes children of its own.
    assert_eq!(podman.exec("web", &["/bin/sh", "-c", "/bin/echo from inside; :"]), "from inside");
    let entered = sensor.exec_of(&["/bin/sh", "-c", "/bin/echo from inside; :"]);
    assert_of(&entered, &id, "web");
    let child = sensor.exec_of(&["/bin/echo", "from", "inside"]);
    assert_of(&child, &id, "web");
    assert_eq!(field(&child, "process.parent.entity_id"), field(&entered, "process.entity_id"));
    podman.stop("web");
    let stop = sensor.stop_of(&id);
    assert_of(&stop, &id, "web");
    assert_eq!(field(&stop, "process.exit_code"), 137);
    assert_eq!(field(&stop, "process.entity_id"), field(&start, "process.entity_id"));
    // The same container once more.
    podman.start("web");
    sensor.find("the second start", |event| {
        is(event, "container", "start")
            && text(event, "container.id") == id
            && field(event, "process.entity_id") != field(&start, "process.entity_id")
    });
    podman.stop("web");
    sensor.find("the second stop", |event| {
        is(event, "container", "stop")
            && text(event, "container.id") == id
            && field(event, "process.entity_id") != field(&start, "process.entity_id")
    });
    let events = sensor.end();
    assert_eq!(n_lives(&events, &id), [2, 2]);
    let order: Vec<&str> = events
        .iter()
        .filter(|event| is(event, "container", text(event, "event.action")))
        .map(|event| text(event, "event.action"))
        .collect();
    assert_eq!(order, ["start", "stop", "start", "stop"]);
}

#[test]
fn names_come_from_the_store_where_no_socket_answers() {
    let Some(place) = Place::new("names_come_from_the_store_where_no_socket_answers", &Podman::PROGRAMS)
    else {
        return;
    };
    let podman = Podman::new(&place);
    let sources = [source("podman", &place.path("nowhere.sock")), source("podman", &podman.store())];
    let mut sensor = Sensor::start(&place, &sources);
    let id = podman.run("kept", &["/bin/sh", "-c", "exit 3"]);
    assert_of(&sensor.start_of(&id), &id, "kept");
    let stop = sensor.stop_of(&id);
    assert_of(&stop, &id, "kept");
    assert_eq!(field(&stop, "process.exit_code"), 3);
    assert_eq!(n_lives(&sensor.end(), &id), [1, 1]);
}

#[test]
fn a_container_that_ran_before_has_its_names_too() {
    let Some(place) = Place::new("a_container_that_ran_before_has_its_names_too", &Podman::PROGRAMS) else {
        return;
    };
    let mut podman = Podman::new(&place);
    let socket = podman.serve();
    let id = podman.run("old", &["/bin/sh", "-c", "while :; do /bin/sleep 0.1; done"]);
    let mut sensor = Sensor::start(&place, &[source("podman", &socket)]);
    // A child has its parent's image until it executes another one: what was found at the start.
    let birth = sensor
        .find("a birth in it", |event| is(event, "process", "fork") && text(event, "container.id") == id);
    assert_of(&birth, &id, "old");
    assert_eq!(field(&birth, "process.args"), &json!(["/bin/sh", "-c", "while :; do /bin/sleep 0.1; done"]));
    podman.exec("old", &["/bin/echo", "entered"]);
    assert_of(&sensor.exec_of(&["/bin/echo", "entered"]), &id, "old");
    podman.stop("old");
    assert_of(&sensor.stop_of(&id), &id, "old");
    assert_eq!(n_lives(&sensor.end(), &id), [0, 1], "it did not start now");
}

#[test]
fn without_a_source_the_id_and_the_runtime_are_told_and_check_says_so() {
    let name = "without_a_source_the_id_and_the_runtime_are_told_and_check_says_so";
    let Some(place) = Place::new(name, &Podman::PROGRAMS) else { return };
    let mut podman = Podman::new(&place);
    let mut sensor = Sensor::with_settings(&place, "container_names = false");
    let id = podman.run("nameless", &["/bin/true"]);
    let (start, stop) = (sensor.start_of(&id), sensor.stop_of(&id));
    for event in [start, stop] {
        assert_of(&event, &id, "");
    }
    let said = sensor::check(&place, "container_names = false");
    assert_eq!(field(&said, "available"), false);
    assert!(
        text(&said, "note").contains("container_names is off") && !text(&said, "blind").is_empty(),
        "{said}"
    );
    let nowhere = format!("container_sources = [{:?}]", source("podman", &place.path("nowhere.sock")));
    let said = sensor::check(&place, &nowhere);
    assert!(text(&said, "note").contains("nowhere.sock") && text(&said, "blind").contains("names"), "{said}");
    let here = source("podman", &podman.serve());
    let said = sensor::check(&place, &format!("container_sources = [{here:?}]"));
    assert_eq!(
        (field(&said, "available"), text(&said, "way"), text(&said, "blind")),
        (&json!(true), &here[..], "")
    );
}

#[test]
fn a_socket_that_hangs_costs_names_and_nothing_else() {
    let name = "a_socket_that_hangs_costs_names_and_nothing_else";
    let Some(place) = Place::new(name, &Podman::PROGRAMS) else { return };
    let podman = Podman::new(&place);
    let socket = place.path("hangs.sock");
    // It takes calls, and nobody answers them.
    let _listener = UnixListener::bind(&socket).unwrap();
    let mut sensor = Sensor::start(&place, &[source("podman", &socket)]);
    for n in 0..3 {
        let id = podman.run(&format!("c{n}"), &["/bin/true"]);
        assert_of(&sensor.start_of(&id), &id, "");
        assert_of(&sensor.stop_of(&id), &id, "");
    }
}

#[test]
fn what_happened_while_no_sensor_ran_is_told_by_the_next_one() {
    let name = "what_happened_while_no_sensor_ran_is_told_by_the_next_one";
    let Some(place) = Place::new(name, &Podman::PROGRAMS) else { return };
    let podman = Podman::new(&place);
    let sources = [source("podman", &podman.store())];
    let mut sensor = Sensor::start(&place, &sources);
    let older = podman.run("older", &["/bin/sleep", "1000"]);
    sensor.start_of(&older);
    sensor.kill();
    // One that lives on, one that lives and ends, and the end of one that the sensor before has told of.
    let living = podman.run("living", &["/bin/sleep", "1000"]);
    let short = podman.run("short", &["/bin/true"]);
    podman.wait("short");
    podman.stop("older");
    let mut sensor = Sensor::start(&place, &sources);
    for (id, name) in [(&living, "living"), (&short, "short")] {
        assert_of(&sensor.start_of(id), id, name);
    }
    assert_of(&sensor.stop_of(&short), &short, "short");
    assert_of(&sensor.stop_of(&older), &older, "older");
    podman.stop("living");
    assert_of(&sensor.stop_of(&living), &living, "living");
    let events = sensor.end();
    assert_eq!([&older, &living, &short].map(|id| n_lives(&events, id)), [[0, 1], [1, 1], [1, 1]]);
    sensor::unload(&place);
}

#[test]
fn containers_are_found_by_name() {
    let Some(place) = Place::new("containers_are_found_by_name", &Podman::PROGRAMS) else { return };
    let mut podman = Podman::new(&place);
    let sources = format!("[{:?}]", source("podman", &podman.serve()));
    let variables = [("VEDETTE_SENSOR_CONTAINER_SOURCES", &sources[..])];
    let stack = Stack::up_with(&variables, &["--cgroup", place.group.path().to_str().unwrap()]).unwrap();
    let id = podman.run("shop", &["/bin/sh", "-c", "/bin/echo sold; :"]);
    let lives = stack.expect("event.category:container and container.name:shop", 2);
    assert!(lives.iter().all(|event| text(event, "container.id") == id));
    let inside = stack.expect("container.name:shop and event.action:exec and process.args:sold", 1);
    assert!(inside.iter().all(|event| text(event, "container.image.name") == IMAGE));
    stack.expect(&format!("event.action:stop and container.id:{id} and process.exit_code:0"), 1);
    stack.expect("event.action:start and vedette-test", 1);
    let table = stack.vedette(&["search", "event.category:container", "--since", "1h"]).unwrap();
    assert!(table.out.contains(&format!("shop of {IMAGE}")), "{}", table.out);
}
