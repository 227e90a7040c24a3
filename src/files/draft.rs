//! A draft: a file that is written beside its destination and then takes its name.
//!
//! Whoever reads the destination finds what was there before or all of the new one, whatever fails
//! and whenever the program ends; once it is published, the new one, even if the power is cut then.
//! Who may read and write the file that it replaces may do so with it, and nobody else, unless it is to
//! be its owner's alone; where the destination is a symbolic link, the file that it leads to is replaced
//! and the link stays. A draft that is not published is removed; only a killed program leaves one
//! behind, as `.name.XXXXXX.tmp`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Who may read and write a file that is simply created, before the umask takes some of it away. A
/// temporary file would otherwise be its owner's alone.
#[cfg(unix)]
const MODE: u32 = 0o666;

/// That it is its owner's alone.
#[cfg(unix)]
const OWNERS: u32 = 0o600;

/// Links that lead from one to the next, at most: as many as Linux follows.
const MAX_LINKS: usize = 40;

/// A file under way.
#[derive(Debug)]
pub struct Draft {
    file: NamedTempFile,
    destination: PathBuf,
}

impl Draft {
    /// An empty one, in the folder of its destination, or of the file that this leads to.
    ///
    /// # Errors
    /// When the destination has no file name, or nothing can be created in its folder.
    pub fn of(destination: &Path) -> io::Result<Self> {
        let destination = target(destination)?;
        let before = fs::metadata(&destination).ok().filter(fs::Metadata::is_file);
        // Nobody else reads it before it is known who may.
        let draft = Self::create(destination, before.is_some())?;
        if let Some(before) = before {
            draft.file.as_file().set_permissions(before.permissions())?;
        }
        Ok(draft)
    }

    /// One that nobody but its owner reads or writes, whoever might do so with the file before.
    ///
    /// # Errors
    /// As for [`Draft::of`].
    pub fn private(destination: &Path) -> io::Result<Self> {
        Self::create(target(destination)?, true)
    }

    #[cfg_attr(not(unix), allow(unused_variables))]
    fn create(destination: PathBuf, owners: bool) -> io::Result<Self> {
        let no_name = || io::Error::new(io::ErrorKind::InvalidInput, "the path names no file");
        let mut prefix = std::ffi::OsString::from(".");
        prefix.push(destination.file_name().ok_or_else(no_name)?);
        prefix.push(".");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(".tmp");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(match owners {
            true => OWNERS,
            false => MODE,
        }));
        let file = builder.tempfile_in(folder(&destination))?;
        Ok(Self { file, destination })
    }

    /// Where it is until it is published, for whoever wants to look at it before.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Gives it its destination's name, after the disk has all of it: the name must not outlive a
    /// crash that the bytes do not. Nor must the file that had the name before, so that the disk gets
    /// the folder, too.
    ///
    /// # Errors
    /// When the disk fails, or the destination cannot be replaced. Only where the folder does not reach
    /// the disk has the file its name already.
    pub fn publish(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        // Opened before, so that one that cannot be is found out while nothing has changed.
        let folder = Folder::open(folder(&self.destination))?;
        self.file.persist(&self.destination)?;
        folder.sync()
    }
}

/// The file that a path leads to by links, whether it is there or not.
fn target(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(next) => path = folder(&path).join(next),
            // There is none, or it is no link.
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("its symbolic links lead in a circle"))
}

