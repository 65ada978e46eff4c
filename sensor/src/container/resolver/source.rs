//! What knows the names of a runtime's containers.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Fault, cri, docker, store};
use crate::container::names::About;
use crate::container::{Id, Runtime};
use crate::host_root::HostRoot;

/// A runtime's socket, or the folder in which it keeps what it knows, as `docker:/run/docker.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    runtime: Runtime,
    path: PathBuf,
}

/// A text that names no source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {WANTED}")]
pub struct SourceError;

/// What a text must be.
const WANTED: &str =
    "docker, podman, containerd or cri-o, a colon, and an absolute path, such as docker:/run/docker.sock";

impl SourceError {
    /// What was expected in its place.
    pub fn wanted(self) -> String {
        WANTED.to_owned()
    }
}

/// What is asked when nothing else is said.
const DEFAULTS: [&str; 6] = [
    "docker:/run/docker.sock",
    "podman:/run/podman/podman.sock",
    "podman:/var/lib/containers/storage",
    "containerd:/run/containerd/containerd.sock",
    "containerd:/run/k3s/containerd/containerd.sock",
    "cri-o:/run/crio/crio.sock",
];

impl Source {
    /// Those of the runtimes as distributions set them up.
    pub fn defaults() -> Vec<Self> {
        DEFAULTS.iter().filter_map(|text| text.parse().ok()).collect()
    }

    /// Whose containers it knows.
    pub fn runtime(&self) -> Runtime {
        self.runtime
    }

    /// Asks it about a container. `None`: it does not know it. How long that takes is the caller's to bound.
    pub(super) async fn ask(&self, id: Id) -> Result<Option<About>, Fault> {
        let path = HostRoot::here().path(&self.path);
        match self.runtime {
            Runtime::Podman if path.is_dir() => store::find(&path, id),
            Runtime::Docker | Runtime::Podman => docker::inspect(&path, id).await,
            Runtime::Containerd | Runtime::CriO => cri::find(&path, id).await,
            Runtime::Lxc | Runtime::Nspawn => Err(Fault::Absent),
        }
    }

    /// Whether it answers.
    pub(super) async fn look(&self) -> Result<(), Fault> {
        let path = HostRoot::here().path(&self.path);
        match self.runtime {
            Runtime::Podman if path.is_dir() => store::look(&path),
            Runtime::Docker | Runtime::Podman => docker::ping(&path).await,
            Runtime::Containerd | Runtime::CriO => cri::version(&path).await,
            Runtime::Lxc | Runtime::Nspawn => Err(Fault::Absent),
        }
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let (name, path) = text.split_once(':').ok_or(SourceError)?;
        let runtime = Runtime::from_name(name).ok_or(SourceError)?;
        let path = PathBuf::from(path);
        let is_asked = !matches!(runtime, Runtime::Lxc | Runtime::Nspawn);
        if is_asked && path.is_absolute() { Ok(Self { runtime, path }) } else { Err(SourceError) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.runtime.name(), self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_runtime_and_a_path() {
        for text in ["docker:/run/docker.sock", "cri-o:/a:b", "podman:/var/lib/containers/storage"] {
            assert_eq!(text.parse::<Source>().map(|source| source.to_string()), Ok(text.to_owned()));
        }
        for text in
            ["", "/run/docker.sock", "rkt:/run/x", "docker:run/docker.sock", "docker:", "lxc:/x", "docker"]
        {
            assert_eq!(text.parse::<Source>(), Err(SourceError), "{text}");
        }
        assert_eq!(Source::defaults().len(), DEFAULTS.len());
    }
}
