//! The API, as the command line calls it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use vedette_collector::escape;

use crate::cli::Connect;
use crate::home;

/// A collector's API with the token to call it.
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

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
        Self::local(connect, &home::resolve(std::env::var_os("VEDETTE_HOME").map(PathBuf::from))?)
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
        Self::with(url, token, ca.as_deref())
    }

    /// The collector at `url`; without a CA file the system's certificates decide.
    pub(crate) fn with(url: String, token: String, ca: Option<&Path>) -> anyhow::Result<Self> {
        let tls = tls(ca)?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .no_proxy()
            .connect_timeout(std::time::Duration::from_secs(10))
            .user_agent(concat!("vedette/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("cannot set up HTTPS")?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), token })
    }

    /// A request to `/api/v1` + `path`, which starts with a slash.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/api/v1{path}", self.url)).bearer_auth(&self.token)
    }

    /// Sends it; an answer that is not a success becomes an error with the collector's own words.
    pub(crate) async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response =
            request.send().await.with_context(|| format!("cannot reach the collector at {}", self.url))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        bail!("{}", refusal(status, &body))
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
}

/// The form in which the API refuses.
#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorText,
}

#[derive(Deserialize)]
struct ErrorText {
    message: String,
    #[serde(default)]
    hint: Option<String>,
}

fn refusal(status: StatusCode, body: &[u8]) -> String {
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(ErrorBody { error }) => {
            // A query error is drawn over several lines, so line breaks stay.
            // A query error is drawn with its suggestion in it.
            let hint = error.hint.filter(|hint| !error.message.contains(hint.as_str()));
            let lines = error.message.lines().chain(hint.iter().flat_map(|hint| hint.lines()));
            lines.map(escape::terminal).collect::<Vec<_>>().join("\n")
        }
        Err(_) => format!("the collector answered {status}"),
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

fn tls(ca: Option<&Path>) -> anyhow::Result<rustls::ClientConfig> {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;

    let mut roots = rustls::RootCertStore::empty();
    match ca {
        Some(file) => {
            let found = CertificateDer::pem_file_iter(file)
                .and_then(|certs| certs.collect::<Result<Vec<_>, _>>())
                .map_err(|error| {
                    anyhow::anyhow!("cannot read a CA certificate from {}: {error}", file.display())
                })?;
            for cert in found {
                roots
                    .add(cert)
                    .with_context(|| format!("{} holds a certificate that cannot be used", file.display()))?;
            }
        }
        None => bail!("no CA: set VEDETTE_CA or --ca to the collector's ca.pem"),
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .context("cannot set up TLS 1.3")?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
