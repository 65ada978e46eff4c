//! `vedette rules dry-run`: one rule's answer.

use serde_json::Value;
use vedette_collector::escape;

use crate::Found;
use crate::cli::Output;
use crate::event_row::{self, text};
use crate::output;
use crate::search::{histogram, top};
use crate::table::Table;

/// Shows what a rule would have hit; whether that was anything.
pub(super) fn show(rule: &Value, output: Output) -> anyhow::Result<Found> {
    let number = |value: Option<&Value>| value.and_then(Value::as_u64).unwrap_or(0);
    let n = number(rule.get("events"));
    let found = if n > 0 { Found::Something } else { Found::Nothing };
    if output == Output::Json {
        output::json_line(rule)?;
        return Ok(found);
    }
    let list = |at: &str| rule.pointer(at).and_then(Value::as_array).cloned().unwrap_or_default();
    output::line(&headline(rule, n))?;
    for gap in list("/coverage/gaps").iter().filter_map(Value::as_str) {
        output::line(&format!("  not seen: {}", escape::terminal(gap)))?;
    }
    if n == 0 {
        return Ok(found);
    }
    output::line("")?;
    histogram::show(&list("/histogram"), output)?;
    for (title, values) in [("actions", list("/actions")), ("programs", list("/executables/most"))] {
        output::line(&format!("\n{title}"))?;
        top::show(&values, output)?;
    }
    output::line("\nhosts")?;
    let hosts: Vec<Value> = list("/hosts/most")
        .into_iter()
        .map(|host| {
            let name = host.get("name").filter(|name| !name.is_null()).or_else(|| host.get("id"));
            serde_json::json!({ "value": name, "count": host.get("count") })
        })
        .collect();
    top::show(&hosts, output)?;
    output::line("\nthe newest")?;
    let mut events = Table::new(&event_row::COLUMNS);
    list("/sample").iter().for_each(|event| events.push(event_row::cells(event)));
    output::line(&events.show())?;
    Ok(found)
}

fn headline(rule: &Value, n: u64) -> String {
    let number = |at: &str| rule.pointer(at).and_then(Value::as_u64).unwrap_or(0);
    let (name, action) = (text(rule, "name"), text(rule, "action"));
    let (since, until) = (text(rule, "since"), text(rule, "until"));
    let of = format!("{} of {} hosts", number("/hosts/count"), number("/hosts/in_scope"));
    match (n, text(rule, "verdict").as_str()) {
        (0, "none") => format!("{name} ({action}): would have hit nothing from {since} to {until}"),
        (0, _) => format!(
            "{name} ({action}): unknown; nothing is stored from {since} to {until} that it would have hit, but not all was seen"
        ),
        _ => format!(
            "{name} ({action}): would have hit {n} events on {of}, by {} programs; first {}, last {}",
            number("/executables/count"),
            text(rule, "first"),
            text(rule, "last")
        ),
    }
}
