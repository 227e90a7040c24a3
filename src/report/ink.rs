//! Ink: what a mark of a plot means. Its class says so in pictures and in legends, and `style.css` gives
//! each class the colour of the reader's scheme.

/// How many series are told apart; from there on the inks repeat.
/// Six colours can be told apart by most people, six more are the same with dashes.
const SERIES: usize = 12;

/// What a mark means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Lines that help the eye.
    Grid,
    /// The lines a plot stands on.
    Axis,
    /// A limit, or a marked place on the horizontal axis.
    Mark,
    /// A shaded time range.
    Event,
    /// A bar of a histogram or of a comparison.
    Bar,
    /// What was expected, beside what was.
    Expected,
    /// The series with this index.
    Series(usize),
}

impl Ink {
    /// Its class in `style.css`.
    pub(super) fn class(self) -> String {
        match self {
            Self::Grid => "grid".into(),
            Self::Axis => "axis".into(),
            Self::Mark => "mark".into(),
            Self::Event => "event".into(),
            Self::Bar => "bar".into(),
            Self::Expected => "expected".into(),
            Self::Series(index) => format!("s{}", index % SERIES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ink_has_a_colour() {
        let plain = [Ink::Grid, Ink::Axis, Ink::Mark, Ink::Event, Ink::Bar, Ink::Expected];
        for ink in plain.into_iter().chain((0..SERIES).map(Ink::Series)) {
            let rules = include_str!("style.css").lines().filter(|line| line.contains("{ color: "));
            let selectors = rules.filter_map(|line| line.split_once(" {"));
            let mut classes = selectors.flat_map(|(selectors, _)| selectors.split(", "));
            let class = format!(".{}", ink.class());
            assert!(classes.any(|it| it == class), "{class} has no colour");
        }
        assert_eq!(Ink::Series(SERIES).class(), Ink::Series(0).class());
    }
}