/// The folder of a file.
fn folder(of: &Path) -> &Path {
    of.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A folder whose names are to reach the disk. Only Unix opens folders like files.
struct Folder {
    #[cfg(unix)]
    file: File,
}

impl Folder {
    #[cfg_attr(not(unix), allow(unused_variables))]
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            file: File::open(path)?,
        })
    }

    fn sync(&self) -> io::Result<()> {
        #[cfg(unix)]
        self.file.sync_all()?;
        Ok(())
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        File::flush(self.file.as_file_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        entries.map(|it| it.expect("a file").file_name().into_string().expect("text")).collect()
    }

    #[test]
    fn a_draft_takes_its_name_when_it_is_published() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("model.onnx");
        fs::write(&path, "before").expect("written");
        let mut draft = Draft::of(&path).expect("a draft");
        draft.write_all(b"after").expect("written");
        assert_eq!(fs::read(draft.path()).expect("the draft"), b"after");
        assert_eq!(fs::read(&path).expect("the file"), b"before");
        assert_eq!(names(dir.path()).len(), 2);
        draft.publish().expect("published");
        assert_eq!(fs::read(&path).expect("the file"), b"after");
        assert_eq!(names(dir.path()), ["model.onnx"]);
    }

    #[test]
    fn what_is_not_published_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("page.html");
        drop(Draft::of(&path).expect("a draft"));
        assert_eq!(names(dir.path()), [""; 0]);
        // A folder is not replaced.
        fs::create_dir(&path).expect("a folder");
        Draft::of(&path).expect("a draft").publish().expect_err("a folder of that name");
        assert_eq!(names(dir.path()), ["page.html"]);
        Draft::of(Path::new("/")).expect_err("no name");
        Draft::of(&dir.path().join("absent/file")).expect_err("no folder");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_cannot_be_opened_changes_nothing() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("model.onnx");
        fs::write(&path, "before").expect("written");
        let mut draft = Draft::of(&path).expect("a draft");
        draft.write_all(b"after").expect("written");
        let allow = |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode));
        allow(0o300).expect("not to be read");
        // An administrator reads everything.
        let is_open = File::open(dir.path()).is_ok();
        assert_eq!(draft.publish().is_ok(), is_open);
        let expected = if is_open { "after" } else { "before" };
        assert_eq!(fs::read_to_string(&path).expect("the file"), expected);
        allow(0o700).expect("to be removed");
        assert_eq!(names(dir.path()), ["model.onnx"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_does_not_reach_the_disk_is_an_error() {
        let dir = tempfile::tempdir().expect("a directory");
        Folder::open(dir.path()).expect("a folder").sync().expect("synced");
        // It is on no disk.
        Folder::open(Path::new("/proc")).expect("a folder").sync().expect_err("no disk");
        assert!(Folder::open(&dir.path().join("absent")).is_err());
        assert_eq!(folder(Path::new("model.onnx")), Path::new("."));
        assert_eq!(folder(Path::new("/model.onnx")), Path::new("/"));
    }

    #[cfg(unix)]
    #[test]
    fn a_draft_is_as_readable_as_a_file_that_is_created() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let [plain, drafted] = ["plain", "drafted"].map(|name| dir.path().join(name));
        fs::write(&plain, "").expect("written");
        Draft::of(&drafted).expect("a draft").publish().expect("published");
        let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode();
        assert_eq!(mode(&drafted), mode(&plain));
    }

    #[cfg(unix)]
    #[test]
    fn whoever_could_read_the_file_before_can_read_the_new_one() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("model.onnx");
        let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o7777;
        for before in [0o600, 0o640, 0o644, 0o400] {
            fs::write(&path, "before").expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(before)).expect("a mode");
            let mut draft = Draft::of(&path).expect("a draft");
            draft.write_all(b"after").expect("written");
            assert_eq!(mode(draft.path()), before, "not even for a while");
            draft.publish().expect("published");
            assert_eq!((mode(&path), fs::read(&path).expect("a file")), (before, b"after".into()));
            fs::remove_file(&path).expect("removed");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_private_draft_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("state");
        let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o7777;
        for before in [None, Some(0o644)] {
            if let Some(before) = before {
                fs::set_permissions(&path, fs::Permissions::from_mode(before)).expect("a mode");
            }
            let draft = Draft::private(&path).expect("a draft");
            assert_eq!(mode(draft.path()), 0o600, "not even for a while");
            draft.publish().expect("published");
            assert_eq!(mode(&path), 0o600);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_leads_to_the_new_file() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("models")).expect("a folder");
        symlink("models/v1.onnx", path("current")).expect("a link");
        symlink(path("current"), path("model.onnx")).expect("a link");
        // The file may be new.
        for text in ["first", "second"] {
            let mut draft = Draft::of(&path("model.onnx")).expect("a draft");
            draft.write_all(text.as_bytes()).expect("written");
            assert_eq!(draft.path().parent(), Some(&*path("models")), "beside the file");
            draft.publish().expect("published");
            assert_eq!(fs::read_to_string(path("models/v1.onnx")).expect("a file"), text);
        }
        assert_eq!(fs::read_link(path("model.onnx")).expect("a link"), path("current"));
        assert_eq!(fs::read_link(path("current")).expect("a link"), Path::new("models/v1.onnx"));
        assert_eq!(names(&path("models")), ["v1.onnx"]);
        symlink("circle", path("circle")).expect("a link");
        let error = Draft::of(&path("circle")).expect_err("it leads nowhere").to_string();
        assert!(error.contains("lead in a circle"), "{error}");
    }
}
