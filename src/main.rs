//! The `portent` program.

use std::process::ExitCode;

/// Memory of hosts that are gone goes back to the system; glibc's allocator keeps most of it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // reqwest is built without a TLS provider; ring needs nothing but a C compiler. The only
    // failure is that one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    portent::cli::run()
}
