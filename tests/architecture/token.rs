//! [`Token`]: Rust source cut into words, as far as the rules need it.
//!
//! Comments are dropped, literals kept whole. No grammar: a token knows its line, whether it is part of what is
//! compiled for tests only, and in which inline modules it stands.

/// A word, a literal or a sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// The word; a literal without its quotes; one sign, or `::`.
    pub(crate) text: String,
    /// Counted from one.
    pub(crate) line: usize,
    /// Part of an item under `#[cfg(test)]` or `#[test]`.
    pub(crate) in_test: bool,
    /// The inline modules around it, outermost first.
    pub(crate) inside: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    Text,
    Sign,
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.kind != Kind::Text && self.text == text
    }

    pub(crate) fn is_word(&self) -> bool {
        self.kind == Kind::Word
    }
}

/// Cuts source into tokens.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Scanner { rest: source, line: 1 }.scan();
    mark_tests(&mut tokens);
    mark_inline_modules(&mut tokens);
    tokens
}

/// The index behind the bracket that closes the one at `open`; the end if there is none.
pub(crate) fn behind_closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        if ["(", "[", "{"].iter().any(|bracket| token.is(bracket)) {
            depth += 1;
        } else if [")", "]", "}"].iter().any(|bracket| token.is(bracket)) {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return index + 1;
            }
        }
    }
    tokens.len()
}

struct Scanner<'s> {
    rest: &'s str,
    line: usize,
}

impl Scanner<'_> {
    fn scan(mut self) -> Vec<Token> {
        let mut tokens = Vec::new();
        while let Some(first) = self.rest.chars().next() {
            let line = self.line;
            let (kind, length, text) = self.next(first);
            let (taken, rest) = self.rest.split_at(length);
            self.line += taken.matches('\n').count();
            self.rest = rest;
            if let Some(kind) = kind {
                tokens.push(Token { kind, text, line, in_test: false, inside: Vec::new() });
            }
        }
        tokens
    }

    /// What begins here, how many bytes it takes, and its text; no kind if it is to be dropped.
    fn next(&self, first: char) -> (Option<Kind>, usize, String) {
        let rest = self.rest;
        let until = |end: Option<usize>| end.unwrap_or(rest.len());
        if first.is_whitespace() {
            (None, first.len_utf8(), String::new())
        } else if rest.starts_with("//") {
            (None, until(rest.find('\n')), String::new())
        } else if rest.starts_with("/*") {
            (None, block_comment(rest), String::new())
        } else if let Some((length, text)) = literal(rest) {
            (Some(Kind::Text), length, text)
        } else if is_word(first) {
            let length = until(rest.find(|c| !is_word(c)));
            (Some(Kind::Word), length, rest[..length].to_owned())
        } else if rest.starts_with("::") {
            (Some(Kind::Sign), 2, "::".to_owned())
        } else {
            (Some(Kind::Sign), first.len_utf8(), first.to_string())
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of a block comment, those nested in it too.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The length and the text of a string, byte string, raw string or character that begins here.
fn literal(rest: &str) -> Option<(usize, String)> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        rest.strip_prefix(prefix)
            .is_some_and(|rest| rest.trim_start_matches('#').starts_with('"') || quotes(rest))
    })?;
    let body = &rest[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let inner = body[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let length = inner.find(&end).unwrap_or(inner.len());
        let whole = prefix.len() + hashes + 1 + length + end.len();
        return Some((whole.min(rest.len()), inner[..length].to_owned()));
    }
    let quote = body.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => {
                return Some((prefix.len() + at + 1, body[1..at].to_owned()));
            }
            _ => {}
        }
    }
    Some((rest.len(), body[1..].to_owned()))
}

/// Is this a character, and not a lifetime?
fn quotes(rest: &str) -> bool {
    let mut chars = rest.chars();
    if chars.next() != Some('\'') {
        return false;
    }
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}

