//! The API, as the command line calls it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use vedette_collector::escape;

use crate::cli::Connect;
use crate::home;

pub(crate) mod fault;

/// How long a collector may take to take a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// A collector's API with the token to call it.
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
    ca: PathBuf,
}

/// What was named is not there: nothing found, rather than an error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotFound(String);

/// What `vedette up` leaves in `$VEDETTE_HOME/collector/cli.toml` for the commands on this host.
#[derive(Deserialize)]
struct LocalCollector {
    url: String,
    token: String,
    ca: PathBuf,
}

impl Client {
    /// The collector that flags or the environment name, else the one on this host.
    pub(crate) fn new(connect: &Connect) -> anyhow::Result<Self> {
        Self::local(connect, &home::resolve(None)?)
    }

    /// The same, with the home given.
    pub(crate) fn local(connect: &Connect, home: &Path) -> anyhow::Result<Self> {
        let file = home.join("collector/cli.toml");
        let local =
            if connect.url.is_some() && connect.token.is_some() { None } else { local_collector(&file)? };
        let (url, token, ca) = match (&connect.url, &connect.token, local) {
            (Some(url), Some(token), _) => (url.clone(), token.clone(), connect.ca.clone()),
            (url, token, Some(local)) => (
                url.clone().unwrap_or(local.url),
                token.clone().unwrap_or(local.token),
                connect.ca.clone().or(Some(local.ca)),
            ),
            (Some(_), None, None) => {
                bail!("no token: set VEDETTE_TOKEN or --token (vedette token create makes one)")
            }
            (None, _, None) => bail!(
                "no collector on this host (no {}): start one with `vedette up`, or set VEDETTE_URL, VEDETTE_TOKEN and VEDETTE_CA",
                file.display()
            ),
        };
        let Some(ca) = ca else { bail!("no CA: set VEDETTE_CA or --ca to the collector's ca.pem") };
        Self::with(&url, token, ca)
    }

    fn with(url: &str, token: String, ca: PathBuf) -> anyhow::Result<Self> {
        let url = address(url)?;
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            bail!("invalid token, expected what `vedette token create` prints (vdt_…)");
        }
        let tls = tls(&ca)?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .no_proxy()
            .connect_timeout(CONNECT)
            .user_agent(concat!("vedette/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("cannot set up HTTPS")?;
        Ok(Self { http, url, token, ca })
    }

    /// A request to `/api/v1` + `path`, which starts with a slash.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/api/v1{path}", self.url)).bearer_auth(&self.token)
    }

    /// Sends it; an answer that is not a success becomes an error with the collector's own words.
    pub(crate) async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        let said = refusal(status, &body);
        if status == StatusCode::NOT_FOUND {
            return Err(NotFound(said).into());
        }
        bail!("{said}")
    }

    /// Sends it and reads one JSON value.
    pub(crate) async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> anyhow::Result<T> {
        let body = self.send(request).await?.bytes().await.context("the collector's answer broke off")?;
        serde_json::from_slice(&body)
            .context("the collector's answer is not what this version expects; are both of one version?")
    }

    /// Where it is, for messages.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// One sentence for a call that got no answer, and what to do.
    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        use rustls::CertificateError as Wrong;
        let (url, ca) = (&self.url, self.ca.display());
        match fault::certificate(error) {
            Some(Wrong::UnknownIssuer | Wrong::BadSignature) => anyhow!(
                "the collector at {url} was not certified by the CA in {ca}; take the ca.pem of this collector ($VEDETTE_HOME/collector/ca.pem on its host)"
            ),
            Some(Wrong::NotValidForName | Wrong::NotValidForNameContext { .. }) => anyhow!(
                "the collector's certificate is not for the name in {url}; call it by another, or start it with --name and this one"
            ),
            Some(wrong) => anyhow!("the certificate of the collector at {url} cannot be trusted: {wrong}"),
            None if error.is_timeout() => anyhow!(
                "no answer from {url} within {} s; is it running there, and does a firewall let TCP through?",
                CONNECT.as_secs()
            ),
            None => anyhow!(
                "cannot reach the collector at {url}: {}; is it running there, and are host and port right?",
                fault::root(error)
            ),
        }
    }
}

/// `https://HOST:PORT` out of what was given, which may be the address that `vedette up` prints.
fn address(given: &str) -> anyhow::Result<String> {
    let wrong = || anyhow!("invalid URL {given:?}, expected https://HOST:7443");
    let url = reqwest::Url::parse(given).map_err(|_| wrong())?;
    let path = url.path().trim_end_matches('/');
    let plain = url.username().is_empty() && url.query().is_none() && matches!(path, "" | "/api/v1");
    let host = url.host_str().filter(|_| url.scheme() == "https" && plain).ok_or_else(wrong)?;
    Ok(format!("https://{host}:{}", url.port_or_known_default().unwrap_or(443)))
}

/// The form in which the API refuses.
#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorText,
}

/// What the API says of an error.
#[derive(Deserialize)]
pub(crate) struct ErrorText {
    message: String,
    #[serde(default)]
    hint: Option<String>,
}

fn refusal(status: StatusCode, body: &[u8]) -> String {
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(ErrorBody { error }) => error.spoken(),
        Err(_) => format!("the collector answered {status}"),
    }
}

impl ErrorText {
    /// The message and what to do, safe for a terminal. A query error is drawn over several lines, with its
    /// suggestion in it.
    pub(crate) fn spoken(self) -> String {
        let hint = self.hint.filter(|hint| !self.message.contains(hint.as_str()));
        let lines = self.message.lines().chain(hint.iter().flat_map(|hint| hint.lines()));
        lines.map(escape::terminal).collect::<Vec<_>>().join("\n")
    }
}

fn local_collector(file: &Path) -> anyhow::Result<Option<LocalCollector>> {
    use figment::providers::{Format as _, Toml};
    match std::fs::read_to_string(file) {
        Ok(text) => figment::Figment::from(Toml::string(&text))
            .extract()
            .map(Some)
            .with_context(|| format!("{} is damaged; `vedette up` writes it anew", file.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            bail!(
                "no permission to read {}: it belongs to who ran `vedette up`; run as that user, or set VEDETTE_URL, VEDETTE_TOKEN and VEDETTE_CA",
                file.display()
            )
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

fn tls(ca: &Path) -> anyhow::Result<rustls::ClientConfig> {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;

    let file = ca.display();
    let pem = std::fs::read(ca).with_context(|| format!("cannot read the CA certificate {file}"))?;
    let found = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| anyhow!("cannot read the CA certificate {file}: {error}"))?;
    if found.is_empty() {
        bail!("{file} holds no certificate, expected the collector's ca.pem");
    }
    let mut roots = rustls::RootCertStore::empty();
    for cert in found {
        roots.add(cert).with_context(|| format!("{file} holds a certificate that cannot be used"))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .context("cannot set up TLS 1.3")?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_https_and_may_have_the_path_of_the_api() {
        for given in ["https://c:7443", "https://c:7443/", "https://c:7443/api/v1", "https://c:7443/api/v1/"]
        {
            assert_eq!(address(given).unwrap(), "https://c:7443");
        }
        assert_eq!(address("https://[::1]").unwrap(), "https://[::1]:443");
        for given in ["c:7443", "http://c:7443", "https://", "https://u:p@c", "https://c/x", "https://c?x"] {
            let error = address(given).unwrap_err().to_string();
            assert!(error.contains("expected https://HOST:7443"), "{given}: {error}");
        }
    }
}
