//! Several collectors, each a process of its own, on one PostgreSQL: sensors go from one to another, some are killed, and
//! everything is stored once.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod collector;
mod host;
mod stored;

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tests::wait::{poll, until};
use uuid::Uuid;
use vedette_collector::store::leases::Task;
use wire::id::HostId;

use collector::{Site, count};
use host::Host;
use stored::stored;

const PATIENCE: Duration = Duration::from_secs(60);

fn id(n: u128) -> HostId {
    HostId::new(Uuid::from_u128(0xb000_0000_0000_0000_0000_0000_0000_0000 | n))
}

/// Waits until what all hosts have written is acknowledged, and looks whether all of it is stored, once.
async fn settle(site: &Site, hosts: &[Host]) {
    let mut expected = 0;
    for host in hosts {
        host.acknowledged(PATIENCE).await;
        expected += host.n_written();
    }
    let (batches, n_events) = stored(&site.pool).await;
    let distinct: std::collections::BTreeSet<_> = batches.iter().collect();
    assert_eq!(distinct.len(), batches.len(), "a batch is stored twice");
    assert_eq!(n_events, expected, "events stored, and written");
    assert_eq!(count(&site.pool, "select sum(n_stored)::bigint from stream").await, expected as i64);
    assert_eq!(count(&site.pool, "select sum(n_shed + n_rejected)::bigint from stream").await, 0);
    let residue = "select count(*) from finding where kind in ('residue', 'gap', 'chain', 'conflict')";
    assert_eq!(count(&site.pool, residue).await, 0, "findings");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sensors_go_from_one_to_another_and_everything_is_stored_once() {
    // Both are started at once on a database without tables.
    let mut site = Site::start(2).await;
    let both = site.addresses();
    let mut hosts = Vec::new();
    for n in 1..=8 {
        hosts.push(Host::new(&site, id(n)).await);
    }
    // Each is cut off without a word and goes on at the other; two of them are connected to both at once.
    for round in 0..16 {
        for (n, host) in hosts.iter_mut().enumerate() {
            host.write(5);
            match n {
                0 | 1 if round % 4 == 0 => host.connect_to_each(&both),
                0 | 1 => {}
                _ => host.connect(&[both[(round + n) % 2]]),
            }
        }
        // Long enough for some to be stored, and too short for all.
        let some = hosts[round % 8].acknowledged(PATIENCE);
        let _ = tokio::time::timeout(Duration::from_millis(150), some).await;
    }
    for host in &mut hosts {
        host.connect(&both);
    }
    settle(&site, &hosts).await;

    // Either of them shows all hosts, and which collectors there are.
    for n in 0..2 {
        until("all hosts are shown as connected", PATIENCE, || {
            let shown = site.json(n, &["hosts"]);
            (shown.len() == 8 && shown.iter().all(|host| host["connected"] == true)).then_some(())
        });
    }
    let n_of = |collectors: &[serde_json::Value], what: fn(&serde_json::Value) -> usize| {
        collectors.iter().map(what).sum::<usize>()
    };
    // Each says so every few seconds.
    until("both are alive, with all sensors, and each task is done by one", PATIENCE, || {
        let status = site.json(1, &["status"]);
        let all = status[0]["collectors"].as_array()?;
        let n_alive = all.iter().filter(|collector| collector["alive"] == true).count();
        let n_sessions = n_of(all, |c| c["sessions"].as_u64().unwrap_or(0) as usize);
        let n_tasks = n_of(all, |c| c["does"].as_array().map_or(0, Vec::len));
        ((n_alive, n_sessions, n_tasks) == (2, 8, Task::ALWAYS.len())).then_some(())
    });

    // A clean stop gives the leases back at once.
    let holder = site.holder(Task::Merge).await.expect("somebody merges");
    let begun = Instant::now();
    site.stop(holder, Signal::SIGTERM);
    let other = 1 - holder;
    let is_taken = async || {
        site.holder(Task::Merge).await == Some(other) && site.holder(Task::Retention).await == Some(other)
    };
    while !is_taken().await {
        assert!(begun.elapsed() < Duration::from_secs(15), "leases after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await; // poll interval
    }
    for host in &mut hosts {
        host.write(5);
    }
    settle(&site, &hosts).await;
    until("the stopped one is gone", PATIENCE, || {
        let status = site.json(other, &["status"]);
        (status[0]["collectors"].as_array().unwrap().len() == 1).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_collector_is_left_within_ten_seconds_and_its_work_taken_within_thirty() {
    let mut site = Site::start(3).await;
    let all = site.addresses();
    until("the tasks are done by somebody", PATIENCE, || {
        let status = site.json(0, &["status"]);
        let does = |c: &serde_json::Value| c["does"].as_array().map_or(0, Vec::len);
        let n: usize = status[0]["collectors"].as_array()?.iter().map(does).sum();
        (n == Task::ALWAYS.len()).then_some(())
    });
    let victim = site.holder(Task::Retention).await.unwrap();
    // It holds them all, and every host is connected to it.
    let mut list = all.clone();
    list.rotate_left(victim);
    let mut hosts = Vec::new();
    for n in 1..=4 {
        let mut host = Host::new(&site, id(n)).await;
        host.connect(&list);
        host.write(5);
        hosts.push(host);
    }
    for host in &hosts {
        host.acknowledged(PATIENCE).await;
    }
    let before = site.holders().await;
    let killed = Instant::now();
    site.stop(victim, Signal::SIGKILL);
    for host in &mut hosts {
        host.write(5);
    }
    for host in &hosts {
        host.acknowledged(Duration::from_secs(10).saturating_sub(killed.elapsed())).await;
    }
    eprintln!("all hosts are elsewhere, and acknowledged, after {:?}", killed.elapsed());
    settle(&site, &hosts).await;
    let survivor = (victim + 1) % 3;
    // Those who look elsewhere see that it is gone.
    until("the killed one is told of", PATIENCE, || {
        let status = site.json(survivor, &["status"]);
        let wrong = status[0]["wrong"].as_array()?;
        wrong
            .iter()
            .any(|line| line.as_str().unwrap_or_default().contains("did not stop cleanly"))
            .then_some(())
    });
    loop {
        let now = site.holders().await;
        if now.iter().all(|holder| holder.is_some_and(|holder| holder != victim)) {
            break;
        }
        assert!(
            killed.elapsed() < Duration::from_secs(30),
            "{now:?} after {:?}, before {before:?}",
            killed.elapsed()
        );
        tokio::time::sleep(Duration::from_millis(200)).await; // poll interval
    }
    eprintln!("its work is taken after {:?}", killed.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_at_one_collector_shows_what_is_stored_through_another() {
    let site = Site::start(2).await;
    let all = site.addresses();
    let mut host = Host::new(&site, id(1)).await;
    host.connect(&all[1..]);
    let mut tail = site.tail(0, &["--limit", "3", "--output", "json"]);
    // Until the other one knows that somebody follows.
    let shown = poll(PATIENCE, || {
        host.write(1);
        tail.try_wait().unwrap()
    });
    assert!(shown.is_some_and(|status| status.success()), "{shown:?}");
    let output = tail.wait_with_output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(lines.lines().count(), 3, "{lines}");
    assert!(
        lines.lines().all(|line| line.contains(&id(1).to_string()) && line.contains("/several/")),
        "{lines}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_used_at_two_collectors_at_once_is_a_finding() {
    let site = Site::start(2).await;
    let all = site.addresses();
    let mut host = Host::new(&site, id(1)).await;
    host.connect_to_each(&all);
    until("the clone is found", PATIENCE, || {
        let found = site.json(0, &["findings"]);
        found.iter().any(|finding| finding["kind"] == "clone").then_some(())
    });
    let shown = site.vedette(1, &["findings", "--host", &id(1).to_string()]);
    assert!(shown.contains("clone") && shown.contains("two places at once"), "{shown}");
}
