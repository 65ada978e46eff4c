//! `vedette import`: what others have written, as rules.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::json;
use vedette_collector::escape;
use vedette_collector::import::tracing_policy::{self, Became, Part};

use crate::Found;
use crate::cli::{ImportArgs, ImportFrom, Output};
use crate::output;
use crate::rules::{lines, read, shown};

pub(crate) fn run(args: ImportArgs) -> anyhow::Result<Found> {
    let ImportFrom::TracingPolicy { files, out, output } = args.from;
    let mut parts = Vec::new();
    for file in &files {
        match tracing_policy::read(&read(file)?) {
            Ok(found) => parts.extend(found),
            Err(error) => bail!("{}: {}", shown(file), lines(&error)),
        }
    }
    let n_rules = parts.iter().filter(|part| matches!(part.became, Became::Rule { .. })).count();
    if output.output == Output::Json {
        parts.iter().try_for_each(|part| output::json_line(&told(part)))?;
    } else {
        parts.iter().for_each(say);
    }
    let text = tracing_policy::yaml(&parts);
    match out {
        Some(path) => write(&path, &text)?,
        None if output.output == Output::Table && !text.is_empty() => output::line(text.trim_end())?,
        None => {}
    }
    Ok(if n_rules > 0 { Found::Something } else { Found::Nothing })
}

/// Says what became of a part, beside the rules.
fn say(part: &Part) {
    let (became, notes) = match &part.became {
        Became::Rule { rule, notes } => {
            (format!("rule {}, {}", rule.name, rule.action.name()), notes.clone())
        }
        Became::Needless(why) => (format!("needless: {why}"), Vec::new()),
        Became::Left(why) => (format!("LEFT: {why}"), Vec::new()),
    };
    let _ = writeln!(std::io::stderr(), "{}", lines(&format!("{}: {}: {became}", part.policy, part.place)));
    for note in notes {
        let _ = writeln!(std::io::stderr(), "    {}", escape::terminal(&note));
    }
}

fn told(part: &Part) -> serde_json::Value {
    let Part { policy, place, became } = part;
    match became {
        Became::Rule { rule, notes } => json!({
            "policy": policy,
            "place": place,
            "became": "rule",
            "rule": { "name": rule.name, "when": rule.when, "action": rule.action.name() },
            "notes": notes,
        }),
        Became::Needless(why) => {
            json!({ "policy": policy, "place": place, "became": "needless", "reason": why })
        }
        Became::Left(why) => json!({ "policy": policy, "place": place, "became": "left", "reason": why }),
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {} (it must not be there yet)", shown(path)))
}
