//! The thread that does what is to be done on disk: a sync may take seconds, and nobody who drains a ring waits for it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tracing::{error, warn};

use super::Outbox;
use crate::clock::Reading;

/// How long nothing is looked at, if nobody asks for it.
const REST: Duration = Duration::from_millis(500);

/// A running thread.
#[derive(Debug)]
pub struct DiskThread {
    outbox: Arc<Outbox>,
    ended: Receiver<()>,
}

impl DiskThread {
    /// Starts it. It ends when it is told to stop.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start(outbox: Arc<Outbox>) -> io::Result<Self> {
        let (ending, ended) = channel();
        let works = outbox.clone();
        thread::Builder::new().name("spool-disk".into()).spawn(move || {
            work(&works);
            drop(ending);
        })?;
        Ok(Self { outbox, ended })
    }

    /// Brings to disk what is in memory alone, and ends; waits for that for so long at the most.
    pub fn stop(self, at_most: Duration) {
        self.outbox.close_up();
        if self.ended.recv_timeout(at_most) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            warn!(
                seconds = at_most.as_secs(),
                "the disk of the spool does not answer: batches stay in memory alone"
            );
        }
    }
}

fn work(outbox: &Outbox) {
    loop {
        let Ok(now) = Reading::now() else {
            return error!("the boot clock cannot be read any more: nothing goes to disk");
        };
        match outbox.next_job(now) {
            Some(job) => {
                let done = job.run();
                outbox.finish(done, Reading::now().unwrap_or(now).boot);
            }
            None if outbox.is_closed_up() => return,
            None => outbox.rest(REST),
        }
    }
}
