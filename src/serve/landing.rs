//! The landing page: what a browser finds at `/`, like the one that exporters have.

/// The page. Its links are relative, so that they work behind any prefix.
pub(super) fn page(version: &str, revision: &str) -> String {
    const LINKS: [(&str, &str); 4] = [
        ("metrics", "Metrics"),
        ("api/v1/anomalies", "Anomalies"),
        ("-/healthy", "Is it alive"),
        ("-/ready", "Is it ready"),
    ];
    let links = LINKS.map(|(path, name)| format!("<li><a href=\"{path}\">{name}</a></li>\n"));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Portent</title></head>\n\
         <body>\n<h1>Portent</h1>\n<p>Anomaly scores for Prometheus. Version {version} (revision \
         {revision}).</p>\n<ul>\n{}</ul>\n</body>\n</html>\n",
        links.concat()
    )
}
