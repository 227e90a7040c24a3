//! Lines that mark something: whose each is, and what all files of labels have in common.

use csv::StringRecord;

use super::text::Text;
use crate::history::error::HistoryError;
use crate::history::marks::Marks;
use crate::labels::Labels;

/// What a file of labels begins with.
pub(super) const BEGIN: &str = "begin the file with the line \"timestamp,label\", or with \"start,end\" where \
                                each line is an incident";

/// What a table of labels is: its marks, what there is to say of it, and whether its times were taken as UTC.
pub(super) type Taken = (Marks, Vec<String>, bool);

/// The columns that say whose a line is.
pub(super) struct Owners {
    /// Entity labels and their places.
    columns: Vec<(String, usize)>,
}

impl Owners {
    pub fn new(header: &StringRecord, entity: &[String]) -> Self {
        let place = |name: &String| {
            let exact = header.iter().position(|it| it == name);
            let place =
                exact.or_else(|| header.iter().position(|it| it.eq_ignore_ascii_case(name)));
            place.map(|place| (name.clone(), place))
        };
        Self { columns: entity.iter().filter_map(place).collect() }
    }

    pub fn has(&self, place: usize) -> bool {
        self.columns.iter().any(|(_, it)| *it == place)
    }

    /// The columns that are named here and those of owners, as the header has them.
    pub fn names(&self, header: &StringRecord, own: &[usize]) -> String {
        let is_it = |(place, _): &(usize, &str)| own.contains(place) || self.has(*place);
        let names = header.iter().enumerate().filter(is_it).map(|(_, name)| name);
        names.collect::<Vec<_>>().join(", ")
    }

    /// The labels of those whose a line is.
    pub fn labels(&self, record: &StringRecord) -> Labels {
        let pairs = self.columns.iter().map(|(name, place)| (name.as_str(), record[*place].trim()));
        Labels::from_pairs(pairs).expect("entity labels have different names")
    }
}

pub(super) fn line(text: &Text) -> u32 {
    u32::try_from(text.line).unwrap_or(u32::MAX)
}

pub(super) fn too_long(text: &Text, max_lines: usize) -> HistoryError {
    text.wrong(format!("more than {max_lines} lines of labels; split the file into shorter times"))
}
