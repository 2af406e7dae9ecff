//! Text in YAML to a [`Node`], each part with its line.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::node::{Entry, Node, Scalar, Value};
use super::origin::Origin;
use super::problem::Problem;
use super::scalar;

/// How deep sections and lists may lie in each other. A configuration has a few levels; recursion has to end.
const DEPTH: usize = 64;

/// How many values there may be, those that aliases repeat among them.
const VALUES: usize = 100_000;

/// Whether a problem may show what stands in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quote {
    /// A file: its line is named, and what the parser says.
    Yes,
    /// The value of a variable, which may be a secret as a whole.
    No,
}

/// The document of `text`; nothing if there is none. A second one with something in it is an error: yaml.v2 passes it over
/// without a word, and with it whatever it says of who is let in.
///
/// A key that stands twice in a section is an error: which of two counts differs between Distribution's sections.
pub(super) fn parse(text: &str, source: &Origin, quote: Quote) -> Result<Node, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder {
        source,
        open: Vec::new(),
        anchors: HashMap::new(),
        repeated: HashSet::new(),
        left: VALUES,
        root: None,
    };
    let mut is_over = false;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let at = source.at_line(error.marker().line().max(1));
            let why = if quote == Quote::Yes { error.info() } else { "it cannot be parsed" };
            Problem::general(Some(at), format!("expected YAML, found text that is none: {why}"))
        })?;
        is_over |= matches!(event, Event::DocumentEnd);
        if is_over && says_something(&event) {
            let what = "expected one document, found a second one behind `---`";
            return Err(Problem::general(Some(source.at_line(span.start.line().max(1))), what));
        }
        if !is_over {
            builder.take(event, span)?;
        }
    }
    Ok(builder.whole().unwrap_or_else(|| Node::null(source.at_line(1))))
}

/// Whether there is more in a document than nothing.
fn says_something(event: &Event<'_>) -> bool {
    match event {
        Event::Scalar(text, style, ..) => *style != ScalarStyle::Plain || !scalar::is_null(text),
        Event::SequenceStart(..) | Event::MappingStart(..) | Event::Alias(_) => true,
        _ => false,
    }
}

struct Builder<'o> {
    source: &'o Origin,
    /// Sections and lists that have not ended, the outermost first.
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    /// The keys at the top of which an alias below another one repeats something.
    repeated: HashSet<String>,
    left: usize,
    root: Option<Node>,
}

struct Anchored {
    node: Node,
    /// Below which key at the top it stands.
    top: Option<String>,
}

