//! Reading a state file: once to its end to see that it is whole, then again to hand out its pages.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Take};
use std::path::{Path, PathBuf};

use prost::Message;
use snap::read::FrameDecoder;

use super::{Counts, Header, LAYOUT, MAGIC, RECORD_BYTES, SCHEMA, StateError, wire};
use crate::detect::MemoryPage;
use crate::files::{ReadError, open_regular};
use crate::proto::state::record::Kind;
use crate::proto::state::{self as proto, Record};

/// Bytes of the longest varint.
const VARINT_BYTES: usize = 10;

/// A state file that has been read to its end and found whole; an iterator over its pages.
pub struct Reader {
    header: Header,
    counts: Counts,
    /// `None` after the end.
    records: Option<Records>,
}

impl Reader {
    /// Opens a state file of at most so many bytes and reads all of it; `None` where there is no file.
    ///
    /// # Errors
    /// When it cannot be read, is no regular file or a larger one, or is not what a [`Writer`] of this
    /// version wrote.
    ///
    /// [`Writer`]: super::Writer
    pub fn open(path: &Path, limit: u64) -> Result<Option<Self>, StateError> {
        let (file, size) = match open_regular(path, limit) {
            Ok(opened) => opened,
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(reason) => return Err(StateError::Read { path: path.to_path_buf(), reason }),
        };
        let (_, mut records) = Records::begin(path.to_path_buf(), file, size)?;
        while records.page()?.is_some() {}
        let counts = records.counts;
        let mut file = records.frames.into_inner().into_inner().into_inner();
        file.rewind().map_err(|error| told(path, error))?;
        let (header, records) = Records::begin(path.to_path_buf(), file, size)?;
        Ok(Some(Self { header, counts, records: Some(records) }))
    }

    /// What the file says of itself.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What all its pages hold.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

impl Iterator for Reader {
    /// An error only where the disk fails or somebody has written into the file since it was
    /// opened: who replaces it as [`Writer`](super::Writer) does leaves this one as it is.
    type Item = Result<MemoryPage, StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        let page = self.records.as_mut()?.page().transpose();
        if !matches!(page, Some(Ok(_))) {
            self.records = None;
        }
        page
    }
}

/// All pages of a state file at once, for one that is known to be small; `None` where there is no file.
///
/// # Errors
/// As for [`Reader::open`].
pub fn read_all(path: &Path, limit: u64) -> Result<Option<(Header, Vec<MemoryPage>)>, StateError> {
    let Some(mut reader) = Reader::open(path, limit)? else { return Ok(None) };
    let pages = reader.by_ref().collect::<Result<_, _>>()?;
    Ok(Some((reader.header, pages)))
}

/// The records of a file, of which the header has been read.
struct Records {
    path: PathBuf,
    frames: FrameDecoder<BufReader<Take<File>>>,
    /// The record under way; kept for its room.
    record: Vec<u8>,
    counts: Counts,
    bytes: u64,
    has_ended: bool,
}

impl Records {
    fn begin(path: PathBuf, file: File, size: u64) -> Result<(Header, Self), StateError> {
        // What is appended meanwhile is not looked at.
        let mut file = BufReader::new(file.take(size));
        let mut magic = Vec::with_capacity(MAGIC.len() + 1);
        let limit = (MAGIC.len() + 1) as u64;
        file.by_ref().take(limit).read_to_end(&mut magic).map_err(|error| told(&path, error))?;
        match magic.strip_prefix(&MAGIC) {
            Some([LAYOUT]) => {}
            Some([other]) => return Err(StateError::Version { path, found: format!("{other}.?") }),
            _ if MAGIC.starts_with(&magic) => return Err(StateError::Short { path }),
            _ => return Err(StateError::Foreign { path }),
        }
        let mut records = Self {
            path,
            frames: FrameDecoder::new(file),
            record: Vec::new(),
            counts: Counts::default(),
            bytes: 0,
            has_ended: false,
        };
        let Kind::Header(header) = records.next()? else {
            return Err(records.damaged("it does not begin with its header"));
        };
        if header.schema != SCHEMA {
            let found = format!("{LAYOUT}.{}", header.schema);
            return Err(StateError::Version { path: records.path, found });
        }
        Ok((Header { written_ms: header.written_ms, program: header.program }, records))
    }

