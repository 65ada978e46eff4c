//! Silence, and bytes that come one at a time.

use std::net::UdpSocket;
use std::time::Duration;

use wire::frame::sensor::Heartbeat;
use wire::frame::{Code, FromSensor, encode};
use wire::id::{Epoch, Lane};
use wire::time::WallTime;

use crate::client::{code, dial};
use crate::initial::{PARAMETERS, client_hello, crypto, packet};
use crate::scene::{Expected, play};

/// Rows 4 and 5, all at a time: each waits for a deadline of its own.
#[test]
fn silence_and_slowness_are_not_waited_for() {
    play(|scene| {
        let before = scene.look();
        // A first packet that is as it should be, and nothing after it.
        let from = UdpSocket::bind("127.0.0.1:0").unwrap();
        let said = client_hello(&scene.tls, PARAMETERS);
        from.send_to(&packet(&crypto(0, &said)), scene.address()).unwrap();
        scene.run(async {
            let no_stream = async {
                let (connection, _endpoint) = dial(scene.address(), scene.tls.clone()).await.unwrap();
                assert_eq!(code(&connection).await, Code::TOO_SLOW, "no control stream");
            };
            let no_hello = async {
                let (connection, _endpoint) = dial(scene.address(), scene.tls.clone()).await.unwrap();
                let (mut send, _receive) = connection.open_bi().await.unwrap();
                send.write_all(&[1]).await.unwrap();
                assert_eq!(code(&connection).await, Code::TOO_SLOW, "no hello");
            };
            let a_byte_at_a_time = async {
                let mut client = scene.session().await;
                let mut data = client.open(Epoch::new(uuid::Uuid::now_v7()), Lane::Bulk, 0).await;
                // The largest batch there may be.
                data.write_all(&[0x12, 0, 0, 0, 0x70, 0]).await.unwrap();
                let connection = client.connection.clone();
                let trickle = async {
                    let mut beat = tokio::time::interval(Duration::from_secs(1));
                    loop {
                        beat.tick().await;
                        let heartbeat = Heartbeat { sent: WallTime::default(), facts: Default::default() };
                        client.say(&encode(&FromSensor::from(heartbeat))).await;
                        drop(data.write_all(&[0]).await);
                    }
                };
                tokio::select! {
                    code = code(&connection) => assert_eq!(code, Code::TOO_SLOW, "a byte at a time"),
                    () = trickle => {}
                }
            };
            tokio::join!(no_stream, no_hello, a_byte_at_a_time);
        });
        let log = "a connection without a session ended";
        let counter = "collector_session_ended_total{code=\"too_slow\"}";
        scene.judge("silence", &before, Expected { counter, log, stored: 0 });
        let refused = scene.counted(&before).of("collector_handshake_refused_total{reason=\"slow\"}");
        assert!(refused > 0, "the handshake that stopped is not counted");
        assert!(scene.logged(&before).contains("more slowly"), "{}", scene.logged(&before));
    });
}
