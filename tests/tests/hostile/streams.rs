//! Streams: too many, opened too fast, and what is sent beyond the credit.

use std::time::{Duration, Instant};

use quinn::VarInt;
use wire::frame::data::{Data, Open};
use wire::frame::sensor::Heartbeat;
use wire::frame::{Code, FromSensor, encode};
use wire::id::{Epoch, Lane};
use wire::time::WallTime;

use crate::scene::{Expected, play};
use crate::source::{Source, frame};

/// Row 7.
#[test]
fn streams_are_not_opened_faster_than_their_rate() {
    play(|scene| {
        let open =
            encode(&Data::Open(Open { epoch: Epoch::new(uuid::Uuid::nil()), lane: Lane::Bulk, from: 0 }));
        let before = scene.look();
        scene.run(async {
            // Finished, and reset before anything was said.
            for is_reset in [false, true] {
                let client = scene.session().await;
                let mut n_opened = 0;
                let churn = async {
                    while n_opened < 10_000
                        && let Ok(mut stream) = client.connection.open_uni().await
                    {
                        n_opened += 1;
                        if is_reset {
                            drop(stream.reset(VarInt::from_u32(0)));
                        } else {
                            drop(stream.write_all(&open).await);
                            drop(stream.finish());
                        }
                    }
                };
                let code = tokio::select! {
                    code = client.code() => code,
                    () = churn => client.code().await,
                };
                let expected = if is_reset {
                    &[Code::TOO_MANY_STREAMS, Code::OUT_OF_ORDER][..]
                } else {
                    &[Code::TOO_MANY_STREAMS][..]
                };
                assert!(expected.contains(&code), "{code:?}");
                assert!(n_opened < 500, "{n_opened} streams were opened");
            }
            let mut client = scene.session().await;
            let beat =
                encode(&FromSensor::from(Heartbeat { sent: WallTime::default(), facts: Default::default() }));
            client.say(&beat.repeat(1_000)).await;
            assert_eq!(client.code().await, Code::TOO_MANY_STREAMS, "a thousand heartbeats at once");
        });
        let counter = "collector_session_ended_total{code=\"too_many_streams\"}";
        scene.judge("streams", &before, Expected { counter, log: "a session ended", stored: 0 });
    });
}

/// Row 39, the impatient form: whoever sends beyond its credit has to go. What was within it is stored.
#[test]
fn nothing_is_taken_beyond_the_credit() {
    play(|scene| {
        let before = scene.look();
        scene.run(async {
            let client = scene.session().await;
            let mut source = Source::new();
            let mut stream = client.open(source.epoch, source.lane, 0).await;
            let all: Vec<u8> = (0..20_000).flat_map(|_| frame(source.batch("greedy", 1))).collect();
            drop(stream.write_all(&all).await);
            assert_eq!(client.code().await, Code::OVER_CREDIT);
        });
        // What was within the credit may still be on its way into the store.
        let villain = scene.villain.to_string();
        let mut still_since = (0, Instant::now());
        tests::wait::until("all that was taken is stored", Duration::from_secs(10), || {
            let now = scene.stored_of(&villain);
            if now != still_since.0 {
                still_since = (now, Instant::now());
            }
            (still_since.1.elapsed() > Duration::from_secs(1)).then_some(())
        });
        let stored = scene.stored_of(&scene.villain.to_string()) - before.villain();
        let counter = "collector_session_ended_total{code=\"over_credit\"}";
        scene.judge("credit", &before, Expected { counter, log: "a session ended", stored });
        assert!(stored < 20_000, "{stored} of 20000 single events came through");
    });
}
