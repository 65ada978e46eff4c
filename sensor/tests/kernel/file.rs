use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use vedette_sensor::record::{Body, File};
use wire::event::Kind;

use crate::bench::{Bench, run, with_root};
use crate::child;

/// A folder for one test, gone with it.
fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("vedette-file-").tempdir_in("/var/tmp").unwrap()
}

/// What a test asks of a record of a file, owned.
#[derive(Debug)]
struct Seen {
    target: PathBuf,
    inode: u64,
    error: u32,
    from_syscall: bool,
    access: vedette_sensor::record::Access,
    host_namespace: bool,
}

impl From<&File<'_>> for Seen {
    fn from(file: &File<'_>) -> Self {
        let path = |bytes: &[u8]| PathBuf::from(String::from_utf8_lossy(bytes).into_owned());
        Self {
            target: path(file.target),
            inode: file.inode,
            error: file.error,
            from_syscall: file.from_syscall,
            access: file.access,
            host_namespace: file.host_namespace,
        }
    }
}

impl Bench {
    async fn file(&mut self, pid: u32, action: Kind, path: &Path) -> Seen {
        self.find(&format!("{action} of {} by {pid}", path.display()), |record| match &record.body {
            Body::File(file)
                if file.action == action
                    && file.task.key.pid == pid
                    && file.path == path.as_os_str().as_encoded_bytes() =>
            {
                Some(Seen::from(&**file))
            }
            _ => None,
        })
        .await
    }
}

#[test]
fn opens_are_told_with_what_they_are_for() {
    with_root("file-open", async |mut bench| {
        let folder = folder();
        let path = folder.path().join("there");
        fs::write(&path, "x").unwrap();
        let (pid, _) = run(bench.command("/bin/cat").arg(&path));
        let read = bench.file(pid, Kind::FILE_OPEN, &path).await;
        assert!(read.access.read && !read.access.write && !read.from_syscall);
        assert_eq!(read.inode, fs::metadata(&path).unwrap().ino());
        assert!(read.host_namespace);

        let new = folder.path().join("new");
        let (pid, _) = run(&mut child::command(&bench, "write-file", &[new.to_str().unwrap()]));
        let created = bench.file(pid, Kind::FILE_CREATE, &new).await;
        assert!(created.access.write && !created.access.read);
        assert_eq!(created.inode, fs::metadata(&new).unwrap().ino());
    });
}

#[test]
fn changes_of_names_are_told_with_both() {
    with_root("file-names", async |mut bench| {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        let names = ["a", "b", "c", "d", "e"].map(|name| at(name).to_str().unwrap().to_owned());
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (pid, out) = run(&mut child::command(&bench, "change-names", &names));
        assert!(out.status.success(), "{out:?}");
        bench.file(pid, Kind::FILE_CREATE, &at("d")).await;
        let renamed = bench.file(pid, Kind::FILE_RENAME, &at("a")).await;
        assert_eq!((renamed.target, renamed.error), (at("b"), 0));
        let linked = bench.file(pid, Kind::FILE_LINK, &at("b")).await;
        assert_eq!(linked.target, at("c"));
        bench.file(pid, Kind::FILE_SYMLINK, &at("e")).await;
        bench.file(pid, Kind::FILE_UNLINK, &at("c")).await;
        bench.file(pid, Kind::FILE_UNLINK, &at("d")).await;
    });
}

#[test]
fn changes_of_attributes_are_told() {
    with_root("file-attributes", async |mut bench| {
        let folder = folder();
        let path = folder.path().join("f");
        fs::write(&path, "some text").unwrap();
        let (pid, out) = run(&mut child::command(&bench, "change-attributes", &[path.to_str().unwrap()]));
        assert!(out.status.success(), "{out:?}");
        for action in [Kind::FILE_CHMOD, Kind::FILE_CHOWN, Kind::FILE_TRUNCATE] {
            let seen = bench.file(pid, action, &path).await;
            assert_eq!(seen.error, 0, "{action}");
        }
    });
}

#[test]
fn a_flood_of_files_loses_no_process() {
    with_root("file-flood", async |mut bench| {
        let folder = folder();
        let (pid, out) =
            run(&mut child::command(&bench, "flood-files", &[folder.path().to_str().unwrap(), "60000"]));
        assert!(out.status.success(), "{out:?}");
        assert_eq!(bench.exit_of(pid).await.code, 0);
        let counters = bench.probe().counters().unwrap();
        let class = |class| counters.of(class).clone();
        assert_eq!(class(vedette_sensor::record::Class::Process).lost, 0);
        let files = class(vedette_sensor::record::Class::File);
        let n_seen = bench.seen().filter(|record| matches!(record.body, Body::File(_))).count() as u64;
        assert_eq!(files.generated(), n_seen + files.lost, "attempted = received + lost");
        assert!(files.lost > 0, "the flood was too small to tell");
    });
}

pub(crate) fn write_file(path: &str) {
    fs::write(path, "x").unwrap();
}

pub(crate) fn change_names(a: &str, b: &str, c: &str, d: &str, e: &str) {
    fs::write(a, "x").unwrap();
    fs::rename(a, b).unwrap();
    fs::hard_link(b, c).unwrap();
    fs::create_dir(d).unwrap();
    symlink("/etc/passwd", e).unwrap();
    fs::remove_file(c).unwrap();
    fs::remove_dir(d).unwrap();
}

pub(crate) fn change_attributes(path: &str) {
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    chown(path, Some(7), Some(8)).unwrap();
    OpenOptions::new().write(true).open(path).unwrap().set_len(3).unwrap();
}

pub(crate) fn flood(folder: &str, n: usize) {
    let path = Path::new(folder).join("x".repeat(200));
    fs::write(&path, "x").unwrap();
    (0..n).for_each(|_| drop(fs::File::open(&path).unwrap()));
}
