//! `file`: what is done to files.

use wire::event::Kind;
use wire::field::Field;

use super::super::class::{FILE, MODULE};
use super::super::codes::ACCESS;
use super::super::mapping::{Case, Mapping};
use super::super::object::{FILE as FILE_OBJECT, FILE_RESULT, REQUIRED_FILE};
use crate::shape::{Attribute, Form, From};

const ACCESS_MASK: Attribute = Attribute::field("access_mask", Field::FileAccess, Form::Bits(&ACCESS));

const MAPPED: &[Attribute] = &[Attribute {
    name: "module",
    from: From::Required(&[
        Attribute { name: "file", from: From::Required(FILE_OBJECT) },
        Attribute::always("load_type_id", "4"),
        Attribute::always("load_type", r#""Mapped""#),
    ]),
}];

pub(super) const KINDS: &[Mapping] = &[
    Mapping::new(Kind::FILE_OPEN, &FILE, &[Case::new(14, &[REQUIRED_FILE, ACCESS_MASK])]),
    Mapping::new(Kind::FILE_CREATE, &FILE, &[Case::new(1, &[REQUIRED_FILE, ACCESS_MASK])]),
    Mapping::new(Kind::FILE_UNLINK, &FILE, &[Case::new(4, &[REQUIRED_FILE])]),
    Mapping::new(Kind::FILE_RENAME, &FILE, &[Case::new(5, &[REQUIRED_FILE, FILE_RESULT])]),
    Mapping::new(Kind::FILE_LINK, &FILE, &[Case::other("Link", &[REQUIRED_FILE, FILE_RESULT])]),
    Mapping::new(Kind::FILE_SYMLINK, &FILE, &[Case::new(1, &[REQUIRED_FILE])]),
    Mapping::new(Kind::FILE_CHMOD, &FILE, &[Case::new(7, &[REQUIRED_FILE])]),
    Mapping::new(Kind::FILE_CHOWN, &FILE, &[Case::new(7, &[REQUIRED_FILE])]),
    Mapping::new(Kind::FILE_TRUNCATE, &FILE, &[Case::new(3, &[REQUIRED_FILE])]),
    Mapping::new(Kind::FILE_SETXATTR, &FILE, &[Case::new(6, &[REQUIRED_FILE])]),
    Mapping::new(Kind::FILE_MMAP_EXEC, &MODULE, &[Case::new(1, MAPPED)]),
];
