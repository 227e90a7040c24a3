//! `examples/compose.yml`, by its structure: images, mounts and ports.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{PORT, accepted, check_config, check_flags, example, say};
use crate::support::repository;

/// What the file uses of the Compose specification, and no more.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Compose {
    name: String,
    services: BTreeMap<String, Service>,
    volumes: BTreeMap<String, Option<BTreeMap<String, String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    image: String,
    build: Option<Build>,
    #[serde(default)]
    command: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    network_mode: String,
    pid: Option<String>,
    restart: String,
    #[serde(default)]
    read_only: bool,
    #[serde(default)]
    cap_drop: Vec<String>,
    #[serde(default)]
    security_opt: Vec<String>,
    volumes: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    context: String,
    dockerfile: String,
}

fn compose() -> Compose {
    serde_yaml::from_str(&example("compose.yml")).expect("what the types above say")
}

/// The port of the flag that says where a service listens.
fn port(service: &Service) -> Option<u16> {
    let address = service.command.iter().find_map(|it| it.strip_prefix("--web.listen-address="))?;
    address.strip_prefix("127.0.0.1:").expect("on this host alone").parse().ok()
}

#[test]
fn every_service_is_there_and_listens_where_the_others_look() {
    let compose = compose();
    assert_eq!(compose.name, "portent");
    let ports: BTreeMap<&str, Option<u16>> =
        compose.services.iter().map(|(name, it)| (name.as_str(), port(it))).collect();
    let expected = [
        ("alertmanager", Some(9093)),
        ("grafana", None),
        ("node_exporter", Some(9100)),
        ("portent", Some(PORT)),
        ("prometheus", Some(9090)),
    ];
    assert_eq!(ports, BTreeMap::from(expected));
    assert_eq!(compose.services["grafana"].environment["GF_SERVER_HTTP_ADDR"], "127.0.0.1");
    // One network: the addresses in the mounted files are those of the flags.
    assert!(compose.services.values().all(|it| it.network_mode == "host"));
    assert_eq!(compose.services["node_exporter"].pid.as_deref(), Some("host"));
    assert!(compose.services.values().all(|it| it.restart == "unless-stopped"));
    let prometheus = example("prometheus.yml");
    for port in ports.iter().filter(|it| *it.0 != "prometheus").filter_map(|it| *it.1) {
        assert!(prometheus.contains(&format!("localhost:{port}")), "{port}");
    }
    let sources = example("grafana/provisioning/datasources/prometheus.yml");
    assert!(sources.contains("localhost:9090") && sources.contains(&format!("localhost:{PORT}")));
}

#[test]
fn images_are_pinned_and_one_is_built() {
    for (name, service) in compose().services {
        let (_, tag) = service.image.rsplit_once(':').unwrap_or_else(|| panic!("{name}: no tag"));
        let version = tag.trim_start_matches('v');
        let is_pinned = version.split('.').count() == 3
            && version.split('.').all(|it| it.parse::<u32>().is_ok());
        assert!(is_pinned, "{name}: {tag}");
        assert_eq!(service.build.is_some(), name == "portent");
        if let Some(build) = service.build {
            assert_eq!(tag, env!("CARGO_PKG_VERSION"));
            let context = repository().join("examples").join(build.context);
            assert!(context.join("Cargo.toml").is_file());
            assert!(context.join(build.dockerfile).is_file());
        }
    }
}

#[test]
fn every_mount_is_there() {
    let compose = compose();
    let mut used = Vec::new();
    for mount in compose.services.values().flat_map(|it| &it.volumes) {
        let parts: Vec<&str> = mount.split(':').collect();
        let [source, target] = parts[..2] else { panic!("{mount}") };
        assert!(target.starts_with('/'), "{mount}");
        if source.starts_with("./") {
            assert!(repository().join("examples").join(source).exists(), "{mount}");
            assert_eq!(parts[2..], ["ro"], "{mount}");
        } else if source != "/" {
            used.push(source);
        }
    }
    used.sort_unstable();
    assert_eq!(used, compose.volumes.keys().collect::<Vec<_>>());
    // Where the mounted files look for others.
    let targets: Vec<&str> = compose
        .services
        .values()
        .flat_map(|it| &it.volumes)
        .filter_map(|it| it.split(':').nth(1))
        .collect();
    assert!(example("prometheus.yml").contains("rule_files: [rules/"));
    assert!(targets.contains(&"/etc/prometheus/rules"));
    let dashboards = example("grafana/provisioning/dashboards/portent.yml");
    let path = dashboards.lines().find_map(|it| it.trim().strip_prefix("path: "));
    assert!(targets.contains(&path.expect("a path")), "{targets:?}");
}

#[test]
fn portent_is_told_what_it_knows_and_may_nothing() {
    let compose = compose();
    let portent = &compose.services["portent"];
    check_flags(&portent.command.iter().map(String::as_str).collect::<Vec<_>>());
    check_config(&repository().join("examples/portent.yml"));
    assert!(portent.read_only);
    assert_eq!(portent.cap_drop, ["ALL"]);
    assert_eq!(portent.security_opt, ["no-new-privileges"]);
}

#[test]
fn docker_accepts_it_where_there_is_one() {
    let has_compose = std::process::Command::new("docker").args(["compose", "version"]).output();
    if has_compose.is_ok_and(|it| it.status.success()) {
        let arguments = ["compose", "-f", "examples/compose.yml", "config", "--quiet"];
        accepted("docker", &arguments).expect("it was there a moment ago");
    } else {
        say("no `docker compose` here: examples/compose.yml is checked by its structure alone");
    }
}
