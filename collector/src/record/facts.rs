//! What is known of a host beside its name and its tags.

use std::net::{IpAddr, SocketAddr};

/// A host, as its last session has told. What is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// The kernel's release.
    pub kernel: String,
    /// The architecture, as `uname -m` says.
    pub arch: String,
    /// The sensor's version.
    pub sensor_version: String,
    /// Where it last called from: an address, or an address and a port.
    pub address: Option<String>,
}

impl HostFacts {
    /// The address it last called from.
    pub fn ip(&self) -> Option<IpAddr> {
        let address = self.address.as_deref()?;
        let socket = address.parse::<SocketAddr>().map(|socket| socket.ip());
        socket.or_else(|_| address.parse()).ok().map(|ip| ip.to_canonical())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_without_its_port() {
        let ip = |address: &str| {
            let facts = HostFacts { address: Some(address.to_owned()), ..HostFacts::default() };
            facts.ip().map(|ip| ip.to_string())
        };
        assert_eq!(ip("10.0.0.7:51234").as_deref(), Some("10.0.0.7"));
        assert_eq!(ip("[2001:db8::7]:1").as_deref(), Some("2001:db8::7"));
        assert_eq!(ip("[::ffff:10.0.0.7]:1").as_deref(), Some("10.0.0.7"));
        assert_eq!(ip("2001:db8::7").as_deref(), Some("2001:db8::7"));
        assert_eq!(ip("web-1"), None);
    }
}
