//! `vedette enroll-token create`: a token that enrols one host, with the command to run there.

use reqwest::Method;
use serde_json::{Value, json};

use crate::Found;
use crate::cli::{Connect, EnrollTokenArgs, EnrollTokenCommand, Output};
use crate::client::Client;
use crate::event_row::{text, to_the_second};
use crate::output;

pub(crate) async fn run(connect: &Connect, args: EnrollTokenArgs) -> anyhow::Result<Found> {
    let EnrollTokenCommand::Create { ttl, tags, output } = args.command;
    let client = Client::new(connect)?;
    let made = create(&client, &ttl, &tags).await?;
    if output.output == Output::Json {
        output::json_line(&made)?;
        return Ok(Found::Something);
    }
    let collector = client.url().trim_start_matches("https://");
    output::line(&format!("One host can enrol with this token until {}:", to_the_second(&made, "expires")))?;
    output::line("")?;
    output::line(&format!(
        "  vedette-sensor enroll --collector {collector} --token {} --ca-sha256 {}",
        text(&made, "token"),
        text(&made, "ca_sha256")
    ))?;
    output::line("")?;
    output::line("It is shown only now. Run it as root on the host, then: vedette-sensor run")?;
    Ok(Found::Something)
}

/// Makes a token; the answer holds `token`, `expires` and `ca_sha256`.
pub(crate) async fn create(client: &Client, ttl: &str, tags: &[String]) -> anyhow::Result<Value> {
    let request = client.request(Method::POST, "/enroll-tokens").json(&json!({"ttl": ttl, "tags": tags}));
    client.json(request).await
}
