//! Where streams stand in the store: asked at the greeting, and again for those that stalled.

use wire::frame::collector::{Resend, Watermark, Welcome};
use wire::frame::sensor::Hello;
use wire::frame::{Code, VERSION};

use super::stream::Stall;
use super::{Key, Now, Output, Phase, Session};

impl Session {
    /// Takes the answer to [`Output::LookUp`]: the watermarks of those streams that are known.
    pub fn handle_watermarks(&mut self, now: Now, found: Option<Vec<Watermark>>) {
        self.is_looking_up = false;
        let of = |key: &Key, found: &[Watermark]| {
            let (epoch, lane) = *key;
            let start = Watermark { epoch, lane, next_seq: 0, digest: wire::batch::Digest::START };
            found.iter().copied().find(|w| (w.epoch, w.lane) == *key).unwrap_or(start)
        };
        match (&self.phase, found) {
            (Phase::LookingUp(keys), Some(found)) => {
                let watermarks = keys.iter().map(|key| of(key, &found)).collect();
                self.welcome(now, watermarks);
            }
            (Phase::LookingUp(_), None) => self.close(Code::BUSY, "the store does not answer"),
            (Phase::Live, Some(found)) => {
                for (key, stream) in &mut self.streams {
                    if stream.was_asked() {
                        let watermark = of(key, &found);
                        let let_go = stream.tell(watermark);
                        let_go.into_iter().for_each(|bytes| self.ration.resolve(bytes));
                        self.out.push_back(Output::Send(Resend { watermark }.into()));
                    }
                }
            }
            (Phase::Live, None) => {
                for stream in self.streams.values_mut().filter(|stream| stream.was_asked()) {
                    stream.stall(now.at + self.limits.retry);
                }
            }
            _ => {}
        }
        self.look_up(now);
    }

    pub(super) fn greeted(&mut self, hello: Hello) {
        if !hello.versions.contains(&VERSION) {
            return self.close(Code::VERSION, "no protocol version in common; this collector speaks 1");
        }
        let keys: Vec<Key> = hello.streams.iter().map(|held| (held.epoch, held.lane)).collect();
        for held in &hello.streams {
            self.streams.entry((held.epoch, held.lane)).or_default().began_at(held.end);
        }
        self.out.push_back(Output::Connected(Box::new(hello)));
        self.out.push_back(Output::LookUp(keys.clone()));
        self.is_looking_up = true;
        self.phase = Phase::LookingUp(keys);
    }

    fn welcome(&mut self, now: Now, watermarks: Vec<Watermark>) {
        self.phase = Phase::Live;
        for watermark in &watermarks {
            self.streams.entry((watermark.epoch, watermark.lane)).or_default().say(watermark.next_seq);
        }
        let welcome = Welcome {
            version: VERSION,
            collector: self.collector,
            collector_version: env!("CARGO_PKG_VERSION").into(),
            time: now.wall,
            heartbeat_ms: u32::try_from(self.limits.heartbeat.as_millis()).unwrap_or(u32::MAX),
            max_batch_bytes: self.limits.max_batch_bytes,
            watermarks,
            credit: self.ration.grant(),
        };
        self.out.push_back(Output::Send(welcome.into()));
    }

    /// Asks for the watermarks of the stalled streams whose time has come.
    pub(super) fn look_up(&mut self, now: Now) {
        if self.is_looking_up || !matches!(self.phase, Phase::Live) {
            return;
        }
        let mut keys = Vec::new();
        for (key, stream) in &mut self.streams {
            if stream.retry_at().is_some_and(|at| now.at >= at) {
                stream.stall = Some(Stall::Asked);
                keys.push(*key);
            }
        }
        if !keys.is_empty() {
            self.is_looking_up = true;
            self.out.push_back(Output::LookUp(keys));
        }
    }
}
