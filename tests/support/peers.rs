//! The real programs that tests start.

use std::env;
use std::path::{Path, PathBuf};

use super::server::repository;

/// Where the programs are. Each is looked for in `$PORTENT_PEERS`, else in `.peers/usr/bin` of the
/// repository, else on PATH.
#[derive(Debug, Clone)]
pub struct Peers {
    /// `prometheus`, 3 or newer.
    pub prometheus: PathBuf,
    /// `promtool` beside it.
    pub promtool: PathBuf,
    /// `prometheus-node-exporter` (Debian's name) or `node_exporter`.
    pub node_exporter: PathBuf,
    /// `prometheus-alertmanager` (Debian's name) or `alertmanager`.
    pub alertmanager: PathBuf,
    /// `amtool` beside it.
    pub amtool: PathBuf,
}

impl Peers {
    /// Finds them.
    ///
    /// # Panics
    /// When one is missing.
    pub fn find() -> Self {
        let folders = folders();
        Self {
            prometheus: program(&folders, &["prometheus"]),
            promtool: program(&folders, &["promtool"]),
            node_exporter: program(&folders, &["prometheus-node-exporter", "node_exporter"]),
            alertmanager: program(&folders, &["prometheus-alertmanager", "alertmanager"]),
            amtool: program(&folders, &["amtool"]),
        }
    }

    /// `vmagent`, which few tests need.
    ///
    /// # Panics
    /// When it is missing.
    pub fn vmagent() -> PathBuf {
        program(&folders(), &["vmagent"])
    }

    /// `victoria-metrics`, which few tests need.
    ///
    /// # Panics
    /// When it is missing.
    pub fn victoria_metrics() -> PathBuf {
        program(&folders(), &["victoria-metrics"])
    }

    /// `nginx`, which few tests need.
    ///
    /// # Panics
    /// When it is missing.
    pub fn nginx() -> PathBuf {
        program(&folders(), &["nginx"])
    }
}

fn folders() -> Vec<PathBuf> {
    if let Some(chosen) = env::var_os("PORTENT_PEERS").filter(|value| !value.is_empty()) {
        return vec![PathBuf::from(chosen)];
    }
    let own = repository().join(".peers/usr/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    std::iter::once(own).chain(env::split_paths(&path)).collect()
}

fn program(folders: &[PathBuf], names: &[&str]) -> PathBuf {
    folders
        .iter()
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|file| Path::is_file(file))
        .unwrap_or_else(|| panic!("{} is missing: run `make peers`", names.join(" or ")))
}
