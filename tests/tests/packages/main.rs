//! The Debian packages on a fresh Debian host, in a virtual machine: installed, started by systemd, the host enrolled by the line
//! that `vedette enroll-token create` prints, an exec found, upgraded, removed, and the host compared with before.
//!
//! | module | holds |
//! |---|---|
//! | `trial` (a script) | what is done on the host, and what is told of it |
//! | `machine` | one boot of it |
//! | `told` | what it told, by its parts |
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tests::skip::{needs_root, skip};

mod machine;
mod told;

use told::Told;

/// The host's life, played once for all tests; none where it cannot be.
fn told(test: &str) -> Option<&'static Told> {
    static TOLD: std::sync::LazyLock<Result<Told, String>> =
        std::sync::LazyLock::new(|| play().unwrap_or_else(|error| panic!("{error:#}")));
    if !needs_root(test) {
        return None;
    }
    match &*TOLD {
        Ok(told) => Some(told),
        Err(why) => {
            skip(test, why);
            None
        }
    }
}

#[test]
fn installed_packages_start_a_collector() {
    let Some(told) = told("installed_packages_start_a_collector") else { return };
    let install = told.part("install");
    assert!(install.contains("\nactive\n") && install.contains("StatusText=serves"), "{install}");
    assert!(install.contains("Setting up vedette-collector") && !install.contains("warning"), "{install}");
}

#[test]
fn the_line_that_is_printed_installs_and_enrols_a_host() {
    let Some(told) = told("the_line_that_is_printed_installs_and_enrols_a_host") else { return };
    let enrol = told.part("enrol");
    assert!(enrol.contains("sudo apt-get install"), "no line was printed: {enrol}");
    assert!(enrol.contains("this host is enrolled as") && enrol.contains("\nexit 0\n"), "{enrol}");
    assert!(enrol.contains("\nactive\n") && enrol.contains("StatusText=watches this host as"), "{enrol}");
    let host: Value = told.json("hosts");
    assert_eq!(
        (host["host"]["name"].as_str(), &host["host"]["tags"][0]),
        (Some("trial"), &Value::from("env=trial")),
        "{host}"
    );
}

#[test]
fn what_runs_on_the_host_is_found() {
    let Some(told) = told("what_runs_on_the_host_is_found") else { return };
    let event = told.json("exec");
    assert_eq!(event["process"]["executable"], "/usr/bin/true", "{event}");
    assert_eq!(event["process"]["hash"]["sha256"].as_str().map(str::len), Some(64), "{event}");
    assert_eq!(event["process"]["user"]["name"], "root", "{event}");
}

#[test]
fn rights_are_enough_to_see_all_that_the_kernel_shows() {
    let Some(told) = told("rights_are_enough_to_see_all_that_the_kernel_shows") else { return };
    let troubles = told.part("troubles");
    assert!(
        troubles.contains("collector sessions") && !troubles.contains("not seen on this kernel"),
        "{troubles}"
    );
}

#[test]
fn programs_have_no_more_rights_than_they_use() {
    let Some(told) = told("programs_have_no_more_rights_than_they_use") else { return };
    let rights = told.part("rights");
    let of = |unit: &str| rights.lines().find(|line| line.starts_with(&format!("{unit} "))).unwrap();
    let bounds = |unit: &str| {
        let words: Vec<_> = of(unit).split_whitespace().collect();
        let at = words.iter().position(|word| *word == "CapBnd:").unwrap();
        u64::from_str_radix(words[at + 1], 16).unwrap()
    };
    assert_eq!(bounds("vedette-collector"), 0, "{rights}");
    // DAC_READ_SEARCH 2, NET_ADMIN 12, SYS_PTRACE 19, SYS_ADMIN 21
    let sensor = [2, 12, 19, 21].iter().map(|bit| 1_u64 << bit).sum::<u64>();
    assert_eq!(format!("{:x}", bounds("vedette-sensor")), format!("{sensor:x}"), "{rights}");
    for unit in ["vedette-sensor", "vedette-collector"] {
        assert!(of(unit).contains("NoNewPrivs: 1") && of(unit).contains("Seccomp: 2"), "{rights}");
    }
    assert!(!of("vedette-collector").contains("Uid: 0"), "{rights}");
    assert!(!rights.contains("NRestarts=1"), "{rights}");
}

