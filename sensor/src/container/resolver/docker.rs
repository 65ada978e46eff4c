//! Docker's HTTP API, which Podman speaks too: `GET /containers/ID/json` over a unix socket.

use std::collections::HashMap;
use std::path::Path;
use std::pin::pin;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::UnixStream;

use super::{Fault, MAX_ANSWER_BYTES, name};
use crate::container::Id;
use crate::container::names::About;

/// The most bytes of an answer's head that wait to be read.
const MAX_HEAD_BYTES: usize = 32 << 10;

/// What is read of a container.
#[derive(Debug, Deserialize)]
struct Inspected {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Config")]
    config: Option<Config>,
}

#[derive(Debug, Default, Deserialize)]
struct Config {
    #[serde(rename = "Image", default)]
    image: String,
    #[serde(rename = "Labels")]
    labels: Option<HashMap<String, String>>,
}

/// What the runtime behind this socket says of a container; `None` if it does not know it.
pub(super) async fn inspect(socket: &Path, id: Id) -> Result<Option<About>, Fault> {
    match get(socket, &format!("/containers/{id}/json")).await? {
        (StatusCode::OK, body) => read(&body, id).map(Some).ok_or(Fault::Garbled),
        (StatusCode::NOT_FOUND, _) => Ok(None),
        _ => Err(Fault::Garbled),
    }
}

/// Whether it answers.
pub(super) async fn ping(socket: &Path) -> Result<(), Fault> {
    match get(socket, "/_ping").await? {
        (StatusCode::OK, _) => Ok(()),
        _ => Err(Fault::Garbled),
    }
}

async fn get(socket: &Path, path: &str) -> Result<(StatusCode, Bytes), Fault> {
    let stream = UnixStream::connect(socket).await.map_err(|_| Fault::Absent)?;
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MAX_HEAD_BYTES);
    let (mut sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|_| Fault::Garbled)?;
    let request = Request::get(path).header("host", "localhost").header("connection", "close");
    let request = request.body(Empty::<Bytes>::new()).map_err(|_| Fault::Garbled)?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(|_| Fault::Garbled)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        Ok((status, body.map_err(|_| Fault::Garbled)?.to_bytes()))
    };
    let (mut exchange, connection) = (pin!(exchange), pin!(connection));
    tokio::select! {
        done = &mut exchange => done,
        // The other side has closed; what it said by then is there.
        _ = connection => exchange.await,
    }
}

fn read(body: &[u8], id: Id) -> Option<About> {
    let Inspected { id: found, name: own, config } = serde_json::from_slice(body).ok()?;
    if Id::parse(found.as_bytes()) != Some(id) {
        return None;
    }
    let Config { image, labels } = config.unwrap_or_default();
    let mut labels = labels.unwrap_or_default();
    let mut label = |key: &str| labels.remove(&format!("io.kubernetes.{key}")).unwrap_or_default();
    // In a pod Docker's own name is made of all the others.
    let own = match label("container.name") {
        of_pod if of_pod.is_empty() => own.strip_prefix('/').map_or(own.clone(), str::to_owned),
        of_pod => of_pod,
    };
    Some(About {
        name: name(own),
        image: name(image),
        pod: name(label("pod.name")),
        namespace: name(label("pod.namespace")),
        ..About::default()
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const ID: &str = "3f4a0b6c2d1e8f7a9b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6";

    fn check(rest: &str, expected: Option<[&'static str; 4]>) {
        let body = format!(r#"{{"Id": "{ID}", {rest}}}"#);
        let found = read(body.as_bytes(), Id::parse(ID.as_bytes()).unwrap());
        let found = found.map(|about| [about.name, about.image, about.pod, about.namespace]);
        assert_eq!(found, expected.map(|texts| texts.map(Bytes::from)), "{rest}");
    }

    #[test]
    fn names_stand_where_docker_and_podman_put_them() {
        check(
            r#""Name": "/web", "Config": {"Image": "nginx:1.27", "Labels": {}}"#,
            Some(["web", "nginx:1.27", "", ""]),
        );
        check(r#""Name": "/web", "Config": {"Labels": null}"#, Some(["web", "", "", ""]));
        check(r#""Name": "/web""#, Some(["web", "", "", ""]));
        check(
            r#""Name": "/k8s_app_web-0_shop_uid_0", "Config": {"Image": "sha256:ab", "Labels": {
               "io.kubernetes.container.name": "app", "io.kubernetes.pod.name": "web-0",
               "io.kubernetes.pod.namespace": "shop"}}"#,
            Some(["app", "sha256:ab", "web-0", "shop"]),
        );
    }

    #[test]
    fn what_is_no_answer_about_this_container_is_none() {
        check(r#""Name": 7"#, None);
        check(r#""Name": "/web", "Config": []"#, None);
        let other = format!(r#"{{"Id": "{}", "Name": "/web"}}"#, ID.replace('3', "4"));
        assert!(read(other.as_bytes(), Id::parse(ID.as_bytes()).unwrap()).is_none());
        let deep = "[".repeat(1 << 19);
        assert!(read(deep.as_bytes(), Id::parse(ID.as_bytes()).unwrap()).is_none());
    }

    #[test]
    fn a_name_is_cut() {
        let long = "n".repeat(10_000);
        let body = format!(r#"{{"Id": "{ID}", "Name": "/{long}"}}"#);
        let found = read(body.as_bytes(), Id::parse(ID.as_bytes()).unwrap()).unwrap();
        assert_eq!(found.name.len(), super::super::MAX_NAME_BYTES);
    }
}
