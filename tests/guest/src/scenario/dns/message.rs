//! DNS messages, as few as are needed.

/// The type of an address record.
pub(super) const A: u16 = 1;

/// A question: header, name, type and class.
pub(super) fn query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut message = [id.to_be_bytes(), [1, 0], [0, 1], [0, 0], [0, 0], [0, 0]].concat();
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend([kind.to_be_bytes(), [0, 1]].concat());
    message
}

/// What a server says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said {
    /// 192.0.2.1 is the address, whatever was asked for.
    Address,
    /// There is no such name.
    NoName,
    /// Too much for a datagram: ask again over TCP.
    Truncated,
}

/// The answer to a query.
pub(super) fn answer(query: &[u8], said: Said) -> Vec<u8> {
    let mut message = query.to_vec();
    let (flags, n_answers) = match said {
        Said::Address => ([0x81, 0x80], 1),
        Said::NoName => ([0x81, 0x83], 0),
        Said::Truncated => ([0x83, 0x80], 0),
    };
    if let Some(header) = message.get_mut(2..8) {
        header.copy_from_slice(&[flags[0], flags[1], 0, 1, 0, n_answers]);
    }
    if n_answers == 1 {
        // The name in the question, type A, class IN, a minute, four bytes.
        message.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
    }
    message
}

/// A message with its length before it, as TCP carries it.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}
