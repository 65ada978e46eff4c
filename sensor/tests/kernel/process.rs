use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use vedette_sensor::record::{self, Body};

use crate::bench::{run, skip, with_root};
use crate::child;

#[test]
fn a_script_is_told_with_its_interpreter() {
    with_root("script", async |mut bench| {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("job.sh");
        fs::write(&script, "#!/bin/sh\nexit 7\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();

        let (pid, output) = run(bench.command(&script).arg("one").current_dir(folder.path()));
        assert_eq!(output.status.code(), Some(7));

        let exit = bench.exit_of(pid).await;
        let seen = bench.image_of(pid).await;
        let image = seen.image();
        assert_eq!(text(image.script), script.to_str().unwrap());
        let shell = fs::canonicalize("/bin/sh").unwrap();
        assert_eq!(text(image.executable), shell.to_str().unwrap());
        assert_eq!(text(image.args), format!("/bin/sh\0{}\0one\0", script.display()));
        assert_eq!((image.args_count, image.args_bytes), (3, image.args.len() as u64));
        assert_eq!(text(image.cwd), folder.path().to_str().unwrap());
        assert_eq!(image.inode, fs::metadata(&shell).unwrap().ino());
        let file = fs::metadata(&shell).unwrap();
        assert_eq!(image.device, file.dev());
        assert_eq!(image.size, file.size());
        assert_eq!(image.changed_ns, file.ctime() * 1_000_000_000 + file.ctime_nsec());
        assert_eq!((image.deleted, image.memfd, image.truncated), (false, false, false));
        assert_eq!(image.stdio, [record::Stdio::Null, record::Stdio::Pipe, record::Stdio::Pipe]);
        assert_eq!(exit.code, 7);
        assert_eq!(exit.task, image.task.unwrap());
    });
}

#[test]
fn an_image_says_who_runs_it_and_where() {
    with_root("rights", async |mut bench| {
        let (pid, _) = run(bench.command("setpriv").args([
            "--reuid=1234",
            "--regid=2345",
            "--clear-groups",
            "/bin/true",
        ]));
        let seen = bench.image_of(pid).await;
        let image = seen.image();
        assert_eq!((image.uid, image.euid, image.egid), (1234, 1234, 2345));
        assert_eq!(image.capabilities, 0);
        assert_eq!(image.cgroup_id, fs::metadata(&bench.group.0).unwrap().ino());
        assert_eq!(text(image.cgroup), format!("/{}", bench.group.0.file_name().unwrap().to_str().unwrap()));
        let namespace = |kind: &str| fs::metadata(format!("/proc/self/ns/{kind}")).unwrap().ino() as u32;
        let own = record::Namespaces {
            mnt: namespace("mnt"),
            pid: namespace("pid"),
            net: namespace("net"),
            user: namespace("user"),
        };
        assert_eq!(image.namespaces, own);
        let session = nix::unistd::getsid(None).unwrap().as_raw() as u32;
        assert_eq!(image.session, session);
        let loginuid: u32 = fs::read_to_string("/proc/self/loginuid").unwrap().trim().parse().unwrap();
        assert_eq!(image.loginuid, loginuid);
        assert_eq!(image.parent.unwrap().key.pid, std::process::id());
    });
}

#[test]
fn a_memfd_is_told_as_one() {
    with_root("memfd", async |mut bench| {
        let memfd = memfd_create(c"payload", MFdFlags::empty()).unwrap();
        let mut file = fs::File::from(memfd);
        file.write_all(&fs::read("/bin/true").unwrap()).unwrap();
        fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();

        let (pid, output) = run(&mut bench.command(format!("/proc/self/fd/{}", file.as_raw_fd())));
        assert!(output.status.success());

        let seen = bench.image_of(pid).await;
        let image = seen.image();
        assert_eq!(text(image.executable), "/memfd:payload");
        assert!(image.memfd && image.deleted);
        assert_eq!(image.inode, file.metadata().unwrap().ino());
    });
}

#[test]
fn a_deleted_executable_keeps_its_path() {
    with_root("deleted", async |mut bench| {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("gone");
        fs::copy("/bin/true", &program).unwrap();
        let open = fs::File::open(&program).unwrap();
        fcntl(&open, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        fs::remove_file(&program).unwrap();

        let (pid, _) = run(&mut bench.command(format!("/proc/self/fd/{}", open.as_raw_fd())));

        let seen = bench.image_of(pid).await;
        let image = seen.image();
        assert_eq!(text(image.executable), program.to_str().unwrap());
        assert!(image.deleted && !image.memfd);
    });
}

#[test]
fn long_arguments_are_cut_at_16_kib_with_their_true_length() {
    with_root("argv", async |mut bench| {
        let args: Vec<String> = (0..20).map(|n| format!("{n:01023}")).collect();
        let (pid, _) = run(bench.command("/bin/true").args(&args));
        let seen = bench.image_of(pid).await;
        let image = seen.image();
        let whole = format!("/bin/true\0{}\0", args.join("\0"));
        assert_eq!(image.args_bytes, whole.len() as u64);
        assert_eq!(image.args_count, 21);
        assert_eq!(image.args.len(), 16384);
        assert_eq!(image.args, whole.as_bytes().get(..16384).unwrap());
        assert!(image.truncated);
    });
}

#[test]
fn a_path_of_any_bytes_and_depth_is_told_whole() {
    with_root("path", async |mut bench| {
        let folder = tempfile::tempdir().unwrap();
        let mut deep = folder.path().to_path_buf();
        // Far deeper than the component caps of other agents, and close to PATH_MAX.
        for _ in 0..1000 {
            deep.push("d");
        }
        deep.push("x".repeat(255));
        fs::create_dir_all(&deep).unwrap();
        let program = deep.join(OsStr::from_bytes(b"\xff\xfe \x1b[2J"));
        fs::copy("/bin/true", &program).unwrap();

        let (pid, output) = run(bench.command(&program).current_dir(&deep));
        assert!(output.status.success());

        let seen = bench.image_of(pid).await;
        let image = seen.image();
        assert_eq!(image.executable, program.as_os_str().as_bytes());
        assert_eq!(image.cwd, deep.as_os_str().as_bytes());
        assert!(!image.truncated);
    });
}

#[test]
fn a_chroot_is_seen_through() {
    with_root("chroot", async |mut bench| {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        let Ok(busybox) = fs::metadata("/bin/busybox") else {
            return skip(
                "a_chroot_is_seen_through",
                "there is no /bin/busybox (apt-get install busybox-static)",
            );
        };
        assert!(busybox.is_file());
        fs::copy("/bin/busybox", folder.path().join("bin/true")).unwrap();
        let (pid, output) = run(bench.command("chroot").arg(folder.path()).arg("/bin/true"));
        assert!(output.status.success(), "{output:?}");
        let real = folder.path().join("bin/true");
        bench
            .find("image under its real path", |record| match &record.body {
                Body::Image(image) => (image.task.unwrap().key.pid == pid
                    && image.executable == real.as_os_str().as_bytes())
                .then_some(()),
                _ => None,
            })
            .await;
    });
}

#[test]
fn a_signal_is_told_as_the_shell_has_it() {
    with_root("signal", async |mut bench| {
        let (pid, output) = run(bench.command("/bin/sh").args(["-c", "kill -9 $$"]));
        assert_eq!(output.status.signal(), Some(9));
        let exit = bench.exit_of(pid).await;
        assert_eq!((exit.code, exit.signal), (137, 9));
        assert!(exit.duration_ns > 0);
    });
}

#[test]
fn a_thread_that_executes_keeps_the_process() {
    with_root("thread", async |mut bench| {
        let (pid, _) = run(&mut child::command(&bench, "exec-in-thread", &["/bin/true"]));
        let exit = bench.exit_of(pid).await;
        let seen = bench.image_of(pid).await;
        let image = seen.image();
        assert_eq!(text(image.args), "/bin/true\0");
        assert_eq!(image.task.unwrap(), exit.task);
        let images = bench.seen().filter_map(|record| match record.body {
            Body::Image(image) => image.task.filter(|task| task.key.pid == pid),
            _ => None,
        });
        let images: Vec<_> = images.collect();
        assert!(images.iter().all(|task| task.key == exit.task.key), "{images:?}");
        assert_eq!(
            images.iter().map(|task| task.image - images.first().unwrap().image).collect::<Vec<_>>(),
            [0, 1]
        );
        let exits =
            bench.seen().filter(|record| matches!(record.body, Body::Exit(exit) if exit.task.key.pid == pid));
        assert_eq!(exits.count(), 1);
    });
}

#[test]
fn a_process_ends_once_however_its_threads_race() {
    with_root("race", async |mut bench| {
        for _ in 0..20 {
            let (pid, output) = run(&mut child::command(&bench, "end-with-threads", &[]));
            assert_eq!(output.status.code(), Some(5));
            assert_eq!(bench.exit_of(pid).await.code, 5);
            bench.look();
            let is_its_end = |body: &Body<'_>| matches!(body, Body::Exit(exit) if exit.task.key.pid == pid);
            assert_eq!(bench.seen().filter(|record| is_its_end(&record.body)).count(), 1);
        }
    });
}

#[test]
fn births_are_told_with_their_parents_and_threads_are_not() {
    with_root("fork", async |mut bench| {
        let (pid, _) = run(bench.command("/bin/sh").args(["-c", "/bin/true; exit 3"]));
        let exit = bench.exit_of(pid).await;
        let forks: Vec<_> = bench
            .seen()
            .filter_map(|record| match record.body {
                Body::Fork(fork) => Some(fork),
                _ => None,
            })
            .collect();
        let [fork] = forks.as_slice() else { panic!("{forks:?}") };
        assert_eq!(fork.parent, exit.task);
        assert_eq!(fork.child.image, fork.parent.image);
        assert_eq!(fork.cgroup_id, fs::metadata(&bench.group.0).unwrap().ino());
        let child = bench.image_of(fork.child.key.pid).await;
        assert_eq!(child.image().task.unwrap().key, fork.child.key);
        assert_eq!(child.image().parent, Some(fork.parent));
    });
}

#[test]
fn the_living_are_found_as_they_would_have_been_told() {
    with_root("seed", async |mut bench| {
        let mut child = bench.command("/bin/sleep").arg("1000").stdin(Stdio::piped()).spawn().unwrap();
        let pid = child.id();
        bench
            .find("image of sleep", |record| match &record.body {
                Body::Image(image) => image.args.starts_with(b"/bin/sleep\0").then_some(()),
                _ => None,
            })
            .await;
        let told = bench.image_of(pid).await;
        let found = bench.probe().seed().unwrap();
        let found: Vec<_> = found.iter().map(|owned| owned.image().unwrap()).collect();
        let [image] = found.as_slice() else { panic!("{} processes in the group", found.len()) };
        let mut told = told.image();
        assert!(told.just_executed && !image.just_executed);
        told.just_executed = false;
        assert_eq!(*image, told);
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
