//! Docker itself, where it is installed: its API is the one that podman speaks too.

use std::path::PathBuf;
use std::process::Command;

use crate::image;
use crate::place::{Place, Server, said};
use crate::sensor::{Sensor, source, text};

/// Docker with one image; everything of it lies in the place's folder.
struct Docker {
    socket: PathBuf,
    parent: String,
    _server: Server,
}

impl Docker {
    fn new(place: &Place) -> Self {
        let socket = place.path("docker.sock");
        let mut command = Command::new("dockerd");
        command.arg("--data-root").arg(place.path("data")).arg("--exec-root").arg(place.path("exec"));
        command
            .arg("--host")
            .arg(format!("unix://{}", socket.display()))
            .arg("--pidfile")
            .arg(place.path("pid"));
        command.args(["--iptables=false", "--ip6tables=false", "--bridge=none", "--log-level=error"]);
        let server = Server::start(&mut command, &socket);
        let docker = Self { socket, parent: place.cgroup_parent(), _server: server };
        said(docker.command("import").arg(image::layer(place.folder.path())).arg("vedette-test:one"));
        docker
    }

    fn command(&self, word: &str) -> Command {
        let mut command = Command::new("docker");
        command.arg("--host").arg(format!("unix://{}", self.socket.display())).arg(word);
        command
    }
}

#[test]
fn dockers_containers_have_their_names() {
    let programs = ["dockerd", "docker", "containerd", "runc"];
    let Some(place) = Place::new("dockers_containers_have_their_names", &programs) else { return };
    let docker = Docker::new(&place);
    let mut sensor = Sensor::start(&place, &[source("docker", &docker.socket)]);
    let mut run = docker.command("run");
    run.args(["--detach", "--name", "web", "--network", "none", "--cgroup-parent", &docker.parent]);
    run.args(["--label", "io.kubernetes.pod.name=shop-0", "--label", "io.kubernetes.pod.namespace=retail"]);
    let id = said(run.args(["--ulimit", "nofile=1024:1024", "vedette-test:one", "/bin/sleep", "1000"]));
    let start = sensor.start_of(&id);
    said(docker.command("rm").args(["--force", "web"]));
    for event in [start, sensor.stop_of(&id)] {
        let names = [
            ("container.name", "web"),
            ("container.image.name", "vedette-test:one"),
            ("container.runtime", "docker"),
            ("kubernetes.pod.name", "shop-0"),
            ("kubernetes.namespace", "retail"),
        ];
        for (field, value) in names {
            assert_eq!(text(&event, field), value, "{field} of {event}");
        }
    }
}
