//! Listening: from `--web.listen-address` to a listener.

use anyhow::Context;
use tokio::net::TcpListener;

/// Binds `host:port`; without a host, every address of the machine as Prometheus does.
pub(super) async fn listen(address: &str) -> anyhow::Result<TcpListener> {
    let context = || format!("cannot listen on {address}");
    let Some(port) = address.strip_prefix(':') else {
        return TcpListener::bind(address).await.with_context(context);
    };
    match TcpListener::bind(format!("[::]:{port}")).await {
        Ok(listener) => Ok(listener),
        // A machine without IPv6.
        Err(error) if error.kind() != std::io::ErrorKind::AddrInUse => {
            TcpListener::bind(format!("0.0.0.0:{port}")).await.with_context(context)
        }
        Err(error) => Err(error).with_context(context),
    }
}
