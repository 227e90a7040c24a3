//! Actions: commands that the real program runs, and webhooks that it calls, when its own alerts fire; once for each
//! firing, over restarts and reloads, under silences, with the switch, and when the disk fails.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::{
    Call, Hook, Portent, Reaction, RemoteWriter, Reply, Series, http_client, post, wait_until,
    write_sum_of_squares,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything that is waited for may take on a machine that has other work.
const SOON: Duration = Duration::from_secs(60);

const ADMIN: &str = "--web.enable-admin-api";

/// Nothing but what is said elsewhere keeps an action from being run again.
const AT_ONCE: &str =
    "cool_down: 0s, per_entity_interval: 0s, verify_within: 1ms, retry_after: 0s, dry_run: false";

/// A folder for all processes of a test, and hosts that measure.
struct Stage {
    dir: TempDir,
    config: String,
    hosts: Vec<(&'static str, f64)>,
}

impl Stage {
    /// With these actions: each a line of YAML; `SCRIPT` is a command that writes down its argument.
    fn new(actions: &[&str]) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let path = |name: &str| dir.path().join(name).display().to_string();
        fs::write(
            path("script"),
            "echo \"$1\" >> \"$OUT\"\nwhile [ -e \"$HOLD\" ]; do sleep 0.1; done\n",
        )
        .expect("a fresh folder takes a file");
        write_sum_of_squares(&dir, 1);
        let script = format!(
            "command: [/bin/sh, '{}', '{{instance}}'], environment: {{OUT: '{}', HOLD: '{}', PATH: '/usr/bin:/bin'}}",
            path("script"),
            path("out"),
            path("hold")
        );
        let actions: String = actions
            .iter()
            .map(|it| format!("  - {{alerts: [Busy], {}}}\n", it.replace("SCRIPT", &script)))
            .collect();
        let config = format!(
            "global: {{evaluation_interval: 200ms, evaluation_delay: 0s, stale_after: 1h}}\n\
             models:\n- name: square\n  file: {}\n  entity: [instance]\n  step: 200ms\n  threshold: 1\n  \
             features:\n  - name: load\n    expr: avg by (instance) (m_a)\n\
             alerting:\n  fleet_ratio: 1\n  rules:\n  - {{alert: Busy, for: 0s, keep_firing_for: 0s}}\n\
             actions:\n  enabled: true\n  max_per_hour: 100\n  list:\n{actions}",
            path("model.onnx")
        );
        Self { dir, config, hosts: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file in the folder of `--storage.path`.
    fn kept(&self, name: &str) -> PathBuf {
        self.path("data").join(name)
    }

    async fn start(&self, flags: &[&str]) -> Portent {
        let data = format!("--storage.path={}", self.path("data").display());
        let flags: Vec<&str> =
            [&data].into_iter().map(|it| &**it).chain(flags.iter().copied()).collect();
        let portent = Portent::start(&self.config, &flags).await;
        portent.ready().await;
        portent
    }

    /// Has a host measure another value from now on.
    fn set(&mut self, host: &'static str, value: f64) {
        self.hosts.retain(|(it, _)| *it != host);
        self.hosts.push((host, value));
    }

    /// What all hosts measure now.
    async fn push(&self, portent: &Portent) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        let at = i64::try_from(since.as_millis()).expect("a clock before the far future");
        let one = |(host, value): &(&str, f64)| {
            Series::new(&[("__name__", "m_a"), ("instance", host)], &[(at, *value)])
        };
        let series: Vec<Series> = self.hosts.iter().map(one).collect();
        let reply = RemoteWriter::new(portent.url("/api/v1/write")).send(&series).await;
        assert_eq!(reply.status, 204, "{reply:?}");
    }

    /// Waits while hosts go on measuring.
    #[track_caller]
    fn until<T>(
        &self,
        portent: &Portent,
        what: &str,
        mut look: impl AsyncFnMut() -> Result<T, String>,
    ) -> impl Future<Output = T> {
        wait_until(SOON, what, async move || {
            self.push(portent).await;
            look().await
        })
    }

    /// What the script was called with, one after the other.
    fn out(&self) -> String {
        fs::read_to_string(self.path("out")).unwrap_or_default().replace('\n', " ")
    }

