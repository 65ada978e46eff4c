//! One data stream: takes frames, writes them, says when each is out of our hands.

use bytes::Bytes;
use quinn::{Connection, SendStream};
use tokio::sync::{mpsc, oneshot};
use wire::frame::data::Data;
use wire::frame::encode;

use crate::session::Wire;

/// The end a driver holds. Dropping it finishes the stream after what was given.
pub(super) struct Handle {
    frames: mpsc::UnboundedSender<Data>,
}

impl Handle {
    /// Gives a frame. The session gives no second batch before the first was written, so no more
    /// than an `Open` and a batch wait here.
    pub(super) fn give(&self, frame: Data) {
        // When the task is gone so is the connection, and the driver hears of that.
        drop(self.frames.send(frame));
    }
}

/// Opens data streams one after the other, each once the connection has room for it: the collector
/// takes their order for the order of the wires.
pub(super) struct Opener {
    orders: mpsc::UnboundedSender<oneshot::Sender<SendStream>>,
}

impl Opener {
    /// Begins to take orders; ends when it is dropped or the connection is lost.
    pub(super) fn new(connection: Connection) -> Self {
        let (orders, mut taken) = mpsc::unbounded_channel::<oneshot::Sender<SendStream>>();
        tokio::spawn(async move {
            while let Some(order) = taken.recv().await {
                let Ok(stream) = connection.open_uni().await else { return };
                drop(order.send(stream));
            }
        });
        Self { orders }
    }

    /// Orders a data stream and begins to write. `written` gets the wire after each frame except
    /// the `Open`.
    pub(super) fn start(&self, wire: Wire, written: mpsc::UnboundedSender<Wire>) -> Handle {
        let (order, opened) = oneshot::channel();
        drop(self.orders.send(order));
        start(opened, wire, written)
    }
}

fn start(opened: oneshot::Receiver<SendStream>, wire: Wire, written: mpsc::UnboundedSender<Wire>) -> Handle {
    let (frames, mut given) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let Ok(mut stream) = opened.await else { return };
        while let Some(frame) = given.recv().await {
            if stream.write_chunk(Bytes::from(encode(&frame))).await.is_err() {
                return;
            }
            if !matches!(frame, Data::Open(_)) && written.send(wire).is_err() {
                return;
            }
        }
        // What was written is still delivered; an error means it was closed already.
        drop(stream.finish());
    });
    Handle { frames }
}
