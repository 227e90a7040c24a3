//! Portent's own metrics about its rings, ticks and configuration.
//!
//! The rooms of the core do not count; what they return is counted here.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::detect::Snapshot;
use crate::series::Outcome;

/// Counts what became of a batch beyond what its sender is told.
pub fn count_append(outcome: &Outcome) {
    counter!("portent_series_created_total").increment(outcome.series_created);
    counter!("portent_series_dropped_total", "reason" => "memory")
        .increment(outcome.series_dropped);
    counter!("portent_series_truncated_samples_total").increment(outcome.truncated);
    counter!("portent_series_over_limit_samples_total").increment(outcome.over_limit);
    counter!("portent_series_deferred_samples_total").increment(outcome.deferred);
    counter!("portent_series_replica_changes_total").increment(outcome.replica_changes);
    counter!("portent_series_cluster_changes_total").increment(outcome.cluster_changes);
    counter!("portent_series_over_clusters_samples_total").increment(outcome.over_clusters);
}

/// Counts a tick, what it found and how long it took.
pub fn count_tick(snapshot: &Snapshot, duration: Duration) {
    histogram!("portent_detect_tick_duration_seconds").record(duration);
    gauge!("portent_series_kept").set(snapshot.store.series as f64);
    gauge!("portent_series_bytes").set(snapshot.store.bytes as f64);
    gauge!("portent_feature_history_bytes").set(snapshot.feature_bytes as f64);
    gauge!("portent_detect_state_bytes").set(snapshot.state_bytes as f64);
    gauge!("portent_storage_max_bytes").set(snapshot.max_bytes as f64);
    counter!("portent_series_evicted_total").increment(snapshot.evicted as u64);
    // A model that was not due has not been evaluated again.
    for model in snapshot.models.iter().filter(|model| model.time_ms == snapshot.time_ms) {
        let name = model.model.clone();
        let e = &model.evaluation;
        histogram!("portent_detect_features_duration_seconds", "model" => name.clone())
            .record(e.features_duration);
        histogram!("portent_model_inference_duration_seconds", "model" => name.clone())
            .record(e.inference_duration);
        counter!("portent_model_errors_total", "model" => name.clone())
            .increment(u64::from(e.model_error.is_some()));
        counter!("portent_detect_scores_total", "model" => name.clone()).increment(e.scored as u64);
        counter!("portent_detect_forgotten_entities_total", "model" => name.clone())
            .increment(e.forgotten as u64);
        for (feature, _) in &e.feature_errors {
            let feature = model.feature_names.get(*feature).cloned().unwrap_or_default();
            counter!(
                "portent_detect_feature_errors_total", "model" => name.clone(), "feature" => feature
            )
            .increment(1);
        }
    }
}

/// Counts series that nothing wants any more since a reload.
pub fn count_dropped(series: usize) {
    counter!("portent_series_dropped_total", "reason" => "reload").increment(series as u64);
}

/// Counts ticks whose time passed while something else was done.
pub fn count_missed_ticks(missed: u64) {
    counter!("portent_detect_ticks_missed_total").increment(missed);
}

/// Counts an alert that fired, or was resolved for a reason.
pub fn count_alert(rule: &str, resolution: Option<&'static str>) {
    let change = resolution.unwrap_or("fired");
    counter!("portent_alerts_changes_total", "alertname" => rule.to_owned(), "change" => change)
        .increment(1);
}

/// How reading the configuration and the models went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// They are in use since this time.
    Successful {
        /// Milliseconds since the epoch.
        at_ms: i64,
    },
    /// What was in use before stays.
    Failed,
}

/// Notes a start or a reload.
pub fn count_reload(reload: Reload) {
    let successful = matches!(reload, Reload::Successful { .. });
    gauge!("portent_config_last_reload_successful").set(f64::from(u8::from(successful)));
    if let Reload::Successful { at_ms } = reload {
        gauge!("portent_config_last_reload_success_timestamp_seconds").set(at_ms as f64 / 1000.0);
    }
}

