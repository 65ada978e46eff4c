//! Programs on their way into the kernel: of each sight the first way that this kernel takes.

use std::collections::HashMap;
use std::io::ErrorKind;

use aya::programs::{
    BtfTracePoint, CgroupSkb, CgroupSock, CgroupSockAddr, CgroupSysctl, FEntry, FExit, Iter, ProgramError,
};
use aya::{Btf, Ebpf};
use tracing::warn;

use super::doors::{self, Maker};
use super::hook::{Hook, HookKind};
use super::pins::Pins;
use super::sight::{Sight, Way};
use super::{ProbeError, flow};

/// So often a program is tried again whose loading a signal interrupted.
const AGAIN: usize = 5;

/// Programs, each loaded at most once.
pub(super) struct Loader<'a> {
    ebpf: Ebpf,
    btf: &'a Btf,
    refused: HashMap<&'static str, ProgramError>,
    loaded: Vec<&'static str>,
    /// Those that are attached, or behind their doors.
    in_place: Vec<&'static str>,
    follows: Follows,
}

/// Whether this kernel lets programs follow its functions. It may load them and not attach one: arm64 before 6.4.
enum Follows {
    /// It does, until attaching one shows otherwise.
    Assumed,
    /// To be found out with the first such program; this is a trial, and nothing that it tells counts.
    Trial,
    /// It does not, and why.
    No(String),
}

impl<'a> Loader<'a> {
    pub(super) fn new(ebpf: Ebpf, btf: &'a Btf) -> Self {
        let (refused, loaded, in_place) = (HashMap::new(), Vec::new(), Vec::new());
        Self { ebpf, btf, refused, loaded, in_place, follows: Follows::Assumed }
    }

    /// For a trial: of maps that nobody reads.
    pub(super) fn on_trial(ebpf: Ebpf, btf: &'a Btf) -> Self {
        Self { follows: Follows::Trial, ..Self::new(ebpf, btf) }
    }

    /// Loads a program without attaching it, if that was not tried before. Whether the kernel took it.
    pub(super) fn load(&mut self, hook: &'static Hook) -> bool {
        if self.refused.contains_key(hook.program) || self.is_beyond(hook) {
            return false;
        }
        if self.loaded.contains(&hook.program) {
            return true;
        }
        match load_program(&mut self.ebpf, hook, self.btf) {
            Ok(()) => self.loaded.push(hook.program),
            Err(error) => drop(self.refused.insert(hook.program, error)),
        }
        let is_loaded = self.loaded.contains(&hook.program);
        if is_loaded && follows_function(hook) && matches!(self.follows, Follows::Trial) {
            self.follows = match attach_and_detach(&mut self.ebpf, hook) {
                Ok(()) => Follows::Assumed,
                Err(error) => Follows::No(wire::cause::chain(&error)),
            };
        }
        is_loaded && !self.is_beyond(hook)
    }

    /// Whether the kernel is known not to attach such programs.
    fn is_beyond(&self, hook: &Hook) -> bool {
        follows_function(hook) && matches!(self.follows, Follows::No(_))
    }

    /// Loads and keeps the program that ends flows, which is attached nowhere.
    pub(super) fn keep_flows(&mut self, pins: &Pins) -> Result<(), ProbeError> {
        let refused = |source| ProbeError::Program { program: flow::ENDED, source: Box::new(source) };
        let program = self.ebpf.program_mut(flow::ENDED);
        let program = program.ok_or_else(|| refused(ProgramError::UnexpectedProgramType))?;
        flow::keep(program.try_into().map_err(refused)?, pins)
    }

    /// Why the kernel did not take a program, if it was tried and refused; with the last that its verifier had to say.
    pub(super) fn why_not(&self, hook: &Hook) -> Option<String> {
        if let Follows::No(why) = &self.follows
            && follows_function(hook)
        {
            return Some(format!("this kernel attaches no program to its functions: {why}"));
        }
        let error = self.refused.get(hook.program)?;
        let why = wire::cause::chain(error);
        let ProgramError::LoadError { verifier_log, .. } = error else { return Some(why) };
        let log = verifier_log.to_string();
        let counts = ["processed ", "stack depth ", "verification time "];
        let mut lines = log.lines().rev().map(str::trim);
        let last = lines.find(|line| !line.is_empty() && !counts.iter().any(|of| line.starts_with(of)));
        Some(last.map_or_else(|| why.clone(), |last| format!("{why}: {last}")))
    }

    /// Why the kernel did not take the ways of a sight, in words.
    pub(super) fn refusals(&self, sight: &Sight) -> String {
        let refused = sight
            .ways
            .iter()
            .flat_map(|way| way.hooks)
            .filter_map(|hook| Some(format!("{}: {}", hook.program, self.why_not(hook)?)));
        refused.collect::<Vec<_>>().join("; ")
    }

