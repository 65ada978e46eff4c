//! Values that are worked out, once for the flat event and for the evaluator over columns.

use std::net::IpAddr;

use bytes::Bytes;

use super::Outer;
use crate::batch::Header;
use crate::event::Kind;
use crate::field::Field;
use crate::id::{EventId, StreamId};
use crate::value::Value;

/// What follows from an event's kind alone: `event.category`, `event.action` and, for some kinds, `network.direction`.
///
/// A kind that this version does not know has the category `unknown` and the action `kind-` and its number.
pub fn of_kind(field: Field, kind: Kind) -> Option<Value> {
    let info = kind.info();
    match field {
        Field::EventCategory => Some(info.map_or("unknown", |info| info.category).into()),
        Field::EventAction => Some(match info {
            Some(info) => info.action.into(),
            None => Value::Keyword(format!("kind-{}", kind.number()).into()),
        }),
        Field::NetworkDirection => match kind {
            Kind::CONNECT | Kind::SEND => Some("outbound".into()),
            Kind::ACCEPT | Kind::SERVE => Some("inbound".into()),
            _ => None,
        },
        _ => None,
    }
}

/// `network.type` of an event with this address.
pub(crate) fn network_type(address: Option<IpAddr>) -> Option<Value> {
    address.map(|address| if address.to_canonical().is_ipv4() { "ipv4".into() } else { "ipv6".into() })
}

/// `event.id` of the event with this number within a batch.
pub fn event_id(header: &Header, outer: &Outer, number: u32) -> EventId {
    EventId {
        stream: StreamId { host: outer.host, epoch: header.epoch, lane: header.lane },
        seq: header.first_seq.saturating_add(u64::from(number)),
    }
}

/// The value of a field that a batch's header tells, if it does.
pub(crate) fn of_header(field: Field, header: &Header) -> Option<Value> {
    match field {
        Field::HostBootId => Some(Value::Keyword(header.boot.to_string().into())),
        Field::SensorCollection if header.collection == [0; 16] => None,
        Field::SensorCollection => Some(Value::Keyword(hex::encode(header.collection).into())),
        _ => None,
    }
}

/// `process.command_line`: arguments joined by blanks; none without arguments.
pub(crate) fn command_line(args: &[Bytes]) -> Option<Bytes> {
    (!args.is_empty()).then(|| args.join(&b' ').into())
}
