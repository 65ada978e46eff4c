//! A session by hand: it says what a sensor would not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, ConnectionError, Endpoint, SendStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;
use wire::enrolment::COLLECTOR_NAME;
use wire::frame::collector::Welcome;
use wire::frame::data::{Data, Open};
use wire::frame::sensor::Hello;
use wire::frame::{Code, Decoder, FromCollector, FromSensor, encode};
use wire::id::{BootId, Epoch, Lane};

/// Longer than any deadline of a collector.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A session that was welcomed.
pub(crate) struct Client {
    pub(crate) connection: Connection,
    pub(crate) endpoint: Endpoint,
    pub(crate) control: SendStream,
    pub(crate) welcome: Welcome,
    told: mpsc::UnboundedReceiver<FromCollector>,
}

pub(crate) fn hello() -> Hello {
    Hello {
        versions: vec![1],
        sensor_version: "0".into(),
        host_name: "villain".into(),
        kernel_release: "6".into(),
        arch: "x".into(),
        boot: BootId::new(Uuid::from_u128(0x6666)),
        capabilities: vec![],
        streams: vec![],
    }
}

/// A connection, from an address of one's own.
pub(crate) async fn dial(
    address: SocketAddr,
    tls: Arc<rustls::ClientConfig>,
) -> Result<(Connection, Endpoint), ConnectionError> {
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let connection = endpoint.connect_with(config, address, COLLECTOR_NAME).unwrap().await?;
    Ok((connection, endpoint))
}

/// What a connection comes to.
pub(crate) async fn end(connection: &Connection) -> ConnectionError {
    timeout(PATIENCE, connection.closed()).await.expect("it is closed")
}

/// The code that a connection is closed with.
pub(crate) async fn code(connection: &Connection) -> Code {
    match end(connection).await {
        ConnectionError::ApplicationClosed(close) => Code(close.error_code.into_inner() as u32),
        other => panic!("expected a code, found {other}"),
    }
}

impl Client {
    /// Connects, says this and waits for the welcome.
    pub(crate) async fn greeted(address: SocketAddr, tls: Arc<rustls::ClientConfig>, hello: Hello) -> Self {
        let (connection, endpoint) = dial(address, tls).await.unwrap();
        let (mut control, mut incoming) = connection.open_bi().await.unwrap();
        control.write_all(&encode(&FromSensor::from(hello))).await.unwrap();
        let (tell, mut told) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut decoder = Decoder::<FromCollector>::default();
            while let Ok(Some(chunk)) = incoming.read_chunk(1 << 16, true).await {
                decoder.push(&chunk.bytes);
                while let Some(frame) = decoder.next_frame().expect("a collector's frames can be read") {
                    drop(tell.send(frame));
                }
            }
        });
        let first = timeout(PATIENCE, told.recv()).await.expect("it answers");
        let Some(FromCollector::Welcome(welcome)) = first else { panic!("no welcome: {first:?}") };
        Self { connection, endpoint, control, welcome, told }
    }

    /// Says something on the control stream; the collector may have closed it.
    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        drop(self.control.write_all(bytes).await);
    }

    /// A data stream that says what it carries.
    pub(crate) async fn open(&self, epoch: Epoch, lane: Lane, from: u64) -> SendStream {
        let mut stream = self.connection.open_uni().await.unwrap();
        stream.write_all(&encode(&Data::Open(Open { epoch, lane, from }))).await.unwrap();
        stream
    }

    /// The next that the collector says, but for what every session hears all the time.
    pub(crate) async fn next(&mut self) -> FromCollector {
        loop {
            match timeout(PATIENCE, self.told.recv()).await.expect("it says something") {
                Some(FromCollector::Credit(_) | FromCollector::HeartbeatReply(_)) => {}
                Some(frame) => return frame,
                None => panic!("the control stream has ended: {:?}", self.connection.close_reason()),
            }
        }
    }

    /// The next, whatever it is.
    pub(crate) async fn any(&mut self) -> Option<FromCollector> {
        timeout(PATIENCE, self.told.recv()).await.expect("it says something")
    }

    /// Waits until a stream is acknowledged up to there; what was refused on the way.
    pub(crate) async fn acknowledged(&mut self, epoch: Epoch, lane: Lane, upto: u64) -> Vec<FromCollector> {
        let mut others = Vec::new();
        loop {
            match self.next().await {
                FromCollector::Ack(ack) => {
                    let watermark = ack.watermark;
                    if (watermark.epoch, watermark.lane) == (epoch, lane) && watermark.next_seq >= upto {
                        return others;
                    }
                }
                other => others.push(other),
            }
        }
    }

    /// The code that the connection is closed with.
    pub(crate) async fn code(&self) -> Code {
        code(&self.connection).await
    }

    /// Ends the session as a sensor does.
    pub(crate) async fn leave(mut self) {
        use wire::frame::sensor::Goodbye;
        let goodbye = Goodbye { code: Code::DONE, reason: String::new() };
        self.say(&encode(&FromSensor::from(goodbye))).await;
        drop(timeout(PATIENCE, self.connection.closed()).await);
    }
}
