//! Answers on disk, so that a run that was interrupted goes on where it stopped.
//!
//! In: a folder, and each answer as it comes. Out: the answers that are there already, to the same
//! question of the same server with the same credentials: with others, it may have been another
//! tenant's history. A file is one answer, compressed, with the question in full and a checksum, and
//! appears whole or not at all. A damaged file, or one of another question, counts as absent. An empty
//! answer says that a query had to be split, and the server's words behind a mark that label sets clash
//! in it; neither is asked again.
//!
//! What is young is not kept: samples arrive late (a scrape, a remote write, an agent's queue, a rule over
//! them), and an answer that lacks them would be believed for ever.
//!
//! No file holds a secret. Of credentials there is a hash that is slow to make, so that guessing is
//! expensive (see [`identity`]), over a salt in the folder that its owner alone may read. Without its
//! salt a folder is a new one.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::{Compression, Crc, GzBuilder, bufread::GzDecoder};
use ring::rand::{SecureRandom, SystemRandom};

use crate::files::Draft;
use crate::history::error::HistoryError;
use crate::history::server::client::Ask;
use crate::history::server::identity::{self, Identity};

/// What stands before the server's words where label sets clash: no JSON begins with it.
const CLASH: u8 = b'!';

/// What is kept in the place of an answer where a query is asked for in halves.
pub(super) const SPLIT: &[u8] = &[];

/// How old the last step of an answer is before it is kept: what Mimir's query-frontend takes for its own
/// cache (`max_cache_freshness`).
const SETTLED_AFTER: Duration = Duration::from_secs(600);

/// The name of the file with the salt.
const SALT: &str = "salt";

/// Answers of one server in a folder.
pub(super) struct AnswerStore {
    folder: PathBuf,
    identity: String,
    max_bytes: usize,
    settled_ms: i64,
}

/// Up to when answers are kept, if it is now that they are asked for: in milliseconds since 1970.
pub(super) fn settled_ms(now: SystemTime) -> i64 {
    let settled = now.checked_sub(SETTLED_AFTER).and_then(|it| it.duration_since(UNIX_EPOCH).ok());
    settled.map_or(0, |it| it.as_millis() as i64)
}

/// What is there about a query.
#[derive(Debug, PartialEq)]
pub(super) enum Stored {
    /// Its answer.
    Answer(Vec<u8>),
    /// It was too much and was asked for in halves.
    Split,
    /// Its label sets clash at some step, or at the only one, as the server said.
    Clash(String),
}

impl AnswerStore {
    /// `identity` is what decides an answer besides the query. Makes the folder, and its salt.
    pub fn open(
        folder: &Path,
        identity: &Identity,
        max_bytes: usize,
        settled_ms: i64,
    ) -> Result<Self, HistoryError> {
        fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
        let salt = salt(folder).map_err(|error| failed(&folder.join(SALT), &error))?;
        Ok(Self {
            folder: folder.to_path_buf(),
            identity: identity.text(&salt),
            max_bytes,
            settled_ms,
        })
    }

    /// What is there about a query, if anything is.
    pub fn find(&self, ask: Ask<'_>) -> Option<Stored> {
        let input = BufReader::new(File::open(self.path(ask)).ok()?);
        let decoder = GzDecoder::new(input);
        if decoder.header()?.comment()? != self.key(ask).as_bytes() {
            return None;
        }
        let mut body = Vec::new();
        let limit = self.max_bytes as u64 + 1;
        decoder.take(limit).read_to_end(&mut body).ok()?;
        match body.as_slice() {
            [] => Some(Stored::Split),
            [CLASH, words @ ..] => Some(Stored::Clash(String::from_utf8_lossy(words).into_owned())),
            _ if body.len() <= self.max_bytes => Some(Stored::Answer(body)),
            _ => None,
        }
    }

    /// Keeps an answer, [`SPLIT`] or what [`clash`] gives, unless it is about a time too near.
    pub fn keep(&self, ask: Ask<'_>, body: &[u8]) -> Result<(), HistoryError> {
        if ask.last_ms() > self.settled_ms {
            return Ok(());
        }
        let path = self.path(ask);
        let write = || -> io::Result<()> {
            // Answers are mostly digits: the fastest level leaves a sixth of them.
            let builder = GzBuilder::new().comment(self.key(ask));
            let mut encoder = builder.write(Draft::of(&path)?, Compression::fast());
            encoder.write_all(body)?;
            encoder.finish()?.publish()
        };
        write().map_err(|error| failed(&path, &error))
    }

    /// What was asked, in full. A zero byte would end it early: gzip's comments end with one.
    fn key(&self, ask: Ask<'_>) -> String {
        let Ask { expr, start_ms, step_ms, count } = ask;
        let key = format!("{} {start_ms} {step_ms} {count} {expr}", self.identity);
        key.replace('\0', "\\0")
    }

    /// A name to read, and the checksum of what was asked, which nearly always tells queries of
    /// the same steps apart.
    fn path(&self, ask: Ask<'_>) -> PathBuf {
        let mut crc = Crc::new();
        crc.update(self.key(ask).as_bytes());
        let Ask { start_ms, step_ms, count, .. } = ask;
        self.folder.join(format!("{:08x}-{start_ms}-{step_ms}-{count}.json.gz", crc.sum()))
    }
}

