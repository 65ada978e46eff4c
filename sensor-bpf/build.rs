//! Compiles the kernel's programs with clang and mirrors their header into Rust.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

use bindgen::callbacks::{DeriveInfo, ParseCallbacks, TypeKind};

fn main() {
    println!("cargo:rerun-if-changed=bpf");
    println!("cargo:rerun-if-env-changed=CLANG");
    println!("cargo:rerun-if-env-changed=CPATH");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let target = Target::from_cargo();

    require_clang();
    require_header("bpf/bpf_helpers.h", "libbpf-dev", &target);
    require_header("asm/types.h", "linux-libc-dev", &target);
    compile(&target, &["-mcpu=v3", "-DHAVE_LOOP"], &out.join("sensor.o"));
    compile(&target, &["-mcpu=v3"], &out.join("sensor_before_5_17.o"));
    compile(&target, &["-mcpu=v2", "-DOLD_ATOMICS"], &out.join("sensor_before_5_12.o"));
    mirror(&target, &out.join("event.rs"));
}

struct Target {
    /// What bpf_tracing.h calls the architecture.
    arch: &'static str,
    /// Where Debian keeps the architecture's own headers.
    include: PathBuf,
}

impl Target {
    fn from_cargo() -> Self {
        let (arch, triple) = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
            Ok("x86_64") => ("x86", "x86_64-linux-gnu"),
            Ok("aarch64") => ("arm64", "aarch64-linux-gnu"),
            other => fail(&format!("the sensor runs on x86_64 and aarch64, not on {other:?}")),
        };
        Self { arch, include: Path::new("/usr/include").join(triple) }
    }

    fn args(&self) -> [String; 2] {
        [format!("-D__TARGET_ARCH_{}", self.arch), format!("-I{}", self.include.display())]
    }
}

fn clang() -> String {
    env::var("CLANG").unwrap_or_else(|_| "clang".into())
}

fn require_clang() {
    let version = match Command::new(clang()).arg("--version").output() {
        Ok(out) if out.status.success() => String::from_utf8_lossy(&out.stdout).into_owned(),
        _ => {
            fail("clang was not found; install it: apt-get install clang (14 or newer), or name it in CLANG")
        }
    };
    let major = version
        .split("version ")
        .nth(1)
        .and_then(|rest| rest.split('.').next())
        .and_then(|major| major.parse::<u32>().ok());
    if let Some(major @ ..14) = major {
        fail(&format!(
            "clang {major} is too old, 14 or newer is needed: apt-get install clang-14 and set CLANG=clang-14"
        ));
    }
}

fn require_header(header: &str, package: &str, target: &Target) {
    let mut command = Command::new(clang());
    command.args([
        "-target",
        "bpf",
        "-E",
        "-x",
        "c",
        "-include",
        "linux/types.h",
        "-include",
        header,
        "/dev/null",
    ]);
    match command.args(target.args()).output() {
        Ok(out) if out.status.success() => {}
        _ => fail(&format!("the header {header} was not found; install it: apt-get install {package}")),
    }
}

fn compile(target: &Target, flags: &[&str], object: &Path) {
    let mut command = Command::new(clang());
    command
        .args(["-target", "bpf", "-g", "-O2", "-Wall", "-Werror", "-c", "bpf/sensor.bpf.c", "-o"])
        .arg(object)
        .args(target.args())
        .args(flags);
    match command.status() {
        Ok(status) if status.success() => {}
        other => {
            fail(&format!("clang could not compile bpf/sensor.bpf.c ({other:?}); its messages stand above"))
        }
    }
}

fn mirror(target: &Target, to: &Path) {
    let bindings = bindgen::Builder::default()
        .header("bpf/event.h")
        .clang_args(target.args())
        .allowlist_file(".*/event\\.h")
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .derive_default(true)
        .no_default("match_text_key|match_pattern|event_kernel|event_setting|event_memory")
        .layout_tests(false)
        .parse_callbacks(Box::new(Zerocopy))
        .generate();
    let written = match bindings {
        Ok(bindings) => bindings.write_to_file(to),
        Err(error) => fail(&format!(
            "bindgen could not read bpf/event.h ({error}); libclang is in: apt-get install libclang-dev"
        )),
    };
    written.expect("OUT_DIR is writable");
}

#[derive(Debug)]
struct Zerocopy;

impl ParseCallbacks for Zerocopy {
    fn add_derives(&self, info: &DeriveInfo<'_>) -> Vec<String> {
        if info.kind != TypeKind::Struct {
            return Vec::new();
        }
        ["FromBytes", "IntoBytes", "KnownLayout", "Immutable"].map(|name| format!("zerocopy::{name}")).into()
    }
}

fn fail(message: &str) -> ! {
    println!("cargo:warning={message}");
    eprintln!("error: {message}");
    exit(1)
}
