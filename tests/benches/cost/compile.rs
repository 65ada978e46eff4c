//! C files through the system's compiler: each a program that starts two others and opens some dozen files.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tests::loops::Done;

const FILES: usize = 24;
/// How many functions a file has: so many that a compiler takes about 0.2 s.
const FUNCTIONS: usize = 24;

pub(crate) fn about() -> String {
    format!("cc -O2 -c of {FILES} files, as many at a time as there are cores")
}

pub(crate) fn prepare(scratch: &Path) -> anyhow::Result<()> {
    for n in 0..FILES {
        std::fs::write(scratch.join(format!("file{n}.c")), source(n))?;
    }
    Ok(())
}

pub(crate) fn run(scratch: &Path) -> anyhow::Result<Done> {
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    let worker = || {
        while let n @ 0..FILES = next.fetch_add(1, Ordering::Relaxed) {
            one(scratch, n);
        }
    };
    let n_cores = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| (0..n_cores).for_each(|_| drop(scope.spawn(worker))));
    Ok(Done { n: FILES as u64, took: start.elapsed() })
}

/// Compiles one file.
pub(crate) fn one(scratch: &Path, n: usize) {
    let mut command = Command::new("cc");
    command.args(["-O2", "-c", &format!("file{n}.c"), "-o", &format!("file{n}.o")]);
    let status = command.current_dir(scratch).status();
    assert!(status.expect("cc runs").success(), "cc cannot compile file{n}.c");
}

fn source(file: usize) -> String {
    let headers = ["errno", "fcntl", "math", "netdb", "pthread", "signal", "stdint", "stdio", "stdlib"];
    let mut text = String::new();
    for header in headers.iter().chain(&["string", "sys/socket", "sys/stat", "time", "unistd"]) {
        let _ = writeln!(text, "#include <{header}.h>");
    }
    for n in 0..FUNCTIONS {
        let _ = writeln!(
            text,
            "int f{file}_{n}(const char *text, int *out, int n) {{
                int sum = {n};
                for (int i = 0; i < n; i++) {{
                    if (text[i] == '{{') sum += out[i % 7] * {n};
                    else sum ^= out[i] << (text[i] & 7);
                    out[i] = sum + (int)strlen(text + i);
                }}
                return snprintf((char *)out, 64, \"%d %s\", sum, strerror(errno));
            }}"
        );
    }
    text
}