    /// The next page; `None` at the end, if that is what was written.
    fn page(&mut self) -> Result<Option<MemoryPage>, StateError> {
        if self.has_ended {
            return Ok(None);
        }
        let before = self.bytes;
        match self.next()? {
            Kind::End(end) => self.end(&end, before).map(|()| None),
            kind => {
                let page = wire::page(kind).map_err(|reason| self.damaged(reason))?;
                let page = page.ok_or_else(|| self.damaged("it has a second header"))?;
                match &page {
                    MemoryPage::Entities { entities, .. } => {
                        self.counts.entities += entities.len() as u64;
                    }
                    MemoryPage::Series(batch) => {
                        self.counts.series += batch.series.len() as u64;
                        self.counts.samples += (batch.samples() + batch.histograms()) as u64;
                    }
                    // Its records have no entities.
                    MemoryPage::Alerts(_) => {}
                }
                Ok(Some(page))
            }
        }
    }

    fn end(&mut self, end: &proto::End, bytes: u64) -> Result<(), StateError> {
        let Counts { entities, series, samples } = self.counts;
        if *end != (proto::End { entities, series, samples, bytes }) {
            return Err(self.damaged("its end counts more or less than there is"));
        }
        match self.frames.read(&mut [0]) {
            Ok(0) => {}
            Ok(_) => return Err(self.damaged("it goes on after its end")),
            Err(error) => return Err(told(&self.path, error)),
        }
        self.has_ended = true;
        Ok(())
    }

    fn next(&mut self) -> Result<Kind, StateError> {
        let length = self.length()?;
        if length > RECORD_BYTES as u64 {
            let reason = format!("a record of {length} bytes is more than {RECORD_BYTES}");
            return Err(self.damaged(reason));
        }
        self.record.clear();
        // Room comes with what is there, not with what is claimed.
        let read = self.frames.by_ref().take(length).read_to_end(&mut self.record);
        if read.map_err(|error| told(&self.path, error))? as u64 != length {
            return Err(StateError::Short { path: self.path.clone() });
        }
        self.bytes += length;
        let record = Record::decode(&*self.record).map_err(|reason| self.damaged(reason))?;
        record.kind.ok_or_else(|| self.damaged("a record is of an unknown kind"))
    }

    /// The length of the next record.
    fn length(&mut self) -> Result<u64, StateError> {
        let mut varint = [0; VARINT_BYTES];
        for at in 0..VARINT_BYTES {
            let byte = &mut varint[at..=at];
            self.frames.read_exact(byte).map_err(|error| told(&self.path, error))?;
            if byte[0] & 0x80 == 0 {
                self.bytes += at as u64 + 1;
                return prost::decode_length_delimiter(&varint[..=at])
                    .map(|length| length as u64)
                    .map_err(|reason| self.damaged(reason));
            }
        }
        Err(self.damaged("the length of a record is none"))
    }

    fn damaged(&self, reason: impl ToString) -> StateError {
        StateError::Damaged { path: self.path.clone(), reason: reason.to_string() }
    }
}

/// What an error while reading means.
fn told(path: &Path, error: io::Error) -> StateError {
    let path = path.to_path_buf();
    let is_content = error.get_ref().is_some_and(|it| it.is::<snap::Error>());
    match error.kind() {
        io::ErrorKind::UnexpectedEof => StateError::Short { path },
        _ if is_content => StateError::Damaged { path, reason: error.to_string() },
        _ => StateError::Read { path, reason: error.into() },
    }
}
