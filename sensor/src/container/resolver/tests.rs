//! Sockets that are not what they should be: each is a real one, with a thread of the test's behind it.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::container::Runtime;

const ID: &str = "3f4a0b6c2d1e8f7a9b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6";

/// A socket that is served in this way, each connection in turn.
struct Socket {
    folder: tempfile::TempDir,
    n_served: Arc<AtomicU64>,
}

impl Socket {
    fn new(serve: impl Fn(UnixStream) + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        let n_served = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&n_served);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                count.fetch_add(1, Ordering::SeqCst);
                serve(stream);
            }
        });
        Self { folder, n_served }
    }

    /// One that answers each request with these bytes and closes.
    fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::new(move |mut stream| {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(&answer);
        })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn source(&self, runtime: Runtime) -> Source {
        source(runtime, &self.path())
    }
}

fn source(runtime: Runtime, path: &Path) -> Source {
    format!("{}:{}", runtime.name(), path.display()).parse().unwrap()
}

fn id() -> Id {
    Id::parse(ID.as_bytes()).unwrap()
}

fn http(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn inspected(name: &str) -> String {
    http(&format!(r#"{{"Id": "{ID}", "Name": "/{name}", "Config": {{"Image": "nginx"}}}}"#))
}

fn on_a_runtime<T>(ask: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(ask)
}

fn ask(source: &Source) -> Result<Option<About>, Fault> {
    on_a_runtime(async { timeout(PATIENCE, source.ask(id())).await.unwrap_or(Err(Fault::Late)) })
}

/// What a clerk with these sources finds, asked so often.
fn clerk(sources: &[Source]) -> Clerk {
    Clerk {
        rate: RateLimiter::direct(Quota::per_second(PER_SECOND)),
        desks: sources.iter().cloned().map(Desk::new).collect(),
    }
}

const BOTH: [Runtime; 2] = [Runtime::Docker, Runtime::Containerd];

#[test]
fn what_is_no_socket_is_absent() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let deserted = folder.path().join("deserted");
    drop(UnixListener::bind(&deserted).unwrap());
    for runtime in BOTH {
        for path in [&folder.path().join("nowhere"), &file, &deserted, folder.path()] {
            assert_eq!(ask(&source(runtime, path)), Err(Fault::Absent), "{runtime:?} {}", path.display());
        }
    }
}

#[test]
fn a_socket_that_hangs_is_given_up_and_left_alone() {
    let kept = std::sync::Mutex::new(Vec::new());
    let socket = Socket::new(move |stream| kept.lock().unwrap().push(stream));
    let clerk = clerk(&[socket.source(Runtime::Docker), socket.source(Runtime::Containerd)]);
    let request = |runtime| Request { id: id(), runtime: Some(runtime) };
    let start = Instant::now();
    on_a_runtime(async {
        let (docker, cri) =
            tokio::join!(clerk.serve(request(Runtime::Docker)), clerk.serve(request(Runtime::Containerd)));
        assert_eq!((docker.1, cri.1), (Err(Miss::Late), Err(Miss::Late)));
        assert!(start.elapsed() < PATIENCE * 4, "{:?}", start.elapsed());
        let n_served = socket.n_served.load(Ordering::SeqCst);
        assert_eq!(clerk.serve(request(Runtime::Docker)).await.1, Err(Miss::Late));
        assert_eq!(socket.n_served.load(Ordering::SeqCst), n_served, "nobody has asked it again");
    });
}

#[test]
fn garbage_is_no_answer() {
    let endless_head = format!("HTTP/1.1 200 OK\r\n{}", "X-Y: z\r\n".repeat(1 << 16));
    let nested = http(&"[".repeat(1 << 19));
    let of_another = inspected("web").replace(ID, &ID.replace('3', "4"));
    for answer in [
        b"".to_vec(),
        vec![0; 100_000],
        vec![0xff; 100_000],
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n".to_vec(),
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.1 302 Found\r\nLocation: http://localhost/\r\nContent-Length: 0\r\n\r\n".to_vec(),
        http("{}").into_bytes(),
        http("no JSON").into_bytes(),
        endless_head.into_bytes(),
        nested.into_bytes(),
        of_another.into_bytes(),
    ] {
        let socket = Socket::saying(answer.clone());
        let shown = String::from_utf8_lossy(answer.get(..40).unwrap_or(&answer)).into_owned();
        for runtime in BOTH {
            assert_eq!(ask(&socket.source(runtime)), Err(Fault::Garbled), "{runtime:?}: {shown:?}");
        }
    }
    let unknown = Socket::saying("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(ask(&unknown.source(Runtime::Podman)), Ok(None));
}

#[test]
fn an_answer_of_a_gigabyte_is_not_read() {
    let sent = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&sent);
    let socket = Socket::new(move |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n";
        let mut sending = stream.write_all(head);
        while sending.is_ok() && count.load(Ordering::SeqCst) < 1 << 30 {
            sending = stream.write_all(&[b' '; 65536]);
            count.fetch_add(65536, Ordering::SeqCst);
        }
    });
    assert_eq!(ask(&socket.source(Runtime::Docker)), Err(Fault::Garbled));
    let sent = sent.load(Ordering::SeqCst) as usize;
    assert!(sent < 8 * MAX_ANSWER_BYTES, "{sent} bytes were sent");
}

#[test]
fn a_message_of_a_gigabyte_is_not_read() {
    let sent = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&sent);
    let socket = Socket::new(move |stream| {
        let count = Arc::clone(&count);
        let _ = on_a_runtime(send_a_gigabyte(stream, count));
    });
    assert_eq!(ask(&socket.source(Runtime::CriO)), Err(Fault::Garbled));
    let sent = sent.load(Ordering::SeqCst) as usize;
    assert!(sent < 8 * MAX_ANSWER_BYTES, "{sent} bytes were sent");
}

