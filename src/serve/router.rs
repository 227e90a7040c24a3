//! The router: which handler answers which path.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, LOCATION, VARY,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::clock::now_ms;
use super::followers::Desks;
use super::live::Live;
use super::narrator::Witness;
use super::pipeline::{self, Command};
use super::rate_limited_log::RateLimitedLog;
use super::routes::{self, Route, Target};
use super::silences::Ownerless;
use super::{BUILD, Options, landing};
use crate::actions::Driverless;
use crate::api::{self, Endpoint, Look, SilenceCall};
use crate::detect::Snapshot;
use crate::exporter::{self, Exporter, PageFormat, PagesHeld, SharedScores};
use crate::http::{CorsOrigin, Parts, Peer, RequestBody};
use crate::remote_write::{self, InFlight, Permit, Refusal, Unavailable};
use crate::response::{self, response};
use crate::retry::Attempt;
use crate::sample::Batch;
use crate::series::Outcome;

type ServerResponse = Response<Either<Full<Bytes>, Parts>>;

/// How far the program is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Models are being loaded.
    Starting,
    /// Samples are taken and scores given.
    Ready,
    /// Requests are finished, new ones are not for us.
    Stopping,
}

/// Someone who asks for a reload and waits for what became of it.
pub(super) type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// What the handlers know.
#[derive(Debug)]
pub(super) struct Router {
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) live: watch::Receiver<Arc<Live>>,
    pub(super) snapshot: watch::Receiver<Arc<Snapshot>>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) reloads: mpsc::Sender<ReloadRequest>,
    pub(super) exporter: Exporter,
    pub(super) scores: SharedScores,
    pub(super) options: Options,
    pub(super) cors_origin: Option<CorsOrigin>,
    pub(super) desks: Desks,
    pub(super) witness: Witness,
    pub(super) refusals: RateLimitedLog,
}

impl Router {
    /// Answers a request, perhaps of a page of another origin, and what its browser asks before.
    pub(super) async fn answer(self: Arc<Self>, request: Request<RequestBody>) -> ServerResponse {
        let nothing = || text(StatusCode::NOT_FOUND, "there is nothing under this path");
        let path = match api::decode_path(request.uri().path()) {
            Ok(Some(path)) => path,
            Ok(None) => return nothing(),
            Err(reason) => return text(StatusCode::BAD_REQUEST, reason),
        };
        let path = match self.options.routes.route(&path) {
            Route::Own(path) => path,
            Route::Elsewhere(to) => return redirect(StatusCode::FOUND, &to),
            Route::Moved(to) => return redirect(StatusCode::MOVED_PERMANENTLY, &to),
            Route::Unknown => return nothing(),
        };
        let Some((methods, target)) = routes::row(path) else { return nothing() };
        let origins = self.cors_origin.as_ref().filter(|_| matches!(target, Target::Query(_)));
        let cors = origins.map(|it| it.answer(request.headers()));
        let mut answer = match request.method() {
            &Method::OPTIONS if cors.is_some() => no_content(),
            // The receiver counts whom it refuses.
            it if !methods.contains(it) && target != Target::Write => method_not_allowed(methods),
            _ => self.answer_of(target, request).await,
        };
        for (name, value) in cors.iter().flatten() {
            answer.headers_mut().append(name, value.clone());
        }
        answer
    }

    async fn answer_of(&self, target: Target, request: Request<RequestBody>) -> ServerResponse {
        match target {
            Target::Landing => {
                let page = landing::page(BUILD.version, BUILD.revision);
                response(StatusCode::OK, "text/html; charset=utf-8", page).map(Either::Left)
            }
            Target::Metrics => self.metrics(request.headers()).await,
            Target::Healthy => text(StatusCode::OK, "Portent is Healthy."),
            Target::Ready => self.ready(),
            Target::Reload => self.reload().await,
            Target::Write => self.write(request).await,
            Target::Query(endpoint) => self.query(endpoint, request).await,
            Target::Silences(id) => self.silences(id, request).await,
            Target::Actions { off } => self.actions(off, request.headers()).await,
        }
    }

