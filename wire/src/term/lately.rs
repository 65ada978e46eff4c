//! Hashes that were asked for lately: the hosts of a fleet name the same programs, files and users all day, and
//! looking a value up costs a third of hashing it.

use std::cell::RefCell;
use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use super::Class;

/// Each thread keeps so many, each in the one place that its bytes choose.
const PLACES: usize = 4096;
/// Longer values are hashed each time.
const MAX_BYTES: usize = 86;

struct Known {
    hash: i64,
    class: u8,
    length: u8,
    bytes: [u8; MAX_BYTES],
}

struct Lately {
    places: Vec<Option<Known>>,
    hasher: DefaultHashBuilder,
}

thread_local! {
    static LATELY: RefCell<Lately> = RefCell::new(Lately {
        places: std::iter::repeat_with(|| None).take(PLACES).collect(),
        hasher: DefaultHashBuilder::default(),
    });
}

/// The same as [`super::hash`].
pub(super) fn hash(class: Class, bytes: &[u8]) -> i64 {
    if bytes.len() > MAX_BYTES {
        return super::hash(class, bytes);
    }
    LATELY.with_borrow_mut(|lately| {
        let at = lately.hasher.hash_one((class as u8, bytes)) as usize % PLACES;
        let Some(place) = lately.places.get_mut(at) else { return super::hash(class, bytes) };
        if let Some(known) = place
            && known.class == class as u8
            && known.bytes.get(..usize::from(known.length)) == Some(bytes)
        {
            return known.hash;
        }
        let hash = super::hash(class, bytes);
        let mut known = Known { hash, class: class as u8, length: bytes.len() as u8, bytes: [0; MAX_BYTES] };
        known.bytes.iter_mut().zip(bytes).for_each(|(kept, byte)| *kept = *byte);
        *place = Some(known);
        hash
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_what_would_be_hashed() {
        let values = (0..3 * PLACES).map(|n| format!("{n}{}", "x".repeat(n % 100)));
        let values: Vec<_> = values.chain(["".into(), "\0".into(), "\0\0".into()]).collect();
        for _ in 0..2 {
            for value in &values {
                for class in [Class::File, Class::FileName] {
                    let bytes = value.as_bytes();
                    assert_eq!(hash(class, bytes), super::super::hash(class, bytes));
                }
            }
        }
    }
}
