//! The doors: for each program that the kernel calls, a small one that stays attached and leads to it.
//!
//! They are made from the list of programs, so that a new program needs no line more. An iterator has none: it is run
//! only when it is asked.

use std::fmt::Write as _;

/// The C text of all doors, given the text that lists the programs.
pub(crate) fn of(programs: &str) -> String {
    let mut text = String::from("/* Made from sensor.bpf.c. */\n#include \"door.h\"\n\n");
    let mut n_sections = 0;
    for (section, name) in list(programs) {
        n_sections += 1;
        if section.starts_with("iter/") {
            continue;
        }
        // What a program of a control group returns is a verdict: 1 lets it pass.
        let without = if section.starts_with("cgroup") { 1 } else { 0 };
        writeln!(text, "DOOR(\"{section}\", {name}, {without})").expect("a String takes all");
    }
    let expected = programs.matches("\nSEC(").count();
    assert_eq!(n_sections, expected, "every SEC(…) of sensor.bpf.c is followed by the line of its function");
    text
}

/// Each program's section and name.
fn list(programs: &str) -> impl Iterator<Item = (&str, &str)> {
    programs.split("\nSEC(\"").skip(1).filter_map(|program| {
        let (section, rest) = program.split_once("\")\nint ")?;
        let rest = rest.strip_prefix("BPF_PROG(").unwrap_or(rest);
        let end = rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric())?;
        Some((section, &rest[..end]))
    })
}
