//! Spans of time as people write them: `10m`, `12h`, `30d`.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// A text that is not a span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid span of time {found:?}, expected a number and a unit such as 10m, 12h or 30d")]
pub struct SpanError {
    found: String,
}

/// Reads a positive span; a day has 24 hours.
///
/// # Errors
/// When it is not a span, is zero or negative, or counts in months or years, whose length varies.
pub fn parse(text: &str) -> Result<Duration, SpanError> {
    let bad = || SpanError { found: text.chars().take(64).collect() };
    let span: Span = text.trim().parse().map_err(|_| bad())?;
    if span.get_months() != 0 || span.get_years() != 0 {
        return Err(bad());
    }
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| bad())?;
    Duration::try_from(duration).ok().filter(|d| !d.is_zero()).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        let seconds = |text| parse(text).map(|d| d.as_secs());
        assert_eq!(seconds("10m"), Ok(600));
        assert_eq!(seconds("12h"), Ok(43_200));
        assert_eq!(seconds("30d"), Ok(2_592_000));
        assert_eq!(seconds("2w"), Ok(1_209_600));
        for wrong in ["", "10", "-1d", "0s", "1y", "3 months", "soon", "99999999999999999999d"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
