//! What all events of a batch share: host, agent, tags.

use wire::field::Field;
use wire::flat::Outer;
use wire::id::BootId;

use super::VERSION;
use crate::record::HostFacts;
use crate::shape::Writer;

/// Writes `ecs`, `host`, `agent` and `tags` as members.
pub fn host(outer: &Outer, facts: &HostFacts, boot: Option<BootId>, to: &mut Writer) {
    to.key("ecs");
    to.raw("{");
    to.string_member("version", VERSION);
    to.raw("}");
    to.key("host");
    to.raw("{");
    to.string_member("id", &outer.host.to_string());
    for name in ["name", "hostname"] {
        if !outer.host_name.is_empty() {
            to.key(name);
            to.text(Field::HostName, &outer.host_name);
        }
    }
    to.raw(r#","os":{"type":"linux""#);
    if !facts.kernel.is_empty() {
        to.string_member("kernel", &facts.kernel);
    }
    to.raw("}");
    if !facts.arch.is_empty() {
        to.string_member("architecture", &facts.arch);
    }
    if let Some(ip) = facts.ip() {
        to.key("ip");
        to.raw("[");
        to.string(&ip.to_string());
        to.raw("]");
    }
    if let Some(boot) = boot {
        to.key("boot");
        to.raw("{");
        to.string_member("id", &boot.to_string());
        to.raw("}");
    }
    to.raw(r#"},"agent":{"type":"vedette""#);
    if !facts.sensor_version.is_empty() {
        to.string_member("version", &facts.sensor_version);
    }
    to.raw("}");
    if !outer.host_tags.is_empty() {
        to.key("tags");
        to.texts(Field::HostTags, &outer.host_tags);
    }
}
