use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

fn redactor() -> &'static Redactor {
    static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(&Redaction::default()).unwrap());
    &REDACTOR
}

/// Every built-in rule, compiled.
fn regexes() -> &'static [Regex] {
    static REGEXES: LazyLock<Vec<Regex>> =
        LazyLock::new(|| builtin::rules().iter().map(|rule| compile(&rule.pattern).unwrap()).collect());
    &REGEXES
}

/// Arguments from their words, each ended by NUL.
fn args(words: &[&str]) -> Vec<u8> {
    words.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect()
}

/// What is kept of these words.
#[track_caller]
fn check(words: &[&str], kept: &[&str]) {
    let args = args(words);
    let redacted = redactor().redact(&args).unwrap_or_else(|| args.clone());
    let shown: Vec<_> = redacted.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    assert_eq!(shown.split_last().unwrap().1, kept);
}

#[track_caller]
fn unchanged(words: &[&str]) {
    assert_eq!(redactor().redact(&args(words)), None, "{words:?}");
}

#[test]
fn options_lose_their_value_and_keep_their_name() {
    check(&["app", "--password=hunter2", "-v"], &["app", "--password=<redacted>", "-v"]);
    check(&["app", "--password", "hunter2", "-v"], &["app", "--password", "<redacted>", "-v"]);
    check(
        &["app", "--token", "a b", "--Api-Key", "x"],
        &["app", "--token", "<redacted>", "--Api-Key", "<redacted>"],
    );
    check(
        &["java", "-Ddb.password=hunter2", "-jar", "a"],
        &["java", "-Ddb.password=<redacted>", "-jar", "a"],
    );
    check(&["keytool", "-storepass", "changeit"], &["keytool", "-storepass", "<redacted>"]);
    check(&["app", "--client-secret", "-x9f_abc"], &["app", "--client-secret", "<redacted>"]);
    check(&["app", "/password:hunter2"], &["app", "/password:<redacted>"]);
    check(&["app", "--password=two words; and more"], &["app", "--password=<redacted>"]);
}

#[test]
fn an_option_that_has_no_value_takes_none_from_the_next() {
    unchanged(&["mysql", "--password", "--host", "db"]);
    unchanged(&["mysql", "--password", "-h", "db"]);
    unchanged(&["psql", "--no-password", "db"]);
    unchanged(&["ansible-playbook", "--ask-become-pass", "site.yml"]);
    unchanged(&["docker", "login", "--password-stdin", "registry.example"]);
    unchanged(&["app", "--token-file", "/run/token", "--max-tokens=512", "--compass=north", "--secret"]);
    unchanged(&["app", "--keyring", "/etc/keys", "--public-key", "k.pem", "--bypass=yes"]);
}