/// How writing what is remembered went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Save {
    /// It is on the disk.
    Done {
        /// Milliseconds since the epoch.
        at_ms: i64,
        /// The size of the file.
        bytes: u64,
        /// From the first piece to the last.
        took: Duration,
    },
    /// What was there before stays.
    Failed,
}

/// Notes that what is remembered was written, or could not be.
pub fn count_save(save: Save) {
    match save {
        Save::Failed => counter!("portent_state_saves_failed_total").increment(1),
        Save::Done { at_ms, bytes, took } => {
            counter!("portent_state_saves_total").increment(1);
            gauge!("portent_state_last_save_timestamp_seconds").set(at_ms as f64 / 1000.0);
            gauge!("portent_state_file_bytes").set(bytes as f64);
            histogram!("portent_state_save_duration_seconds").record(took);
        }
    }
}

/// Notes of how many entities was known what was remembered, and of how many it was of no use.
pub fn count_restored(entities: u64, foreign: u64) {
    gauge!("portent_state_restored_entities").set(entities as f64);
    gauge!("portent_state_foreign_entities").set(foreign as f64);
}

/// How reading history for entities of which nothing was remembered went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarmStart {
    /// The server has answered.
    Done {
        /// So many go on with their past.
        entities: u64,
        /// Of so many it knows none.
        unknown: u64,
    },
    /// It may be tried again.
    Failed,
}

/// Notes an attempt at a warm start.
pub fn count_warm_start(outcome: WarmStart) {
    let (outcome, entities, unknown) = match outcome {
        WarmStart::Done { entities, unknown } => ("done", entities, unknown),
        WarmStart::Failed => ("failed", 0, 0),
    };
    counter!("portent_warm_start_attempts_total", "outcome" => outcome).increment(1);
    counter!("portent_warm_start_entities_total").increment(entities);
    counter!("portent_warm_start_unknown_entities_total").increment(unknown);
}

/// Says what the metrics mean and sets those that never change.
pub fn describe_metrics(version: &'static str, revision: &'static str) {
    describe_gauge!("portent_build_info", "Always 1; the labels say which Portent this is.");
    gauge!("portent_build_info", "version" => version, "revision" => revision).set(1.0);
    describe_counter!("portent_exporter_scrapes_total", "Times this page was asked for.");
    describe_series();
    describe_detect();
    describe_state();
    describe_warm_start();
    super::silences::describe();
    describe_gauge!(
        "portent_config_last_reload_successful",
        "Whether the last attempt to read the configuration and its models succeeded."
    );
    describe_gauge!(
        "portent_config_last_reload_success_timestamp_seconds",
        "When the configuration in use was read."
    );
}

fn describe_state() {
    describe_counter!(
        "portent_state_saves_total",
        "Times the remembered state was written to --storage.path."
    );
    describe_counter!(
        "portent_state_saves_failed_total",
        "Times the remembered state could not be written to --storage.path."
    );
    counter!("portent_state_saves_total").increment(0);
    counter!("portent_state_saves_failed_total").increment(0);
    describe_gauge!(
        "portent_state_last_save_timestamp_seconds",
        "When the remembered state was last written to --storage.path."
    );
    describe_gauge!("portent_state_file_bytes", "The size of what was last written.");
    describe_histogram!(
        "portent_state_save_duration_seconds",
        "Time from the first piece of the remembered state to the last, including other work in \
         between."
    );
    describe_gauge!(
        "portent_state_restored_entities",
        "Entities whose remembered state was restored when this process started."
    );
    describe_gauge!(
        "portent_state_foreign_entities",
        "Entities whose remembered state was not restored, because it belongs to models that are \
         no longer used."
    );
}

