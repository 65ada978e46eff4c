//! `vedette hosts revoke`.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};
use reqwest::Method;
use serde_json::Value;

use super::path_segment;
use crate::Found;
use crate::client::Client;
use crate::event_row::text;
use crate::output;

/// Revokes a host, by name or id, once whoever asks has said yes.
pub(super) async fn run(client: &Client, host: &str, yes: bool) -> anyhow::Result<Found> {
    let path = format!("/hosts/{}", path_segment(host));
    let found: Value = client.json(client.request(Method::GET, &path)).await?;
    let (id, name) = (text(&found, "host.id"), text(&found, "host.name"));
    let revoked = text(&found, "revoked");
    if !revoked.is_empty() {
        output::line(&format!("{name} ({id}) was revoked at {revoked} already"))?;
        return Ok(Found::Something);
    }
    if !yes && !confirmed(&name, &id)? {
        bail!("nothing was done");
    }
    client.send(client.request(Method::POST, &format!("/hosts/{id}/revoke"))).await?;
    output::line(&format!(
        "revoked {name} ({id}): its sessions are cut within seconds; what it sent stays. To take the machine up again, enrol it as a new host: vedette enroll-token create"
    ))?;
    Ok(Found::Something)
}

fn confirmed(name: &str, id: &str) -> anyhow::Result<bool> {
    let mut input = std::io::stdin();
    if !input.is_terminal() {
        bail!("revoking {name} ({id}) cannot be undone: say --yes where nobody can be asked");
    }
    let name = vedette_collector::escape::terminal(name);
    eprint!("Revoke {name} ({id})? It cannot be undone; the machine would have to be enrolled again. [y/N] ");
    std::io::stderr().flush().context("cannot ask")?;
    let mut answer = String::new();
    std::io::BufReader::new(&mut input).read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
