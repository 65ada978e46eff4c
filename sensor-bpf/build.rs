//! Compiles the kernel's programs with clang, tells what their maps hold, and mirrors their header into Rust.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

use bindgen::callbacks::{DeriveInfo, ParseCallbacks, TypeKind};

#[path = "build/doors.rs"]
mod doors;
#[path = "build/layout.rs"]
#[expect(clippy::indexing_slicing, reason = "a build may stop where what it reads is not as expected")]
mod layout;

fn main() {
    println!("cargo:rerun-if-changed=bpf");
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-env-changed=CLANG");
    println!("cargo:rerun-if-env-changed=CPATH");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let target = Target::from_cargo();

    require_clang();
    require_header("bpf/bpf_helpers.h", "libbpf-dev", &target);
    let package = if target.is_cross() { "linux-libc-dev-arm64-cross" } else { "linux-libc-dev" };
    require_header("asm/types.h", package, &target);
    let programs = Path::new("bpf/sensor.bpf.c");
    compile(&target, programs, &["-mcpu=v3", "-DHAVE_LOOP"], &out.join("sensor.o"));
    compile(&target, programs, &["-mcpu=v3"], &out.join("sensor_before_5_17.o"));
    compile(&target, programs, &["-mcpu=v2", "-DOLD_ATOMICS"], &out.join("sensor_before_5_12.o"));
    let doors = out.join("doors.bpf.c");
    fs::write(&doors, doors::of(&fs::read_to_string(programs).expect("it was just compiled")))
        .expect("OUT_DIR is writable");
    compile(&target, &doors, &["-mcpu=v2", "-Ibpf"], &out.join("doors.o"));
    tell_layouts(&out);
    mirror(&target, &out.join("event.rs"));
}

/// Writes the digests of what is shared between versions: of the records' header, and of each object's maps.
fn tell_layouts(out: &Path) {
    let header = fs::read_to_string("bpf/event.h").expect("it was just compiled");
    let header = layout::digest(layout::without_comments(&header).as_bytes());
    let mut text = format!("pub(crate) static RECORDS: [u8; 8] = {header:?};\n");
    for (name, object) in [
        ("CURRENT_MAPS", "sensor.o"),
        ("BEFORE_5_17_MAPS", "sensor_before_5_17.o"),
        ("BEFORE_5_12_MAPS", "sensor_before_5_12.o"),
    ] {
        let maps = layout::of_maps(&fs::read(out.join(object)).expect("it was just compiled"));
        writeln!(text, "pub(crate) static {name}: &[(&str, [u8; 8])] = &{maps:?};")
            .expect("a String takes all");
    }
    fs::write(out.join("layouts.rs"), text).expect("OUT_DIR is writable");
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
        // Its own place, else that of the packages for cross-compilers.
        let own = Path::new("/usr/include").join(triple);
        let cross = Path::new("/usr").join(triple).join("include");
        Self { arch, include: if own.join("asm").exists() { own } else { cross } }
    }

    fn is_cross(&self) -> bool {
        env::var("HOST").ok() != env::var("TARGET").ok()
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

fn compile(target: &Target, source: &Path, flags: &[&str], object: &Path) {
    let mut command = Command::new(clang());
    command
        .args(["-target", "bpf", "-g", "-O2", "-Wall", "-Werror", "-c"])
        .arg(source)
        .arg("-o")
        .arg(object)
        .args(target.args())
        .args(flags);
    match command.status() {
        Ok(status) if status.success() => {}
        other => fail(&format!(
            "clang could not compile {} ({other:?}); its messages stand above",
            source.display()
        )),
    }
}

fn mirror(target: &Target, to: &Path) {
    let bindings = bindgen::Builder::default()
        .header("bpf/event.h")
        .clang_args(target.args())
        .allowlist_file(".*/(event|tables)\\.h")
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
