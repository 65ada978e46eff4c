//! Enrols this very host with the collector that `up` has just started, and waits for what it sees.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use reqwest::Method;
use serde_json::Value;

use crate::cli::{Connect, UpArgs};
use crate::client::Client;
use crate::enroll_token::{self, Wanted};
use crate::event_row::text;
use crate::home;
use crate::up::child;

/// Gives this host an identity, unless it has one already. Returns what to tell about it.
pub(crate) async fn this_host(home: &Path, args: &UpArgs) -> anyhow::Result<&'static str> {
    let name = home::sensor_name(home);
    if home.join(&name).join("host.pem").exists() {
        return Ok("this host is enrolled already");
    }
    let client = local_client(home)?;
    let made = enroll_token::create(&client, Wanted { ttl: "10m", hosts: 1, tags: &[] }).await?;
    let program = child::sibling("vedette-sensor")?;
    let output = tokio::process::Command::new(&program)
        .args(["enroll", "--collector", &super::reachable(args.listen).to_string()])
        .args(["--ca-sha256", &text(&made, "ca_sha256"), "--name", &name, "--home"])
        .arg(home)
        // Not on the command line, where every user of this host could read it.
        .env("VEDETTE_ENROLL_TOKEN", text(&made, "token"))
        .stdin(Stdio::null())
        .output()
        .await
        .with_context(|| format!("cannot run {}", program.display()))?;
    if !output.status.success() {
        bail!("this host could not be enrolled: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok("this host has an identity")
}

/// Waits until what the sensor told since `begun` can be found, and says so: its programs see everything then.
pub(crate) async fn first_events(
    home: &Path,
    begun: jiff::Timestamp,
    at_most: Duration,
) -> anyhow::Result<String> {
    let client = local_client(home)?;
    let start = Instant::now();
    let since = begun.to_string();
    loop {
        let request = client
            .request(Method::POST, "/search")
            .json(&serde_json::json!({"query": "event.category:sensor", "since": since, "limit": 1}));
        let found: Value = client.json(request).await?;
        if found.get("events").and_then(Value::as_array).is_some_and(|events| !events.is_empty()) {
            return Ok("the kernel's events can be searched".to_owned());
        }
        if start.elapsed() > at_most {
            bail!(
                "no event of this host was stored within {at_most:?}; see {}",
                home.join("log/sensor.log").display()
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn local_client(home: &Path) -> anyhow::Result<Client> {
    Client::local(&Connect { url: None, token: None, ca: None }, home)
}
