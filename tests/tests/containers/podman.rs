//! Podman with runc, everything of which lies in the place's folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::image::{self, IMAGE};
use crate::place::{Place, Server, said};

/// Podman with one image.
pub(crate) struct Podman<'a> {
    place: &'a Place,
    service: Option<Server>,
}

impl<'a> Podman<'a> {
    /// The programs that it takes.
    pub(crate) const PROGRAMS: [&'static str; 2] = ["podman", "runc"];

    /// One whose storage has nothing but the image.
    pub(crate) fn new(place: &'a Place) -> Self {
        let podman = Self::bare(place);
        podman.import(&image::layer(place.folder.path()), IMAGE, &["/bin/true"]);
        podman
    }

    /// One whose storage is empty.
    pub(crate) fn bare(place: &'a Place) -> Self {
        let folder = place.folder.path().display();
        // Limits are lowered, as not everybody may raise them.
        let settings = format!(
            r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "none"
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
tmp_dir = "{folder}/tmp"
static_dir = "{folder}/static"
volume_path = "{folder}/volumes"
"#
        );
        std::fs::write(place.path("containers.conf"), settings).unwrap();
        Self { place, service: None }
    }

    /// Makes an image of this layer that runs a command by itself, and packs it for others; the answer is the archive.
    pub(crate) fn pack(&self, layer: &Path, image: &str, command: &[&str]) -> PathBuf {
        self.import(layer, image, command);
        let archive = self.place.path(&format!("{}.tar", image.replace(['/', ':'], "-")));
        said(self.command("save").args(["--format", "docker-archive", "--output"]).arg(&archive).arg(image));
        archive
    }

    fn import(&self, layer: &Path, image: &str, command: &[&str]) {
        let change = format!("CMD {command:?}");
        said(self.command("import").args(["--change", &change]).arg(layer).arg(image));
    }

    /// Where it keeps what it knows.
    pub(crate) fn store(&self) -> PathBuf {
        self.place.path("storage")
    }

    /// Serves its API from now on; the answer is the socket.
    pub(crate) fn serve(&mut self) -> PathBuf {
        let socket = self.place.path("podman.sock");
        let mut command = self.command("system");
        command.args(["service", "--time", "0", &format!("unix://{}", socket.display())]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.service = Some(Server::start(&mut command, &socket));
        socket
    }

    /// Runs a container of this name in the background; the answer is its id.
    pub(crate) fn run(&self, name: &str, words: &[&str]) -> String {
        self.run_with(name, &[], words)
    }

    /// The same with these options.
    pub(crate) fn run_with(&self, name: &str, options: &[&str], words: &[&str]) -> String {
        let parent = self.place.cgroup_parent();
        let mut command = self.command("run");
        command.args(["--detach", "--name", name, "--cgroup-parent", &parent]);
        said(command.args(options).arg(IMAGE).args(words))
    }

    /// Starts a container that has ended.
    pub(crate) fn start(&self, name: &str) {
        said(self.command("start").arg(name));
    }

    /// Waits until a container has ended.
    pub(crate) fn wait(&self, name: &str) {
        said(self.command("wait").arg(name));
    }

    /// Runs a command in a container.
    pub(crate) fn exec(&self, name: &str, words: &[&str]) -> String {
        said(self.command("exec").arg(name).args(words))
    }

    /// Kills a container, and waits until it has ended.
    pub(crate) fn stop(&self, name: &str) {
        said(self.command("stop").args(["--time", "0", name]));
    }

    fn command(&self, word: &str) -> Command {
        let mut command = Command::new("podman");
        command.env("CONTAINERS_CONF", self.place.path("containers.conf"));
        command.arg("--root").arg(self.store()).arg("--runroot").arg(self.place.path("run")).arg(word);
        command
    }
}

impl Drop for Podman<'_> {
    fn drop(&mut self) {
        let out = self.command("rm").args(["--all", "--force", "--time", "0"]).output();
        if !std::thread::panicking() {
            assert!(out.unwrap().status.success());
        }
        self.service = None;
    }
}
