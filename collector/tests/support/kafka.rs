//! A real Apache Kafka for tests: one node in KRaft mode, on loopback, with a small heap; and a consumer that is not ours.
//!
//! The broker and its files go when the process ends, however it ends: a shell holds the other end of a pipe.
#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(missing_docs, clippy::unwrap_used, unreachable_pub, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use wire::id::EventId;

/// Where Kafka's jars are; or why there are none here.
pub fn jars() -> Result<&'static Path, &'static str> {
    static JARS: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let jars = JARS.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("setup/kafka.sh");
        let said = Command::new(script).output().map_err(|e| e.to_string())?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        match said.trim().split_once(' ') {
            Some(("here", folder)) => Ok(folder.into()),
            Some((_, why)) => Err(why.to_owned()),
            None => Err("setup/kafka.sh said nothing".to_owned()),
        }
    });
    jars.as_deref().map_err(String::as_str)
}

/// Whether there is a Kafka for a test; if not, says that `name` is skipped.
pub fn needs_kafka(name: &str) -> bool {
    match jars() {
        Ok(_) => true,
        Err(why) => {
            let mut stderr = std::io::stderr().lock();
            writeln!(stderr, "\nSKIPPED {name}: {why}").unwrap();
            false
        }
    }
}

/// Whether this is root, who may mount; if not, says that `name` is skipped.
pub fn needs_root(name: &str) -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        let mut stderr = std::io::stderr().lock();
        writeln!(stderr, "\nSKIPPED {name}: it mounts a file system, for which it must be root").unwrap();
    }
    is_root
}

/// A broker. Ended when dropped.
pub struct Broker {
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
    _clean: Clean,
}

/// Removes a folder in the end, also of a process that was killed.
struct Clean(Child);

const CLEAN: &str = r#"cat >/dev/null; sleep 0.3; umount "$0/data" 2>/dev/null; rm -rf "$0""#;
/// Runs Kafka, and ends it when nobody holds the other end of the pipe any more.
const RUN: &str = r#""$@" </dev/null >>"$0/log" 2>&1 & echo $! >"$0/pid"; read -r _; kill -9 $!; wait"#;

/// A broker that tests share; none of them hurts it.
pub fn shared() -> &'static Broker {
    static SHARED: OnceLock<Broker> = OnceLock::new();
    SHARED.get_or_init(|| Broker::start(&[]))
}

impl Broker {
    /// One that asks clients for a password, as this line of JAAS has them.
    pub fn start_with_sasl(jaas: &str) -> Self {
        Self::start(&[
            ("listener.security.protocol.map", "PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT"),
            ("sasl.enabled.mechanisms", "PLAIN"),
            ("sasl.mechanism.inter.broker.protocol", "PLAIN"),
            ("inter.broker.listener.name", "PLAINTEXT"),
            ("listener.name.plaintext.plain.sasl.jaas.config", jaas),
        ])
    }

