//! The doors that need no certificate: enrolment, the API, and what is counted.

use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use vedette_collector::access::secret::{Purpose, Secret};

use crate::https::{Answer, Https};
use crate::identities::token;
use crate::scene::{Expected, Scene, play};

fn enrol(https: &Https, token: &str, csr: &str) -> Answer {
    let facts = json!({ "name": "guest", "kernel": "6", "arch": "x", "sensor_version": "0" });
    https.call("POST", "/enroll", None, &json!({ "token": token, "csr": csr, "facts": facts }).to_string())
}

fn request() -> String {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap()
}

/// Waits until the collector takes calls from here again.
fn calm(https: &Https) {
    tests::wait::until("calls are taken again", Duration::from_secs(30), || {
        (https.call("POST", "/renew/challenge", None, "").status == 200).then_some(())
    });
}

fn audited(scene: &Scene) -> u64 {
    scene.number("select count(*) from audit where action = 'host.enroll' and outcome = 'refused'")
}

/// Row 16: used, made up, and guessed as fast as it goes.
#[test]
fn guessing_tokens_is_slow_and_noticed() {
    play(|scene| {
        let https = Https::to(scene.address(), &scene.authority);
        let before = scene.look();
        let n_hosts = scene.number("select count(*) from host");
        let n_audited = audited(scene);
        let (token, _) = token(&scene.site).unwrap();
        assert_eq!(enrol(&https, &token, &request()).status, 200);
        assert_eq!(enrol(&https, &token, &request()).status, 403, "a token is good once");
        let csr = request();
        let (mut tried, mut refused, mut throttled) = (0_u32, 0_u32, 0_u32);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(4) {
            tried += 1;
            match enrol(&https, Secret::generate(Purpose::Enroll).reveal(), &csr).status {
                403 => refused += 1,
                429 => throttled += 1,
                other => panic!("{other}"),
            }
        }
        let allowed = 50 + 10 * (began.elapsed().as_secs() as u32 + 1);
        println!("guesses: {tried} in {:.1?}, {refused} looked up, {throttled} sent away", began.elapsed());
        assert!(refused <= allowed, "{refused} of {tried} guesses were looked up");
        assert!(throttled > 0, "nothing was sent away of {tried}");
        assert_eq!(scene.number("select count(*) from host"), n_hosts + 1);
        let noted = audited(scene) - n_audited;
        assert!((1..=70).contains(&noted), "{noted} refusals stand in the audit log");
        calm(&https);
        let counter = "collector_enrolments_throttled_total";
        scene.judge("guesses", &before, Expected { counter, log: "refused host.enroll", stored: 0 });
    });
}

/// Row 17: of a signing request, only the key is taken.
#[test]
fn a_request_names_nothing_but_its_key() {
    play(|scene| {
        let https = Https::to(scene.address(), &scene.authority);
        let before = scene.look();
        let mut params = CertificateParams::default();
        let victim = &scene.site.hosts[0].id;
        params.distinguished_name.push(DnType::CommonName, victim.clone());
        params.subject_alt_names = vec![
            SanType::URI(format!("urn:uuid:{victim}").try_into().unwrap()),
            SanType::DnsName(wire::enrolment::COLLECTOR_NAME.try_into().unwrap()),
        ];
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let (token, _) = token(&scene.site).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let weak = "-----BEGIN CERTIFICATE REQUEST-----\nMIIBAA==\n-----END CERTIFICATE REQUEST-----\n";
        assert_eq!(enrol(&https, &token, weak).status, 400);
        let answer = enrol(&https, &token, &params.serialize_request(&key).unwrap().pem().unwrap());
        assert_eq!(answer.status, 200, "{answer:?}");
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        let pem = body["certificate"].as_str().unwrap();
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let host = vedette_collector::ca::host_of(&certificate).unwrap().host.to_string();
        assert_ne!(&host, victim);
        assert_eq!(body["host"].as_str(), Some(&host[..]));
        let text = String::from_utf8_lossy(&certificate).into_owned();
        // What would make it an authority: basic constraints that are true.
        assert!(!certificate.windows(5).any(|bytes| bytes == [0x30, 3, 1, 1, 0xff]));
        assert!(!text.contains(victim.as_str()) && !text.contains(wire::enrolment::COLLECTOR_NAME));
        calm(&https);
        let counter = "collector_enrolments_refused_total";
        scene.judge("requests", &before, Expected { counter, log: "enrolled host", stored: 0 });
    });
}

