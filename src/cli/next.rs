//! The next step: what to do with a model file that was just trained or evaluated.

use std::path::Path;

use super::item::item_of;
use crate::config::Config;

/// How the file comes to be served, as lines for a terminal.
pub(super) fn serving(
    config: &Config,
    config_file: Option<&Path>,
    name: &str,
    model: &Path,
) -> String {
    let named = config_file.map_or("portent.yml".to_owned(), |it| it.display().to_string());
    let serve = format!("`portent serve --config.file {named}`");
    let reload = "SIGHUP, or POST /-/reload with --web.enable-lifecycle";
    if let Ok(Some(_)) = item_of(config, model) {
        return format!(
            "next           {named} names this file: start {serve}, or reload the running one \
             ({reload})\n"
        );
    }
    // What is relative in a configuration is so to that file's folder.
    let path = model.canonicalize().unwrap_or_else(|_| model.to_path_buf());
    let quoted = |text: &str| {
        let text = serde_yaml::to_string(text).unwrap_or_default();
        text.trim_end().to_owned()
    };
    format!(
        "next           to serve it, write into {named}:\n\
         models:\n\
         \x20 - name: {}\n\
         \x20   file: {}\n\
         and start {serve}, or reload the running one ({reload})\n",
        quoted(name),
        quoted(&path.display().to_string())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_can_be_pasted() {
        let dir = tempfile::tempdir().expect("a folder");
        let model = dir.path().join("web: 1.onnx");
        std::fs::write(&model, "").expect("written");
        let text = serving(&Config::default(), None, "on", &model);
        let start = text.find("models:").expect("the lines");
        let end = text.find("and start").expect("what follows");
        let config = Config::parse("pasted", &text[start..end]).expect("a configuration");
        assert_eq!(config.models[0].name, "on");
        let path = model.canonicalize().expect("it is there");
        assert_eq!(config.models[0].file.as_deref(), Some(&*path));
        let text = serving(&config, Some(Path::new("a.yml")), "on", &model);
        assert!(
            text.contains("a.yml names this file: start `portent serve --config.file a.yml`"),
            "{text}"
        );
    }
}
