//! Observables: the values of an event that people pivot on.

use wire::event::Row;
use wire::field::Field;
use wire::value::Value;

use crate::shape::{Given, Writer};

/// A field whose value is an observable, and where it stands.
struct Observable {
    field: Field,
    /// The path of the attribute it is taken from; of a subject's, within the process.
    name: &'static str,
    /// 1 a host's name, 2 an address, 4 a user's name, 8 a hash, 9 a process's name.
    type_id: u32,
}

const fn observable(field: Field, name: &'static str, type_id: u32) -> Observable {
    Observable { field, name, type_id }
}

const OF_SUBJECT: &[Observable] = &[
    observable(Field::ProcessName, ".name", 9),
    observable(Field::ProcessUserName, ".user.name", 4),
    observable(Field::ProcessHashSha256, ".file.hashes.value", 8),
];

const OF_EVENT: &[Observable] = &[
    observable(Field::SourceIp, "src_endpoint.ip", 2),
    observable(Field::DestinationIp, "dst_endpoint.ip", 2),
    observable(Field::DnsQuestionName, "query.hostname", 1),
];

/// Writes a subject's as items of a list; `process` or `actor.process` is where it stands.
pub fn of_subject(row: &Row, at: &str, to: &mut Writer) {
    write(OF_SUBJECT, at, Given { subject: Some(row), ..Given::default() }, to);
}

/// Writes an event's own as items of a list.
pub fn of_event(row: &Row, to: &mut Writer) {
    write(OF_EVENT, "", Given { event: Some(row), ..Given::default() }, to);
}

/// Writes a host's name as an item of a list.
pub fn of_host(name: &[u8], to: &mut Writer) {
    item("", "device.hostname", 1, to);
    to.text(Field::HostName, name);
    to.raw("}");
}

fn write(observables: &[Observable], at: &str, given: Given<'_>, to: &mut Writer) {
    for Observable { field, name, type_id } in observables {
        if let Some(value) = given.get(*field) {
            item(at, name, *type_id, to);
            match value {
                Value::Keyword(text) => to.text(*field, text),
                value => to.plain(*field, value),
            }
            to.raw("}");
        }
    }
}

/// Begins an item; its value follows.
fn item(at: &str, name: &str, type_id: u32, to: &mut Writer) {
    to.comma();
    to.raw("{\"name\":\"");
    to.raw(at);
    to.raw(name);
    to.raw("\"");
    to.number_member("type_id", u64::from(type_id));
    to.key("value");
}
