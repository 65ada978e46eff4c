//! The way from collectors to the database: TCP, to whichever server is the primary; it can be slow, and cut.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::broadcast;
use tokio_util::task::AbortOnDropHandle;

/// A line that collectors connect to instead of the server itself.
pub struct Line {
    /// Where collectors find it, on loopback.
    pub port: u16,
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

struct Shared {
    socket: Mutex<PathBuf>,
    /// How long what is sent, either way, takes.
    delay: Mutex<Duration>,
    /// Whether new connections are refused.
    closed: Mutex<bool>,
    cut: broadcast::Sender<()>,
}

impl Line {
    /// A line to the server with this socket.
    pub async fn to(socket: PathBuf) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            socket: Mutex::new(socket),
            delay: Mutex::default(),
            closed: Mutex::default(),
            cut: broadcast::Sender::new(1),
        });
        let task = tokio::spawn(shared.clone().serve(listener));
        Ok(Self { port, shared, _task: AbortOnDropHandle::new(task) })
    }

    /// Leads to another server from now on; all connections are cut.
    pub fn lead_to(&self, socket: PathBuf) {
        *self.shared.socket.lock().unwrap() = socket;
        self.cut();
    }

    /// Ends all connections, wherever their talk stands: also between a commit and its answer.
    pub fn cut(&self) {
        drop(self.shared.cut.send(()));
    }

    /// Lets everything take so much longer, each way.
    pub fn set_delay(&self, delay: Duration) {
        *self.shared.delay.lock().unwrap() = delay;
    }

    /// Whether nobody gets through any more.
    pub fn set_closed(&self, closed: bool) {
        *self.shared.closed.lock().unwrap() = closed;
        if closed {
            self.cut();
        }
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let Ok((collector, _)) = listener.accept().await else { continue };
            if *self.closed.lock().unwrap() {
                continue;
            }
            let shared = self.clone();
            tokio::spawn(async move {
                let mut cut = shared.cut.subscribe();
                let socket = shared.socket.lock().unwrap().clone();
                let Ok(server) = UnixStream::connect(socket).await else { return };
                let ((from_collector, to_collector), (from_server, to_server)) =
                    (collector.into_split(), server.into_split());
                tokio::select! {
                    _ = cut.recv() => {}
                    () = shared.copy(from_collector, to_server) => {}
                    () = shared.copy(from_server, to_collector) => {}
                }
            });
        }
    }

    async fn copy(
        &self,
        mut from: impl tokio::io::AsyncRead + Unpin,
        mut to: impl tokio::io::AsyncWrite + Unpin,
    ) {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from.read(&mut bytes).await {
            let delay = *self.delay.lock().unwrap();
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            if to.write_all(&bytes[..n]).await.is_err() {
                return;
            }
        }
    }
}
