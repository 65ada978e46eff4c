//! One message, read as far as it can be.
//!
//! Everything in it was chosen by somebody else. A message that is not what it should be is read up to there, and says so;
//! no byte is read twice but by names that lead back, and those only lead further back.

use hickory_proto::op::{Header, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder, DecodeError};

use super::name::name;
use super::rdata::{Data, type_name};

/// Bytes of a message's header.
pub(super) const HEADER_BYTES: usize = 12;
/// More questions of one message are not told.
const MAX_QUESTIONS: usize = 8;
/// More answers of one message are not told.
const MAX_ANSWERS: usize = 32;
/// More bytes of one answer's text, and of all together, are not told.
const MAX_ANSWER_BYTES: usize = 1024;
const MAX_ANSWERS_BYTES: usize = 4096;

/// A message, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Its number, if there is a header.
    pub id: Option<u16>,
    /// Whether it says that it is an answer.
    pub is_answer: bool,
    /// What it is about: `QUERY`, `UPDATE`, …
    pub op_code: String,
    /// Of an answer, whether it found something: `NOERROR`, `NXDOMAIN`, …
    pub response_code: String,
    /// The bits set in its header, by name.
    pub flags: Vec<&'static str>,
    /// Names asked for, each with its type.
    pub questions: Vec<(String, String)>,
    /// What the answers say, as text.
    pub answers: Vec<String>,
    /// Some of it is not told: there was too much, or it was cut before it came here.
    pub is_cut: bool,
    /// All that was read is as it should be, and nothing is left over.
    pub is_sound: bool,
}

impl Message {
    /// Reads a message. `is_cut`: these bytes are only its beginning.
    pub fn read(bytes: &[u8], is_cut: bool) -> Self {
        let mut message = Self { is_cut, ..Self::default() };
        let mut decoder = BinDecoder::new(bytes);
        message.is_sound = match message.read_all(&mut decoder) {
            Ok(()) => decoder.is_empty(),
            Err(Broken::Short) => is_cut && message.id.is_some(),
            Err(Broken::Wrong) => false,
        };
        message
    }

    fn read_all(&mut self, decoder: &mut BinDecoder<'_>) -> Result<(), Broken> {
        let header = Header::read(decoder)?;
        let (said, counts) = (header.metadata, header.counts);
        self.id = Some(said.id);
        self.is_answer = said.message_type == MessageType::Response;
        self.op_code = op_code(said.op_code);
        let low_code = u16::from(said.response_code);
        self.response_code = response_code(low_code);
        self.flags = [
            (said.authoritative, "AA"),
            (said.truncation, "TC"),
            (said.recursion_desired, "RD"),
            (said.recursion_available, "RA"),
            (said.authentic_data, "AD"),
            (said.checking_disabled, "CD"),
        ]
        .into_iter()
        .filter_map(|(is_set, name)| is_set.then_some(name))
        .collect();
        for n in 0..usize::from(counts.queries) {
            let query = Query::read(decoder)?;
            if n < MAX_QUESTIONS {
                self.questions.push((name(&query.name), type_name(query.query_type)));
            } else {
                self.is_cut = true;
            }
        }
        // Without a question there may be a cookie (RFC 7873, 5.4); a query with neither is none.
        if !self.is_answer && counts.queries == 0 && counts.additionals == 0 {
            return Err(Broken::Wrong);
        }
        let mut n_bytes = 0;
        for _ in 0..counts.answers {
            let record = Record::read(decoder)?;
            if self.is_answer {
                self.tell(record, &mut n_bytes);
            }
        }
        for _ in 0..u32::from(counts.authorities) + u32::from(counts.additionals) {
            let record = Record::read(decoder)?;
            if record.kind == RecordType::OPT {
                // RFC 6891, 6.1.3: the upper eight bits of the code.
                self.response_code = response_code((record.ttl >> 24 << 4) as u16 | low_code);
            }
        }
        Ok(())
    }

