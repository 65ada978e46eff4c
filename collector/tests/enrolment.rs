//! Hosts coming into the fleet and staying in it, on a real database.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

#[path = "support/api.rs"]
mod support;

use std::net::IpAddr;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P384_SHA384, PublicKeyData as _, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use support::Api;
use time::{Duration, OffsetDateTime};
use vedette_collector::access::Role;
use vedette_collector::ca::host_of;
use vedette_collector::enrolment::renew::{RenewError, renew};
use vedette_collector::enrolment::{Call, challenge};
use vedette_collector::store::hosts::Standing;
use wire::enrolment::{Certified, RenewRequest, renewal_statement};

/// A host as far as enrolment sees it.
struct Host {
    key: KeyPair,
    certified: Certified,
}

fn csr(key: &KeyPair) -> String {
    CertificateParams::default().serialize_request(key).unwrap().pem().unwrap()
}

fn enroll_body(token: &str, key: &KeyPair) -> Value {
    let facts = json!({"name": "web-1", "kernel": "6.1.0", "arch": "x86_64", "sensor_version": "0.1.0"});
    json!({"token": token, "csr": csr(key), "facts": facts})
}

async fn enroll_token(api: &Api, wanted: Value) -> String {
    let admin = api.token(Role::Admin).await;
    let (status, made) = api.call(Method::POST, "/api/v1/enroll-tokens", Some(&admin), Some(wanted)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(made["ca_sha256"], api.ca.current().serving().fingerprint().to_string());
    assert_eq!(made["collectors"], json!(["collector.example:7443"]));
    made["token"].as_str().unwrap().to_owned()
}

async fn enroll(api: &Api) -> Host {
    let token = enroll_token(api, json!({"tags": ["env=prod"]})).await;
    let key = KeyPair::generate().unwrap();
    let (status, said) =
        api.call(Method::POST, "/api/v1/enroll", None, Some(enroll_body(&token, &key))).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    Host { key, certified: serde_json::from_value(said).unwrap() }
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn call(now: OffsetDateTime) -> Call {
    Call { address: IpAddr::from([192, 0, 2, 1]), now }
}

impl Host {
    /// An honest request, by this host's key, with a challenge of `now`.
    fn request(&self, api: &Api, new: &KeyPair, now: OffsetDateTime) -> RenewRequest {
        let key = api.ca.current().serving().derived_secret(challenge::PURPOSE);
        let challenge = challenge::make(&key, [3; 16], now.unix_timestamp() as u64);
        let statement = renewal_statement(
            &challenge,
            &certificate(&self.certified.certificate),
            &new.subject_public_key_info(),
        );
        let signer =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, self.key.serialized_der()).unwrap();
        let signature = signer.sign(&SystemRandom::new(), &statement).unwrap();
        RenewRequest {
            certificate: self.certified.certificate.clone(),
            challenge,
            csr: csr(new),
            signature: STANDARD.encode(signature.as_ref()),
        }
    }

    async fn renewed(&self, api: &Api, now: OffsetDateTime) -> Result<Host, RenewError> {
        let key = KeyPair::generate().unwrap();
        let request = self.request(api, &key, now);
        let certified = renew(&api.pool, &api.ca, call(now), &request).await?;
        Ok(Host { key, certified })
    }
}

#[tokio::test]
async fn a_token_gives_one_host_an_identity() {
    let api = Api::start().await;
    let host = enroll(&api).await;
    let named = host_of(&certificate(&host.certified.certificate)).unwrap();
    assert_eq!(named.host.uuid(), host.certified.host);
    assert_eq!(named.not_after, host.certified.not_after);
    assert_eq!(host.certified.ca, api.ca.current().serving().pem());
    let hosts = vedette_collector::store::hosts::all(&api.pool).await.unwrap();
    let [row] = hosts.as_slice() else { panic!("{hosts:?}") };
    assert_eq!((row.id, row.name.as_str()), (named.host, "web-1"));
    assert_eq!(row.tags, ["env=prod"]);
    assert_eq!(api.audited("host.enroll").await, 1);
}

#[tokio::test]
async fn of_many_that_use_one_token_at_once_one_is_enrolled() {
    at_once(json!({}), 1).await;
}

#[tokio::test]
async fn a_token_for_three_hosts_enrols_three_of_many() {
    at_once(json!({"hosts": 3}), 3).await;
}

/// Twenty hosts use such a token at once, and so many are enrolled.
async fn at_once(wanted: Value, n_enrolled: usize) {
    let api = Api::start().await;
    let token = enroll_token(&api, wanted).await;
    let keys: Vec<_> = (0..20).map(|_| KeyPair::generate().unwrap()).collect();
    let calls =
        keys.iter().map(|key| api.call(Method::POST, "/api/v1/enroll", None, Some(enroll_body(&token, key))));
    let answers = futures::future::join_all(calls).await;
    let enrolled = answers.iter().filter(|(status, _)| *status == StatusCode::OK).count();
    let refused = answers
        .iter()
        .filter(|(status, said)| *status == StatusCode::FORBIDDEN && said["error"]["code"] == "invalid_token")
        .count();
    assert_eq!((enrolled, refused), (n_enrolled, 20 - n_enrolled), "{answers:?}");
    assert_eq!(vedette_collector::store::hosts::all(&api.pool).await.unwrap().len(), n_enrolled);
}

#[tokio::test]
async fn a_token_is_for_one_host_to_ten_thousand() {
    let api = Api::start().await;
    let admin = api.token(Role::Admin).await;
    for hosts in [0, 10_001] {
        let wanted = Some(json!({"hosts": hosts}));
        let (status, said) = api.call(Method::POST, "/api/v1/enroll-tokens", Some(&admin), wanted).await;
        assert_eq!(
            (status, said["error"]["code"].as_str()),
            (StatusCode::BAD_REQUEST, Some("invalid_hosts"))
        );
    }
}

#[tokio::test]
async fn a_token_that_the_release_before_has_spent_is_spent() {
    let api = Api::start().await;
    let token = enroll_token(&api, json!({"hosts": 3})).await;
    sqlx::query("update enroll_token set used = now()").execute(&api.pool).await.unwrap();
    let body = enroll_body(&token, &KeyPair::generate().unwrap());
    let (status, said) = api.call(Method::POST, "/api/v1/enroll", None, Some(body)).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{said}");
}

#[tokio::test]
async fn used_expired_and_guessed_tokens_are_refused_alike() {
    let api = Api::start().await;
    let key = KeyPair::generate().unwrap();
    let used = enroll_token(&api, json!({})).await;
    let (status, _) = api.call(Method::POST, "/api/v1/enroll", None, Some(enroll_body(&used, &key))).await;
    assert_eq!(status, StatusCode::OK);
    let expired = enroll_token(&api, json!({"ttl": "1m"})).await;
    sqlx::query("update enroll_token set expires = created where used is null")
        .execute(&api.pool)
        .await
        .unwrap();
    let api_token = api.token(Role::Admin).await;
    let mut answers = Vec::new();
    for token in [
        used.as_str(),
        expired.as_str(),
        "vde_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "vde_short",
        "",
        api_token.as_str(),
    ] {
        answers.push(api.call(Method::POST, "/api/v1/enroll", None, Some(enroll_body(token, &key))).await);
    }
    for answer in &answers {
        assert_eq!(answer.0, StatusCode::FORBIDDEN);
        assert_eq!(answer, &answers[0]);
    }
    assert_eq!(api.audited("host.enroll").await, 1 + 6);
}

#[tokio::test]
async fn a_bad_request_does_not_spend_the_token() {
    let api = Api::start().await;
    let token = enroll_token(&api, json!({})).await;
    let good = KeyPair::generate().unwrap();
    let weak = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let mut nameless = enroll_body(&token, &good);
    nameless["facts"]["name"] = json!("");
    for (body, code) in [
        (enroll_body(&token, &weak), "invalid_csr"),
        (json!({"token": token, "csr": "no", "facts": enroll_body(&token, &good)["facts"]}), "invalid_csr"),
        (nameless, "invalid_facts"),
    ] {
        let (status, said) = api.call(Method::POST, "/api/v1/enroll", None, Some(body)).await;
        assert_eq!((status, said["error"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some(code)), "{said}");
    }
    let (status, said) =
        api.call(Method::POST, "/api/v1/enroll", None, Some(enroll_body(&token, &good))).await;
    assert_eq!(status, StatusCode::OK, "{said}");
}

#[tokio::test]
async fn of_a_signing_request_only_the_key_is_taken() {
    let api = Api::start().await;
    let token = enroll_token(&api, json!({})).await;
    let key = KeyPair::generate().unwrap();
    let mut greedy = CertificateParams::default();
    greedy.distinguished_name.push(DnType::CommonName, "Vedette CA");
    greedy.subject_alt_names = vec![
        SanType::DnsName("collector.vedette.internal".try_into().unwrap()),
        SanType::URI("urn:uuid:0197c1de-93b4-7f00-8000-000000000000".try_into().unwrap()),
    ];
    greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    greedy.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    greedy.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::Any];
    let mut body = enroll_body(&token, &key);
    body["csr"] = json!(greedy.serialize_request(&key).unwrap().pem().unwrap());
    let (status, said) = api.call(Method::POST, "/api/v1/enroll", None, Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{said}");

    let der = certificate(said["certificate"].as_str().unwrap());
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    let id = said["host"].as_str().unwrap();
    assert_eq!(parsed.subject().to_string(), format!("CN={id}"));
    let names = &parsed.subject_alternative_name().unwrap().unwrap().value.general_names;
    assert_eq!(format!("{names:?}"), format!("[URI(\"urn:uuid:{id}\")]"));
    assert_ne!(id, "0197c1de-93b4-7f00-8000-000000000000");
    assert!(!parsed.is_ca());
    let usage = parsed.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign());
    let extended = parsed.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.client_auth && !extended.server_auth && !extended.any && extended.other.is_empty());
    let life = parsed.validity().not_after.timestamp() - parsed.validity().not_before.timestamp();
    assert!(life <= 24 * 3600 + 600, "{life}");
    assert_eq!(parsed.public_key().subject_public_key.data.as_ref(), key.public_key_raw());
}

