//! What runs on the hosts that are made up: daemons, and what they and their users start.
//!
//! In templates `#` stands for a number (as in a pid or a port), `%` for 8 hex digits (as in a
//! temporary name), `@` for one of a few dozen words.

/// A service that is there from the boot on.
pub(super) struct Daemon {
    pub(super) executable: &'static str,
    pub(super) args: &'static str,
    pub(super) user: u64,
    pub(super) cgroup: &'static str,
    /// Its place in [`CONTAINERS`], plus one.
    pub(super) container: usize,
    /// Where it connects to.
    pub(super) ports: &'static [u64],
    /// What it starts: places in [`JOBS`].
    pub(super) jobs: &'static [usize],
}

/// A command line that is started again and again, with what it starts in turn.
pub(super) struct Job {
    pub(super) executable: &'static str,
    pub(super) args: &'static str,
    pub(super) directory: &'static str,
    pub(super) jobs: &'static [usize],
}

pub(super) const CONTAINERS: &[(&str, &str, &str)] = &[
    ("docker", "registry.example.net/shop/api:2.41", "shop-api-1"),
    ("docker", "redis:7.2", "redis"),
    ("containerd", "quay.io/prometheus/node-exporter:v1.8", "node-exporter"),
];

pub(super) const DAEMONS: &[Daemon] = &[
    daemon("/usr/lib/systemd/systemd", "/sbin/init", 0, "/init.scope", 0, &[], &[14, 15, 16]),
    daemon("/usr/sbin/cron", "/usr/sbin/cron -f", 0, "/system.slice/cron.service", 0, &[], &[0, 1, 2]),
    daemon("/usr/sbin/sshd", "sshd: deploy [priv]", 0, "/system.slice/ssh.service", 0, &[22], &[3, 4, 5]),
    daemon(
        "/usr/bin/bash",
        "-bash",
        1000,
        "/user.slice/user-1000.slice/session-3.scope",
        0,
        &[22, 443],
        &[4, 5, 6, 7, 8, 9, 10, 11, 12, 20, 21],
    ),
    daemon(
        "/usr/bin/python3.11",
        "/usr/bin/python3 /opt/app/worker.py --queue mail",
        998,
        "/system.slice/app-worker.service",
        0,
        &[5432, 6379, 443],
        &[11, 12],
    ),
    daemon(
        "/usr/sbin/nginx",
        "nginx: worker process",
        33,
        "/system.slice/nginx.service",
        0,
        &[8080, 9000],
        &[],
    ),
    daemon(
        "/usr/lib/postgresql/15/bin/postgres",
        "postgres: 15/main: checkpointer",
        113,
        "/system.slice/system-postgresql.slice/postgresql@15-main.service",
        0,
        &[5432],
        &[19],
    ),
    daemon(
        "/usr/bin/containerd-shim-runc-v2",
        "/usr/bin/containerd-shim-runc-v2 -namespace moby -id",
        0,
        "/system.slice/containerd.service",
        0,
        &[],
        &[17],
    ),
    daemon(
        "/usr/local/bin/node",
        "node /srv/api/server.js",
        1001,
        "",
        1,
        &[5432, 6379, 443, 9092],
        &[13, 18],
    ),
    daemon("/usr/local/bin/redis-server", "redis-server *:6379", 999, "", 2, &[6379], &[13]),
    daemon("/bin/node_exporter", "/bin/node_exporter --path.rootfs=/host", 65534, "", 3, &[9100], &[]),
    daemon(
        "/usr/bin/make",
        "make -j8 all",
        1000,
        "/user.slice/user-1000.slice/session-3.scope",
        0,
        &[],
        &[22, 22, 22, 23],
    ),
];