    fn tell(&mut self, record: Record<'_>, n_bytes: &mut usize) {
        if self.answers.len() >= MAX_ANSWERS || *n_bytes >= MAX_ANSWERS_BYTES {
            self.is_cut = true;
            return;
        }
        let mut text = record.data.text(record.kind);
        // All of it is ASCII.
        if text.len() > MAX_ANSWER_BYTES {
            text.truncate(MAX_ANSWER_BYTES);
            self.is_cut = true;
        }
        *n_bytes += text.len();
        self.answers.push(text);
    }
}

/// Why a message cannot be read further.
enum Broken {
    /// It ends here.
    Short,
    /// It is not as it should be.
    Wrong,
}

impl From<DecodeError> for Broken {
    fn from(error: DecodeError) -> Self {
        if matches!(error, DecodeError::InsufficientBytes) { Self::Short } else { Self::Wrong }
    }
}

/// Whether a message may begin like this: what else is sent to such a port mostly does not. `is_answer`: it comes from the
/// server.
pub(super) fn is_plausible(header: &[u8], is_answer: bool) -> bool {
    let Ok(Header { metadata, .. }) = Header::read(&mut BinDecoder::new(header)) else { return false };
    (metadata.message_type == MessageType::Response) == is_answer
        && !matches!(metadata.op_code, OpCode::Unknown(n) if n != 1 && n != 6)
}

/// A resource record, its bytes not looked at.
struct Record<'a> {
    kind: RecordType,
    ttl: u32,
    data: Data<'a>,
}

impl<'a> Record<'a> {
    fn read(decoder: &mut BinDecoder<'a>) -> Result<Self, DecodeError> {
        Name::read(decoder)?;
        let kind = RecordType::read(decoder)?;
        decoder.read_u16()?.unverified(/* the class: any will do */);
        let ttl = decoder.read_u32()?.unverified(/* a number */);
        let len = decoder.read_u16()?.unverified(/* read_slice looks at it */);
        let at = u16::try_from(decoder.index()).map_err(|_| DecodeError::InsufficientBytes)?;
        let start = decoder.clone(at);
        let bytes = decoder.read_slice(len.into())?.unverified(/* looked at by its type */);
        Ok(Self { kind, ttl, data: Data::new(start, bytes) })
    }
}

fn op_code(code: OpCode) -> String {
    match u8::from(code) {
        0 => "QUERY".to_owned(),
        1 => "IQUERY".to_owned(),
        2 => "STATUS".to_owned(),
        4 => "NOTIFY".to_owned(),
        5 => "UPDATE".to_owned(),
        6 => "DSO".to_owned(),
        n => format!("OPCODE{n}"),
    }
}

