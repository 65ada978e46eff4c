//! Where sensors keep what is not acknowledged.

use std::os::unix::fs::FileExt as _;

use serde_json::json;

use super::{Mend, process};
use tests::site::Site;

/// No collector is there, and hosts have room for a few seconds' events only.
pub(super) fn full_spool(site: &mut Site) -> anyhow::Result<Mend> {
    let away = process::kill_collectors(site)?;
    set_room(site, 24 << 10)?;
    Ok(Box::new(move |site| {
        away(site)?;
        set_room(site, 64 << 20)
    }))
}

fn set_room(site: &mut Site, bytes: u64) -> anyhow::Result<()> {
    for host in &mut site.hosts {
        host.program.stop()?;
        host.set("spool_bytes", json!(bytes))?;
        host.set("disk_bytes", json!(bytes))?;
        host.program.start()?;
    }
    Ok(())
}

/// A bit of every other file turns while no collector is there and the sensor is stopped.
pub(super) fn damaged_spool(site: &mut Site) -> anyhow::Result<Mend> {
    let away = process::kill_collectors(site)?;
    Ok(Box::new(move |site| {
        for host in &mut site.hosts {
            host.program.stop()?;
            let files = [walk(&host.spool), walk(&host.folder.join("spool"))].concat();
            for path in files.iter().step_by(2) {
                let file = std::fs::OpenOptions::new().read(true).write(true).open(path)?;
                let (mut byte, at) = ([0], file.metadata()?.len() / 2);
                file.read_exact_at(&mut byte, at)?;
                file.write_all_at(&[byte[0] ^ 0x10], at)?;
            }
            host.program.start()?;
        }
        away(site)
    }))
}

/// The batches below a folder.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else if path.metadata().is_ok_and(|meta| meta.len() > 0)
            && entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit() || b == b'-')
        {
            found.push(path);
        }
    }
    found.sort();
    found
}
