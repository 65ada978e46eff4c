//! The Helm chart and the compose file are what Helm, Kubernetes and Docker Compose take, and say what they should: rendered and
//! read by their own libraries (`tests/deploy`, in Go).
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tests::skip::skip;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The program that reads, built once; `None`, and said, where it cannot be.
fn reader(test: &str) -> Option<&'static Path> {
    static BUILT: std::sync::LazyLock<Result<PathBuf, String>> = std::sync::LazyLock::new(|| {
        let program = root().join("target/deploy-reader");
        let mut go = Command::new("go");
        go.args(["build", "-o"]).arg(&program).arg(".").current_dir(root().join("tests/deploy"));
        match go.env("GOFLAGS", "-mod=readonly").output() {
            Err(error) => Err(format!("there is no Go to build tests/deploy with: {error}")),
            Ok(built) if built.status.success() => Ok(program),
            Ok(built) => {
                let said = String::from_utf8_lossy(&built.stderr).into_owned();
                // An older Go than go.mod asks for cannot fetch another one everywhere.
                if said.contains("go.mod requires go") || said.contains("toolchain not available") {
                    return Err(said.lines().next().unwrap_or_default().to_owned());
                }
                panic!("tests/deploy does not build: {said}")
            }
        }
    });
    match &*BUILT {
        Ok(program) => Some(program),
        Err(why) => {
            skip(test, why);
            None
        }
    }
}

fn read(reader: &Path, words: &[&Path], verb: &str) -> Value {
    let ran = Command::new(reader).arg(verb).args(words).output().unwrap();
    assert!(ran.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}

/// The objects of the chart with these values.
fn chart(reader: &Path, values: &Value) -> Vec<Value> {
    let mut file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    write!(file, "{values}").unwrap();
    let folder = root().join("deploy/helm/vedette");
    let Value::Array(objects) = read(reader, &[&folder, file.path()], "chart") else { panic!("no list") };
    objects
}

fn of<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let is = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
    objects.iter().find(is).unwrap_or_else(|| panic!("no {kind} {name} among {objects:#?}"))
}

/// The capabilities that the systemd unit grants the sensor.
fn of_unit() -> BTreeSet<String> {
    let unit = std::fs::read_to_string(root().join("deploy/systemd/vedette-sensor.service")).unwrap();
    let lines = unit.lines().filter_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    lines.flat_map(str::split_whitespace).map(|name| name.trim_start_matches("CAP_").to_owned()).collect()
}

