//! Flows of datagrams: which have ended.
//!
//! The programs count what belongs to a flow, and tell when it begins. That nothing comes any more only time tells: so all
//! flows are looked at from time to time, and for each that has ended the kernel is asked to tell so, with a record as any
//! other, and to forget it.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::time::Duration;

use aya::maps::{HashMap, Map, MapData};
use aya::programs::{CgroupSkb, CgroupSkbAttachType, ProgramError, TestRun, TestRunOptions};
use sensor_bpf::event::{event_flow, event_flow_key};
use wire::time::BootTime;
use zerocopy::FromBytes;

use super::ProbeError;
use super::pins::Pins;
use crate::sys::MapPart;

/// The program that ends a flow; it is attached nowhere.
pub(super) const ENDED: &str = "flow_ended";
/// Where it is pinned.
pub(super) const ENDED_PIN: &str = "program_flow_ended";

/// How many flows are read at once; a bucket of the kernel's table has far less.
const PART: usize = 1024;

/// How many flows are ended at once: their records must find room in the ring.
const MAX_ENDED: usize = 8192;

/// What the kernel takes off a packet before a program sees it.
const ETHERNET: usize = 14;

type Packet = [u8; ETHERNET + size_of::<event_flow_key>()];

pub(super) struct FlowMaps {
    flows: MapData,
    closed: HashMap<MapData, u64, u64>,
    ended: Option<CgroupSkb>,
    idle: Duration,
}

/// Loads the program and keeps it; whether the kernel took it.
pub(super) fn keep(program: &mut CgroupSkb, pins: &Pins) -> Result<(), ProbeError> {
    program.load().map_err(refused)?;
    pins.replace(&pins.path(ENDED_PIN), |path| {
        let pinned = program.pin(path);
        pinned.map_err(|source| ProbeError::Pin { path: path.to_owned(), source: Box::new(source) })
    })
}

impl FlowMaps {
    pub(super) fn open(pins: &Pins, idle: Duration) -> Result<Self, ProbeError> {
        let path = pins.path(ENDED_PIN);
        let there = path.exists().then(|| CgroupSkb::from_pin(path, CgroupSkbAttachType::Egress));
        Ok(Self {
            flows: pins.map("flows")?,
            closed: Map::LruHashMap(pins.map(CLOSED)?).try_into().map_err(|source| failed(CLOSED, source))?,
            ended: there.transpose().map_err(refused)?,
            idle,
        })
    }

    /// Has flows told that have ended by now, so many at a time; returns how many were asked for.
    pub(super) fn end(&mut self, now: BootTime) -> Result<usize, ProbeError> {
        let Some(program) = &self.ended else { return Ok(0) };
        let closed: HashSet<u64> = self.closed.keys().take(MAX_CLOSED).flatten().collect();
        let over = over(&self.flows, &closed, now, self.idle)?;
        for packet in &over {
            let options = TestRunOptions { data_in: Some(packet), ..TestRunOptions::new() };
            program.test_run(options).map_err(refused)?;
        }
        // Until all flows of a closed socket are told it is remembered.
        for cookie in closed.into_iter().filter(|_| over.len() < MAX_ENDED) {
            // It may be gone already: the map forgets what is old.
            drop(self.closed.remove(&cookie));
        }
        Ok(over.len())
    }
}

/// What names the flows that have ended: their sockets are closed, or nothing came for so long.
fn over(
    flows: &MapData,
    closed: &HashSet<u64>,
    now: BootTime,
    idle: Duration,
) -> Result<Vec<Packet>, ProbeError> {
    let info = flows.info().map_err(|source| failed("flows", source))?;
    let sizes = (info.key_size(), info.value_size());
    let mut part = MapPart::new((size_of::<event_flow_key>(), size_of::<event_flow>()), PART);
    let mut over = Vec::new();
    loop {
        let more = part.read(flows.fd().as_fd(), sizes).map_err(|source| ProbeError::Flows { source })?;
        for (key, value) in part.entries() {
            let Ok(flow) = event_flow::read_from_bytes(value) else { continue };
            let Ok(named) = event_flow_key::read_from_bytes(key) else { continue };
            let quiet = Duration::from_nanos(now.ns().saturating_sub(flow.last_ns));
            if quiet >= idle || closed.contains(&named.cookie) {
                over.push(packet(key));
            }
            if over.len() == MAX_ENDED {
                return Ok(over);
            }
        }
        if !more {
            return Ok(over);
        }
    }
}

/// A packet that is this key.
fn packet(key: &[u8]) -> Packet {
    let mut packet = [0; ETHERNET + size_of::<event_flow_key>()];
    packet.iter_mut().skip(ETHERNET).zip(key).for_each(|(to, from)| *to = *from);
    packet
}

const CLOSED: &str = "flow_sockets_closed";
/// More than the map holds, should the kernel begin anew while it is read.
const MAX_CLOSED: usize = 1 << 14;

fn refused(source: ProgramError) -> ProbeError {
    ProbeError::Program { program: ENDED, source: Box::new(source) }
}

fn failed(name: &'static str, source: aya::maps::MapError) -> ProbeError {
    ProbeError::Map { name, source: Box::new(source) }
}
