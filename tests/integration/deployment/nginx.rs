//! `examples/nginx.conf` in a real nginx, before a real Portent.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use portent::config::Config;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tempfile::TempDir;

use super::example;
use crate::support::{Peers, Portent, Series, encode, wait_until, write_request};

const NAME: &str = "portent.example.org";

/// A running nginx, ended when it is dropped.
struct Nginx {
    child: Child,
    dir: TempDir,
    address: SocketAddr,
    client: reqwest::Client,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The example with paths and addresses of a test, in what Debian's nginx.conf has around it.
fn configuration(dir: &Path, listen: SocketAddr, portent: &str) -> String {
    let mut site = example("nginx.conf");
    for (from, to) in [
        ("server 127.0.0.1:9847;", format!("server {portent};")),
        ("listen 9443 ssl;", format!("listen {listen} ssl;")),
        ("/etc/nginx/", format!("{}/", dir.display())),
    ] {
        assert!(site.contains(from), "no {from}");
        site = site.replace(from, &to);
    }
    let folders: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|it| format!("{it}_temp_path {}/{it};\n", dir.display()))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {0}/pid;\nerror_log stderr;\nevents {{}}\n\
         http {{\naccess_log off;\n{folders}{site}\n}}\n",
        dir.display()
    )
}

/// A certificate for the example's name, signed by itself, and a user `prometheus`.
fn write_secrets(dir: &Path) -> reqwest::Certificate {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
    let pem = made.cert.pem();
    fs::write(dir.join("portent.crt"), &pem).expect("a fresh folder takes a file");
    fs::write(dir.join("portent.key"), made.signing_key.serialize_pem()).expect("a key");
    fs::write(dir.join("portent.htpasswd"), "prometheus:{PLAIN}secret\n").expect("a password");
    reqwest::Certificate::from_pem(pem.as_bytes()).expect("what was just made")
}

impl Nginx {
    async fn before(portent: &Portent) -> Self {
        let dir = TempDir::with_prefix("portent-nginx-").expect("a temporary folder");
        let certificate = write_secrets(dir.path());
        // nginx cannot have the system pick a port: one that was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("its address");
        drop(free);
        let file = dir.path().join("nginx.conf");
        fs::write(&file, configuration(dir.path(), address, portent.address())).expect("a file");
        let nginx = |test: &[&str]| {
            let mut command = Command::new(Peers::nginx());
            command
                .arg("-p")
                .arg(dir.path())
                .arg("-c")
                .arg(&file)
                .args(["-e", "stderr"])
                .args(test);
            command
        };
        let said = nginx(&["-t"]).output().expect("nginx runs");
        let text = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success() && !text.contains("[warn]"), "{text}");
        let log = fs::File::create(dir.path().join("log")).expect("a log");
        let child = nginx(&[]).stdin(Stdio::null()).stderr(log).spawn().expect("nginx runs");
        // reqwest is built without a provider of its own.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .tls_certs_only([certificate])
            .resolve(NAME, address)
            .build()
            .expect("a client");
        let nginx = Self { child, dir, address, client };
        wait_until(Duration::from_secs(30), "nginx to answer", async || {
            let log = || fs::read_to_string(nginx.dir.path().join("log")).unwrap_or_default();
            let answer = nginx.client.get(nginx.url("/-/healthy")).send().await;
            answer.map_err(|error| format!("{error:?}\n{}", log()))
        })
        .await;
        nginx
    }

    fn url(&self, path: &str) -> String {
        format!("https://{NAME}:{}{path}", self.address.port())
    }

    async fn status(&self, request: reqwest::RequestBuilder) -> u16 {
        request.send().await.unwrap_or_else(|error| panic!("{error:?}")).status().as_u16()
    }

    async fn get(&self, path: &str, password: Option<&str>) -> u16 {
        let request = self.client.get(self.url(path));
        let request = match password {
            Some(password) => request.basic_auth("prometheus", Some(password)),
            None => request,
        };
        self.status(request).await
    }
}

fn remote_write_headers() -> HeaderMap {
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ];
    let header = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    headers.into_iter().map(header).collect()
}

#[tokio::test]
async fn it_asks_for_a_password_and_passes_the_rest_on() {
    let portent = Portent::start("{}", &["--web.enable-lifecycle"]).await;
    portent.ready().await;
    let nginx = Nginx::before(&portent).await;
    assert_eq!(nginx.get("/-/healthy", None).await, 200);
    for path in ["/metrics", "/-/ready", "/api/v1/query?query=1"] {
        assert_eq!(nginx.get(path, None).await, 401, "{path}");
        assert_eq!(nginx.get(path, Some("wrong")).await, 401, "{path}");
        assert_eq!(nginx.get(path, Some("secret")).await, 200, "{path}");
    }
    let push = || {
        let now = UNIX_EPOCH.elapsed().expect("a clock");
        let labels = [("__name__", "node_load1"), ("job", "node")];
        let series = Series::new(&labels, &[(now.as_millis() as i64, 1.0)]);
        let request = nginx.client.post(nginx.url("/api/v1/write"));
        request.headers(remote_write_headers()).body(encode(&write_request(&[series])))
    };
    assert_eq!(nginx.status(push()).await, 401);
    assert_eq!(nginx.status(push().basic_auth("prometheus", Some("secret"))).await, 204);
    // From this host; a reload is for its own loopback.
    let reload = nginx.client.post(nginx.url("/-/reload"));
    assert_eq!(nginx.status(reload.basic_auth("prometheus", Some("secret"))).await, 403);
}

/// The largest body that Portent takes comes through, and Portent's own answers to what takes long.
#[test]
fn its_limits_are_those_of_portent() {
    let config = Config::load(None).expect("what is built in");
    let site = example("nginx.conf");
    let value = |key: &str, unit: &str| -> u64 {
        let line = site.lines().find_map(|it| it.trim().strip_prefix(key));
        let line = line.unwrap_or_else(|| panic!("no {key}"));
        let number = line.trim().trim_end_matches(';').strip_suffix(unit);
        number.and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("{key} {line}"))
    };
    let body = value("client_max_body_size", "m") << 20;
    assert_eq!(body, config.remote_write.max_body_bytes.as_bytes());
    let seconds = |it: portent::duration::Duration| it.to_std().as_secs();
    assert_eq!(value("client_header_timeout", "s"), seconds(config.web.header_timeout));
    assert_eq!(value("client_body_timeout", "s"), seconds(config.web.body_timeout));
    assert!(value("keepalive_timeout", "s") < seconds(config.web.idle_timeout));
    let answers = value("proxy_read_timeout", "s");
    assert!(answers > seconds(config.query.timeout));
    assert!(answers > seconds(config.remote_write.queue_timeout));
}