/// Marks the items that only tests are compiled with, their attributes too.
fn mark_tests(tokens: &mut [Token]) {
    let mut at = 0;
    while at < tokens.len() {
        let opens = tokens[at].is("#") && tokens.get(at + 1).is_some_and(|next| next.is("["));
        if !opens {
            at += 1;
            continue;
        }
        let behind = behind_closing(tokens, at + 1);
        if !is_test_attribute(&tokens[at + 2..behind.saturating_sub(1)]) {
            at = behind;
            continue;
        }
        let end = end_of_item(tokens, behind);
        tokens[at..end].iter_mut().for_each(|token| token.in_test = true);
        at = end;
    }
}

/// `cfg(test)`, `cfg(all(test, …))`, `test`, `tokio::test(…)`.
fn is_test_attribute(attribute: &[Token]) -> bool {
    let says_test = attribute.iter().any(|token| token.is("test"));
    let negated = attribute.iter().any(|token| token.is("not"));
    match attribute.first() {
        Some(first) if first.is("cfg") => says_test && !negated,
        Some(first) if first.is("test") => true,
        Some(first) if first.is("tokio") => says_test,
        _ => false,
    }
}

/// Behind the `}` or `;` that ends the item beginning at `at`.
fn end_of_item(tokens: &[Token], mut at: usize) -> usize {
    while at < tokens.len() {
        if tokens[at].is(";") {
            return at + 1;
        }
        if tokens[at].is("{") {
            return behind_closing(tokens, at);
        }
        // An attribute, arguments, an array's length: none of it ends the item.
        at = if tokens[at].is("(") || tokens[at].is("[") {
            behind_closing(tokens, at)
        } else {
            at + 1
        };
    }
    at
}

fn mark_inline_modules(tokens: &mut [Token]) {
    let mut at = 0;
    while at + 2 < tokens.len() {
        if tokens[at].is("mod") && tokens[at + 1].is_word() && tokens[at + 2].is("{") {
            let name = tokens[at + 1].text.clone();
            let end = behind_closing(tokens, at + 2);
            tokens[at + 3..end].iter_mut().for_each(|token| token.inside.push(name.clone()));
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<String> {
        tokens(source).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_are_dropped_and_literals_kept_whole() {
        let source =
            "a // b\n/* c /* d */ e */ f(\"g // \\\" h\", r#\"i \" j\"#, 'k', '\\'', b\"l\")";
        let expected =
            ["a", "f", "(", "g // \\\" h", ",", "i \" j", ",", "k", ",", "\\'", ",", "l", ")"];
        assert_eq!(words(source), expected);
    }

    #[test]
    fn a_lifetime_is_no_character() {
        assert_eq!(words("&'a str, 'b'"), ["&", "'", "a", "str", ",", "b"]);
    }

    #[test]
    fn a_word_that_begins_like_a_literal_is_a_word() {
        assert_eq!(words("result r#\"x\"# break b'x'"), ["result", "x", "break", "x"]);
    }

    #[test]
    fn lines_are_counted_through_comments_and_literals() {
        let lines: Vec<usize> =
            tokens("a\n/*\n*/ b \"\n\" c").iter().map(|token| token.line).collect();
        assert_eq!(lines, [1, 3, 3, 4]);
    }

    #[test]
    fn what_only_tests_have_is_marked() {
        let source = "fn a() {} #[cfg(test)] mod tests { fn b() {} } fn c() {} \
                      #[tokio::test(flavor = \"x\")] async fn d() {} #[cfg(not(test))] fn e() {}";
        let outside: Vec<String> = tokens(source)
            .into_iter()
            .filter(|token| !token.in_test && token.text.len() == 1 && token.is_word())
            .map(|token| token.text)
            .collect();
        assert_eq!(outside, ["a", "c", "e"]);
    }

    #[test]
    fn a_token_knows_the_modules_around_it() {
        let tokens = tokens("mod a { mod b { c } d } e");
        let inside = |text: &str| {
            let token = tokens.iter().find(|token| token.text == text).unwrap();
            token.inside.join("::")
        };
        assert_eq!([inside("c"), inside("d"), inside("e")], ["a::b", "a", ""]);
    }
}
