//! IP addresses and networks.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network in CIDR notation; the bits after the prefix are zero. IPv4-mapped ones are IPv4.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// The first `bits` of an address; more bits than it has count as all.
    pub fn new(address: IpAddr, bits: u8) -> Self {
        match address {
            IpAddr::V6(v6) if bits >= 96 && v6.to_ipv4_mapped().is_some() => {
                Self::new(address.to_canonical(), bits - 96)
            }
            IpAddr::V6(v6) => {
                let bits = bits.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                Self { address: IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask)), bits }
            }
            IpAddr::V4(v4) => {
                let bits = bits.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                Self { address: IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask)), bits }
            }
        }
    }

    /// Its first address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits are fixed.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Whether it is a single address.
    pub fn is_single(&self) -> bool {
        self.bits == if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// Whether an address lies in it. Addresses of the other family never do.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4()
            && Network::new(address, self.bits).address == self.address
    }
}

impl FromStr for Network {
    type Err = ();

    /// An address, or an address with `/` and the length of its prefix.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) if !bits.starts_with('+') => {
                (address, Some(bits.parse::<u8>().map_err(|_| ())?))
            }
            Some(_) => return Err(()),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(all);
        if bits > all { Err(()) } else { Ok(Network::new(address, bits)) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_single() { self.address.fmt(f) } else { write!(f, "{}/{}", self.address, self.bits) }
    }
}

/// A condition on an address: one of these, or within one of those.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AddressTest {
    pub(super) addresses: HashSet<IpAddr>,
    pub(super) networks: Vec<Network>,
}

impl AddressTest {
    pub(super) fn new(network: Network) -> Self {
        let mut test = Self::default();
        if network.is_single() {
            test.addresses.insert(network.address);
        } else {
            test.networks.push(network);
        }
        test
    }

    pub(super) fn matches(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.addresses.contains(&address) || self.networks.iter().any(|network| network.contains(address))
    }

    /// An address as its column's string holds it: 4 or 16 bytes.
    pub(super) fn matches_bytes(&self, bytes: &[u8]) -> bool {
        let address = match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
            (Ok(v4), _) => IpAddr::from(v4),
            (_, Ok(v6)) => IpAddr::from(v6),
            _ => return false,
        };
        self.matches(address)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().expect("a network")
    }

    #[test]
    fn networks_hold_their_addresses() {
        assert!(network("10.0.0.0/8").contains("10.1.2.3".parse().unwrap()));
        assert!(!network("10.0.0.0/8").contains("11.0.0.0".parse().unwrap()));
        assert!(network("0.0.0.0/0").contains("255.0.0.1".parse().unwrap()));
        assert!(!network("0.0.0.0/0").contains("::1".parse().unwrap()));
        assert!(network("2001:db8::/32").contains("2001:db8:1::".parse().unwrap()));
        assert!(!network("2001:db8::/32").contains("2001:db9::".parse().unwrap()));
        assert_eq!(network("10.9.8.7/8").to_string(), "10.0.0.0/8");
        assert!("10.0.0.0/33".parse::<Network>().is_err() && "10.0.0/8".parse::<Network>().is_err());
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        assert_eq!(network("::ffff:1.2.3.4"), network("1.2.3.4"));
        assert_eq!(network("::ffff:10.0.0.0/104"), network("10.0.0.0/8"));
        let test = AddressTest::new(network("1.2.3.4"));
        assert!(test.matches("::ffff:1.2.3.4".parse().unwrap()));
        assert!(test.matches_bytes(&[1, 2, 3, 4]) && !test.matches_bytes(&[1, 2, 3]));
    }
}
