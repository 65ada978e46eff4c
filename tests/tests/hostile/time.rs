//! Clocks of hosts that say anything.

use crate::scene::{Expected, play};
use crate::source::{Source, frame};
use wire::time::Clock;

const HOUR_NS: i64 = 3_600_000_000_000;
const DAY_NS: i64 = 24 * HOUR_NS;

/// Row 21: what the host says is kept, when it came is kept too, and what is stored lies where it came.
#[test]
fn events_lie_where_they_were_received_whatever_their_clock_says() {
    play(|scene| {
        let before = scene.look();
        let now = Source::new().clock.boot_to_wall_ns;
        let clocks = [
            ("1970", 0, 0),
            ("2262", i64::MAX, 0),
            ("1677", i64::MIN, 0),
            ("an-hour-back", now - HOUR_NS, 0),
            ("a-year-ahead", now + 365 * DAY_NS, 0),
            // Far ahead, and corrected to far behind.
            ("corrected", now, i64::MIN),
        ];
        let mut tail = Vec::new();
        scene.run(async {
            let mut client = scene.session().await;
            for (name, boot_to_wall_ns, offset_ns) in clocks {
                let mut source = Source::new();
                source.clock = Clock { boot_to_wall_ns, offset_ns, uncertainty_ns: u64::MAX };
                let mut stream = client.open(source.epoch, source.lane, 0).await;
                stream.write_all(&frame(source.batch(name, 3))).await.unwrap();
                client.acknowledged(source.epoch, source.lane, 3).await;
                stream.finish().unwrap();
                tail.push(name);
            }
            client.leave().await;
        });
        for name in tail {
            let query = format!("file.path:/hostile/{name}/*");
            // All but the hour back are found at the time they came, as their own is more than a day off.
            let found = scene.json(&["search", &query, "--since", "2h", "--output", "json"]);
            assert_eq!(found.len(), 3, "{name}");
            for event in &found {
                let received = event["event"]["ingested"].as_str().expect("when it came");
                let ago = jiff::Timestamp::now().duration_since(received.parse().unwrap());
                assert!(ago.as_secs().abs() < 120, "{name}: received {received}");
                let theirs = event["event"]["sensor_time"].as_str().expect("what the host said");
                let year = name.parse::<i16>().ok();
                assert!(year.is_none_or(|year| theirs.starts_with(&year.to_string())), "{name}: {theirs}");
            }
        }
        let strays = scene.number(
            "select count(*) from pg_inherits i join pg_class c on c.oid = i.inhrelid
              where c.relname ~ '(1970|1677|2262)'",
        );
        assert_eq!(strays, 0, "partitions for times that hosts made up");
        let counter = "collector_event_stored_total";
        scene.judge("clocks", &before, Expected { counter, log: "connected", stored: 18 });
    });
}
