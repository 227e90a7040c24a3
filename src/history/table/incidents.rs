//! Incidents of a table: when each started and ended, and whose it was.
//!
//! In: a table of labels ([`super::labels`]) with a column named as starts are ([`STARTS`]) and one named as
//! ends are ([`ENDS`]); its lines in any order. Out: an incident for each line. An end that is a date alone is
//! the end of that day. Incidents are no steps, so that an hour that a clock shows twice is refused: no line
//! around can tell which one it is.

use csv::StringRecord;

use super::columns::LABELS;
use super::marked_lines::{BEGIN, Owners, Taken, line, too_long};
use super::text::Text;
use super::times::{Moment, Times, Unclear};
use crate::duration::DAY_MS;
use crate::history::error::HistoryError;
use crate::history::marks::{Incident, Marks};
use crate::timestamp::{self, Zone};

/// The names of columns of starts, in lower case and of letters and digits alone (`startsAt`, `start_time`).
const STARTS: [&str; 7] =
    ["start", "starts", "startsat", "starttime", "startedat", "started", "begin"];

/// The names of columns of ends, likewise.
const ENDS: [&str; 7] = ["end", "ends", "endsat", "endtime", "endedat", "ended", "until"];

/// Where starts and ends are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    start: usize,
    end: usize,
}

impl Ends {
    /// The places, if the header has both; or why it has one and is no other table of labels.
    pub fn of(header: &StringRecord) -> Result<Option<Self>, String> {
        let only = |name: &str| -> String {
            let kept = name.chars().filter(char::is_ascii_alphanumeric);
            kept.map(|it| it.to_ascii_lowercase()).collect()
        };
        let place = |names: &[&str]| header.iter().position(|it| names.contains(&&*only(it)));
        let is_label = |it: &str| LABELS.contains(&it.to_ascii_lowercase().as_str());
        let lacking = |there: usize, what: &str| {
            let there = &header[there];
            Err(format!(
                "column {there:?} is of incidents, and no column is named {what:?}; {BEGIN}"
            ))
        };
        match (place(&STARTS), place(&ENDS)) {
            (Some(start), Some(end)) => Ok(Some(Self { start, end })),
            _ if header.iter().any(is_label) => Ok(None),
            (Some(start), None) => lacking(start, "end"),
            (None, Some(end)) => lacking(end, "start"),
            (None, None) => Ok(None),
        }
    }
}

/// Reads the incidents of a file.
pub(super) fn read(
    mut text: Text,
    at: Ends,
    owners: &Owners,
    zone: Option<&Zone>,
    max_lines: usize,
) -> Result<Taken, HistoryError> {
    let mut record = StringRecord::new();
    let (mut starts, mut ends) = (Times::new(zone), Times::new(zone));
    let mut lines = Vec::new();
    while text.next(&mut record)? {
        if lines.len() == max_lines {
            return Err(too_long(&text, max_lines));
        }
        let commas = text.has_decimal_commas();
        for (times, place) in [(&mut starts, at.start), (&mut ends, at.end)] {
            let moment = Moment::parse(record[place].trim(), commas);
            moment.and_then(|it| times.push(it, &record[place])).map_err(|reason| {
                text.wrong(format!("column {:?}: {reason}", &text.header[place]))
            })?;
        }
        lines.push((owners.labels(&record), line(&text)));
    }
    let wrong = |(index, reason): Unclear| text.wrong_at(lines[index].1.into(), reason);
    let are_utc = starts.are_taken_as_utc() || ends.are_taken_as_utc();
    starts.finish_each().map_err(wrong)?;
    ends.finish_each().map_err(wrong)?;
    let mut incidents = Vec::with_capacity(lines.len());
    for (index, (owner, _)) in lines.iter().enumerate() {
        let start_ms = starts.ms[index];
        // A date alone ends with its day.
        let end_ms = ends.ms[index] + if ends.are_days() { DAY_MS - 1 } else { 0 };
        if end_ms < start_ms {
            let [start, end] = [start_ms, end_ms].map(timestamp::format_ms);
            let reason = format!("the incident ends at {end}, before its start at {start}");
            return Err(wrong((index, reason)));
        }
        incidents.push(Incident { owner: owner.clone(), start_ms, end_ms });
    }
    let notes = notes(&text, at, owners, incidents.len());
    Ok((Marks::Incidents(incidents), notes, are_utc))
}

