//! One HTTPS call, with whatever one likes in it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use vedette_collector::ca::Authority;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// A place to call, and whom to believe.
pub(crate) struct Https {
    address: SocketAddr,
    tls: Arc<rustls::ClientConfig>,
}

impl Https {
    pub(crate) fn to(address: SocketAddr, authority: &Authority) -> Self {
        let mut tls = (*crate::identities::tls(authority, None)).clone();
        tls.alpn_protocols.clear();
        Self { address, tls: Arc::new(tls) }
    }

    /// Calls a path below `/api/v1`.
    pub(crate) fn call(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> Answer {
        let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let request = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: collector\r\nConnection: close\r\n{bearer}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.send(&request)
    }

    /// Sends a request as it stands. Who answers before it has heard all of it and closes may have its answer overtaken by the
    /// reset of the connection (RFC 9112, 9.6): then once more.
    pub(crate) fn send(&self, request: &str) -> Answer {
        let answers = (0..5).map(|_| self.try_to_send(request));
        let mut said = String::new();
        for answer in answers {
            match answer {
                Ok(answer) => return answer,
                Err(heard) => said = heard,
            }
        }
        panic!("no answer to {request:.100}: {said}")
    }

    fn try_to_send(&self, request: &str) -> Result<Answer, String> {
        let name = ServerName::try_from(wire::enrolment::COLLECTOR_NAME).unwrap();
        let session = rustls::ClientConnection::new(self.tls.clone(), name).unwrap();
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut stream = rustls::StreamOwned::new(session, socket);
        // It may have answered and closed before it has heard all of it.
        drop(stream.write_all(request.as_bytes()));
        let mut answer = Vec::new();
        // The collector may end the connection without a word of TLS.
        drop(stream.read_to_end(&mut answer));
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let Some(status) = status else { return Err(answer) };
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
        Ok(Answer { status, body })
    }
}
