//! Load on this machine by child processes of the test: plain shell, so that nothing is installed.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;

/// Work that some host always has: turns of computing, short programs and small synced writes, with pauses
/// between them. Half a minute of many turns and one of few follow each other, which is longer than the features
/// look back: so normal has a width, and a little more of anything is not unusual.
const EVERYDAY: &str = r#"
turn() {
    i=0
    while [ $i -lt 100000 ]; do i=$((i + 1)); done
    i=0
    while [ $i -lt 50 ]; do echo | cat >/dev/null; i=$((i + 1)); done
    dd if=/dev/zero of="$1" bs=65536 count=32 conv=fsync 2>/dev/null
    sleep $2
}
while :; do
    for pause in 0 1 0 0 1 0 0 1 0 1 0 0 1 0 1 0 0 1 0 0 1 0 0 1 0 1; do turn "$1" $pause; done
    for pause in 2 3 2 4 3 2 4; do turn "$1" $pause; done
done"#;

/// Computes without end.
const COMPUTE: &str = "while :; do :; done";

/// Writes and syncs without end, over the same file.
const WRITE: &str =
    r#"while :; do dd if=/dev/zero of="$1" bs=1048576 count=32 conv=fsync 2>/dev/null; done"#;

/// Running load; ends when it is dropped.
#[derive(Debug)]
pub struct Load {
    children: Vec<Child>,
}

impl Load {
    /// Everyday work. `dir` is on the disk that is to be seen.
    pub fn everyday(dir: &Path) -> Self {
        let file = dir.join("everyday");
        Self { children: vec![shell(EVERYDAY, &file)] }
    }

    /// More computing processes than there are CPUs, and two that write as fast as the disk takes it.
    pub fn pressure(dir: &Path) -> Self {
        let cpus = available_parallelism().map_or(2, usize::from);
        let computing = (0..3 * cpus).map(|_| shell(COMPUTE, dir));
        let writing = (0..2).map(|i| shell(WRITE, &dir.join(format!("pressure-{i}"))));
        Self { children: computing.chain(writing).collect() }
    }

    /// The processes still run: a load that has ended would make the test say something else.
    pub fn must_run(&mut self) {
        for child in &mut self.children {
            let ended = child.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "a load process ended with {ended:?}");
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn shell(script: &str, argument: &Path) -> Child {
    Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(argument)
        .stdin(Stdio::null())
        .spawn()
        .expect("sh is on every Unix")
}
