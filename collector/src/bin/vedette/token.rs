//! `vedette token`: API tokens.

use reqwest::Method;
use serde_json::{Value, json};

use crate::Found;
use crate::cli::{Connect, Output, RoleName, TokenArgs, TokenCommand};
use crate::client::Client;
use crate::event_row::{text, to_the_second};
use crate::output;
use crate::table::{Column, Table, cut, whole};

pub(crate) async fn run(connect: &Connect, args: TokenArgs) -> anyhow::Result<Found> {
    let client = Client::new(connect)?;
    match args.command {
        TokenCommand::Create { role, ttl, name, output } => {
            let body = json!({"role": role_name(role), "ttl": ttl, "name": name});
            let made: Value = client.json(client.request(Method::POST, "/tokens").json(&body)).await?;
            if output.output == Output::Json {
                output::json_line(&made)?;
            } else {
                output::line(&text(&made, "token"))?;
                eprintln!(
                    "It is shown only now; it is {} until {}.",
                    text(&made, "role"),
                    text(&made, "expires")
                );
            }
            Ok(Found::Something)
        }
        TokenCommand::List { output } => list(&client, output.output).await,
        TokenCommand::Revoke { id } => {
            let path = format!("/tokens/{id}");
            client.send(client.request(Method::DELETE, &path)).await?;
            output::line("revoked")?;
            Ok(Found::Something)
        }
    }
}

const FIELDS: [&str; 7] = ["id", "name", "role", "created", "expires", "last_used", "revoked"];
const COLUMNS: [Column; 7] = [
    whole("id", 0),
    cut("name", 6, 2),
    whole("role", 1),
    whole("created", 6),
    whole("expires", 3),
    whole("last used", 5),
    whole("revoked", 4),
];

async fn list(client: &Client, output: Output) -> anyhow::Result<Found> {
    let answer: Value = client.json(client.request(Method::GET, "/tokens")).await?;
    let empty = Vec::new();
    let tokens = answer.get("tokens").and_then(Value::as_array).unwrap_or(&empty);
    let mut lines = Table::new(&COLUMNS);
    for token in tokens {
        match output {
            Output::Json => output::json_line(token)?,
            Output::Table => lines.push(FIELDS.map(|field| to_the_second(token, field))),
        }
    }
    if output == Output::Table && !tokens.is_empty() {
        output::line(&lines.show())?;
    }
    Ok(if tokens.is_empty() { Found::Nothing } else { Found::Something })
}

fn role_name(role: RoleName) -> &'static str {
    match role {
        RoleName::Viewer => "viewer",
        RoleName::Analyst => "analyst",
        RoleName::Responder => "responder",
        RoleName::Admin => "admin",
    }
}