#[tokio::test]
async fn a_certificate_renews_over_the_api() {
    let api = Api::start().await;
    let host = enroll(&api).await;
    let (status, said) = api.call(Method::POST, "/api/v1/renew/challenge", None, None).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    assert!(said["challenge"].is_string());
    let new = KeyPair::generate().unwrap();
    let request = host.request(&api, &new, OffsetDateTime::now_utc());
    let body = serde_json::to_value(&request).unwrap();
    let (status, said) = api.call(Method::POST, "/api/v1/renew", None, Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    let renewed = host_of(&certificate(said["certificate"].as_str().unwrap())).unwrap();
    assert_eq!(renewed.host.uuid(), host.certified.host);
}

#[tokio::test]
async fn an_ended_certificate_renews_for_ninety_days() {
    let api = Api::start().await;
    let host = enroll(&api).await;
    let ended = OffsetDateTime::from_unix_timestamp(host.certified.not_after).unwrap();
    let late = host.renewed(&api, ended + Duration::days(89)).await.unwrap();
    assert_eq!(late.certified.host, host.certified.host);
    let ended = OffsetDateTime::from_unix_timestamp(late.certified.not_after).unwrap();
    let refused = late.renewed(&api, ended + Duration::days(91)).await.err().unwrap();
    assert!(matches!(refused, RenewError::TooOld { days: 91 }), "{refused}");
}

#[tokio::test]
async fn a_lost_answer_can_be_asked_for_again() {
    let api = Api::start().await;
    let now = OffsetDateTime::now_utc();
    let host = enroll(&api).await;
    // The answer to the first never came: the host shows the old certificate again.
    host.renewed(&api, now).await.unwrap();
    let second = host.renewed(&api, now).await.unwrap();
    second.renewed(&api, now).await.unwrap();
}

#[tokio::test]
async fn of_two_holders_of_one_key_one_is_found_out() {
    let api = Api::start().await;
    let now = OffsetDateTime::now_utc();
    let host = enroll(&api).await;
    let thief = host.renewed(&api, now).await.unwrap();
    let again = host.renewed(&api, now).await.unwrap();
    let refused = thief.renewed(&api, now).await.err().unwrap();
    assert!(matches!(refused, RenewError::Standing(Standing::Superseded)), "{refused}");
    again.renewed(&api, now).await.unwrap();
    assert_eq!(api.audited("host.renew").await, 1);
}

#[tokio::test]
async fn a_revoked_host_can_do_nothing() {
    let api = Api::start().await;
    let host = enroll(&api).await;
    let admin = api.token(Role::Admin).await;
    let path = format!("/api/v1/hosts/{}/revoke", host.certified.host);
    let (status, _) = api.call(Method::POST, &path, Some(&admin), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let id = wire::id::HostId::new(host.certified.host);
    assert!(api.revocations.contains(id));
    let refused = host.renewed(&api, OffsetDateTime::now_utc()).await.err().unwrap();
    assert!(matches!(refused, RenewError::Standing(Standing::Revoked)), "{refused}");
    // Another collector learns it from the store.
    let other = vedette_collector::revocation::Revocations::new(std::sync::Arc::default());
    other.refresh(&api.pool, api.now()).await.unwrap();
    assert!(other.contains(id));
    let nobody = "/api/v1/hosts/0197c1de-93b4-7f00-8000-000000000000/revoke";
    let (status, _) = api.call(Method::POST, nobody, Some(&admin), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_renewal_needs_the_key_and_a_fresh_challenge() {
    let api = Api::start().await;
    let now = OffsetDateTime::now_utc();
    let (host, other) = (enroll(&api).await, enroll(&api).await);
    let new = KeyPair::generate().unwrap();
    let honest = host.request(&api, &new, now);
    let try_it = async |request: RenewRequest| {
        renew(&api.pool, &api.ca, call(now), &request).await.err().map(|e| e.to_string()).unwrap_or_default()
    };

    let stolen = RenewRequest { certificate: other.certified.certificate.clone(), ..honest.clone() };
    assert!(try_it(stolen).await.contains("not signed by the key"));
    let other_key = RenewRequest { csr: csr(&KeyPair::generate().unwrap()), ..honest.clone() };
    assert!(try_it(other_key).await.contains("not signed by the key"));
    let stale = host.request(&api, &new, now - Duration::seconds(130));
    assert!(try_it(stale).await.contains("challenge"));
    let made_up = RenewRequest { challenge: "AAAA".to_owned(), ..honest.clone() };
    assert!(try_it(made_up).await.contains("challenge"));
    // A collector's certificate, and one of another authority, are no host's.
    let server = api.ca.current().serving().certify_collector(&[], now).unwrap();
    let server = RenewRequest { certificate: pem(&server.chain[0]), ..honest.clone() };
    assert!(try_it(server).await.contains("not one of a host"));
    let foreign = Api::start().await;
    let foreign = enroll(&foreign).await;
    let foreign = RenewRequest { certificate: foreign.certified.certificate, ..honest.clone() };
    assert!(try_it(foreign).await.contains("not one of a host"));
    assert_eq!(try_it(honest).await, "");
}

#[tokio::test]
async fn one_address_cannot_try_for_ever() {
    let api = Api::start().await;
    let mut throttled = 0;
    for _ in 0..200 {
        let (status, said) = api.call(Method::POST, "/api/v1/renew/challenge", None, None).await;
        if status == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(said["error"]["code"], "too_many_requests");
            throttled += 1;
        }
    }
    assert!(throttled > 50, "{throttled}");
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}
