//! The numbers of a table: what the marks between their digits mean.
//!
//! In: cells, column by column. Out: a value for each, NaN where there is none.
//!
//! | cell | is |
//! |---|---|
//! | `0.5`, `1234.5`, `1.5e3` | a number with a decimal point |
//! | `0,5`, `1234,5` | one with a decimal comma, where no comma separates cells |
//! | `1.234,5`, `1.234.567` | one with a decimal comma and points between thousands, likewise |
//! | `1,234.5`, `1,234,567` | one with a decimal point and commas between thousands |
//! | `1.234`, `1,234` | open: three decimals, or a thousand and some |
//!
//! What is open is decided when all cells are known: by the cells of its column that say what is decimal,
//! else by those of the table, with times that are numbers. Where none says it, the mark is decimal if the
//! column has three decimals throughout, which is noted, or has thousands without a mark. Where cells
//! contradict each other, or nothing tells, the table is refused: no number is guessed.
//!
//! Where a comma separates cells, no comma is decimal, so that a point always is.
//!
//! Memory: 4 bytes for each cell that is open in a column that does not say yet what is decimal.

/// What tables write where there is no value, in lower case; `nan` is a number to begin with.
const NOTHING: [&str; 8] = ["", "null", "none", "n/a", "na", "-", r"\n", "undefined"];

/// Digits between two marks of thousands.
const GROUP: usize = 3;

/// A mark between digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Point,
    Comma,
}

use Mark::{Comma, Point};

impl Mark {
    fn of(text: &str, at: usize) -> Self {
        if text.as_bytes()[at] == b'.' { Point } else { Comma }
    }

    fn char(self) -> char {
        if self == Point { '.' } else { ',' }
    }

    fn other(self) -> Self {
        if self == Point { Comma } else { Point }
    }
}

/// What the marks of a cell say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// There are none.
    Plain,
    /// This one is decimal, and the only one.
    Decimal(Mark),
    /// This one is between thousands; the other one, if there is one, is decimal.
    Thousands(Mark),
    /// The only one is either.
    Open(Mark),
    /// They make no number.
    None,
}

impl Form {
    fn of(text: &str) -> Self {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        let exponent = digits.find(['e', 'E']);
        let digits = &digits[..exponent.unwrap_or(digits.len())];
        let Some(last) = digits.rfind(['.', ',']) else { return Self::Plain };
        let mark = Mark::of(digits, last);
        let (whole, fraction) = (&digits[..last], &digits[last + 1..]);
        match whole.find(['.', ',']).map(|at| Mark::of(whole, at)) {
            None if exponent.is_none() && in_thousands(digits, mark) => Self::Open(mark),
            None => Self::Decimal(mark),
            Some(first) if first == mark && in_thousands(digits, mark) => Self::Thousands(mark),
            Some(first) if first != mark && in_thousands(whole, first) && is_digits(fraction) => {
                Self::Thousands(first)
            }
            Some(_) => Self::None,
        }
    }

