//! A finding of the collector's as an alert.

use wire::flat::Outer;

use super::host::host;
use crate::record::{Finding, HostFacts};
use crate::shape::Writer;

/// A finding as one JSON object.
pub fn finding(finding: &Finding<'_>, id: &str, outer: &Outer, facts: &HostFacts) -> Vec<u8> {
    let mut json = Writer::with_capacity(1 << 10);
    let to = &mut json;
    to.raw("{");
    to.key("@timestamp");
    to.moment(finding.last_found);
    to.string_member("message", &finding.summary());
    to.raw(r#","event":{"kind":"alert","category":["intrusion_detection"],"type":["info"],"module":"vedette","dataset":"vedette.finding""#);
    to.string_member("id", id);
    to.string_member("action", finding.kind);
    to.number_member("severity", severity(finding.severity));
    to.key("start");
    to.moment(finding.first_found);
    to.key("end");
    to.moment(finding.last_found);
    to.raw("}");
    host(outer, facts, None, to);
    to.key("rule");
    to.raw("{");
    to.string_member("name", finding.kind);
    to.raw(r#"},"vedette":{"finding":{"#);
    to.string_member("id", &finding.id.to_string());
    to.string_member("about", finding.about);
    to.string_member("state", if finding.is_open { "open" } else { "closed" });
    to.string_member("severity", finding.severity_name());
    to.number_member("n", finding.n);
    to.member("evidence", &finding.evidence.to_string());
    to.raw("}}}");
    json.finish().0
}

/// As Elastic's detections have it: 21 low, 47 medium, 73 high, 99 critical.
pub(super) fn severity(severity: i16) -> u64 {
    match severity {
        i16::MIN..=0 => 0,
        1 => 21,
        2 => 47,
        3 => 73,
        4.. => 99,
    }
}