#[test]
fn an_upgrade_loses_no_event() {
    let Some(told) = told("an_upgrade_loses_no_event") else { return };
    let upgrade = told.part("upgrade");
    for package in ["vedette", "vedette-collector", "vedette-sensor"] {
        assert!(upgrade.contains(&format!("\n{package} {}\n", SECOND)), "{upgrade}");
    }
    assert!(upgrade.contains("\nactive\nactive\n"), "{upgrade}");
    assert_eq!(told.part("upgraded").trim(), "400", "each exec is found once\n{}", told.part("troubles"));
    let host = told.json("ledger");
    let sum = |name: &str| host["ledger"][name].as_u64();
    assert_eq!((sum("lost"), sum("dropped"), sum("rejected")), (Some(0), Some(0), Some(0)), "{host}");
}

#[test]
fn a_sensor_that_hangs_is_started_again() {
    let Some(told) = told("a_sensor_that_hangs_is_started_again") else { return };
    assert!(told.part("stopped").contains("Result=success"), "{}", told.part("stopped"));
    assert!(
        told.part("stopped").contains("/sys/fs/bpf/vedette/sensor"),
        "pins outlive it: {}",
        told.part("stopped")
    );
    assert_eq!(told.part("watchdog").trim(), "started again");
}

#[test]
fn removal_leaves_a_clean_host() {
    let Some(told) = told("removal_leaves_a_clean_host") else { return };
    let removed = told.part("removed");
    assert!(removed.contains("removed the programs and pins"), "{removed}");
    assert!(!removed.contains("/sys/fs/bpf/vedette"), "{removed}");
    assert!(
        removed.contains("host.pem") && removed.contains("sensor.toml"),
        "what is configured stays: {removed}"
    );
    assert_eq!(told.part("left-in-kernel"), "", "in the kernel\n{}", told.part("purge"));
    assert_eq!(told.part("left-on-disk"), "", "on disk\n{}", told.part("purge"));
}

/// The version that the host is upgraded to.
const SECOND: &str = "99.0.0-1";

/// Makes the packages and the host, and plays its life. `Err`: why that cannot be done here.
fn play() -> anyhow::Result<Result<Told, String>> {
    let host = match script("setup/root.sh", &[], None)?.trim().split_once(' ') {
        Some(("here", folder)) => PathBuf::from(folder),
        Some(("missing", why)) => return Ok(Err(why.to_owned())),
        other => anyhow::bail!("setup/root.sh printed {other:?}"),
    };
    let scratch = tempfile::Builder::new().prefix("vedette-packages-").tempdir_in("/var/tmp")?;
    let input = scratch.path().join("input");
    for (folder, version) in [("one", None), ("two", Some(SECOND))] {
        let to = input.join(folder);
        std::fs::create_dir_all(&to)?;
        script("setup/debs.sh", &["dev", to.to_str().unwrap()], version)?;
    }
    std::fs::copy(root().join("tests/tests/packages/trial"), input.join("trial"))?;
    let archive = scratch.path().join("input.tar");
    let packed = Command::new("tar").arg("-C").arg(&input).arg("-cf").arg(&archive).arg(".").status()?;
    ensure!(packed.success(), "tar cannot pack {}", input.display());
    let told = machine::run(&host, &archive, scratch.path())?;
    Told::read(told).map(Ok)
}

fn script(path: &str, args: &[&str], version: Option<&str>) -> anyhow::Result<String> {
    let mut command = Command::new(root().join(path));
    command.args(args).envs(version.map(|version| ("VERSION", version)));
    let ran = command.output().with_context(|| format!("cannot run {path}"))?;
    ensure!(ran.status.success(), "{path}: {}", String::from_utf8_lossy(&ran.stderr));
    Ok(String::from_utf8(ran.stdout)?)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