    /// The mark that is decimal, if that is said.
    fn decimal(self) -> Option<Mark> {
        match self {
            Self::Decimal(mark) => Some(mark),
            Self::Thousands(mark) => Some(mark.other()),
            Self::Plain | Self::Open(_) | Self::None => None,
        }
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the mark stands where one between thousands does.
fn in_thousands(digits: &str, mark: Mark) -> bool {
    let mut groups = digits.split(mark.char());
    let first = groups.next().unwrap_or_default();
    (1..=GROUP).contains(&first.len())
        && !first.starts_with('0')
        && is_digits(first)
        && groups.all(|group| group.len() == GROUP && is_digits(group))
}

/// NaN for a missing value, nothing for what is no number. The mark of an open one is decimal.
fn read(text: &str, form: Form, decimal_commas: bool) -> Option<f32> {
    let said = form.decimal();
    let is_used = |it: Mark| it == Point || decimal_commas;
    let parsed = match form {
        Form::None => return None,
        _ if !said.is_none_or(is_used) => return None,
        Form::Decimal(Comma) | Form::Open(Comma) => text.replacen(',', ".", 1).parse::<f64>(),
        Form::Thousands(mark) => text.replace(mark.char(), "").replace(',', ".").parse(),
        _ => text.parse(),
    };
    match parsed {
        Ok(value) => Some(value as f32),
        Err(_) => NOTHING.contains(&text.to_ascii_lowercase().as_str()).then_some(f32::NAN),
    }
}

/// A number that stands alone: NaN for a missing value, nothing for what is no number.
pub(super) fn number(text: &str, decimal_commas: bool) -> Option<f32> {
    read(text, Form::of(text), decimal_commas)
}

/// The numbers of a table so far: what its columns say of marks.
pub(super) struct Numbers {
    decimal_commas: bool,
    /// What times that are numbers say is decimal.
    of_times: [bool; 2],
    columns: Vec<Column>,
}

/// What a column says of marks; of each that is for two, the point's is the first.
#[derive(Debug, Clone, Default)]
struct Column {
    /// Whether a cell says that the mark is decimal.
    decimal: [bool; 2],
    /// The cells of which the mark may be either.
    open: [Option<Open>; 2],
    /// Whether there are numbers without a mark: from a thousand on, and below.
    has_long: bool,
    has_short: bool,
}

/// Cells that are open.
#[derive(Debug, Clone)]
struct Open {
    /// The line and the text of the first.
    line: u64,
    text: String,
    /// The indices of all their lines, while the column does not say what is decimal.
    at: Vec<u32>,
}

impl Numbers {
    pub fn new(width: usize, decimal_commas: bool) -> Self {
        Self { decimal_commas, of_times: [false; 2], columns: vec![Column::default(); width] }
    }

    /// Takes note of a time that is a number, which no mark between thousands is in.
    pub fn see_time(&mut self, text: &str) {
        if let Form::Decimal(mark) = Form::of(text) {
            self.of_times[mark as usize] = true;
        }
    }

    /// Reads a cell of the line with this index: NaN for a missing value, nothing for what is no number.
    pub fn read(&mut self, column: usize, text: &str, index: usize, line: u64) -> Option<f32> {
        let form = match Form::of(text) {
            Form::Open(Point) if !self.decimal_commas => Form::Decimal(Point),
            form => form,
        };
        let value = read(text, form, self.decimal_commas)?;
        let column = &mut self.columns[column];
        if let Some(mark) = form.decimal() {
            column.decimal[mark as usize] = true;
            // These are read already as they are meant.
            column.open[mark as usize].iter_mut().for_each(|it| it.at = Vec::new());
        }
        match form {
            Form::Plain if value.abs() >= 1_000.0 => column.has_long = true,
            Form::Plain if value.is_finite() => column.has_short = true,
            Form::Open(mark) => {
                let is_decimal = column.decimal[mark as usize];
                let first = || Open { line, text: text.to_owned(), at: Vec::new() };
                let open = column.open[mark as usize].get_or_insert_with(first);
                if !is_decimal {
                    open.at.push(u32::try_from(index).unwrap_or(u32::MAX));
                }
            }
            _ => {}
        }
        Some(value)
    }

    /// Decides of what is open, in the values of all lines, one after another; or the line of which the cells
    /// do not tell, and why.
    pub fn decide(
        &self,
        names: &[&str],
        values: &mut [f32],
        notes: &mut Vec<String>,
    ) -> Result<(), (u64, String)> {
        let said = |mark: Mark| {
            let at = mark as usize;
            self.of_times[at] || self.columns.iter().any(|it| it.decimal[at])
        };
        let of_table = [said(Point), said(Comma)];
        for (at, (column, name)) in self.columns.iter().zip(names).enumerate() {
            for mark in [Point, Comma] {
                let Some(open) = &column.open[mark as usize] else { continue };
                match column.meaning(mark, of_table, self.decimal_commas) {
                    Meaning::Decimal { is_plain: true } => {}
                    Meaning::Decimal { is_plain: false } => notes.push(format!(
                        "column {name:?} has three decimals throughout, as in {:?}: no mark there is taken as one \
                         between thousands",
                        open.text
                    )),
                    Meaning::Thousands => {
                        for line in &open.at {
                            let value = &mut values[*line as usize * names.len() + at];
                            *value = (f64::from(*value) * 1_000.0).round() as f32;
                        }
                    }
                    Meaning::Unknown => return Err((open.line, refused(name, open, mark))),
                }
            }
        }
        Ok(())
    }
}

/// What an open mark is.
enum Meaning {
    /// Of a number with three decimals, and whether something says so.
    Decimal {
        is_plain: bool,
    },
    Thousands,
    Unknown,
}

impl Column {
    /// What this mark is where it is open. `of_table` has for each mark whether a column says that it is
    /// decimal.
    fn meaning(&self, mark: Mark, of_table: [bool; 2], decimal_commas: bool) -> Meaning {
        let of_column = self.decimal.contains(&true);
        let said = if of_column { self.decimal } else { of_table };
        match [said[mark as usize], said[mark.other() as usize]] {
            [true, false] => Meaning::Decimal { is_plain: true },
            // With a mark between thousands every thousand has one.
            [false, true] if of_column || !self.has_long => Meaning::Thousands,
            [false, false] if mark == Point || decimal_commas => match self.has_long {
                true => Meaning::Decimal { is_plain: true },
                false if !self.has_short => Meaning::Decimal { is_plain: false },
                false => Meaning::Unknown,
            },
            _ => Meaning::Unknown,
        }
    }
}

/// Why a cell is not guessed.
fn refused(name: &str, open: &Open, mark: Mark) -> String {
    let text = &open.text;
    let whole = text.replace(mark.char(), "");
    format!(
        "column {name:?} holds {text:?}, which may be {whole} or a number with three decimals, and the other \
         cells do not tell: write {whole}, without a mark between thousands, or {text}0, with another decimal"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_say_what_they_are() {
        for (text, expected) in [
            ("", Form::Plain),
            ("-", Form::Plain),
            ("1234", Form::Plain),
            ("1e3", Form::Plain),
            ("NaN", Form::Plain),
            ("0.5", Form::Decimal(Point)),
            ("-0,512", Form::Decimal(Comma)),
            ("1234,567", Form::Decimal(Comma)),
            ("1.2345", Form::Decimal(Point)),
            ("1.234e3", Form::Decimal(Point)),
            (".123", Form::Decimal(Point)),
            ("1.234", Form::Open(Point)),
            ("-999,999", Form::Open(Comma)),
            ("1.234,5", Form::Thousands(Point)),
            ("+1,234,567.25", Form::Thousands(Comma)),
            ("1.234.567", Form::Thousands(Point)),
            ("1.234,5e3", Form::Thousands(Point)),
            ("1,2,3", Form::None),
            ("1.234,5.6", Form::None),
            ("12,34.5", Form::None),
            ("0,123.5", Form::None),
            ("1.2345,6", Form::None),
            ("127.0.0.1", Form::None),
        ] {
            assert_eq!(Form::of(text), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_number_or_none(text in "[-+0-9.,eE ÄN]{0,12}") {
            for decimal_commas in [true, false] {
                let plain = text.parse::<f64>().ok().filter(|it| it.is_finite());
                if let Some(plain) = plain {
                    proptest::prop_assert_eq!(number(&text, decimal_commas), Some(plain as f32));
                }
                number(&text, decimal_commas);
            }
        }
    }

    #[test]
    fn a_number_alone_has_no_open_mark() {
        for (text, decimal_commas, expected) in [
            ("1", false, Some(1.0)),
            ("1,000", true, Some(1.0)),
            ("1.000", false, Some(1.0)),
            ("1.234,5", true, Some(1_234.5)),
            ("1.234,5", false, None),
            ("1,5", false, None),
            ("1,234.5", false, Some(1_234.5)),
            ("1,2,3", true, None),
        ] {
            assert_eq!(number(text, decimal_commas), expected, "{text}");
        }
    }
}
