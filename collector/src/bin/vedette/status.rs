//! `vedette status`.

use reqwest::Method;
use serde_json::Value;
use vedette_collector::escape;

use crate::Found;
use crate::cli::{Connect, Output, StatusArgs};
use crate::client::Client;
use crate::event_row::{text, to_the_second};
use crate::output;
use crate::table::{Table, cut, whole};

pub(crate) async fn run(connect: &Connect, args: StatusArgs) -> anyhow::Result<Found> {
    let client = Client::new(connect)?;
    let status: Value = client.json(client.request(Method::GET, "/status")).await?;
    if args.output.output == Output::Json {
        output::json_line(&status)?;
        return Ok(Found::Something);
    }
    let mut facts = Table::new(&[whole("", 0), cut("", 8, 1)]);
    facts.push(["api", client.url()]);
    if let Some(sections) = status.as_object() {
        for (name, section) in sections.iter().filter(|(name, _)| name.as_str() != "wrong") {
            match section.as_object() {
                Some(inner) => {
                    for (key, value) in inner {
                        facts.push([format!("{name} {}", key.replace('_', " ")), plain(value)]);
                    }
                }
                None if section.is_array() => {
                    for collector in section.as_array().into_iter().flatten() {
                        facts.push(["a collector".to_owned(), one(collector)]);
                    }
                }
                None => facts.push([name.replace('_', " "), plain(section)]),
            }
        }
    }
    output::line(&facts.show())?;
    let empty = Vec::new();
    let wrong = status.get("wrong").and_then(Value::as_array).unwrap_or(&empty);
    output::line("")?;
    if wrong.is_empty() {
        output::line("Nothing is wrong.")?;
    }
    for line in wrong {
        output::line(&format!("wrong: {}", escape::terminal(line.as_str().unwrap_or_default())))?;
    }
    Ok(Found::Something)
}

/// A collector in one line.
fn one(collector: &Value) -> String {
    let is_alive = collector.get("alive").and_then(Value::as_bool).unwrap_or(false);
    let seen = match is_alive {
        true => match text(collector, "sessions").as_str() {
            "1" => "1 sensor".to_owned(),
            n => format!("{n} sensors"),
        },
        false => format!("last seen {}", to_the_second(collector, "last_seen")),
    };
    let does: Vec<&str> = collector
        .get("does")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let does = if does.is_empty() { String::new() } else { format!(", does {}", does.join(" and ")) };
    let [name, listen, version] = ["name", "listen", "version"].map(|field| text(collector, field));
    format!("{name} at {listen}, version {version}, {seen}{does}")
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    }
}
