//! The heap of `topk` and `bottomk`.
//!
//! Which of several equal elements stay follows from the order in which a heap lets them go, so this is
//! the heap that Prometheus uses, step by step.
//! Source: Prometheus `promql/engine.go`, `aggregationK`; Go `container/heap`.

/// The best elements so far, the worst of them on top.
#[derive(Debug)]
pub(crate) struct Heap {
    pub(crate) largest: bool,
    pub(crate) elements: Vec<(f64, u32)>,
}

impl Heap {
    /// Takes in an element, or lets the worst go for it, so that `count` stay.
    pub(crate) fn offer(&mut self, value: f64, element: u32, count: usize) {
        if self.elements.len() < count {
            self.elements.push((value, element));
            self.up(self.elements.len() - 1);
            return;
        }
        let worst = self.elements[0].0;
        let better = if self.largest { worst < value } else { worst > value };
        if better || worst.is_nan() && !value.is_nan() {
            self.elements[0] = (value, element);
            self.down();
        }
    }

    /// Whether one element is worse than another; a NaN is worse than anything.
    fn less(&self, i: usize, j: usize) -> bool {
        let (a, b) = (self.elements[i].0, self.elements[j].0);
        a.is_nan() || if self.largest { a < b } else { a > b }
    }

    fn up(&mut self, mut j: usize) {
        while j > 0 {
            let parent = (j - 1) / 2;
            if !self.less(j, parent) {
                break;
            }
            self.elements.swap(parent, j);
            j = parent;
        }
    }

    fn down(&mut self) {
        let mut i = 0;
        loop {
            let left = 2 * i + 1;
            if left >= self.elements.len() {
                break;
            }
            let right = left + 1;
            let child =
                if right < self.elements.len() && self.less(right, left) { right } else { left };
            if !self.less(child, i) {
                break;
            }
            self.elements.swap(i, child);
            i = child;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(largest: bool, count: usize, values: &[f64], expected: &[u32]) {
        let mut heap = Heap { largest, elements: Vec::new() };
        for (i, value) in values.iter().enumerate() {
            heap.offer(*value, i as u32, count);
        }
        let mut kept: Vec<u32> = heap.elements.iter().map(|(_, i)| *i).collect();
        kept.sort_unstable();
        assert_eq!(kept, expected);
    }

    #[test]
    fn keeps_the_best() {
        check(true, 2, &[1.0, 5.0, 3.0, 4.0], &[1, 3]);
        check(false, 2, &[1.0, 5.0, 3.0, 4.0], &[0, 2]);
        check(true, 9, &[1.0, 5.0], &[0, 1]);
    }

    #[test]
    fn nan_goes_first_and_equals_stay_by_order() {
        check(true, 2, &[f64::NAN, 1.0, 2.0], &[1, 2]);
        check(false, 2, &[f64::NAN, 1.0, 2.0], &[1, 2]);
        check(true, 1, &[f64::NAN], &[0]);
        check(true, 1, &[7.0, 7.0, 7.0], &[0]);
    }
}
