//! The `portent` program.

use std::process::ExitCode;

/// Says to ONNX Runtime that it is not to send anything home.
const NO_TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";

/// Memory of hosts that are gone goes back to the system; glibc's allocator keeps most of it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    #[cfg(unix)]
    without_telemetry();
    // reqwest is built without a TLS provider; ring needs nothing but a C compiler. The only
    // failure is that one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    portent::cli::run()
}

/// Starts the program once more in its own place, with [`NO_TELEMETRY`], unless the environment says already
/// what is wanted. ONNX Runtime asks for it while it is loaded, which is before its interface can be told;
/// and to change the environment of a process that runs is not safe.
#[cfg(unix)]
fn without_telemetry() {
    use std::os::unix::process::CommandExt as _;

    if std::env::var_os(NO_TELEMETRY).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut command = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    // Comes back only when it fails, as where the file is no longer there: then all goes on here.
    let _ = command.args(arguments).env(NO_TELEMETRY, "1").exec();
}
