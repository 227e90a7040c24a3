//! The text of a table, whatever program wrote it: as records of cells in UTF-8.
//!
//! In: a file, compressed by gzip or not; in UTF-8, in UTF-16 with its byte order mark, or in
//! Windows-1252, which is what Latin-1 is in practice; separated by commas, semicolons or tabs. A
//! spreadsheet may say which in a first line (`sep=;`); else the one that the header has most of counts,
//! quotes and braces left out. Out: the header, then records as long as it. An empty cell at the end, as
//! a comma after the last name or value makes it, is no column.
//!
//! Where a semicolon or a tab separates, numbers may have a comma for a point.
//!
//! Invariant: the text is streamed, and no line has more than [`MAX_LINE_BYTES`], nor have the empty lines
//! before one: a device or a pipe may give them for ever.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use csv::{ByteRecord, StringRecord};
use encoding_rs::WINDOWS_1252;
use encoding_rs_io::DecodeReaderBytesBuilder;

use crate::files::open_table;
use crate::history::error::HistoryError;

/// Bytes of one line, at most, taken as a mistake: a thousand features have some ten thousand.
pub(super) const MAX_LINE_BYTES: u64 = 16 << 20;

/// What separates cells; the first of those that a header has equally many of.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// How a spreadsheet says what separates cells.
const SEPARATOR_LINE: &str = "sep=";

/// The records of a table.
pub(super) struct Text {
    path: PathBuf,
    reader: csv::Reader<Box<dyn Read>>,
    /// The names of the columns; none of an empty file.
    pub header: StringRecord,
    /// Lines before the header.
    skipped: u64,
    bytes: ByteRecord,
    /// The line at which the newest record begins, or the file ends, counted from 1.
    pub line: u64,
    separator: u8,
    /// Whether all records so far were UTF-8 or UTF-16.
    pub is_unicode: bool,
}

impl Text {
    /// Opens a file and reads its header.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        let unreadable = |error| unreadable(path, &error);
        let bytes = open_table(path).map_err(unreadable)?;
        let decoded = DecodeReaderBytesBuilder::new()
            .utf8_passthru(true)
            .strip_bom(true)
            .bom_override(true)
            .build(bytes);
        let mut input = ShortLines { input: decoded, left: MAX_LINE_BYTES, is_empty: true };
        let mut head = first_line(&mut input).map_err(unreadable)?;
        let told = told_separator(&head);
        if told.is_some() {
            head = first_line(&mut input).map_err(unreadable)?;
        }
        let separator = told.unwrap_or_else(|| usual_separator(&head));
        let input: Box<dyn Read> = Box::new(Cursor::new(head).chain(input));
        let reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .delimiter(separator)
            .has_headers(false)
            .flexible(true)
            .from_reader(input);
        let mut text = Self {
            path: path.to_path_buf(),
            reader,
            header: StringRecord::new(),
            skipped: u64::from(told.is_some()),
            bytes: ByteRecord::new(),
            line: 1,
            separator,
            is_unicode: true,
        };
        let mut header = StringRecord::new();
        text.read(&mut header)?;
        if header.len() > 2 && header[header.len() - 1].is_empty() {
            header.truncate(header.len() - 1);
        }
        text.header = header;
        Ok(text)
    }

    /// Reads the next record, which is as long as the header; false at the end.
    pub fn next(&mut self, record: &mut StringRecord) -> Result<bool, HistoryError> {
        if !self.read(record)? {
            return Ok(false);
        }
        let (found, expected) = (record.len(), self.header.len());
        if found == expected + 1 && record[expected].is_empty() {
            record.truncate(expected);
        }
        match record.len() == expected {
            true => Ok(true),
            false => Err(self.wrong(format!("{found} columns, the header has {expected}"))),
        }
    }

    /// Whether numbers may have a comma for a point.
    pub fn has_decimal_commas(&self) -> bool {
        self.separator != b','
    }

    /// What is wrong with the newest record.
    pub fn wrong(&self, reason: String) -> HistoryError {
        self.wrong_at(self.line, reason)
    }

    /// What is wrong with the header.
    pub fn wrong_header(&self, reason: String) -> HistoryError {
        self.wrong_at(self.skipped + 1, reason)
    }

    /// What is wrong with a line.
    pub fn wrong_at(&self, line: u64, reason: String) -> HistoryError {
        HistoryError::Line { path: self.path.clone(), line, reason }
    }

    fn read(&mut self, record: &mut StringRecord) -> Result<bool, HistoryError> {
        let read = self.reader.read_byte_record(&mut self.bytes);
        if !read.map_err(|it| unreadable(&self.path, &it))? {
            record.clear();
            self.line = self.skipped + self.reader.position().line();
            return Ok(false);
        }
        self.line = self.skipped + self.bytes.position().map_or(1, csv::Position::line);
        let bytes = std::mem::take(&mut self.bytes);
        match StringRecord::from_byte_record(bytes) {
            Ok(mut read) => {
                std::mem::swap(record, &mut read);
                self.bytes = read.into_byte_record();
            }
            Err(error) => {
                self.is_unicode = false;
                self.bytes = error.into_byte_record();
                record.clear();
                for cell in &self.bytes {
                    let text = match std::str::from_utf8(cell) {
                        Ok(text) => text.into(),
                        Err(_) => WINDOWS_1252.decode_without_bom_handling(cell).0,
                    };
                    record.push_field(&text);
                }
            }
        }
        Ok(true)
    }
}

