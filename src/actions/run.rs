//! A run of a command: from its beginning until nothing of it is left.
//!
//! In: a program by its absolute path, arguments, folder, environment, how long and how much. Out: how it ended
//! and the beginning of what it wrote. There is no shell and no search for programs, nothing of this process's
//! environment, nothing to read, and no file that this process has opened.
//!
//! **Its end.** The command leads a process group of its own. When it has not ended in time the group is sent
//! SIGTERM, and SIGKILL after [`GRACE`]. When it has ended, by itself or not, what is left of its group is sent
//! SIGKILL before its number is given back, so that nobody else is ever hit: what a command leaves to run in the
//! background does not outlive it. A process that makes a session of its own (`setsid`) is out of reach.
//!
//! **Its output** is read to the end, whatever it writes: what is more than the limit is thrown away, so that it
//! neither fills memory nor makes the command wait for ever.
//!
//! A run that is told to stop ends its group as if its time were up; one that is dropped kills it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// From SIGTERM to SIGKILL.
pub const GRACE: Duration = Duration::from_secs(5);

/// How long output may take that is still under way when the command has ended: of a process that is out of
/// reach it would never end.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// How long the system may take to end what was sent SIGKILL. A process that waits for a broken disk does not
/// end; it is left to be.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// How often it is looked whether a command has ended.
const LOOK: Duration = Duration::from_millis(20);

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// The program, by its absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Where.
    pub working_directory: PathBuf,
    /// All of its environment.
    pub environment: BTreeMap<String, String>,
    /// How long it may take.
    pub timeout: Duration,
    /// What is kept of each of its two outputs, in bytes.
    pub max_output_bytes: usize,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandEnding {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal.
    Killed(i32),
    /// It took too long.
    TimedOut,
    /// It was told to stop.
    Interrupted,
    /// It did not begin.
    NotStarted(String),
}

/// What a command wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandOutput {
    /// Its beginning; what is no UTF-8 is replaced.
    pub text: String,
    /// Bytes that are not in it.
    pub dropped_bytes: u64,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandResult {
    /// How it ended.
    pub ending: CommandEnding,
    /// Its standard output.
    pub stdout: CommandOutput,
    /// What it said of errors.
    pub stderr: CommandOutput,
    /// From its beginning until nothing of it was left.
    pub took: Duration,
}

impl CommandEnding {
    /// Whether it is what was wanted.
    #[must_use]
    pub fn is_success(&self) -> bool {
        *self == Self::Exited(0)
    }
}

/// Runs a command until nothing of it is left; it is ended when `stop` is.
pub async fn run(line: &CommandLine, stop: impl Future<Output = ()>) -> CommandResult {
    let begun = Instant::now();
    let mut outputs = [Capture::new(line.max_output_bytes), Capture::new(line.max_output_bytes)];
    let ending = match begin(line) {
        Ok((mut child, group)) => {
            let [stdout, stderr] = &mut outputs;
            let (out, err) = (child.stdout.take(), child.stderr.take());
            let mut reading = pin!(async { tokio::join!(stdout.read(out), stderr.read(err)) });
            let mut is_read = false;
            let mut waiting = pin!(group.end(line.timeout, stop));
            let early = loop {
                tokio::select! {
                    early = &mut waiting => break early,
                    _ = &mut reading, if !is_read => is_read = true,
                }
            };
            if !is_read {
                let _ = timeout(LAST_OUTPUT, reading).await;
            }
            let ended = timeout(LAST_WAIT, child.wait()).await;
            early.unwrap_or_else(|| match ended {
                Ok(Ok(status)) => ending(status),
                Ok(Err(error)) => {
                    CommandEnding::NotStarted(format!("cannot be waited for: {error}"))
                }
                Err(_) => CommandEnding::TimedOut,
            })
        }
        Err(error) => CommandEnding::NotStarted(error.to_string()),
    };
    let [stdout, stderr] = outputs.map(Capture::finish);
    CommandResult { ending, stdout, stderr, took: begun.elapsed() }
}

fn begin(line: &CommandLine) -> std::io::Result<(Child, Group)> {
    let child = Command::new(&line.program)
        .args(&line.arguments)
        .current_dir(&line.working_directory)
        .env_clear()
        .envs(&line.environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let leader = child.id().and_then(|it| Pid::from_raw(it.cast_signed()));
    let leader = leader.ok_or_else(|| std::io::Error::other("it has no number"))?;
    Ok((child, Group { leader, is_over: false }))
}

#[cfg(unix)]
fn ending(status: ExitStatus) -> CommandEnding {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => CommandEnding::Exited(code),
        (None, signal) => CommandEnding::Killed(signal.unwrap_or_default()),
    }
}