/// By the names of IANA's registry.
fn response_code(code: u16) -> String {
    let name = match code {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        11 => "DSOTYPENI",
        16 => "BADVERS",
        17 => "BADKEY",
        18 => "BADTIME",
        19 => "BADMODE",
        20 => "BADNAME",
        21 => "BADALG",
        22 => "BADTRUNC",
        23 => "BADCOOKIE",
        n => return format!("RCODE{n}"),
    };
    name.to_owned()
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests")]
mod tests {
    use expect_test::{Expect, expect};
    use hickory_proto::op::ResponseCode;
    use hickory_proto::rr::RData;
    use hickory_proto::rr::rdata::{A, TXT};
    use proptest::prelude::*;

    use super::*;
    use crate::dns::corpus::{answer, excessive, hostile, query, real};

    /// Everything that is told is short, and can be seen.
    fn is_harmless(message: &Message) -> bool {
        let texts = message.questions.iter().flat_map(|(name, kind)| [name, kind]).chain(&message.answers);
        let codes = [&message.op_code, &message.response_code];
        texts.chain(codes).all(|text| text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()))
            && message.questions.iter().all(|(name, _)| name.len() <= 4 * 255)
            && message.questions.len() <= MAX_QUESTIONS
            && message.answers.len() <= MAX_ANSWERS
            && message.answers.iter().map(String::len).sum::<usize>() <= MAX_ANSWERS_BYTES + MAX_ANSWER_BYTES
    }

    fn show(message: &Message) -> String {
        let Message { id, is_answer, op_code, response_code, flags, questions, answers, is_cut, is_sound } =
            message;
        format!(
            "{id:x?} {is_answer} {op_code} {response_code} {} {questions:?} {answers:?} cut:{is_cut} sound:{is_sound}\n",
            flags.join(",")
        )
    }

    #[track_caller]
    fn check(messages: &[Vec<u8>], expected: Expect) {
        let shown = messages.iter().map(|bytes| show(&Message::read(bytes, false))).collect::<String>();
        expected.assert_eq(&shown);
    }

    #[test]
    fn real_messages_are_read() {
        check(
            &real(),
            expect![[r#"
            Some(1234) false QUERY NOERROR RD [("www.example.org", "A")] [] cut:false sound:true
            Some(1234) false QUERY NOERROR RD [(".", "NS")] [] cut:false sound:true
            Some(1234) false QUERY NOERROR RD [("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.example", "TXT")] [] cut:false sound:true
            Some(1234) true QUERY NOERROR RD,RA [("www.example.org", "A")] ["web.example.org", "192.0.2.1", "2001:db8::1", "10 mail.example.org", "v=spf1 -all\\027[2J\\255"] cut:false sound:true
            Some(1234) true QUERY NXDOMAIN RD,RA [("nowhere.example.org", "AAAA")] [] cut:false sound:true
            Some(1234) true QUERY BADVERS RD,RA [("old.example.org", "A")] [] cut:false sound:true
        "#]],
        );
    }

    #[test]
    fn hostile_messages_are_read_as_far_as_they_can_be() {
        for (all, is_sound) in [(hostile(), false), (excessive(), true)] {
            for bytes in all {
                let message = Message::read(&bytes, false);
                assert_eq!(message.is_sound, is_sound, "{}", bytes[..bytes.len().min(100)].escape_ascii());
                assert!(is_harmless(&message) && is_harmless(&Message::read(&bytes, true)), "{message:?}");
            }
        }
    }

    #[test]
    fn names_that_are_odd_are_told() {
        let names = |bytes: &[u8]| -> Vec<String> {
            Message::read(bytes, false).questions.into_iter().map(|(name, _)| name).collect()
        };
        let all = excessive();
        assert_eq!(names(&all[0]), [["a"; 127].join(".")]);
        assert_eq!(names(&all[1]), ["\\027[2j.\\255\\254\\000.\\195\\("]);
        assert_eq!(names(&all[3]), ["."; MAX_QUESTIONS]);
    }

    #[test]
    fn a_cut_message_is_told_up_to_there() {
        let whole = answer(
            "big.example.",
            RecordType::A,
            ResponseCode::NoError,
            (0..200).map(|n| RData::A(A::new(192, 0, 2, n))).collect(),
        );
        let message = Message::read(&whole, false);
        assert_eq!((message.answers.len(), message.is_cut, message.is_sound), (MAX_ANSWERS, true, true));
        for len in 0..whole.len() {
            let message = Message::read(&whole[..len], true);
            assert_eq!(message.is_sound, len >= HEADER_BYTES, "{len}");
            assert!(message.is_cut && is_harmless(&message));
            assert!(!Message::read(&whole[..len], false).is_sound, "{len}");
        }
    }

    #[test]
    fn long_texts_are_cut() {
        let texts: Vec<_> = (0..20).map(|_| RData::TXT(TXT::from_bytes(vec![&[0; 255][..]; 4]))).collect();
        let message = Message::read(&answer("t.", RecordType::TXT, ResponseCode::NoError, texts), false);
        assert!(message.is_cut && message.is_sound);
        assert_eq!(message.answers, vec!["\\000".repeat(256); 4]);
    }

    #[test]
    fn what_begins_unlike_a_message_is_told_early() {
        assert!(is_plausible(&query("a.", RecordType::A), false));
        assert!(!is_plausible(&query("a.", RecordType::A), true));
        assert!(!is_plausible(b"SSH-2.0-Open", false));
        assert!(!is_plausible(b"short", false));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..600), is_cut in any::<bool>()) {
            prop_assert!(is_harmless(&Message::read(&bytes, is_cut)));
        }

        #[test]
        fn real_messages_that_were_changed_are_read(
            which in any::<prop::sample::Index>(),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            is_cut in any::<bool>(),
        ) {
            let mut bytes = which.get(&real()).clone();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            prop_assert!(is_harmless(&Message::read(&bytes, is_cut)));
        }
    }
}
