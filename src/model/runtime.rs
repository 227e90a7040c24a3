//! The ONNX Runtime library: where it is looked for, and what is said when it is nowhere.
//!
//! In: the configured path, if any. Out: the path of a file that exists. Loading it is the scorer's
//! part. A build with the feature `bundled` has the library linked in and looks for nothing.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Where `make onnxruntime` puts the library, beneath the repository.
const LOCAL_DIR: &str = ".onnxruntime/onnxruntime/capi";

/// Where whoever has nothing but this program gets the library.
const RELEASES: &str = "https://github.com/microsoft/onnxruntime/releases";

/// The file there that holds it, for this system and processor.
const RELEASE: &str = if cfg!(target_os = "windows") {
    "onnxruntime-win-x64-VERSION.zip"
} else if cfg!(target_os = "macos") {
    "onnxruntime-osx-arm64-VERSION.tgz"
} else if cfg!(target_arch = "aarch64") {
    "onnxruntime-linux-aarch64-VERSION.tgz"
} else {
    "onnxruntime-linux-x64-VERSION.tgz"
};

/// How many directories above the executable may be the repository: the executable is in
/// `target/release`, tests are in `target/debug/deps`.
const LEVELS_ABOVE_EXECUTABLE: usize = 4;

/// Where packages put libraries; first of all Portent's own, which has the version it was tested with.
const SYSTEM_DIRS: [&str; 8] = [
    "/usr/lib/portent",
    "/usr/local/lib",
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/opt/onnxruntime/lib",
    "/opt/homebrew/lib",
];

/// Why there is no ONNX Runtime.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The one place that was named does not have it.
    #[error(
        "{source_of_path} names {path}, which is not there; correct it, or remove it to search"
    )]
    NotThere {
        /// The configuration key or environment variable.
        source_of_path: &'static str,
        /// What it names.
        path: PathBuf,
    },
    /// Searched without result.
    #[error(
        "ONNX Runtime's library ({name}) was not found. Download {RELEASE} (1.20 or newer) from {RELEASES}, take \
         {name} out of its folder lib, and put it beside the program, or name it in `onnxruntime.library` of \
         the configuration or in $ORT_DYLIB_PATH; the Python package onnxruntime holds it as well, and in \
         Portent's source `make onnxruntime` gets it. Searched: {places}"
    )]
    NotFound {
        /// The file name that was looked for.
        name: &'static str,
        /// The places tried.
        places: String,
    },
    /// Found, but it cannot be loaded.
    #[error(
        "cannot load {path}: {reason}; it must be the library of ONNX Runtime 1.20 or newer for this processor, \
         as {RELEASES} has it in {RELEASE}"
    )]
    Load {
        /// The file.
        path: PathBuf,
        /// The loader's own words.
        reason: String,
    },
    /// Loaded, but it would not start.
    #[error("ONNX Runtime does not start: {0}")]
    Start(String),
}

/// Finds the library.
///
/// The order: the configured path, `$ORT_DYLIB_PATH`, the executable's directory, where
/// `make onnxruntime` puts it (beneath the working directory or a directory above the executable),
/// the system's library directories. A path that somebody named is used or refused, never passed
/// over.
///
/// # Errors
/// When a named path is not there, and when nothing is found.
pub(super) fn find(configured: Option<&Path>) -> Result<PathBuf, RuntimeError> {
    let variable = std::env::var_os("ORT_DYLIB_PATH").filter(|value| !value.is_empty());
    let executable = std::env::current_exe().ok();
    let executable_dir = executable.as_deref().and_then(Path::parent);
    find_in(configured, variable.as_deref().map(Path::new), &places(executable_dir))
}

