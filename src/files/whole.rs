//! A file that is looked at before it is read: what it is, and how large.

use std::fs::{File, FileType, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system does not give it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Reading it would wait for somebody who writes, or never end.
    #[error("it is {0}, and only a regular file is read")]
    NoFile(&'static str),
    /// Larger than anything sensible.
    #[error("it has {bytes}, more than the {limit} bytes that are read")]
    TooLarge {
        /// Its size.
        bytes: String,
        /// The limit.
        limit: u64,
    },
}

/// Reads a regular file of at most so many bytes. What is larger, or no file, is not even opened; one
/// that grows meanwhile is read up to the limit.
///
/// # Errors
/// When it cannot be read, is no regular file, or is larger.
pub fn read_whole(path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
    let (file, size) = open_regular(path, limit)?;
    // One more than there is, so that the end is found without room for twice as much.
    let mut bytes = Vec::with_capacity(size as usize + 1);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(ReadError::TooLarge { bytes: "grown meanwhile".to_owned(), limit }),
        false => Ok(bytes),
    }
}

/// Opens a regular file of at most so many bytes, and says how many it has. What is larger, or no file,
/// is not even opened. One that grows meanwhile has more to read: its reader stops where it wants.
///
/// # Errors
/// When it cannot be opened, is no regular file, or is larger.
pub fn open_regular(path: &Path, limit: u64) -> Result<(File, u64), ReadError> {
    let is_good = |it: &Metadata| match (it.is_file(), it.len()) {
        (false, _) => Err(ReadError::NoFile(kind(it.file_type()))),
        (true, bytes) if bytes > limit => {
            Err(ReadError::TooLarge { bytes: format!("{bytes} bytes"), limit })
        }
        _ => Ok(()),
    };
    is_good(&std::fs::metadata(path)?)?;
    let file = File::open(path)?;
    // Another one may have the name by now.
    let metadata = file.metadata()?;
    is_good(&metadata)?;
    Ok((file, metadata.len()))
}

fn kind(of: FileType) -> &'static str {
    match of {
        it if it.is_dir() => "a folder",
        it if it.is_fifo() => "a pipe",
        it if it.is_socket() => "a socket",
        it if it.is_char_device() || it.is_block_device() => "a device",
        _ => "none of the files that are known",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &Path, limit: u64, expected: Result<&[u8], &str>) {
        let found = read_whole(path, limit).map_err(|error| error.to_string());
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(found), Err(expected)) => assert_eq!(found, expected),
            (found, _) => panic!("{} gave {found:?}", path.display()),
        }
    }

    #[test]
    fn a_file_is_looked_at_before_it_is_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("model.onnx");
        std::fs::write(&path, b"bytes").expect("written");
        check(&path, 5, Ok(b"bytes"));
        check(&path, 4, Err("it has 5 bytes, more than the 4 bytes that are read"));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        check(&link, 5, Ok(b"bytes"));
        check(dir.path(), 5, Err("it is a folder, and only a regular file is read"));
        check(Path::new("/dev/zero"), 5, Err("it is a device, and only a regular file is read"));
        let socket = dir.path().join("socket");
        let _open = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        check(&socket, 5, Err("it is a socket, and only a regular file is read"));
        // Of those that tell no size: as much as there is, and no more than the limit.
        assert!(!read_whole(Path::new("/proc/self/status"), 1 << 20).expect("text").is_empty());
        let grown = "it has grown meanwhile, more than the 5 bytes that are read";
        check(Path::new("/proc/self/status"), 5, Err(grown));
        assert!(matches!(read_whole(&dir.path().join("none"), 5), Err(ReadError::Io(_))));
    }

    #[test]
    fn a_file_with_nothing_in_it_but_its_size_takes_no_memory() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        file.as_file().set_len(6 << 30).expect("a hole");
        let expected = "it has 6442450944 bytes, more than the 268435456 bytes that are read";
        check(file.path(), 256 << 20, Err(expected));
    }
}
