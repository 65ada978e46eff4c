use proptest::prelude::*;

use super::*;

const ID: &str = "3f4a0b6c2d1e8f7a9b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6";
const OUTER: &str = "00000b6c2d1e8f7a9b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6";
const UID: &str = "0ccf6f1b-5a3e-4f54-9d77-2a1f8d0c9e11";

fn check(path: &str, expected: Option<(&str, Option<Runtime>, Option<&str>)>) {
    let path = path
        .replace("OUTER", OUTER)
        .replace("U_D", &UID.replace('-', "_"))
        .replace("UID", UID)
        .replace("ID", ID);
    let expected = expected.map(|(id, runtime, pod)| {
        (id.replace("ID", ID).into_bytes(), runtime, pod.map(|pod| pod.replace("UID", UID)))
    });
    let found = Container::of(path.as_bytes()).map(|c| (c.id.to_vec(), c.runtime, c.pod_uid));
    assert_eq!(found, expected, "{path}");
}

#[test]
fn every_runtime_and_driver_is_known() {
    use Runtime::*;
    for (path, runtime) in [
        ("/docker/ID", Docker),
        ("/system.slice/docker-ID.scope", Docker),
        ("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope", Docker),
        ("/docker/ID/system.slice/ssh.service", Docker),
        ("/docker-ID.scope/init.scope", Docker),
        ("/actions_job/ID", Docker),
        ("/moby/ID", Docker),
        ("/machine.slice/libpod-ID.scope", Podman),
        ("/machine.slice/libpod-ID.scope/container", Podman),
        ("/user.slice/user-0.slice/user@0.service/user.slice/libpod-ID.scope/container", Podman),
        ("/libpod_parent/libpod-ID", Podman),
        ("/libpod_parent/libpod-payload-ID", Podman),
        ("/libpod_parent/ID", Podman),
        ("/default/ID", Containerd),
        ("/system.slice/nerdctl-ID.scope", Containerd),
        ("/k8s.io/ID", Containerd),
        ("/../../docker/ID", Docker),
        // A monitor of podman's inside docker's container.
        ("/docker/ID/machine.slice/libpod-conmon-OUTER.scope", Docker),
    ] {
        check(path, Some(("ID", Some(runtime), None)));
    }
}

#[test]
fn pods_are_known_under_both_drivers() {
    use Runtime::*;
    for (path, runtime) in [
        ("/kubepods/burstable/podUID/ID", None),
        ("/kubepods/podUID/ID", None),
        ("/kubepods/besteffort/podUID/crio-ID", Some(CriO)),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_D.slice/cri-containerd-ID.scope",
            Some(Containerd),
        ),
        ("/kubepods.slice/kubepods-podU_D.slice/crio-ID.scope", Some(CriO)),
        ("/kubepods.slice/kubepods-podU_D.slice/crio-ID.scope/container", Some(CriO)),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_D.slice/docker-ID.scope",
            Some(Docker),
        ),
        (
            "/system.slice/containerd.service/kubepods-burstable-podU_D.slice:cri-containerd:ID",
            Some(Containerd),
        ),
        (
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podU_D.slice/cri-containerd-ID.scope",
            Some(Containerd),
        ),
        // A cluster in containers (kind): the pod's container, not the node's.
        ("/docker/OUTER/kubelet/kubepods/burstable/podUID/ID", None),
        ("/docker/OUTER/kubepods/podUID/ID/init.scope", None),
    ] {
        check(path, Some(("ID", runtime, Some("UID"))));
    }
    let hash = "0123456789abcdef0123456789abcdef";
    check(&format!("/kubepods/pod{hash}/ID"), Some(("ID", None, Some(hash))));
}

#[test]
fn named_containers_are_known() {
    use Runtime::*;
    check("/lxc/web-1", Some(("web-1", Some(Lxc), None)));
    check("/lxc/web-1/init.scope", Some(("web-1", Some(Lxc), None)));
    check("/lxc.payload.web-1/system.slice/x.service", Some(("web-1", Some(Lxc), None)));
    check("/lxc.payload/web-1", Some(("web-1", Some(Lxc), None)));
    check("/machine.slice/systemd-nspawn@deb.service/payload", Some(("deb", Some(Nspawn), None)));
    check("/ecs/8f1c/ID", Some(("ID", None, None)));
}

