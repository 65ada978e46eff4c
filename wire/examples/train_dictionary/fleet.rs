//! A host of the fleet: what it runs is drawn from the lists by its trades.

use bytes::Bytes;
use uuid::Uuid;
use wire::batch::{Boundary, Builder, Sealed};
use wire::event::{Event, Kind, Row};
use wire::field::Field;
use wire::id::{BootId, Epoch, Lane, ProcessKey};
use wire::ledger::Ledger;
use wire::subject::{Subject, SubjectNumber};
use wire::time::{BootTime, Clock};
use wire::value::Value;

use crate::lists::{Daemon, Lists, Names, RELEASES, fill};
use crate::process::{Process, exec, inode, surroundings, told};
use crate::random::Random;

/// What a batch is about.
#[derive(Clone, Copy)]
pub(crate) enum Activity {
    Processes,
    Connections,
    Everything,
}

impl Activity {
    pub(crate) const ALL: [Self; 4] =
        [Self::Processes, Self::Everything, Self::Connections, Self::Everything];
}

pub(crate) struct Host<'a> {
    lists: &'a Lists,
    seed: u64,
    random: Random,
    names: Names,
    now: u64,
    pid: u32,
    cookie: u64,
    address: [u8; 4],
    processes: Vec<Process>,
    n_daemons: usize,
    /// Which process did something last.
    last: usize,
    n_batches: u64,
    next_seq: u64,
}

