//! What is to be done.

use serde_json::Value as Json;
use wire::rule::Action;

use super::policy::{items, text};

/// What a selector's actions come to.
pub(super) struct Wanted {
    /// The strongest; none where nothing is even to be told.
    pub(super) action: Option<Action>,
    pub(super) notes: Vec<String>,
}

const SIGKILL: i64 = 9;

/// What a selector's actions come to: to be told, if it names none.
pub(super) fn wanted(selector: &Json) -> Result<Wanted, String> {
    let actions = items(selector, "matchActions");
    let mut wanted = Wanted { action: None, notes: Vec::new() };
    let mut is_silent = false;
    for action in actions {
        let signal = action.get("argSig").and_then(Json::as_i64);
        let does = match text(action, "action").to_ascii_lowercase().as_str() {
            "sigkill" => Some(Action::Kill),
            "signal" if signal == Some(SIGKILL) => Some(Action::Kill),
            "signal" => return Err("signals other than SIGKILL".to_owned()),
            "override" => Some(Action::Deny),
            "notifyenforcer" | "notifykiller" if signal == Some(SIGKILL) => Some(Action::Kill),
            "notifyenforcer" | "notifykiller" => Some(Action::Deny),
            "post" => Some(Action::Ship),
            "nopost" => {
                is_silent = true;
                None
            }
            "tracksock" | "untracksock" | "followfd" | "unfollowfd" | "copyfd" => {
                is_silent |= actions.len() == 1;
                None
            }
            other => return Err(format!("the action {other}")),
        };
        for (key, told) in [
            ("rateLimit", "rateLimit: every event is told; those that are alike are counted by the search"),
            (
                "imaHash",
                "imaHash: an executable's SHA-256 is told as process.hash.sha256, whoever measures it",
            ),
            ("kernelStackTrace", "kernelStackTrace: stacks are not told"),
            ("userStackTrace", "userStackTrace: stacks are not told"),
        ] {
            if action.get(key).is_some_and(|value| *value != Json::Bool(false)) {
                wanted.notes.push(told.to_owned());
            }
        }
        wanted.action = wanted.action.max(does);
    }
    if wanted.action.is_none() && !is_silent {
        wanted.action = Some(Action::Ship);
    }
    Ok(wanted)
}
