//! Who gets in: certificates that are none of ours, in two places, or revoked.

use std::time::{Duration, Instant};

use ::time::OffsetDateTime;
use quinn::ConnectionError;
use tests::wait::until;
use uuid::Uuid;
use vedette_collector::ca::Authority;
use wire::frame::sensor::{Heartbeat, Hello};
use wire::frame::{Code, FromSensor, encode};
use wire::id::BootId;
use wire::time::WallTime;

use crate::client::{Client, code, dial, end, hello};
use crate::https::Https;
use crate::identities::{Papers, enrol, papers_of, self_signed, tls};
use crate::scene::{Expected, play};

/// Row 12.
#[test]
fn a_certificate_that_is_not_ours_fails_the_handshake() {
    play(|scene| {
        let now = OffsetDateTime::now_utc();
        let elsewhere = tempfile::tempdir().unwrap();
        let other = Authority::open_or_create(elsewhere.path(), now).unwrap();
        let server = scene.authority.certify_collector(&[], now).unwrap();
        let host = |at| papers_of(&scene.authority, scene.villain, at);
        let mut long = host(now);
        long.chain.extend(vec![scene.authority.certificate().clone(); 100]);
        let day = ::time::Duration::days(1);
        let bad: Vec<(&str, Option<Papers>)> = vec![
            ("none", None),
            ("its own", Some(self_signed(scene.villain))),
            ("of another authority", Some(papers_of(&other, scene.villain, now))),
            ("expired", Some(host(now - day * 3))),
            ("not yet valid", Some(host(now + day * 3))),
            ("a collector's", Some(Papers { chain: server.chain, key: server.key })),
            ("one of a hundred and one", Some(long)),
        ];
        let before = scene.look();
        let n_bad = bad.len() as u64;
        scene.run(async {
            for (what, papers) in bad {
                // A TLS 1.3 client may be done before the server has looked at its certificate.
                let error = match dial(scene.address(), tls(&scene.authority, papers)).await {
                    Ok((connection, _endpoint)) => end(&connection).await,
                    Err(error) => error,
                };
                let is_refused = match &error {
                    ConnectionError::ConnectionClosed(close) => {
                        u64::from(close.error_code) & 0xff00 == 0x100
                            || close.error_code.to_string().contains("CRYPTO")
                    }
                    ConnectionError::ApplicationClosed(close) => {
                        close.error_code.into_inner() == u64::from(Code::NOT_ALLOWED.0)
                    }
                    _ => false,
                };
                assert!(is_refused, "{what}: {error:?}");
            }
        });
        until("each is counted", Duration::from_secs(5), || {
            (scene.counted(&before).of("collector_handshake_refused_total") == n_bad).then_some(())
        });
        let (counter, log) = ("collector_handshake_refused_total", "refused a connection");
        scene.judge("certificates", &before, Expected { counter, log, stored: 0 });
    });
}

/// Row 14.
#[test]
fn one_certificate_in_two_places_is_found_out() {
    play(|scene| {
        let before = scene.look();
        let boots = [0xa, 0xb].map(|n| BootId::new(Uuid::from_u128(n)));
        let addresses = scene.run(async {
            let mut clients = Vec::new();
            for boot in boots {
                let hello = Hello { boot, ..hello() };
                clients.push(Client::greeted(scene.address(), scene.tls.clone(), hello).await);
            }
            // Both live on, and say so.
            let began = Instant::now();
            let mut beat = tokio::time::interval(Duration::from_millis(500));
            while scene.counted(&before).of("collector_finding_total{finding=\"cloned\"}") == 0 {
                assert!(began.elapsed() < Duration::from_secs(20), "nobody found it out");
                beat.tick().await;
                for client in &mut clients {
                    let beat = Heartbeat { sent: WallTime::default(), facts: Default::default() };
                    client.say(&encode(&FromSensor::from(beat))).await;
                }
            }
            assert!(clients.iter().all(|client| client.connection.close_reason().is_none()));
            let addresses: Vec<_> =
                clients.iter().map(|client| client.endpoint.local_addr().unwrap().to_string()).collect();
            for client in clients {
                client.leave().await;
            }
            addresses
        });
        let evidence = until("the finding is written down", Duration::from_secs(10), || {
            let found = scene.sql(&format!(
                "select evidence from finding where host = '{}' and kind = 'clone'",
                scene.villain
            ));
            (!found.is_empty()).then_some(found)
        });
        for part in addresses.iter().cloned().chain(boots.map(|boot| boot.to_string())) {
            assert!(evidence.contains(&part), "{part} is not in {evidence}");
        }
        let (counter, log) = ("collector_finding_total{finding=\"cloned\"}", "found something wrong");
        scene.judge("clones", &before, Expected { counter, log, stored: 0 });
    });
}

/// Row 15: revoked through one collector, cut off by the other.
#[test]
fn a_revoked_host_is_cut_off_everywhere_and_stays_out() {
    play(|scene| {
        let host = enrol(&scene.site, "stolen").unwrap();
        let papers =
            || tls(&scene.authority, Some(papers_of(&scene.authority, host, OffsetDateTime::now_utc())));
        let before = scene.look();
        let client = scene.run(Client::greeted(scene.address(), papers(), hello()));
        let made = scene.json(&["token", "create", "--role", "admin", "--output", "json"]);
        let token = made[0]["token"].as_str().expect("a token is printed");
        let other = Https::to(scene.site.collectors[1].address, &scene.authority);
        let began = Instant::now();
        let answer = other.call("POST", &format!("/hosts/{host}/revoke"), Some(token), "");
        assert_eq!(answer.status, 204, "{answer:?}");
        scene.run(async {
            assert_eq!(client.code().await, Code::REVOKED);
            println!("revoked through another collector: cut off after {:.1?}", began.elapsed());
        });
        // The end of that session took the log's line of this second.
        scene.wait_for_the_log();
        scene.run(async {
            // A handshake may be done on this side before the other has looked.
            let again = match dial(scene.address(), papers()).await {
                Ok((connection, _endpoint)) => code(&connection).await,
                Err(ConnectionError::ApplicationClosed(close)) => Code(close.error_code.into_inner() as u32),
                Err(error) => panic!("{error}"),
            };
            assert_eq!(again, Code::REVOKED);
        });
        let counter = "collector_handshake_refused_total{reason=\"revoked\"}";
        scene.judge("revoked", &before, Expected { counter, log: "the certificate was revoked", stored: 0 });
    });
}