fn unreadable(path: &Path, error: &dyn std::error::Error) -> HistoryError {
    HistoryError::Read { path: path.to_path_buf(), reason: error.to_string() }
}

/// Reads as far as the first end of a line, or all there is, and possibly further.
fn first_line(input: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let (mut line, mut is_empty) = (Vec::new(), true);
    let mut byte = [0; 1];
    // Byte by byte, so that nothing of the next line is taken: below is a buffer.
    while input.read(&mut byte)? == 1 {
        line.push(byte[0]);
        is_empty &= is_end(&byte[0]);
        if byte[0] == b'\n' && !is_empty {
            break;
        }
    }
    Ok(line)
}

/// The separator of a line such as `sep=;`.
fn told_separator(line: &[u8]) -> Option<u8> {
    let line = std::str::from_utf8(line).ok()?.trim_matches(['\r', '\n']);
    let line = line.trim_matches('"').trim_start();
    let told = line.get(SEPARATOR_LINE.len()..)?;
    let is_told = line[..SEPARATOR_LINE.len()].eq_ignore_ascii_case(SEPARATOR_LINE);
    let first = *told.as_bytes().first()?;
    (is_told && told.trim_end().len() <= 1 && first.is_ascii()).then_some(first)
}

/// What separates the cells of a header.
fn usual_separator(line: &[u8]) -> u8 {
    let mut counts = [0_usize; SEPARATORS.len()];
    let (mut is_quoted, mut braces) = (false, 0_usize);
    for byte in line {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'{' => braces += 1,
            b'}' => braces = braces.saturating_sub(1),
            byte if !is_quoted && braces == 0 => {
                let at = SEPARATORS.iter().position(|it| it == byte);
                at.into_iter().for_each(|at| counts[at] += 1);
            }
            _ => {}
        }
    }
    let most = counts.iter().max().copied().unwrap_or(0);
    SEPARATORS[counts.iter().position(|it| *it == most).unwrap_or(0)]
}