/// What the file was taken for, and the columns that are not looked at.
fn notes(text: &Text, at: Ends, owners: &Owners, count: usize) -> Vec<String> {
    let header = &text.header;
    let own = [at.start, at.end];
    let columns = owners.names(header, &own);
    let incidents = if count == 1 { "incident" } else { "incidents" };
    let mut notes = vec![format!("the file has {count} {incidents}, by its columns {columns}")];
    let others = header.iter().enumerate();
    let others = others.filter(|(place, _)| !own.contains(place) && !owners.has(*place));
    let others: Vec<String> = others.map(|(_, name)| format!("{name:?}")).collect();
    if !others.is_empty() {
        notes.push(format!(
            "columns that are no label of the model's hosts are not looked at: {}",
            others.join(", ")
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::labels::{LabelTable, read_labels};
    use super::*;
    use crate::labels::Labels;

    fn read(text: &str, zone: Option<&str>) -> Result<LabelTable, String> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        let zone: Option<Zone> = zone.map(|it| it.parse().expect("a zone"));
        let entity = ["job", "instance"].map(str::to_owned);
        read_labels(file.path(), zone.as_ref(), &entity).map_err(|it| it.to_string())
    }

    /// From and to in RFC 3339, and whose.
    type Expected<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

    #[track_caller]
    fn check(text: &str, expected: &[Expected<'_>]) -> Vec<String> {
        let LabelTable { marks, notes } = read(text, None).expect("incidents");
        let incident = |(start, end, owner): &Expected<'_>| Incident {
            owner: Labels::from_pairs(owner.iter().copied()).expect("labels"),
            start_ms: timestamp::parse_ms(start).expect(start),
            end_ms: timestamp::parse_ms(end).expect(end),
        };
        assert_eq!(marks, Marks::Incidents(expected.iter().map(incident).collect()), "{text}");
        notes
    }

    const AT: (&str, &str) = ("2026-11-23T10:15:00Z", "2026-11-23T10:45:00Z");

    #[test]
    fn incidents_are_read_in_every_form_of_times() {
        let expected = [(AT.0, AT.1, &[][..])];
        for text in [
            "start,end\n2026-11-23T10:15:00Z,2026-11-23T10:45:00Z\n",
            "Start;End\n1795428900;1795430700\n",
            "end,start\n1795430700000,2026-11-23 10:15\n",
            "startsAt\tendsAt\n2026-11-23 11:15:00+01:00\t23.11.2026 10:45\n",
            "Start Time,End Time\n11/23/2026 10:15 AM,11/23/2026 10:45 AM\n",
        ] {
            check(text, &expected);
        }
        let days = [("2026-11-22T00:00:00Z", "2026-11-23T23:59:59.999Z", &[][..])];
        let notes = check("start,end\n2026-11-22,2026-11-23\n", &days);
        let utc = "the times have no zone: they are taken as UTC";
        assert_eq!(notes, ["the file has 1 incident, by its columns start, end", utc]);
    }

    #[test]
    fn labels_say_whose_an_incident_is() {
        let text = format!(
            "title,start,end,instance,job\nx,{0},{1},web-1,node\ny,{0},{1},,node\nz,{0},{1},,\n",
            AT.0, AT.1
        );
        let expected = [
            (AT.0, AT.1, &[("instance", "web-1"), ("job", "node")][..]),
            (AT.0, AT.1, &[("job", "node")]),
            (AT.0, AT.1, &[]),
        ];
        let notes = [
            "the file has 3 incidents, by its columns start, end, instance, job",
            "columns that are no label of the model's hosts are not looked at: \"title\"",
        ];
        assert_eq!(check(&text, &expected), notes);
        assert_eq!(
            check("start,end\n", &[])[0],
            "the file has 0 incidents, by its columns start, end"
        );
    }

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        let error = read(text, None).expect_err("a refusal");
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        check_error(
            "start,end\n1795428900,1795430700\n1795428900,soon\n",
            ", line 3: column \"end\": \"soon\" is not a time; write RFC 3339",
        );
        check_error("start,end\n,1795430700\n", ", line 2: column \"start\": \"\" is not a time");
        check_error("start,end\n1795428900\n", ", line 2: 1 columns, the header has 2");
        check_error(
            "start,end\n1795430700,1795428900\n",
            ", line 2: the incident ends at 2026-11-23T10:15:00Z, before its start at 2026-11-23T10:45:00Z",
        );
        check_error(
            "start,duration\n1795430700,5\n",
            ", line 1: column \"start\" is of incidents, and no column is named \"end\"; begin the file with",
        );
        check_error(
            "host,until\n",
            "column \"until\" is of incidents, and no column is named \"start\"",
        );
        check_error(
            "start,end\n5/11/2026 9:00,5/11/2026 10:00\n",
            ", line 2: the time \"5/11/2026 9:00\" may have",
        );
    }

    #[test]
    fn an_hour_that_comes_twice_is_refused() {
        let text = "start,end\n2026-10-25 02:15,2026-10-25 04:00\n";
        let error = read(text, Some("Europe/Berlin")).expect_err("a refusal");
        assert!(
            error.contains(", line 2: 2026-10-25T02:15:00 comes twice in Europe/Berlin"),
            "{error}"
        );
        let good = read("start,end\n2026-10-25 01:15,2026-10-25 04:00\n", Some("Europe/Berlin"));
        let expected = Incident {
            owner: Labels::empty(),
            start_ms: timestamp::parse_ms("2026-10-24T23:15:00Z").expect("a time"),
            end_ms: timestamp::parse_ms("2026-10-25T03:00:00Z").expect("a time"),
        };
        assert_eq!(good.expect("incidents").marks, Marks::Incidents(vec![expected]));
        // Incidents of two hosts at one time are no hour that comes again.
        let two = "start,end\n2026-11-23 03:00,2026-11-23 03:10\n2026-11-23 03:00,2026-11-23 03:10\n2026-11-23 04:00,2026-11-23 05:00\n";
        assert!(read(two, None).is_ok());
    }
}
