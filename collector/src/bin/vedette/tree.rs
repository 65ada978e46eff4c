//! `vedette tree`: ancestors to the root, then descendants, drawn as a tree.

use reqwest::Method;
use serde_json::Value;
use vedette_collector::escape;

use crate::Found;
use crate::cli::{Connect, Output, TreeArgs};
use crate::client::Client;
use crate::event_row::text;
use crate::{output, table};

pub(crate) async fn run(connect: &Connect, args: TreeArgs) -> anyhow::Result<Found> {
    let client = Client::new(connect)?;
    let mut query: Vec<(&str, String)> = Vec::new();
    query.extend(args.entity.map(|entity| ("entity", entity)));
    query.extend(args.host.map(|host| ("host", host)));
    query.extend(args.pid.map(|pid| ("pid", pid.to_string())));
    let tree: Value = client.json(client.request(Method::GET, "/tree").query(&query)).await?;
    let empty = Vec::new();
    let nodes = tree.get("nodes").and_then(Value::as_array).unwrap_or(&empty);
    for node in nodes {
        match args.output.output {
            Output::Json => output::json_line(node)?,
            Output::Table => output::line(&table::fitting(&line(node, &text(&tree, "entity_id"))))?,
        }
    }
    for notice in tree.get("notices").and_then(Value::as_array).unwrap_or(&empty) {
        eprintln!("vedette: {}", escape::terminal(notice.as_str().unwrap_or_default()));
    }
    Ok(if nodes.is_empty() { Found::Nothing } else { Found::Something })
}

/// One process: as far to the right as it is deep, marked where it is the one asked for.
fn line(node: &Value, asked: &str) -> String {
    let depth = node.get("depth").and_then(Value::as_u64).unwrap_or(0);
    let depth = usize::try_from(depth).unwrap_or(0).min(200);
    let branch = if depth == 0 { String::new() } else { format!("{}└─ ", "   ".repeat(depth - 1)) };
    let mark = if text(node, "process.entity_id") == asked { "» " } else { "" };
    let what = match text(node, "process.command_line") {
        words if words.is_empty() => text(node, "process.executable"),
        words => words,
    };
    let user = match text(node, "process.user.name") {
        name if name.is_empty() => text(node, "process.user.id"),
        name => name,
    };
    let mut line = format!(
        "{branch}{mark}{} {}  {}",
        text(node, "process.pid"),
        escape::terminal(&user),
        escape::terminal(if what.is_empty() { "?" } else { &what }),
    );
    let exit = text(node, "process.exit_code");
    if !exit.is_empty() {
        line.push_str(&format!("  (exited {exit})"));
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_is_indented_marked_and_escaped() {
        let node = json!({"depth": 2, "process": {"pid": 7, "entity_id": "00000000000000aa", "user": {"name": "root"},
            "command_line": "sh -c \u{1b}[2J", "exit_code": 1}});
        assert_eq!(line(&node, "00000000000000aa"), "   └─ » 7 root  sh -c \\x1b[2J  (exited 1)");
        assert_eq!(line(&node, "other"), "   └─ 7 root  sh -c \\x1b[2J  (exited 1)");
    }
}
