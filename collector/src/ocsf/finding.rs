//! A finding of the collector's as a Detection Finding.

use wire::flat::Outer;

use super::class::DETECTION;
use super::device::Device;
use super::head::{class, escaped, time};
use crate::record::{Finding, HostFacts};
use crate::shape::Writer;

/// `severity_id` of the gravest findings.
const CRITICAL: i16 = 5;

/// A finding as one JSON object.
pub fn finding(finding: &Finding<'_>, id: &str, outer: &Outer, facts: &HostFacts) -> Vec<u8> {
    let device = Device::new(outer, facts, None);
    let activity = match finding.n {
        _ if !finding.is_open => 3,
        0 | 1 => 1,
        _ => 2,
    };
    let severity = finding.severity.saturating_add(1).clamp(1, CRITICAL).unsigned_abs();
    let mut json = Writer::with_capacity(2 << 10);
    let to = &mut json;
    to.raw("{");
    class(&DETECTION, (activity, DETECTION.activity(activity)), u32::from(severity), to);
    time(finding.last_found, to);
    to.raw(match finding.is_open {
        true => r#","status_id":1,"status":"New""#,
        false => r#","status_id":4,"status":"Resolved""#,
    });
    to.member("is_alert", if finding.is_open { "true" } else { "false" });
    to.number_member("count", finding.n);
    info(finding, to);
    to.key("evidences");
    to.raw(r#"[{"data":"#);
    to.raw(&finding.evidence.to_string());
    to.raw("}]");
    to.key("device");
    to.raw("{");
    to.raw_bytes(&device.device);
    to.raw("}");
    to.key("metadata");
    to.raw("{");
    to.raw_bytes(&device.metadata);
    to.string_member("uid", id);
    to.string_member("event_code", &format!("finding.{}", finding.kind));
    to.raw(r#","profiles":["host","datetime","security_control"]}"#);
    to.key("observables");
    to.raw("[");
    to.splice(&device.observable);
    to.raw("]");
    to.key("unmapped");
    to.raw("{");
    to.string_member("finding.about", finding.about);
    to.mark_escaped(&device.escaped);
    escaped(to);
    to.raw("}}");
    json.finish().0
}

fn info(finding: &Finding<'_>, to: &mut Writer) {
    to.key("finding_info");
    to.raw("{");
    to.string_member("uid", &finding.id.to_string());
    to.string_member("title", title(finding.kind));
    to.string_member("desc", &finding.summary());
    for (name, precise, at) in [
        ("first_seen_time", "first_seen_time_dt", finding.first_found),
        ("last_seen_time", "last_seen_time_dt", finding.last_found),
    ] {
        to.key(name);
        to.millis(at);
        to.key(precise);
        to.moment(at);
    }
    to.key("types");
    to.raw("[");
    to.string(finding.kind);
    to.raw("]");
    to.key("analytic");
    to.raw("{");
    to.string_member("name", finding.kind);
    to.raw(r#","type_id":1,"type":"Rule"}}"#);
}

fn title(kind: &str) -> &'static str {
    match kind {
        "residue" => "A ledger does not add up",
        "gap" => "Events are missing",
        "chain" => "History was rewritten",
        "conflict" => "Other events came under a number that is taken",
        "clone" => "A certificate is used in two places",
        "impersonation" => "A host sent another host's stream",
        "tamper" => "A sensor was tampered with",
        "unexported" => "Events were dropped before they were exported",
        _ => "A finding",
    }
}