#[test]
fn the_host_is_no_container() {
    for path in [
        "",
        "/",
        "/init.scope",
        "/system.slice/docker.service",
        "/system.slice/containerd.service",
        "/user.slice/user-1000.slice/session-3.scope",
        "/machine.slice/libpod-conmon-ID.scope",
        "/kubepods.slice/kubepods-podU_D.slice/crio-conmon-ID.scope",
        "/lxc.monitor.web-1",
        "/lxc.monitor/web-1",
        "/lxc",
        "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope",
        "/machine.slice/systemd-nspawn@.service",
        "/docker",
        "/kubepods/burstable/podUID",
    ] {
        check(path, None);
    }
}

#[test]
fn a_group_within_a_container_is_not_the_containers_own() {
    let is_own = |path: &str| Container::of_group(path.replace("ID", ID).as_bytes()).is_some();
    assert!(is_own("/docker/ID") && is_own("/machine.slice/libpod-ID.scope") && is_own("/lxc/web-1"));
    assert!(!is_own("/machine.slice/libpod-ID.scope/container"));
    assert!(!is_own("/docker/ID/system.slice/ssh.service") && !is_own("/lxc/web-1/init.scope"));
    assert!(
        !is_own("") && !is_own("/") && !is_own("/docker") && !is_own("/machine.slice/libpod-conmon-ID.scope")
    );
}

#[test]
fn ids_are_read_and_written_as_they_are() {
    assert_eq!(Id::parse(ID.as_bytes()).unwrap().to_string(), ID);
    for other in ["web-1", "", &ID[1..], &format!("{ID}0"), &ID.to_uppercase(), &ID.replace('a', "g")] {
        assert_eq!(Id::parse(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn names_made_to_deceive_are_not_ids() {
    for path in [
        "/docker/ID0",
        "/docker/0ID",
        "/docker/../../../etc/passwd",
        "/system.slice/docker-ID",
        "/system.slice/docker-.scope",
        "/system.slice/docker-IDx.scope",
        ":cri-containerd:",
        "/::cri-containerd:ID:",
        "/kubepods-pod",
        "-pod",
        "/\u{1b}[2J/\n/docker-\u{0}.scope",
    ] {
        let shown = path.replace("ID", ID);
        let found = Container::of(shown.as_bytes());
        // A plain group named like a unit without its suffix is taken: cgroupfs drivers make those.
        assert!(found.is_none() || path == "/system.slice/docker-ID", "{path}: {found:?}");
    }
    let upper = ID.to_uppercase();
    assert_eq!(Container::of(format!("/docker/{upper}").as_bytes()), None);
    assert_eq!(Container::of(format!("/lxc/{}", "n".repeat(129)).as_bytes()), None);
    let bad_uid = format!("/kubepods/pod{}/{ID}", UID.replace('a', "g"));
    assert_eq!(Container::of(bad_uid.as_bytes()).unwrap().pod_uid, None);
    let not_kubernetes = format!("/my-pod{UID}.slice/docker-{ID}.scope");
    assert_eq!(Container::of(not_kubernetes.as_bytes()).unwrap().pod_uid, None);
}

proptest! {
    #[test]
    fn any_path_is_read_without_harm(path in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Some(container) = Container::of(&path) {
            prop_assert!(container.id.len() <= 128 && !container.id.is_empty());
        }
    }

    #[test]
    fn any_nesting_of_known_parts_is_read_without_harm(
        parts in proptest::collection::vec(
            prop::sample::select(vec!["docker", "lxc", "pod", ":", "kubepods-pod", ".slice", ".scope", ID, UID, "-", ""]),
            0..40,
        ),
        separator in prop::sample::select(vec!["/", "", "-", ":"]),
    ) {
        let path = parts.join(separator);
        if let Some(container) = Container::of(path.as_bytes()) {
            prop_assert!(container.id.len() <= 128 && !container.id.is_empty());
        }
    }
}
