//! Outputs: whether what a command is to write can be written, before it works for hours.

use std::path::Path;

use anyhow::{Context, anyhow};

use super::{ExitResult, Failure};
use crate::files::Draft;

/// Refuses files that could not be written, each under its flag.
pub(super) fn check(outputs: &[(&str, Option<&Path>)]) -> ExitResult {
    let given = || outputs.iter().filter_map(|(flag, path)| Some((*flag, (*path)?)));
    for (at, (flag, path)) in given().enumerate() {
        if let Some((other, _)) = given().take(at).find(|it| it.1 == path) {
            let text = format!("{other} and {flag} both write {}", path.display());
            return Err(Failure::Wrong(anyhow!(text)));
        }
        writable(path).map_err(|failure| match failure {
            Failure::Wrong(error) => Failure::Wrong(error.context(flag.to_owned())),
            Failure::Failed(error) => Failure::Failed(error.context(flag.to_owned())),
        })?;
    }
    Ok(())
}

fn writable(path: &Path) -> ExitResult {
    let wrong = |text: String| Err(Failure::Wrong(anyhow!(text)));
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() {
        return wrong(format!(
            "cannot write {}: it is a folder, name a file in it",
            path.display()
        ));
    }
    if !folder.is_dir() {
        let (path, folder) = (path.display(), folder.display());
        return wrong(format!("cannot write {path}: there is no folder {folder}; make it first"));
    }
    // One that is not published leaves nothing.
    let draft = Draft::of(path).with_context(|| format!("cannot write {}", path.display()));
    draft.map(drop).map_err(Failure::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_wrong(outputs: &[(&str, Option<&Path>)], expected: &str) {
        let Err(Failure::Wrong(error)) = check(outputs) else { panic!("{outputs:?} passes") };
        let text = format!("{error:#}");
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn what_cannot_be_written_is_said_before_the_work() {
        let dir = tempfile::tempdir().expect("a folder");
        let (file, nowhere) = (dir.path().join("a.html"), dir.path().join("none/a.html"));
        assert!(check(&[("--output", Some(&file)), ("--report", None)]).is_ok());
        assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 0);
        check_wrong(&[("--report", Some(dir.path()))], "it is a folder");
        check_wrong(&[("--report", Some(&nowhere))], "--report: cannot write");
        check_wrong(&[("--report", Some(&nowhere))], "there is no folder");
        let twice = [("--output", Some(&*file)), ("--report", Some(&file))];
        check_wrong(&twice, "--output and --report both write");
    }
}
