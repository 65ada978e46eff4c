//! `vedette hosts`, `vedette hosts show` and `vedette hosts revoke`.

mod revoke;

use reqwest::Method;
use serde_json::Value;

use crate::Found;
use crate::cli::{Connect, HostsArgs, HostsCommand, Output};
use crate::client::Client;
use crate::event_row::{text, to_the_second};
use crate::output;
use crate::table::{Column, Table, cut, whole};

pub(crate) async fn run(connect: &Connect, args: HostsArgs) -> anyhow::Result<Found> {
    let client = Client::new(connect)?;
    match args.command {
        Some(HostsCommand::Show { host, output }) => show(&client, &host, output.output).await,
        Some(HostsCommand::Revoke { host, yes }) => revoke::run(&client, &host, yes).await,
        None => list(&client, args.output.output).await,
    }
}

const COLUMNS: [Column; 9] = [
    cut("name", 8, 0),
    whole("id", 1),
    whole("state", 1),
    cut("kernel", 8, 6),
    whole("version", 5),
    whole("events/s", 4),
    whole("last seen", 3),
    whole("lost", 2),
    cut("tags", 8, 7),
];

async fn list(client: &Client, output: Output) -> anyhow::Result<Found> {
    let answer: Value = client.json(client.request(Method::GET, "/hosts")).await?;
    let empty = Vec::new();
    let hosts = answer.get("hosts").and_then(Value::as_array).unwrap_or(&empty);
    let mut lines = Table::new(&COLUMNS);
    for host in hosts {
        if output == Output::Json {
            output::json_line(host)?;
            continue;
        }
        lines.push([
            text(host, "host.name"),
            text(host, "host.id"),
            text(host, "state"),
            text(host, "host.os.kernel"),
            text(host, "sensor.version"),
            text(host, "events_per_second"),
            to_the_second(host, "last_seen"),
            text(host, "not_stored"),
            text(host, "host.tags"),
        ]);
    }
    if output == Output::Table && !hosts.is_empty() {
        output::line(&lines.show())?;
    }
    Ok(if hosts.is_empty() { Found::Nothing } else { Found::Something })
}

async fn show(client: &Client, host: &str, output: Output) -> anyhow::Result<Found> {
    let path = format!("/hosts/{}", path_segment(host));
    let host: Value = client.json(client.request(Method::GET, &path)).await?;
    if output == Output::Json {
        output::json_line(&host)?;
        return Ok(Found::Something);
    }
    let mut facts = Table::new(&[whole("", 0), cut("", 8, 1)]);
    for (name, field) in [
        ("name", "host.name"),
        ("id", "host.id"),
        ("tags", "host.tags"),
        ("kernel", "host.os.kernel"),
        ("architecture", "host.architecture"),
        ("boot", "host.boot.id"),
        ("address", "address"),
        ("state", "state"),
        ("connected", "connected"),
        ("… to", "collector.name"),
        ("… at", "collector.listen"),
        ("sensor", "sensor.version"),
        ("enrolled", "enrolled"),
        ("last seen", "last_seen"),
        ("events/s", "events_per_second"),
        ("clock offset, ns", "clock.offset_ns"),
        ("… known to ±", "clock.uncertainty_ns"),
        ("revoked", "revoked"),
    ] {
        let value = to_the_second(&host, field);
        if !value.is_empty() {
            facts.push([name, &value]);
        }
    }
    output::line(&facts.show())?;
    let empty = Vec::new();
    let streams = host.get("streams").and_then(Value::as_array).unwrap_or(&empty);
    if !streams.is_empty() {
        let names =
            ["epoch", "lane", "generated", "stored", "merged", "lost", "dropped", "rejected", "residue"];
        // An epoch that does not fit is left out first: what was lost matters more.
        let ranks = [9, 0, 4, 5, 8, 1, 2, 3, 7];
        let columns: Vec<_> = names.into_iter().zip(ranks).map(|(name, rank)| whole(name, rank)).collect();
        let mut ledger = Table::new(&columns);
        for stream in streams {
            ledger.push(names.map(|name| text(stream, name)));
        }
        if let Some(all) = host.get("ledger") {
            let named = |name| if name == "epoch" { "all of these".to_owned() } else { text(all, name) };
            ledger.push(names.map(named));
        }
        output::line("")?;
        output::line(&ledger.show())?;
    }
    let findings = host.get("findings").and_then(Value::as_array).unwrap_or(&empty);
    if !findings.is_empty() {
        output::line("")?;
        output::line(&crate::findings::table(findings).show())?;
    }
    if let Some(missing) = host.get("missing").and_then(Value::as_array) {
        output::line("\nMissing since the store was restored from a backup:")?;
        let names = ["epoch", "lane", "first_sequence", "next_sequence", "events", "since", "until"];
        let ranks = [9, 0, 2, 3, 1, 4, 5];
        let columns: Vec<_> =
            names.into_iter().zip(ranks).map(|(name, rank)| whole(name_of(name), rank)).collect();
        let mut table = Table::new(&columns);
        for stream in missing {
            table.push(names.map(|name| match name {
                "events" if stream.get(name).is_none_or(Value::is_null) => "unknown".to_owned(),
                _ => to_the_second(stream, name),
            }));
        }
        output::line(&table.show())?;
    }
    if let Some(sees) = host.get("sees").and_then(Value::as_array).filter(|sees| !sees.is_empty()) {
        output::line("")?;
        output::line(&sights(sees).show())?;
    }
    Ok(Found::Something)
}

/// A field's name as a heading.
fn name_of(field: &'static str) -> &'static str {
    match field {
        "first_sequence" => "from",
        "next_sequence" => "to",
        other => other,
    }
}

/// What can be seen on a host, in which way, and what is not.
fn sights(sees: &[Value]) -> Table {
    let mut sights = Table::new(&[whole("sees", 0), whole("by", 1), cut("not seen", 8, 2)]);
    for sight in sees {
        let way = text(sight, "way");
        let blind = match text(sight, "blind") {
            blind if way.is_empty() && blind.is_empty() => "nothing of it is seen on this kernel".to_owned(),
            blind => blind,
        };
        let by = if way.is_empty() { "-".to_owned() } else { way };
        sights.push([text(sight, "name"), by, blind]);
    }
    sights
}

/// A host's name in a path: everything but letters, digits, `-`, `.`, `_` is percent-encoded.
pub(crate) fn path_segment(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_segment() {
        assert_eq!(path_segment("web-1.example"), "web-1.example");
        assert_eq!(path_segment("a/b?c ä"), "a%2Fb%3Fc%20%C3%A4");
    }
}
