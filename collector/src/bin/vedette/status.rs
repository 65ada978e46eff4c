//! `vedette status`.

use reqwest::Method;
use serde_json::Value;
use vedette_collector::escape;

use crate::Found;
use crate::cli::{Connect, Output, StatusArgs};
use crate::client::Client;
use crate::{output, table};

pub(crate) async fn run(connect: &Connect, args: StatusArgs) -> anyhow::Result<Found> {
    let client = Client::new(connect)?;
    let status: Value = client.json(client.request(Method::GET, "/status")).await?;
    if args.output.output == Output::Json {
        output::json_line(&status)?;
        return Ok(Found::Something);
    }
    let mut facts = table::new(&["", ""]);
    table::push(&mut facts, ["api", client.url()]);
    if let Some(sections) = status.as_object() {
        for (name, section) in sections.iter().filter(|(name, _)| name.as_str() != "wrong") {
            match section.as_object() {
                Some(inner) => {
                    for (key, value) in inner {
                        table::push(&mut facts, [format!("{name} {}", key.replace('_', " ")), plain(value)]);
                    }
                }
                None => table::push(&mut facts, [name.replace('_', " "), plain(section)]),
            }
        }
    }
    output::line(&table::show(&facts))?;
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

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    }
}