pub(super) const JOBS: &[Job] = &[
    job("/usr/bin/dash", "/bin/sh -c    cd / && run-parts --report /etc/cron.hourly", "/", &[24]),
    job("/usr/bin/dash", "/bin/sh -c command -v debian-sa1 > /dev/null && debian-sa1 1 1", "/root", &[25]),
    job(
        "/usr/bin/dash",
        "/bin/sh -c test -x /usr/bin/certbot && /usr/bin/certbot -q renew --deploy-hook @",
        "/root",
        &[11],
    ),
    job("/usr/sbin/sshd", "sshd: [accepted]", "/", &[26]),
    job(
        "/usr/bin/bash",
        "bash -c cd /srv/@ && git pull --ff-only origin release-#",
        "/home/deploy",
        &[6, 27],
    ),
    job("/usr/bin/bash", "bash -c systemctl is-active @.service", "/home/deploy", &[14]),
    job("/usr/bin/git", "git fetch --prune origin release-#", "/srv/app", &[27]),
    job("/usr/bin/ls", "ls --color=auto -la /var/log/@", "/home/deploy", &[]),
    job("/usr/bin/grep", "grep -rn @ /srv/app/src/@.py", "/srv/app", &[]),
    job("/usr/bin/cat", "cat /proc/#/status", "/home/deploy", &[]),
    job("/usr/bin/tail", "tail -n # /var/log/nginx/access.log", "/var/log", &[]),
    job("/usr/bin/python3.11", "/usr/bin/python3 /opt/app/task.py --id % --attempt #", "/opt/app", &[12, 25]),
    job(
        "/usr/bin/curl",
        "curl -sS -H Accept: application/json https://api.example.net/v1/@/%",
        "/opt/app",
        &[],
    ),
    job("/usr/bin/curl", "curl -f http://localhost:8080/healthz", "/", &[]),
    job("/usr/bin/systemctl", "systemctl show @.service --property=ActiveState", "/", &[]),
    job("/usr/lib/systemd/systemd-executor", "(logrotate)", "/", &[25]),
    job("/usr/lib/apt/apt.systemd.daily", "/bin/sh /usr/lib/apt/apt.systemd.daily update", "/", &[25, 9]),
    job(
        "/usr/bin/runc",
        "runc --root /var/run/docker/runtime-runc/moby --log /run/containerd/io.containerd.runtime.v2.task/moby/%%/log.json exec --pid-file /tmp/runc-process#",
        "/",
        &[13],
    ),
    job("/bin/busybox", "/bin/sh -c wget -qO- http://redis:6379/@ || exit 1", "/srv/api", &[]),
    job(
        "/usr/lib/postgresql/15/bin/postgres",
        "postgres: 15/main: autovacuum worker @",
        "/var/lib/postgresql/15/main",
        &[],
    ),
    job("/usr/bin/vim.basic", "vim /srv/app/src/@.py", "/srv/app", &[]),
    job("/usr/bin/sudo", "sudo journalctl -u @ --since -#min", "/home/deploy", &[14]),
    job(
        "/usr/bin/x86_64-linux-gnu-gcc-12",
        "gcc -O2 -Wall -Iinclude -c src/@_@.c -o build/@_#.o",
        "/home/deploy/src/engine",
        &[28, 29],
    ),
    job(
        "/usr/bin/x86_64-linux-gnu-ld.bfd",
        "/usr/bin/ld -o build/engine build/@_#.o -lc -lpthread",
        "/home/deploy/src/engine",
        &[],
    ),
    job("/usr/bin/run-parts", "run-parts --report /etc/cron.hourly", "/", &[25]),
    job("/usr/bin/date", "date +%s --date=@#", "/", &[]),
    job("/usr/bin/bash", "-bash", "/home/deploy", &[7, 8, 9]),
    job(
        "/usr/bin/ssh",
        "ssh -o SendEnv=GIT_PROTOCOL git@git.example.net git-upload-pack '/team/@.git'",
        "/srv/app",
        &[],
    ),
    job(
        "/usr/lib/gcc/x86_64-linux-gnu/12/cc1",
        "/usr/lib/gcc/x86_64-linux-gnu/12/cc1 -quiet -Iinclude src/@_@.c -quiet -O2 -Wall -o /tmp/cc%.s",
        "/home/deploy/src/engine",
        &[],
    ),
    job("/usr/bin/x86_64-linux-gnu-as", "as --64 -o build/@_#.o /tmp/cc%.s", "/home/deploy/src/engine", &[]),
];

/// What programs open, the usual ones first.
pub(super) const FILES: &[&str] = &[
    "/etc/ld.so.cache",
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/lib/locale/locale-archive",
    "/etc/passwd",
    "/usr/lib/x86_64-linux-gnu/libssl.so.3",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/proc/#/stat",
    "/etc/ssl/certs/ca-certificates.crt",
    "/var/log/nginx/access.log",
    "/srv/app/src/@.py",
    "/tmp/@-%.tmp",
    "/etc/shadow",
    "/home/deploy/src/engine/include/@.h",
    "/var/lib/postgresql/15/main/base/16384/#",
    "/proc/#/cmdline",
    "/home/deploy/.ssh/authorized_keys",
    "/etc/sudoers.d/@",
    "/var/spool/@/%",
    "/usr/lib/python3/dist-packages/@/__pycache__/@.cpython-311.pyc",
];

pub(super) const WORDS: &[&str] = &[
    "api", "billing", "cache", "mail", "orders", "search", "users", "auth", "worker", "report", "queue",
    "index", "parser", "lexer", "token", "session", "socket", "buffer", "config", "logger", "metrics",
    "router", "schema", "store", "table", "timer", "tree", "value", "window", "writer", "backup", "export",
];

const fn daemon(
    executable: &'static str,
    args: &'static str,
    user: u64,
    cgroup: &'static str,
    container: usize,
    ports: &'static [u64],
    jobs: &'static [usize],
) -> Daemon {
    Daemon { executable, args, user, cgroup, container, ports, jobs }
}

const fn job(
    executable: &'static str,
    args: &'static str,
    directory: &'static str,
    jobs: &'static [usize],
) -> Job {
    Job { executable, args, directory, jobs }
}
