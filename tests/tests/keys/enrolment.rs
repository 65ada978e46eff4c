//! Requests for certificates that no sensor makes, sent to a collector that runs: each is refused with a reason, and a healthy
//! host beside goes on, and renews.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use vedette_collector::ca::host_of;
use vedette_collector::postgres::scratch;

use crate::collector::Collector;
use crate::sensor::{Build, Sensor};

struct Caller {
    http: reqwest::Client,
    url: String,
}

impl Caller {
    fn new(collector: &Collector) -> Self {
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let pem = std::fs::read(collector.folder().join("ca.pem")).unwrap();
        let authority = reqwest::Certificate::from_pem(&pem).unwrap();
        let http = reqwest::Client::builder().tls_certs_only([authority]).build().unwrap();
        Self { http, url: format!("https://{}/api/v1", collector.address()) }
    }

    /// Posts a body as it is; the status, and the code of the error. An answer that comes before all of the body was heard may
    /// be overtaken by the reset of the connection (RFC 9112, 9.6): then once more.
    async fn post(&self, path: &str, body: impl Into<reqwest::Body> + Clone) -> (u16, String, Value) {
        let post = || {
            let request =
                self.http.post(format!("{}{path}", self.url)).header("content-type", "application/json");
            request.body(body.clone()).send()
        };
        let mut answer = post().await;
        for _ in 0..5 {
            if answer.is_ok() {
                break;
            }
            answer = post().await;
        }
        let response = answer.unwrap();
        let status = response.status().as_u16();
        let said: Value = response.json().await.unwrap_or_default();
        (status, said["error"]["code"].as_str().unwrap_or_default().to_owned(), said)
    }
}

fn csr(key: &KeyPair) -> String {
    CertificateParams::default().serialize_request(key).unwrap().pem().unwrap()
}

fn body(token: &str, csr: &str) -> Value {
    let facts = json!({"name": "evil", "kernel": "6.1.0", "arch": "x86_64", "sensor_version": "0.1.0"});
    json!({"token": token, "csr": csr, "facts": facts})
}