/// What is kept in the place of an answer where label sets clash, with what the server said.
pub(super) fn clash(words: &str) -> Vec<u8> {
    [&[CLASH], words.as_bytes()].concat()
}

/// The folder's salt; a new one where there is none.
fn salt(folder: &Path) -> io::Result<[u8; identity::BYTES]> {
    let path = folder.join(SALT);
    let known = || -> io::Result<Option<[u8; identity::BYTES]>> {
        match fs::read(&path) {
            Ok(bytes) => Ok(bytes.try_into().ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    };
    if let Some(salt) = known()? {
        return Ok(salt);
    }
    let mut salt = [0; identity::BYTES];
    let no_chance = |_| io::Error::other("the system gives no random bytes");
    SystemRandom::new().fill(&mut salt).map_err(no_chance)?;
    // Its owner's alone from the beginning on, as every temporary file is.
    let mut file = tempfile::Builder::new().prefix(".salt.").suffix(".tmp").tempfile_in(folder)?;
    file.write_all(&salt)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(&path) {
        Ok(_) => Ok(salt),
        // Another run has been faster, or there is one that is none.
        Err(error) => match known()? {
            Some(salt) => Ok(salt),
            None => error.file.persist(&path).map(|_| salt).map_err(io::Error::from),
        },
    }
}

fn failed(path: &Path, error: &io::Error) -> HistoryError {
    HistoryError::Resume { path: path.to_path_buf(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: Ask<'_> = Ask { expr: "up", start_ms: 5, step_ms: 10, count: 3 };

    fn store(folder: &Path, shown: &str) -> AnswerStore {
        AnswerStore::open(&folder.join("a/b"), &Identity::new(shown), 100, 1_000).expect("a folder")
    }

    #[test]
    fn a_folder_has_a_salt_that_its_owner_alone_may_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(SALT);
        let first = salt(dir.path()).expect("a salt");
        assert_eq!(salt(dir.path()).expect("the salt"), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let other = tempfile::tempdir().expect("a directory");
        assert_ne!(salt(other.path()).expect("a salt"), first);
        // One that is cut short is none.
        fs::write(&path, &first[..31]).expect("written");
        let second = salt(dir.path()).expect("a salt");
        assert_ne!(second, first);
        assert_eq!(salt(dir.path()).expect("the salt"), second);
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1, "nothing beside it");
    }

    #[test]
    fn an_answer_is_found_by_the_same_question_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let mine = store(dir.path(), "http://a");
        assert_eq!(mine.find(ASK), None);
        mine.keep(ASK, b"{}").expect("kept");
        assert_eq!(mine.find(ASK), Some(Stored::Answer(b"{}".to_vec())));
        assert_eq!(store(dir.path(), "http://b").find(ASK), None);
        let others = [
            Ask { expr: "down", ..ASK },
            Ask { start_ms: 6, ..ASK },
            Ask { step_ms: 6, ..ASK },
            Ask { count: 6, ..ASK },
        ];
        assert!(others.iter().all(|it| mine.find(*it).is_none()));
        mine.keep(others[0], SPLIT).expect("kept");
        assert_eq!(mine.find(others[0]), Some(Stored::Split));
        mine.keep(others[2], &clash("twice")).expect("kept");
        assert_eq!(mine.find(others[2]), Some(Stored::Clash("twice".to_owned())));
        // The names of two questions may be the same; what is inside tells.
        fs::copy(mine.path(ASK), mine.path(others[1])).expect("copied");
        assert_eq!(mine.find(others[1]), None);
    }

    #[test]
    fn what_may_still_grow_is_not_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = store(dir.path(), "http://a");
        // The last of three steps is what counts.
        let ends = |last_ms: i64| Ask { start_ms: last_ms - 20, ..ASK };
        store.keep(ends(1_000), b"{}").expect("kept");
        assert!(store.find(ends(1_000)).is_some());
        store.keep(ends(1_001), b"{}").expect("left out");
        store.keep(ends(1_002), &clash("twice")).expect("left out");
        assert!(store.find(ends(1_001)).is_none() && store.find(ends(1_002)).is_none());
        let hour = UNIX_EPOCH + Duration::from_secs(3_600);
        assert_eq!(settled_ms(hour), 3_000_000);
        assert_eq!(settled_ms(UNIX_EPOCH), 0);
    }

    #[test]
    fn what_is_not_whole_counts_as_absent() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = store(dir.path(), "http://a");
        store.keep(ASK, b"[1,2,3,4,5,6,7,8,9]").expect("kept");
        let whole = fs::read(store.path(ASK)).expect("a file");
        for len in 0..whole.len() {
            fs::write(store.path(ASK), &whole[..len]).expect("written");
            assert_eq!(store.find(ASK), None, "{len} bytes of {}", whole.len());
        }
        let mut changed = whole.clone();
        let at = whole.len() - 12;
        changed[at] ^= 1;
        fs::write(store.path(ASK), changed).expect("written");
        assert_eq!(store.find(ASK), None);
        store.keep(ASK, &[b'1'; 101]).expect("kept");
        assert_eq!(store.find(ASK), None, "larger than an answer may be");
        let names = fs::read_dir(&store.folder).expect("a folder").count();
        assert_eq!(names, 2, "nothing is left beside it and the salt");
    }
}
