//! A lexer: from a text to tokens, each with its place in the text.
//!
//! What a character means depends on the brackets around it: inside of `{}` there are no keywords
//! and `=~` is an operator, inside of `[]` there are only durations. The first thing that is no
//! token ends the list, so that what comes before it can still be wrong first.
//! Source: Prometheus `promql/parser/lex.go`.

use super::literal;

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// The end of the text.
    End,
    /// A name, or outside of braces a keyword.
    Word,
    /// A number as it is written.
    Number(f64),
    /// `5m`, in seconds.
    Duration(f64),
    /// A string without its quotes and escapes.
    Text(String),
    /// An operator, bracket or other mark: the token's text.
    Mark,
    /// No token, and why.
    Wrong(String),
}

/// A piece of the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind,
    /// In bytes from the start.
    pub(super) at: usize,
    pub(super) text: &'a str,
}

impl Token<'_> {
    /// Whether this is a certain operator or bracket.
    pub(super) fn is(&self, mark: &str) -> bool {
        self.kind == TokenKind::Mark && self.text == mark
    }

    /// Whether this is a certain keyword; they are written in any case.
    pub(super) fn is_word(&self, keyword: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(keyword)
    }

    /// The token in the words of Prometheus's errors.
    pub(super) fn describe(&self) -> String {
        const OPERATORS: [&str; 14] =
            ["+", "-", "*", "/", "%", "^", "==", "!=", "<", ">", "<=", ">=", "=~", "!~"];
        const WORD_OPERATORS: [&str; 4] = ["and", "or", "unless", "atan2"];
        const KEYWORDS: [&str; 10] = [
            "offset",
            "by",
            "without",
            "on",
            "ignoring",
            "group_left",
            "group_right",
            "bool",
            "start",
            "end",
        ];
        let text = self.text;
        let lower = text.to_ascii_lowercase();
        match &self.kind {
            TokenKind::End => "end of input".to_owned(),
            TokenKind::Wrong(reason) => reason.clone(),
            TokenKind::Mark if OPERATORS.contains(&text) => format!("<op:{text}>"),
            TokenKind::Mark => format!("{text:?}"),
            TokenKind::Number(_) => format!("number {text:?}"),
            TokenKind::Duration(_) => format!("duration {text:?}"),
            TokenKind::Text(_) => format!("string {text}"),
            TokenKind::Word if WORD_OPERATORS.contains(&&lower[..]) => format!("<op:{text}>"),
            TokenKind::Word if KEYWORDS.contains(&&lower[..]) => format!("<{text}>"),
            TokenKind::Word if text.contains(':') => format!("metric identifier {text:?}"),
            TokenKind::Word => format!("identifier {text:?}"),
        }
    }
}

