//! A real vmagent.

use std::fs;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::peers::Peers;
use super::server::repository;

/// A running vmagent with an empty queue of its own, ended when it is dropped.
#[derive(Debug)]
pub struct Vmagent {
    child: Child,
    dir: TempDir,
}

impl Drop for Vmagent {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Vmagent {
    /// Starts it with a configuration of scrapes, and the flags that are made of the path of its file.
    pub fn start(config: &str, flags: impl FnOnce(&str) -> Vec<String>) -> Self {
        let dir = TempDir::with_prefix("portent-vmagent-").expect("a temporary folder");
        let file = dir.path().join("vmagent.yml");
        fs::write(&file, config).expect("a fresh folder takes a file");
        let log = fs::File::create(dir.path().join("log")).expect("a log");
        let child = Command::new(Peers::vmagent())
            .args(flags(file.to_str().expect("a path of a test")))
            .args(["-httpListenAddr=", "-remoteWrite.tmpDataPath"])
            .arg(dir.path().join("queue"))
            .current_dir(repository())
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("vmagent runs");
        Self { child, dir }
    }

    /// All that it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}
