//! What was probably meant.

use super::{QueryError, Span};
use crate::field::Field;

/// The field that a misspelt name probably means, if one is near: by its last parts (`pid`), by
/// another product's name for it (`dst_ip`), or by spelling.
pub fn nearest(name: &str) -> Option<Field> {
    let name = name.to_ascii_lowercase();
    if let Some((_, field)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
        return Some(*field);
    }
    let by_last_parts = |field: &&Field| {
        field.name() == name || field.name().strip_suffix(&name).is_some_and(|rest| rest.ends_with('.'))
    };
    if let Some(field) = Field::ALL.iter().find(by_last_parts) {
        return Some(*field);
    }
    nearest_of(&name, Field::ALL.iter().map(|field| (field.name(), *field)))
}

/// The entry whose text is near enough to `text` to be what was meant.
pub(crate) fn nearest_of<'a, T>(text: &str, known: impl Iterator<Item = (&'a str, T)>) -> Option<T> {
    const NEAR_ENOUGH: f64 = 0.6;
    if text.len() > 128 {
        return None;
    }
    known
        .map(|(name, value)| (strsim::normalized_damerau_levenshtein(text, name), value))
        .filter(|(similarity, _)| *similarity >= NEAR_ENOUGH)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, value)| value)
}

/// The error for a bare word that is another language's operator: better refused than looked for.
pub(super) fn other_language(word: &str, span: Span) -> Option<QueryError> {
    let operator = [("&&", "and"), ("||", "or"), ("!", "not")].into_iter().find(|(sign, _)| *sign == word);
    if let Some((sign, keyword)) = operator {
        return Some(
            QueryError::new(span, format!("found `{sign}`")).suggestion(Some(format!("`{keyword}`"))),
        );
    }
    if let Some(field) = word.strip_prefix('!').and_then(Field::from_name) {
        return Some(
            QueryError::new(span, format!("found `!{field}`")).suggestion(Some(format!("`not {field}:…`"))),
        );
    }
    let (name, value) = word.split_once('=')?;
    let field = Field::from_name(name.trim_end_matches('!'))?;
    let (not, value) = (if name.ends_with('!') { "not " } else { "" }, value.trim_start_matches('='));
    Some(
        QueryError::new(span, "found `=` after the name of a field".to_owned())
            .expected("`:`")
            .suggestion(Some(format!("`{not}{field}:{}`", if value.is_empty() { "…" } else { value }))),
    )
}

/// What other products and people call some fields.
const ALIASES: &[(&str, Field)] = &[
    ("action", Field::EventAction),
    ("category", Field::EventCategory),
    ("cmdline", Field::ProcessCommandLine),
    ("comm", Field::ProcessName),
    ("command", Field::ProcessCommandLine),
    ("container", Field::ContainerName),
    ("cwd", Field::ProcessWorkingDirectory),
    ("destination.address", Field::DestinationIp),
    ("domain", Field::DnsQuestionName),
    ("dst", Field::DestinationIp),
    ("dst_ip", Field::DestinationIp),
    ("dst_port", Field::DestinationPort),
    ("exe", Field::ProcessExecutable),
    ("file", Field::FilePath),
    ("host", Field::HostName),
    ("hostname", Field::HostName),
    ("image", Field::ProcessExecutable),
    ("ip", Field::DestinationIp),
    ("name", Field::ProcessName),
    ("parent", Field::ProcessParentName),
    ("path", Field::FilePath),
    ("pod", Field::KubernetesPodName),
    ("port", Field::DestinationPort),
    ("ppid", Field::ProcessParentPid),
    ("process", Field::ProcessName),
    ("source.address", Field::SourceIp),
    ("src", Field::SourceIp),
    ("src_ip", Field::SourceIp),
    ("src_port", Field::SourcePort),
    ("tag", Field::HostTags),
    ("tags", Field::HostTags),
    ("time", Field::Timestamp),
    ("timestamp", Field::Timestamp),
    ("type", Field::EventAction),
    ("uid", Field::ProcessUserId),
    ("user", Field::ProcessUserName),
    ("username", Field::ProcessUserName),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_fields_find_their_name() {
        assert_eq!(nearest("proces.name"), Some(Field::ProcessName));
        assert_eq!(nearest("Process.Name"), Some(Field::ProcessName));
        assert_eq!(nearest("destination.prot"), Some(Field::DestinationPort));
        assert_eq!(nearest("pid"), Some(Field::ProcessPid));
        assert_eq!(nearest("dst_ip"), Some(Field::DestinationIp));
        assert_eq!(nearest("zzz"), None);
        assert_eq!(nearest(&"x".repeat(60_000)), None);
    }
}
