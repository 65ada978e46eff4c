//! Well-known programs with an option for a secret whose name does not say so.

/// A program, by its name on the command line.
struct Program {
    rule: &'static str,
    /// What every one of its names holds.
    needles: &'static [&'static str],
    /// Its names, as a pattern.
    names: &'static str,
    /// The option, as a pattern.
    option: &'static str,
    /// Where its value stands.
    value: Value,
    /// What stands before the secret in the value and is none, as a pattern: a user's name.
    keeps: &'static str,
}

#[derive(Clone, Copy)]
enum Value {
    /// In the same argument only: `-pSECRET`. Without one it asks.
    Attached,
    /// In the same argument or in the next.
    Either,
    /// In the next argument only.
    Next,
}

use Value::{Attached, Either, Next};

const PROGRAMS: &[Program] = &[
    program("mysql", &["mysql", "mariadb", "mycli", "xtrabackup"], MYSQL, "-p", Attached),
    program("sshpass", &["sshpass"], "sshpass", "-p", Either),
    program(
        "redis",
        &["redis-", "valkey-", "keydb-"],
        "(?:redis|valkey|keydb)-(?:cli|benchmark)",
        "-a",
        Either,
    ),
    program("ldap", &["ldap"], "ldap[a-z]+", "-w", Either),
    program("mongo", &["mongo"], "mongo[a-z]*", "-p", Either),
    program("sqlserver", &["sqlcmd", "bcp", "tsql", "sqsh"], "sqlcmd|bcp|tsql|sqsh", "-P", Either),
    program("cassandra", &["cqlsh", "nodetool"], "cqlsh|nodetool", "-pw?", Next),
    program("registry", &["login"], REGISTRY_LOGIN, "-p", Either),
    program("archive", &["7z", "rar"], "7z[arz]?|unrar|rar", "-h?p", Attached),
    program("zip", &["zip"], "zip|unzip|zipcloak", "-P", Either),
    program("openssl", &["openssl"], "openssl", "-[kK]", Next),
    program("putty", &["plink", "pscp", "psftp", "putty"], "plink|pscp|psftp|putty", "-pw", Next),
    program("rdp", &["freerdp"], "(?:xfreerdp|wlfreerdp|sdl-freerdp)3?", "/p:", Attached),
    program("rdp", &["rdesktop"], "rdesktop", "-p", Either),
    program("ipmi", &["ipmi"], "ipmi(?:tool|power|console)", "-[Pp]", Either),
    program("mqtt", &["mosquitto_"], "mosquitto_(?:pub|sub|rr)", "-P", Either),
    program("snmp", &["snmp"], "snmp[a-z]+", "-[cAX]", Either),
    program("guessing", GUESSING, "hydra|medusa|ncrack|nxc|netexec|crackmapexec|evil-winrm", "-p", Either),
    program("useradd", &["useradd", "usermod"], "useradd|usermod", "-p", Either),
    Program { keeps: r"[^\s:\x00]*:", ..program("curl", &["curl"], "curl", CURL_USER, Either) },
    Program { keeps: r"[^\s:\x00]*:", ..program("httpie", &["-a"], "https?|xhs?", "-a", Either) },
    Program { keeps: r"[^\s,\x00]*,", ..program("lftp", &["lftp"], "lftp", "-u", Either) },
    Program {
        keeps: r"[^\s%\x00]*%",
        ..program("samba", &["-u", "--user="], SAMBA, "(?:-U|--user=)", Either)
    },
];

const MYSQL: &str = r"(?:mysql|mariadb)[\w-]*|mycli|xtrabackup";
const GUESSING: &[&str] = &["hydra", "medusa", "ncrack", "nxc", "netexec", "crackmapexec", "evil-winrm"];
const REGISTRY_LOGIN: &str =
    r"(?:docker|podman|nerdctl|buildah|skopeo|oras|crane|helm)[\x00\s](?:registry[\x00\s])?login";
const CURL_USER: &str = "(?:-[a-zA-Z]*[uU]|--(?:proxy-)?user)";
const SAMBA: &str = "smb(?:client|get|map|passwd|cquotas)|rpcclient|net|winexe";

const fn program(
    rule: &'static str,
    needles: &'static [&'static str],
    names: &'static str,
    option: &'static str,
    value: Value,
) -> Program {
    Program { rule, needles, names, option, value, keeps: "" }
}

/// The rule of each program: its name, what must be there for it to match, and its pattern.
pub(super) fn rules() -> impl Iterator<Item = (&'static str, &'static [&'static str], String)> {
    PROGRAMS.iter().map(|program| (program.rule, program.needles, program.pattern()))
}

/// What is before a program's name in the midst of a text: a folder, or the signs of a shell.
const BEFORE: &str = r#"(?:^|[\s/;|&(`"'])"#;

impl Program {
    /// The option behind its program, be that behind another one such as `sudo`: as an argument of its own, or as a
    /// word of a shell's command.
    fn pattern(&self) -> String {
        let Self { names, option, keeps, .. } = self;
        let (argument, word) = match self.value {
            Attached => ("", ""),
            Either => (r"\x00?", r"\s*"),
            Next => (r"\x00", r"\s+"),
        };
        let argument =
            format!(r"(?:^|/)(?:{names})(?:\x00(?s:.)*?)??\x00{option}{argument}{keeps}([^\x00]+)");
        let quoted = if keeps.is_empty() { r#"'([^'\x00]+)|"([^"\x00]+)|"# } else { "" };
        let word = format!(
            r#"{BEFORE}(?:{names})(?:\s[^;|&\n\x00]*?)??\s{option}{word}(?:{quoted}["']?{keeps}([^\s'"\x00]+))"#
        );
        format!("{argument}|{word}")
    }
}
