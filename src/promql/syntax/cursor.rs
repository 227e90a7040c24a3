//! A cursor: the place in the tokens of one text, and what reading it has found so far.

use super::error::Fault;
use super::lexer::{Token, TokenKind, tokens};
use super::site::Site;
use super::tree::Node;

/// The most operators and brackets outside of `{}`. The trees of this many levels that they can
/// make fit several times into the smallest stack of a thread, 2 MiB.
const MAX_OPERATORS: u64 = 500;

/// The state of reading one text.
pub(super) struct Cursor<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
    times: Option<(i64, i64)>,
    operators: u64,
    /// Why a query has no value, whatever the series.
    pub(super) failed: Option<Box<str>>,
    /// What may have annotations in a query, in the order in which it is evaluated.
    pub(super) sites: Vec<Site>,
}

impl<'a> Cursor<'a> {
    /// Before the first token of a text; `times` are what `start()` and `end()` mean.
    pub(super) fn new(text: &'a str, times: Option<(i64, i64)>) -> Self {
        Self { tokens: tokens(text), next: 0, times, operators: 0, failed: None, sites: vec![] }
    }

    pub(super) fn peek(&self) -> &Token<'a> {
        &self.tokens[self.next]
    }

    pub(super) fn peek_second(&self) -> &Token<'a> {
        &self.tokens[(self.next + 1).min(self.tokens.len() - 1)]
    }

    /// Takes a token; the last one again and again.
    pub(super) fn bump(&mut self) -> Token<'a> {
        let token = self.tokens[self.next].clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    /// Takes the next token if it is this mark.
    pub(super) fn take(&mut self, mark: &str) -> bool {
        let found = self.peek().is(mark);
        if found {
            self.bump();
        }
        found
    }

    /// Takes the next token if it is this keyword.
    pub(super) fn take_word(&mut self, keyword: &str) -> bool {
        let found = self.peek().is_word(keyword);
        if found {
            self.bump();
        }
        found
    }

    pub(super) fn expect(&mut self, mark: &str, place: &str, expected: &str) -> Result<(), Fault> {
        if self.take(mark) { Ok(()) } else { Err(self.unexpected(place, expected)) }
    }

    /// The next token cannot stand here.
    pub(super) fn unexpected(&self, place: &str, expected: &str) -> Fault {
        let token = self.peek();
        let mut message = token.describe();
        if !matches!(token.kind, TokenKind::Wrong(_)) {
            message.insert_str(0, "unexpected ");
            if !place.is_empty() {
                message += " in ";
                message += place;
            }
            if !expected.is_empty() {
                message += ", expected ";
                message += expected;
            }
        }
        Fault::syntax(token.at, message)
    }

    /// Counts the operator or bracket that was just taken.
    pub(super) fn count(&mut self, at: usize) -> Result<(), Fault> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            let what = "a number of operators and brackets";
            return Err(Fault::limit(at, what, self.operators, MAX_OPERATORS));
        }
        Ok(())
    }

    /// What `start()` and `end()` mean; `None` in a feature, where `@` is not allowed.
    pub(super) fn times(&self) -> Option<(i64, i64)> {
        self.times
    }

    /// The query can be read, but has no value. The first reason counts.
    pub(super) fn fail(&mut self, reason: impl Into<Box<str>>) {
        self.failed.get_or_insert_with(|| reason.into());
    }

    /// Remembers what may have annotations in a query, with its [name](Site::name) and the
    /// [places](Site::places) of these.
    #[inline(never)]
    pub(super) fn annotate(&mut self, node: &Node, name: &'static str, places: [usize; 2]) {
        if self.times.is_some() {
            self.sites.extend(Site::of(node, name, places));
        }
    }
}
