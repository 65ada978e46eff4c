//! The migrations are built into the programs.

fn main() {
    println!("cargo::rerun-if-changed=../migrations");
}