impl<'a> Host<'a> {
    pub(crate) fn new(lists: &'a Lists, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let user = random.one::<&str>(&[
            "ubuntu", "admin", "ec2-user", "alice", "bob", "debian", "ops", "jenkins", "vagrant", "deploy",
        ]);
        let names = Names { user, release: random.below(RELEASES.len() as u64) as usize };
        let roles: &[&str] =
            &["web", "db", "k8s", "docker", "build", "monitor", "mail", "config", "java", "store", "rhel"];
        let trades: [&str; 3] = ["all", *random.one(roles), *random.one(roles)];
        let octet = |random: &mut Random| random.below(256) as u8;
        let network = *random.one(&[[10, 0], [10, 1], [172, 16], [172, 31], [192, 168], [100, 64]]);
        let address = [network[0], network[1], octet(&mut random), octet(&mut random)];
        let age = 36 + random.below(14);
        let now = 60_000_000_000 + random.below(1 << age);
        let pid = 900 + random.below(4_000_000) as u32;
        let mut host = Self {
            lists,
            seed,
            now,
            pid,
            address,
            names,
            cookie: random.below(1 << 24),
            random,
            processes: Vec::new(),
            n_daemons: 0,
            last: 0,
            n_batches: 0,
            next_seq: 0,
        };
        for daemon in lists.daemons.iter().filter(|daemon| trades.contains(&daemon.role)) {
            host.boot(daemon);
        }
        host.n_daemons = host.processes.len();
        host
    }

    /// A daemon that was started when the host was, or later.
    fn boot(&mut self, daemon: &Daemon) {
        let first = self.processes.is_empty();
        let late = if self.random.percent(70) { 20_000_000_000 } else { self.now };
        let start = if first { 1_000_000 } else { 500_000_000 + self.random.below(late) };
        let pid = if first { 1 } else { 200 + self.random.below(3_000) as u32 };
        let names = &self.names.clone();
        let mut row = Row::default();
        exec(&mut row, daemon.executable, daemon.args, names, self.seed, &mut self.random);
        for field in [Field::ProcessUserId, Field::ProcessRealUserId, Field::ProcessGroupId] {
            row.set(field, daemon.uid);
        }
        row.set(Field::ProcessUserName, Bytes::from(fill(daemon.user, names, &mut self.random)));
        row.set(Field::ProcessSessionId, u64::from(pid));
        let person = daemon.cgroup.starts_with("/user.slice");
        if person {
            row.set(Field::ProcessLoginUserId, daemon.uid);
            row.set(Field::ProcessTty, Bytes::from(fill("pts#", names, &mut self.random)));
        } else {
            row.set(Field::ProcessLoginUserId, u64::from(u32::MAX));
        }
        row.set(Field::ProcessInteractive, person);
        row.set(Field::ProcessCapabilities, if daemon.uid == 0 { 0x1ff_ffff_ffff_u64 } else { 0 });
        let device = *self.random.one(&[0xfd00_u64, 0xfd01, 0x0801, 0x0802, 0x1_0301]);
        row.set(Field::ProcessImageDevice, device);
        row.set(Field::ProcessImageWritableMount, true);
        row.set(Field::ProcessWorkingDirectory, "/");
        for (field, stream) in [
            (Field::ProcessIoStdin, "null"),
            (Field::ProcessIoStdout, if person { "tty" } else { "socket" }),
            (Field::ProcessIoStderr, if person { "tty" } else { "socket" }),
        ] {
            row.set(field, stream);
        }
        let container = daemon.cgroup.strip_prefix(':');
        let other = container.map(|_| 4_026_532_100 + 13 * self.random.below(300));
        let of = |kind: u64, host: u64| other.map_or(host, |other| other + kind);
        row.set(Field::ProcessMntNs, of(0, 4_026_531_841));
        row.set(Field::ProcessPidNs, of(2, 4_026_531_836));
        row.set(Field::ProcessNetNs, of(4, 4_026_531_840));
        row.set(Field::ProcessUserNs, 4_026_531_837_u64);
        row.set(Field::ProcessImageHostFile, container.is_none());
        match container {
            Some(image) => self.contain(&mut row, daemon.role, image),
            None => row.set(Field::ProcessCgroup, Bytes::from(fill(daemon.cgroup, names, &mut self.random))),
        }
        let key = ProcessKey { start: BootTime::from_ns(start), pid };
        let parent = (!first).then_some(0);
        let (starts, ports) = (daemon.starts, daemon.ports.clone());
        self.processes.push(Process { key, image: 1, parent, row, starts, ports, named: None, known: false });
    }

    fn contain(&mut self, row: &mut Row, role: &str, image: &str) {
        let names = &self.names.clone();
        let mut text = |template: &str| Bytes::from(fill(template, names, &mut self.random));
        let id = text("%%%%%%%%");
        let shown = String::from_utf8_lossy(&id).into_owned();
        row.set(Field::ContainerId, id);
        row.set(Field::ContainerImageName, text(image));
        if role == "k8s" {
            let uid = text("%_4a1b_4c2d_8e3f_%4567");
            let pod = String::from_utf8_lossy(&uid).into_owned();
            let group = format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{pod}.slice/cri-containerd-{shown}.scope"
            );
            row.set(Field::ProcessCgroup, Bytes::from(group));
            row.set(Field::KubernetesPodUid, Bytes::from(pod.replace('_', "-")));
            row.set(Field::ContainerRuntime, "containerd");
        } else {
            row.set(Field::ProcessCgroup, Bytes::from(format!("/system.slice/docker-{shown}.scope")));
            row.set(Field::ContainerName, text("@-@-1"));
            row.set(Field::ContainerRuntime, "docker");
        }
    }

    pub(crate) fn batch(&mut self, builder: &mut Builder, activity: Activity, n_events: u32) -> Sealed {
        self.n_batches += 1;
        let first_seq = self.next_seq;
        self.next_seq += u64::from(n_events);
        for _ in 0..n_events {
            let pause = 10 + self.random.below(16);
            self.now += 1_000 + self.random.below(1 << pause);
            let (kind, row, at) = self.event(activity);
            self.last = at;
            let subject = self.name(builder, at, 2);
            builder.push(&Event { time: BootTime::from_ns(self.now), kind, row }, Some(subject));
        }
        builder.seal(Boundary {
            epoch: Epoch::new(Uuid::from_u128(u128::from(self.seed))),
            lane: Lane::Bulk,
            first_seq,
            boot: BootId::new(Uuid::from_u128(u128::from(self.seed) << 3)),
            sealed: BootTime::from_ns(self.now),
            clock: Clock::default(),
            ledger: Ledger::default(),
            collection: [0; 16],
        })
    }

    fn event(&mut self, activity: Activity) -> (Kind, Row, usize) {
        let n = self.random.below(100);
        match activity {
            Activity::Processes if n < 35 => (Kind::FORK, Row::default(), self.fork()),
            Activity::Processes if n < 65 => (Kind::EXEC, Row::default(), self.start()),
            Activity::Everything if n < 25 => (Kind::EXEC, Row::default(), self.start()),
            Activity::Everything if n < 60 => self.open(),
            Activity::Everything if n < 82 => self.connection(Kind::CONNECT),
            Activity::Connections => {
                let kind = *self.random.one(&[Kind::CONNECT, Kind::ACCEPT, Kind::CLOSE, Kind::CLOSE]);
                self.connection(kind)
            }
            _ => self.exit(),
        }
    }

    fn child(&mut self, of: usize) -> Process {
        self.pid = (self.pid + 1 + self.random.below(5) as u32) % 4_194_304;
        let start = BootTime::from_ns(self.now - 40_000 - self.random.below(1 << 20));
        let parent = &self.processes[of];
        Process {
            key: ProcessKey { start, pid: self.pid },
            image: parent.image,
            parent: Some(of),
            row: parent.row.clone(),
            starts: parent.starts,
            ports: parent.ports.clone(),
            named: None,
            known: false,
        }
    }

    fn fork(&mut self) -> usize {
        let of = self.starter();
        let child = self.child(of);
        self.processes.push(child);
        self.processes.len() - 1
    }

    /// A process runs a job: the last one forked, or a new one.
    fn start(&mut self) -> usize {
        let of = self.starter();
        let lists = self.lists;
        let Some(jobs) = lists.jobs.get(self.processes[of].starts) else { return of };
        let job = self.random.one(jobs);
        let mut child = self.child(of);
        exec(&mut child.row, job.executable, job.args, &self.names, self.seed, &mut self.random);
        surroundings(&mut child.row, &self.names, &mut self.random);
        child.image += 1;
        child.starts = job.starts;
        self.processes.push(child);
        self.processes.len() - 1
    }

    fn starter(&mut self) -> usize {
        for _ in 0..20 {
            let at = self.active();
            if !self.processes[at].starts.is_empty() {
                return at;
            }
        }
        0
    }

    /// One of those that do something now: mostly the one that did something last, else one of the last started, or any
    /// daemon.
    fn active(&mut self) -> usize {
        if self.random.percent(60) {
            return self.last;
        }
        let recent = self.processes.len() - self.n_daemons;
        if recent > 0 && self.random.percent(70) {
            return self.processes.len() - 1 - self.random.below(recent.min(12) as u64) as usize;
        }
        self.random.below(self.n_daemons as u64) as usize
    }

    fn open(&mut self) -> (Kind, Row, usize) {
        let at = self.active();
        let few = self.lists.files.len() as u64;
        let place = self.random.below(few).min(self.random.below(few));
        let path = fill(self.lists.files[place as usize], &self.names, &mut self.random);
        let special = ["/proc", "/sys", "/dev", "/run"].iter().any(|top| path.starts_with(top));
        let home = path.starts_with("/home");
        let modes = [0o644_u64, 0o644, 0o644, 0o755, 0o600, 0o640, 0o444, 0o666];
        let access: &[&'static str] =
            if path.starts_with("/tmp") || path.ends_with(".log") { &["read", "write"] } else { &["read"] };
        let items = access.iter().map(|access| Bytes::from_static(access.as_bytes())).collect();
        let row = Row::default()
            .with(Field::FileInode, inode(&path, self.seed))
            .with(Field::FileDevice, if special { 21 + self.random.below(4) } else { 0xfd00 })
            .with(Field::FileMode, if home { 0o600 } else { *self.random.one(&modes) })
            .with(Field::FileOwner, if home { 1000_u64 } else { 0 })
            .with(Field::FileAccess, Value::List(items))
            .with(Field::FilePath, Bytes::from(path));
        (Kind::FILE_OPEN, row, at)
    }

    fn connection(&mut self, kind: Kind) -> (Kind, Row, usize) {
        let mut at = self.active();
        for _ in 0..20 {
            if !self.processes[at].ports.is_empty() {
                break;
            }
            at = self.random.below(self.n_daemons as u64) as usize;
        }
        let ports =
            if self.processes[at].ports.is_empty() { vec![443] } else { self.processes[at].ports.clone() };
        let port = *self.random.one(&ports);
        let [a, b, c, _] = self.address;
        let near = [a, b, c, self.random.below(30) as u8];
        let far = (self.random.next() as u32).to_le_bytes();
        let (mut from, mut to) = match self.random.below(10) {
            0..4 => ([127, 0, 0, 1], [127, 0, 0, 1]),
            4..8 => (self.address, near),
            _ => (self.address, far),
        };
        if kind == Kind::ACCEPT {
            (from, to) = (to, from);
        }
        self.cookie += 1 + self.random.below(4);
        let mut row = Row::default()
            .with(Field::SourceIp, Value::Ip(from.into()))
            .with(Field::SourcePort, 32_768 + self.random.below(28_000))
            .with(Field::DestinationIp, Value::Ip(to.into()))
            .with(Field::DestinationPort, port)
            .with(Field::NetworkTransport, "tcp")
            .with(Field::NetworkSocketCookie, self.cookie);
        if kind == Kind::CLOSE {
            let (sent, received) = (self.random.below(1 << 12), self.random.below(1 << 16));
            row.set(Field::NetworkBytes, sent + received);
            row.set(Field::SourceBytes, sent);
            row.set(Field::DestinationBytes, received);
        } else {
            row.set(Field::NetworkSourceIsn, self.random.below(1 << 32));
            row.set(Field::NetworkDestinationIsn, self.random.below(1 << 32));
        }
        (kind, row, at)
    }

    fn exit(&mut self) -> (Kind, Row, usize) {
        let at = self.active();
        let code = if self.random.percent(85) {
            0
        } else {
            *self.random.one(&[1, 1, 2, 126, 127, 130, 137, 143, 255])
        };
        let life = self.now - self.processes[at].key.start.ns();
        let row = Row::default()
            .with(Field::ProcessExitCode, Value::Int(code))
            .with(Field::ProcessDurationNs, life);
        (Kind::EXIT, row, at)
    }

    /// A process's number in this batch, entered as a sensor enters it.
    fn name(&mut self, builder: &mut Builder, at: usize, detail: u8) -> SubjectNumber {
        let process = &self.processes[at];
        if let Some((batch, known, number)) = process.named
            && batch == self.n_batches
            && known >= detail
        {
            return number;
        }
        let is_new = !process.known;
        let detail = if is_new { 2 } else { detail };
        let parent = process.parent.map(|parent| self.name(builder, parent, u8::from(detail == 2)));
        let process = &mut self.processes[at];
        let row = told(&process.row, detail);
        let number =
            builder.subject(&Subject { key: process.key, image: process.image, parent, is_new, row });
        process.known = true;
        process.named = Some((self.n_batches, detail, number));
        number
    }
}
