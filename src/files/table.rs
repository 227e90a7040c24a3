//! A table: the text of a CSV file, which may be compressed by gzip.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

/// What every gzip file begins with (RFC 1952, 2.3.1), and no text.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Opens a file. Gzip is told by the first bytes, not by the name; members one after another are one
/// text.
///
/// The text may be endless, be the file ever so small: a reader needs a limit.
///
/// # Errors
/// When the file cannot be read. What is wrong with compressed bytes is told while reading.
pub fn open_table(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut input = BufReader::new(File::open(path)?);
    match input.fill_buf()?.starts_with(&GZIP) {
        true => Ok(Box::new(MultiGzDecoder::new(input))),
        false => Ok(Box::new(input)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    #[track_caller]
    fn read(bytes: &[u8]) -> io::Result<String> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("written");
        let mut text = String::new();
        open_table(file.path())?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn a_table_is_read_compressed_or_not() {
        let member = |text: &str| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(text.as_bytes()).expect("compressed");
            encoder.finish().expect("compressed")
        };
        let two = [member("t,a\n"), member("0,1\n")].concat();
        assert_eq!(read(b"t,a\n0,1\n").expect("text"), "t,a\n0,1\n");
        assert_eq!(read(&two).expect("text"), "t,a\n0,1\n");
        assert_eq!(read(b"").expect("text"), "");
        read(&two[..two.len() - 1]).expect_err("cut short");
        assert!(open_table(Path::new("/nowhere.csv")).is_err());
    }
}
