//! A word of a query as a value of its field's type, or a clear error.

use std::ops::RangeInclusive;

use super::address::Network;
use crate::field::Field;
use crate::flat::capability;
use crate::query::{QueryError, Word};
use crate::time::WallTime;
use crate::value::FieldType;

/// The word's text, for types whose values are texts of a fixed form.
pub(super) fn text(field: Field, word: &Word) -> Result<&str, QueryError> {
    let literal = word.literal().and_then(|bytes| std::str::from_utf8(bytes).ok());
    literal.ok_or_else(|| error(field, word, "a value with wildcards"))
}

/// A number, or the bounds of what it stands for.
pub(crate) fn number(field: Field, word: &Word) -> Result<i128, QueryError> {
    let found = text(field, word)?;
    let (sign, digits) = found.strip_prefix('-').map_or((1, found), |digits| (-1, digits));
    let radix = [("0x", 16), ("0X", 16), ("0o", 8)].into_iter().find_map(|(prefix, radix)| {
        Some(i128::from_str_radix(unsigned(digits.strip_prefix(prefix)?)?, radix))
    });
    let parsed = radix.or_else(|| Some(unsigned(digits)?.parse::<i128>()));
    let (least, most) = bounds(field);
    match parsed {
        Some(Ok(n)) if (least..=most).contains(&(sign * n)) => Ok(sign * n),
        _ => {
            let service = SERVICES.iter().find(|(name, _)| *name == found && most == 65_535);
            Err(error(field, word, &format!("`{}`", shown(found)))
                .suggestion(service.map(|(_, port)| format!("`{port}`"))))
        }
    }
}

/// The bits that a capability's name, or a mask as a number, stands for, and whether it was a name.
pub(super) fn capabilities(field: Field, word: &Word) -> Result<(u64, bool), QueryError> {
    let found = text(field, word)?;
    if let Some(bit) = capability::bit(found) {
        return Ok((1 << bit, true));
    }
    let number = number(field, word)
        .map_err(|error| error.suggestion(capability::nearest(found).map(|name| format!("`{name}`"))))?;
    Ok((u64::try_from(number).unwrap_or(u64::MAX), false))
}

/// True or false.
pub(super) fn truth(field: Field, word: &Word) -> Result<bool, QueryError> {
    match text(field, word)? {
        t if t.eq_ignore_ascii_case("true") => Ok(true),
        f if f.eq_ignore_ascii_case("false") => Ok(false),
        other => Err(error(field, word, &format!("`{}`", shown(other)))),
    }
}

/// An address or a network.
pub(super) fn network(field: Field, word: &Word) -> Result<Network, QueryError> {
    let found = text(field, word)?;
    found.parse().map_err(|()| error(field, word, &format!("`{}`", shown(found))))
}

/// A moment, or the day that a date stands for, in ns since 1970.
pub(super) fn time(field: Field, word: &Word, now: WallTime) -> Result<RangeInclusive<i128>, QueryError> {
    const DAY_NS: i128 = 86_400_000_000_000;
    let found = text(field, word)?;
    if let Some(ns) = relative(found, now) {
        return Ok(ns..=ns);
    }
    if let Ok(moment) = found.parse::<jiff::Timestamp>() {
        return Ok(moment.as_nanosecond()..=moment.as_nanosecond());
    }
    let day = found.parse::<jiff::civil::Date>().ok().filter(|_| found.len() == 10);
    match day.and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok()) {
        Some(start) => {
            let start = start.timestamp().as_nanosecond();
            Ok(start..=start + DAY_NS - 1)
        }
        None => Err(error(field, word, &format!("`{}`", shown(found)))),
    }
}

/// What a field takes, for messages.
pub(super) fn wanted(field: Field) -> String {
    match field.field_type() {
        _ if field == Field::ProcessCapabilities => {
            "a capability such as CAP_SYS_ADMIN, or a mask such as 0x200000".to_owned()
        }
        FieldType::Keyword | FieldType::KeywordList => "a text".to_owned(),
        FieldType::Uint | FieldType::Int => {
            let (least, most) = bounds(field);
            format!("a number from {least} to {most}")
        }
        FieldType::Bool => "true or false".to_owned(),
        FieldType::Ip => "an address such as 10.1.2.3 or a network such as 10.0.0.0/8".to_owned(),
        FieldType::Time => {
            "a time such as now-15m, 2026-01-31 (that day, in UTC) or 2026-01-31T10:30:00Z".to_owned()
        }
    }
}

/// The error for a value that does not fit its field.
pub(super) fn error(field: Field, word: &Word, found: &str) -> QueryError {
    QueryError::new(word.span, format!("found {found} as the value of {field}")).expected(wanted(field))
}

/// A piece of a value fit for a message.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

/// The least and the most that a number can be.
fn bounds(field: Field) -> (i128, i128) {
    match field {
        Field::SourcePort | Field::DestinationPort => (0, i128::from(u16::MAX)),
        Field::ProcessPid | Field::ProcessParentPid | Field::TargetProcessPid => (0, i128::from(u32::MAX)),
        _ if field.field_type() == FieldType::Int => (i128::from(i64::MIN), i128::from(i64::MAX)),
        _ => (0, i128::from(u64::MAX)),
    }
}

fn unsigned(digits: &str) -> Option<&str> {
    digits.bytes().all(|b| b.is_ascii_alphanumeric()).then_some(digits)
}

/// `now`, `now-15m`, `now+1h30m`.
fn relative(text: &str, now: WallTime) -> Option<i128> {
    let rest = text.strip_prefix("now")?;
    let now = i128::from(now.unix_ns());
    if rest.is_empty() {
        return Some(now);
    }
    let (sign, mut rest) = match (rest.strip_prefix('-'), rest.strip_prefix('+')) {
        (Some(rest), _) => (-1, rest),
        (_, Some(rest)) => (1, rest),
        _ => return None,
    };
    let mut total: i128 = 0;
    loop {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at_checked(digits)?;
        let unit = after.chars().next()?;
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let number: i128 = number.parse::<u32>().ok()?.into();
        total += number * seconds * 1_000_000_000;
        rest = after.get(1..)?;
        if rest.is_empty() {
            return Some(now + sign * total);
        }
    }
}

const UNITS: &[(char, i128)] = &[('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400), ('w', 604_800)];

/// Ports that people type by name.
const SERVICES: &[(&str, u16)] = &[
    ("dns", 53),
    ("ftp", 21),
    ("http", 80),
    ("https", 443),
    ("kafka", 9092),
    ("ldap", 389),
    ("mysql", 3306),
    ("postgres", 5432),
    ("postgresql", 5432),
    ("redis", 6379),
    ("smb", 445),
    ("smtp", 25),
    ("ssh", 22),
    ("telnet", 23),
];
