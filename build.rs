//! Compiles `proto/` into Rust. protox does the work of protoc, so nothing has to be installed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = ["prometheus/remote_write.proto", "onnx/onnx.proto", "portent/state.proto"];
    let descriptors = protox::compile(files, ["proto"])?;
    // `Bytes` for the weights of a model: they are sliced, never copied.
    prost_build::Config::new().bytes([".onnx"]).compile_fds(descriptors)?;
    println!("cargo:rustc-env=PORTENT_REVISION={}", revision());
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
