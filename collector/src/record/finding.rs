//! A finding as it stands in the store, and its record.

use std::borrow::Cow;

use serde_json::Value as Json;
use uuid::Uuid;
use wire::flat::Outer;
use wire::id::HostId;
use wire::time::WallTime;

use super::{ExportRecord, Format, Group, HostFacts, native};
use crate::{ecs, ocsf};

/// Something that a person should look at.
#[derive(Clone, Copy, Debug)]
pub struct Finding<'a> {
    /// `finding.id`.
    pub id: Uuid,
    /// The host it is about.
    pub host: HostId,
    /// `finding.kind`: residue, gap, chain, …; of a later version one that is not known here.
    pub kind: &'a str,
    /// Which stream, process, …
    pub about: &'a str,
    /// Whether nobody has closed it.
    pub is_open: bool,
    /// 0 information to 4 critical.
    pub severity: i16,
    /// How often it was found.
    pub n: u64,
    /// When it was found first.
    pub first_found: WallTime,
    /// When it was found last.
    pub last_found: WallTime,
    /// What showed it the first time.
    pub evidence: &'a Json,
}

/// A finding's record, as it stands now: found again or closed it is another one.
pub fn finding(format: Format, finding: &Finding<'_>, outer: &Outer, facts: &HostFacts) -> ExportRecord {
    let id = finding.record_id();
    let value = match format {
        Format::Ocsf => ocsf::finding::finding(finding, &id, outer, facts),
        Format::Ecs => ecs::finding::finding(finding, &id, outer, facts),
        Format::Native => {
            native::finding(finding, &String::from_utf8_lossy(&outer.host_name)).to_string().into_bytes()
        }
    };
    ExportRecord {
        id,
        group: Group::Finding,
        key: finding.host,
        time: finding.last_found,
        class: Cow::Owned(format!("vedette.finding.{}", finding.kind)),
        value,
    }
}

impl Finding<'_> {
    /// Its id and how often it was found; and that it was closed, if so.
    pub fn record_id(&self) -> String {
        let closed = if self.is_open { "" } else { ".closed" };
        format!("{}.{}{closed}", self.id, self.n)
    }

    /// How grave it is, in a word.
    pub fn severity_name(&self) -> &'static str {
        match self.severity {
            i16::MIN..=0 => "information",
            1 => "low",
            2 => "medium",
            3 => "high",
            4.. => "critical",
        }
    }

    /// What it means, in a few words.
    pub fn summary(&self) -> String {
        let of = |name: &str| match self.evidence.get(name) {
            Some(Json::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => "?".to_owned(),
        };
        let about = self.about;
        match self.kind {
            "residue" if self.evidence.get("end_seq").is_some() => format!(
                "the ledger of {about} does not add up: {} generated, {} stored, shed or rejected, {} merged, {} lost, {} dropped: residue {}",
                of("generated"),
                of("stored_shed_or_rejected"),
                of("merged"),
                of("lost"),
                of("dropped"),
                of("residue")
            ),
            "residue" => format!("the counters of {about} in the store do not add up: {}", self.evidence),
            "gap" => format!(
                "{about} was stored up to {}, and its sensor went on at {} without saying what became of the rest",
                of("stored_up_to"),
                of("went_on_at")
            ),
            "chain" => format!(
                "the digest chain of {about} does not hold at {}",
                of(if self.evidence.get("seq").is_some() { "seq" } else { "first_seq" })
            ),
            "conflict" => {
                format!("other bytes came under a number of {about} that is stored: {}", of("first_seq"))
            }
            "clone" => format!("its certificate is used from two places at once: {}", of("addresses")),
            "impersonation" => {
                format!("it sends a stream under epoch {about}, which is of host {}", of("epoch_of"))
            }
            "tamper" => format!(
                "its sensor tells that somebody touched what is its own ({about}, from event {})",
                of("first_seq")
            ),
            "unexported" => format!(
                "{} events of {about} were dropped by retention, or damaged, before they were exported",
                of("n_events")
            ),
            other => format!("{other}: {about}"),
        }
    }
}