#[test]
fn assignments_lose_their_value_wherever_they_stand() {
    check(&["env", "PASSWORD=a;b&c", "run"], &["env", "PASSWORD=<redacted>", "run"]);
    check(&["env", "DB_PASSWORD=two words", "run"], &["env", "DB_PASSWORD=<redacted>", "run"]);
    check(&["docker", "run", "-e", "MYSQL_PWD=a;b"], &["docker", "run", "-e", "MYSQL_PWD=<redacted>"]);
    check(
        &["env", "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG"],
        &["env", "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=<redacted>"],
    );
    check(
        &["sh", "-c", "PGPASSWORD=hunter2 psql -h db; export TOKEN='a b' && ./run --secret=x"],
        &[
            "sh",
            "-c",
            "PGPASSWORD=<redacted> psql -h db; export TOKEN='<redacted>' && ./run --secret=<redacted>",
        ],
    );
    check(&["bash", "-lc", "TOKEN=x evil --all"], &["bash", "-lc", "TOKEN=<redacted> evil --all"]);
    check(
        &["curl", "-d", r#"{"user":"bob","password":"hunter2","n":1}"#],
        &["curl", "-d", r#"{"user":"bob","password":"<redacted>","n":1}"#],
    );
    check(
        &["sh", "-c", r#"curl -d "{\"secret\": \"hunter2\"}""#],
        &["sh", "-c", r#"curl -d "{\"secret\": \"<redacted>\"}""#],
    );
    check(&["app", "Server=db;Uid=me;Pwd=hunter2;X=1"], &["app", "Server=db;Uid=me;Pwd=<redacted>;X=1"]);
    check(&["app", "AccountName=a;AccountKey=Zm9vYmFy=="], &["app", "AccountName=a;AccountKey=<redacted>"]);
    check(
        &["kubectl", "create", "--from-literal=password=hunter2"],
        &["kubectl", "create", "--from-literal=password=<redacted>"],
    );
    check(&["openssl", "enc", "-pass", "pass:hunter2"], &["openssl", "enc", "-pass", "<redacted>"]);
    check(&["openssl", "rsa", "-passin", "pass:hunter2"], &["openssl", "rsa", "-passin", "pass:<redacted>"]);
}

#[test]
fn what_only_looks_like_an_assignment_stays() {
    unchanged(&["cat", "/etc/passwd"]);
    unchanged(&["env", "PWD=/root", "OLDPWD=/"]);
    unchanged(&["grep", "-r", "password", "/etc/shadow"]);
    unchanged(&["man", "passwd"]);
    unchanged(&["vault", "token", "lookup"]);
    unchanged(&["ssh-keygen", "-t", "ed25519", "-f", "/root/.ssh/key"]);
}

#[test]
fn settings_lose_their_value() {
    check(
        &["git", "config", "--global", "http.token", "x"],
        &["git", "config", "--global", "http.token", "<redacted>"],
    );
    check(
        &["aws", "configure", "set", "aws_secret_access_key", "abc"],
        &["aws", "configure", "set", "aws_secret_access_key", "<redacted>"],
    );
    check(
        &["npm", "config", "set", "//registry.npmjs.org/:_authToken", "abc"],
        &["npm", "config", "set", "//registry.npmjs.org/:_authToken", "<redacted>"],
    );
}

#[test]
fn headers_keep_their_scheme() {
    check(
        &["curl", "-H", "Authorization: Bearer abc.def", "-H", "Accept: */*"],
        &["curl", "-H", "Authorization: Bearer <redacted>", "-H", "Accept: */*"],
    );
    check(
        &["curl", "-H", "authorization:Basic dXNlcjpwYXNz"],
        &["curl", "-H", "authorization:Basic <redacted>"],
    );
    check(&["curl", "-H", "X-Api-Key: abc"], &["curl", "-H", "X-Api-Key: <redacted>"]);
    check(&["curl", "-H", "PRIVATE-TOKEN: abc"], &["curl", "-H", "PRIVATE-TOKEN: <redacted>"]);
    check(&["curl", "-H", "Cookie: sid=abc; theme=dark"], &["curl", "-H", "Cookie: <redacted>"]);
    check(
        &["sh", "-c", r#"curl -H "Authorization: token abc" https://h"#],
        &["sh", "-c", r#"curl -H "Authorization: token <redacted>" https://h"#],
    );
    check(
        &["app", r#"{"Authorization": "Bearer abc"}"#],
        &["app", r#"{"Authorization": "Bearer <redacted>"}"#],
    );
    check(&["app", "send bearer abcdefghij on"], &["app", "send bearer <redacted> on"]);
    unchanged(&["curl", "-H", "Accept: text/html", "-H", "X-Request-Id: 7"]);
}

#[test]
fn urls_keep_user_host_and_path() {
    check(
        &["git", "clone", "https://bob:hunter2@host.example/r"],
        &["git", "clone", "https://bob:<redacted>@host.example/r"],
    );
    check(&["app", "redis://:hunter2@db:6379/0"], &["app", "redis://:<redacted>@db:6379/0"]);
    check(&["app", "postgres://u:p@ss:w@db/x"], &["app", "postgres://u:<redacted>@db/x"]);
    check(
        &["git", "clone", "https://0123456789abcdef0123:x-oauth-basic@github.com/r"],
        &["git", "clone", "https://<redacted>:<redacted>@github.com/r"],
    );
    check(
        &["curl", "https://h/p?user=bob&api_key=abc&page=2#top"],
        &["curl", "https://h/p?user=bob&api_key=<redacted>&page=2#top"],
    );
    check(&["curl", "https://h/p?key=AbCdEf123&x=1"], &["curl", "https://h/p?key=<redacted>&x=1"]);
    check(&["curl", "https://h/c?se=2026&sig=abcdef%3D"], &["curl", "https://h/c?se=2026&sig=<redacted>"]);
    unchanged(&["curl", "http://host:8080/a@b?q=x", "ssh://git@host/r", "https://user@host/"]);
}

#[test]
fn programs_lose_what_their_options_say() {
    check(&["mysql", "-uroot", "-phunter2", "db"], &["mysql", "-uroot", "-p<redacted>", "db"]);
    check(&["sudo", "/usr/bin/mysqldump", "-phunter2"], &["sudo", "/usr/bin/mysqldump", "-p<redacted>"]);
    check(
        &["sh", "-c", "mysql -u root -phunter2 db | wc"],
        &["sh", "-c", "mysql -u root -p<redacted> db | wc"],
    );
    unchanged(&["mysql", "-u", "root", "-p", "db", "-P", "3306"]);
    check(&["sshpass", "-p", "hunter2", "ssh", "h"], &["sshpass", "-p", "<redacted>", "ssh", "h"]);
    check(
        &["sshpass", "-phunter2", "ssh", "-p", "22", "h"],
        &["sshpass", "-p<redacted>", "ssh", "-p", "22", "h"],
    );
    check(&["redis-cli", "-h", "db", "-a", "hunter2"], &["redis-cli", "-h", "db", "-a", "<redacted>"]);
    check(&["curl", "-u", "bob:hunter2", "http://h"], &["curl", "-u", "bob:<redacted>", "http://h"]);
    check(&["curl", "-subob:hunter2", "http://h"], &["curl", "-subob:<redacted>", "http://h"]);
    check(
        &["sh", "-c", "curl -su 'bob:hunter2' http://h"],
        &["sh", "-c", "curl -su 'bob:<redacted>' http://h"],
    );
    unchanged(&["curl", "-u", "bob", "http://h:80/"]);
    check(&["ldapsearch", "-x", "-w", "hunter2"], &["ldapsearch", "-x", "-w", "<redacted>"]);
    check(
        &["docker", "login", "-u", "b", "-p", "hunter2"],
        &["docker", "login", "-u", "b", "-p", "<redacted>"],
    );
    unchanged(&["docker", "run", "-p", "80:80", "nginx"]);
    check(&["smbclient", "//h/s", "-U", "bob%hunter2"], &["smbclient", "//h/s", "-U", "bob%<redacted>"]);
    check(&["7z", "a", "-phunter2", "x.7z"], &["7z", "a", "-p<redacted>", "x.7z"]);
    check(&["xfreerdp", "/u:bob", "/p:hunter2", "/v:h"], &["xfreerdp", "/u:bob", "/p:<redacted>", "/v:h"]);
    check(
        &["mysql", "-e", "ALTER USER 'a' IDENTIFIED BY 'hunter2'"],
        &["mysql", "-e", "ALTER USER 'a' IDENTIFIED BY '<redacted>'"],
    );
    unchanged(&["ssh", "-p", "22", "host"]);
    unchanged(&["mkdir", "-p", "/var/lib/mysql"]);
}

#[test]
fn what_services_give_out_is_known_by_its_shape() {
    for (secret, kept) in [
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P", "<redacted>"),
        ("ghp_0123456789abcdefABCDEF0123456789abcd", "ghp_<redacted>"),
        ("github_pat_11ABCDEFG0123456789_abcdefghij", "github_pat_<redacted>"),
        ("glpat-abcdefghij0123456789", "glpat-<redacted>"),
        ("xoxb-123456789012-abcdefABCDEF", "xoxb-<redacted>"),
        ("xoxp-123456789012-abcdefABCDEF", "xoxp-<redacted>"),
        ("AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AKIAIOSFODNN7EXAMPLE:<redacted>"),
        ("AIzaSyA0123456789abcdefghijklmnopqrstuv", "AIza<redacted>"),
        ("sk_live_0123456789abcdef", "sk_live_<redacted>"),
        ("sk-proj-abcdefghij_0123456789", "<redacted>"),
        ("sk-abcdefghijklmnopqrstuvwxyz", "<redacted>"),
        ("npm_0123456789abcdefghijABCDEFGHIJ012345", "npm_<redacted>"),
        ("hvs.CAESIJ0123456789abcdefgh", "hvs.<redacted>"),
        ("SG.abcdefghijklmnop.abcdefghijklmnop", "SG.<redacted>"),
    ] {
        check(&["app", secret, "x"], &["app", kept, "x"]);
        let text = format!("echo {secret} | sh");
        check(&["sh", "-c", &text], &["sh", "-c", &format!("echo {kept} | sh")]);
    }
    check(
        &["app", "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"],
        &["app", "AKIAIOSFODNN7EXAMPLE", "<redacted>"],
    );
    unchanged(&["app", "AKIAIOSFODNN7EXAMPLE", "us-east-1"]);
    unchanged(&["pip", "install", "sk-learn-extra", "disk-aaaaaaaaaaaaaaaaaaaaaaaaaa"]);
}

#[test]
fn a_private_key_goes_whole_or_cut_in_one_argument_or_in_many() {
    let line = "MIIEpAIBAAKCAQEA0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL";
    let begin = "-----BEGIN RSA PRIVATE KEY-----";
    let end = "-----END RSA PRIVATE KEY-----";
    check(
        &["app", &format!("{begin}\n{line}\n{line}\nab==\n{end}"), "x"],
        &["app", &format!("{begin}<redacted>{end}"), "x"],
    );
    check(&["app", &format!(r"{begin}\n{line}\n{line}")], &["app", &format!("{begin}<redacted>")]);
    let (b, e) = (["-----BEGIN", "RSA", "PRIVATE", "KEY-----"], ["-----END", "RSA", "PRIVATE", "KEY-----"]);
    let words = [&["app"], &b[..], &[line, line, "ab=="], &e[..], &["http://h"]].concat();
    let kept = [&["app"], &b[..], &[MARKER_TEXT; 3], &e[..], &["http://h"]].concat();
    check(&words, &kept);
    check(&["app", begin, "http://h", "evil"], &["app", begin, "http://h", "evil"]);
    unchanged(&["app", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"]);
}

const MARKER_TEXT: &str = "<redacted>";

#[test]
fn what_is_not_text_is_redacted_too() {
    let redacted = redactor().redact(b"\xff\xfe\0--password=\xff\x80\0DB_PASSWORD=\xc3(\0").unwrap();
    assert_eq!(redacted, b"\xff\xfe\0--password=<redacted>\0DB_PASSWORD=<redacted>\0");
    assert_eq!(
        redactor().redact(b"--password=cut"),
        Some(b"--password=<redacted>".to_vec()),
        "without its NUL"
    );
}

#[test]
fn rules_are_switched_off_by_name_and_added() {
    let asked = Redaction {
        without: vec!["jwt".to_owned(), "option".to_owned()],
        patterns: vec![r"^--pin=(\d+)$".to_owned(), "EMP-[0-9]{6}".to_owned()],
        ..Redaction::default()
    };
    let redactor = Redactor::new(&asked).unwrap();
    assert_eq!(redactor.redact(b"a\0eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.abc\0"), None);
    assert_eq!(
        redactor.redact(b"a\0--pin=1234\0by EMP-123456\0"),
        Some(b"a\0--pin=<redacted>\0by <redacted>\0".to_vec())
    );
    let off = Redactor::new(&Redaction { on: false, ..asked }).unwrap();
    assert_eq!(off.redact(b"a\0--password=x\0--pin=1234\0"), None);
}

#[test]
fn what_cannot_be_a_rule_is_refused_with_what_could() {
    let refused = |redaction| Redactor::new(&redaction).unwrap_err().to_string();
    let error = refused(Redaction { without: vec!["jwtt".to_owned()], ..Redaction::default() });
    assert!(error.contains("jwtt") && error.contains("jwt, "), "{error}");
    let error = refused(Redaction { patterns: vec!["(".to_owned()], ..Redaction::default() });
    assert!(error.contains("\"(\"") && error.ends_with("unclosed group"), "{error}");
    let error =
        refused(Redaction { patterns: vec![r"(?:.{1000}){1000}".to_owned()], ..Redaction::default() });
    assert!(error.contains("size limit"), "{error}");
    let error = refused(Redaction { patterns: vec!["a".to_owned(); 65], ..Redaction::default() });
    assert!(error.contains("65"), "{error}");
}

#[test]
fn every_rule_compiles_and_finds_nothing_without_its_needles() {
    for rule in builtin::rules() {
        let regex = compile(&rule.pattern).unwrap_or_else(|error| panic!("{}: {error}", rule.name));
        assert!(!regex.is_match(b""), "{}", rule.name);
        assert!(
            rule.needles.iter().all(|needle| *needle == needle.to_ascii_lowercase() && !needle.is_empty())
        );
    }
    assert!(builtin::rules().len() <= 64, "a bit of a word for each");
}

#[test]
fn every_rule_is_in_the_documentation() {
    let text = include_str!("../../../docs/sensor.md");
    let (section, _) = text.split_once("## Hashes of executables").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let documented: Vec<&str> = rows.map(|(name, _)| name).collect();
    assert_eq!(documented, rule_names(), "the table of rules in docs/sensor.md");
}

#[test]
fn a_pattern_that_matches_nothing_replaces_nothing() {
    let asked = Redaction { patterns: vec!["x*".to_owned(), "$".to_owned()], ..Redaction::default() };
    let redactor = Redactor::new(&asked).unwrap();
    assert_eq!(redactor.redact(b"a\0\0b"), None);
    assert_eq!(redactor.redact(b"axxa\0\0b"), Some(b"a<redacted>a\0\0b".to_vec()));
}

#[test]
fn a_flood_of_secrets_is_replaced_to_the_end() {
    let flood = b"--password=hunter2\0".repeat(2 * MAX_MATCHES);
    let redacted = redactor().redact(&flood).unwrap();
    assert_eq!(memchr::memmem::find(&redacted, b"hunter2"), None);
    assert_eq!(redacted.iter().filter(|byte| **byte == 0).count(), 2 * MAX_MATCHES);
}

/// Pieces that rules look for, so that random arguments hit them.
fn any_piece() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"\0",
        b"\0",
        b" ",
        b"=",
        b":",
        b"-",
        b"--",
        b"'",
        b"\"",
        b"\\",
        b"@",
        b"://",
        b"?",
        b"&",
        b"/",
        b"password",
        b"token",
        b"api_key",
        b"no-",
        b"-p",
        b"mysql",
        b"curl",
        b"-u",
        b"config",
        b"set",
        b"authorization",
        b"bearer",
        b"eyJhbGciOiJIUzI1NiJ9",
        b".eyJzdWIiOiIx",
        b"-----BEGIN PRIVATE KEY-----",
        b"-----END",
        b"ghp_0123456789abcdefABCDEF",
        b"-c",
        b"<redacted>",
        b"\xff",
        b"identified by '",
        b"AKIAIOSFODNN7EXAMPLE",
        b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    ];
    prop_oneof![
        4 => proptest::sample::select(pieces).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
    ]
}

proptest! {
    #[test]
    fn whatever_the_arguments_are_they_stay_as_many_and_grow_by_no_more_than_markers(
        pieces in proptest::collection::vec(any_piece(), 0..60),
    ) {
        let args = pieces.concat();
        let Some(redacted) = redactor().redact(&args) else { return Ok(()) };
        let n_nuls = |args: &[u8]| args.iter().filter(|byte| **byte == 0).count();
        prop_assert_eq!(n_nuls(&redacted), n_nuls(&args));
        prop_assert!(redacted.len() <= args.len() * MARKER.len(), "{} from {}", redacted.len(), args.len());
        prop_assert!(memchr::memmem::find(&redacted, MARKER).is_some());
        let empty = |args: &[u8]| args.split(|byte| *byte == 0).map(<[u8]>::is_empty).collect::<Vec<_>>();
        prop_assert_eq!(empty(&redacted), empty(&args), "what was empty is empty, and nothing else");
    }

    #[test]
    fn without_a_hit_of_any_rule_nothing_is_touched(pieces in proptest::collection::vec(any_piece(), 0..30)) {
        let args = pieces.concat();
        let mut secrets = Vec::new();
        regexes().iter().for_each(|regex| find(regex, &args, &mut secrets));
        // The needles leave nothing out that a rule would have found.
        prop_assert_eq!(redactor().redact(&args), (!secrets.is_empty()).then(|| replace(&args, secrets)));
    }

    #[test]
    fn a_password_is_found_nowhere(
        secret in "[A-Za-z0-9!#%*+./@^_-]{8,40}",
        form in 0usize..9,
        before in proptest::collection::vec("[a-z/.-]{0,8}", 0..4),
    ) {
        prop_assume!(!secret.starts_with('-') && !secret.starts_with('.'));
        let words = match form {
            0 => vec![format!("--password={secret}")],
            1 => vec!["--password".to_owned(), secret.clone()],
            2 => vec![format!("DB_PASSWORD={secret}")],
            3 => vec!["-H".to_owned(), format!("Authorization: Bearer {secret}")],
            4 => vec!["mysql".to_owned(), format!("-p{secret}")],
            5 => vec!["sh".to_owned(), "-c".to_owned(), format!("run --token {secret} && export API_KEY='{secret}'; x")],
            6 => vec![format!("https://host/?api_key={}", secret.replace('#', ""))],
            7 => vec![format!("postgres://me:{}@host/db", secret.replace(['/', '#', '@'], ""))],
            _ => vec![format!("{{\"secret\": \"{secret}\"}}")],
        };
        let secret = match form { 6 => secret.replace('#', ""), 7 => secret.replace(['/', '#', '@'], ""), _ => secret };
        prop_assume!(secret.len() >= 6);
        let words: Vec<&str> = before.iter().map(String::as_str).chain(words.iter().map(String::as_str)).collect();
        let redacted = redactor().redact(&args(&words)).unwrap_or_default();
        prop_assert!(!redacted.is_empty(), "{words:?}");
        prop_assert!(memchr::memmem::find(&redacted, secret.as_bytes()).is_none(), "{}", String::from_utf8_lossy(&redacted));
    }
}
