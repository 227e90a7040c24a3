//! Listening: from `--web.listen-address` to a listener, whose requests the router answers.

use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::router::Router;
use crate::http::{self, WebConfig};

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

/// Starts to answer requests: with this it is ended, and then says how many connections it cut off.
pub(super) fn answer_requests(
    listener: TcpListener,
    web: WebConfig,
    router: Arc<Router>,
) -> (oneshot::Sender<()>, JoinHandle<usize>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let routes = router.options.routes.clone();
    let address = listener.local_addr().map(|it| it.to_string()).unwrap_or_default();
    tracing::debug!(
        address,
        "listening; requests are answered with 503 until the models are loaded"
    );
    let vital: http::Vital = Arc::new(move |method, uri| routes.leads_to_vital(method, uri));
    let server = tokio::spawn(async move {
        let handler = move |request| Arc::clone(&router).answer(request);
        http::serve(listener, &web, handler, vital, async { drop(stopped.await) }).await
    });
    (stop, server)
}