    async fn write(&self, mut request: Request<RequestBody>) -> ServerResponse {
        if let Some(answer) = remote_write::handshake(&request) {
            return answer.map(Either::Left);
        }
        if let Some(peer) = request.extensions().get::<Peer>() {
            let held = InFlight::counted_in(peer.bytes_in_flight());
            request.extensions_mut().insert(held);
        }
        let sender = Witness::sender(request.headers(), request.extensions().get::<Peer>());
        let live = Arc::clone(&self.live.borrow());
        let append = async |batch, permit| self.append(&live, batch, permit).await;
        let (response, refusal) = live.receiver.receive(request, append).await;
        if let Some(sender) = sender.filter(|_| matches!(refusal, None | Some(Refusal::Partial(_))))
        {
            self.witness.taken(sender);
        }
        if let Some(refusal) = refusal {
            let reason = refusal.reason();
            if let Some(suppressed) = self.refusals.pass(reason, now_ms()) {
                tracing::warn!(reason, error = %refusal, suppressed, "a remote-write request was refused");
            }
        }
        response.map(Either::Left)
    }

    async fn append(
        &self,
        live: &Live,
        batch: Batch,
        permit: Permit,
    ) -> Result<Outcome, Unavailable> {
        if *self.phase.borrow() == Phase::Starting {
            return Err(Unavailable::Starting);
        }
        let deadline = Instant::now() + live.config.remote_write.queue_timeout.to_std();
        self.witness.came(&batch);
        let outcome = pipeline::append(&self.commands, (batch, permit), deadline).await?;
        self.witness.became(&outcome);
        Ok(outcome)
    }

    async fn query(&self, endpoint: Endpoint, request: Request<RequestBody>) -> ServerResponse {
        if *self.phase.borrow() == Phase::Starting {
            return api::unavailable().map(Either::Left);
        }
        let live = Arc::clone(&self.live.borrow());
        let look = |look| self.look(look);
        let snapshot = Arc::clone(&self.snapshot.borrow());
        let peer = request.extensions().get::<Peer>().cloned();
        let answer = live.api.answer(endpoint, request, (now_ms(), snapshot), look);
        let left = async {
            match &peer {
                Some(peer) => peer.left().await,
                None => std::future::pending().await,
            }
        };
        // Nobody may be there any more; a query is not worth its place then.
        tokio::select! {
            answer = answer => answer.map(Either::Left),
            () = left => api::canceled().map(Either::Left),
        }
    }

    async fn silences(&self, id: Option<String>, request: Request<RequestBody>) -> ServerResponse {
        if request.method() != Method::GET && !self.options.enable_admin_api {
            return api::admin_api_disabled().map(Either::Left);
        }
        if *self.phase.borrow() == Phase::Starting {
            return api::silences_unavailable().map(Either::Left);
        }
        let body_timeout = self.live.borrow().config.web.body_timeout.to_std();
        let silences = &self.desks.silences;
        let known = || silences.maintenance();
        let answer = match SilenceCall::read(id, request, body_timeout).await {
            Err(answer) => answer,
            Ok(SilenceCall::List(of)) => api::silence_list(&known().silences, &of, now_ms()),
            Ok(SilenceCall::Get(id)) => api::silence_answer(&known().silences, &id, now_ms()),
            Ok(SilenceCall::Set(silence)) => match silences.set(silence).await {
                Ok(Ok(id)) => api::silence_set(&id),
                Ok(Err(error)) => api::silence_refused(&error),
                Err(Ownerless) => api::silences_unavailable(),
            },
            Ok(SilenceCall::Expire(id)) => match silences.expire(id).await {
                Ok(Ok(())) => api::silence_expired(),
                Ok(Err(error)) => api::silence_refused(&error),
                Err(Ownerless) => api::silences_unavailable(),
            },
        };
        answer.map(Either::Left)
    }