    async fn out_is(&self, portent: &Portent, expected: &str) {
        let what = format!("actions at {expected}");
        self.until(portent, &what, async || {
            let out = self.out();
            if out.trim() == expected {
                Ok(())
            } else {
                Err(format!("{out}\n{}", portent.server.log()))
            }
        })
        .await;
    }

    async fn page_has(&self, portent: &Portent, line: &str) {
        self.until(portent, line, async || {
            let page = portent.get("/metrics").await?.body;
            if page.lines().any(|it| it == line) {
                return Ok(());
            }
            let actions: Vec<&str> =
                page.lines().filter(|it| it.starts_with("portent_actions")).collect();
            Err(actions.join("\n"))
        })
        .await;
    }

    /// Waits until a host is among the held back, for this reason.
    async fn is_held_back(&self, portent: &Portent, host: &str, reason: &str) {
        self.until(portent, &format!("{host} is held back: {reason}"), async || {
            let status = status(portent).await;
            let held = status["heldBack"].as_array().expect("a list");
            let is_it = |it: &Value| it["entity"]["instance"] == host && it["reason"] == reason;
            if held.iter().any(is_it) { Ok(()) } else { Err(format!("{status:#}")) }
        })
        .await;
    }

    /// Waits until an outcome at a host is among what is shown; gives its record.
    async fn has_become(&self, portent: &Portent, host: &str, outcome: &str) -> Value {
        self.until(portent, &format!("{outcome} at {host}"), async || {
            let status = status(portent).await;
            let recent = status["recent"].as_array().expect("a list");
            let is_it = |it: &&Value| it["entity"]["instance"] == host && it["outcome"] == outcome;
            recent.iter().find(is_it).cloned().ok_or_else(|| format!("{status:#}"))
        })
        .await
    }

