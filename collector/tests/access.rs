//! Who may call what: every route of the document, without a token, with too low a role, with enough.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

#[path = "support/api.rs"]
mod support;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use support::Api;
use vedette_collector::access::Role;
use vedette_collector::access::routes::{Needs, ROUTES, Verdict, needs};

/// Every operation of the OpenAPI document.
fn operations() -> Vec<(Method, String)> {
    let document: Value = serde_json::to_value(vedette_collector::api::document()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            if let Ok(method) = method.to_uppercase().parse::<Method>()
                && [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(&method)
            {
                operations.push((method, path.clone()));
            }
        }
    }
    assert!(operations.len() > 5, "{operations:?}");
    operations
}

/// A path with something in place of its parameters.
fn filled(path: &str) -> String {
    let parts = path
        .split('/')
        .map(|part| if part.starts_with('{') { "0197c1de-93b4-7f00-8000-000000000000" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn the_table_and_the_document_name_the_same_routes() {
    let operations = operations();
    for (method, path) in &operations {
        assert!(
            matches!(needs(method.as_str(), path), Verdict::Declared(_)),
            "{method} {path} is not in the access table"
        );
    }
    for route in ROUTES.iter().filter(|route| route.path != "/api/v1/openapi.json") {
        let known =
            operations.iter().any(|(method, path)| method.as_str() == route.method && path == route.path);
        assert!(known, "{} {} is in the access table and not in the document", route.method, route.path);
    }
}

#[test]
fn operations_have_names_of_their_own() {
    let document: Value = serde_json::to_value(vedette_collector::api::document()).unwrap();
    let mut seen = std::collections::HashSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
            assert!(seen.insert(id.clone()), "{method} {path}: {id:?} names two operations");
        }
    }
}

#[test]
fn only_these_routes_are_open() {
    let open: Vec<_> =
        ROUTES.iter().filter(|r| r.needs == Needs::Nothing).map(|r| (r.method, r.path)).collect();
    assert_eq!(
        open,
        [
            ("GET", "/api/v1/healthz"),
            ("GET", "/api/v1/openapi.json"),
            ("GET", "/api/v1/ca"),
            ("POST", "/api/v1/enroll"),
            ("POST", "/api/v1/renew/challenge"),
            ("POST", "/api/v1/renew"),
        ]
    );
}

#[tokio::test]
async fn every_route_refuses_callers_without_a_token_or_with_too_low_a_role() {
    let api = Api::start().await;
    for (method, path) in operations() {
        let Verdict::Declared(Needs::Role(least)) = needs(method.as_str(), &path) else { continue };
        let path = filled(&path);
        let (status, body) = api.call(method.clone(), &path, None, None).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}: {body}");
        let foreign = "vdt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for token in ["nonsense", foreign] {
            let (status, body) = api.call(method.clone(), &path, Some(token), None).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path} with {token}: {body}");
        }
        for role in Role::ALL.into_iter().filter(|role| *role < least) {
            let (status, body) = api.call(method.clone(), &path, Some(&api.token(role).await), None).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path} as {role}: {body}");
            assert_eq!(body["error"]["code"], "role_too_low", "{method} {path} as {role}");
        }
    }
}