fn names(list: &Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_cluster_has_a_sensor_on_every_node_with_no_more_rights_than_a_host_gives_it() {
    let Some(reader) =
        reader("a_cluster_has_a_sensor_on_every_node_with_no_more_rights_than_a_host_gives_it")
    else {
        return;
    };
    let objects = chart(reader, &json!({}));
    let sensor = &of(&objects, "DaemonSet", "fleet-sensor")["spec"]["template"]["spec"];
    assert_eq!(sensor["tolerations"], json!([{"operator": "Exists"}]));
    assert_eq!((&sensor["hostPID"], &sensor["hostNetwork"]), (&json!(true), &json!(true)));
    assert_eq!(sensor["automountServiceAccountToken"], false);
    let rights = &sensor["containers"][0]["securityContext"];
    assert_eq!(names(&rights["capabilities"]["add"]), of_unit());
    assert_eq!(rights["capabilities"]["drop"], json!(["ALL"]));
    assert_eq!((&rights["privileged"], &rights["readOnlyRootFilesystem"]), (&json!(false), &json!(true)));
    let paths: Vec<_> =
        sensor["volumes"].as_array().unwrap().iter().filter_map(|v| v["hostPath"]["path"].as_str()).collect();
    assert_eq!(paths, ["/sys/fs/bpf", "/var/lib/vedette", "/dev/shm/vedette"]);
    let enrol = &sensor["initContainers"][0];
    assert!(enrol["securityContext"]["capabilities"]["add"].is_null(), "{enrol}");
    assert!(enrol["args"].to_string().contains("fleet-collector.security.svc:7443"), "{enrol}");
}

#[test]
fn a_cluster_has_collectors_without_rights_behind_one_port() {
    let Some(reader) = reader("a_cluster_has_collectors_without_rights_behind_one_port") else { return };
    let objects = chart(reader, &json!({"collector": {"replicas": 3, "names": ["vedette.example"]}}));
    let collector = &of(&objects, "Deployment", "fleet-collector")["spec"];
    assert_eq!(collector["replicas"], 3);
    let pod = &collector["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    for container in ["containers", "initContainers"] {
        let rights = &pod[container][0]["securityContext"];
        assert_eq!(rights["capabilities"], json!({"drop": ["ALL"]}), "{container}");
        assert_eq!(rights["readOnlyRootFilesystem"], true);
    }
    let policy = &of(&objects, "NetworkPolicy", "fleet-collector")["spec"];
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(policy["podSelector"]["matchLabels"], collector["selector"]["matchLabels"]);
    let ports: Vec<_> = policy["ingress"][0]["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| (&port["port"], &port["protocol"]))
        .collect();
    assert_eq!(ports, [(&json!(7443), &json!("UDP")), (&json!(7443), &json!("TCP"))]);
    of(&objects, "PodDisruptionBudget", "fleet-collector");
    assert!(
        objects.iter().all(|object| object["kind"] != "Secret"),
        "secrets are made by hand, not by a template"
    );
}

/// The settings that the chart writes are read by the programs themselves.
#[test]
fn settings_of_a_cluster_are_settings() {
    let Some(reader) = reader("settings_of_a_cluster_are_settings") else { return };
    let values = json!({
        "sensor": {
            "settings": {"spool_disk_mb": 7, "exclude_users": [33], "hash": false, "redact_patterns": ["^--pin=(\\d+)$"]},
            "containerSources": ["containerd:/run/k0s/containerd.sock"],
        },
        "collector": {"settings": {"retention": "90d", "retention_gb": 12}, "names": ["vedette.example"]},
    });
    let objects = chart(reader, &values);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, file: &str| {
        let text = of(&objects, "ConfigMap", name)["data"][file].as_str().unwrap().to_owned();
        let path = folder.path().join(file);
        std::fs::write(&path, text.replace("/run/database/url", folder.path().join("url").to_str().unwrap()))
            .unwrap();
        path
    };
    std::fs::write(folder.path().join("url"), "postgres://vedette@db/vedette").unwrap();
    let file = Some(write("fleet-sensor", "sensor.toml"));
    let flags = vedette_sensor::config::Flags { config: file, ..Default::default() };
    let sensor = vedette_sensor::config::Config::load(&flags, Path::new("/h")).unwrap();
    assert_eq!((sensor.spool_disk_bytes, sensor.exclude.users, sensor.hashing), (7 << 20, vec![33], None));
    assert_eq!(sensor.redaction.patterns, [r"^--pin=(\d+)$"]);
    assert_eq!(sensor.collectors, ["fleet-collector.security.svc:7443"]);
    assert_eq!(sensor.metrics.unwrap().to_string(), "127.0.0.1:7445");
    let file = Some(write("fleet-collector", "collector.toml"));
    let flags = vedette_collector::config::ServeFlags { config: file, ..Default::default() };
    let collector = vedette_collector::config::Config::load(&flags, Path::new("/h")).unwrap();
    assert_eq!(collector.database.as_deref(), Some("postgres://vedette@db/vedette"));
    assert_eq!(collector.names[..2], ["vedette.example", "fleet-collector.security.svc"]);
    assert_eq!(collector.retention_bytes, Some(12_000_000_000));
}

#[test]
fn parts_of_a_cluster_can_be_left_out() {
    let Some(reader) = reader("parts_of_a_cluster_can_be_left_out") else { return };
    let kinds = |values: Value| -> BTreeSet<String> {
        chart(reader, &values).iter().map(|object| object["kind"].as_str().unwrap().to_owned()).collect()
    };
    let elsewhere = json!({"collector": {"enabled": false}, "sensor": {"collectors": ["c.example:7443"]}});
    assert_eq!(kinds(elsewhere), ["ConfigMap", "DaemonSet", "ServiceAccount"].map(str::to_owned).into());
    assert!(!kinds(json!({"sensor": {"enabled": false}})).contains("DaemonSet"));
    let objects = chart(reader, &json!({"cleanup": true}));
    let pod = &of(&objects, "DaemonSet", "fleet-sensor")["spec"]["template"]["spec"];
    assert_eq!(pod["initContainers"][0]["args"], json!(["unload"]));
    assert_eq!(names(&pod["initContainers"][0]["securityContext"]["capabilities"]["add"]), of_unit());
}

#[test]
fn compose_starts_all_parts_with_no_password_in_it() {
    let Some(reader) = reader("compose_starts_all_parts_with_no_password_in_it") else { return };
    let file = root().join("compose.yaml");
    let project = read(reader, &[&file], "compose");
    let services = project["services"].as_object().unwrap();
    let all: Vec<_> = services.keys().map(String::as_str).collect();
    assert_eq!(all, ["collector", "enrolment", "invitation", "kafka", "postgres", "secrets", "sensor"]);
    for (name, service) in services {
        let lasts = service["restart"] == "unless-stopped";
        assert_eq!(
            lasts,
            !service["healthcheck"].is_null(),
            "{name} lasts and is watched, or runs once: {service}"
        );
        assert!(service["privileged"].is_null() || service["privileged"] == false, "{name}");
        for (variable, value) in service["environment"].as_object().into_iter().flatten() {
            assert!(
                !variable.ends_with("PASSWORD") && !value.to_string().contains("PASSWORD"),
                "{name}: {variable}"
            );
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let is_named = volume["type"] == "volume"
                && project["volumes"][volume["source"].as_str().unwrap()].is_object();
            assert!(is_named || name == "sensor", "{name}: {volume}");
        }
    }
    assert_eq!(names(&services["sensor"]["cap_add"]), of_unit());
    assert_eq!(
        (&services["sensor"]["pid"], &services["sensor"]["network_mode"]),
        (&json!("host"), &json!("host"))
    );
    assert_eq!(services["kafka"]["environment"]["KAFKA_PROCESS_ROLES"], "broker,controller");
    for inside in ["postgres", "kafka"] {
        assert!(services[inside]["ports"].is_null(), "{inside} is reached from outside");
    }
    // In a file of its own each setting would need its default; these are read by the collector itself.
    let environment = &services["collector"]["environment"];
    assert_eq!(environment["VEDETTE_COLLECTOR_NAMES"], r#"["localhost", "collector"]"#);
}
