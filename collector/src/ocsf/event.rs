//! An event as OCSF has it, put together from what is shared and what is its own.

use wire::batch::{Batch, BatchError};
use wire::event::Event;
use wire::field::Field;
use wire::flat::Outer;
use wire::subject::SubjectNumber;
use wire::value::Value;

use super::device::Device;
use super::head::{class, escaped, time};
use super::kinds;
use super::mapping::{Case, Roles};
use super::observable;
use super::process::Processes;
use super::roles::{Cast, roles};
use super::verdict::VERDICT;
use crate::record::{HostFacts, Located};
use crate::shape::{Given, Writer, follow, rest};

/// Renders the events of one batch.
#[derive(Debug)]
pub struct Renderer<'a> {
    batch: &'a Batch,
    outer: &'a Outer,
    device: Device,
    processes: Processes<'a>,
    /// The collection by which the batch was shipped, as a member of `unmapped`.
    collection: Vec<u8>,
    /// How long the last record was.
    n_bytes: usize,
}

/// Records are not expected to be longer.
const MOST_BYTES: usize = 64 << 10;

impl<'a> Renderer<'a> {
    /// Starts on a batch.
    pub fn new(batch: &'a Batch, outer: &'a Outer, facts: &HostFacts) -> Self {
        let header = batch.header();
        let mut collection = Writer::default();
        if header.collection != [0; 16] {
            collection.string_member(Field::SensorCollection.name(), &hex::encode(header.collection));
        }
        Self {
            batch,
            outer,
            device: Device::new(outer, facts, Some(header.boot)),
            processes: Processes::new(batch, outer, None),
            collection: collection.finish().0,
            n_bytes: 2 << 10,
        }
    }

    /// An event as one JSON object.
    ///
    /// # Errors
    /// When the batch does not decode or was not fetched as a whole.
    pub fn event(&mut self, event: &Located<'_>) -> Result<Vec<u8>, BatchError> {
        self.processes.trim();
        know(&mut self.processes, event.subject)?;
        let to = Writer::with_capacity(self.n_bytes + self.n_bytes / 4);
        let json = self.written(event, &self.processes, None, to)?;
        self.n_bytes = json.len().min(MOST_BYTES);
        Ok(json)
    }

    /// The same with texts cut after `limit` bytes and lists after as many items, as the whole has `n_bytes`.
    ///
    /// # Errors
    /// When the batch does not decode or was not fetched as a whole.
    pub fn cut(&self, event: &Located<'_>, limit: usize, n_bytes: usize) -> Result<Vec<u8>, BatchError> {
        let mut processes = Processes::new(self.batch, self.outer, Some(limit));
        know(&mut processes, event.subject)?;
        self.written(event, &processes, Some(n_bytes), Writer::default().limited(Some(limit)))
    }

    fn written(
        &self,
        located: &Located<'_>,
        processes: &Processes<'_>,
        whole_bytes: Option<usize>,
        mut json: Writer,
    ) -> Result<Vec<u8>, BatchError> {
        let Located { event: Event { time: at, kind, row }, subject, .. } = located;
        let mapping = kinds::of(*kind);
        let case = mapping.case(row);
        let cast = Cast {
            subject: subject.and_then(|subject| processes.get(subject)),
            parent: match subject {
                Some(subject) => processes.parent(*subject)?,
                None => None,
            },
        };
        let given = Given {
            event: Some(row),
            subject: cast.subject.map(|shown| &shown.row),
            id: located.id,
            action: located.action(),
            host: &self.device.endpoint,
        };
        let now = self.batch.header().clock.timestamp(*at);
        let to = &mut json;
        to.raw("{");
        class(mapping.class, (case.activity, case.activity_name(mapping.class)), case.severity, to);
        time(now, to);
        follow(mapping.class.attributes, given, to);
        follow(VERDICT, given, to);
        if case.is_alert {
            to.member("is_alert", "true");
        }
        follow(case.attributes, given, to);
        roles(mapping, cast, given, now, to);
        to.key("device");
        to.raw("{");
        to.raw_bytes(&self.device.device);
        to.raw("}");
        self.metadata(located, case, given, whole_bytes, to);

        to.key("observables");
        to.raw("[");
        to.splice(&self.device.observable);
        if let Some(shown) = cast.subject {
            let at = match mapping.roles {
                Roles::Actor | Roles::Changed(_) => "actor.process",
                Roles::Launched | Roles::Itself | Roles::Ended => "process",
            };
            observable::of_subject(&shown.row, at, to);
        }
        observable::of_event(row, to);
        to.raw("]");

        to.key("unmapped");
        to.raw("{");
        to.raw_bytes(&self.collection);
        if let Some(shown) = cast.subject {
            to.splice(&shown.rest);
            to.mark_escaped(&shown.escaped);
        }
        to.mark_escaped(&self.device.escaped);
        rest(row, mapping.mapped(case), to);
        escaped(to);
        to.raw("}}");
        Ok(json.finish().0)
    }

    fn metadata(
        &self,
        located: &Located<'_>,
        case: &Case,
        given: Given<'_>,
        whole_bytes: Option<usize>,
        to: &mut Writer,
    ) {
        to.key("metadata");
        to.raw("{");
        to.raw_bytes(&self.device.metadata);
        to.string_member("uid", located.id);
        to.number_member("sequence", located.sequence);
        to.string_member("event_code", located.code());
        to.key("original_time");
        to.moment(self.batch.header().clock.sensor_time(located.event.time));
        to.key("profiles");
        to.raw(r#"["host","datetime""#);
        if given.get(Field::ContainerId).is_some() {
            to.raw(r#","container""#);
        }
        if case.is_alert || given.get(Field::RuleVerdict).is_some() {
            to.raw(r#","security_control""#);
        }
        to.raw("]");
        if whole_bytes.is_some() || is_truncated(given) {
            to.member("is_truncated", "true");
        }
        if let Some(n_bytes) = whole_bytes {
            to.number_member("untruncated_size", n_bytes as u64);
        }
        to.raw("}");
    }
}

fn know(processes: &mut Processes<'_>, subject: Option<SubjectNumber>) -> Result<(), BatchError> {
    match subject {
        Some(subject) => processes.know(subject),
        None => Ok(()),
    }
}

/// Whether the sensor has cut something.
fn is_truncated(given: Given<'_>) -> bool {
    let fields = [Field::ProcessTruncated, Field::FileTruncated, Field::DnsTruncated];
    fields.into_iter().any(|field| given.get(field) == Some(&Value::Bool(true)))
}
