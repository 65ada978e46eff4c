//! `vedette rules`: what is wrong with rules, and what they would have hit.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use vedette_collector::escape;
use vedette_collector::rules::file::MAX_BYTES;

use crate::Found;
use crate::cli::{Connect, Output, RulesArgs, RulesCommand};
use crate::client::Client;
use crate::event_row::text;
use crate::output;
use crate::table::{Table, cut, whole};

mod dry_run;

pub(crate) async fn run(connect: &Connect, args: RulesArgs) -> anyhow::Result<Found> {
    let client = Client::new(connect)?;
    match args.command {
        RulesCommand::Check { files, output } => check(&client, &files, output.output).await,
        RulesCommand::DryRun { files, within, sample, output } => {
            let mut found = Found::Nothing;
            for file in &files {
                let body = json!({
                    "rules": read(file)?,
                    "since": within.since,
                    "until": within.until,
                    "host": within.host,
                    "sample": sample,
                });
                let request = client.request(Method::POST, "/rules/dry-run").json(&body);
                let answer: Value = client.json(request).await.with_context(|| shown(file))?;
                for rule in answer.get("rules").and_then(Value::as_array).into_iter().flatten() {
                    if dry_run::show(rule, output.output)? == Found::Something {
                        found = Found::Something;
                    }
                }
            }
            Ok(found)
        }
    }
}

async fn check(client: &Client, files: &[PathBuf], output: Output) -> anyhow::Result<Found> {
    let mut rules = Table::new(&[
        whole("rule", 0),
        whole("action", 0),
        whole("mode", 1),
        whole("decided in", 0),
        cut("how, or why not in the kernel", 8, 1),
    ]);
    let mut n_problems = 0;
    for file in files {
        let request = client.request(Method::POST, "/rules/check").json(&json!({ "rules": read(file)? }));
        let answer: Value = client.json(request).await.with_context(|| shown(file))?;
        let all = |name: &str| answer.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        for problem in all("problems") {
            n_problems += 1;
            // The collector's words quote the file.
            let rule =
                problem.get("rule").and_then(Value::as_str).map_or(String::new(), |rule| format!("{rule}: "));
            let line = problem.get("line").and_then(Value::as_u64).filter(|line| *line > 0);
            let line = line.map_or(String::new(), |line| format!("{line}:"));
            eprintln!("{}:{line} {}", shown(file), lines(&format!("{rule}{}", text_of(&problem, "message"))));
        }
        for rule in all("rules") {
            match output {
                Output::Json => output::json_line(&rule)?,
                Output::Table => {
                    rules.push([
                        text(&rule, "name"),
                        text(&rule, "action"),
                        text(&rule, "mode"),
                        text(&rule, "decided"),
                        how(&rule),
                    ]);
                }
            }
            for hint in
                rule.get("hints").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
            {
                eprintln!("{}: {}", text(&rule, "name"), escape::terminal(hint));
            }
        }
    }
    if !rules.is_empty() {
        output::line(&rules.show())?;
    }
    ensure!(
        n_problems == 0,
        "{}",
        match n_problems {
            1 => "1 problem".to_owned(),
            n => format!("{n} problems"),
        }
    );
    Ok(Found::Something)
}

fn how(rule: &Value) -> String {
    match rule.get("rows").and_then(Value::as_u64) {
        Some(1) => "1 row".to_owned(),
        Some(n) => format!("{n} rows"),
        None => text(rule, "reason"),
    }
}

fn text_of(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Several lines, each without what a terminal would take for a command.
pub(crate) fn lines(text: &str) -> String {
    text.lines().map(escape::terminal).collect::<Vec<_>>().join("\n")
}

pub(crate) fn shown(file: &Path) -> String {
    escape::terminal(&file.display().to_string())
}

/// A file's text, as far as the collector would take it.
pub(crate) fn read(file: &Path) -> anyhow::Result<String> {
    let (mut text, most) = (String::new(), MAX_BYTES as u64 + 1);
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(most).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read {}", shown(file)))?;
    ensure!(text.len() <= MAX_BYTES, "{} has more than {MAX_BYTES} bytes: divide it", shown(file));
    Ok(text)
}
