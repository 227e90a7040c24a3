//! The `portent` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    // reqwest is built without a TLS provider; ring needs nothing but a C compiler. The only
    // failure is that one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    portent::cli::run()
}
