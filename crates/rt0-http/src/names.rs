//! Names of fields.
//!
//! The `http` crate folds each letter by a table, then searches its list. Nearly every head is made
//! of a few names, which are told apart by their first and last bytes.

use http::header::{self, HeaderName, InvalidHeaderName};

/// The name that `text` is, which has no byte that names have not.
pub(crate) fn parse(text: &[u8]) -> Result<HeaderName, InvalidHeaderName> {
    match common(text) {
        Some(name) => Ok(name),
        None => HeaderName::from_bytes(text),
    }
}

/// A name of 4 to 16 bytes, without regard to case.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    len: usize,
    /// From the start, and from the end: 8 bytes each, or 4 where there are no 8.
    ends: (u64, u64),
}

/// For each byte that a name may have, this makes a letter small, and no other byte a letter or a
/// hyphen.
const SMALL: u64 = 0x2020_2020_2020_2020;

const fn key(text: &[u8]) -> Option<Key> {
    let len = text.len();
    if len > 16 {
        return None;
    }
    let ends = if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        (u32::from_le_bytes(*first) as u64, u32::from_le_bytes(*last) as u64)
    } else {
        return None;
    };
    Some(Key { len, ends: (ends.0 | SMALL, ends.1 | SMALL) })
}

macro_rules! names {
    ($($name:ident $text:literal)*) => {
        fn common(text: &[u8]) -> Option<HeaderName> {
            $(const $name: Option<Key> = key($text);)*
            match key(text) {
                None => None,
                $($name => Some(header::$name),)*
                Some(_) => None,
            }
        }

        #[cfg(test)]
        const ALL: &[(HeaderName, &[u8])] = &[$((header::$name, $text)),*];
    };
}

names! {
    HOST b"host"
    DATE b"date"
    ETAG b"etag"
    ACCEPT b"accept"
    COOKIE b"cookie"
    EXPECT b"expect"
    ORIGIN b"origin"
    SERVER b"server"
    REFERER b"referer"
    CONNECTION b"connection"
    USER_AGENT b"user-agent"
    CONTENT_TYPE b"content-type"
    AUTHORIZATION b"authorization"
    CACHE_CONTROL b"cache-control"
    IF_NONE_MATCH b"if-none-match"
    CONTENT_LENGTH b"content-length"
    ACCEPT_ENCODING b"accept-encoding"
    ACCEPT_LANGUAGE b"accept-language"
}

#[cfg(test)]
mod tests {
    use super::{ALL, common, parse};
    use http::HeaderName;

    /// What RFC 9110 lets names have.
    fn may_be_in_names() -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(|byte| HeaderName::from_bytes(&[*byte]).is_ok())
    }

    #[test]
    fn a_name_is_that_of_the_http_crate() {
        for (name, text) in ALL {
            for text in [text.to_vec(), text.to_ascii_uppercase()] {
                assert_eq!(common(&text).as_ref(), Some(name));
                // Each byte replaced by each other, taken out, and doubled.
                for at in 0..text.len() {
                    for byte in may_be_in_names() {
                        let mut other = text.clone();
                        other[at] = byte;
                        assert_eq!(parse(&other).unwrap(), HeaderName::from_bytes(&other).unwrap());
                    }
                    let mut shorter = text.clone();
                    let byte = shorter.remove(at);
                    assert_eq!(parse(&shorter).unwrap(), HeaderName::from_bytes(&shorter).unwrap());
                    let mut longer = text.clone();
                    longer.insert(at, byte);
                    assert_eq!(parse(&longer).unwrap(), HeaderName::from_bytes(&longer).unwrap());
                }
            }
        }
    }

    #[test]
    fn other_names_are_parsed_by_the_http_crate() {
        for text in ["x", "te", "via", "x-request-id", "transfer-encoding", "sec-fetch-mode"] {
            assert_eq!(common(text.as_bytes()), None);
            assert_eq!(parse(text.as_bytes()).unwrap(), text);
        }
        assert!(parse(b"").is_err());
        assert!(parse(b"a b").is_err());
    }
}