#[tokio::test]
async fn a_token_opens_until_it_is_revoked() {
    let api = Api::start().await;
    let admin = api.token(Role::Admin).await;
    let wanted = json!({"role": "admin", "ttl": "1h", "name": "mine"});
    let (status, made) = api.call(Method::POST, "/api/v1/tokens", Some(&admin), Some(wanted)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let token = made["token"].as_str().unwrap().to_owned();

    let (status, list) = api.call(Method::GET, "/api/v1/tokens", Some(&token), None).await;
    assert_eq!(status, StatusCode::OK);
    assert!(!list.to_string().contains(&token[4..]), "the secret is listed: {list}");
    let (_, list) = api.call(Method::GET, "/api/v1/tokens", Some(&token), None).await;
    let mine = list["tokens"].as_array().unwrap().iter().find(|t| t["id"] == made["id"]).unwrap();
    assert!(mine["last_used"].is_string() && mine["revoked"].is_null(), "{mine}");

    let path = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
    let (status, _) = api.call(Method::DELETE, &path, Some(&admin), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, body) = api.call(Method::GET, "/api/v1/tokens", Some(&token), None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    let (status, _) = api.call(Method::DELETE, &filled("/api/v1/tokens/{id}"), Some(&admin), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(api.audited("token.create").await, 1);
    assert_eq!(api.audited("token.revoke").await, 1);
}

#[tokio::test]
async fn the_audit_tells_who_did_what_the_newest_first() {
    let api = Api::start().await;
    let admin = api.token(Role::Admin).await;
    for n in 0..3 {
        let wanted = json!({"role": "viewer", "name": format!("n{n}")});
        let (status, _) = api.call(Method::POST, "/api/v1/tokens", Some(&admin), Some(wanted)).await;
        assert_eq!(status, StatusCode::CREATED);
    }
    let wanted = json!({"tags": ["env=prod"]});
    api.call(Method::POST, "/api/v1/enroll-tokens", Some(&admin), Some(wanted)).await;

    let list = async |query: &str| {
        let path = format!("/api/v1/audit{query}");
        let (status, said) = api.call(Method::GET, &path, Some(&admin), None).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        let actions: Vec<_> =
            said["entries"].as_array().unwrap().iter().map(|e| e["action"].clone()).collect();
        (actions, said)
    };
    let (actions, said) = list("").await;
    assert_eq!(actions, ["enroll-token.create", "token.create", "token.create", "token.create"]);
    assert_eq!(said["cursor"], Value::Null);
    let newest = &said["entries"][0];
    assert_eq!((&newest["outcome"], &newest["detail"]), (&json!("done"), &json!("env=prod")));
    assert!(newest["actor"].as_str().unwrap().starts_with("token:"), "{newest}");

    let (first, said) = list("?limit=3").await;
    let (rest, end) = list(&format!("?limit=3&cursor={}", said["cursor"].as_str().unwrap())).await;
    assert_eq!((first.len(), rest.len(), &end["cursor"]), (3, 1, &Value::Null));
    assert_eq!(list("?since=1h").await.0.len(), 4);
    assert!(list("?since=2100-01-01").await.0.is_empty());
    let (_, exactly) = list("?limit=4").await;
    assert_eq!(exactly["cursor"], Value::Null, "there is no more");

    for query in ["?limit=0", "?limit=10001", "?cursor=x", "?since=soon"] {
        let (status, said) =
            api.call(Method::GET, &format!("/api/v1/audit{query}"), Some(&admin), None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_log_shows_what_was_done_to_it() {
    let api = Api::start().await;
    let admin = api.token(Role::Admin).await;
    // Many at a time: each is chained to one before.
    let made = (0..20).map(|n| {
        let wanted = json!({"role": "viewer", "name": format!("n{n}")});
        api.call(Method::POST, "/api/v1/tokens", Some(&admin), Some(wanted))
    });
    for (status, said) in futures::future::join_all(made).await {
        assert_eq!(status, StatusCode::CREATED, "{said}");
    }
    let verify = async |noted: &str| {
        let path = format!("/api/v1/audit/verify{noted}");
        let (status, said) = api.call(Method::GET, &path, Some(&admin), None).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        let breaks = said["breaks"].as_array().unwrap();
        let numbers: Vec<u64> = breaks.iter().map(|found| found["number"].as_u64().unwrap()).collect();
        (numbers, said["head"].as_str().unwrap().to_owned(), said["entries"].as_u64().unwrap())
    };
    let (breaks, head, n) = verify("").await;
    assert_eq!((breaks, n), (vec![], 20));
    assert_eq!(verify(&format!("?noted={head}")).await.0, [0u64; 0]);
    let change = async |sql: &'static str| sqlx::query(sql).execute(&api.pool).await.map(|_| ());
    // Who has the database can do what they like, and it shows.
    change("update audit set about = 'nothing' where number = 7").await.unwrap();
    assert_eq!(verify("").await.0, [7]);
    change("delete from audit where number = 12").await.unwrap();
    assert_eq!(verify("").await.0, [7, 12]);
    change("delete from audit where number = 20").await.unwrap();
    assert_eq!(verify("").await.0, [7, 12, 20]);
    change("update audit_head set number = 19, digest = (select digest from audit where number = 19)")
        .await
        .unwrap();
    assert_eq!(verify("").await.0, [7, 12]);
    assert_eq!(verify(&format!("?noted={head}")).await.0, [7, 12, 20], "what was noted elsewhere shows it");
    let (status, _) = api.call(Method::GET, "/api/v1/audit/verify?noted=x", Some(&admin), None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_expired_token_opens_nothing() {
    let api = Api::start().await;
    let token = api.token(Role::Admin).await;
    sqlx::query("update api_token set expires = $1")
        .bind(api.now().plus_us(-1))
        .execute(&api.pool)
        .await
        .unwrap();
    let (status, _) = api.call(Method::GET, "/api/v1/tokens", Some(&token), None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn wrong_requests_get_the_one_error_form() {
    let api = Api::start().await;
    let admin = api.token(Role::Admin).await;
    for (body, code) in [
        (json!({"role": "root"}), "invalid_body"),
        (json!({"role": "viewer", "rolle": 1}), "invalid_body"),
        (json!({"role": "viewer", "ttl": "soon"}), "invalid_ttl"),
        (json!({"role": "viewer", "ttl": "1000d"}), "invalid_ttl"),
        (json!({"role": "viewer", "name": "a\nb"}), "invalid_name"),
    ] {
        let (status, said) = api.call(Method::POST, "/api/v1/tokens", Some(&admin), Some(body.clone())).await;
        assert!(status.is_client_error(), "{body}: {status}");
        assert_eq!(said["error"]["code"], code, "{body}: {said}");
    }
    let (status, said) = api.call(Method::DELETE, "/api/v1/tokens/x", Some(&admin), None).await;
    assert_eq!((status, &said["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_path")));
    let (status, said) = api.call(Method::PUT, "/api/v1/tokens", Some(&admin), None).await;
    assert_eq!(
        (status, &said["error"]["code"]),
        (StatusCode::METHOD_NOT_ALLOWED, &json!("method_not_allowed"))
    );
    let (status, said) = api.call(Method::GET, "/api/v1/nothing", None, None).await;
    assert_eq!((status, &said["error"]["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    let large = json!({"role": "viewer", "name": "x".repeat(200_000)});
    let (status, said) = api.call(Method::POST, "/api/v1/tokens", Some(&admin), Some(large)).await;
    assert_eq!((status, &said["error"]["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("body_too_large")));
}

#[tokio::test]
async fn responses_carry_an_id_and_the_security_headers() {
    let api = Api::start().await;
    for path in ["/api/v1/healthz", "/api/v1/nothing", "/api/v1/tokens"] {
        let response = api.response(Method::GET, path, None, None).await;
        let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or("");
        assert_eq!(header("x-request-id").len(), 36, "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("cache-control"), "no-store", "{path}");
        assert!(header("content-security-policy").contains("default-src 'none'"), "{path}");
    }
}
