//! `examples/kubernetes`, read into types that know what the files use and nothing else, and held
//! against the program.

use std::collections::BTreeMap;
use std::fs;

use portent::config::Config;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{PORT, check_flags, example};
use crate::support::{Portent, repository};

type Labels = BTreeMap<String, String>;

/// What all resources have in common.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Resource<Spec> {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: Option<String>,
    labels: Labels,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ConfigMap {
    api_version: String,
    kind: String,
    metadata: Metadata,
    data: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deployment {
    replicas: u32,
    strategy: Strategy,
    selector: Selector,
    template: Template,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Strategy {
    r#type: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Selector {
    match_labels: Labels,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    metadata: Metadata,
    spec: Pod,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Pod {
    automount_service_account_token: bool,
    termination_grace_period_seconds: u64,
    security_context: PodSecurity,
    containers: Vec<Container>,
    volumes: Vec<Volume>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PodSecurity {
    run_as_non_root: bool,
    run_as_user: u32,
    run_as_group: u32,
    fs_group: u32,
    seccomp_profile: Strategy,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Container {
    name: String,
    image: String,
    args: Vec<String>,
    ports: Vec<ContainerPort>,
    startup_probe: Probe,
    liveness_probe: Probe,
    readiness_probe: Probe,
    resources: Resources,
    security_context: ContainerSecurity,
    volume_mounts: Vec<Mount>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ContainerPort {
    name: String,
    container_port: u16,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Probe {
    http_get: HttpGet,
    period_seconds: u32,
    timeout_seconds: Option<u32>,
    failure_threshold: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpGet {
    path: String,
    port: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resources {
    requests: BTreeMap<String, String>,
    limits: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ContainerSecurity {
    allow_privilege_escalation: bool,
    read_only_root_filesystem: bool,
    capabilities: Capabilities,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Capabilities {
    drop: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Mount {
    name: String,
    mount_path: String,
    #[serde(default)]
    read_only: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Volume {
    name: String,
    config_map: Option<Named>,
    empty_dir: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    selector: Labels,
    ports: Vec<ServicePort>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ServicePort {
    name: String,
    port: u16,
    target_port: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceMonitor {
    selector: Selector,
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Endpoint {
    port: String,
    interval: String,
    honor_labels: bool,
}

#[track_caller]
fn read<T: DeserializeOwned>(file: &str) -> T {
    serde_yaml::from_str(&example(&format!("kubernetes/{file}")))
        .unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[track_caller]
fn resource<Spec: DeserializeOwned>(file: &str, api_version: &str, kind: &str) -> Resource<Spec> {
    let found: Resource<Spec> = read(file);
    assert_eq!((found.api_version.as_str(), found.kind.as_str()), (api_version, kind));
    assert_eq!(found.metadata.name.as_deref(), Some("portent"));
    found
}

fn deployment() -> Resource<Deployment> {
    resource("deployment.yml", "apps/v1", "Deployment")
}

fn config() -> String {
    let map: ConfigMap = read("configmap.yml");
    assert_eq!((map.api_version.as_str(), map.kind.as_str()), ("v1", "ConfigMap"));
    assert_eq!(map.metadata.name.as_deref(), Some("portent"));
    map.data["portent.yml"].clone()
}

#[test]
fn there_is_no_file_that_nothing_reads() {
    let folder = fs::read_dir(repository().join("examples/kubernetes")).expect("the folder");
    let mut names: Vec<_> = folder.map(|it| it.expect("a file").file_name()).collect();
    names.sort_unstable();
    assert_eq!(names, ["configmap.yml", "deployment.yml", "service.yml", "servicemonitor.yml"]);
}

#[test]
fn the_parts_find_one_another() {
    let deployment = deployment();
    let pod = &deployment.spec.template;
    let labels = &pod.metadata.labels;
    assert_eq!(&deployment.spec.selector.match_labels, labels);
    assert!(pod.metadata.name.is_none(), "many pods, one name");
    let service: Resource<Service> = resource("service.yml", "v1", "Service");
    assert_eq!(&service.spec.selector, labels);
    let monitor: Resource<ServiceMonitor> =
        resource("servicemonitor.yml", "monitoring.coreos.com/v1", "ServiceMonitor");
    assert_eq!(monitor.spec.selector.match_labels, service.metadata.labels);
    let [container] = pod.spec.containers.as_slice() else { panic!("{pod:?}") };
    assert_eq!(container.name, "portent");
    let [port] = container.ports.as_slice() else { panic!("{container:?}") };
    let [outer] = service.spec.ports.as_slice() else { panic!("{service:?}") };
    let [endpoint] = monitor.spec.endpoints.as_slice() else { panic!("{monitor:?}") };
    assert_eq!((port.container_port, outer.port), (PORT, PORT));
    assert_eq!((&outer.target_port, &endpoint.port), (&port.name, &outer.name));
    assert!(endpoint.honor_labels, "a score keeps the labels of its host");
    assert_eq!(endpoint.interval, "15s");
    // The configuration is where the program looks for it.
    let [volume, data] = pod.spec.volumes.as_slice() else { panic!("{pod:?}") };
    let [mount, kept] = container.volume_mounts.as_slice() else { panic!("{container:?}") };
    let name = volume.config_map.as_ref().map(|it| it.name.as_str());
    assert_eq!((&volume.name, name), (&mount.name, Some("portent")));
    assert!(mount.read_only);
    let file = format!("--config.file={}/portent.yml", mount.mount_path);
    assert!(container.args.contains(&file), "{:?}", container.args);
    // What it learns is where the program keeps it, and the program's user may write there.
    assert!(data.name == kept.name && data.empty_dir.is_some() && !kept.read_only, "{data:?}");
    let path = format!("--storage.path={}", kept.mount_path);
    assert!(container.args.contains(&path), "{:?}", container.args);
    assert_eq!(pod.spec.security_context.fs_group, pod.spec.security_context.run_as_group);
    check_flags(&container.args.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn there_is_one_and_it_may_nothing() {
    let deployment = deployment().spec;
    assert_eq!((deployment.replicas, deployment.strategy.r#type.as_str()), (1, "Recreate"));
    let pod = deployment.template.spec;
    assert!(!pod.automount_service_account_token);
    let security = pod.security_context;
    assert!(security.run_as_non_root);
    assert_eq!(security.seccomp_profile.r#type, "RuntimeDefault");
    let user = format!("USER {}:{}\n", security.run_as_user, security.run_as_group);
    assert!(example("Dockerfile").contains(&user), "the image's user is another");
    let container = &pod.containers[0];
    assert_eq!(container.image, concat!("portent:", env!("CARGO_PKG_VERSION")));
    assert!(!container.security_context.allow_privilege_escalation);
    assert!(container.security_context.read_only_root_filesystem);
    assert_eq!(container.security_context.capabilities.drop, ["ALL"]);
}

#[test]
fn its_memory_is_that_of_the_configuration() {
    let config = Config::parse("configmap.yml", &config()).expect("a good configuration");
    let deployment = deployment();
    let pod = deployment.spec.template.spec;
    let resources = &pod.containers[0].resources;
    assert!(resources.requests.contains_key("cpu") && resources.requests.contains_key("memory"));
    let limit = resources.limits["memory"].strip_suffix("Gi").expect("a size in Gi");
    let limit = limit.parse::<u64>().expect("a number") << 30;
    assert_eq!(config.storage.max_bytes.as_bytes() * 2, limit);
    let grace = config.web.shutdown_timeout.to_std().as_secs();
    assert!(pod.termination_grace_period_seconds > grace);
}

/// What the probes ask, a Portent with this configuration answers, before any sample has come: a Service
/// sends nothing to a pod that is not ready.
#[tokio::test]
async fn the_probes_are_answered() {
    let portent = Portent::start(&config(), &[]).await;
    portent.ready().await;
    let deployment = deployment();
    let container = &deployment.spec.template.spec.containers[0];
    for (probe, path) in [
        (&container.startup_probe, "/-/ready"),
        (&container.liveness_probe, "/-/healthy"),
        (&container.readiness_probe, "/-/ready"),
    ] {
        assert_eq!(
            (probe.http_get.path.as_str(), &probe.http_get.port),
            (path, &container.ports[0].name)
        );
        assert!(probe.period_seconds > 0 && probe.timeout_seconds != Some(0));
        assert!(probe.failure_threshold.is_none_or(|it| it > 0));
        assert_eq!(portent.get(path).await.expect("an answer").status, 200, "{path}");
    }
}