fn find_in(
    configured: Option<&Path>,
    variable: Option<&Path>,
    places: &[PathBuf],
) -> Result<PathBuf, RuntimeError> {
    let named = [("onnxruntime.library", configured), ("$ORT_DYLIB_PATH", variable)];
    for (source_of_path, path) in named {
        let Some(path) = path else { continue };
        if path.is_file() {
            return Ok(path.to_path_buf());
        }
        return Err(RuntimeError::NotThere { source_of_path, path: path.to_path_buf() });
    }
    if let Some(found) = places.iter().find_map(|place| library_in(place)) {
        return Ok(found);
    }
    let mut texts = String::new();
    for (i, place) in places.iter().enumerate() {
        let separator = if i == 0 { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(texts, "{separator}{}", place.display());
    }
    Err(RuntimeError::NotFound { name: library_name(), places: texts })
}

fn places(executable_dir: Option<&Path>) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = executable_dir.map(Path::to_path_buf).into_iter().collect();
    places.push(PathBuf::from(LOCAL_DIR));
    let above = executable_dir.into_iter().flat_map(Path::ancestors);
    // The directory of the executable itself is the first ancestor.
    places.extend(above.take(LEVELS_ABOVE_EXECUTABLE).map(|dir| dir.join(LOCAL_DIR)));
    places.extend(SYSTEM_DIRS.map(PathBuf::from));
    places
}

/// The library in a directory; the last by name where there are several versions.
fn library_in(dir: &Path) -> Option<PathBuf> {
    let is_library = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(is_library_name) && path.is_file()
    };
    let entries = std::fs::read_dir(dir).ok()?;
    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_library).max()
}

/// `libonnxruntime.so`, `libonnxruntime.so.1.32.0`, `libonnxruntime.1.31.1.dylib`,
/// `onnxruntime.dll`; not `libonnxruntime_providers_shared.so`.
fn is_library_name(name: &str) -> bool {
    if cfg!(target_os = "windows") {
        name == "onnxruntime.dll"
    } else if cfg!(target_os = "macos") {
        name.starts_with("libonnxruntime.") && name.ends_with(".dylib")
    } else {
        name.starts_with("libonnxruntime.so")
    }
}

fn library_name() -> &'static str {
    if cfg!(target_os = "windows") {
        "onnxruntime.dll"
    } else if cfg!(target_os = "macos") {
        "libonnxruntime.dylib"
    } else {
        "libonnxruntime.so"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(dir: &Path, name: &str) -> PathBuf {
        std::fs::create_dir_all(dir).expect("a directory");
        let path = dir.join(name);
        std::fs::write(&path, b"").expect("a file");
        path
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_named_goes_before_what_is_searched() {
        let dir = tempfile::tempdir().expect("a directory");
        let searched = install(&dir.path().join("lib"), "libonnxruntime.so.1.32.0");
        install(&dir.path().join("lib"), "libonnxruntime_providers_shared.so");
        let named = install(dir.path(), "a.so");
        let variable = install(dir.path(), "b.so");
        let places = [dir.path().join("none"), dir.path().join("lib")];
        let find = |configured: Option<&Path>, variable: Option<&Path>| {
            find_in(configured, variable, &places)
        };
        assert_eq!(find(Some(&named), Some(&variable)).expect("it"), named);
        assert_eq!(find(None, Some(&variable)).expect("it"), variable);
        assert_eq!(find(None, None).expect("it"), searched);
        let absent = dir.path().join("absent.so");
        let error = find(None, Some(&absent)).expect_err("not there");
        assert!(error.to_string().contains("$ORT_DYLIB_PATH names"), "{error}");
    }

    #[test]
    fn nothing_found_tells_where_and_what_to_do() {
        let places = [PathBuf::from("/nowhere/a"), PathBuf::from("/nowhere/b")];
        let error = find_in(None, None, &places).expect_err("nowhere");
        let text = error.to_string();
        assert!(text.contains("/nowhere/a, /nowhere/b"), "{text}");
        assert!(text.contains("make onnxruntime") && text.contains("$ORT_DYLIB_PATH"), "{text}");
        assert!(text.contains(RELEASES) && text.contains("-VERSION."), "{text}");
    }

    #[test]
    fn the_repository_above_a_test_is_searched() {
        let places = places(Some(Path::new("/repo/target/debug/deps")));
        let expected = Path::new("/repo").join(LOCAL_DIR);
        assert!(places.contains(&expected), "{places:?}");
        assert_eq!(places[0], Path::new("/repo/target/debug/deps"));
    }
}
