//! From a collector's address as configured to addresses to try.

use std::io;
use std::net::SocketAddr;

/// Every address of `host:port`, in the resolver's order. The system's resolver, in a thread.
///
/// # Errors
/// When the text is not an address, or the name has none.
pub(super) async fn resolve(address: &str) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host(address).await?.collect())
}
