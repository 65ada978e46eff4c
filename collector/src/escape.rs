//! Makes a host's string safe to print on a terminal or in a log.
//!
//! Every string that comes from a host was chosen by a process there. Printed as it is, it could
//! move the cursor, set the clipboard, forge a line or reverse the reading order.

use std::fmt::Write as _;

/// The text with everything that a terminal would act on, or a reader could not see, spelt out.
///
/// Control characters (C0, DEL, C1) become `\n`, `\t`, `\xNN` or `\u{NN}`; bidirectional controls, zero-width
/// and other invisible characters, line and paragraph separators become `\u{NNNN}`. A backslash stays as it is.
/// Terminals that read bytes as Latin-1 controls are not served by anything but UTF-8 output.
pub fn terminal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x80 && c.is_control() => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if c.is_control() || is_invisible(c) => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

/// Characters that print nothing, or that change how their neighbours read.
fn is_invisible(c: char) -> bool {
    matches!(c as u32,
        0x00ad | 0x034f | 0x061c | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180e
        | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f
        | 0xfeff | 0xffa0 | 0xfff0..=0xfffb | 0xe0000..=0xe0fff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_a_terminal_would_act_on() {
        for (raw, shown) in [
            ("plain /bin/sh -c 'x'", "plain /bin/sh -c 'x'"),
            ("\x1b]52;c;AAAA\x07", "\\x1b]52;c;AAAA\\x07"),
            ("\x1b[2J", "\\x1b[2J"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
            ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
            ("\u{7f}", "\\x7f"),
            ("größe 漢字", "größe 漢字"),
        ] {
            assert_eq!(terminal(raw), shown);
        }
    }
}