struct Open {
    anchor: usize,
    node: Node,
    /// In a section, the key whose value comes next.
    key: Option<(Scalar, Origin)>,
    /// In a section, its keys so far, each with its place among the entries.
    known: HashMap<String, usize>,
    /// In a section, what `<<` takes in.
    merged: Vec<Node>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let origin = self.source.at_line(span.start.line().max(1));
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !is_string(tag.as_deref());
                let value = Value::Scalar(Scalar { text: text.into_owned(), plain });
                self.place(anchor, Node { value, origin })
            }
            Event::SequenceStart(anchor, _) => {
                self.begin(anchor, Node { value: Value::Sequence(Vec::new()), origin })
            }
            Event::MappingStart(anchor, _) => {
                self.begin(anchor, Node { value: Value::Mapping(Vec::new()), origin })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let ended = self.open.pop().expect("the parser ends what it began");
                let node = merge(ended.node, ended.known, ended.merged)?;
                self.place(ended.anchor, node)
            }
            Event::Alias(anchor) => {
                let Some(Anchored { node, top }) = self.anchors.get(&anchor) else {
                    let what = "expected an alias of what stands before it, found one of itself";
                    return Err(Problem::general(Some(origin), what));
                };
                let (node, top) = (node.clone(), top.clone());
                self.repeated.extend(top.filter(|top| self.top() != Some(top)));
                self.count(&node)?;
                self.place(0, Node { origin, ..node })
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin(&mut self, anchor: usize, node: Node) -> Result<(), Problem> {
        if self.open.len() >= DEPTH {
            let what = format!("expected at most {DEPTH} levels, found more");
            return Err(Problem::general(Some(node.origin), what));
        }
        self.open.push(Open { anchor, node, key: None, known: HashMap::new(), merged: Vec::new() });
        Ok(())
    }

    /// Puts a value that is whole where it belongs.
    fn place(&mut self, anchor: usize, node: Node) -> Result<(), Problem> {
        self.count_one(&node.origin)?;
        if anchor != 0 {
            let top = self.top().map(str::to_owned);
            self.anchors.insert(anchor, Anchored { node: node.clone(), top });
        }
        let Some(around) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut around.node.value {
            Value::Sequence(items) => items.push(node),
            Value::Mapping(entries) => match around.key.take() {
                None => around.key = Some(key(node)?),
                Some((key, _)) if key.plain && key.text == "<<" => around.merged.push(node),
                Some((key, origin)) => {
                    let inserted = insert(entries, &mut around.known, key.text, origin, node);
                    return inserted.map_err(|problem| problem.below(&self.section()));
                }
            },
            Value::Scalar(_) => unreachable!("only sections and lists are begun"),
        }
        Ok(())
    }

    /// The key at the top whose value is being read.
    fn top(&self) -> Option<&str> {
        self.open.first()?.key.as_ref().map(|(key, _)| key.text.as_str())
    }

    /// What was read, once all of it was.
    fn whole(mut self) -> Option<Node> {
        if let Some(Node { value: Value::Mapping(entries), .. }) = &mut self.root {
            for entry in entries {
                entry.is_repeated = self.repeated.contains(&entry.key);
            }
        }
        self.root
    }

    /// The path of the section that is being read, such as `notifications.endpoints[0]`.
    fn section(&self) -> String {
        let mut path = String::new();
        let around = self.open.len().saturating_sub(1);
        for open in &self.open[..around] {
            match (&open.node.value, &open.key) {
                (Value::Sequence(items), _) => path.push_str(&format!("[{}]", items.len())),
                (_, Some((key, _))) if path.is_empty() => path.push_str(&key.text),
                (_, Some((key, _))) => path.push_str(&format!(".{}", key.text)),
                (_, None) => {}
            }
        }
        path
    }

    fn count(&mut self, node: &Node) -> Result<(), Problem> {
        match &node.value {
            Value::Scalar(_) => {}
            Value::Sequence(items) => items.iter().try_for_each(|item| self.count(item))?,
            Value::Mapping(entries) => {
                entries.iter().try_for_each(|entry| self.count(&entry.node))?;
            }
        }
        self.count_one(&node.origin)
    }

    fn count_one(&mut self, origin: &Origin) -> Result<(), Problem> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            let what = format!("expected at most {VALUES} values, found more");
            Problem::general(Some(origin.clone()), what)
        })?;
        Ok(())
    }
}

/// A key has to be a single value.
fn key(node: Node) -> Result<(Scalar, Origin), Problem> {
    match node.value {
        Value::Scalar(scalar) => Ok((scalar, node.origin)),
        Value::Sequence(_) | Value::Mapping(_) => {
            let what = "expected a name in front of `:`, found a list or a section";
            Err(Problem::general(Some(node.origin), what))
        }
    }
}

fn insert(
    entries: &mut Vec<Entry>,
    known: &mut HashMap<String, usize>,
    key: String,
    origin: Origin,
    node: Node,
) -> Result<(), Problem> {
    if let Some(first) = known.insert(key.clone(), entries.len()) {
        let first = &entries[first].origin;
        let what = format!("expected the key once in its section, found it at {first} too");
        return Err(Problem::new(&origin, key, what));
    }
    entries.push(Entry::new(key, origin, node));
    Ok(())
}

/// What `<<` takes in has no say where the section itself has one.
///
/// What is no section is refused: passed over, it would leave what it was meant for, such as `auth`, empty.
fn merge(
    mut node: Node,
    mut known: HashMap<String, usize>,
    merged: Vec<Node>,
) -> Result<Node, Problem> {
    let Value::Mapping(entries) = &mut node.value else { return Ok(node) };
    for source in merged {
        let sections = match source.value {
            Value::Sequence(items) => items,
            Value::Mapping(_) | Value::Scalar(_) => vec![source],
        };
        if let Some(other) = sections.iter().find(|it| !matches!(it.value, Value::Mapping(_))) {
            let what = "expected a section, or a list of sections, behind `<<`";
            return Err(Problem::general(Some(other.origin.clone()), what));
        }
        for entry in sections.iter().flat_map(Node::entries) {
            if known.insert(entry.key.clone(), entries.len()).is_none() {
                entries.push(entry.clone());
            }
        }
    }
    Ok(node)
}