/// The token's place in the rate limit comes back.
async fn breathe() {
    tokio::time::sleep(Duration::from_secs(4)).await; // poll interval of the limit on calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_that_no_sensor_makes_are_refused_and_spend_no_token() {
    let database = scratch::database().await;
    let collector = Collector::start(Some(&database.url));
    let mut healthy = Sensor::enroll(&[&collector], Build::Today).await;
    healthy.ship("healthy", 1).await;
    let (token, _) = collector.enroll_token();
    let caller = Caller::new(&collector);
    let good = KeyPair::generate().unwrap();
    let flipped = {
        let text = csr(&good);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let at = lines.len() - 2;
        // The last line of the body is the end of the signature.
        lines[at] = lines[at]
            .chars()
            .map(|c| {
                if c == 'A' {
                    'B'
                } else if c == '=' {
                    c
                } else {
                    'A'
                }
            })
            .collect();
        lines.join("\n")
    };
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = body(&token, &csr(&good));
        change(&mut body);
        body.to_string()
    };
    let of_kind = |algorithm| body(&token, &csr(&KeyPair::generate_for(algorithm).unwrap())).to_string();
    let bad: Vec<(&str, String, u16)> = vec![
        ("a P-384 key", of_kind(&PKCS_ECDSA_P384_SHA384), 400),
        ("an Ed25519 key", of_kind(&PKCS_ED25519), 400),
        ("an RSA key", of_kind(&PKCS_RSA_SHA256), 400),
        ("a signature of another key", body(&token, &flipped).to_string(), 400),
        ("a request of 16 KiB", body(&token, &"A".repeat(16 << 10)).to_string(), 400),
        ("a body of 160 KiB", body(&token, &"A".repeat(160 << 10)).to_string(), 413),
        (
            "a certificate instead",
            with(&|b| b["csr"] = json!(std::fs::read_to_string(collector.folder().join("ca.pem")).unwrap())),
            400,
        ),
        ("no PEM", with(&|b| b["csr"] = json!("MIIB")), 400),
        (
            "bytes after the request",
            with(&|b| b["csr"] = json!(csr(&good).replace("-----END", "AAAA\n-----END"))),
            400,
        ),
        ("a name with a newline", with(&|b| b["facts"]["name"] = json!("a\nb")), 400),
        ("a name with NUL", with(&|b| b["facts"]["name"] = json!("a\u{0}b")), 400),
        ("a name of 64 KiB", with(&|b| b["facts"]["name"] = json!("x".repeat(64 << 10))), 400),
        ("a field that is not known", with(&|b| b["admin"] = json!(true)), 422),
        ("no JSON", "{".to_owned(), 400),
        ("JSON 10,000 deep", "[".repeat(10_000), 422),
        (
            "a token that is an API token",
            with(&|b| b["token"] = json!("vdt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
            403,
        ),
        (
            "a token that was guessed",
            with(&|b| b["token"] = json!("vde_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
            403,
        ),
        ("a token with SQL in it", with(&|b| b["token"] = json!("vde_' or 1=1; drop table host; --")), 403),
    ];
    for (what, body, expected) in bad {
        let (status, code, said) = caller.post("/enroll", body).await;
        assert_eq!(status, expected, "{what}: {code} {said}");
        healthy.ship("healthy", 1).await;
    }
    breathe().await;

    // What a request asks for beside its key is not even looked at.
    let mut greedy = CertificateParams::default();
    greedy.distinguished_name.push(DnType::CommonName, "Vedette CA");
    greedy.subject_alt_names =
        vec![SanType::URI(format!("urn:uuid:{}", healthy.host).as_str().try_into().unwrap())];
    greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    greedy.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let greedy = greedy.serialize_request(&good).unwrap().pem().unwrap();
    let (status, _, said) = caller.post("/enroll", body(&token, &greedy).to_string()).await;
    assert_eq!(status, 200, "{said}");
    let der = CertificateDer::from_pem_slice(said["certificate"].as_str().unwrap().as_bytes()).unwrap();
    assert_ne!(host_of(&der).unwrap().host, healthy.host);
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    assert!(!parsed.is_ca() && !parsed.extended_key_usage().unwrap().unwrap().value.server_auth);
    // And now the token is spent.
    let (status, code, _) = caller.post("/enroll", body(&token, &csr(&good)).to_string()).await;
    assert_eq!((status, code.as_str()), (403, "invalid_token"));

    healthy.renew().await.unwrap();
    healthy.ship("healthy", 1).await;
    collector.expect("healthy", 20);
    assert_eq!(collector.json(&["hosts", "--output", "json"]).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_renewal_gives_nothing_to_whoever_has_not_the_key() {
    let database = scratch::database().await;
    let collector = Collector::start(Some(&database.url));
    let mut healthy = Sensor::enroll(&[&collector], Build::Today).await;
    let thief = Sensor::enroll(&[&collector], Build::Today).await;
    let caller = Caller::new(&collector);
    let key = KeyPair::generate().unwrap();
    let request = Renewal::new(&caller, &thief, &key).await;
    let theirs = pem(healthy.identity().certificate());
    let self_made = {
        let mut params = CertificateParams::default();
        params.subject_alt_names =
            vec![SanType::URI(format!("urn:uuid:{}", healthy.host).as_str().try_into().unwrap())];
        pem(params.self_signed(&key).unwrap().der())
    };
    let another = KeyPair::generate().unwrap();
    for (what, body, code) in [
        ("the certificate of another host", request.with("certificate", theirs.into()), "invalid_signature"),
        (
            "a certificate of its own making",
            request.with("certificate", self_made.into()),
            "invalid_certificate",
        ),
        ("another key than the signed one", request.with("csr", csr(&another).into()), "invalid_signature"),
        ("a signature that is none", request.with("signature", "AAAA".into()), "invalid_signature"),
        ("a challenge of its own making", request.with("challenge", "AAAA".into()), "invalid_challenge"),
        ("no certificate", request.with("certificate", "".into()), "invalid_certificate"),
    ] {
        let (status, found, said) = caller.post("/renew", body.to_string()).await;
        assert_eq!((status, found.as_str()), (403, code), "{what}: {said}");
        healthy.ship("healthy", 1).await;
    }
    // Sent as it is, and sent again by whoever has overheard it: both times for the key that was signed.
    for _ in 0..2 {
        let (status, _, said) = caller.post("/renew", request.body.to_string()).await;
        assert_eq!(status, 200, "{said}");
        let der = CertificateDer::from_pem_slice(said["certificate"].as_str().unwrap().as_bytes()).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
        assert_eq!(
            parsed.public_key().subject_public_key.data.as_ref(),
            rcgen::PublicKeyData::der_bytes(&key)
        );
        assert_eq!(host_of(&der).unwrap().host, thief.host);
    }
    healthy.renew().await.unwrap();
    healthy.ship("healthy", 1).await;
    collector.expect("healthy", 7);
}

struct Renewal {
    body: Value,
}

impl Renewal {
    /// An honest request of this host for this key.
    async fn new(caller: &Caller, host: &Sensor, key: &KeyPair) -> Self {
        use base64::Engine as _;
        use rcgen::{PublicKeyData as _, SigningKey as _};
        let (status, _, said) = caller.post("/renew/challenge", "{}").await;
        assert_eq!(status, 200, "{said}");
        let challenge = said["challenge"].as_str().unwrap();
        let identity = host.identity();
        let statement = wire::enrolment::renewal_statement(
            challenge,
            identity.certificate(),
            &key.subject_public_key_info(),
        );
        let signature = identity.key().sign(&statement).unwrap();
        let signature = base64::engine::general_purpose::STANDARD.encode(signature);
        let certificate = pem(identity.certificate());
        Self {
            body: json!({"certificate": certificate, "challenge": challenge, "csr": csr(key), "signature": signature}),
        }
    }

    fn with(&self, name: &str, value: Value) -> Value {
        let mut body = self.body.clone();
        body[name] = value;
        body
    }
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}