/// The tokens of a text; the last one is the end or what is wrong, and nothing else is either.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut lexer =
        Lexer { text, at: 0, braces: false, bracket: false, colon: false, parentheses: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip();
        let at = lexer.at;
        let kind = lexer.kind().unwrap_or_else(TokenKind::Wrong);
        let text = &text[at..lexer.at];
        let last = matches!(kind, TokenKind::End | TokenKind::Wrong(_));
        tokens.push(Token { kind, at, text });
        if last {
            return tokens;
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    braces: bool,
    bracket: bool,
    /// There was a colon since the bracket.
    colon: bool,
    parentheses: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Passes over as many characters as satisfy the condition; returns them.
    fn run(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Passes over white space and comments.
    fn skip(&mut self) {
        loop {
            self.run(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
            if !self.rest().starts_with('#') {
                return;
            }
            self.run(|c| !matches!(c, '\n' | '\r'));
        }
    }

    fn kind(&mut self) -> Result<TokenKind, String> {
        let Some(c) = self.rest().chars().next() else {
            return self.end();
        };
        let second = self.rest()[c.len_utf8()..].chars().next();
        let digit = c.is_ascii_digit()
            || c == '.' && second.is_some_and(|c| c.is_ascii_digit()) && !self.braces;
        match c {
            '"' | '\'' | '`' if !self.bracket => self.string(c),
            _ if self.braces => self.inside_braces(c, second),
            _ if digit => self.number(),
            'a'..='z' | 'A'..='Z' | '_' if !self.bracket => Ok(self.word()),
            ':' if !self.bracket => Ok(self.word()),
            _ => self.mark(c, second),
        }
    }

    fn end(&self) -> Result<TokenKind, String> {
        if self.braces {
            Err("unexpected end of input inside braces".to_owned())
        } else if self.parentheses > 0 {
            Err("unclosed left parenthesis".to_owned())
        } else if self.bracket {
            Err("unclosed left bracket".to_owned())
        } else {
            Ok(TokenKind::End)
        }
    }

    fn inside_braces(&mut self, c: char, second: Option<char>) -> Result<TokenKind, String> {
        let length = match (c, second) {
            ('a'..='z' | 'A'..='Z' | '_', _) => {
                self.run(|c| c.is_ascii_alphanumeric() || c == '_');
                return Ok(TokenKind::Word);
            }
            ('=', Some('~')) | ('!', Some('=' | '~')) => 2,
            (',' | '=', _) => 1,
            ('}', _) => {
                self.braces = false;
                1
            }
            ('!', _) => return Err(after("!", second, " inside braces")),
            ('{', _) => return Err("unexpected left brace '{'".to_owned()),
            _ => return Err(format!("unexpected character inside braces: {c:?}")),
        };
        self.at += length;
        Ok(TokenKind::Mark)
    }

    fn mark(&mut self, c: char, second: Option<char>) -> Result<TokenKind, String> {
        let length = match (c, second) {
            ('=' | '<' | '>', Some('=')) | ('!', Some('=')) => 2,
            ('=', Some('~')) => return Err(after("=", second, "")),
            ('!', _) => return Err(after("!", second, "")),
            (':', _) if self.bracket => {
                if std::mem::replace(&mut self.colon, true) {
                    return Err("unexpected colon ':'".to_owned());
                }
                1
            }
            ('=' | '<' | '>' | ',' | '@' | '+' | '-' | '*' | '/' | '%' | '^', _) => 1,
            ('(', _) => {
                self.parentheses += 1;
                1
            }
            (')', _) => {
                let open = self.parentheses.checked_sub(1);
                self.parentheses = open.ok_or("unexpected right parenthesis ')'")?;
                1
            }
            ('{', _) if !self.bracket => {
                self.braces = true;
                1
            }
            ('[', _) => {
                if self.bracket {
                    return Err("unexpected left bracket '['".to_owned());
                }
                (self.bracket, self.colon) = (true, false);
                1
            }
            (']', _) => {
                if !self.bracket {
                    return Err("unexpected right bracket ']'".to_owned());
                }
                self.bracket = false;
                1
            }
            _ if self.bracket => {
                return Err(format!("unexpected character in duration expression: {c:?}"));
            }
            _ => return Err(format!("unexpected character: {c:?}")),
        };
        self.at += length;
        Ok(TokenKind::Mark)
    }

    fn word(&mut self) -> TokenKind {
        let word = self.run(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
        match word.to_ascii_lowercase().as_str() {
            "inf" => TokenKind::Number(f64::INFINITY),
            "nan" => TokenKind::Number(f64::NAN),
            _ => TokenKind::Word,
        }
    }

    fn number(&mut self) -> Result<TokenKind, String> {
        let start = self.at;
        let alphanumeric = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        let first = self.run(alphanumeric);
        let hexadecimal = first.starts_with("0x") || first.starts_with("0X");
        if first.ends_with(['e', 'E']) && !hexadecimal && self.rest().starts_with(['+', '-']) {
            self.at += 1;
            self.run(alphanumeric);
        }
        let text = &self.text[start..self.at];
        if text.ends_with(|c: char| "smhdwy".contains(c)) && !hexadecimal {
            return literal::duration(text).map(TokenKind::Duration);
        }
        literal::number(text).map(TokenKind::Number)
    }

    fn string(&mut self, quote: char) -> Result<TokenKind, String> {
        let start = self.at;
        self.at += 1;
        loop {
            let raw = quote == '`';
            self.run(|c| c != quote && (raw || !matches!(c, '\\' | '\n')));
            let mut rest = self.rest().chars();
            match rest.next() {
                Some('\\') => {
                    self.at += 1 + rest.next().map_or(0, char::len_utf8);
                }
                Some(c) if c == quote => break,
                _ => {
                    self.at = start;
                    let what = if raw { "raw string" } else { "quoted string" };
                    return Err(format!("unterminated {what}"));
                }
            }
        }
        self.at += 1;
        literal::unquoted(&self.text[start + 1..self.at - 1], quote).map(TokenKind::Text)
    }
}

fn after(mark: &str, c: Option<char>, place: &str) -> String {
    match c {
        Some(c) => format!("unexpected character after '{mark}'{place}: {c:?}"),
        None => format!("unexpected end of input after '{mark}'{place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let got: Vec<&str> =
            tokens(text).iter().filter(|t| t.kind != TokenKind::End).map(|t| t.text).collect();
        assert_eq!(got, expected, "{text}");
    }

    #[track_caller]
    fn check_wrong(text: &str, at: usize, expected: &str) {
        let last = tokens(text).pop().expect("there is a last token");
        assert_eq!((last.at, last.kind), (at, TokenKind::Wrong(expected.to_owned())), "{text}");
    }

    #[test]
    fn cuts_a_text_into_tokens() {
        check(
            "a:b+rate(x[5m:30s])",
            &["a:b", "+", "rate", "(", "x", "[", "5m", ":", "30s", "]", ")"],
        );
        check(
            r#"{a=~"b",c!~'d' , by!="e"}"#,
            &["{", "a", "=~", "\"b\"", ",", "c", "!~", "'d'", ",", "by", "!=", "\"e\"", "}"],
        );
        check("a # b\n <= 1e+3-0x1e+3 # c", &["a", "<=", "1e+3", "-", "0x1e", "+", "3"]);
        check("x offset -5m @ 1.5", &["x", "offset", "-", "5m", "@", "1.5"]);
        check("", &[]);
    }

    #[test]
    fn says_where_a_text_goes_wrong() {
        check_wrong("(a", 2, "unclosed left parenthesis");
        check_wrong("a)", 1, "unexpected right parenthesis ')'");
        check_wrong("a[5m", 4, "unclosed left bracket");
        check_wrong("a[b", 2, "unexpected character in duration expression: 'b'");
        check_wrong("a{b", 3, "unexpected end of input inside braces");
        check_wrong("a{b=1}", 4, "unexpected character inside braces: '1'");
        check_wrong("a !b", 2, "unexpected character after '!': 'b'");
        check_wrong("a ? b", 2, "unexpected character: '?'");
        check_wrong("a + \"b", 4, "unterminated quoted string");
        check_wrong("`b", 0, "unterminated raw string");
        check_wrong("\"b\nc\"", 0, "unterminated quoted string");
        check_wrong("é", 0, "unexpected character: 'é'");
        check_wrong("3q", 0, "bad number or duration syntax: \"3q\"");
    }
}
