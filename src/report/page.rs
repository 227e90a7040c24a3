//! A page: headings, text, tables and figures in the order they were added.
//!
//! In: parts. Out: HTML that holds all it needs; a policy in its head forbids to load anything.

use super::escape::html;
use super::plot::{Figure, Key, Part, Plot, Size};

/// Sections from which on a page has a list of them.
const CONTENTS: usize = 3;

/// Characters of a cell from which on its column must not become narrow, as its rows would become high.
const LONG: usize = 40;

/// Rows of text under named columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The cells by rows. A column in which every cell begins like a number stands to the right; a
    /// short row is filled with empty cells.
    pub rows: Vec<Vec<String>>,
    /// The row that stands out, such as the one that was chosen.
    pub emphasis: Option<usize>,
}

/// A report while it is put together.
#[derive(Debug, Clone, Default)]
pub struct Page {
    title: String,
    lead: String,
    sections: Vec<String>,
    body: String,
}

impl Page {
    /// An empty page.
    #[must_use]
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), ..Self::default() }
    }

    /// Says under the title what the reader should know first; empty lines part paragraphs.
    pub fn lead(&mut self, text: &str) -> &mut Self {
        self.lead.push_str(&paragraphs(text));
        self
    }

    /// Begins a section; empty lines part paragraphs, and the text may be empty.
    pub fn section(&mut self, heading: &str, text: &str) -> &mut Self {
        self.sections.push(heading.to_owned());
        let id = self.sections.len();
        self.body.push_str(&format!("<h2 id=\"s{id}\">{}</h2>\n", html(heading)));
        self.body.push_str(&paragraphs(text));
        self
    }

    /// Adds a table of what something is called and what it is.
    pub fn facts<'a>(&mut self, facts: impl IntoIterator<Item = (&'a str, String)>) -> &mut Self {
        let rows = facts.into_iter().map(|(name, text)| vec![name.to_owned(), text]);
        self.table(&Table::new(&["what", "figure"], rows))
    }

    /// Adds a table.
    pub fn table(&mut self, table: &Table) -> &mut Self {
        self.body.push_str(&table.html());
        self
    }

    /// Adds a plot and a caption that says how to read it.
    pub fn plot(&mut self, plot: &Plot, caption: &str) -> &mut Self {
        self.body.push_str(&figure_html(&plot.figure(), caption));
        self
    }

    /// Adds text as it is, such as a configuration.
    pub fn code(&mut self, text: &str) -> &mut Self {
        self.body.push_str(&format!("<pre><code>{}</code></pre>\n", html(text)));
        self
    }

    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        let title = html(&self.title);
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" \
             content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
             <style>\n{style}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n\
             <div class=\"lead\">\n{lead}</div>\n{contents}{body}</main>\n</body>\n</html>\n",
            style = include_str!("style.css"),
            lead = self.lead,
            contents = self.contents(),
            body = self.body,
        )
    }

    fn contents(&self) -> String {
        if self.sections.len() < CONTENTS {
            return String::new();
        }
        let link = |(i, heading): (usize, &String)| {
            format!("<li><a href=\"#s{}\">{}</a></li>\n", i + 1, html(heading))
        };
        let links: String = self.sections.iter().enumerate().map(link).collect();
        format!("<nav aria-label=\"Contents\"><ul>\n{links}</ul></nav>\n")
    }
}

impl Table {
    /// Rows under columns of these names; none stands out.
    #[must_use]
    pub fn new(columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Self {
        let columns = columns.iter().copied().map(str::to_owned).collect();
        Self { columns, rows: rows.into_iter().collect(), emphasis: None }
    }

    fn html(&self) -> String {
        let widest = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let numbers: Vec<bool> =
            (0..self.columns.len().max(widest)).map(|column| self.is_numbers(column)).collect();
        let is_long = |column: usize| {
            let mut cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.any(|cell| cell.chars().count() > LONG)
        };
        let classes: Vec<&str> = (numbers.iter().enumerate())
            .map(|(column, is_number)| match (is_number, is_long(column)) {
                (true, _) => " class=\"number\"",
                (false, true) => " class=\"long\"",
                (false, false) => "",
            })
            .collect();
        let cells = |row: &[String], tag: &str| -> String {
            let cell = |(i, class): (usize, &&str)| {
                let text = row.get(i).map(String::as_str).unwrap_or_default();
                format!("<{tag}{class}>{}</{tag}>", html(text))
            };
            classes.iter().enumerate().map(cell).collect()
        };
        let row = |(i, row): (usize, &Vec<String>)| {
            let class = if self.emphasis == Some(i) { " class=\"emphasis\"" } else { "" };
            format!("<tr{class}>{}</tr>\n", cells(row, "td"))
        };
        let rows: String = self.rows.iter().enumerate().map(row).collect();
        let head = cells(&self.columns, "th");
        format!(
            "<div class=\"table\"><table>\n<thead><tr>{head}</tr></thead>\n\
             <tbody>\n{rows}</tbody>\n</table></div>\n"
        )
    }

    /// Whether every cell of a column begins like a number, empty ones and dashes aside.
    fn is_numbers(&self, column: usize) -> bool {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.trim());
        let mut cells = cells.filter(|cell| !["", "-", "–", "—"].contains(cell)).peekable();
        let sign = |c: char| ['+', '-', '−', '±', '<', '>', '≤', '≥', '~'].contains(&c);
        let number = |cell: &str| {
            let digits = cell.trim_start_matches(sign).trim_start();
            digits.starts_with(|c: char| c.is_ascii_digit()) || ["NaN", "inf"].contains(&digits)
        };
        cells.peek().is_some() && cells.all(number)
    }
}

fn paragraphs(text: &str) -> String {
    let parts = text.split("\n\n").map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| format!("<p>{}</p>\n", html(part))).collect()
}

fn figure_html(figure: &Figure, caption: &str) -> String {
    let line = |class: &str, text: &str| match text {
        "" => String::new(),
        _ => format!("<p class=\"{class}\">{}</p>\n", html(text)),
    };
    let key = |Key { ink, name }: &Key| {
        format!("<li><span class=\"key {}\"></span>{}</li>\n", ink.class(), html(name))
    };
    let keys: String = figure.keys.iter().map(key).collect();
    let keys = if keys.is_empty() { keys } else { format!("<ul class=\"keys\">\n{keys}</ul>\n") };
    let below = |size: Size| match size {
        Size::Panel => String::new(),
        Size::Wide | Size::Narrow => line("below", &figure.below),
    };
    let parts: String =
        figure.parts.iter().map(|part| part_html(part, &below(part.size))).collect();
    let parts = match figure.parts.first() {
        Some(part) if part.size == Size::Panel => {
            format!("<div class=\"panels\">\n{parts}</div>\n{}", line("below", &figure.below))
        }
        _ => parts,
    };
    format!(
        "<figure>\n<h3>{}</h3>\n{keys}{}{parts}<figcaption>{}</figcaption>\n</figure>\n",
        html(&figure.title),
        line("above", &figure.above),
        html(caption),
    )
}

fn part_html(part: &Part, below: &str) -> String {
    let heading = match part.heading.as_str() {
        "" => String::new(),
        heading => format!("<h4>{}</h4>\n", html(heading)),
    };
    let notes: String =
        part.notes.iter().map(|note| format!("<p class=\"note\">{}</p>\n", html(note))).collect();
    let class = part.size.class();
    format!("<div class=\"{class} part\">\n{heading}{}{below}{notes}</div>\n", part.svg)
}
