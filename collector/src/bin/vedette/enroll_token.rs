//! `vedette enroll-token create`: a token that enrols a host, with the command that installs and enrols it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Found;
use crate::cli::{Connect, EnrollTokenArgs, EnrollTokenCommand, Output};
use crate::client::Client;
use crate::event_row::{text, to_the_second};
use crate::output;

/// What is asked for.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Wanted<'a> {
    pub(crate) ttl: &'a str,
    /// Not said where it is one, as collectors of the release before know no other.
    #[serde(skip_serializing_if = "is_one")]
    pub(crate) hosts: u16,
    pub(crate) tags: &'a [String],
}

fn is_one(hosts: &u16) -> bool {
    *hosts == 1
}

pub(crate) async fn run(connect: &Connect, args: EnrollTokenArgs) -> anyhow::Result<Found> {
    let EnrollTokenCommand::Create { ttl, tags, hosts, out, output } = args.command;
    let client = Client::new(connect)?;
    let mut made = create(&client, Wanted { ttl: &ttl, hosts, tags: &tags }).await?;
    let collectors = collectors(client.url(), &made);
    if let Some(made) = made.as_object_mut() {
        made.insert("collectors".to_owned(), json!(collectors));
    }
    if let Some(out) = out {
        write(&out, &made).with_context(|| format!("cannot write {}", out.display()))?;
        return Ok(Found::Something);
    }
    if output.output == Output::Json {
        output::json_line(&made)?;
        return Ok(Found::Something);
    }
    let many = if hosts == 1 { "One host".to_owned() } else { format!("{hosts} hosts") };
    output::line(&format!(
        "{many} can enrol with this token until {}, each by:",
        to_the_second(&made, "expires")
    ))?;
    output::line("")?;
    output::line(&format!("  {}", command(&made, &collectors)))?;
    output::line("")?;
    output::line(
        "It is shown only now. The first part installs the package, which lies beside you; leave it out where that is done.",
    )?;
    Ok(Found::Something)
}

/// Makes a token; the answer is an `Invitation`.
pub(crate) async fn create(client: &Client, wanted: Wanted<'_>) -> anyhow::Result<Value> {
    client.json(client.request(Method::POST, "/enroll-tokens").json(&wanted)).await
}

/// The command that makes a host one of the fleet, given the package.
fn command(made: &Value, collectors: &[String]) -> String {
    format!(
        "sudo apt-get install -y ./vedette-sensor_*.deb && sudo vedette-sensor enroll --collector {} --token {} --ca-sha256 {} && sudo systemctl restart vedette-sensor",
        collectors.join(","),
        text(made, "token"),
        text(made, "ca_sha256")
    )
}

/// Where hosts are sent: to where this command found the collector; if that was on its own host, to where it says it is.
fn collectors(url: &str, made: &Value) -> Vec<String> {
    let here = url.trim_start_matches("https://");
    let told = made.get("collectors").and_then(|told| Vec::<String>::deserialize(told).ok());
    match told {
        Some(told) if is_loopback(here) && !told.is_empty() => told,
        _ => vec![here.to_owned()],
    }
}

fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Beside its place first, so that a reader finds all of it.
fn write(path: &Path, made: &Value) -> std::io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = Path::new(&new);
    match std::fs::remove_file(new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    file.write_all(format!("{made}\n").as_bytes())?;
    file.sync_all()?;
    std::fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_sent_where_they_can_go() {
        let at = |url: &str, told: Value| collectors(url, &json!({"collectors": told})).concat();
        assert_eq!(at("https://c.example:7443", json!(["inside:7443"])), "c.example:7443");
        assert_eq!(at("https://127.0.0.1:7443", json!(["c.example:7443"])), "c.example:7443");
        assert_eq!(at("https://[::1]:7443", json!(["c.example:7443"])), "c.example:7443");
        assert_eq!(at("https://localhost:7443", json!([])), "localhost:7443");
        assert_eq!(at("https://localhost:7443", Value::Null), "localhost:7443", "an older collector");
    }
}
