//! Rules as YAML.

use super::{Became, Part};

/// The rules that parts became, one a document, each with its notes before it; empty where none did.
pub fn yaml(parts: &[Part]) -> String {
    let mut text = String::new();
    for part in parts {
        let Became::Rule { rule, notes } = &part.became else { continue };
        if !text.is_empty() {
            text.push_str("---\n");
        }
        text.push_str(&format!("# {}: {}\n", line(&part.policy), line(&part.place)));
        notes.iter().for_each(|note| text.push_str(&format!("# {}\n", line(note))));
        let value = |value: &str| serde_json::Value::from(value).to_string();
        text.push_str(&format!(
            "name: {}\ndescription: {}\nwhen: {}\n",
            rule.name,
            value(&rule.description),
            value(&rule.when)
        ));
        text.push_str(&format!("action: {}\nmode: {}\n", rule.action.name(), rule.mode.name()));
    }
    text
}

/// A text from a file as a part of a comment.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
