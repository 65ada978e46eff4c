//! Times as the tables have them: `timestamptz`, to the microsecond.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef, Postgres};
use sqlx::{Decode, Encode, Type};
use wire::time::WallTime;

/// Microseconds between 1970-01-01 and 2000-01-01, where PostgreSQL counts from.
const PG_EPOCH_US: i64 = 946_684_800_000_000;

/// A stored moment: microseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Stamp(i64);

impl Stamp {
    /// A moment this many microseconds after the Unix epoch.
    pub const fn from_unix_us(us: i64) -> Self {
        Self(us)
    }

    /// Microseconds since the Unix epoch.
    pub const fn unix_us(self) -> i64 {
        self.0
    }

    /// The stored moment at or before `t`.
    pub const fn floor(t: WallTime) -> Self {
        Self(t.unix_ns().div_euclid(1000))
    }

    /// The stored moment at or after `t`.
    pub const fn ceil(t: WallTime) -> Self {
        let ns = t.unix_ns();
        Self(ns.div_euclid(1000) + (ns.rem_euclid(1000) != 0) as i64)
    }

    /// The moment on the wall clock.
    pub const fn wall(self) -> WallTime {
        WallTime::from_unix_ns(self.0.saturating_mul(1000))
    }

    /// This moment moved by `us`.
    #[must_use]
    pub const fn plus_us(self, us: i64) -> Self {
        Self(self.0.saturating_add(us))
    }

    /// The start of the period of `us` that holds this moment.
    #[must_use]
    pub const fn start_of(self, us: i64) -> Self {
        Self(self.0.div_euclid(us) * us)
    }

    /// As PostgreSQL sends it: microseconds since 2000.
    pub(super) const fn pg(self) -> i64 {
        self.0.saturating_sub(PG_EPOCH_US)
    }
}

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.wall().fmt(f)
    }
}

impl Type<Postgres> for Stamp {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("timestamptz")
    }
}

impl PgHasArrayType for Stamp {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("_timestamptz")
    }
}

impl Encode<'_, Postgres> for Stamp {
    fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode(self.pg(), buf)
    }
}

impl Decode<'_, Postgres> for Stamp {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let bytes: [u8; 8] = value.as_bytes()?.try_into()?;
        Ok(Self(i64::from_be_bytes(bytes).saturating_add(PG_EPOCH_US)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_keeps_a_moment_between_floor_and_ceil() {
        for ns in [-1001, -1000, -999, -1, 0, 1, 999, 1000, 1001] {
            let t = WallTime::from_unix_ns(ns);
            assert!(Stamp::floor(t).wall() <= t && t <= Stamp::ceil(t).wall(), "{ns}");
        }
        assert_eq!(Stamp::floor(WallTime::from_unix_ns(-1)).unix_us(), -1);
    }
}
