//! The programs compile for every architecture that the sensor runs on, and are the same ones there.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use object::{Object as _, ObjectSymbol as _};

/// As the kernel's tracing headers call them.
const ARCHITECTURES: [&str; 2] = ["x86", "arm64"];

/// As build.rs has them.
const FLAGS: [(&str, &[&str]); 3] = [
    ("sensor", &["-mcpu=v3", "-DHAVE_LOOP"]),
    ("sensor_before_5_17", &["-mcpu=v3"]),
    ("sensor_before_5_12", &["-mcpu=v2", "-DOLD_ATOMICS"]),
];

fn compile(architecture: &str, flags: &[&str], object: &Path) -> Vec<u8> {
    // What asm/types.h says is the same everywhere.
    let include = format!("-I/usr/include/{}-linux-gnu", std::env::consts::ARCH);
    let mut clang = Command::new(std::env::var_os("CLANG").unwrap_or_else(|| "clang".into()));
    clang
        .args(["-target", "bpf", "-g", "-O2", "-Wall", "-Werror", "-c", "bpf/sensor.bpf.c", "-o"])
        .arg(object)
        .args([&format!("-D__TARGET_ARCH_{architecture}"), &include])
        .args(flags)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let compiled = clang.output().unwrap();
    assert!(compiled.status.success(), "{architecture}: {}", String::from_utf8_lossy(&compiled.stderr));
    std::fs::read(object).unwrap()
}

/// The names of its programs and maps.
fn names(object: &[u8]) -> BTreeSet<String> {
    let file = object::File::parse(object).unwrap();
    let global = file.symbols().filter(|symbol| symbol.is_global() && symbol.is_definition());
    global.map(|symbol| symbol.name().unwrap().to_owned()).collect()
}

#[test]
fn programs_are_the_same_on_every_architecture() {
    let folder = tempfile::tempdir().unwrap();
    for (name, flags) in FLAGS {
        let of = |architecture: &str| compile(architecture, flags, &folder.path().join(architecture));
        let [x86, arm64] = ARCHITECTURES.map(of);
        assert!(x86 != arm64, "{name}: registers have other places");
        let (x86, arm64) = (names(&x86), names(&arm64));
        assert!(x86.len() > 100, "{name}: {x86:?}");
        assert_eq!(x86, arm64, "{name}");
    }
}
