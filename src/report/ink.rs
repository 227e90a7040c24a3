//! Ink: what a mark of a plot means, and by that its colour.
//!
//! In: a meaning. Out: a colour that stands for it in the SVG, and a class of the same meaning for
//! legends. The colours of the SVG are never seen: `style.css` selects marks by them and sets the
//! colours of the reader's scheme. A test holds the two together.

use plotters::style::RGBColor;

/// How many series are told apart; from there on the inks repeat.
/// Six colours can be told apart by most people, six more are the same with dashes.
const SERIES: usize = 12;

/// What a mark means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Words and numbers.
    Text,
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
    /// The colour that stands for it; all begin with `#0102`.
    pub(super) fn sentinel(self) -> RGBColor {
        let last = match self {
            Self::Text => 3,
            Self::Grid => 4,
            Self::Axis => 5,
            Self::Mark => 6,
            Self::Event => 7,
            Self::Bar => 8,
            Self::Expected => 9,
            Self::Series(index) => 16 + (index % SERIES) as u8,
        };
        RGBColor(1, 2, last)
    }

    /// The class of its key in a legend.
    pub(super) fn class(self) -> String {
        match self {
            Self::Text => "text".into(),
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

    #[track_caller]
    fn check(ink: Ink, property: &str) {
        let RGBColor(red, green, blue) = ink.sentinel();
        let selector = format!("[{property}=\"#{red:02X}{green:02X}{blue:02X}\"]");
        assert!(include_str!("style.css").contains(&selector), "{ink:?}: {selector}");
    }

    #[test]
    fn every_ink_has_a_colour() {
        for ink in [Ink::Text, Ink::Event, Ink::Bar] {
            check(ink, "fill");
        }
        for ink in [Ink::Grid, Ink::Axis, Ink::Mark, Ink::Event, Ink::Expected] {
            check(ink, "stroke");
        }
        for index in 0..SERIES {
            check(Ink::Series(index), "stroke");
            check(Ink::Series(index), "fill");
            let key = format!(".key.{}", Ink::Series(index).class());
            assert!(include_str!("style.css").contains(&key), "{key}");
        }
        assert_eq!(Ink::Series(SERIES).sentinel(), Ink::Series(0).sentinel());
    }
}
