//! `vedette token`: API tokens.

use reqwest::Method;
use serde_json::{Value, json};

use crate::Found;
use crate::cli::{Connect, Output, RoleName, TokenArgs, TokenCommand};
use crate::client::Client;
use crate::event_row::{text, to_the_second};
use crate::{output, table};

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

async fn list(client: &Client, output: Output) -> anyhow::Result<Found> {
    let answer: Value = client.json(client.request(Method::GET, "/tokens")).await?;
    let empty = Vec::new();
    let tokens = answer.get("tokens").and_then(Value::as_array).unwrap_or(&empty);
    let columns = ["id", "name", "role", "created", "expires", "last_used", "revoked"];
    let mut lines =
        table::new(&columns.map(|column| column.replace('_', " ")).each_ref().map(String::as_str));
    for token in tokens {
        match output {
            Output::Json => output::json_line(token)?,
            Output::Table => table::push(&mut lines, columns.map(|column| to_the_second(token, column))),
        }
    }
    if output == Output::Table && !tokens.is_empty() {
        output::line(&table::show(&lines))?;
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
