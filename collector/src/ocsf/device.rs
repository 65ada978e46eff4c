//! What all events of a batch share: the device, the unchanging part of the metadata, and this host as an endpoint.

use wire::field::Field;
use wire::flat::Outer;
use wire::id::BootId;

use super::VERSION;
use crate::record::HostFacts;
use crate::shape::Writer;

/// What is written once for a batch, each as members of an object.
#[derive(Debug)]
pub struct Device {
    /// Of `device`.
    pub device: Vec<u8>,
    /// Of `metadata`.
    pub metadata: Vec<u8>,
    /// Of an endpoint that is this host.
    pub endpoint: Vec<u8>,
    /// The host's name as an item of `observables`.
    pub observable: Vec<u8>,
    /// The fields whose texts had to be escaped.
    pub escaped: Vec<Field>,
}

impl Device {
    /// Writes what is known of a host; and of its boot, if that is known.
    pub fn new(outer: &Outer, facts: &HostFacts, boot: Option<BootId>) -> Self {
        let host = outer.host.to_string();
        let mut escaped = Vec::new();
        let mut written = |write: &dyn Fn(&mut Writer)| {
            let mut to = Writer::with_capacity(512);
            write(&mut to);
            let (json, fields) = to.finish();
            escaped.extend(fields);
            json
        };
        let name = |to: &mut Writer| {
            to.string_member("uid", &host);
            if !outer.host_name.is_empty() {
                to.key("hostname");
                to.text(Field::HostName, &outer.host_name);
            }
        };
        let device = written(&|to| {
            name(to);
            to.raw(r#","type_id":0,"type":"Unknown""#);
            if let Some(boot) = boot {
                to.string_member("boot_uid", &boot.to_string());
            }
            about(facts, to);
        });
        let metadata = written(&|to| {
            to.string_member("version", VERSION);
            to.raw(concat!(
                r#","product":{"name":"Vedette","vendor_name":"Vedette","version":""#,
                env!("CARGO_PKG_VERSION"),
                r#""}"#
            ));
            to.key("logged_time");
            to.millis(outer.received);
            to.key("logged_time_dt");
            to.moment(outer.received);
            if !outer.host_tags.is_empty() {
                to.key("labels");
                to.texts(Field::HostTags, &outer.host_tags);
            }
        });
        let endpoint = written(&name);
        let observable = written(&|to| {
            if !outer.host_name.is_empty() {
                super::observable::of_host(&outer.host_name, to);
            }
        });
        escaped.dedup();
        Self { device, metadata, endpoint, observable, escaped }
    }
}

fn about(facts: &HostFacts, to: &mut Writer) {
    to.raw(r#","os":{"name":"Linux","type_id":200,"type":"Linux""#);
    if !facts.kernel.is_empty() {
        to.string_member("kernel_release", &facts.kernel);
    }
    to.raw("}");
    let (id, name) = match facts.arch.as_str() {
        "" => (0, ""),
        "x86_64" => (1, "x86"),
        "aarch64" => (2, "ARM"),
        "riscv64" => (3, "RISC-V"),
        other => (99, other),
    };
    if id != 0 {
        to.key("hw_info");
        to.raw("{");
        to.number_member("cpu_architecture_id", id);
        to.string_member("cpu_architecture", name);
        to.raw("}");
    }
    if let Some(ip) = facts.ip() {
        to.string_member("ip", &ip.to_string());
    }
    to.raw(r#","agent_list":[{"name":"Vedette Sensor","vendor_name":"Vedette","type_id":1,"type":"Endpoint Detection and Response""#);
    if !facts.sensor_version.is_empty() {
        to.string_member("version", &facts.sensor_version);
    }
    to.raw("}]");
}
