//! How secrets are called: the names of options, variables and keys whose value nobody should read.
//!
//! Pieces of patterns, in lower case: they are meant for rules that fold case.

/// A name that ends in a word for a secret: `password`, `DB_PASSWORD`, `client-secret`, `spring.datasource.password`.
/// What goes on after that word is another thing: `--password-file`, `AWS_ACCESS_KEY_ID`, `--max-tokens`.
pub(super) const SECRET: &str = concat!(
    r"(?:[\w.-]*(?:passw(?:or)?d|passphrase|storepass|keypass|secret|token|credentials?",
    r"|(?:api|access|secret|private|encrypt(?:ion)?|signing|master|account|auth|session)[-_.]?key)",
    r"|(?:[\w.-]*[-_.])?pass|[\w.-]*[-_.](?:pwd|auth))",
);

/// The ends of all such names.
const WORDS: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "pass",
    "secret",
    "token",
    "credential",
    "credentials",
    "key",
    "pwd",
    "auth",
];

/// What may follow a name: its value, or the end of its argument or quotes.
const AFTER: &str = "=:\0\"'\\ \t\n\r\x0b\x0c";

/// The start of options that ask for a secret, or go without one, and are followed by something else: `--no-password`,
/// `--ask-pass`.
pub(super) const NO_VALUE: &str = concat!(
    r"(?:no|ask|prompt|use|with|without|print|show|get|generate|require|enable|disable|allow",
    r"|reset|force|skip)[-_]",
);

/// An argument that is the value of the option before it, and not an option itself: a secret may begin with `-`.
pub(super) const NEXT_ARGUMENT: &str = r"([^\x00-].*|-[^\x00-].+|--[^\x00a-zA-Z].*)$";

/// A value in the midst of a text, in quotes or up to where it must end.
pub(super) const IN_TEXT: &str =
    r#"(?:\\?"((?:[^"\\\x00]|\\[^"\x00])*)|'([^'\x00]*)|([^\s"'&;,|<>(){}\[\]\x00]+))"#;

/// What every text holds in which [`SECRET`] has a value.
pub(super) fn needles() -> impl Iterator<Item = String> {
    WORDS.into_iter().flat_map(|word| AFTER.chars().map(move |after| format!("{word}{after}")))
}