/// The processes of a command. The leader is not waited for before it is over, so that its number stays its own.
struct Group {
    leader: Pid,
    is_over: bool,
}

impl Group {
    /// Waits until the leader has ended, and ends the others. Says why, if it did not end by itself.
    async fn end(
        mut self,
        limit: Duration,
        stop: impl Future<Output = ()>,
    ) -> Option<CommandEnding> {
        let early = tokio::select! {
            ended = timeout(limit, self.leader_ends()) => ended.err().map(|_| CommandEnding::TimedOut),
            () = stop => Some(CommandEnding::Interrupted),
        };
        if early.is_some() {
            self.send(Signal::TERM);
            let _ = timeout(GRACE, self.leader_ends()).await;
        }
        self.send(Signal::KILL);
        let _ = timeout(LAST_WAIT, self.leader_ends()).await;
        self.is_over = true;
        early
    }

    async fn leader_ends(&self) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        // An error is that there is no such child: then there is nothing to wait for.
        while let Ok(None) = waitid(WaitId::Pid(self.leader), options) {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A group of which all have ended cannot be sent anything, which is as well.
    fn send(&self, signal: Signal) {
        let _ = kill_process_group(self.leader, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_over {
            self.send(Signal::KILL);
        }
    }
}

/// The beginning of what is written.
struct Capture {
    bytes: Vec<u8>,
    limit: usize,
    dropped: u64,
}

impl Capture {
    fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, dropped: 0 }
    }

    /// Reads to the end; an error is the end, too.
    async fn read(&mut self, from: Option<impl AsyncRead + Unpin>) {
        let Some(mut from) = from else { return };
        // As much as a pipe holds.
        let mut piece = vec![0; 64 << 10];
        while let Ok(count) = from.read(&mut piece).await
            && count > 0
        {
            let kept = count.min(self.limit - self.bytes.len());
            self.bytes.extend_from_slice(&piece[..kept]);
            self.dropped += (count - kept) as u64;
        }
    }

