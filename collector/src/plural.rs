//! Numbers of hosts in sentences.

/// `1 host`, `2 hosts`.
pub fn hosts(n: usize) -> String {
    format!("{n} {}", if n == 1 { "host" } else { "hosts" })
}

/// `1 host is`, `2 hosts are`.
pub fn hosts_are(n: usize) -> String {
    format!("{} {}", hosts(n), if n == 1 { "is" } else { "are" })
}

/// `1 host has`, `2 hosts have`.
pub fn hosts_have(n: usize) -> String {
    format!("{} {}", hosts(n), if n == 1 { "has" } else { "have" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_more_than_one() {
        assert_eq!([hosts(1), hosts_are(1), hosts_have(1)], ["1 host", "1 host is", "1 host has"]);
        assert_eq!([hosts(0), hosts_are(2), hosts_have(3)], ["0 hosts", "2 hosts are", "3 hosts have"]);
    }
}
