//! A child process that serves HTTP: started, found ready, and killed on drop.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::client::get;
use super::wait::wait_until;

/// How long a server may take to be ready: a debug build on a machine full of compilers.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How much of a log a failure shows: the end, where the reason is.
const LOG_TAIL_LINES: usize = 40;

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A running server with its folder and its log.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    child: Child,
    dir: TempDir,
    address: String,
}

impl Server {
    /// Starts `command`, which must say in its log `listening ... address=HOST:PORT`, and
    /// waits until `ready` answers 200. `dir` holds what it reads and writes; its log goes there too.
    ///
    /// # Panics
    /// With the log, when it ends or is not ready in time.
    pub async fn start(name: &'static str, command: Command, dir: TempDir, ready: &str) -> Self {
        let child = spawn(name, command, &dir);
        let mut server = Self { name, child, dir, address: String::new() };
        server.becomes_ready(ready).await;
        server
    }

    /// Starts it again in its folder, as [`Server::start`] does, once it has ended; its log begins
    /// anew.
    ///
    /// # Panics
    /// As [`Server::start`].
    pub async fn restart(&mut self, command: Command, ready: &str) {
        // A stopped one would never end by itself, and two would share the folder.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.child = spawn(self.name, command, &self.dir);
        self.becomes_ready(ready).await;
    }

    async fn becomes_ready(&mut self, ready: &str) {
        self.address = self.find_address().await;
        let url = self.url(ready);
        wait_until(START_LIMIT, &format!("{} to be ready", self.name), async || {
            self.must_run();
            match get(&url).await {
                Ok(reply) if reply.status == 200 => Ok(()),
                other => Err(format!("{other:?}\n{}", self.log_tail())),
            }
        })
        .await;
    }

    async fn find_address(&mut self) -> String {
        let what = format!("{} to say where it listens", self.name);
        wait_until(START_LIMIT, &what, async || {
            self.must_run();
            listening_address(&self.log()).ok_or_else(|| self.log_tail())
        })
        .await
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A URL of this server; `path` starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The folder that dies with it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// All that it has printed.
    pub fn log(&self) -> String {
        // Lossy: a log that is cut in the middle of a character is still a log.
        fs::read(log_file(&self.dir))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The end of its log, under a heading.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
        format!("--- log of {} ---\n{}", self.name, tail.join("\n"))
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name, such as `TERM` or `HUP`.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args(["-s", signal, &self.child.id().to_string()])
            .status()
            .expect("kill is on every Unix");
        assert!(status.success(), "kill -s {signal} of {}", self.name);
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// With the log, when it still runs after `limit`.
    pub async fn wait_for_end(&mut self, limit: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            let tail = self.log_tail();
            assert!(start.elapsed() < limit, "{} still runs after {limit:?}\n{tail}", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[track_caller]
    fn must_run(&mut self) {
        if let Some(status) = self.ended() {
            panic!("{} ended with {status}\n{}", self.name, self.log_tail());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(name: &str, mut command: Command, dir: &TempDir) -> Child {
    let log = File::create(log_file(dir)).expect("its own folder takes a file");
    let stdout = log.try_clone().expect("a log can be shared");
    command
        .current_dir(repository())
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{name} does not start: {error}"))
}

fn log_file(dir: &TempDir) -> PathBuf {
    dir.path().join("log")
}

/// The address in the first line that says `listening` and names a port that is not 0.
fn listening_address(log: &str) -> Option<String> {
    // The last line may be half written: a port cut short would be a wrong port.
    let whole = &log[..=log.rfind('\n')?];
    whole
        .lines()
        .filter(|line| line.to_lowercase().contains("listening"))
        .filter_map(|line| line.split_once("address="))
        .map(|(_, rest)| rest.split_whitespace().next().unwrap_or("").trim_matches('"'))
        .find(|address| !address.ends_with(":0") && address.contains(':'))
        .map(str::to_owned)
}