    fn finish(self) -> CommandOutput {
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        CommandOutput { text, dropped_bytes: self.dropped }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// One that nobody stops.
    async fn run(line: &CommandLine) -> CommandResult {
        super::run(line, std::future::pending()).await
    }

    fn line(script: &str) -> CommandLine {
        CommandLine {
            program: PathBuf::from("/bin/sh"),
            arguments: ["-c", script].map(str::to_owned).to_vec(),
            working_directory: PathBuf::from("/"),
            environment: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            // Long enough for a busy machine.
            timeout: Duration::from_secs(60),
            max_output_bytes: 1 << 10,
        }
    }

    fn is_alive(pid: &str) -> bool {
        // One that nobody has waited for yet is dead, too.
        let status = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        status.is_ok_and(|it| !it.rsplit(") ").next().is_some_and(|it| it.starts_with(['Z', 'X'])))
    }

    async fn gone(pid: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while is_alive(pid) {
            assert!(Instant::now() < deadline, "{pid} lives");
            tokio::time::sleep(LOOK).await;
        }
    }

    #[tokio::test]
    async fn it_ends_as_the_command_does() {
        let result = run(&line("echo out; echo err >&2; exit 3")).await;
        assert_eq!(result.ending, CommandEnding::Exited(3));
        assert_eq!((&*result.stdout.text, &*result.stderr.text), ("out\n", "err\n"));
        assert!(run(&line("true")).await.ending.is_success());
        assert_eq!(run(&line("kill -9 $$")).await.ending, CommandEnding::Killed(9));
        let result = run(&line("printf 'a\\377b'")).await;
        assert_eq!(result.stdout.text, "a\u{fffd}b");
    }

    #[tokio::test]
    async fn it_has_what_it_is_given_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().canonicalize().expect("a folder");
        let env = CommandLine {
            program: PathBuf::from("/usr/bin/env"),
            arguments: Vec::new(),
            environment: BTreeMap::from([("A".to_owned(), "b c".to_owned())]),
            ..line("")
        };
        assert_eq!(run(&env).await.stdout.text, "A=b c\n");
        let file = fs::File::create(folder.join("ours")).expect("a file");
        let script = "pwd; cat; ls -l /proc/self/fd | grep ours";
        let here = CommandLine { working_directory: folder.clone(), ..line(script) };
        assert_eq!(run(&here).await.stdout.text, format!("{}\n", folder.display()));
        drop(file);
        fs::remove_file(folder.join("ours")).expect("removed");
        // No shell: an argument is what it is.
        let odd = "$(touch x); `touch x` 'a' \"b\" *";
        let printf = CommandLine {
            program: PathBuf::from("/usr/bin/printf"),
            arguments: vec!["%s".to_owned(), odd.to_owned()],
            working_directory: folder.clone(),
            ..line("")
        };
        assert_eq!(run(&printf).await.stdout.text, odd);
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 0);
    }

    #[tokio::test]
    async fn what_does_not_exist_does_not_begin() {
        for (program, folder, why) in [
            ("/nowhere/at/all", "/", "No such file"),
            ("/bin/sh", "/nowhere", "No such file"),
            ("/etc/passwd", "/", "denied"),
        ] {
            let (program, working_directory) = (program.into(), folder.into());
            let result = run(&CommandLine { program, working_directory, ..line("true") }).await;
            let CommandEnding::NotStarted(reason) = result.ending else {
                panic!("{:?}", result.ending);
            };
            assert!(reason.contains(why), "{reason}");
        }
    }

    #[tokio::test]
    async fn what_never_ends_is_ended() {
        let short = |script| CommandLine { timeout: Duration::from_secs(2), ..line(script) };
        let result = run(&short("trap 'echo end; exit' TERM; while :; do sleep 0.1; done")).await;
        assert_eq!((result.ending, &*result.stdout.text), (CommandEnding::TimedOut, "end\n"));
        // Whoever does not listen is killed.
        let result = run(&short("trap '' TERM; echo $$; while :; do sleep 1; done")).await;
        assert_eq!(result.ending, CommandEnding::TimedOut);
        assert!(result.took >= GRACE, "{:?}", result.took);
        gone(&result.stdout.text).await;
    }

    #[tokio::test]
    async fn what_is_to_stop_is_asked_first() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("begun");
        let script = format!(
            "trap 'echo end; exit' TERM; touch {}; while :; do sleep 0.1; done",
            file.display()
        );
        let begun = async {
            while !file.exists() {
                tokio::time::sleep(LOOK).await;
            }
        };
        let result = super::run(&line(&script), begun).await;
        assert_eq!((result.ending, &*result.stdout.text), (CommandEnding::Interrupted, "end\n"));
    }

    #[tokio::test]
    async fn gigabytes_are_thrown_away() {
        // As much as it can in a second, to the end; and five megabytes that do not keep it waiting.
        let endless = CommandLine { timeout: Duration::from_secs(1), ..line("yes") };
        let result = run(&endless).await;
        assert_eq!(result.ending, CommandEnding::TimedOut);
        assert_eq!(result.stdout.text.len(), 1 << 10);
        assert!(result.stdout.dropped_bytes > 1 << 20, "{}", result.stdout.dropped_bytes);
        let result = run(&line("head -c 5000000 /dev/zero >&2; echo done")).await;
        assert_eq!(result.ending, CommandEnding::Exited(0));
        assert_eq!(
            (&*result.stdout.text, result.stderr.dropped_bytes),
            ("done\n", 5_000_000 - 1024)
        );
    }

    /// Also those whose parent is gone, and with the output still in their hands.
    #[tokio::test]
    async fn what_it_forks_is_dead_afterwards() {
        let result = run(&line("sleep 1000 & echo $!; (sleep 1000 & echo $!)")).await;
        assert_eq!(result.ending, CommandEnding::Exited(0));
        let pids: Vec<&str> = result.stdout.text.lines().collect();
        assert_eq!(pids.len(), 2);
        for pid in pids {
            gone(pid).await;
        }
        let timeout = Duration::from_millis(500);
        let result = run(&CommandLine { timeout, ..line("sleep 1000 & echo $!; wait") }).await;
        assert_eq!(result.ending, CommandEnding::TimedOut);
        gone(&result.stdout.text).await;
    }

    /// One with a session of its own is out of reach, and keeps nobody waiting.
    #[tokio::test]
    async fn what_runs_away_does_not_hold_the_end_up() {
        let result = run(&line("setsid sleep 1000 & echo $!; sleep 0.5")).await;
        assert_eq!(result.ending, CommandEnding::Exited(0));
        let pid = result.stdout.text.trim().parse().ok().and_then(Pid::from_raw);
        let _ = rustix::process::kill_process(pid.expect("a number"), Signal::KILL);
    }

    #[tokio::test]
    async fn a_run_that_is_dropped_is_killed() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("pid");
        let script = format!("echo $$ > {0}.new; mv {0}.new {0}; sleep 1000", file.display());
        let line = line(&script);
        let mut running = Box::pin(run(&line));
        let pid = loop {
            let _ = timeout(LOOK, &mut running).await;
            if let Ok(pid) = fs::read_to_string(Path::new(&file)) {
                break pid;
            }
        };
        assert!(is_alive(&pid));
        drop(running);
        gone(&pid).await;
    }
}
