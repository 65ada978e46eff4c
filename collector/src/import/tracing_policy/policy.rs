//! The parts of a policy: each selector of each hook.

use serde_json::{Map, Value as Json};
use wire::rule::Action;

use super::hook::{self, Means};
use super::{Part, action, condition, finished, selector};

/// What was found of a part, before it is a rule.
pub(super) enum Found {
    Rule { when: String, action: Action, notes: Vec<String> },
    Needless(String),
    Left(String),
}

/// Keys of a policy that say nothing of what it looks at.
const SILENT: &[&str] = &["lists", "options", "podSelector", "containerSelector"];

/// What became of each part of one document.
pub(super) fn parts(document: &Json) -> Result<Vec<Part>, String> {
    let kind = text(document, "kind");
    if !matches!(kind, "TracingPolicy" | "TracingPolicyNamespaced") {
        return Err(format!("found kind {kind:?}, expected TracingPolicy or TracingPolicyNamespaced"));
    }
    let name = document.pointer("/metadata/name").and_then(Json::as_str).unwrap_or("policy");
    let empty = Map::new();
    let spec = document.get("spec").and_then(Json::as_object).unwrap_or(&empty);
    let scope = scope(document, spec);
    let mut found = Vec::new();
    for (key, value) in spec {
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        match key.as_str() {
            "kprobes" | "lsmhooks" | "tracepoints" => {
                for (n, item) in items.iter().enumerate() {
                    found.extend(of_hook(key, n, item, spec, &scope));
                }
            }
            "uprobes" | "usdts" => found.push((
                key.clone(),
                Found::Left("functions of programs: the sensor's places are all in the kernel".to_owned()),
            )),
            "enforcers" | "killers" => found
                .push((key.clone(), Found::Needless("what refuses is where the rule is decided".to_owned()))),
            key if SILENT.contains(&key) => {}
            key => found.push((key.to_owned(), Found::Left(format!("spec.{key} is not known")))),
        }
    }
    Ok(finished(name, found))
}

/// Which pods and containers it is for, as conditions; or why that cannot be said.
fn scope(document: &Json, spec: &Map<String, Json>) -> Result<Vec<String>, String> {
    let mut conditions = Vec::new();
    if text(document, "kind") == "TracingPolicyNamespaced" {
        let namespace = document.pointer("/metadata/namespace").and_then(Json::as_str).unwrap_or("default");
        conditions.push(condition::equal("kubernetes.namespace", namespace));
    }
    for (key, value) in spec.iter().filter(|(key, _)| key.ends_with("Selector")) {
        if key == "podSelector" {
            conditions.push("kubernetes.pod.name:*".to_owned());
        }
        for (of, labels) in value.as_object().into_iter().flatten() {
            match (key.as_str(), of.as_str()) {
                ("podSelector", "matchLabels") => {
                    for (label, value) in labels.as_object().into_iter().flatten() {
                        let value = value.as_str().unwrap_or_default();
                        conditions.push(condition::equal("kubernetes.labels", &format!("{label}={value}")));
                    }
                }
                ("containerSelector", "matchLabels") => {
                    for (label, value) in labels.as_object().into_iter().flatten() {
                        let field = match label.as_str() {
                            "name" => "container.name",
                            "repo" => "container.image.name",
                            _ => return Err(format!("containerSelector by {label}")),
                        };
                        conditions.push(condition::equal(field, value.as_str().unwrap_or_default()));
                    }
                }
                _ => return Err(format!("{key}.{of}")),
            }
        }
    }
    Ok(conditions)
}

