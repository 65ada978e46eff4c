//! Until when a rule lasts: a span from when it is applied, or a moment.

use std::time::Duration;

use wire::time::WallTime;

use crate::{search, span};

/// Until when a rule lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expiry {
    /// So long after it is applied.
    After(Duration),
    /// Until then.
    At(WallTime),
}

/// The shortest and the longest time that a rule may be given.
const BOUNDS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(10 * 366 * 86_400));

impl Expiry {
    /// Reads `30d`, `4h`, `2026-12-31` or `2026-12-31T12:00:00Z`.
    ///
    /// # Errors
    /// When it is neither, in the past, or sooner than a minute or later than ten years from `now`.
    pub fn parse(text: &str, now: WallTime) -> Result<Self, String> {
        let (expiry, lasts) = match span::parse(text) {
            Ok(lasts) => (Expiry::After(lasts), lasts),
            Err(_) => {
                // A span would be one ago there.
                let moment = search::moment(text, now).filter(|_| !text.trim_start().starts_with("now"));
                let at = moment.ok_or_else(|| {
                    format!("found {text:?}, expected a span such as 30d or 4h, or a time such as 2026-12-31T12:00:00Z")
                })?;
                let ns = u64::try_from(at.ns_since(now)).map_err(|_| format!("{at} is over"))?;
                (Expiry::At(at), Duration::from_nanos(ns))
            }
        };
        match lasts {
            _ if lasts < BOUNDS.0 => Err(format!("found {text:?}, expected at least a minute")),
            _ if lasts > BOUNDS.1 => Err(format!("found {text:?}, expected at most ten years")),
            _ => Ok(expiry),
        }
    }

    /// When that is, of a rule that is applied now.
    pub fn at(self, now: WallTime) -> WallTime {
        match self {
            Expiry::After(lasts) => {
                now.saturating_add_ns(i64::try_from(lasts.as_nanos()).unwrap_or(i64::MAX))
            }
            Expiry::At(at) => at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_count_from_now_and_moments_do_not() {
        let now = WallTime::from_unix_ns(1_700_000_000_000_000_000);
        let at = |text| Expiry::parse(text, now).map(|expiry| expiry.at(now).to_string());
        assert_eq!(at("1d").as_deref(), Ok("2023-11-15T22:13:20Z"));
        assert_eq!(at("2023-12-01").as_deref(), Ok("2023-12-01T00:00:00Z"));
        for wrong in ["", "soon", "now", "now-1d", "5s", "2023-01-01", "100000d", "-1d"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }
}
