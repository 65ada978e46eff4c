//! What a host told of its life: texts, each behind a line `== NAME`.

use std::collections::BTreeMap;

use anyhow::ensure;
use serde_json::Value;

/// All of it.
pub(crate) struct Told {
    parts: BTreeMap<String, String>,
}

impl Told {
    /// Takes it apart.
    ///
    /// # Errors
    /// When it was not told to the end.
    pub(crate) fn read(text: String) -> anyhow::Result<Self> {
        let mut parts = BTreeMap::new();
        let mut name = String::new();
        for line in text.lines() {
            // A serial line ends lines in its own way.
            let line = line.trim_end_matches('\r');
            match line.strip_prefix("== ") {
                Some(next) => {
                    name = next.to_owned();
                    parts.insert(name.clone(), String::new());
                }
                None => {
                    if let Some(part) = parts.get_mut(&name) {
                        part.push_str(line);
                        part.push('\n');
                    }
                }
            }
        }
        ensure!(parts.contains_key("end"), "the trial did not come to its end:\n{text}");
        Ok(Self { parts })
    }

    /// What was told under this name.
    pub(crate) fn part(&self, name: &str) -> &str {
        self.parts.get(name).map_or("", String::as_str)
    }

    /// The first line of JSON of a part.
    pub(crate) fn json(&self, name: &str) -> Value {
        let line = self.part(name).lines().find(|line| line.starts_with('{'));
        let value = line.and_then(|line| serde_json::from_str(line).ok());
        value.unwrap_or_else(|| panic!("{name} has no line of JSON: {}", self.part(name)))
    }
}
