//! `make demo` does what it says: it shows scores, ends what it started, and says which port is taken.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{Peers, repository};

/// How long ten seconds of looking back may take on a machine that is busy.
const FIRST_SCORE: Duration = Duration::from_secs(120);

/// Portent ends within five seconds of its signal; the others at once.
const END: Duration = Duration::from_secs(15);

/// The example's own model in a hurry: it looks back two minutes and is evaluated every minute, the
/// built-in one looks back twelve, and here it is ten seconds and every second.
fn write_hurried_config(dir: &TempDir) -> PathBuf {
    let example = repository().join("examples/bring-your-own-model");
    let config = fs::read_to_string(example.join("portent.yml")).expect("the example");
    let model = format!("file: {}", example.join("autoencoder.onnx").display());
    let places = [("[2m]", "[10s]"), ("step: 1m", "step: 1s"), ("file: autoencoder.onnx", &model)];
    let config = places.iter().fold(config, |config, (slow, hurried)| {
        assert!(config.contains(slow), "{slow} in {config}");
        config.replace(slow, hurried)
    });
    let file = dir.path().join("portent.yml");
    fs::write(&file, config).expect("a fresh folder takes a file");
    file
}

/// The script with three ports and a configuration in its environment.
fn demo(ports: [u16; 3], config: &Path) -> Command {
    Peers::find();
    let mut command = Command::new("examples/demo.sh");
    command
        .current_dir(repository())
        .env("PORTENT", env!("CARGO_BIN_EXE_portent"))
        .env("PROMETHEUS_PORT", ports[0].to_string())
        .env("NODE_EXPORTER_PORT", ports[1].to_string())
        .env("PORTENT_PORT", ports[2].to_string())
        .env("DEMO_INTERVAL", "1")
        // Should this test be killed, the demo still ends.
        .env("DEMO_SECONDS", "300")
        .env("PORTENT_CONFIG", config)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Three ports that were free a moment ago, below those that the system gives to who asks for any:
/// such a one another test could get in between.
fn free_ports() -> [u16; 3] {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 100) as u16 * 100;
    [(); 3].map(|()| {
        loop {
            let port = first + TRIED.fetch_add(1, Relaxed) % 100;
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return port;
            }
        }
    })
}

/// Lines of the demo until one has a score.
fn read_until_score(child: &mut Child) -> Vec<String> {
    let stdout = child.stdout.take().expect("piped");
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let deadline = Instant::now() + FIRST_SCORE;
    let mut lines = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left) {
            Ok(line) => lines.push(line),
            Err(error) => {
                let _ = child.kill();
                let mut said = String::new();
                let stderr = child.stderr.as_mut().expect("piped");
                let _ = stderr.read_to_string(&mut said);
                panic!("no score: {error}\n{}\n{said}", lines.join("\n"));
            }
        }
        // `12:34:56  localhost:9100 0.42`
        let last = lines.last().map_or("", String::as_str);
        let score = last.rsplit(' ').next().and_then(|word| word.parse::<f64>().ok());
        if last.contains("localhost:") && score.is_some() {
            return lines;
        }
    }
}

#[test]
fn the_demo_shows_scores_and_ends_what_it_started() {
    let ports = free_ports();
    let dir = TempDir::new().expect("a temporary folder");
    let mut child = demo(ports, &write_hurried_config(&dir)).spawn().expect("sh runs");
    let lines = read_until_score(&mut child);
    for port in ports {
        let address = format!("http://localhost:{port}");
        assert!(lines.iter().any(|line| line.contains(&address)), "{address} in {lines:?}");
    }

    let status = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status();
    assert!(status.expect("kill is on every Unix").success());
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be asked") {
            break status;
        }
        assert!(start.elapsed() < END, "the demo still runs {END:?} after SIGTERM");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(status.code(), Some(143), "ended by the signal");
    for port in ports {
        let connection = TcpStream::connect(("127.0.0.1", port));
        assert!(connection.is_err(), "something still listens on {port}");
    }
}

#[test]
fn the_demo_says_which_port_is_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = listener.local_addr().expect("an address").port();
    // Something that takes connections and does not speak HTTP.
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let [prometheus, node_exporter, _] = free_ports();
    let dir = TempDir::new().expect("a temporary folder");
    let config = write_hurried_config(&dir);
    let output = demo([prometheus, node_exporter, taken], &config).output().expect("sh runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let sentence = format!("demo: port {taken} is taken; choose another one by PORTENT_PORT\n");
    assert_eq!(said, sentence);
}
