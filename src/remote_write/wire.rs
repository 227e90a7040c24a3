//! Wire: the fields of a protobuf message, walked without building anything.
//!
//! Lengths are checked against what is there, and what is read borrows from the message.
//! Source: Protocol Buffers documentation "Encoding".

/// Why bytes are not the protobuf message that they should be.
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
    /// A known field with another type than it has.
    #[error("a field has another type than the message says")]
    OtherType,
}

/// The content of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number.
    Varint(u64),
    /// Eight bytes, as of a double.
    Fixed64(u64),
    /// Four bytes.
    Fixed32(u32),
    /// A text, a message or packed numbers.
    Bytes(&'a [u8]),
}

/// The signed number that an unsigned one stands for.
pub const fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

impl<'a> Value<'a> {
    /// A text or a message.
    pub fn bytes(self) -> Result<&'a [u8], WireError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(WireError::OtherType),
        }
    }

    /// A `double`.
    pub fn double(self) -> Result<f64, WireError> {
        match self {
            Self::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(WireError::OtherType),
        }
    }

    /// The numbers of a repeated field, of which a sender may pack some and not the others.
    pub fn each_varint(self, mut each: impl FnMut(u64)) -> Result<(), WireError> {
        match self {
            Self::Varint(value) => each(value),
            Self::Bytes(packed) => {
                let mut rest = Rest(packed);
                while !rest.0.is_empty() {
                    each(rest.varint()?);
                }
            }
            Self::Fixed64(_) | Self::Fixed32(_) => return Err(WireError::OtherType),
        }
        Ok(())
    }

    /// The numbers of a repeated `double`, packed or not.
    pub fn each_double(self, mut each: impl FnMut(f64)) -> Result<(), WireError> {
        match self {
            Self::Fixed64(bits) => each(f64::from_bits(bits)),
            Self::Bytes(packed) => {
                let (numbers, rest) = packed.as_chunks();
                if !rest.is_empty() {
                    return Err(WireError::Truncated);
                }
                numbers.iter().for_each(|it| each(f64::from_le_bytes(*it)));
            }
            Self::Varint(_) | Self::Fixed32(_) => return Err(WireError::OtherType),
        }
        Ok(())
    }

    /// A `sint32`: 0, -1, 1, -2, …; of more bits the lowest.
    pub fn sint32(self) -> Result<i32, WireError> {
        match self {
            Self::Varint(value) => Ok(zigzag(u64::from(value as u32)) as i32),
            _ => Err(WireError::OtherType),
        }
    }

    /// An `int64`.
    pub fn int64(self) -> Result<i64, WireError> {
        match self {
            Self::Varint(value) => Ok(value.cast_signed()),
            _ => Err(WireError::OtherType),
        }
    }
}

/// What is left of a message.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: u64) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(length).map_err(|_| WireError::Truncated)?;
        let (content, rest) = self.0.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.0 = rest;
        Ok(content)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (content, rest) = self.0.split_first_chunk().ok_or(WireError::Truncated)?;
        self.0 = rest;
        Ok(*content)
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for place in 0..10 {
            let [byte] = self.array()?;
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

    fn field(&mut self) -> Result<(u32, Value<'a>), WireError> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| WireError::FieldNumber)?;
        // 29 bits are left for the number beside the type in a key of 32.
        if number == 0 || number >= 1 << 29 {
            return Err(WireError::FieldNumber);
        }
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            other => return Err(WireError::WireType(other as u8)),
        };
        Ok((number, value))
    }
}

/// Iterator over the fields of a message, as `(number, value)`. It ends after the first error.
pub struct Fields<'a>(Rest<'a>);

impl<'a> Fields<'a> {
    /// The fields of a message.
    pub fn new(message: &'a [u8]) -> Self {
        Self(Rest(message))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.0.is_empty() {
            return None;
        }
        let field = self.0.field();
        if field.is_err() {
            self.0.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &[u8], expected: Result<&[(u32, Value<'_>)], WireError>) {
        let found: Result<Vec<_>, _> = Fields::new(message).collect();
        assert_eq!(found.as_deref().map_err(|error| *error), expected, "{message:02x?}");
    }

    #[test]
    fn walks_fields_of_every_type() {
        check(b"", Ok(&[]));
        let (hi, nothing) = (Value::Bytes(b"hi"), Value::Bytes(b""));
        let two = [(1, hi), (1, Value::Varint(150)), (2, nothing)];
        check(b"\x0a\x02hi\x08\x96\x01\x12\x00", Ok(&two));
        let fixed = [(1, Value::Fixed64(1)), (1, Value::Fixed32(2)), (1, Value::Bytes(b"x"))];
        check(b"\x09\x01\0\0\0\0\0\0\0\x0d\x02\0\0\0\x0a\x01x", Ok(&fixed));
    }

    #[test]
    fn reads_numbers_packed_and_not() {
        let numbers = |value: Value<'_>| {
            let mut all = Vec::new();
            value.each_varint(|it| all.push(it)).map(|()| all)
        };
        assert_eq!(numbers(Value::Varint(7)), Ok(vec![7]));
        assert_eq!(numbers(Value::Bytes(b"\x01\x96\x01\x00")), Ok(vec![1, 150, 0]));
        assert_eq!(numbers(Value::Bytes(b"")), Ok(vec![]));
        assert_eq!(numbers(Value::Bytes(b"\x01\x96")), Err(WireError::Truncated));
        assert_eq!(numbers(Value::Fixed32(7)), Err(WireError::OtherType));
    }

    #[test]
    fn signed_numbers_alternate() {
        assert_eq!([0, 1, 2, 3, 4].map(zigzag), [0, -1, 1, -2, 2]);
        assert_eq!((zigzag(u64::MAX), zigzag(u64::MAX - 1)), (i64::MIN, i64::MAX));
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
