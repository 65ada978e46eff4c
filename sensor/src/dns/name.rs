//! Names and texts as people read them.

use std::fmt::Write as _;

use hickory_proto::rr::Name;

/// A name in the presentation format of RFC 1035, 5.1, in lower case, as names differ in nothing by case (RFC 4343), and
/// without the dot at its end; the root is `.`.
pub(super) fn name(name: &Name) -> String {
    let mut text = String::with_capacity(name.len());
    for (n, label) in name.iter().enumerate() {
        if n > 0 {
            text.push('.');
        }
        for byte in label {
            escape(&mut text, byte.to_ascii_lowercase(), b".\"$();@\\");
        }
    }
    if text.is_empty() {
        text.push('.');
    }
    text
}

/// A character string as RFC 1035, 5.1 has it, without quotes around it.
pub(super) fn string(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b' ' => text.push(' '),
            _ => escape(text, *byte, b"\"\\"),
        }
    }
}

/// What is not a letter to be seen becomes `\DDD`, in decimal; what has a meaning of its own gets a `\` before it.
fn escape(text: &mut String, byte: u8, special: &[u8]) {
    if !byte.is_ascii_graphic() {
        // Writing to a text cannot fail.
        let _ = write!(text, "\\{byte:03}");
        return;
    }
    if special.contains(&byte) {
        text.push('\\');
    }
    text.push(char::from(byte));
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[track_caller]
    fn check(labels: &[&[u8]], expected: &str) {
        let mut made = Name::root();
        for label in labels {
            made = made.append_label(*label).unwrap();
        }
        assert_eq!(name(&made), expected);
    }

    #[test]
    fn names_are_escaped_and_in_one_case() {
        check(&[b"WWW", b"Example", b"org"], "www.example.org");
        check(&[b"_dns", b"a-b", b"*"], "_dns.a-b.*");
        check(&[b"a.b", b"c\\d"], "a\\.b.c\\\\d");
        check(&[b"\x1b[31m\0", b"\xff\xc3\xa4", b"a b\n"], "\\027[31m\\000.\\255\\195\\164.a\\032b\\010");
        check(&[], ".");
    }

    #[test]
    fn strings_keep_their_case_and_blanks() {
        let mut text = String::new();
        string(&mut text, b"v=spf1 A \"quoted\" \\ \x07;\xe4");
        assert_eq!(text, "v=spf1 A \\\"quoted\\\" \\\\ \\007;\\228");
    }
}
