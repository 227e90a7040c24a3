//! Compiles `proto/` into Rust. protox does the work of protoc, so nothing has to be installed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = [
        "prometheus/remote_write.proto",
        "prometheus/remote_write_v2.proto",
        "onnx/onnx.proto",
        "portent/state.proto",
    ];
    let descriptors = protox::compile(files, ["proto"])?;
    // `Bytes` for the weights of a model: they are sliced, never copied.
    prost_build::Config::new().bytes([".onnx"]).compile_fds(descriptors)?;
    println!("cargo:rustc-env=PORTENT_REVISION={}", revision());
    println!("cargo:rustc-env=PORTENT_BUILD_DATE={}", build_date());
    println!("cargo:rustc-env=PORTENT_RUSTC={}", rustc_version());
    println!("cargo:rustc-env=PORTENT_PLATFORM={}", platform());
    Ok(())
}

/// The short commit that this build was made from, or `unknown` outside a git checkout.
fn revision() -> String {
    // Naming a file that is not there would rebuild at every call.
    for path in [".git/HEAD", ".git/refs/heads"] {
        if std::path::Path::new(path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    std::process::Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// When this is built, as Prometheus writes it. A clock would make each build another file: it is known only
/// where `SOURCE_DATE_EPOCH` says it.
/// Source: <https://reproducible-builds.org/specs/source-date-epoch/>.
fn build_date() -> String {
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let seconds = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|it| it.parse::<u64>().ok());
    let Some(seconds) = seconds else { return "unknown".to_owned() };
    let mut days = seconds / 86_400;
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (day, hour, minute, second) =
        (days + 1, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year}{month:02}{day:02}-{hour:02}:{minute:02}:{second:02}")
}

/// The compiler's version.
fn rustc_version() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = std::process::Command::new(rustc).arg("--version").output().ok();
    let text = output.and_then(|it| String::from_utf8(it.stdout).ok()).unwrap_or_default();
    text.split_whitespace().nth(1).unwrap_or("unknown").to_owned()
}

/// For which system and processor, in Prometheus's words.
fn platform() -> String {
    let of = |key: &str| std::env::var(key).unwrap_or_default();
    let processor = match of("CARGO_CFG_TARGET_ARCH").as_str() {
        "x86_64" => "amd64".to_owned(),
        "aarch64" => "arm64".to_owned(),
        other => other.to_owned(),
    };
    let system = match of("CARGO_CFG_TARGET_OS").as_str() {
        "macos" => "darwin".to_owned(),
        other => other.to_owned(),
    };
    format!("{system}/{processor}")
}
