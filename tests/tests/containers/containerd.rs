//! A pod of containerd's, made as a kubelet does.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::image::{self, IMAGE};
use crate::place::{Place, Server, said};
use crate::podman::Podman;
use crate::sensor::{Sensor, field, is, source, text};
use cri::Kubelet;

mod cri;

/// The image of what holds a pod together.
const PAUSE: &str = "localhost/vedette-pause:one";

/// Containerd with two images; everything of it lies in the place's folder.
struct Containerd {
    socket: PathBuf,
    _server: Server,
}

impl Containerd {
    fn new(place: &Place) -> Self {
        let folder = place.folder.path().display();
        let socket = place.path("containerd.sock");
        let settings = format!(
            r#"
version = 2
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  disable_tcp_service = true
  restrict_oom_score_adj = true
"#
        );
        let file = place.path("containerd.toml");
        std::fs::write(&file, settings).unwrap();
        let mut command = Command::new("containerd");
        command.arg("--config").arg(file).arg("--log-level").arg("error");
        let server = Server::start(&mut command, &socket);
        let containerd = Self { socket, _server: server };
        let layer = image::layer(place.folder.path());
        let packer = Podman::bare(place);
        for (name, command) in [(IMAGE, &["/bin/true"][..]), (PAUSE, &["/bin/sleep", "1000"])] {
            let archive = packer.pack(&layer, name, command);
            said(containerd.ctr(&["images", "import"]).arg(archive));
        }
        containerd
    }

    fn ctr(&self, words: &[&str]) -> Command {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(&self.socket).args(["--namespace", "k8s.io"]).args(words);
        command
    }
}

/// Checks that an event is of a container of the pod.
#[track_caller]
fn assert_of(event: &Value, id: &str, name: &str, image: &str) {
    let names = [
        ("container.id", id),
        ("container.name", name),
        ("container.image.name", image),
        ("container.runtime", "containerd"),
        ("kubernetes.pod.name", "shop-0"),
        ("kubernetes.namespace", "retail"),
    ];
    for (name, value) in names {
        assert_eq!(text(event, name), value, "{name} of {event}");
    }
    assert_eq!(field(event, "kubernetes.labels"), &json!(["app=shop", "tier=front"]), "{event}");
}

#[test]
fn a_pod_is_told_with_its_names() {
    let programs = ["containerd", "ctr", "podman", "runc"];
    let Some(place) = Place::new("a_pod_is_told_with_its_names", &programs) else { return };
    let containerd = Containerd::new(&place);
    let sources = [source("docker", &place.path("nowhere.sock")), source("containerd", &containerd.socket)];
    let mut sensor = Sensor::start(&place, &sources);
    let kubelet = Kubelet::new(&containerd.socket, &place.cgroup_parent(), place.folder.path());
    let pod = kubelet.run_pod("shop-0", "retail");
    let app = kubelet.start(&pod, "till", IMAGE, &["/bin/sh", "-c", "/bin/echo open; /bin/sleep 1000; :"]);
    assert_of(&sensor.start_of(&pod), &pod, "", "");
    assert_of(&sensor.start_of(&app), &app, "till", IMAGE);
    assert_of(&sensor.exec_of(&["/bin/echo", "open"]), &app, "till", IMAGE);
    kubelet.exec(&app, &["/bin/echo", "entered"]);
    assert_of(&sensor.exec_of(&["/bin/echo", "entered"]), &app, "till", IMAGE);
    kubelet.remove_pod(&pod);
    let stop = sensor.stop_of(&app);
    assert_of(&stop, &app, "till", IMAGE);
    assert_eq!(field(&stop, "process.exit_code"), &json!(137));
    assert_of(&sensor.stop_of(&pod), &pod, "", "");
    let events = sensor.end();
    let n = |action| events.iter().filter(|event| is(event, "container", action)).count();
    assert_eq!((n("start"), n("stop")), (2, 2));
}