/// Row 37: tokens that are none, ranges of ten years, fields that nobody knows, cursors that are huge.
#[test]
fn the_api_says_no_in_words() {
    play(|scene| {
        let https = Https::to(scene.address(), &scene.authority);
        let create = |role: &str, ttl: &str| {
            let made = scene.json(&["token", "create", "--role", role, "--ttl", ttl, "--output", "json"]);
            let said = |key: &str| made[0][key].as_str().unwrap_or_default().to_owned();
            (said("token"), said("id"))
        };
        let (viewer, _) = create("viewer", "1h");
        let (short, _) = create("viewer", "1s");
        let (revoked, id) = create("viewer", "1h");
        let home = &scene.site.collectors[0].home;
        assert!(
            tests::stack::vedette(home).args(["token", "revoke", &id]).output().unwrap().status.success()
        );
        let error = |answer: &Answer| {
            let body: Value =
                serde_json::from_str(&answer.body).unwrap_or_else(|e| panic!("{e}: {answer:?}"));
            let message = body["error"]["message"].as_str().unwrap_or_default().to_owned();
            assert!(message.len() > 10, "{answer:?}");
            answer.status
        };
        tests::wait::until("the short one ends", Duration::from_secs(10), || {
            (https.call("GET", "/hosts", Some(&short), "").status == 401).then_some(())
        });
        let made_up = Secret::generate(Purpose::Api);
        for token in [None, Some(&revoked[..]), Some(&short), Some(made_up.reveal()), Some("x")] {
            assert_eq!(error(&https.call("GET", "/hosts", token, "")), 401, "{token:?}");
        }
        let (path, token) = (format!("/hosts/{}/revoke", scene.villain), Some(&viewer[..]));
        assert_eq!(error(&https.call("POST", &path, token, "")), 403);
        let search = |body: &str| https.call("POST", "/search", token, body);
        for body in [
            r#"{"query": "", "unheard_of": 1}"#,
            r#"{"query": "", "since": "soon"}"#,
            r#"{"query": "(((("}"#,
            &format!(r#"{{"query": "", "cursor": "{}"}}"#, "A".repeat(100_000)),
            r#"{"query": "", "limit": -1}"#,
            r#"{"query""#,
        ] {
            let status = error(&search(body));
            assert!([400, 422].contains(&status), "{body:.60}: {status}");
        }
        let huge = format!(r#"{{"query": "{}"}}"#, "x".repeat(200_000));
        assert_eq!(search(&huge).status, 413);
        // Ten years are many, and fewer than a search is willing to look at; it answers all the same.
        let began = Instant::now();
        let answer = search(r#"{"query": "file.path:/nowhere", "since": "3650d"}"#);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        for method in
            ["GET / HTTP/1.1", "PUT /api/v1/hosts HTTP/1.1", "GET /api/v1/../../etc/passwd HTTP/1.1"]
        {
            let answer = https.send(&format!("{method}\r\nHost: x\r\nConnection: close\r\n\r\n"));
            assert!((400..500).contains(&answer.status), "{method}: {answer:?}");
        }
    });
}

/// Row 38: what is counted is told on loopback only, and nowhere else without a token.
#[test]
fn what_is_counted_is_told_on_loopback_only() {
    play(|scene| {
        let https = Https::to(scene.address(), &scene.authority);
        for path in ["/metrics", "/debug", "/debug/pprof", "/api/v1/metrics", "/console", "/api/v1/hosts"] {
            let answer = https.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
            assert!([401, 403, 404].contains(&answer.status), "{path}: {answer:?}");
        }
        // Its default, whatever address it listens at for hosts.
        assert!(scene.metrics().ip().is_loopback());
        let pid = scene.site.collectors[0].program.pid().unwrap();
        let listening = listening(pid);
        assert!(listening.contains(&scene.metrics().port()), "{listening:?}");
        let everywhere: Vec<_> = listening.iter().filter(|port| **port != scene.address().port()).collect();
        assert_eq!(everywhere, [&scene.metrics().port()], "another port is open");
    });
}

/// The TCP ports that a process listens at.
fn listening(pid: u32) -> Vec<u16> {
    let mut sockets = Vec::new();
    for fd in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
        if let Ok(to) = std::fs::read_link(fd.path())
            && let Some(inode) = to.to_string_lossy().strip_prefix("socket:[")
        {
            sockets.push(inode.trim_end_matches(']').to_owned());
        }
    }
    let mut ports = Vec::new();
    for table in ["tcp", "tcp6"] {
        let text = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let columns: Vec<_> = line.split_whitespace().collect();
            if columns.get(3) == Some(&"0A")
                && sockets.iter().any(|inode| columns.get(9) == Some(&&inode[..]))
            {
                let port = columns[1].rsplit(':').next().unwrap();
                ports.push(u16::from_str_radix(port, 16).unwrap());
            }
        }
    }
    ports
}
