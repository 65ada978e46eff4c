//! `container`: their lives. The subject is the container's first process.

use wire::event::Kind;
use wire::field::Field;

use super::super::class::APPLICATION;
use super::super::mapping::{Case, Mapping};
use super::super::object::UNKNOWN;
use crate::shape::{Attribute, Form, From};

const CONTAINER: &[Attribute] = &[Attribute {
    name: "app",
    from: From::Required(&[
        Attribute { name: "name", from: From::FieldOr(Field::ContainerImageName, Form::Plain, UNKNOWN) },
        Attribute::plain("uid", Field::ContainerId),
        Attribute::object("feature", &[Attribute::plain("name", Field::ContainerName)]),
    ]),
}];

pub(super) const KINDS: &[Mapping] = &[
    Mapping::new(Kind::CONTAINER_START, &APPLICATION, &[Case::new(3, CONTAINER)]),
    Mapping::new(Kind::CONTAINER_STOP, &APPLICATION, &[Case::new(4, CONTAINER)]),
];
