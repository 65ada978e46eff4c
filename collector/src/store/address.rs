//! Addresses as the tables have them: `inet`.

use std::net::IpAddr;

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef, Postgres};
use sqlx::{Decode, Encode, Type};

/// An address in a column of type `inet`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Address(pub IpAddr);

impl Address {
    /// As PostgreSQL sends it: family, prefix length, whether a cidr, length, bytes.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self.0 {
            IpAddr::V4(ip) => {
                out.extend_from_slice(&[2, 32, 0, 4]);
                out.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.extend_from_slice(&[3, 128, 0, 16]);
                out.extend_from_slice(&ip.octets());
            }
        }
    }
}

impl Type<Postgres> for Address {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("inet")
    }
}

impl PgHasArrayType for Address {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("_inet")
    }
}

impl Encode<'_, Postgres> for Address {
    fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let mut bytes = Vec::with_capacity(20);
        self.write(&mut bytes);
        buf.extend_from_slice(&bytes);
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Address {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        match value.as_bytes()? {
            [2, _, _, 4, ip @ ..] => Ok(Self(IpAddr::from(<[u8; 4]>::try_from(ip)?))),
            [3, _, _, 16, ip @ ..] => Ok(Self(IpAddr::from(<[u8; 16]>::try_from(ip)?))),
            other => Err(format!("an inet of {} bytes", other.len()).into()),
        }
    }
}
