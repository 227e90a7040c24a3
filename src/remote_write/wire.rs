//! Wire: the frames of a protobuf message, walked without building anything.
//!
//! The decoder counts with it what a message holds before memory is spent on it: two bytes on the
//! wire can become a hundred in memory. Lengths are checked against what is there.
//! Source: Protocol Buffers documentation "Encoding".

/// Why bytes are not a protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The message ends inside a field.
    #[error("it ends inside a field")]
    Truncated,
    /// A number of more than 64 bits.
    #[error("a varint has more than 64 bits")]
    Varint,
    /// A field with the number zero or one too large.
    #[error("a field has an impossible number")]
    FieldNumber,
    /// Groups and the types that protobuf does not define.
    #[error("a field has wire type {0}, which is not used")]
    WireType(u8),
}

/// Iterator over the length-delimited fields of a message, as `(number, content)`; fields of other
/// types are passed over.
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    /// The fields of a message.
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(length).map_err(|_| WireError::Truncated)?;
        let (content, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(content)
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for place in 0..10 {
            let byte = self.take(1)?[0];
            // The tenth byte holds the one bit that is left of 64.
            if place == 9 && byte > 1 {
                return Err(WireError::Varint);
            }
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::Varint)
    }

    fn field(&mut self) -> Result<Option<(u32, &'a [u8])>, WireError> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| WireError::FieldNumber)?;
        // 29 bits are left for the number beside the type in a key of 32.
        if number == 0 || number >= 1 << 29 {
            return Err(WireError::FieldNumber);
        }
        match key & 7 {
            0 => self.varint().map(|_| None),
            1 => self.take(8).map(|_| None),
            2 => {
                let length = self.varint()?;
                Ok(Some((number, self.take(length)?)))
            }
            5 => self.take(4).map(|_| None),
            other => Err(WireError::WireType(other as u8)),
        }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<(u32, &'a [u8]), WireError>;

    /// Ends after the first error.
    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            match self.field() {
                Ok(None) => {}
                Ok(Some(field)) => return Some(Ok(field)),
                Err(error) => {
                    self.rest = &[];
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &[u8], expected: Result<&[(u32, &[u8])], WireError>) {
        let found: Result<Vec<_>, _> = Messages::new(message).collect();
        assert_eq!(found.as_deref().map_err(|error| *error), expected, "{message:02x?}");
    }

    #[test]
    fn walks_fields_of_every_type() {
        check(b"", Ok(&[]));
        check(b"\x0a\x02hi\x08\x96\x01\x12\x00", Ok(&[(1, b"hi"), (2, b"")]));
        check(b"\x09\0\0\0\0\0\0\0\0\x0d\0\0\0\0\x0a\x01x", Ok(&[(1, b"x")]));
    }

    #[test]
    fn refuses_lies_about_lengths() {
        check(b"\x0a", Err(WireError::Truncated));
        check(b"\x0a\x05hi", Err(WireError::Truncated));
        check(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Err(WireError::Truncated));
        check(b"\x09\0\0", Err(WireError::Truncated));
    }

    #[test]
    fn refuses_what_protobuf_does_not_have() {
        check(b"\x02\x00", Err(WireError::FieldNumber));
        check(b"\x0b", Err(WireError::WireType(3)));
        check(b"\x0c", Err(WireError::WireType(4)));
        check(b"\x0f", Err(WireError::WireType(7)));
        check(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", Err(WireError::Varint));
        check(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Err(WireError::Varint));
    }
}
