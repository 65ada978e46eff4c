//! What a process image is made of, in as few bytes as its neighbours allow.
//!
//! Most processes of a host share their executable, rights, namespaces, control group and
//! directory with many others, and a forked child shares everything with its parent. So an image
//! is five numbers, and each distinct part is stored once.

use std::collections::HashMap;

use super::Limits;
use super::pool::{Id, Pool, Strings};
use crate::record::{Image, Namespaces, Stdio, Task};

/// Every image that some entry of the table has.
#[derive(Default)]
pub(super) struct Contents {
    contents: Pool<Content>,
    services: Pool<Service>,
    files: Pool<File>,
    rights: Pool<Rights>,
    cgroups: Pool<Cgroup>,
    strings: Strings,
    /// The paths of control groups by id, for children that were cloned into another one.
    paths: HashMap<u64, Id>,
}

/// The most control groups whose path is remembered beyond their last process.
const MAX_KNOWN_CGROUPS: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Content {
    service: Id,
    args: Id,
    session: u32,
    args_bytes: u32,
    args_count: u32,
}

// There is one for nearly every process.
const _: () = assert!(size_of::<Option<Content>>() == 20);

/// What the processes of one service have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Service {
    file: Id,
    rights: Id,
    cgroup: Id,
    cwd: Id,
    script: Id,
    tty: Id,
    stdio: [Stdio; 3],
    cut: Cut,
}

/// What is missing of the strings.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Cut {
    Nothing,
    Truncated,
    Redacted,
    Both,
}

