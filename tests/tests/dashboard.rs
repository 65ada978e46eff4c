//! The Grafana dashboard asks for what is there: its SQL runs on a real store with what this host did, and every metric that it
//! names is one that the collector serves.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tests::skip::needs_root;
use tests::stack::Stack;
use tests::wait::until;
use vedette_collector::postgres::Private;

fn dashboard() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/grafana/vedette.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// What each panel asks, in this language, with its title.
fn asked(dashboard: &Value, key: &str) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets
            .filter_map(|target| Some(target[key].as_str()?.to_owned()))
            .map(move |text| (title.clone(), text))
    });
    targets.collect()
}

/// As Grafana's data source for PostgreSQL writes its macros, for the last hour and all hosts.
fn expand(sql: &str) -> String {
    let mut text = sql.replace("${host:sqlstring}", "select name from host");
    text = text
        .replace("$__timeFrom()", "'2000-01-01T00:00:00Z'")
        .replace("$__timeTo()", "'2100-01-01T00:00:00Z'");
    while let Some((before, rest)) = text.split_once("$__timeFilter(") {
        let (column, after) = rest.split_once(')').unwrap();
        text = format!(
            "{before}{column} BETWEEN now() - interval '1 hour' AND now() + interval '1 hour'{after}"
        );
    }
    while let Some((before, rest)) = text.split_once("$__timeGroupAlias(") {
        let (column, after) = rest.split_once(", $__interval)").unwrap();
        text = format!("{before}floor(extract(epoch from {column})/60)*60 AS \"time\"{after}");
    }
    assert!(!text.contains("$__"), "a macro that is not known here: {text}");
    text
}

/// The names in an expression that are metrics.
fn metrics(expr: &str) -> BTreeSet<String> {
    let words = expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("collector_")).map(str::to_owned).collect()
}

#[test]
fn every_panel_has_an_answer() {
    if !needs_root("every_panel_has_an_answer") {
        return;
    }
    let stack = Stack::up(&[]).unwrap();
    std::net::TcpStream::connect(("127.0.0.1", stack.port())).unwrap();
    stack.expect(
        &format!("event.action:connect and destination.port:{} and process.name:dashboard-*", stack.port()),
        1,
    );
    let url = Private::under(stack.home()).unwrap().database_url();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dashboard = dashboard();
    let questions = asked(&dashboard, "rawSql");
    assert!(questions.len() >= 7, "{questions:?}");
    for (title, sql) in questions {
        let n_rows = || {
            runtime.block_on(async {
                let mut connection = PgConnection::connect(&url).await.unwrap();
                let rows = sqlx::query(AssertSqlSafe(expand(&sql))).fetch_all(&mut connection).await;
                rows.unwrap_or_else(|error| panic!("{title}: {error}")).len()
            })
        };
        // Nothing on this machine need have left it.
        if title.contains("private networks") {
            n_rows();
            continue;
        }
        until(&title, Duration::from_secs(20), || (n_rows() > 0).then_some(()));
    }
    let hosts = runtime.block_on(async {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let variable = dashboard["templating"]["list"][2]["query"].as_str().unwrap().to_owned();
        sqlx::query(AssertSqlSafe(variable)).fetch_all(&mut connection).await.unwrap()
    });
    let hosts: Vec<String> = hosts.iter().map(|row| row.get(0)).collect();
    assert_eq!(hosts.len(), 1, "{hosts:?}");
}

#[test]
fn every_metric_of_the_dashboard_is_counted() {
    let mut source = String::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../collector/src"), &mut source);
    for (title, expr) in asked(&dashboard(), "expr") {
        let names = metrics(&expr);
        assert!(!names.is_empty(), "{title} names no metric: {expr}");
        for name in names {
            assert!(source.contains(&format!("\"{name}\"")), "{title}: no {name} is counted");
        }
    }
}

fn collect(folder: &Path, source: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, source);
        } else {
            source.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}
