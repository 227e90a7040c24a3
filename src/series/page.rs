//! A page: some series as they are, for another store that goes on with them.

use super::Store;
use crate::sample::{Batch, BatchSeries, HistogramSample};

impl Store {
    /// What is kept of some series and the replica that each hears, for another store that goes on with
    /// them: of those at and after a place, until there are so many samples or more. Gives the place after
    /// them, or nothing at the end.
    #[must_use]
    pub fn page(&self, from: usize, samples: usize) -> (Batch, Option<usize>) {
        let (mut batch, mut count) = (Batch::default(), 0);
        for (id, series) in self.slots.from(from) {
            if count >= samples {
                return (batch, Some(id.index()));
            }
            let samples = series.ring.samples().to_vec();
            let histograms = series.histograms().to_vec();
            let exemplars = series.exemplars().to_vec();
            count += samples.len();
            count += histograms.iter().map(HistogramSample::in_samples).sum::<usize>();
            let (labels, replica) = (series.labels.clone(), self.replicas.heard_by(id));
            batch.series.push(BatchSeries { labels, replica, samples, histograms, exemplars });
        }
        (batch, None)
    }
}
