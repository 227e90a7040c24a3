//! Silences over HTTP, as Alertmanager has them: set, listed, kept over a restart and a reload, ended; by plain
//! requests and by the real `amtool`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use crate::support::{Peers, Portent, Reply, http_client, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything that is waited for may take here.
const SOON: Duration = Duration::from_secs(60);

const ADMIN: &str = "--web.enable-admin-api";

fn silence(instance: &str) -> Value {
    json!({
        "matchers": [{"name": "instance", "value": instance, "isRegex": false, "isEqual": true}],
        "startsAt": "2020-01-01T00:00:00Z",
        "endsAt": "2099-01-01T00:00:00Z",
        "createdBy": "ops",
        "comment": "a disk is exchanged",
    })
}

async fn reply(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    Reply { status, body: response.text().await.expect("a body") }
}

async fn set(portent: &Portent, silence: &Value) -> Reply {
    reply(http_client().post(portent.url("/api/v2/silences")).json(silence)).await
}

async fn expire(portent: &Portent, id: &str) -> Reply {
    reply(http_client().delete(portent.url(&format!("/api/v2/silence/{id}")))).await
}

/// Id and state of each.
async fn list(portent: &Portent) -> Vec<(String, String)> {
    let page = portent.get("/api/v2/silences").await.expect("an answer");
    assert_eq!(page.status, 200, "{page:?}");
    let list: Vec<Value> = serde_json::from_str(&page.body).expect("a list");
    let text = |it: &Value| it.as_str().expect("text").to_owned();
    list.iter().map(|it| (text(&it["id"]), text(&it["status"]["state"]))).collect()
}

async fn page_has(portent: &Portent, wanted: &[&str]) {
    wait_until(SOON, "the page", async || {
        let page = portent.get("/metrics").await?.body;
        let has_all = wanted.iter().all(|it| page.contains(&format!("{it}\n")));
        if has_all { Ok(()) } else { Err(page) }
    })
    .await;
}

fn pair(id: &str, state: &str) -> (String, String) {
    (id.to_owned(), state.to_owned())
}