fn describe_warm_start() {
    describe_counter!(
        "portent_warm_start_attempts_total",
        "Times history.prometheus_url was asked for the past of entities that came to a model, by what came of it."
    );
    describe_counter!(
        "portent_warm_start_entities_total",
        "Entities that were given their past from history.prometheus_url."
    );
    describe_counter!(
        "portent_warm_start_unknown_entities_total",
        "Entities of which history.prometheus_url had no past: they are learnt from pushed samples."
    );
    for outcome in ["done", "failed"] {
        counter!("portent_warm_start_attempts_total", "outcome" => outcome).increment(0);
    }
    counter!("portent_warm_start_entities_total").increment(0);
    counter!("portent_warm_start_unknown_entities_total").increment(0);
}

fn describe_series() {
    describe_gauge!(
        "portent_series_kept",
        "Series that are kept: some feature or storage.keep needs them."
    );
    describe_gauge!("portent_series_bytes", "Estimated memory of the kept series.");
    describe_gauge!(
        "portent_feature_history_bytes",
        "Memory for the feature values that queries for portent:feature can see."
    );
    describe_counter!("portent_series_created_total", "Series that began.");
    describe_counter!("portent_series_evicted_total", "Series that ended long enough ago.");
    describe_gauge!(
        "portent_storage_max_bytes",
        "What portent_series_bytes, portent_feature_history_bytes and portent_detect_state_bytes may be \
         together with the last scores: storage.max_bytes, or half of the memory that this process may use."
    );
    describe_counter!(
        "portent_series_dropped_total",
        "Series dropped while they lived, by reason: memory (storage.max_bytes was reached, the \
         youngest go first) or reload (nothing needs them any more)."
    );
    describe_counter!(
        "portent_series_truncated_samples_total",
        "Samples dropped because storage.max_samples_per_series was reached."
    );
    describe_counter!(
        "portent_series_over_limit_samples_total",
        "Samples refused because storage.max_series or storage.max_bytes was reached, or \
         storage.max_samples_per_series by newer ones."
    );
    describe_counter!(
        "portent_series_deferred_samples_total",
        "Samples told to come again because storage.max_new_series_per_second was reached."
    );
    describe_counter!(
        "portent_series_replica_changes_total",
        "Times a series switched to another replica of its sender because the one in use was \
         silent."
    );
    describe_counter!(
        "portent_series_cluster_changes_total",
        "Times a cluster (remote_write.cluster_labels) elected another replica because the elected one \
         was silent."
    );
    describe_counter!(
        "portent_series_over_clusters_samples_total",
        "Samples of clusters beyond remote_write.max_clusters or storage.max_bytes: each of their series \
         decides alone which replica it uses."
    );
}

fn describe_detect() {
    describe_histogram!("portent_detect_tick_duration_seconds", "Time spent on a whole tick.");
    describe_histogram!(
        "portent_detect_features_duration_seconds",
        "Time spent on computing a model's features."
    );
    describe_histogram!(
        "portent_model_inference_duration_seconds",
        "Time spent in the model, for all entities of a tick at once."
    );
    describe_counter!("portent_model_errors_total", "Ticks at which the model could not be run.");
    describe_counter!("portent_detect_scores_total", "Scores computed.");
    describe_gauge!(
        "portent_detect_state_bytes",
        "Memory for what models remember of entities, those that are away included."
    );
    describe_counter!(
        "portent_detect_forgotten_entities_total",
        "Entities forgotten before their time because too many were away."
    );
    describe_counter!(
        "portent_detect_feature_errors_total",
        "Ticks at which a feature's expression failed, for all entities or for some."
    );
    describe_counter!(
        "portent_alerts_changes_total",
        "Alerts of Portent's own rules by outcome: fired, or why they were resolved (calm, \
         lasting, \
         gone, removed)."
    );
    describe_counter!(
        "portent_exporter_scrapes_refused_total",
        "Scrapes that were refused because pages of former ticks that are still read hold \
         exporter.max_in_flight_bytes."
    );
    counter!("portent_exporter_scrapes_refused_total").absolute(0);
    describe_counter!(
        "portent_detect_ticks_missed_total",
        "Ticks left out because the one before, or the samples before it, took too long."
    );
}
