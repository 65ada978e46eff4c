//! The rules that a sensor has of its own.

use super::names::{IN_TEXT, NEXT_ARGUMENT, NO_VALUE, SECRET, needles};
use super::{programs, services};

/// A rule of the sensor's own.
pub(super) struct Builtin {
    /// Its name. Several may share one.
    pub(super) name: &'static str,
    /// Where none of these is in the arguments, in either case, the pattern does not match.
    pub(super) needles: Vec<String>,
    /// Its pattern.
    pub(super) pattern: String,
}

/// All of them.
pub(super) fn rules() -> Vec<Builtin> {
    let named = |name, pattern| Builtin { name, needles: needles().collect(), pattern };
    let rule = |name, needles: &[&str], pattern| Builtin {
        name,
        needles: needles.iter().copied().map(str::to_owned).collect(),
        pattern,
    };
    let mut rules = vec![
        named("option", option()),
        named("option", word()),
        named("assignment", assignment()),
        named("assignment", in_text()),
        named("setting", setting()),
        named("header", HEADER.to_owned()),
        rule("header", &["authorization", "cookie", "bearer"], HEADER.to_owned()),
        rule("url", &["://"], URL.to_owned()),
        rule("query", QUERIES, QUERY.to_owned()),
        rule("sql", &["identified"], SQL.to_owned()),
        named("sql", SQL.to_owned()),
    ];
    let services =
        services::RULES.iter().map(|(name, needles, pattern)| rule(name, needles, (*pattern).to_owned()));
    rules.extend(services);
    rules.extend(programs::rules().map(|(name, needles, pattern)| rule(name, needles, pattern)));
    rules
}

/// `--password hunter2`, `--db.password=hunter2`, `-storepass hunter2`, `/password:hunter2`.
fn option() -> String {
    format!(
        r"(?i)^--?{NO_VALUE}[\w.-]*(?:[=\x00]|$)|^--?{SECRET}(?:[=:](.+)|\x00{NEXT_ARGUMENT})|^/{SECRET}:(.+)"
    )
}

/// `--password hunter2` in the midst of a shell's command.
fn word() -> String {
    format!(
        r#"(?i)\s--?{NO_VALUE}[\w.-]*|\s--?{SECRET}\s{{1,4}}(?:"([^"\x00]*)|'([^'\x00]*)|([^\s"'&;|<>\x00-][^\s"'&;|<>\x00]*))"#
    )
}

/// `PASSWORD=hunter2` as an argument of its own, all of it if it has blanks, too; but not a shell's command (what
/// follows `-c`, or has a shell's signs) that begins so: of that, no more than the value goes.
fn assignment() -> String {
    format!(r"(?i)^-[a-z]*c\x00(?:{SECRET}=)?|^{SECRET}=([^\s\x00]+|[^\x00;|&<>`$()]+)$")
}

/// The same in the midst of a text: a shell's command, JSON, a query of a URL, a connection's description.
fn in_text() -> String {
    format!(
        r#"(?i)(?:^|[^\w.-]){SECRET}(?:\\?["'])?\s{{0,4}}(?:=>|[:=])\s{{0,4}}{IN_TEXT}|;\s?pwd=([^;\x00]+)"#
    )
}

/// `git config http.token hunter2`, `aws configure set aws_secret_access_key hunter2`.
fn setting() -> String {
    format!(r"(?i)^config(?:ure)?\x00(?:(?:set|add|-[^\x00]*)\x00)*[\w./:-]*?{SECRET}\x00{NEXT_ARGUMENT}")
}

/// `Authorization: Bearer …`, `Cookie: …`, `X-Api-Key: …`; the scheme stays.
const HEADER: &str = concat!(
    r"(?i)(?:authorization|cookie2?|x-[\w-]*(?:token|key|secret|auth)|(?:private|job|deploy)-token|api-?key)",
    r#"(?:\\?["'])?\s?[:=]\s{0,4}(?:\\?["'])?"#,
    r"(?:(?:bearer|basic|digest|token|negotiate|apikey|aws4-hmac-sha256)(?:\s|%20)+)?",
    r#"([^\s"'\\\x00][^"'\\\r\n\x00]*)"#,
    r"|\bbearer\s+([\w.~+/=-]{8,})",
);

/// `https://user:hunter2@host`; and a name so long that it is a key itself.
const URL: &str = r#"://([\w-]{20,})(?::([^\s/"'\x00]+))?@|://[^\s/?#:@"'\x00]*:([^\s/"'\x00]+)@"#;

/// `?sig=…` and the like: names that say nothing outside of a URL.
const QUERY: &str =
    r#"(?i)[?&](?:[\w.-]*sig(?:nature)?|key|code|auth|sid|session(?:id)?|sas|jwt)=([^\s&#"'\x00]{6,})"#;
const QUERIES: &[&str] =
    &["sig=", "signature=", "key=", "code=", "auth=", "sid=", "session=", "sessionid=", "sas=", "jwt="];

/// `IDENTIFIED BY 'hunter2'`, `PASSWORD 'hunter2'`.
const SQL: &str =
    r"(?i)(?:\bpassword|\bidentified(?:\s+with\s+\w+)?\s+(?:by|as)(?:\s+password)?)\s+'([^'\x00]+)";
