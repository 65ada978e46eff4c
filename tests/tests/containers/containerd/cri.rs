//! What a kubelet asks of a runtime: `runtime.v1` (`k8s.io/cri-api/pkg/apis/runtime/v1/api.proto`), as far as it is needed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tonic::Request;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic_prost::ProstCodec;

/// Makes pods whose containers share the host's network, so that nobody has to make another one.
pub(super) struct Kubelet {
    socket: PathBuf,
    cgroup_parent: String,
    logs: String,
    runtime: Runtime,
}

impl Kubelet {
    pub(super) fn new(socket: &Path, cgroup_parent: &str, folder: &Path) -> Self {
        Self {
            socket: socket.into(),
            cgroup_parent: cgroup_parent.into(),
            logs: folder.join("logs").to_str().unwrap().into(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        }
    }

    /// Starts a pod without containers; the answer is its sandbox's id.
    pub(super) fn run_pod(&self, name: &str, namespace: &str) -> String {
        let request = RunPodSandboxRequest { config: Some(self.pod(name, namespace)) };
        let answer: RunPodSandboxResponse = self.call("RunPodSandbox", request);
        answer.pod_sandbox_id
    }

    /// Starts a container in it; the answer is its id.
    pub(super) fn start(&self, pod: &str, name: &str, image: &str, command: &[&str]) -> String {
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata { name: name.into() }),
            image: Some(ImageSpec { image: image.into() }),
            command: command.iter().map(|word| (*word).into()).collect(),
            log_path: format!("{name}.log"),
        };
        let request = CreateContainerRequest {
            pod_sandbox_id: pod.into(),
            config: Some(config),
            sandbox_config: Some(self.pod("shop-0", "retail")),
        };
        let created: CreateContainerResponse = self.call("CreateContainer", request);
        let Empty {} = self.call("StartContainer", IdRequest { id: created.container_id.clone() });
        created.container_id
    }

    /// Runs a command in a container.
    pub(super) fn exec(&self, container: &str, command: &[&str]) {
        let command = command.iter().map(|word| (*word).into()).collect();
        let request = ExecSyncRequest { container_id: container.into(), command, timeout: 30 };
        let Empty {} = self.call("ExecSync", request);
    }

    /// Stops a pod and all that is in it.
    pub(super) fn remove_pod(&self, pod: &str) {
        for method in ["StopPodSandbox", "RemovePodSandbox"] {
            let Empty {} = self.call(method, IdRequest { id: pod.into() });
        }
    }

    fn pod(&self, name: &str, namespace: &str) -> PodSandboxConfig {
        const NODE: i32 = 2;
        let options = NamespaceOption { network: NODE };
        let security = LinuxSandboxSecurityContext { namespace_options: Some(options) };
        PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: name.into(),
                uid: "0ccf6f1b-5a3e-4f54-9d77-2a1f8d0c9e11".into(),
                namespace: namespace.into(),
            }),
            log_directory: self.logs.clone(),
            labels: [("tier", "front"), ("app", "shop"), ("io.kubernetes.pod.name", name)]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: self.cgroup_parent.clone(),
                security_context: Some(security),
            }),
        }
    }

    fn call<Q, A>(&self, method: &str, request: Q) -> A
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        self.runtime.block_on(async {
            let path = format!("/runtime.v1.RuntimeService/{method}").parse().unwrap();
            let mut client = Grpc::new(self.connect().await);
            client.ready().await.unwrap();
            let answer = client.unary(Request::new(request), path, ProstCodec::<Q, A>::default()).await;
            answer.unwrap_or_else(|status| panic!("{method}: {status}")).into_inner()
        })
    }

    async fn connect(&self) -> Channel {
        let socket = self.socket.clone();
        let connector = tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        Endpoint::from_static("http://localhost").connect_with_connector(connector).await.unwrap()
    }
}

#[derive(Clone, PartialEq, Message)]
struct Empty {}

#[derive(Clone, PartialEq, Message)]
struct IdRequest {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct RunPodSandboxRequest {
    #[prost(message, optional, tag = "1")]
    config: Option<PodSandboxConfig>,
}

#[derive(Clone, PartialEq, Message)]
struct RunPodSandboxResponse {
    #[prost(string, tag = "1")]
    pod_sandbox_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct PodSandboxConfig {
    #[prost(message, optional, tag = "1")]
    metadata: Option<PodSandboxMetadata>,
    #[prost(string, tag = "3")]
    log_directory: String,
    #[prost(btree_map = "string, string", tag = "6")]
    labels: BTreeMap<String, String>,
    #[prost(message, optional, tag = "8")]
    linux: Option<LinuxPodSandboxConfig>,
}

#[derive(Clone, PartialEq, Message)]
struct PodSandboxMetadata {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    uid: String,
    #[prost(string, tag = "3")]
    namespace: String,
}

#[derive(Clone, PartialEq, Message)]
struct LinuxPodSandboxConfig {
    #[prost(string, tag = "1")]
    cgroup_parent: String,
    #[prost(message, optional, tag = "2")]
    security_context: Option<LinuxSandboxSecurityContext>,
}

#[derive(Clone, PartialEq, Message)]
struct LinuxSandboxSecurityContext {
    #[prost(message, optional, tag = "1")]
    namespace_options: Option<NamespaceOption>,
}

#[derive(Clone, PartialEq, Message)]
struct NamespaceOption {
    #[prost(int32, tag = "1")]
    network: i32,
}

#[derive(Clone, PartialEq, Message)]
struct CreateContainerRequest {
    #[prost(string, tag = "1")]
    pod_sandbox_id: String,
    #[prost(message, optional, tag = "2")]
    config: Option<ContainerConfig>,
    #[prost(message, optional, tag = "3")]
    sandbox_config: Option<PodSandboxConfig>,
}

#[derive(Clone, PartialEq, Message)]
struct CreateContainerResponse {
    #[prost(string, tag = "1")]
    container_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerConfig {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ContainerMetadata>,
    #[prost(message, optional, tag = "2")]
    image: Option<ImageSpec>,
    #[prost(string, repeated, tag = "3")]
    command: Vec<String>,
    #[prost(string, tag = "11")]
    log_path: String,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerMetadata {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct ImageSpec {
    #[prost(string, tag = "1")]
    image: String,
}

#[derive(Clone, PartialEq, Message)]
struct ExecSyncRequest {
    #[prost(string, tag = "1")]
    container_id: String,
    #[prost(string, repeated, tag = "2")]
    command: Vec<String>,
    #[prost(int64, tag = "3")]
    timeout: i64,
}
