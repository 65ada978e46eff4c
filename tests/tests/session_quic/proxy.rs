//! A router between sensor and collector that can go dark, or change the sensor's address.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    outside: watch::Sender<Option<Arc<UdpSocket>>>,
    _task: AbortOnDropHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(collector: SocketAddr) -> Self {
        let inside = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = inside.local_addr().unwrap();
        let outside = watch::Sender::new(Some(Arc::new(outside(collector).await)));
        let task = tokio::spawn(forward(inside, outside.subscribe()));
        Self { address, outside, _task: AbortOnDropHandle::new(task) }
    }

    /// From now on packets leave from another address.
    pub(crate) async fn move_house(&self, collector: SocketAddr) {
        self.outside.send_replace(Some(Arc::new(outside(collector).await)));
    }

    /// From now on nothing passes.
    pub(crate) fn go_dark(&self) {
        self.outside.send_replace(None);
    }
}

async fn outside(collector: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(collector).await.unwrap();
    socket
}

async fn forward(inside: UdpSocket, mut outside: watch::Receiver<Option<Arc<UdpSocket>>>) {
    let mut sensor = None;
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        let way = outside.borrow_and_update().clone();
        let back = async {
            match &way {
                Some(socket) => socket.recv(&mut down).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Ok((n, from)) = inside.recv_from(&mut up) => {
                sensor = Some(from);
                if let Some(socket) = &way {
                    drop(socket.send(&up[..n]).await);
                }
            }
            Ok(n) = back => {
                if let Some(sensor) = sensor {
                    drop(inside.send_to(&down[..n], sensor).await);
                }
            }
            changed = outside.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}
