//! What the status says of the certificate authorities.

use serde_json::{Value as Json, json};

use super::{ApiError, State};
use crate::ca::{Authority, progress};
use crate::plural::hosts_are;
use crate::store::Stamp;
use crate::store::authorities::{self, Holder};
use crate::store::hosts::HostRecord;

/// At most so many hosts are named.
const MAX_NAMED: usize = 5;

/// The section of the status, and what is wrong, one line each.
pub(super) async fn section(
    state: &State,
    hosts: &[HostRecord],
    now: Stamp,
) -> Result<(Json, Vec<String>), ApiError> {
    let holders = authorities::since(&state.pool, now.plus_us(-progress::GONE_US)).await?;
    let current = state.ca.current();
    let serving = current.serving().fingerprint().to_string();
    let mut section = json!({ "sha256": serving });
    let mut wrong: Vec<String> = strangers(current.serving(), current.next(), &holders).collect();
    if let (Some(next), Some(section)) = (current.next(), section.as_object_mut()) {
        let left = progress::left(next, hosts, now);
        section.insert("next_sha256".to_owned(), json!(next.fingerprint().to_string()));
        section.insert("hosts_left".to_owned(), json!(left.len()));
        wrong.extend(under_way(next, &left, &holders));
    }
    Ok((section, wrong))
}

/// Collectors that are certified by an authority that this one does not hold. Pure.
fn strangers<'a>(
    serving: &Authority,
    next: Option<&Authority>,
    holders: &'a [Holder],
) -> impl Iterator<Item = String> + 'a {
    let held = [Some(serving.id()), next.map(Authority::id)];
    holders.iter().filter(move |holder| !held.contains(&Some(holder.serving))).map(|holder| {
        format!(
            "collector {} is certified by {}, which this collector does not hold: finish the rotation here too, or bring it the files (docs/keys.md)",
            holder.name, holder.serving
        )
    })
}

/// How far the rotation is. Pure.
fn under_way(next: &Authority, left: &[&HostRecord], holders: &[Holder]) -> Vec<String> {
    let mut lines: Vec<String> = progress::lacking(next.id(), holders)
        .into_iter()
        .map(|holder| {
            format!(
                "collector {} lacks the next authority {}: copy ca-next.pem and ca-next.key into its folder",
                holder.name,
                next.fingerprint()
            )
        })
        .collect();
    if left.is_empty() {
        lines.push(
            "the authority is being replaced, and no host is left on the old one: `vedette-collector ca rotate --finish` on each collector"
                .to_owned(),
        );
    } else {
        let names: Vec<&str> = left.iter().take(MAX_NAMED).map(|host| host.name.as_str()).collect();
        let more = left.len() - names.len();
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        lines.push(format!(
            "the authority is being replaced, {} left on the old one: {}{more} (`vedette-collector ca status` lists them)",
            hosts_are(left.len()),
            names.join(", ")
        ));
    }
    lines
}
