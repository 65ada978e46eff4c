//! Times as people write them: `15m` (ago), `now-15m`, `2026-01-31`, `2026-01-31T12:00:00Z`.

use wire::time::WallTime;

use crate::span;

/// Reads a moment. A span stands for that long ago; a date for its first moment in UTC.
pub fn parse(text: &str, now: WallTime) -> Option<WallTime> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("now") {
        return Some(now);
    }
    let ago = text.strip_prefix("now-").unwrap_or(text);
    if let Ok(span) = span::parse(ago) {
        let ns = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        return Some(now.saturating_add_ns(ns.saturating_neg()));
    }
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Some(clamped(moment));
    }
    let date = text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() == 10)?;
    Some(clamped(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp()))
}

fn clamped(moment: jiff::Timestamp) -> WallTime {
    let ns = moment.as_nanosecond();
    WallTime::from_unix_ns(i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now = WallTime::from_unix_ns(1_700_000_000_000_000_000);
        let shown = |text| parse(text, now).map(|t| t.to_string());
        assert_eq!(shown("now").as_deref(), Some("2023-11-14T22:13:20Z"));
        assert_eq!(shown("15m").as_deref(), Some("2023-11-14T21:58:20Z"));
        assert_eq!(shown("now-1d").as_deref(), Some("2023-11-13T22:13:20Z"));
        assert_eq!(shown("2023-01-31").as_deref(), Some("2023-01-31T00:00:00Z"));
        assert_eq!(shown("2023-01-31T10:00:00+02:00").as_deref(), Some("2023-01-31T08:00:00Z"));
        for wrong in ["", "soon", "-15m", "2023-02-30", "15", "2023-01-31T10:00:00"] {
            assert_eq!(parse(wrong, now), None, "{wrong}");
        }
    }

    #[test]
    fn far_away_saturates() {
        let now = WallTime::from_unix_ns(1_700_000_000_000_000_000);
        assert_eq!(parse("9999-01-01", now), Some(WallTime::from_unix_ns(i64::MAX)));
        assert_eq!(parse("0001-01-01T00:00:00Z", now), Some(WallTime::from_unix_ns(i64::MIN)));
    }
}