    /// The programs that were put in place.
    pub(super) fn in_place(&self) -> &[&'static str] {
        &self.in_place
    }

    /// Puts the programs of the first way that all load and attach in place.
    pub(super) fn take(
        &mut self,
        sight: &Sight,
        pins: &Pins,
        maker: &mut Maker<'_>,
    ) -> Result<Option<&'static Way>, ProbeError> {
        'ways: for way in sight.ways {
            if !way.hooks.iter().all(|hook| self.load(hook)) {
                continue;
            }
            let n_before = self.in_place.len();
            for hook in way.hooks {
                if self.in_place.contains(&hook.program) {
                    continue;
                }
                self.in_place.push(hook.program);
                if let Err(error) = self.put(hook, pins, maker) {
                    warn!(program = hook.program, error = %wire::cause::chain(&error), "cannot attach to {}", hook.section());
                    for program in self.in_place.drain(n_before..) {
                        doors::remove(pins, program)?;
                    }
                    continue 'ways;
                }
            }
            return Ok(Some(way));
        }
        if !sight.required {
            return Ok(None);
        }
        let mut hooks = sight.ways.iter().flat_map(|way| way.hooks);
        match hooks.find_map(|hook| Some((hook.program, self.refused.remove(hook.program)?))) {
            Some((program, source)) => Err(ProbeError::Program { program, source: Box::new(source) }),
            None => Err(ProbeError::Sight { name: sight.name }),
        }
    }

    /// Puts a loaded program in the place of another version's, or where none was.
    fn put(&mut self, hook: &'static Hook, pins: &Pins, maker: &mut Maker<'_>) -> Result<(), ProbeError> {
        let refused = |source| ProbeError::Program { program: hook.program, source: Box::new(source) };
        if hook.is_iterator() {
            let link = doors::attach(&mut self.ebpf, hook, pins)?;
            return pins.replace(&pins.link_path(hook), |path| {
                let pinned = link.pin(path).map(drop);
                pinned.map_err(|source| ProbeError::Pin { path: path.to_owned(), source: Box::new(source) })
            });
        }
        let program = self.ebpf.program(hook.program);
        let program = program.ok_or_else(|| refused(ProgramError::UnexpectedProgramType))?;
        let program = program.fd().map_err(refused)?;
        if doors::is_there(pins, hook) && doors::lead(pins, hook, program).is_ok() {
            return Ok(());
        }
        maker.make(pins, hook, program)
    }
}

fn follows_function(hook: &Hook) -> bool {
    matches!(hook.kind, HookKind::Entry | HookKind::Return)
}

/// Attaches a loaded program that follows a function, for a moment.
fn attach_and_detach(ebpf: &mut Ebpf, hook: &Hook) -> Result<(), ProgramError> {
    let program = ebpf.program_mut(hook.program).ok_or(ProgramError::UnexpectedProgramType)?;
    match hook.kind {
        HookKind::Entry => {
            let program = <&mut FEntry>::try_from(program)?;
            let link = program.attach()?;
            program.detach(link)
        }
        _ => {
            let program = <&mut FExit>::try_from(program)?;
            let link = program.attach()?;
            program.detach(link)
        }
    }
}

/// Whether a signal came while the kernel looked through a program, which it then gives up (`do_check` in
/// kernel/bpf/verifier.c).
fn was_interrupted(error: &ProgramError) -> bool {
    matches!(error, ProgramError::LoadError { io_error, .. } if io_error.kind() == ErrorKind::WouldBlock)
}

/// Loads one of an object's programs.
pub(super) fn load_program(ebpf: &mut Ebpf, hook: &Hook, btf: &Btf) -> Result<(), ProgramError> {
    let mut found = load_once(ebpf, hook, btf);
    for _ in 0..AGAIN {
        match &found {
            Err(error) if was_interrupted(error) => found = load_once(ebpf, hook, btf),
            _ => break,
        }
    }
    found
}

fn load_once(ebpf: &mut Ebpf, hook: &Hook, btf: &Btf) -> Result<(), ProgramError> {
    let program = ebpf.program_mut(hook.program).ok_or(ProgramError::UnexpectedProgramType)?;
    match hook.kind {
        HookKind::Tracepoint => <&mut BtfTracePoint>::try_from(program)?.load(hook.place, btf),
        HookKind::Entry => <&mut FEntry>::try_from(program)?.load(hook.place, btf),
        HookKind::Return => <&mut FExit>::try_from(program)?.load(hook.place, btf),
        HookKind::Packets => <&mut CgroupSkb>::try_from(program)?.load(),
        HookKind::Settings => <&mut CgroupSysctl>::try_from(program)?.load(),
        HookKind::Socket => <&mut CgroupSock>::try_from(program)?.load(),
        HookKind::Address => <&mut CgroupSockAddr>::try_from(program)?.load(),
        HookKind::Iterator => <&mut Iter>::try_from(program)?.load(hook.place, btf),
    }
}