fn of_hook(
    kind: &str,
    n: usize,
    item: &Json,
    spec: &Map<String, Json>,
    scope: &Result<Vec<String>, String>,
) -> Vec<(String, Found)> {
    let call = match kind {
        "kprobes" => text(item, "call").to_owned(),
        "lsmhooks" => hook::of_lsm(text(item, "hook")),
        _ => format!("{}/{}", text(item, "subsystem"), text(item, "event")),
    };
    let place = format!("{kind}[{n}] {call}");
    let left = |why: String| vec![(place.clone(), Found::Left(why))];
    let scope = match scope {
        Ok(scope) => scope,
        Err(missing) => return left(format!("{missing} cannot be asked for")),
    };
    if hook::is_bookkeeping(&call) {
        return vec![(place, Found::Needless("it follows sockets, which the sensor does anyway".to_owned()))];
    }
    let calls = match lists::expanded(&call, spec) {
        Ok(calls) => calls,
        Err(why) => return left(why),
    };
    let everything = [Json::Object(Map::new())];
    let selectors = match items(item, "selectors") {
        [] => &everything,
        selectors => selectors,
    };
    let mut found = Vec::new();
    for (at, selector) in selectors.iter().enumerate() {
        let place = if selectors.len() > 1 { format!("{place}, selector {}", at + 1) } else { place.clone() };
        found.push((place, of_selector(&calls, item, selector, spec, scope)));
    }
    found
}

fn of_selector(
    calls: &[String],
    item: &Json,
    selector: &Json,
    spec: &Map<String, Json>,
    scope: &[String],
) -> Found {
    let wanted = match action::wanted(selector) {
        Ok(wanted) => wanted,
        Err(why) => return Found::Left(why),
    };
    let Some(action) = wanted.action else {
        return Found::Needless("it tells nothing and keeps nobody from anything".to_owned());
    };
    let calls = match lists::named_by(selector, spec) {
        Some(Ok(named)) => named,
        Some(Err(why)) => return Found::Left(why),
        None => calls.to_vec(),
    };
    let means = match hook::all(&calls, item) {
        Ok(means) => means,
        Err(why) => return Found::Left(why),
    };
    match when(&means, item, selector, scope) {
        Ok((when, mut notes)) => {
            notes.extend(wanted.notes);
            Found::Rule { when, action, notes }
        }
        Err(why) => Found::Left(why),
    }
}

fn when(
    means: &Means,
    item: &Json,
    selector: &Json,
    scope: &[String],
) -> Result<(String, Vec<String>), String> {
    let (conditions, more) = selector::conditions(means, item, selector)?;
    let mut all = vec![means.base.clone()];
    all.extend(scope.iter().cloned());
    all.extend(conditions);
    let mut notes: Vec<String> =
        Some(means.note).filter(|note| !note.is_empty()).map(str::to_owned).into_iter().collect();
    notes.extend(more);
    Ok((all.join(" and "), notes))
}

/// The items of a list; none where there is no list.
pub(super) fn items<'a>(value: &'a Json, key: &str) -> &'a [Json] {
    value.get(key).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn text<'a>(value: &'a Json, key: &str) -> &'a str {
    value.get(key).and_then(Json::as_str).unwrap_or_default()
}

/// Lists of calls that a policy has for itself.
mod lists {
    use super::{Json, Map, items, text};

    /// The calls that a name stands for: itself, or those of a list.
    pub(super) fn expanded(call: &str, spec: &Map<String, Json>) -> Result<Vec<String>, String> {
        match call.strip_prefix("list:") {
            None => Ok(vec![call.to_owned()]),
            Some(name) => values(name, spec),
        }
    }

    /// The system calls that a selector names by a list (`InMap`), if it does.
    pub(super) fn named_by(selector: &Json, spec: &Map<String, Json>) -> Option<Result<Vec<String>, String>> {
        let arguments = selector.get("matchArgs")?.as_array()?;
        let argument = arguments.iter().find(|argument| text(argument, "operator") == "InMap")?;
        let list = argument.get("values")?.as_array()?.first()?.as_str()?.strip_prefix("list:")?;
        Some(values(list, spec))
    }

    fn values(name: &str, spec: &Map<String, Json>) -> Result<Vec<String>, String> {
        let mut lists = spec.get("lists").and_then(Json::as_array).into_iter().flatten();
        let list = lists.find(|list| text(list, "name") == name);
        let list = list.ok_or_else(|| format!("list {name} is not there"))?;
        match text(list, "type") {
            "" | "syscalls" => {
                Ok(items(list, "values").iter().filter_map(Json::as_str).map(str::to_owned).collect())
            }
            kind => Err(format!("lists of type {kind}: the sensor's places are fixed")),
        }
    }
}