impl Cut {
    fn new(truncated: bool, redacted: bool) -> Self {
        match (truncated, redacted) {
            (false, false) => Self::Nothing,
            (true, false) => Self::Truncated,
            (false, true) => Self::Redacted,
            (true, true) => Self::Both,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct File {
    inode: u64,
    device: u64,
    size: u64,
    changed_ns: i64,
    executable: Id,
    deleted: bool,
    memfd: bool,
    writable_mount: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Rights {
    capabilities: u64,
    uid: u32,
    euid: u32,
    egid: u32,
    loginuid: u32,
    namespaces: Namespaces,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Cgroup {
    id: u64,
    path: Id,
}

impl Contents {
    /// Keeps an image, cutting its strings where `limits` say so (then it is marked truncated).
    pub(super) fn intern(&mut self, image: &Image<'_>, limits: &Limits) -> Id {
        let keep = limits.keep(self.strings.n_bytes());
        let mut truncated = image.truncated;
        let mut cut = |string: &mut &[u8], max: usize| {
            if let Some(head) = string.get(..max) {
                truncated |= string.len() > max;
                *string = head;
            }
        };
        let Image { mut executable, mut args, mut cwd, mut script, mut cgroup, mut tty, .. } = *image;
        cut(&mut executable, keep.path_bytes);
        cut(&mut args, keep.args_bytes);
        cut(&mut cwd, keep.other_bytes);
        cut(&mut script, keep.other_bytes);
        cut(&mut cgroup, keep.path_bytes);
        cut(&mut tty, keep.path_bytes);
        let file = File {
            inode: image.inode,
            device: image.device,
            size: image.size,
            changed_ns: image.changed_ns,
            executable: self.strings.intern(executable),
            deleted: image.deleted,
            memfd: image.memfd,
            writable_mount: image.writable_mount,
        };
        let rights = Rights {
            capabilities: image.capabilities,
            uid: image.uid,
            euid: image.euid,
            egid: image.egid,
            loginuid: image.loginuid,
            namespaces: image.namespaces,
        };
        let cgroup = Cgroup { id: image.cgroup_id, path: self.strings.intern(cgroup) };
        self.remember(cgroup);
        let service = Service {
            file: self.file(file),
            rights: self.rights.intern(&rights, || rights).0,
            cgroup: self.cgroup(cgroup),
            cwd: self.strings.intern(cwd),
            script: self.strings.intern(script),
            tty: self.strings.intern(tty),
            stdio: image.stdio,
            cut: Cut::new(truncated, image.redacted),
        };
        let content = Content {
            service: self.service(service),
            args: self.strings.intern(args),
            session: image.session,
            args_bytes: u32::try_from(image.args_bytes).unwrap_or(u32::MAX),
            args_count: u32::try_from(image.args_count).unwrap_or(u32::MAX),
        };
        self.content(content)
    }

    /// The same image in another control group: a child that was cloned into it. Its path is empty
    /// when no image was ever seen there.
    pub(super) fn moved(&mut self, id: Id, cgroup_id: u64) -> Id {
        let Some(content) = self.contents.get(id).copied() else { return id };
        let Some(service) = self.services.get(content.service).copied() else { return id };
        if self.cgroups.get(service.cgroup).is_none_or(|cgroup| cgroup.id == cgroup_id) {
            self.contents.retain(id);
            return id;
        }
        let Service { file, rights, cwd, script, tty, .. } = service;
        self.files.retain(file);
        self.rights.retain(rights);
        for string in [content.args, cwd, script, tty] {
            self.strings.retain(string);
        }
        let path = self.paths.get(&cgroup_id).copied().unwrap_or(Id::NONE);
        self.strings.retain(path);
        let cgroup = self.cgroup(Cgroup { id: cgroup_id, path });
        let service = self.service(Service { cgroup, ..service });
        self.content(Content { service, ..content })
    }

    /// Remembers a control group's path.
    pub(super) fn know_cgroup(&mut self, id: u64, path: &[u8]) {
        let path = self.strings.intern(path);
        self.remember(Cgroup { id, path });
        self.strings.release(path);
    }

    /// Counts one user less.
    pub(super) fn release(&mut self, id: Id) {
        if let Some(content) = self.contents.release(id) {
            self.release_parts(content);
        }
    }

    /// The image as a record would tell it.
    pub(super) fn image(&self, id: Id, task: Task) -> Option<Image<'_>> {
        let content = self.contents.get(id)?;
        let service = self.services.get(content.service)?;
        let mut image = Image { task: Some(task), ..Image::default() };
        if let Some(file) = self.files.get(service.file) {
            image.executable = self.strings.get(file.executable);
            image.inode = file.inode;
            image.device = file.device;
            image.size = file.size;
            image.changed_ns = file.changed_ns;
            image.deleted = file.deleted;
            image.memfd = file.memfd;
            image.writable_mount = file.writable_mount;
        }
        if let Some(rights) = self.rights.get(service.rights) {
            image.capabilities = rights.capabilities;
            image.uid = rights.uid;
            image.euid = rights.euid;
            image.egid = rights.egid;
            image.loginuid = rights.loginuid;
            image.namespaces = rights.namespaces;
        }
        if let Some(cgroup) = self.cgroups.get(service.cgroup) {
            image.cgroup_id = cgroup.id;
            image.cgroup = self.strings.get(cgroup.path);
        }
        image.args = self.strings.get(content.args);
        image.cwd = self.strings.get(service.cwd);
        image.script = self.strings.get(service.script);
        image.tty = self.strings.get(service.tty);
        image.session = content.session;
        image.args_bytes = content.args_bytes.into();
        image.args_count = content.args_count.into();
        image.stdio = service.stdio;
        image.truncated = matches!(service.cut, Cut::Truncated | Cut::Both);
        image.redacted = matches!(service.cut, Cut::Redacted | Cut::Both);
        Some(image)
    }

    /// The executable alone.
    pub(super) fn executable(&self, id: Id) -> &[u8] {
        let service = self.contents.get(id).and_then(|content| self.services.get(content.service));
        let file = service.and_then(|service| self.files.get(service.file));
        file.map_or(&[], |file| self.strings.get(file.executable))
    }

    /// How many bytes the distinct strings take together.
    pub(super) fn string_bytes(&self) -> usize {
        self.strings.n_bytes()
    }

    /// How many distinct contents, files, rights, control groups and strings there are.
    #[cfg(test)]
    pub(super) fn n_values(&self) -> [usize; 5] {
        let Self { contents, files, rights, cgroups, strings, .. } = self;
        [contents.n_values(), files.n_values(), rights.n_values(), cgroups.n_values(), strings.n_values()]
    }

    fn remember(&mut self, cgroup: Cgroup) {
        if cgroup.path == Id::NONE || self.paths.get(&cgroup.id) == Some(&cgroup.path) {
            return;
        }
        if self.paths.len() >= MAX_KNOWN_CGROUPS {
            for (_, path) in self.paths.drain() {
                self.strings.release(path);
            }
        }
        self.strings.retain(cgroup.path);
        if let Some(old) = self.paths.insert(cgroup.id, cgroup.path) {
            self.strings.release(old);
        }
    }

    fn content(&mut self, content: Content) -> Id {
        let (id, new) = self.contents.intern(&content, || content);
        if !new {
            self.release_parts(content);
        }
        id
    }

    fn service(&mut self, service: Service) -> Id {
        let (id, new) = self.services.intern(&service, || service);
        if !new {
            self.release_parts_of_service(service);
        }
        id
    }

    fn file(&mut self, file: File) -> Id {
        let (id, new) = self.files.intern(&file, || file);
        if !new {
            self.strings.release(file.executable);
        }
        id
    }

    fn cgroup(&mut self, cgroup: Cgroup) -> Id {
        let (id, new) = self.cgroups.intern(&cgroup, || cgroup);
        if !new {
            self.strings.release(cgroup.path);
        }
        id
    }

    fn release_parts(&mut self, content: Content) {
        if let Some(service) = self.services.release(content.service) {
            self.release_parts_of_service(service);
        }
        self.strings.release(content.args);
    }

    fn release_parts_of_service(&mut self, service: Service) {
        if let Some(file) = self.files.release(service.file) {
            self.strings.release(file.executable);
        }
        self.rights.release(service.rights);
        if let Some(cgroup) = self.cgroups.release(service.cgroup) {
            self.strings.release(cgroup.path);
        }
        for string in [service.cwd, service.script, service.tty] {
            self.strings.release(string);
        }
    }
}