    /// Makes and starts a broker, with these settings beside. What is older than a week it deletes at once: an event's age must
    /// not be its record's.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_on(settings, None)
    }

    /// One whose disk has so many MiB, as root: what it stores is in memory.
    pub fn start_small(n_mib: u32, settings: &[(&str, &str)]) -> Self {
        Self::start_on(settings, Some(n_mib))
    }

    fn start_on(settings: &[(&str, &str)], n_mib: Option<u32>) -> Self {
        let folder = std::env::temp_dir().join(format!("vedette-kafka-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let clean = shell(CLEAN, &folder, &[]);
        let (port, controller) = (free_port(), free_port());
        let data = folder.join("data");
        if let Some(n_mib) = n_mib {
            std::fs::create_dir(&data).unwrap();
            let size = format!("size={n_mib}m");
            nix::mount::mount(
                Some("kafka"),
                &data,
                Some("tmpfs"),
                nix::mount::MsFlags::empty(),
                Some(size.as_str()),
            )
            .unwrap();
        }
        let mut text = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             controller.quorum.bootstrap.servers=127.0.0.1:{controller}\ncontroller.listener.names=CONTROLLER\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\nlog.dirs={}\nauto.create.topics.enable=false\n\
             offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
             share.coordinator.state.topic.replication.factor=1\nshare.coordinator.state.topic.min.isr=1\n\
             default.replication.factor=1\ngroup.initial.rebalance.delay.ms=0\nnum.network.threads=2\nnum.io.threads=4\n\
             num.recovery.threads.per.data.dir=1\nbackground.threads=2\nlog.cleaner.dedupe.buffer.size=2097152\n\
             controlled.shutdown.enable=false\nlog.initial.task.delay.ms=1000\nlog.retention.check.interval.ms=1000\n",
            data.display()
        );
        settings.iter().for_each(|(name, value)| text.push_str(&format!("{name}={value}\n")));
        std::fs::write(folder.join("server.properties"), text).unwrap();
        std::fs::write(folder.join("log4j2.yaml"), LOGGING).unwrap();
        let mut broker = Self { folder, port, child: None, _clean: Clean(clean) };
        let mut format = broker.java("kafka.tools.StorageTool", "64m");
        format.args(["format", "--standalone", "--cluster-id", "MkU3OEVBNTcwNTJENDM2Qg", "--config"]);
        let said = format.arg(broker.folder.join("server.properties")).output().unwrap();
        assert!(
            said.status.success(),
            "Kafka's storage cannot be made: {}",
            String::from_utf8_lossy(&said.stderr)
        );
        broker.begin();
        broker
    }

    /// Where clients find it.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it, if it does not run, and waits until it listens; lets it go on, if it was paused.
    pub fn begin(&mut self) {
        self.signal(Signal::SIGCONT);
        if self.child.is_some() {
            return;
        }
        drop(std::fs::remove_file(self.folder.join("pid")));
        let java = self.java("kafka.Kafka", "256m");
        let mut words: Vec<_> = vec![java.get_program().to_owned()];
        words.extend(java.get_args().map(ToOwned::to_owned));
        words.push(self.folder.join("server.properties").into());
        self.child = Some(shell(RUN, &self.folder, &words));
        self.wait_until("it listens", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    /// Gives its disk so many MiB from now on.
    pub fn resize(&self, n_mib: u32) {
        let size = format!("size={n_mib}m");
        let (nothing, flags) = (None::<&str>, nix::mount::MsFlags::MS_REMOUNT);
        nix::mount::mount(nothing, &self.folder.join("data"), nothing, flags, Some(size.as_str())).unwrap();
    }

    /// Whether its process runs.
    pub fn runs(&self) -> bool {
        let pid = std::fs::read_to_string(self.folder.join("pid")).unwrap_or_default();
        Path::new(&format!("/proc/{}/exe", pid.trim())).exists()
    }

    /// As `kill -9` does; returns when it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }

    /// Stops all its threads where they are, until [`Self::begin`].
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    fn signal(&self, signal: Signal) {
        let pid = std::fs::read_to_string(self.folder.join("pid")).unwrap_or_default();
        if let (Some(_), Ok(pid)) = (&self.child, pid.trim().parse()) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    fn wait_until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let until = Instant::now() + Duration::from_secs(60);
        while !is_so() {
            assert!(Instant::now() < until, "Kafka: {what}: not after 60 s: {}", self.log());
            std::thread::sleep(Duration::from_millis(50)); // poll interval
        }
    }

    /// The CPU that it has used.
    pub fn cpu(&self) -> Duration {
        let pid = std::fs::read_to_string(self.folder.join("pid")).unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // utime and stime, in clock ticks of 10 ms.
        let ticks: u64 = fields.iter().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(30).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Runs `kafka-topics` with these words.
    pub fn topics(&self, words: &[&str]) {
        self.tool("org.apache.kafka.tools.TopicCommand", words);
    }

    /// Runs `kafka-configs` with these words.
    pub fn configs(&self, words: &[&str]) {
        self.tool("kafka.admin.ConfigCommand", words);
    }

    fn tool(&self, class: &str, words: &[&str]) {
        let mut tool = self.java(class, "64m");
        let said = tool.args(["--bootstrap-server", &self.address()]).args(words).output().unwrap();
        assert!(said.status.success(), "{class} {words:?}: {}", String::from_utf8_lossy(&said.stdout));
    }

    /// What is in the topics with these names (a regular expression), all of it, as Kafka's own console consumer reads it.
    pub fn read(&self, topics: &str) -> Vec<Read> {
        let n_records = self.n_records(topics);
        if n_records == 0 {
            return Vec::new();
        }
        let mut consumer = self.java("org.apache.kafka.tools.consumer.ConsoleConsumer", "128m");
        consumer.args(["--bootstrap-server", &self.address(), "--include", topics, "--from-beginning"]);
        // On a busy machine it takes a while until it has joined its group.
        consumer.args(["--max-messages", &n_records.to_string(), "--timeout-ms", "60000"]);
        for property in ["print.key=true", "print.headers=true", "print.partition=true"] {
            consumer.args(["--property", property]);
        }
        let said = consumer.output().unwrap();
        let errors = String::from_utf8_lossy(&said.stderr).into_owned();
        let read: Vec<Read> = String::from_utf8(said.stdout)
            .unwrap()
            .lines()
            .map(|line| Read::of(line).unwrap_or_else(|| panic!("no record: {line:?}\n{errors}")))
            .collect();
        assert_eq!(read.len(), n_records, "the consumer has not read all: {errors}");
        read
    }

    /// How many records these topics hold, as their offsets say.
    fn n_records(&self, topics: &str) -> usize {
        let mut offsets = self.java("org.apache.kafka.tools.GetOffsetShell", "64m");
        let said = offsets.args(["--bootstrap-server", &self.address(), "--topic", topics]).output().unwrap();
        let told = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.status.success(), "{told}{}", String::from_utf8_lossy(&said.stderr));
        told.lines().map(|line| line.rsplit(':').next().unwrap().parse::<usize>().unwrap()).sum()
    }

    /// Waits until the files of a topic that was deleted are nobody's any more: what is sent to it is refused from then on.
    pub fn wait_until_gone(&self, topic: &str) {
        let is_of = |name: &str| {
            name.strip_prefix(topic)
                .and_then(|rest| rest.strip_prefix('-'))
                .is_some_and(|n| n.parse::<u32>().is_ok())
        };
        self.wait_until("a topic is gone", || {
            let files = std::fs::read_dir(self.folder.join("data")).unwrap();
            !files.flatten().any(|file| is_of(&file.file_name().to_string_lossy()))
        });
    }

    fn java(&self, class: &str, heap: &str) -> Command {
        let mut java = Command::new("java");
        java.args([&format!("-Xmx{heap}"), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]);
        java.arg(format!("-Dlog4j2.configurationFile={}", self.folder.join("log4j2.yaml").display()));
        java.arg("-cp").arg(format!("{}/*", jars().unwrap().display())).arg(class);
        java
    }
}

/// Only what is wrong; not where a consumer prints records.
const LOGGING: &str = "Configuration:\n  Appenders:\n    Console:\n      name: out\n      target: SYSTEM_ERR\n      PatternLayout:\n        pattern: '%d %p %m (%c)%n'\n  Loggers:\n    Root:\n      level: WARN\n      AppenderRef:\n        - ref: out\n";

impl Drop for Broker {
    fn drop(&mut self) {
        self.signal(Signal::SIGCONT);
        self.kill();
    }
}

impl Drop for Clean {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

/// A record as the console consumer prints it.
#[derive(Clone, Debug)]
pub struct Read {
    pub partition: u32,
    pub headers: Vec<(String, String)>,
    pub key: String,
    pub value: serde_json::Value,
}

impl Read {
    fn of(line: &str) -> Option<Self> {
        let mut parts = line.splitn(4, '\t');
        let partition = parts.next()?.strip_prefix("Partition:")?.parse().ok()?;
        let headers = parts.next()?.split(',').filter_map(|header| {
            let (name, value) = header.split_once(':')?;
            Some((name.to_owned(), value.to_owned()))
        });
        let headers = headers.collect();
        let key = parts.next()?.to_owned();
        Some(Self { partition, headers, key, value: serde_json::from_str(parts.next()?).ok()? })
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .unwrap_or_default()
    }

    /// The event's id, and within it the stream and the number.
    pub fn id(&self) -> &str {
        self.header("ce_id")
    }
}

/// Holds that in each place (a partition, a topic) the events of each stream come in their order, but for what comes again.
pub fn assert_order<P: Ord>(read: impl Iterator<Item = (P, EventId)>) {
    let mut seen = BTreeSet::new();
    let mut last: BTreeMap<_, u64> = BTreeMap::new();
    for (place, id) in read.filter(|(_, id)| seen.insert(id.to_string())) {
        let before = last.insert((place, id.stream), id.seq);
        assert!(before.is_none_or(|before| before < id.seq), "{id} came after {before:?}");
    }
}

/// A shell that runs this until the end of its input, which comes with the end of this process at the latest.
fn shell(script: &str, folder: &Path, words: &[std::ffi::OsString]) -> Child {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(folder).args(words);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Ctrl-C is for the test.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().unwrap()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