    /// Outcomes in the log, with their hosts.
    fn logged(&self) -> Vec<String> {
        let text = fs::read_to_string(self.kept("actions.log")).expect("a log");
        let line = |it: &str| -> Value { serde_json::from_str(it).expect("a line is JSON") };
        let words = |it: Value| {
            let word = |it: &Value| it.as_str().expect("text").to_owned();
            format!("{} {}", word(&it["outcome"]), word(&it["entity"]["instance"]))
        };
        text.lines().map(line).map(words).collect()
    }
}

async fn status(portent: &Portent) -> Value {
    let reply = portent.get("/api/v1/actions").await.expect("an answer");
    assert_eq!(reply.status, 200, "{reply:?}");
    let answer: Value = serde_json::from_str(&reply.body).expect("JSON");
    assert_eq!(answer["status"], "success", "{answer:#}");
    answer["data"].clone()
}

async fn sent(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    Reply { status, body: response.text().await.expect("a body") }
}

async fn switch(portent: &Portent, to: &str) -> Reply {
    sent(http_client().post(portent.url(&format!("/api/v1/actions/{to}")))).await
}

async fn end(portent: &mut Portent) {
    portent.server.signal("TERM");
    assert!(portent.server.wait_for_end(SOON).await.success(), "{}", portent.server.log());
}

#[tokio::test]
async fn a_real_action_runs_once_for_each_firing_and_over_a_restart() {
    let mut stage = Stage::new(&[&format!("name: note, SCRIPT, {AT_ONCE}")]);
    let mut portent = stage.start(&[]).await;
    stage.set("a", 2.0);
    stage.out_is(&portent, "a").await;
    let record = stage.has_become(&portent, "a", "succeeded").await;
    assert_eq!((&record["exit_code"], &record["command"][2]), (&json!(0), &json!("a")));
    // It was verified, so that nothing but its firing is in the way of another one.
    stage.has_become(&portent, "a", "did_not_help").await;
    stage.set("b", 2.0);
    stage.out_is(&portent, "a b").await;
    stage.has_become(&portent, "b", "did_not_help").await;
    stage.page_has(&portent, r#"portent_actions_total{action="note",outcome="succeeded"} 2"#).await;
    stage.page_has(&portent, "portent_actions_enabled 1").await;
    end(&mut portent).await;

    let portent = stage.start(&[]).await;
    assert_eq!(status(&portent).await["recent"].as_array().map(Vec::len), Some(4));
    stage
        .until(&portent, "their alerts go on", async || {
            let page = portent.get("/metrics").await?.body;
            let is_one = |it: &&str| it.starts_with("anomaly_alerts{");
            let known: Vec<&str> = page.lines().filter(is_one).collect();
            let has =
                |host: &str| known.iter().any(|it| it.contains(&format!("instance=\"{host}\"")));
            if has("a") && has("b") { Ok(()) } else { Err(format!("{known:?}")) }
        })
        .await;
    // Those that fired before are looked at first.
    stage.set("c", 2.0);
    stage.out_is(&portent, "a b c").await;
    stage.set("a", 0.1);
    stage
        .until(&portent, "the alert at a ends", async || {
            let page = portent.get("/metrics").await?.body;
            let goes_on = |it: &str| it.starts_with("anomaly_alerts{") && it.contains("\"a\"");
            if page.lines().any(goes_on) { Err(page) } else { Ok(()) }
        })
        .await;
    stage.set("a", 3.0);
    stage.out_is(&portent, "a b c a").await;
    stage.page_has(&portent, r#"portent_actions_total{action="note",outcome="succeeded"} 2"#).await;
    let mut logged = stage.logged();
    logged.retain(|it| it.starts_with("succeeded"));
    assert_eq!(logged, ["a", "b", "c", "a"].map(|it| format!("succeeded {it}")));
}

#[tokio::test]
async fn a_dry_run_does_nothing_and_what_cannot_begin_holds_others_back() {
    let mut stage = Stage::new(&[
        "name: dry, SCRIPT, cool_down: 0s",
        "name: gone, command: [/nowhere/at/all], dry_run: false, cool_down: 0s",
        "name: other, SCRIPT, dry_run: false, cool_down: 0s",
    ]);
    let portent = stage.start(&[]).await;
    stage.set("a", 2.0);
    let record = stage.has_become(&portent, "a", "dry_run").await;
    assert_eq!(record["command"][2], "a", "{record:#}");
    let record = stage.has_become(&portent, "a", "not_started").await;
    assert!(record["error"].as_str().is_some_and(|it| it.contains("No such file")), "{record:#}");
    stage.is_held_back(&portent, "a", "stopped").await;
    // A name that could be an option.
    stage.set("-b", 2.0);
    let record = stage.has_become(&portent, "-b", "refused").await;
    assert!(
        record["error"].as_str().is_some_and(|it| it.contains("begins with '-'")),
        "{record:#}"
    );
    stage.has_become(&portent, "-b", "not_started").await;
    stage
        .page_has(&portent, r#"portent_actions_total{action="gone",outcome="not_started"} 2"#)
        .await;
    stage
        .page_has(&portent, r#"portent_actions_total{action="other",outcome="succeeded"} 0"#)
        .await;
    assert_eq!(stage.out(), "");
    let log = portent.server.log();
    let told = |it: &&str| it.contains("outcome=dry_run") && it.contains("/bin/sh");
    assert_eq!(log.lines().filter(told).count(), 1, "{log}");
    let shown = status(&portent).await;
    assert_eq!(shown["actions"][0]["environment"]["OUT"], "<secret>", "{shown:#}");
    assert_eq!((&shown["actions"][0]["dry_run"], &shown["kept"]), (&json!(true), &json!(true)));
}

#[tokio::test]
async fn the_switch_stops_further_ones_and_outlives_a_restart() {
    let mut stage = Stage::new(&[&format!("name: note, SCRIPT, {AT_ONCE}")]);
    let mut portent = stage.start(&[ADMIN]).await;
    stage.set("a", 2.0);
    stage.out_is(&portent, "a").await;
    let reply = switch(&portent, "disable").await;
    assert!(reply.status == 200 && reply.body.contains("\"switchedOff\":true"), "{reply:?}");
    stage.page_has(&portent, "portent_actions_enabled 0").await;
    stage.set("b", 2.0);
    stage.is_held_back(&portent, "b", "disabled").await;
    end(&mut portent).await;

    // Nobody may switch it on.
    let mut portent = stage.start(&[]).await;
    assert!(portent.server.log().contains("actions are switched off"));
    for to in ["disable", "enable"] {
        let reply = switch(&portent, to).await;
        assert_eq!(reply.status, 403, "{reply:?}");
        assert!(reply.body.contains("start Portent with --web.enable-admin-api"), "{reply:?}");
    }
    stage.set("c", 2.0);
    stage.is_held_back(&portent, "c", "disabled").await;
    assert_eq!(status(&portent).await["switchedOff"], true);
    end(&mut portent).await;

    let portent = stage.start(&[ADMIN]).await;
    let from_page = http_client().post(portent.url("/api/v1/actions/enable"));
    let reply = sent(from_page.header("origin", "http://example.org")).await;
    assert_eq!(reply.status, 403, "{reply:?}");
    let reply = portent.get("/api/v1/actions/enable").await.expect("an answer");
    assert_eq!((reply.status, &*reply.body), (405, "this path accepts only POST\n"));
    stage.is_held_back(&portent, "c", "disabled").await;
    assert_eq!(stage.out().trim(), "a");
    let reply = switch(&portent, "enable").await;
    assert!(reply.status == 200 && reply.body.contains("\"switchedOff\":false"), "{reply:?}");
    // What was held back is not lost, and what was done is not done again.
    stage.out_is(&portent, "a b c").await;
    assert!(!stage.kept("actions.disabled").exists());
}

#[tokio::test]
async fn nothing_is_done_about_what_is_silenced() {
    let mut stage = Stage::new(&[&format!("name: note, SCRIPT, {AT_ONCE}")]);
    let portent = stage.start(&[ADMIN]).await;
    let silence = json!({
        "matchers": [{"name": "instance", "value": "a", "isRegex": false}],
        "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z",
        "createdBy": "ops", "comment": "a disk is exchanged",
    });
    let reply = sent(http_client().post(portent.url("/api/v2/silences")).json(&silence)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let id: Value = serde_json::from_str(&reply.body).expect("JSON");
    stage.set("a", 2.0);
    stage.is_held_back(&portent, "a", "muted").await;
    stage.set("b", 2.0);
    stage.out_is(&portent, "b").await;
    let url = format!("/api/v2/silence/{}", id["silenceID"].as_str().expect("an id"));
    let reply = sent(http_client().delete(portent.url(&url))).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    stage.out_is(&portent, "b a").await;
}

/// A trouble of all is none that a command at each of them mends.
#[tokio::test]
async fn nothing_is_done_while_the_whole_fleet_is_anomalous() {
    let mut stage = Stage::new(&[&format!("name: note, SCRIPT, {AT_ONCE}")]);
    let others = ["b", "c", "d", "e", "f"];
    let portent = stage.start(&[ADMIN]).await;
    assert_eq!(switch(&portent, "disable").await.status, 200);
    others.iter().for_each(|host| stage.set(host, 0.1));
    stage.set("a", 2.0);
    stage.is_held_back(&portent, "a", "disabled").await;
    others.iter().for_each(|host| stage.set(host, 2.0));
    stage
        .until(&portent, "the fleet's alert", async || {
            let page = portent.get("/metrics").await?.body;
            let of_fleet =
                |it: &str| it.starts_with("anomaly_alerts{") && !it.contains("instance=");
            if page.lines().any(of_fleet) { Ok(()) } else { Err(page) }
        })
        .await;
    assert_eq!(switch(&portent, "enable").await.status, 200);
    stage.is_held_back(&portent, "a", "fleet_alert").await;
    assert_eq!(stage.out(), "");
    others.iter().for_each(|host| stage.set(host, 0.1));
    stage.out_is(&portent, "a").await;
}

#[tokio::test]
async fn what_runs_at_the_end_is_ended_and_not_run_again() {
    let mut stage =
        Stage::new(&["name: note, SCRIPT, dry_run: false, cool_down: 0s, timeout: 10m"]);
    fs::write(stage.path("hold"), "").expect("written");
    let mut portent = stage.start(&[]).await;
    stage.set("a", 2.0);
    stage.out_is(&portent, "a").await;
    stage.page_has(&portent, "portent_actions_running 1").await;
    end(&mut portent).await;
    assert_eq!(stage.logged(), ["interrupted a"]);

    let mut portent = stage.start(&[]).await;
    stage.set("b", 2.0);
    stage.out_is(&portent, "a b").await;
    stage.page_has(&portent, "portent_actions_running 1").await;
    // It has no time to say anything, and its alerts may fire anew.
    portent.server.signal("KILL");
    portent.server.wait_for_end(SOON).await;
    let portent = stage.start(&[]).await;
    assert_eq!(stage.logged(), ["interrupted a", "interrupted b"]);
    for host in ["a", "b"] {
        let record = stage.has_become(&portent, host, "interrupted").await;
        assert_eq!(record["error"].is_string(), host == "b", "{record:#}");
    }
    fs::remove_file(stage.path("hold")).expect("removed");
    stage.set("c", 2.0);
    stage.out_is(&portent, "a b c").await;
}

#[tokio::test]
async fn nothing_is_run_that_could_not_be_remembered() {
    let mut stage = Stage::new(&[&format!("name: note, SCRIPT, {AT_ONCE}")]);
    let mut portent = stage.start(&[]).await;
    stage.set("a", 2.0);
    stage.out_is(&portent, "a").await;
    stage.has_become(&portent, "a", "did_not_help").await;
    // A folder is not replaced by a file.
    let file = stage.kept("actions.json");
    fs::remove_file(&file).expect("removed");
    fs::create_dir(&file).expect("a folder");
    stage.set("b", 2.0);
    stage
        .until(&portent, "it is counted", async || {
            let page = portent.get("/metrics").await?.body;
            let held = r#"portent_actions_held_back_total{action="note",reason="storage"}"#;
            let failed = r#"portent_actions_saves_failed_total{file="memory"}"#;
            let value = |name: &str| {
                let line = page.lines().find_map(|it| it.strip_prefix(name))?;
                line.trim().parse::<f64>().ok()
            };
            let both = [value(held), value(failed)];
            if both.iter().all(|it| it.is_some_and(|it| it > 1.0)) {
                Ok(())
            } else {
                Err(format!("{both:?}"))
            }
        })
        .await;
    assert_eq!(stage.out().trim(), "a");
    let log = portent.server.log();
    assert_eq!(log.matches("cannot record which actions run").count(), 1, "said once: {log}");
    fs::remove_dir(&file).expect("removed");
    stage.out_is(&portent, "a b").await;
    stage.has_become(&portent, "b", "did_not_help").await;
    end(&mut portent).await;

    // Nobody knows what was done.
    fs::write(&file, "half a fi").expect("written");
    let portent = stage.start(&[]).await;
    stage.set("c", 2.0);
    stage.is_held_back(&portent, "c", "disabled").await;
    let log = portent.server.log();
    assert!(log.contains("it is not known which actions were run"), "{log}");
    let aside = fs::read_to_string(stage.kept("actions.json.unreadable"));
    assert_eq!(aside.expect("put aside"), "half a fi");
    assert_eq!(stage.out().trim(), "a b");
}

/// The hosts that a webhook was called about, in the order in which it was.
fn called(hook: &Hook) -> String {
    let host = |it: &Call| it.json()["entity"]["instance"].as_str().unwrap_or("none").to_owned();
    hook.calls().iter().map(host).collect::<Vec<_>>().join(" ")
}

/// Whoever has the secret knows that the body is ours and of which time.
#[track_caller]
fn is_signed(call: &Call, secret: &[u8]) {
    let [id, seconds] = ["webhook-id", "webhook-timestamp"].map(|it| call.header(it));
    let tag = call.header("webhook-signature").strip_prefix("v1,").expect("its version");
    let signed = format!("{id}.{seconds}.{}", call.body);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = STANDARD.decode(tag).expect("base64");
    hmac::verify(&key, signed.as_bytes(), &tag).expect("the signature of the body");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
    let seconds: u64 = seconds.parse().expect("a number");
    assert!(now.abs_diff(seconds) < 2 * SOON.as_secs(), "{seconds} at {now}");
}

#[tokio::test]
async fn a_webhook_is_called_once_and_signed_and_shows_no_secret() {
    let hook = Hook::start().await;
    hook.reacts(Reaction::Answer(201, "queued for Bearer hunter3"));
    let webhook = format!(
        "webhook: {{url: '{}/replace?zone=1', secret: hunter2, http_config: {{authorization: {{credentials: hunter3}}}}}}",
        hook.url
    );
    let mut stage = Stage::new(&[
        &format!("name: replace, {webhook}, {AT_ONCE}"),
        &format!("name: told, {}, cool_down: 0s", webhook.replace("/replace", "/told")),
    ]);
    let mut portent = stage.start(&[]).await;
    stage.set("a", 2.0);
    let record = stage.has_become(&portent, "a", "succeeded").await;
    let call = hook.calls().remove(0);
    assert_eq!(call.path, "/replace?zone=1");
    assert_eq!(call.header("authorization"), "Bearer hunter3");
    assert_eq!(call.header("content-type"), "application/json");
    is_signed(&call, b"hunter2");
    let body = call.json();
    assert_eq!((&body["version"], &body["action"]), (&json!("1"), &json!("replace")), "{body:#}");
    assert_eq!((&body["alert"], &body["model"]), (&json!("Busy"), &json!("square")), "{body:#}");
    assert_eq!(body["entity"], json!({"instance": "a"}), "{body:#}");
    let labels = json!({"alertname": "Busy", "instance": "a", "model": "square"});
    assert_eq!(body["labels"], labels, "{body:#}");
    assert_eq!(body["annotations"]["summary"], "a is anomalous: score 4", "{body:#}");
    assert_eq!((&body["score"], &body["threshold"]), (&json!(4.0), &json!(1.0)), "{body:#}");
    let feature = &body["features"][0];
    assert_eq!((&feature["name"], &feature["actual"]), (&json!("load"), &json!(2.0)), "{body:#}");
    assert_eq!(body["startsAt"], record["fired_at"], "{body:#}");
    assert_eq!(body["attempt"], call.header("webhook-id"), "{body:#}");
    assert_eq!((&record["attempt"], &record["http_status"]), (&body["attempt"], &json!(201)));
    assert_eq!(record["url"], format!("{}/replace?zone=1", hook.url), "{record:#}");
    assert_eq!(record["answer"], "queued for Bearer <secret>", "{record:#}");
    // The other one only says what it would do.
    stage.set("b", 2.0);
    for host in ["a", "b"] {
        let record = stage.has_become(&portent, host, "dry_run").await;
        assert!(record["url"].as_str().is_some_and(|it| it.contains("/told")), "{record:#}");
    }
    stage.has_become(&portent, "b", "did_not_help").await;
    let line = r#"portent_actions_total{action="replace",outcome="succeeded"} 2"#;
    stage.page_has(&portent, line).await;
    let shown = status(&portent).await;
    assert_eq!(shown["actions"][0]["webhook"]["secret"], "<secret>", "{shown:#}");
    let page = portent.get("/metrics").await.expect("a page").body;
    end(&mut portent).await;
    let kept = fs::read_to_string(stage.kept("actions.log")).expect("a log");
    for text in [shown.to_string(), page, kept, portent.server.log()] {
        assert!(!text.contains("hunter"), "{text}");
    }

    // Their alerts go on in another process, which calls about others alone.
    let portent = stage.start(&[]).await;
    stage.set("c", 2.0);
    stage.has_become(&portent, "c", "did_not_help").await;
    assert_eq!(called(&hook), "a b c");
    let ids: std::collections::BTreeSet<_> =
        hook.calls().iter().map(|it| it.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn a_webhook_that_fails_is_not_called_again() {
    let (hook, elsewhere) = (Hook::start().await, Hook::start().await);
    let mut stage = Stage::new(&[&format!(
        "name: replace, webhook: {{url: '{}'}}, timeout: 2s, max_output_bytes: 4B, {AT_ONCE}",
        hook.url
    )]);
    let portent = stage.start(&[]).await;
    hook.reacts(Reaction::Hang);
    stage.set("a", 2.0);
    let record = stage.has_become(&portent, "a", "timed_out").await;
    assert!(record["duration_seconds"].as_f64().is_some_and(|it| it >= 2.0), "{record:#}");
    hook.reacts(Reaction::Answer(500, "no room"));
    stage.set("b", 2.0);
    let record = stage.has_become(&portent, "b", "failed").await;
    assert_eq!((&record["http_status"], &record["answer"]), (&json!(500), &json!("no r\n[more]")));
    hook.reacts(Reaction::Redirect(elsewhere.url.clone()));
    stage.set("c", 2.0);
    let record = stage.has_become(&portent, "c", "failed").await;
    assert_eq!(record["http_status"], 307, "{record:#}");
    hook.reacts(Reaction::Answer(200, ""));
    stage.set("d", 2.0);
    stage.has_become(&portent, "d", "did_not_help").await;
    assert_eq!((&*called(&hook), elsewhere.calls().len()), ("a b c d", 0));
    for (outcome, count) in [("timed_out", 1), ("failed", 2), ("succeeded", 1)] {
        let name = r#"portent_actions_total{action="replace",outcome="#;
        stage.page_has(&portent, &format!("{name}\"{outcome}\"}} {count}")).await;
    }
}

/// Nobody is there; and a host at which that was so is left alone.
#[tokio::test]
async fn a_webhook_that_cannot_be_reached_has_not_begun() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    drop(listener);
    let webhook = format!("webhook: {{url: 'http://{address}'}}");
    let mut stage = Stage::new(&[
        &format!("name: replace, {webhook}, dry_run: false, cool_down: 0s"),
        "name: other, SCRIPT, dry_run: false, cool_down: 0s",
    ]);
    let portent = stage.start(&[]).await;
    stage.set("a", 2.0);
    let record = stage.has_become(&portent, "a", "not_started").await;
    assert!(record["error"].as_str().is_some_and(|it| it.contains("refused")), "{record:#}");
    stage.is_held_back(&portent, "a", "stopped").await;
    assert_eq!(stage.out(), "");
}

/// What hangs at the end is not waited for without bound, and is not called again.
#[tokio::test]
async fn a_webhook_under_way_at_the_end_is_not_called_again() {
    let hook = Hook::start().await;
    hook.reacts(Reaction::Hang);
    let mut stage = Stage::new(&[&format!(
        "name: replace, webhook: {{url: '{}'}}, dry_run: false, cool_down: 0s, timeout: 10m",
        hook.url
    )]);
    let mut portent = stage.start(&[]).await;
    stage.set("a", 2.0);
    stage.page_has(&portent, "portent_actions_running 1").await;
    end(&mut portent).await;
    assert_eq!(stage.logged(), ["interrupted a"]);
    hook.reacts(Reaction::Answer(200, ""));
    let portent = stage.start(&[]).await;
    stage.set("b", 2.0);
    stage.has_become(&portent, "b", "succeeded").await;
    assert_eq!(called(&hook), "a b");
}

/// A reload neither ends nor repeats what runs, even if its action is gone then.
#[tokio::test]
async fn a_reload_while_a_command_runs_leaves_it_alone() {
    let mut stage = Stage::new(&[&format!("name: note, SCRIPT, timeout: 10m, {AT_ONCE}")]);
    fs::write(stage.path("hold"), "").expect("written");
    let portent = stage.start(&["--web.enable-lifecycle"]).await;
    let reload = async |config: &str| {
        fs::write(portent.config_file(), config).expect("written");
        let reply = post(&portent.url("/-/reload")).await.expect("an answer");
        assert_eq!(reply.status, 200, "{reply:?}");
    };
    stage.set("a", 2.0);
    stage.out_is(&portent, "a").await;
    reload(&stage.config.replace("max_per_hour: 100", "max_per_hour: 99")).await;
    // It is still known to run: there is no place for another one.
    stage.set("b", 2.0);
    stage.is_held_back(&portent, "b", "max_concurrent").await;
    assert_eq!(status(&portent).await["running"][0]["entity"]["instance"], "a");
    assert_eq!(stage.out().trim(), "a");
    let without = stage.config.split_once("  list:\n").expect("the list").0.to_owned();
    reload(&format!("{without}  list: []\n")).await;
    stage
        .until(&portent, "there are no actions", async || {
            let status = status(&portent).await;
            match status["actions"].as_array().is_some_and(Vec::is_empty) {
                true => Ok(()),
                false => Err(format!("{status:#}")),
            }
        })
        .await;
    fs::remove_file(stage.path("hold")).expect("removed");
    let record = stage.has_become(&portent, "a", "succeeded").await;
    assert_eq!(record["command"][2], "a", "{record:#}");
    stage.page_has(&portent, "portent_actions_running 0").await;
    reload(&stage.config).await;
    stage.out_is(&portent, "a b").await;
    stage.has_become(&portent, "b", "succeeded").await;
    let mut logged = stage.logged();
    logged.retain(|it| !it.starts_with("did_not_help"));
    assert_eq!(logged, ["succeeded a", "succeeded b"]);
}