/// A silence is there until somebody ends it, whatever happens to the process.
#[tokio::test]
async fn silences_outlive_a_restart_and_a_reload() {
    let dir = TempDir::new().expect("a temporary folder");
    let data = format!("--storage.path={}", dir.path().display());
    let config = "alerting:\n  max_silences: 2\n";
    let mut portent = Portent::start(config, &[ADMIN, &data]).await;
    portent.ready().await;
    let reply = set(&portent, &silence("a")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let id = serde_json::from_str::<Value>(&reply.body).expect("JSON")["silenceID"].clone();
    let id = id.as_str().expect("an id").to_owned();
    assert_eq!((id.len(), id.as_bytes()[14]), (36, b'4'), "{id}");
    assert_eq!(list(&portent).await, [pair(&id, "active")]);
    page_has(&portent, &["portent_silences{state=\"active\"} 1"]).await;
    portent.server.signal("TERM");
    assert!(portent.server.wait_for_end(SOON).await.success());

    let portent = Portent::start(config, &[ADMIN, &data, "--web.enable-lifecycle"]).await;
    portent.ready().await;
    assert_eq!(list(&portent).await, [pair(&id, "active")]);
    let window =
        "  maintenance_windows:\n  - name: always\n    weekly: {weekdays: ['monday:sunday']}\n";
    fs::write(portent.config_file(), format!("{config}{window}")).expect("written");
    let reloaded = crate::support::post(&portent.url("/-/reload")).await.expect("an answer");
    assert_eq!(reloaded.status, 200, "{reloaded:?}");
    let open = "portent_maintenance_windows_open 1";
    page_has(&portent, &[open, "portent_silences{state=\"active\"} 1"]).await;

    let mut later = silence("b");
    later["startsAt"] = json!("2098-01-01T00:00:00Z");
    assert_eq!(set(&portent, &later).await.status, 200);
    let full = set(&portent, &silence("c")).await;
    assert_eq!(full.status, 503, "{full:?}");
    assert!(full.body.contains("as many as alerting.max_silences allows"), "{full:?}");
    let ended = expire(&portent, &id).await;
    assert_eq!(ended.status, 200, "{ended:?}");
    let found = list(&portent).await;
    assert_eq!(found[0].1, "pending");
    assert_eq!(found[1..], [pair(&id, "expired")]);
    let states = ["active\"} 0", "pending\"} 1", "expired\"} 1"];
    page_has(
        &portent,
        &states.map(|it| format!("portent_silences{{state=\"{it}")).each_ref().map(|it| &**it),
    )
    .await;
    let one = portent.get(&format!("/api/v2/silence/{id}")).await.expect("an answer");
    assert!(one.status == 200 && one.body.contains("a disk is exchanged"), "{one:?}");
    let unknown = expire(&portent, "7").await;
    assert_eq!((unknown.status, &*unknown.body), (404, r#""there is no silence \"7\"""#));
}

#[tokio::test]
async fn nothing_is_set_unless_it_is_allowed_and_can_be_meant() {
    let dir = TempDir::new().expect("a temporary folder");
    let file = dir.path().join("silences.json");
    fs::write(&file, "half a fi").expect("written");
    let data = format!("--storage.path={}", dir.path().display());
    let portent = Portent::start("{}", &[&data]).await;
    portent.ready().await;
    let log = portent.server.log();
    assert!(log.contains("cannot read the silences"), "{log}");
    let aside = fs::read_to_string(dir.path().join("silences.json.unreadable"));
    assert_eq!(aside.expect("put aside"), "half a fi");
    let forbidden = set(&portent, &silence("a")).await;
    assert_eq!(forbidden.status, 403);
    assert!(forbidden.body.contains("start Portent with --web.enable-admin-api"), "{forbidden:?}");
    assert_eq!(expire(&portent, "7").await.status, 403);
    assert_eq!(list(&portent).await, []);
    drop(portent);

    let portent = Portent::start("{}", &[ADMIN]).await;
    portent.ready().await;
    let mut everything = silence("");
    everything["matchers"][0]["isRegex"] = json!(true);
    for (bad, reason) in [
        (everything, "at least one matcher must not match the empty string"),
        (json!({"matchers": []}), "this is not a silence: missing field"),
    ] {
        let refused = set(&portent, &bad).await;
        assert!(refused.status == 400 && refused.body.contains(reason), "{refused:?}");
    }
    let put = reply(http_client().put(portent.url("/api/v2/silences"))).await;
    assert_eq!((put.status, &*put.body), (405, "this path accepts only GET, POST\n"));
    assert_eq!(list(&portent).await, []);
}

fn amtool(portent: &Portent, arguments: &[&str]) -> Output {
    let url = format!("--alertmanager.url=http://{}", portent.address());
    let output = Command::new(Peers::find().amtool)
        .args(["silence", &url])
        .args(arguments)
        .env("HOME", Path::new("/nonexistent"))
        .output();
    output.expect("amtool runs")
}

#[track_caller]
fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[tokio::test]
async fn amtool_feels_at_home() {
    let portent = Portent::start("{}", &[ADMIN]).await;
    portent.ready().await;
    let add = ["add", "--duration=2h", "--author=ops", "--comment=a new disk"];
    let of_web =
        [&add[..], &["alertname=HostAnomalous", "instance=~web-.*", "job!=batch"]].concat();
    let id = said(&amtool(&portent, &of_web));
    let other = said(&amtool(&portent, &[&add[..], &["instance=db-1"]].concat()));
    assert_eq!(list(&portent).await, [pair(&id, "active"), pair(&other, "active")]);

    let found = said(&amtool(&portent, &["query", "alertname=HostAnomalous"]));
    for word in [&*id, "instance=~\"web-.*\"", "job!=\"batch\"", "ops", "a new disk"] {
        assert!(found.contains(word), "{word} in {found}");
    }
    assert!(!found.contains(&other), "{found}");
    assert_eq!(said(&amtool(&portent, &["query", "-q", "instance=db-1"])), other);

    // Longer under the same id.
    let updated = said(&amtool(&portent, &["update", "--duration=5h", "--comment=two disks", &id]));
    assert!(updated.contains(&id) && updated.contains("two disks"), "{updated}");
    // What one Alertmanager has, or the file of Portent, another takes.
    let exported = said(&amtool(&portent, &["query", "-o", "json"]));
    let file = portent.server.dir().join("exported.json");
    fs::write(&file, exported).expect("written");
    for id in [&id, &other] {
        said(&amtool(&portent, &["expire", id]));
    }
    assert_eq!(said(&amtool(&portent, &["query", "-q"])), "");
    let expired = said(&amtool(&portent, &["query", "-q", "--expired"]));
    assert!(expired.contains(&id) && expired.contains(&other), "{expired}");
    said(&amtool(&portent, &["import", file.to_str().expect("text")]));
    assert_eq!(said(&amtool(&portent, &["query", "-q"])).lines().count(), 2);

    let refused = amtool(&portent, &[&add[..], &["instance=~.*"]].concat());
    let reason = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success(), "{reason}");
    assert!(reason.contains("must not match the empty string"), "{reason}");
}
