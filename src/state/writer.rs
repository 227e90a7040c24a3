//! Writing a state file, record by record.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use prost::Message;
use snap::write::FrameEncoder;

use super::{Counts, Header, LAYOUT, MAGIC, PAGE_BYTES, RECORD_BYTES, SCHEMA, StateError, wire};
use crate::detect::{AlertsMemory, EntityMemory, MemoryPage};
use crate::files::Draft;
use crate::labels::Labels;
use crate::proto::state::record::Kind;
use crate::proto::state::{self as proto, Record};
use crate::sample::BatchSeries;

/// What tells an item within a record, at most. It counts even where an item is empty, or a record could
/// hold any number of them.
const TAG_AND_LENGTH: usize = 6;

/// A state file under way. One that is dropped before [`Writer::finish`] leaves nothing behind, and what
/// the path held as it was.
pub struct Writer {
    path: PathBuf,
    frames: FrameEncoder<BufWriter<Draft>>,
    /// The record under way; kept for its room.
    record: Vec<u8>,
    counts: Counts,
    bytes: u64,
    has_failed: bool,
}

impl Writer {
    /// Begins one beside the path that it will have.
    ///
    /// # Errors
    /// When nothing can be created or written there.
    pub fn create(path: &Path, header: &Header) -> Result<Self, StateError> {
        let failed = |reason| StateError::Write { path: path.to_path_buf(), reason };
        let mut file = BufWriter::new(Draft::private(path).map_err(failed)?);
        file.write_all(&MAGIC).and_then(|()| file.write_all(&[LAYOUT])).map_err(failed)?;
        let mut writer = Self {
            path: path.to_path_buf(),
            frames: FrameEncoder::new(file),
            record: Vec::new(),
            counts: Counts::default(),
            bytes: 0,
            has_failed: false,
        };
        let Header { written_ms, program } = header.clone();
        writer.append(Kind::Header(proto::Header { schema: SCHEMA, written_ms, program }))?;
        Ok(writer)
    }

    /// Adds a page.
    ///
    /// # Errors
    /// When the disk fails, or an entity or a series is larger than a record may be. Nothing is published
    /// after that.
    pub fn write(&mut self, page: &MemoryPage) -> Result<(), StateError> {
        let written = match page {
            MemoryPage::Entities { model, entities } => self.entities(&model.0, entities),
            MemoryPage::Series(batch) => self.series(&batch.series),
            MemoryPage::Alerts(alerts) => self.alerts(alerts),
        };
        self.has_failed |= written.is_err();
        written
    }

    /// Writes the end, and gives the file its name once the disk has it.
    ///
    /// # Errors
    /// When the disk fails, the path cannot be replaced, or a page was not written.
    pub fn finish(mut self) -> Result<Counts, StateError> {
        if self.has_failed {
            return Err(StateError::Unfinished { path: self.path });
        }
        let Counts { entities, series, samples } = self.counts;
        self.append(Kind::End(proto::End { entities, series, samples, bytes: self.bytes }))?;
        let Self { path, frames, counts, .. } = self;
        let published = frames
            .into_inner()
            .map_err(snap::write::IntoInnerError::into_error)
            .and_then(|file| file.into_inner().map_err(io::IntoInnerError::into_error))
            .and_then(Draft::publish);
        published.map_err(|reason| StateError::Write { path, reason })?;
        Ok(counts)
    }

    fn entities(&mut self, model: &[u8; 32], entities: &[EntityMemory]) -> Result<(), StateError> {
        let mut part = Part::default();
        let record = |entities| {
            Kind::Entities(proto::Entities { model: model.to_vec(), entities, alerts: None })
        };
        for memory in entities {
            let full = part.add(wire::entity(memory));
            self.fits(part.newest, "the entity", &memory.entity)?;
            full.map_or(Ok(()), |full| self.append(record(full)))?;
            self.counts.entities += 1;
        }
        self.append(record(part.items))
    }

    fn series(&mut self, series: &[BatchSeries]) -> Result<(), StateError> {
        let mut part = Part::default();
        let record = |series| Kind::Series(proto::SeriesPage { series });
        for one in series {
            for message in wire::series(one) {
                let full = part.add(message);
                self.fits(part.newest, "the series", &one.labels)?;
                full.map_or(Ok(()), |full| self.append(record(full)))?;
                self.counts.series += 1;
            }
            self.counts.samples += (one.samples.len() + one.histograms.len()) as u64;
        }
        self.append(record(part.items))
    }

    fn alerts(&mut self, of: &AlertsMemory) -> Result<(), StateError> {
        let mut part = Part::default();
        let record = |alerts| {
            let (model, evaluated_ms) = (of.model.clone(), of.evaluated_ms);
            let alerts = Some(proto::Alerts { model, evaluated_ms, alerts });
            Kind::Entities(proto::Entities { model: of.key.0.to_vec(), entities: vec![], alerts })
        };
        for memory in &of.alerts {
            let full = part.add(wire::alert(memory));
            let entity = memory.entity.clone().unwrap_or_else(Labels::empty);
            self.fits(part.newest + of.model.len(), "the alert of", &entity)?;
            full.map_or(Ok(()), |full| self.append(record(full)))?;
        }
        self.append(record(part.items))
    }

    /// Whether something of so many bytes is no larger than a record with nothing else in it.
    fn fits(&self, bytes: usize, what: &str, labels: &Labels) -> Result<(), StateError> {
        // What the record around it takes: a model's key, tags and lengths.
        const AROUND: usize = 64;
        match bytes + AROUND > RECORD_BYTES {
            true => Err(StateError::TooLarge {
                path: self.path.clone(),
                what: format!("{what} {labels}"),
                bytes,
            }),
            false => Ok(()),
        }
    }

    fn append(&mut self, kind: Kind) -> Result<(), StateError> {
        self.record.clear();
        let record = Record { kind: Some(kind) };
        record
            .encode_length_delimited(&mut self.record)
            .map_err(io::Error::from)
            .and_then(|()| self.frames.write_all(&self.record))
            .map_err(|reason| StateError::Write { path: self.path.clone(), reason })?;
        self.bytes += self.record.len() as u64;
        Ok(())
    }
}

/// A part of a page that becomes one record.
struct Part<T> {
    items: Vec<T>,
    bytes: usize,
    /// Bytes of what was added last, with its tag and length.
    newest: usize,
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self { items: Vec::new(), bytes: 0, newest: 0 }
    }
}

impl<T: Message> Part<T> {
    /// Adds one more; gives those before it where all together are too many.
    fn add(&mut self, item: T) -> Option<Vec<T>> {
        self.newest = item.encoded_len() + TAG_AND_LENGTH;
        let is_full = !self.items.is_empty() && self.bytes + self.newest > PAGE_BYTES;
        let full = is_full.then(|| std::mem::take(&mut self.items));
        self.bytes = if is_full { self.newest } else { self.bytes + self.newest };
        self.items.push(item);
        full
    }
}
