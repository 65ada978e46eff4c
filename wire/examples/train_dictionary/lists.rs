//! What runs on the hosts of a fleet, read from the lists beside this file.

use std::collections::BTreeMap;

use crate::random::Random;

/// A service, or a person's session.
pub(crate) struct Daemon {
    pub(crate) role: &'static str,
    pub(crate) user: &'static str,
    pub(crate) uid: u64,
    /// Its control group; after a colon the image of its container.
    pub(crate) cgroup: &'static str,
    pub(crate) executable: &'static str,
    pub(crate) args: &'static str,
    pub(crate) ports: Vec<u64>,
    pub(crate) starts: &'static str,
}

/// A program that something starts.
pub(crate) struct Job {
    pub(crate) executable: &'static str,
    pub(crate) args: &'static str,
    pub(crate) starts: &'static str,
}

pub(crate) struct Lists {
    pub(crate) daemons: Vec<Daemon>,
    pub(crate) jobs: BTreeMap<&'static str, Vec<Job>>,
    pub(crate) files: Vec<&'static str>,
}

impl Lists {
    pub(crate) fn read() -> Result<Self, Box<dyn std::error::Error>> {
        let mut daemons = Vec::new();
        for line in lines(include_str!("daemons.txt")) {
            let fields: Vec<&str> = line.split(';').collect();
            // Arguments may hold semicolons: they stand between the executable and the last two fields.
            let [role, user, uid, cgroup, executable, .., ports, starts] = fields[..] else {
                return Err(format!("expected 8 fields: {line}").into());
            };
            let head: usize = [role, user, uid, cgroup, executable].iter().map(|field| field.len() + 1).sum();
            let args = &line[head..line.len() - ports.len() - starts.len() - 2];
            let ports = ports.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
            daemons.push(Daemon { role, user, uid: uid.parse()?, cgroup, executable, args, ports, starts });
        }
        let mut jobs: BTreeMap<_, Vec<Job>> = BTreeMap::new();
        for line in lines(include_str!("jobs.txt")) {
            let (by, rest) = line.split_once(';').ok_or("expected who starts it")?;
            let (executable, rest) = rest.split_once(';').ok_or("expected an executable")?;
            let (args, starts) = rest.rsplit_once(';').ok_or("expected arguments")?;
            jobs.entry(by).or_default().push(Job { executable, args, starts });
        }
        Ok(Self { daemons, jobs, files: lines(include_str!("files.txt")).collect() })
    }
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.starts_with("# ") && !line.is_empty())
}

/// What a host's templates are filled with.
#[derive(Clone)]
pub(crate) struct Names {
    pub(crate) user: &'static str,
    /// Which release of the distribution it has, as its place in [`RELEASES`].
    pub(crate) release: usize,
}

/// The versions that come with a release.
pub(crate) const RELEASES: [[(&str, &str); 7]; 5] = [
    versions("3.9", "39", "13", "10", "7.4", "11", "6.0"),
    versions("3.10", "310", "14", "11", "8.1", "17", "7.0-alpine"),
    versions("3.11", "311", "15", "12", "8.2", "17", "7.2"),
    versions("3.12", "312", "16", "13", "8.3", "21", "7-alpine"),
    versions("3.13", "313", "17", "14", "8.4", "21", "7.4"),
];

const fn versions(
    py: &'static str,
    py0: &'static str,
    pg: &'static str,
    gcc: &'static str,
    php: &'static str,
    jdk: &'static str,
    redis: &'static str,
) -> [(&'static str, &'static str); 7] {
    [
        ("{py}", py),
        ("{py0}", py0),
        ("{pg}", pg),
        ("{gcc}", gcc),
        ("{php}", php),
        ("{jdk}", jdk),
        ("{redis}", redis),
    ]
}

/// Fills a template: `#user` is the host's user, `#` a number, `%` eight hex digits, `@` a word, `{…}` a version.
pub(crate) fn fill(template: &str, names: &Names, random: &mut Random) -> String {
    let mut template = template.replace("#user", names.user);
    for (name, version) in RELEASES[names.release] {
        if template.contains(name) {
            template = template.replace(name, version);
        }
    }
    let mut text = String::new();
    for c in template.chars() {
        match c {
            '#' => {
                let digits = 10_u64.pow(1 + random.below(5) as u32);
                text.push_str(&random.below(digits).to_string());
            }
            '%' => text.push_str(&format!("{:08x}", random.next() as u32)),
            '@' => text.push_str(random.one::<&str>(WORDS)),
            c => text.push(c),
        }
    }
    text
}

/// The arguments of a command line; quotes keep words together.
pub(crate) fn arguments(line: &str) -> Vec<String> {
    let mut args = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => args.push(String::new()),
            c => args.iter_mut().next_back().into_iter().for_each(|last| last.push(c)),
        }
    }
    args
}

const WORDS: &[&str] = &[
    "account",
    "admin",
    "agent",
    "analytics",
    "api",
    "app",
    "archive",
    "asset",
    "audit",
    "auth",
    "backend",
    "backup",
    "batch",
    "billing",
    "blog",
    "bridge",
    "buffer",
    "build",
    "cache",
    "calendar",
    "cart",
    "catalog",
    "chart",
    "chat",
    "checkout",
    "client",
    "cluster",
    "common",
    "compute",
    "config",
    "contact",
    "content",
    "core",
    "crypto",
    "customer",
    "daemon",
    "dashboard",
    "data",
    "database",
    "debug",
    "default",
    "deploy",
    "device",
    "docs",
    "domain",
    "edge",
    "email",
    "engine",
    "event",
    "export",
    "feed",
    "file",
    "filter",
    "forum",
    "frontend",
    "gateway",
    "graph",
    "health",
    "helper",
    "home",
    "image",
    "import",
    "index",
    "info",
    "input",
    "internal",
    "inventory",
    "invoice",
    "job",
    "kernel",
    "ledger",
    "legacy",
    "library",
    "list",
    "loader",
    "local",
    "log",
    "login",
    "mail",
    "main",
    "manager",
    "market",
    "media",
    "member",
    "memory",
    "menu",
    "message",
    "metrics",
    "mirror",
    "model",
    "module",
    "monitor",
    "network",
    "news",
    "node",
    "notify",
    "object",
    "order",
    "orders",
    "output",
    "package",
    "page",
    "parser",
    "payment",
    "plugin",
    "policy",
    "portal",
    "print",
    "product",
    "profile",
    "project",
    "proxy",
    "public",
    "python",
    "query",
    "queue",
    "ranking",
    "reader",
    "record",
    "registry",
    "release",
    "render",
    "report",
    "reports",
    "request",
    "reset",
    "review",
    "rollup",
    "router",
    "rpc",
    "sample",
    "scan",
    "scheduler",
    "schema",
    "script",
    "search",
    "security",
    "sensor",
    "server",
    "service",
    "session",
    "setup",
    "shipping",
    "shop",
    "signal",
    "site",
    "source",
    "staging",
    "stats",
    "status",
    "storage",
    "store",
    "stream",
    "sync",
    "system",
    "table",
    "task",
    "template",
    "tenant",
    "test",
    "theme",
    "thread",
    "ticket",
    "tools",
    "trace",
    "tracker",
    "update",
    "upload",
    "user",
    "users",
    "utils",
    "vault",
    "vendor",
    "version",
    "video",
    "view",
    "wallet",
    "web",
    "webhook",
    "wiki",
    "worker",
    "workflow",
    "zone",
];
