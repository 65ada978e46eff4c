//! What a record says, as text.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::{Name, RecordType};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};

use super::name::{name, string};

/// The obsolete type of SPF records (RFC 7208, 14.1).
const SPF: u16 = 99;
/// More bytes of a record that is not known are not told.
const GENERIC_BYTES: usize = 128;

/// The bytes of a record as they lie in a message, which names in them lead back into.
pub(super) struct Data<'a> {
    decoder: BinDecoder<'a>,
    bytes: &'a [u8],
    end: usize,
}

impl<'a> Data<'a> {
    /// What lies where `decoder` is: these bytes.
    pub(super) fn new(decoder: BinDecoder<'a>, bytes: &'a [u8]) -> Self {
        let end = decoder.index() + bytes.len();
        Self { decoder, bytes, end }
    }

    /// What they say: addresses and names as such, texts without quotes, and what is not known or is not as it should be
    /// in the way of RFC 3597, 5.
    pub(super) fn text(mut self, kind: RecordType) -> String {
        match self.known(kind) {
            Some(text) if self.decoder.index() == self.end => text,
            _ => generic(kind, self.bytes),
        }
    }

    fn known(&mut self, kind: RecordType) -> Option<String> {
        match kind {
            RecordType::A => Some(Ipv4Addr::from(<[u8; 4]>::try_from(self.rest()?).ok()?).to_string()),
            RecordType::AAAA => Some(Ipv6Addr::from(<[u8; 16]>::try_from(self.rest()?).ok()?).to_string()),
            RecordType::CNAME | RecordType::NS | RecordType::PTR | RecordType::DNAME => self.name(),
            RecordType::MX => Some(format!("{} {}", self.u16()?, self.name()?)),
            RecordType::SRV => {
                Some(format!("{} {} {} {}", self.u16()?, self.u16()?, self.u16()?, self.name()?))
            }
            RecordType::SOA => {
                let mut text = format!("{} {}", self.name()?, self.name()?);
                for _ in ["serial", "refresh", "retry", "expire", "minimum"] {
                    write!(text, " {}", self.u32()?).ok()?;
                }
                Some(text)
            }
            RecordType::TXT | RecordType::Unknown(SPF) => self.strings(),
            RecordType::HTTPS | RecordType::SVCB => {
                let mut text = format!("{} {}", self.u16()?, self.name()?);
                while self.decoder.index() < self.end {
                    let (key, len) = (self.u16()?, self.u16()?);
                    parameter(&mut text, key, self.take(len.into())?)?;
                }
                Some(text)
            }
            _ => None,
        }
    }

    /// Texts of up to 255 bytes, joined: most are parts of a longer one.
    fn strings(&mut self) -> Option<String> {
        let mut text = String::new();
        while self.decoder.index() < self.end {
            let len = self.decoder.pop().ok()?.unverified(/* any length is valid */);
            string(&mut text, self.take(len.into())?);
        }
        Some(text)
    }

    fn rest(&mut self) -> Option<&'a [u8]> {
        self.take(self.bytes.len())
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        Some(self.decoder.read_slice(len).ok()?.unverified(/* bytes */))
    }

    fn u16(&mut self) -> Option<u16> {
        Some(self.decoder.read_u16().ok()?.unverified(/* a number */))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(self.decoder.read_u32().ok()?.unverified(/* a number */))
    }

    fn name(&mut self) -> Option<String> {
        Name::read(&mut self.decoder).ok().map(|found| name(&found))
    }
}

/// A parameter of a service binding (RFC 9460, 14.3): addresses as such, others in hex.
fn parameter(text: &mut String, key: u16, value: &[u8]) -> Option<()> {
    const IPV4_HINT: u16 = 4;
    const IPV6_HINT: u16 = 6;
    let hints: Vec<String> = match key {
        IPV4_HINT => value.as_chunks().0.iter().map(|ip: &[u8; 4]| Ipv4Addr::from(*ip).to_string()).collect(),
        IPV6_HINT => {
            value.as_chunks().0.iter().map(|ip: &[u8; 16]| Ipv6Addr::from(*ip).to_string()).collect()
        }
        _ => vec![hex::encode(value)],
    };
    match key {
        IPV4_HINT => write!(text, " ipv4hint={}", hints.join(",")),
        IPV6_HINT => write!(text, " ipv6hint={}", hints.join(",")),
        _ => write!(text, " key{key}={}", hints.join("")),
    }
    .ok()
}

fn generic(kind: RecordType, bytes: &[u8]) -> String {
    let shown = bytes.get(..GENERIC_BYTES).unwrap_or(bytes);
    format!("{} \\# {} {}", type_name(kind), bytes.len(), hex::encode(shown))
}

/// A type's name, `TYPE` and its number where it has none (RFC 3597, 5).
pub(super) fn type_name(kind: RecordType) -> String {
    match kind {
        RecordType::Unknown(_) | RecordType::ANAME | RecordType::ZERO => format!("TYPE{}", u16::from(kind)),
        known => <&str>::from(known).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: RecordType, bytes: &[u8], expected: &str) {
        assert_eq!(Data::new(BinDecoder::new(bytes), bytes).text(kind), expected);
    }

    #[test]
    fn records_are_told_as_people_write_them() {
        check(RecordType::A, &[192, 0, 2, 1], "192.0.2.1");
        check(RecordType::AAAA, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "2001:db8::1");
        check(RecordType::CNAME, b"\x03WWW\x07example\0", "www.example");
        check(RecordType::MX, b"\0\x0a\x04mail\0", "10 mail");
        check(RecordType::SRV, b"\0\x01\0\x02\x14\xe9\x04host\0", "1 2 5353 host");
        check(RecordType::TXT, b"\x03a b\x02\"\xff", "a b\\\"\\255");
        check(RecordType::TXT, b"\0", "");
        check(
            RecordType::SOA,
            b"\x02ns\0\x01m\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05",
            "ns m 1 2 3 4 5",
        );
        check(
            RecordType::HTTPS,
            b"\0\x01\0\0\x01\0\x03\x02h2\0\x04\0\x08\xc0\0\x02\x01\xc0\0\x02\x02",
            "1 . key1=026832 ipv4hint=192.0.2.1,192.0.2.2",
        );
    }

    #[test]
    fn what_is_not_known_or_not_as_it_should_be_is_told_as_bytes() {
        check(RecordType::from(4711), b"\x01\xff", "TYPE4711 \\# 2 01ff");
        check(RecordType::DNSKEY, b"\x01", "DNSKEY \\# 1 01");
        check(RecordType::A, &[1, 2, 3], "A \\# 3 010203");
        check(RecordType::MX, &[1], "MX \\# 1 01");
        check(RecordType::TXT, b"\x05a", "TXT \\# 2 0561");
        check(RecordType::CNAME, b"\x01a\0\0", "CNAME \\# 4 01610000");
        check(RecordType::NULL, &[7; 1000], &format!("NULL \\# 1000 {}", "07".repeat(128)));
        check(RecordType::SVCB, b"\0\x01\0\0\x01\xff\xff", "SVCB \\# 7 0001000001ffff");
    }
}
