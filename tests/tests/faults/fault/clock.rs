//! Wall clocks that jump, by Debian's `faketime`: what a process asks the C library.

use std::path::PathBuf;

use anyhow::Context as _;

use super::Mend;
use tests::site::Site;
use tests::site::program::Program;

const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

/// Lets a program believe that it is another time, from its next start on.
fn pretend(program: &mut Program, offset: &str) -> anyhow::Result<()> {
    let library = LIBRARIES.iter().map(PathBuf::from).find(|path| path.exists());
    let library = library.context("libfaketime is not installed: apt-get install faketime")?;
    program.variables = [
        ("LD_PRELOAD", library.to_string_lossy().into_owned()),
        ("FAKETIME", offset.to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    program.stop()?;
    program.start()
}

fn be_honest(program: &mut Program) -> anyhow::Result<()> {
    program.variables.clear();
    program.stop()?;
    program.start()
}

fn sensors(site: &mut Site, offset: &str) -> anyhow::Result<Mend> {
    site.hosts.iter_mut().try_for_each(|host| pretend(&mut host.program, offset))?;
    Ok(Box::new(|site| site.hosts.iter_mut().try_for_each(|host| be_honest(&mut host.program))))
}

pub(super) fn sensors_ahead(site: &mut Site) -> anyhow::Result<Mend> {
    sensors(site, "+40s")
}

pub(super) fn sensors_behind(site: &mut Site) -> anyhow::Result<Mend> {
    sensors(site, "-3h")
}

pub(super) fn collectors_ahead(site: &mut Site) -> anyhow::Result<Mend> {
    site.collectors.iter_mut().try_for_each(|collector| pretend(&mut collector.program, "+20s"))?;
    Ok(Box::new(|site| {
        site.collectors.iter_mut().try_for_each(|collector| be_honest(&mut collector.program))
    }))
}