    async fn actions(&self, off: Option<bool>, headers: &HeaderMap) -> ServerResponse {
        if off.is_some() && !self.options.enable_admin_api {
            return api::actions_forbidden().map(Either::Left);
        }
        if off.is_some() && api::is_from_page(headers) {
            return api::actions_not_for_pages().map(Either::Left);
        }
        let desk = &self.desks.actions;
        let switched = match off {
            _ if *self.phase.borrow() == Phase::Starting => Err(Driverless),
            None => Ok(Ok(None)),
            Some(off) => desk.switch(off).await,
        };
        let answer = match (switched, desk.status()) {
            (Ok(Ok(warning)), Ok(status)) => {
                api::actions_answer(&status.to_json(), warning.as_deref())
            }
            (Ok(Err(reason)), _) => api::actions_not_switched(&reason),
            (Err(Driverless), _) | (_, Err(Driverless)) => api::actions_unavailable(),
        };
        answer.map(Either::Left)
    }

    /// Hands a look at the pipeline to its owner.
    async fn look(&self, look: Look) -> Result<(), api::Unavailable> {
        self.commands.send(Command::Look(look)).await.map_err(|_| api::Unavailable)
    }

    async fn metrics(&self, headers: &HeaderMap) -> ServerResponse {
        let values =
            |name: HeaderName| headers.get_all(name).into_iter().filter_map(|it| it.to_str().ok());
        let form = PageFormat::of(values(ACCEPT), values(ACCEPT_ENCODING));
        let snapshot = Arc::clone(&self.snapshot.borrow());
        let live = Arc::clone(&self.live.borrow());
        live.receiver.observe();
        exporter::count_maintenance(&self.desks.silences.maintenance(), now_ms());
        let how = (now_ms(), form.gzip);
        let scores = self.scores.text(&snapshot, &live.models, &live.config.exporter, how).await;
        let Ok(scores) = scores.map_err(|PagesHeld| ()) else {
            let reason =
                "pages of former ticks are still being read and hold exporter.max_in_flight_bytes";
            return text(StatusCode::SERVICE_UNAVAILABLE, reason);
        };
        let page = self.exporter.page(&scores, &live.models, form.format);
        let mut response = Response::new(Either::Right(Parts::new(page.parts)));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.format.content_type()));
        headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        if page.is_gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }

    fn ready(&self) -> ServerResponse {
        match *self.phase.borrow() {
            Phase::Starting => text(StatusCode::SERVICE_UNAVAILABLE, "Portent is starting."),
            Phase::Ready => text(StatusCode::OK, "Portent is Ready."),
            Phase::Stopping => text(StatusCode::SERVICE_UNAVAILABLE, "Portent is shutting down."),
        }
    }

    async fn reload(&self) -> ServerResponse {
        if !self.options.enable_lifecycle {
            return text(
                StatusCode::FORBIDDEN,
                "Lifecycle API is not enabled; start Portent with --web.enable-lifecycle.",
            );
        }
        let unavailable = || {
            let again = Attempt::FIRST.retry_after();
            Refusal::Unavailable(Unavailable::Starting).response(again).map(Either::Left)
        };
        if *self.phase.borrow() != Phase::Ready {
            return unavailable();
        }
        let (reply, done) = oneshot::channel();
        if self.reloads.send(reply).await.is_err() {
            return unavailable();
        }
        match done.await {
            Ok(Ok(())) => text(StatusCode::OK, "Configuration reloaded."),
            Ok(Err(reason)) => text(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("failed to reload config: {reason}"),
            ),
            Err(_) => unavailable(),
        }
    }
}

fn text(status: StatusCode, text: impl Into<String>) -> ServerResponse {
    response::text(status, text).map(Either::Left)
}

fn no_content() -> ServerResponse {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn redirect(status: StatusCode, to: &str) -> ServerResponse {
    let mut response = text(status, format!("it is under {to}"));
    if let Ok(value) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, value);
    }
    response
}

fn method_not_allowed(allowed: &[Method]) -> ServerResponse {
    let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
    let names = names.join(", ");
    let mut response =
        text(StatusCode::METHOD_NOT_ALLOWED, format!("this path accepts only {names}"));
    if let Ok(value) = HeaderValue::from_str(&names) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}
