//! Far out: readings that must not enter any range or scale.
//!
//! In: a cleaned dataset. Out: the same dataset, with readings that are impossible for their entity
//! missing, and their number for each feature. A counter that was read partially, or a sensor that says 3e17
//! once: one such value among weeks of good ones makes a mean, a deviation and a range in which nothing
//! that happens later can be seen.
//!
//! A reading is far out if it lies beyond the middle 99.8 % of the entity's own values by more than ten
//! thousand times the width of these: real hosts read two thousand times as much from their disks once in
//! weeks. A nearer one may stand out, which `left_out` finds. Nothing is far out for an entity with less than a
//! thousand values, or for a feature that never moves except for a few readings: then there is no width to
//! measure by.

use super::Dataset;
use crate::statistics;

/// The share of the values on either side that do not make the width.
const TAIL: f64 = 0.001;

/// How many widths beyond them a reading is far out.
const WIDTHS: f64 = 10_000.0;

impl Dataset {
    /// Takes readings that are far out as missing; counts them by feature.
    pub fn drop_far_out(&mut self) {
        let features = self.entities.first().map_or(0, |rows| rows.values.ncols());
        self.cleaning.far_out = vec![0; features];
        for rows in &mut self.entities {
            for (feature, count) in self.cleaning.far_out.iter_mut().enumerate() {
                let mut column = rows.values.column_mut(feature);
                let there = column.iter().zip(&rows.usable).filter(|it| *it.1).map(|it| *it.0);
                let Some((low, high)) = statistics::trimmed_range(there.collect(), TAIL) else {
                    continue;
                };
                let width = f64::from(high) - f64::from(low);
                if width > 0.0 {
                    let bounds = f64::from(low) - WIDTHS * width..=f64::from(high) + WIDTHS * width;
                    let out = column.iter_mut().filter(|it| it.is_finite());
                    for value in out.filter(|it| !bounds.contains(&f64::from(**it))) {
                        *value = f32::NAN;
                        *count += 1;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::dataset;

    /// Two thousand readings of 10 to 12, some of which are others.
    fn readings(others: &[(usize, f32)]) -> Vec<Vec<f32>> {
        let mut rows: Vec<Vec<f32>> =
            (0..2_000).map(|step| vec![10.0 + (step % 21) as f32 / 10.0, 5.0]).collect();
        others.iter().for_each(|(step, value)| rows[*step][0] = *value);
        rows
    }

    fn missing(rows: &[&[Vec<f32>]]) -> (Vec<usize>, usize) {
        let mut dataset = dataset(rows);
        dataset.drop_far_out();
        let of_all = dataset.entities.iter().flat_map(|it| it.values.column(0).to_vec());
        (dataset.cleaning.far_out.clone(), of_all.filter(|value| value.is_nan()).count())
    }

    #[test]
    fn what_is_impossible_is_missing() {
        let calm = readings(&[]);
        assert_eq!(missing(&[&calm]), (vec![0, 0], 0));
        // Ten thousand widths of two beyond ten and twelve.
        assert_eq!(missing(&[&readings(&[(7, 20_011.0), (9, -19_989.0)])]), (vec![0, 0], 0));
        assert_eq!(missing(&[&readings(&[(7, 20_013.0)])]), (vec![1, 0], 1));
        assert_eq!(missing(&[&readings(&[(7, -19_991.0)])]), (vec![1, 0], 1));
        assert_eq!(missing(&[&readings(&[(9, 3e17), (7, -3e17)])]), (vec![2, 0], 2));
        // What is so for longer than an instant is how it is.
        let hour: Vec<(usize, f32)> = (100..160).map(|step| (step, 1e9)).collect();
        assert_eq!(missing(&[&readings(&hour)]), (vec![0, 0], 0));
    }

    #[test]
    fn each_entity_is_measured_by_itself() {
        let large: Vec<Vec<f32>> =
            readings(&[]).iter().map(|row| vec![1e6 * row[0], row[1]]).collect();
        assert_eq!(missing(&[&readings(&[]), &large]), (vec![0, 0], 0));
        let few: Vec<Vec<f32>> = readings(&[(7, 3e17)])[..500].to_vec();
        assert_eq!(missing(&[&few]), (vec![0, 0], 0));
    }
}