/// `!!str`: a string, though it has no quotes.
fn is_string(tag: Option<&Tag>) -> bool {
    tag.is_some_and(|tag| tag.suffix == "str" || tag.suffix.ends_with(":str"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Origin {
        Origin::File { file: "c.yml".into(), line: 1 }
    }

    fn read(text: &str) -> Node {
        parse(text, &source(), Quote::Yes).unwrap()
    }

    fn refused(text: &str) -> String {
        parse(text, &source(), Quote::Yes).unwrap_err().to_string()
    }

    #[test]
    fn every_part_knows_its_line() {
        let node = read("version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /data\n");
        let entry = node.find("storage.filesystem.rootdirectory").unwrap();
        assert_eq!(entry.node.scalar().unwrap().text, "/data");
        assert_eq!(entry.origin.to_string(), "c.yml:4");
        assert_eq!(node.find("storage").unwrap().origin.to_string(), "c.yml:2");
    }

    #[test]
    fn quotes_and_tags_make_strings() {
        let node = read("a: true\nb: 'true'\nc: !!str true\nd: \"\"\ne:\n");
        let plain = |key| node.entry(key).unwrap().node.scalar().unwrap().plain;
        assert_eq!(["a", "b", "c", "d", "e"].map(plain), [true, false, false, false, true]);
        assert!(node.entry("e").unwrap().node.is_null());
        assert!(!node.entry("d").unwrap().node.is_null());
    }

    #[test]
    fn aliases_and_merges_are_followed() {
        let node = read("x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\nz: *x\nw: {<<: [*x, {c: 4}]}\n");
        let text = |path| node.find(path).unwrap().node.scalar().unwrap().text.clone();
        assert_eq!([text("y.a"), text("y.b"), text("z.b"), text("w.c")], ["1", "3", "2", "4"]);
        assert!(node.find("y.<<").is_none());
    }

    #[test]
    fn there_is_one_document() {
        for text in ["a: 1\n---\n", "---\na: 1\n...\n", "a: 1\n---\n# b\n", "a: 1\n---\n~\n---\n"] {
            assert!(read(text).entry("a").is_some(), "{text}");
        }
        for (text, line) in [("a: 1\n---\nb: 2\n", 3), ("a: 1\n--- x\n", 2), ("---\n---\n[]\n", 3)]
        {
            let expected =
                format!("c.yml:{line}: expected one document, found a second one behind `---`");
            assert_eq!(refused(text), expected, "{text}");
        }
        assert!(read("").is_null());
        assert!(read("# nothing\n").is_null());
        assert!(read("\u{feff}a: 1").entry("a").is_some());
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_line() {
        let line = refused("version: 0.1\nstorage: [\n");
        assert!(line.starts_with("c.yml:"), "{line}");
        assert!(line.contains("expected YAML"), "{line}");
        assert_eq!(
            refused("a: 1\nb: 2\na: 3\n"),
            "c.yml:3: a: expected the key once in its section, found it at c.yml:1 too"
        );
        assert_eq!(
            refused("http:\n  tls: {}\n  addr: x\n  addr: y\n"),
            "c.yml:4: http.addr: expected the key once in its section, found it at c.yml:3 too"
        );
        let line = refused("a: {b: [{}, {c: 1, c: 2}]}\n");
        assert!(line.starts_with("c.yml:1: a.b[1].c: expected the key once"), "{line}");
        assert!(refused("? [a]\n: 1\n").contains("expected a name"));
    }

    #[test]
    fn nothing_of_a_variable_is_shown() {
        let variable = Origin::Environment("REGISTRY_HTTP_SECRET".into());
        for text in ["@hunter2", "%hunter2", "*hunter2", "'hunter2", "hunter2: {", "&a [*a]"] {
            let line = parse(text, &variable, Quote::No).unwrap_err().to_string();
            assert!(line.starts_with("REGISTRY_HTTP_SECRET: expected"), "{line}");
            assert!(!line.contains("hunter") && !line.contains(['@', '%']), "{line}");
        }
    }

    /// Compared each with each, they took half a minute.
    #[test]
    fn a_section_of_very_many_keys_is_read_and_the_last_may_not_be_the_first() {
        let mut text: String = (0..40_000).map(|at| format!("k{at}: 1\n")).collect();
        assert_eq!(read(&text).entries().len(), 40_000);
        let merged = format!("a: &a {{{}}}\nb: {{<<: *a, k0: 2}}\n", "k0: 1, k1: 1");
        assert_eq!(read(&merged).find("b").unwrap().node.entries().len(), 2);
        text.push_str("k0: 2\n");
        assert!(refused(&text).starts_with("c.yml:40001: k0: expected the key once"));
    }

    #[test]
    fn bombs_are_defused() {
        assert!(refused(&"[".repeat(100)).contains("levels"));
        refused(&"[".repeat(100_000));
        refused(&"a: {".repeat(100_000));
        refused(&(0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>());
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let alias = format!("*a{}, ", level - 1).repeat(10);
            bomb.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
        }
        refused(&bomb);
    }
}
