//! The process object. What a subject is does not change within its batch, so it is written once and spliced.

use hashbrown::HashMap;
use wire::batch::{Batch, BatchError};
use wire::event::Row;
use wire::field::Field;
use wire::flat::{Outer, subject_row};
use wire::subject::SubjectNumber;
use wire::term::base_name;
use wire::value::Value;

use super::object::UNKNOWN;
use crate::shape::{Attribute, FieldSet, Form, From, Given, Writer, follow, rest_of_subject};

/// A process's own attributes.
pub const PROCESS: &[Attribute] = &[
    Attribute::plain("uid", Field::ProcessEntityId),
    Attribute::plain("pid", Field::ProcessPid),
    Attribute::plain("name", Field::ProcessName),
    Attribute::plain("cmd_line", Field::ProcessCommandLine),
    Attribute::field("created_time", Field::ProcessStart, Form::Millis),
    Attribute::field("created_time_dt", Field::ProcessStart, Form::Moment),
    Attribute::plain("working_directory", Field::ProcessWorkingDirectory),
    Attribute::object(
        "file",
        &[
            Attribute { name: "name", from: From::FieldOr(Field::ProcessExecutable, Form::Base, UNKNOWN) },
            Attribute::plain("path", Field::ProcessExecutable),
            Attribute::always("type_id", "1"),
            Attribute::field("uid", Field::ProcessImageInode, Form::Text),
            Attribute::plain("is_deleted", Field::ProcessImageDeleted),
            Attribute {
                name: "hashes",
                from: From::List(&[&[
                    Attribute::always("algorithm_id", "3"),
                    Attribute::always("algorithm", r#""SHA-256""#),
                    Attribute::plain("value", Field::ProcessHashSha256),
                ]]),
            },
        ],
    ),
    Attribute::object(
        "user",
        &[
            Attribute { name: "uid", from: From::FieldOr(Field::ProcessUserId, Form::Text, UNKNOWN) },
            Attribute::plain("name", Field::ProcessUserName),
            Attribute {
                name: "groups",
                from: From::List(&[&[Attribute::field("uid", Field::ProcessGroupId, Form::Text)]]),
            },
        ],
    ),
    Attribute::object(
        "session",
        &[
            Attribute::field("uid", Field::ProcessSessionId, Form::Text),
            Attribute::plain("terminal", Field::ProcessTty),
        ],
    ),
    Attribute::object(
        "container",
        &[
            Attribute { name: "uid", from: From::FieldOr(Field::ContainerId, Form::Plain, UNKNOWN) },
            Attribute::plain("name", Field::ContainerName),
            Attribute::object(
                "image",
                &[
                    Attribute::plain("uid", Field::ContainerImageName),
                    Attribute::plain("name", Field::ContainerImageName),
                ],
            ),
            Attribute::plain("runtime", Field::ContainerRuntime),
            Attribute { name: "orchestrator", from: From::When(Field::KubernetesPodUid, r#""kubernetes""#) },
            Attribute::plain("pod_uuid", Field::KubernetesPodUid),
            Attribute {
                name: "tags",
                from: From::List(&[
                    &[
                        Attribute::always("name", r#""io.kubernetes.pod.namespace""#),
                        Attribute::plain("value", Field::KubernetesNamespace),
                    ],
                    &[
                        Attribute::always("name", r#""io.kubernetes.pod.name""#),
                        Attribute::plain("value", Field::KubernetesPodName),
                    ],
                    &[
                        Attribute::always("name", r#""io.kubernetes.pod.labels""#),
                        Attribute::plain("values", Field::KubernetesLabels),
                    ],
                ]),
            },
        ],
    ),
];

/// The fields of a subject that have their place in a process.
pub const MAPPED: FieldSet = Attribute::fields(PROCESS);

/// What is kept of the processes of a batch, in bytes. What hostile batches make beyond it is written again.
const MAX_KEPT_BYTES: usize = 16 << 20;

/// The processes of a batch, as far as they were needed.
#[derive(Debug)]
pub struct Processes<'a> {
    batch: &'a Batch,
    outer: &'a Outer,
    limit: Option<usize>,
    known: HashMap<SubjectNumber, Shown>,
    /// What descendants show of a process, as an item of a list, and whether its text had to be escaped.
    ancestors: HashMap<SubjectNumber, (Vec<u8>, bool)>,
    /// About how much is kept.
    n_bytes: usize,
}

/// A process, written.
#[derive(Debug, Default)]
pub struct Shown {
    /// Its fields.
    pub row: Row,
    /// Its attributes as members of an object.
    pub own: Vec<u8>,
    /// What OCSF has no attribute for, as members of `unmapped`; written with the lineage.
    pub rest: Vec<u8>,
    /// `parent_process` and `ancestry`, as members; written when it is first wanted.
    lineage: Option<Vec<u8>>,
    /// The fields whose texts had to be escaped, its ancestors' among them once the lineage is written.
    pub escaped: Vec<Field>,
}

impl<'a> Processes<'a> {
    /// None is known yet. Texts are cut after `limit` bytes.
    pub fn new(batch: &'a Batch, outer: &'a Outer, limit: Option<usize>) -> Self {
        Self { batch, outer, limit, known: HashMap::new(), ancestors: HashMap::new(), n_bytes: 0 }
    }

    /// Forgets what is known, if it has become too much. Called between events.
    pub fn trim(&mut self) {
        if self.n_bytes > MAX_KEPT_BYTES {
            self.known = HashMap::new();
            self.ancestors = HashMap::new();
            self.n_bytes = 0;
        }
    }

    /// Sees to it that a process is known, with its lineage.
    ///
    /// # Errors
    /// When the batch does not decode or its subjects were not fetched.
    pub fn know(&mut self, number: SubjectNumber) -> Result<(), BatchError> {
        self.know_alone(number)?;
        if self.known.get(&number).is_some_and(|shown| shown.lineage.is_some()) {
            return Ok(());
        }
        let (lineage, escaped) = self.lineage(number)?;
        if let Some(shown) = self.known.get_mut(&number) {
            let mut rest = Writer::with_capacity(1 << 10).limited(self.limit);
            rest_of_subject(&shown.row, MAPPED, &mut rest);
            let (rest, also) = rest.finish();
            self.n_bytes += lineage.len() + rest.len();
            shown.escaped.extend(escaped.into_iter().chain(also));
            (shown.rest, shown.lineage) = (rest, Some(lineage));
        }
        Ok(())
    }

    /// A process that is known; `None` if it is not.
    pub fn get(&self, number: SubjectNumber) -> Option<&Shown> {
        self.known.get(&number)
    }

    /// The parent of a process that is known.
    pub fn parent(&self, number: SubjectNumber) -> Result<Option<&Shown>, BatchError> {
        let parent = self.batch.subjects()?.ancestors(number).next();
        Ok(parent.and_then(|parent| self.known.get(&parent)))
    }

    fn know_alone(&mut self, number: SubjectNumber) -> Result<(), BatchError> {
        if !self.known.contains_key(&number) {
            let row = subject_row(self.batch, self.outer, number)?.unwrap_or_default();
            let shown = Shown::new(row, self.limit);
            self.n_bytes += 2 * shown.own.len() + 1024;
            self.known.insert(number, shown);
        }
        Ok(())
    }

    fn lineage(&mut self, number: SubjectNumber) -> Result<(Vec<u8>, Vec<Field>), BatchError> {
        let ancestors: Vec<SubjectNumber> = self.batch.subjects()?.ancestors(number).collect();
        let mut to = Writer::with_capacity(1 << 10).limited(self.limit);
        let Some(&parent) = ancestors.first() else { return Ok(to.finish()) };
        self.know_alone(parent)?;
        if let Some(parent) = self.known.get(&parent) {
            to.key("parent_process");
            to.raw("{");
            to.raw_bytes(&parent.own);
            to.raw("}");
            for field in &parent.escaped {
                to.mark_escaped(&[of_parent(*field)]);
            }
        }
        to.key("ancestry");
        to.raw("[");
        for number in ancestors {
            self.know_ancestor(number)?;
            if let Some((item, is_escaped)) = self.ancestors.get(&number) {
                to.splice(item);
                if *is_escaped {
                    to.mark_escaped(&[Field::ProcessAncestorExecutable]);
                }
            }
        }
        to.raw("]");
        Ok(to.finish())
    }

    fn know_ancestor(&mut self, number: SubjectNumber) -> Result<(), BatchError> {
        let (subjects, header) = (self.batch.subjects()?, self.batch.header());
        let Some(key) = subjects.key(number).filter(|_| !self.ancestors.contains_key(&number)) else {
            return Ok(());
        };
        let mut to = Writer::with_capacity(160).limited(self.limit);
        to.raw("{");
        to.string_member("uid", &key.entity(self.outer.host, header.boot).to_string());
        to.number_member("pid", u64::from(key.pid));
        let column = self.batch.subject_column(Field::ProcessExecutable)?;
        let executable = match column {
            Some(column) => column.value(number.0 as usize, self.batch.strings()?),
            None => None,
        };
        if let Some(Value::Keyword(path)) = executable {
            to.key("name");
            to.part(Field::ProcessAncestorExecutable, &path, base_name(&path));
            to.key("path");
            to.text(Field::ProcessAncestorExecutable, &path);
        }
        to.raw("}");
        let (item, escaped) = to.finish();
        self.n_bytes += item.len();
        self.ancestors.insert(number, (item, !escaped.is_empty()));
        Ok(())
    }
}

impl Shown {
    fn new(row: Row, limit: Option<usize>) -> Self {
        let given = Given { subject: Some(&row), ..Given::default() };
        let mut own = Writer::with_capacity(768).limited(limit);
        follow(PROCESS, given, &mut own);
        let (own, escaped) = own.finish();
        Self { own, rest: Vec::new(), lineage: None, escaped, row }
    }

    /// Its attributes, as members of an object.
    pub fn write_alone(&self, to: &mut Writer) {
        to.splice(&self.own);
    }

    /// Its attributes with its parent's and its ancestors', as members of an object.
    pub fn write_with_lineage(&self, to: &mut Writer) {
        to.splice(&self.own);
        to.splice(self.lineage.as_deref().unwrap_or_default());
    }
}

/// The field that shows of a process's parent what this one shows of the process.
fn of_parent(field: Field) -> Field {
    match field {
        Field::ProcessName => Field::ProcessParentName,
        Field::ProcessExecutable => Field::ProcessParentExecutable,
        Field::ProcessCommandLine | Field::ProcessArgs => Field::ProcessParentCommandLine,
        other => other,
    }
}
