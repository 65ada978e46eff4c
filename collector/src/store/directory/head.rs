//! A batch's header, kept so that neighbours can be told from each other by little.

use bytes::Bytes;
use wire::batch::Header;

/// A batch's header, from which its bytes come back as they were sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// One that is written as this version writes it.
    Known(Header),
    /// Any other.
    Other(Bytes),
}

impl Head {
    /// The header with these bytes.
    pub fn of(bytes: &Bytes) -> Self {
        match Header::decode(bytes) {
            Ok(header) if header.encode() == *bytes => Self::Known(header),
            _ => Self::Other(bytes.clone()),
        }
    }

    /// Its bytes, as they were sealed.
    pub fn bytes(&self) -> Bytes {
        match self {
            Self::Known(header) => header.encode(),
            Self::Other(bytes) => bytes.clone(),
        }
    }
}
