//! Reduction: a long series as the few points that draw the same picture.
//!
//! In: points in order of x, and the pixel columns of a plot. Out: runs of points between gaps, of
//! each column at most the first, lowest, highest and last. A series of fewer points than columns
//! is returned as it was.
//!
//! # NaN
//! A value that is not finite is a gap: it ends a run. A gap between two points of the same pixel
//! column could not be seen and ends none, which also bounds the number of runs.

use super::scale::Scale;

/// A point: x and y as they were given.
pub(super) type Point = (f64, f64);

/// The extremes of one pixel column, as indices into the series.
struct Column {
    at: usize,
    first: usize,
    lowest: usize,
    highest: usize,
    last: usize,
}

impl Column {
    fn new(at: usize, index: usize) -> Self {
        Self { at, first: index, lowest: index, highest: index, last: index }
    }

    fn add(&mut self, index: usize, points: &[Point]) {
        if points[index].1 < points[self.lowest].1 {
            self.lowest = index;
        }
        if points[index].1 > points[self.highest].1 {
            self.highest = index;
        }
        self.last = index;
    }

    fn write(&self, points: &[Point], run: &mut Vec<Point>) {
        let mut indices = [self.first, self.lowest, self.highest, self.last];
        indices.sort_unstable();
        let mut previous = None;
        for index in indices {
            if previous != Some(index) {
                run.push(points[index]);
            }
            previous = Some(index);
        }
    }
}

/// The runs of a series, reduced to at most four points in each of so many columns.
pub(super) fn reduce(points: &[Point], x: &Scale, columns: usize) -> Vec<Vec<Point>> {
    let columns = columns.max(1);
    let (mut runs, mut run) = (Vec::new(), Vec::new());
    let mut column: Option<Column> = None;
    let mut gap = false;
    for (index, (at, value)) in points.iter().enumerate() {
        if !value.is_finite() {
            gap = true;
            continue;
        }
        let here = ((x.place(*at) * columns as f64) as usize).min(columns - 1);
        match &mut column {
            Some(column) if column.at == here => column.add(index, points),
            _ => {
                if let Some(done) = column.replace(Column::new(here, index)) {
                    done.write(points, &mut run);
                }
                if gap && !run.is_empty() {
                    runs.push(std::mem::take(&mut run));
                }
            }
        }
        gap = false;
    }
    if let Some(done) = column {
        done.write(points, &mut run);
        runs.push(run);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[f64], columns: usize, expected: &[&[f64]]) {
        let points: Vec<Point> = values.iter().enumerate().map(|(i, v)| (i as f64, *v)).collect();
        let x = Scale::linear(0.0, (values.len() - 1) as f64);
        let runs = reduce(&points, &x, columns);
        let found: Vec<Vec<f64>> =
            runs.iter().map(|run| run.iter().map(|(_, y)| *y).collect()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn short_series_stay_as_they_are() {
        check(&[1.0, 2.0, 3.0], 100, &[&[1.0, 2.0, 3.0]]);
        check(&[1.0, f64::NAN, 3.0, f64::INFINITY, 4.0, 5.0], 100, &[&[1.0], &[3.0], &[4.0, 5.0]]);
        check(&[f64::NAN, f64::NAN], 100, &[]);
    }

    #[test]
    fn a_column_keeps_its_extremes() {
        check(&[1.0, 5.0, 3.0, 0.0, 2.0], 1, &[&[1.0, 5.0, 0.0, 2.0]]);
        // A gap within a column is less than a pixel.
        check(&[1.0, f64::NAN, 3.0, 2.0], 1, &[&[1.0, 3.0, 2.0]]);
    }

    #[test]
    fn a_peak_among_many_survives() {
        let mut values = vec![1.0; 100_000];
        values[54_321] = 9.0;
        values[54_322] = -9.0;
        let points: Vec<Point> = values.iter().enumerate().map(|(i, v)| (i as f64, *v)).collect();
        let runs = reduce(&points, &Scale::linear(0.0, 99_999.0), 400);
        assert_eq!(runs.len(), 1);
        assert!(runs[0].len() <= 4 * 400, "{}", runs[0].len());
        assert!(runs[0].contains(&(54_321.0, 9.0)) && runs[0].contains(&(54_322.0, -9.0)));
    }

    #[test]
    fn gaps_cannot_flood_a_plot() {
        let value = |i| if i % 2 == 0 { 1.0 } else { f64::NAN };
        let points: Vec<Point> = (0..100_000).map(|i| (f64::from(i), value(i))).collect();
        assert!(reduce(&points, &Scale::linear(0.0, 99_999.0), 400).len() <= 400);
    }
}
