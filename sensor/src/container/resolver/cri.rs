//! The container runtime interface of Kubernetes, v1: gRPC over a unix socket, as containerd and CRI-O speak it.
//!
//! A list that is narrowed to one id is asked for first: to ask for the state of what is no container fills the runtime's
//! log with errors. Only the state has the image's name where the kubelet named it by its digest.

use std::path::Path;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::http::uri::{PathAndQuery, Uri};
use hyper::http::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::UnixStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tower::Service;

use super::{Fault, MAX_ANSWER_BYTES, name};
use crate::container::Id;
use crate::container::names::About;
use message::{
    ContainerStatusRequest, ContainerStatusResponse, IdFilter, ListContainersResponse,
    ListPodSandboxResponse, ListRequest, PodSandbox, PodSandboxMetadata, VersionRequest, VersionResponse,
};

mod message;

/// The most bytes of an answer's headers.
const MAX_HEADER_BYTES: u32 = 16 << 10;
/// The most labels of a pod that are kept.
const MAX_LABELS: usize = 16;
/// So many bytes of an answer may be under way.
const WINDOW_BYTES: u32 = 64 << 10;

/// What the runtime behind this socket says of a container or a pod's sandbox; `None` if it does not know it.
pub(super) async fn find(socket: &Path, id: Id) -> Result<Option<About>, Fault> {
    let mut client = Client::connect(socket).await?;
    let id = id.to_string();
    let listed: ListContainersResponse = client.call("ListContainers", ListRequest::of(&id)).await?;
    let Some(container) = listed.containers.into_iter().find(|container| container.id == id) else {
        // The sandbox of a pod is no container to Kubernetes, though it has a group and a process of its own.
        let pod = pod(&mut client, &id).await?;
        return Ok(pod.map(of_pod));
    };
    let pod = pod(&mut client, &container.pod_sandbox_id).await?.unwrap_or_default();
    let request = ContainerStatusRequest { container_id: id };
    let state: ContainerStatusResponse = client.call("ContainerStatus", request).await?;
    let image = state.status.and_then(|status| status.image).or(container.image);
    Ok(Some(About {
        name: name(container.metadata.unwrap_or_default().name),
        image: name(image.unwrap_or_default().image),
        ..of_pod(pod)
    }))
}

/// What is said of all containers of a pod.
fn of_pod(pod: PodSandbox) -> About {
    let PodSandboxMetadata { name: own, namespace } = pod.metadata.unwrap_or_default();
    let labels = pod.labels.into_iter().filter(|(key, _)| !is_of_kubelet(key));
    About {
        pod: name(own),
        namespace: name(namespace),
        labels: labels.take(MAX_LABELS).map(|(key, value)| name(format!("{key}={value}"))).collect(),
        ..About::default()
    }
}

/// Labels by which the kubelet finds a pod again, whose names stand in fields of their own.
fn is_of_kubelet(key: &str) -> bool {
    key.starts_with("io.kubernetes.")
}

/// Whether it answers, and speaks this version of the interface.
pub(super) async fn version(socket: &Path) -> Result<(), Fault> {
    let request = VersionRequest { version: String::new() };
    let _: VersionResponse = Client::connect(socket).await?.call("Version", request).await?;
    Ok(())
}

async fn pod(client: &mut Client, id: &str) -> Result<Option<PodSandbox>, Fault> {
    // An empty filter would ask for all.
    if id.is_empty() {
        return Ok(None);
    }
    let listed: ListPodSandboxResponse = client.call("ListPodSandbox", ListRequest::of(id)).await?;
    Ok(listed.items.into_iter().find(|pod| pod.id == id))
}

/// One connection, which is not made anew when it ends: whoever closes it at once would be called all the time.
struct Client {
    grpc: Grpc<Sender>,
    _connection: AbortOnDropHandle<hyper::Result<()>>,
}

/// A connection's requests, as a service.
struct Sender(http2::SendRequest<Body>);

impl Client {
    async fn connect(socket: &Path) -> Result<Self, Fault> {
        let stream = UnixStream::connect(socket).await.map_err(|_| Fault::Absent)?;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.max_header_list_size(MAX_HEADER_BYTES).initial_stream_window_size(WINDOW_BYTES);
        builder.initial_connection_window_size(WINDOW_BYTES);
        let (sender, connection) =
            builder.handshake(TokioIo::new(stream)).await.map_err(|_| Fault::Garbled)?;
        Ok(Self {
            // HTTP wants a host's name in each request; on a socket any will do.
            grpc: Grpc::with_origin(Sender(sender), Uri::from_static("http://localhost"))
                .max_decoding_message_size(MAX_ANSWER_BYTES),
            _connection: AbortOnDropHandle::new(tokio::spawn(connection)),
        })
    }

    async fn call<Q, A>(&mut self, method: &str, request: Q) -> Result<A, Fault>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let path = format!("/runtime.v1.RuntimeService/{method}");
        let path = PathAndQuery::from_maybe_shared(path).map_err(|_| Fault::Garbled)?;
        self.grpc.ready().await.map_err(|_| Fault::Garbled)?;
        let request = tonic::Request::new(request);
        let answer = self.grpc.unary(request, path, ProstCodec::<Q, A>::default()).await;
        answer.map(tonic::Response::into_inner).map_err(|status| fault(&status))
    }
}

impl Service<Request<Body>> for Sender {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, hyper::Result<Response<Incoming>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

impl ListRequest {
    /// For what has this id only.
    fn of(id: &str) -> Self {
        Self { filter: Some(IdFilter { id: id.to_owned() }) }
    }
}

fn fault(status: &Status) -> Fault {
    match status.code() {
        // Containerd without this interface, or with an older version of it only.
        Code::Unimplemented => Fault::Absent,
        Code::DeadlineExceeded | Code::Cancelled => Fault::Late,
        _ => Fault::Garbled,
    }
}
