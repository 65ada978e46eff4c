//! What the maps of an object hold, from its type information (BTF): a digest of each map's definition.
//!
//! Two builds whose maps have the same digest may use one and the same map; what is laid out otherwise gets another one. So
//! nobody has to remember to count a version up.
//!
//! BTF: Documentation/bpf/btf.rst of the kernel's sources.

use std::fmt::Write as _;

use object::{Object as _, ObjectSection as _};

/// The digest of what a map holds: type, sizes, flags, and how its keys and values are laid out, member by member.
pub(crate) type Digest = [u8; 8];

/// Every map of an object, by name, and its digest.
pub(crate) fn of_maps(object: &[u8]) -> Vec<(String, Digest)> {
    let file = object::File::parse(object).expect("clang writes ELF");
    let section = file.section_by_name(".BTF").expect("the object is compiled with -g");
    let types = Types::parse(section.data().expect("clang writes whole sections"));
    let mut maps: Vec<_> =
        types.maps().map(|(name, map)| (name, digest(types.definition(map).as_bytes()))).collect();
    maps.sort();
    assert!(!maps.is_empty(), "the object has maps");
    maps
}

/// A digest of a text.
pub(crate) fn digest(bytes: &[u8]) -> Digest {
    let mut digest = Digest::default();
    blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut digest);
    digest
}

/// A C text without comments and blanks that say nothing: what changes it changes its meaning.
pub(crate) fn without_comments(text: &str) -> String {
    let mut bare = String::new();
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("/*") {
        bare.push_str(before);
        bare.push(' ');
        rest = comment.split_once("*/").expect("the comment ends").1;
    }
    bare.push_str(rest);
    bare.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// One type: `size` is also the type that it refers to.
struct Type<'a> {
    name: u32,
    kind: u32,
    size: u32,
    rest: &'a [u8],
}

struct Types<'a> {
    /// By id; 0 is void.
    all: Vec<Type<'a>>,
    strings: &'a [u8],
}

const HEADER_BYTES: usize = 24;
const INT: u32 = 1;
const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const DECL_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;

impl<'a> Types<'a> {
    fn parse(btf: &'a [u8]) -> Self {
        let field = |n: usize| word(btf, 8 + 4 * n) as usize;
        let (types, strings) = (HEADER_BYTES + field(0), HEADER_BYTES + field(2));
        let mut rest = &btf[types..types + field(1)];
        let mut all = vec![Type { name: 0, kind: 0, size: 0, rest: &[] }];
        while !rest.is_empty() {
            let info = word(rest, 4);
            let (kind, n) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
            let n_bytes = match kind {
                INT | VAR | DECL_TAG => 4,
                ARRAY => 12,
                STRUCT | UNION | DATASEC | ENUM64 => 12 * n,
                ENUM | FUNC_PROTO => 8 * n,
                _ => 0,
            };
            all.push(Type { name: word(rest, 0), kind, size: word(rest, 8), rest: &rest[12..12 + n_bytes] });
            rest = &rest[12 + n_bytes..];
        }
        Self { all, strings: &btf[strings..] }
    }

    /// The maps' names and the types of their definitions.
    fn maps(&self) -> impl Iterator<Item = (String, &Type<'a>)> {
        let is_maps = |of: &&Type<'_>| of.kind == DATASEC && self.text(of.name) == ".maps";
        let variables = self.all.iter().filter(is_maps).flat_map(|section| section.rest.chunks_exact(12));
        variables.map(|variable| {
            let variable = self.at(word(variable, 0));
            (self.text(variable.name), self.at(variable.size))
        })
    }

    /// A definition's members each point to what they say: an array of as many entries as a number is large, or a type.
    fn definition(&self, map: &Type<'_>) -> String {
        let mut told = String::new();
        for member in map.rest.chunks_exact(12) {
            let pointer = self.at(word(member, 4));
            write!(told, "{}:", self.text(word(member, 0))).expect("a String takes all");
            self.describe(pointer.size, &mut told);
            told.push(';');
        }
        told
    }

    fn describe(&self, id: u32, told: &mut String) {
        let of = self.at(id);
        match of.kind {
            INT => write!(told, "int{}.{:x}", of.size, word(of.rest, 0)),
            PTR => write!(told, "*"),
            ARRAY => {
                write!(told, "[{}]", word(of.rest, 8)).expect("a String takes all");
                return self.describe(word(of.rest, 0), told);
            }
            STRUCT | UNION => {
                write!(told, "{}{}{{", of.kind, of.size).expect("a String takes all");
                for member in of.rest.chunks_exact(12) {
                    write!(told, "{}@{}:", self.text(word(member, 0)), word(member, 8))
                        .expect("a String takes all");
                    self.describe(word(member, 4), told);
                    told.push(',');
                }
                write!(told, "}}")
            }
            ENUM | ENUM64 => write!(told, "enum{}", of.size),
            TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG => return self.describe(of.size, told),
            other => write!(told, "?{other}"),
        }
        .expect("a String takes all");
    }

    fn at(&self, id: u32) -> &Type<'a> {
        self.all.get(id as usize).expect("types refer to types")
    }

    fn text(&self, offset: u32) -> String {
        let bytes = &self.strings[offset as usize..];
        let end = bytes.iter().position(|byte| *byte == 0).expect("strings end");
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