/// Whether a byte is of the end of a line.
fn is_end(byte: &u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// Input that ends in an error when a line is too long to be one, with the empty lines before it.
struct ShortLines<R> {
    input: R,
    left: u64,
    /// Whether there were only empty lines since `left` was reset.
    is_empty: bool,
}

impl<R: Read> Read for ShortLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.input.read(buffer)?;
        let has_text = |bytes: &[u8]| !bytes.iter().all(is_end);
        match buffer[..len].iter().rposition(|byte| *byte == b'\n') {
            Some(end) if !self.is_empty || has_text(&buffer[..end]) => {
                self.left = MAX_LINE_BYTES.saturating_sub((len - end) as u64);
                self.is_empty = !has_text(&buffer[end..len]);
            }
            _ => {
                self.left = self.left.saturating_sub(len as u64);
                self.is_empty &= !has_text(&buffer[..len]);
            }
        }
        if self.left == 0 {
            let what = if self.is_empty { "empty lines have" } else { "a line has" };
            let reason = format!("{what} more than {MAX_LINE_BYTES} bytes");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, reason));
        }
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn records(bytes: &[u8]) -> Result<(Vec<Vec<String>>, bool), HistoryError> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("written");
        let mut text = Text::open(file.path())?;
        let cells = |it: &StringRecord| it.iter().map(str::to_owned).collect::<Vec<_>>();
        let mut all = vec![cells(&text.header)];
        let mut record = StringRecord::new();
        while text.next(&mut record)? {
            all.push(cells(&record));
        }
        Ok((all, text.is_unicode))
    }

    fn utf16(text: &str, bytes_of: fn(u16) -> [u8; 2]) -> Vec<u8> {
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(bytes_of).collect()
    }

    #[test]
    fn every_form_of_a_table_is_the_same_table() {
        let expected = [["Zeit", "Gerät"], ["1", "0.5"]];
        let text = "Zeit,Gerät\n1,0.5\n";
        for (form, bytes) in [
            ("UTF-8", text.as_bytes().to_vec()),
            ("UTF-8 with its mark", format!("\u{feff}{text}").into_bytes()),
            ("UTF-16, little end first", utf16(text, u16::to_le_bytes)),
            ("UTF-16, big end first", utf16(text, u16::to_be_bytes)),
            ("Latin-1", b"Zeit,Ger\xe4t\n1,0.5\n".to_vec()),
            ("semicolons", "Zeit;Gerät\n1;0.5\n".into()),
            ("tabs", "Zeit\tGerät\n1\t0.5\n".into()),
            ("a told separator", "sep=;\r\nZeit;Gerät\r\n1;0.5\r\n".into()),
            ("another one", "\"SEP=|\"\nZeit|Gerät\n1|0.5\n".into()),
            ("a comma at the end of lines", "Zeit,Gerät,\n1,0.5,\n".into()),
            ("of the header alone", "Zeit,Gerät,\n1,0.5\n".into()),
            ("of the others alone", "Zeit,Gerät\n1,0.5,\n".into()),
            ("empty lines", "\nZeit,Gerät\n\n1,0.5\n\n".into()),
        ] {
            let (found, is_unicode) = records(&bytes).expect(form);
            assert_eq!(found, expected, "{form}");
            assert_eq!(is_unicode, form != "Latin-1", "{form}");
        }
        let selectors =
            records(b"time;load{a=\"b\",c=\"d\",e=\"f\"}\n1;2\n").expect("semicolons").0;
        assert_eq!(selectors[1], ["1", "2"]);
    }

    #[test]
    fn a_line_of_another_length_is_named() {
        for (text, expected) in [
            ("sep=,\nt,a\n1,2\n1,1,1\n", ", line 4: 3 columns, the header has 2"),
            ("t,a\n1\n", ", line 2: 1 columns, the header has 2"),
            ("t,a,\n1,1,1\n", ", line 2: 3 columns, the header has 2"),
            ("t;a\n1,2;3;4\n", ", line 2: 3 columns, the header has 2"),
        ] {
            let error = records(text.as_bytes()).expect_err(text).to_string();
            assert!(error.ends_with(expected), "{error}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        for start in [&b"t,a\n0,"[..], b"sep=;\n", b""] {
            let mut bytes = start.to_vec();
            bytes.resize(MAX_LINE_BYTES as usize + 100, b'1');
            let error = records(&bytes).expect_err("an endless line").to_string();
            assert!(error.contains("a line has more than"), "{error}");
        }
    }

    #[test]
    fn empty_lines_without_end_are_refused() {
        for start in [&b""[..], b"t,a\n", b"t,a\r\n0,1\r\n"] {
            let mut bytes = start.to_vec();
            bytes.resize(MAX_LINE_BYTES as usize + (1 << 20), b'\n');
            let error = records(&bytes).expect_err("empty for ever").to_string();
            assert!(error.contains("empty lines have more than"), "{error}");
        }
        // Those that are not in a row are no harm, nor is a text that comes in small pieces.
        let mut lines = ShortLines { input: Single, left: 4, is_empty: true };
        let mut bytes = [0; 3];
        for _ in 0..20 {
            assert_eq!(lines.read(&mut bytes).expect("lines of one letter"), 3);
        }
        assert_eq!(lines.left, MAX_LINE_BYTES - 1);
    }

    /// An empty line and one of a letter at each read.
    struct Single;

    impl Read for Single {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            buffer[..3].copy_from_slice(b"\na\n");
            Ok(3)
        }
    }
}
