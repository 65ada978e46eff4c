//! Secrets that are known by their shape: what services give out.
//!
//! Each keeps what tells its kind, such as `ghp_`. Lengths are lower bounds a little below the true ones, so that one
//! that was cut is not shown either.

/// The rule of each service: its name, what must be there for it to match, and its pattern.
pub(super) const RULES: &[(&str, &[&str], &str)] = &[
    ("jwt", &["eyj"], r"\beyJ[\w-]{10,}(?:\.[\w-]*){2,4}"),
    ("private-key", &["-----begin"], PRIVATE_KEY),
    (
        "github",
        &["ghp_", "gho_", "ghs_", "ghu_", "ghr_", "github_pat_"],
        r"\b(?:gh[opsur]|github_pat)_(\w{20,})",
    ),
    (
        "gitlab",
        &["glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glsoat-"],
        r"\bgl[a-z]{2,6}-([\w.-]{16,})",
    ),
    ("slack", &["xox", "xapp-", "hooks.slack.com"], SLACK),
    ("aws", &["akia", "asia"], AWS),
    ("google", &["aiza", "ya29.", "gocspx-"], r"\b(?:AIza|ya29\.|GOCSPX-)([\w-]{20,})"),
    ("stripe", &["k_live_", "k_test_", "whsec_"], r"\b(?:[sr]k_(?:live|test)|whsec)_(\w{10,})"),
    ("openai", &["sk-"], r"\bsk-(?:(?:proj|svcacct|admin|ant|or)-[\w-]{10,}|\w{20,})"),
    ("npm", &["npm_"], r"\bnpm_(\w{30,})"),
    ("pypi", &["pypi-"], r"\bpypi-([\w-]{40,})"),
    ("docker", &["dckr_"], r"\bdckr_(?:pat|oat)_([\w-]{20,})"),
    ("vault", &["hvs.", "hvb.", "hvr."], r"\bhv[sbr]\.([\w-]{20,})"),
    ("digitalocean", &["_v1_"], r"\bdo[opr]_v1_([0-9a-f]{40,})"),
    ("huggingface", &["hf_"], r"\bhf_([A-Za-z]{30,})"),
    ("sendgrid", &["sg."], r"\bSG\.([\w-]{16,}\.[\w-]{16,})"),
    ("telegram", &[":aa"], r"\b\d{8,10}:(AA[\w-]{30,})"),
    ("terraform", &[".atlasv1."], r"\b\w{14}\.atlasv1\.([\w-]{40,})"),
    ("age", &["age-secret-key-"], r"\bAGE-SECRET-KEY-1([0-9A-Z]{40,})"),
];

const SLACK: &str = concat!(
    r"\bxox[a-z]-(?:[a-z]-)?([\w-]{10,})|\bxapp-\d-([\w-]{20,})",
    r"|hooks\.slack\.com/(?:services|workflows)/([\w/]{20,})",
);

/// The secret that stands beside the id of an access key, with or without its name.
const AWS: &str = concat!(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}[^\w/+=-]{1,8}",
    r#"(?:\w{1,30}["']?[=:\x00\s]{1,4}["']?)?([A-Za-z0-9/+]{30,})"#,
);

/// A block of PEM, whether its lines are one argument or one each; what is between its first and its last line goes.
/// One without an end goes as far as it can be one.
const PRIVATE_KEY: &str = concat!(
    r"-----BEGIN[A-Z0-9 \x00]{0,24}PRIVATE[ \x00]KEY(?:[ \x00]BLOCK)?-----",
    r"((?:[^\x00-]|-[^\x00-]|\x00[A-Za-z0-9+/=]{40,76}$)*)(?:\x00([A-Za-z0-9+/=]{1,76})\x00-----END)?",
);