/// A gRPC server whose answer claims to be as long as that, and begins to be.
async fn send_a_gigabyte(stream: UnixStream, sent: Arc<AtomicU64>) -> std::io::Result<()> {
    stream.set_nonblocking(true)?;
    let stream = tokio::net::UnixStream::from_std(stream)?;
    let mut connection = h2::server::handshake(stream).await.map_err(std::io::Error::other)?;
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let head = hyper::Response::builder().header("content-type", "application/grpc").body(());
        let head = head.map_err(std::io::Error::other)?;
        let mut body = respond.send_response(head, false).map_err(std::io::Error::other)?;
        let sent = Arc::clone(&sent);
        tokio::spawn(async move {
            let mut chunk = Bytes::from_static(&[0, 0x40, 0, 0, 0]);
            while sent.load(Ordering::SeqCst) < 1 << 30 {
                body.reserve_capacity(chunk.len());
                let room = std::future::poll_fn(|cx| body.poll_capacity(cx)).await;
                let Some(Ok(room)) = room else { return };
                if body.send_data(chunk.split_to(room.min(chunk.len())), false).is_err() {
                    return;
                }
                sent.fetch_add(room as u64, Ordering::SeqCst);
                if chunk.is_empty() {
                    chunk = Bytes::from_static(&[0; 65536]);
                }
            }
        });
    }
    Ok(())
}

#[test]
fn the_runtimes_own_source_is_asked_and_else_all_in_order() {
    let (docker, podman) = (Socket::saying(inspected("of-docker")), Socket::saying(inspected("of-podman")));
    let nowhere = source(Runtime::Docker, Path::new("/nowhere/docker.sock"));
    let clerk = clerk(&[nowhere, docker.source(Runtime::Docker), podman.source(Runtime::Podman)]);
    let found = |runtime| on_a_runtime(clerk.find(Request { id: id(), runtime }));
    let named = |name: &'static str, runtime| {
        Ok(About { name: name.into(), image: "nginx".into(), runtime, ..About::default() })
    };
    assert_eq!(found(Some(Runtime::Podman)), named("of-podman", None));
    assert_eq!(found(None), named("of-docker", Some(Runtime::Docker)), "and whose it is is told");
    assert_eq!(found(Some(Runtime::CriO)), Err(Miss::NoSource));
}

#[test]
fn one_that_fails_does_not_hide_what_another_one_knows() {
    let broken = Socket::saying("nonsense");
    let podman = Socket::saying(inspected("web"));
    let clerk = clerk(&[broken.source(Runtime::Podman), podman.source(Runtime::Podman)]);
    let ask = || on_a_runtime(clerk.find(Request { id: id(), runtime: Some(Runtime::Podman) }));
    assert!(ask().is_ok() && ask().is_ok());
    assert_eq!(broken.n_served.load(Ordering::SeqCst), 1, "it is left alone");
    assert_eq!(podman.n_served.load(Ordering::SeqCst), 2);
}

#[test]
fn the_thread_answers_what_it_is_handed() {
    let socket = Socket::saying(inspected("web"));
    let mut resolver = Resolver::start(vec![socket.source(Runtime::Docker)]).unwrap();
    resolver.ask(Request { id: id(), runtime: None });
    let (answered, found) = on_a_runtime(resolver.answered()).unwrap();
    assert_eq!((answered, found.map(|about| about.name)), (id(), Ok("web".into())));
}
