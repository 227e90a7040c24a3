//! Dates as people and spreadsheets write them, in the form of RFC 3339.
//!
//! In: a cell. Out: the same with the year first, and which part may be the day.
//!
//! | cell | is |
//! |---|---|
//! | `2026-11-25`, `2026/11/25 9:05` | year, month, day |
//! | `25.11.2026 14:05`, `5.1.2026, 9:05` | day, month, year |
//! | `25/11/2026`, `25-11-2026 14:05` | day, month, year, as no month is the 25th |
//! | `11/25/2026 2:05:00 PM` | month, day, year, likewise |
//! | `5/11/2026` | either; the caller decides by the other cells |
//!
//! Years have four digits. A date without a time is the beginning of its day.

/// Which part of a date comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// `25/11/2026`.
    Day,
    /// `11/25/2026`.
    Month,
}

/// A cell that is a date, with or without a time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// In the form of RFC 3339, possibly without seconds and zone.
    pub text: String,
    /// Whether it has no time of day.
    pub is_day: bool,
    /// Of one that may have the day or the month first: what says which.
    pub slashes: Option<Slashes>,
}

/// What a date with the year behind slashes says of its order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Slashes {
    /// One part is no month.
    Told(Order),
    /// `text` has the day first; this has the month first.
    Either(String),
}

/// Reads a cell, in which a comma may be a point; nothing if it is no date of these forms.
pub(super) fn read(cell: &str, decimal_commas: bool) -> Option<Written> {
    let cell = cell.trim();
    let end = cell.find(['T', ' ', ',']).unwrap_or(cell.len());
    let rest = cell[end..].trim_start_matches(['T', ' ', ',']);
    let is_day = rest.is_empty();
    let time = if is_day { "00:00".to_owned() } else { time(rest, decimal_commas)? };
    let mark = cell.find(|c: char| !c.is_ascii_digit()).map(|at| cell.as_bytes()[at])?;
    if !matches!(mark, b'.' | b'/' | b'-') {
        return None;
    }
    let mut parts = cell[..end].split(char::from(mark));
    let parts = [parts.next()?, parts.next()?, parts.next().filter(|_| parts.next().is_none())?];
    let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
        let is_it = digits.contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| is_it)
    };
    let iso = |year: u16, month: u16, day: u16| format!("{year:04}-{month:02}-{day:02} {time}");
    if let Some(year) = number(parts[0], 4..=4) {
        let text = iso(year, number(parts[1], 1..=2)?, number(parts[2], 1..=2)?);
        return Some(Written { text, is_day, slashes: None });
    }
    let (first, second) = (number(parts[0], 1..=2)?, number(parts[1], 1..=2)?);
    let year = number(parts[2], 4..=4)?;
    let (day_first, month_first) = (iso(year, second, first), iso(year, first, second));
    let (text, slashes) = match (first > 12, second > 12) {
        _ if mark == b'.' => (day_first, None),
        (false, true) => (month_first, Some(Slashes::Told(Order::Month))),
        (true, _) => (day_first, Some(Slashes::Told(Order::Day))),
        (false, false) => (day_first, Some(Slashes::Either(month_first))),
    };
    Some(Written { text, is_day, slashes })
}

/// A time of day with two digits for the hour, of 24.
fn time(text: &str, decimal_commas: bool) -> Option<String> {
    let text = if decimal_commas { text.replace(',', ".") } else { text.to_owned() };
    let (hour, rest) = text.split_once(':')?;
    let hour = hour.parse::<u8>().ok().filter(|_| hour.bytes().all(|it| it.is_ascii_digit()))?;
    let half = rest.len().checked_sub(2).and_then(|at| rest.split_at_checked(at));
    let half = half.map(|(rest, half)| (rest.trim_end(), half.to_ascii_uppercase()));
    let (hour, rest) = match half {
        Some((rest, half)) if half == "AM" || half == "PM" => {
            let hour = Some(hour).filter(|it| (1..=12).contains(it))?;
            (hour % 12 + if half == "PM" { 12 } else { 0 }, rest)
        }
        _ => (hour, rest),
    };
    Some(format!("{hour:02}:{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_text_is_a_date_or_none(text in "[-0-9./:, TZapmé]{0,24}|\\d{1,2}/\\d{1,2}/\\d{4} .{0,9}") {
            if let Some(written) = read(&text, true) {
                proptest::prop_assert!(written.text.is_char_boundary(10), "{}", written.text);
            }
        }
    }

    #[test]
    fn dates_are_written_in_many_ways() {
        let told = |order| Some(Slashes::Told(order));
        let either = |text: &str| Some(Slashes::Either(text.to_owned()));
        for (cell, text, is_day, slashes) in [
            ("2026-11-25", "2026-11-25 00:00", true, None),
            ("2026/11/5 9:05", "2026-11-05 09:05", false, None),
            ("2026-11-25T9:05:06Z", "2026-11-25 09:05:06Z", false, None),
            ("25.11.2026", "2026-11-25 00:00", true, None),
            ("25.11.2026 14:05", "2026-11-25 14:05", false, None),
            ("5.1.2026, 9:05:06,25", "2026-01-05 09:05:06.25", false, None),
            ("05.11.2026 14:05 +01:00", "2026-11-05 14:05 +01:00", false, None),
            ("25/11/2026", "2026-11-25 00:00", true, told(Order::Day)),
            ("25-11-2026 14:05", "2026-11-25 14:05", false, told(Order::Day)),
            ("11/25/2026 2:05:06 PM", "2026-11-25 14:05:06", false, told(Order::Month)),
            ("11/25/2026 12:05am", "2026-11-25 00:05", false, told(Order::Month)),
            ("11/25/2026 12:05 PM", "2026-11-25 12:05", false, told(Order::Month)),
            ("5/11/2026 0:00", "2026-11-05 00:00", false, either("2026-05-11 00:00")),
            ("5/5/2026", "2026-05-05 00:00", true, either("2026-05-05 00:00")),
        ] {
            let written = Some(Written { text: text.to_owned(), is_day, slashes });
            assert_eq!(read(cell, true), written, "{cell}");
        }
        for cell in [
            "",
            "soon",
            "25.11.26",
            "1.2.3.2026",
            "25.11",
            "2026-11",
            "2026_11_25",
            "1.5",
            "a/b/2026",
            "25.11.2026 14",
            "25.11.2026 13:05 PM",
            "25.11.2026 x:05",
            "127.0.0.1",
            "1/2/+202",
            "é/1/2026",
            "25/11/2026 noon",
        ] {
            assert_eq!(read(cell, true), None, "{cell}");
        }
    }
}
