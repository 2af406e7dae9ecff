//! What the documents of S3 look like: [`Element`] writes them, [`read`] reads them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::events::Event;
use quick_xml::reader::Reader;

/// The namespace of everything but errors.
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// An element that is being written.
pub(super) struct Element {
    name: &'static str,
    inner: String,
    attributes: String,
}

impl Element {
    /// The outermost of a document, without a namespace.
    pub(super) const fn root(name: &'static str) -> Self {
        Self { name, inner: String::new(), attributes: String::new() }
    }

    /// The outermost of a document that is no error.
    pub(super) fn result(name: &'static str) -> Self {
        let attributes = format!(" xmlns=\"{NAMESPACE}\"");
        Self { attributes, ..Self::root(name) }
    }

    /// Adds text of its own.
    pub(super) fn content(&mut self, text: &str) -> &mut Self {
        self.inner += &escaped(text);
        self
    }

    /// Adds a child that holds text.
    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts are written alike")]
    pub(super) fn text(&mut self, name: &str, text: impl ToString) -> &mut Self {
        let text = escaped(&text.to_string());
        self.inner += &format!("<{name}>{text}</{name}>");
        self
    }

    /// Adds a child that holds text, if there is any.
    pub(super) fn maybe(&mut self, name: &str, text: Option<impl ToString>) -> &mut Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// Adds a child that `fill` fills.
    pub(super) fn child(&mut self, name: &'static str, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let mut child = Self::root(name);
        fill(&mut child);
        self.inner += &child.to_text();
        self
    }

    pub(super) fn document(&self) -> String {
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", self.to_text())
    }

    fn to_text(&self) -> String {
        let Self { name, inner, attributes } = self;
        format!("<{name}{attributes}>{inner}</{name}>")
    }
}

/// Text as it stands in a document. Control characters that XML 1.0 has no form for go as character references, as
/// AWS sends them; only a client that asks for `encoding-type=url` reads those.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\r' | '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' => {
                escaped += &format!("&#x{:x};", u32::from(character));
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Text as `encoding-type=url` has it: as in a form, but for a slash.
pub(super) fn url_encoded(text: &str) -> String {
    const ENCODED: AsciiSet = NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'*')
        .remove(b' ');
    utf8_percent_encode(text, &ENCODED).to_string().replace(' ', "+")
}

/// An element that was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) children: Vec<Self>,
}

impl Node {
    /// The text of the first child of a name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.children.iter().find(|node| node.name == name).map(|node| node.text.trim())
    }

    pub(super) fn all<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'n Self> {
        self.children.iter().filter(move |node| node.name == name)
    }
}

/// The outermost element of a document; `None` if it is none. Namespaces are passed over.
pub(super) fn read(document: &[u8]) -> Option<Node> {
    let mut reader = Reader::from_str(std::str::from_utf8(document).ok()?);
    let mut open = vec![Node::default()];
    let local = |name: &str| name.rsplit(':').next().map(str::to_owned);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                let name = local(start.name().as_ref())?;
                open.push(Node { name, ..Node::default() });
            }
            Event::Empty(empty) => {
                let name = local(empty.name().as_ref())?;
                open.last_mut()?.children.push(Node { name, ..Node::default() });
            }
            Event::End(_) => {
                let node = open.pop()?;
                open.last_mut()?.children.push(node);
            }
            Event::Text(text) => open.last_mut()?.text += &text,
            Event::CData(text) => open.last_mut()?.text += &text,
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref().ok()? {
                    Some(character) => character.to_string(),
                    None => named(&reference)?.to_owned(),
                };
                open.last_mut()?.text += &character;
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    let [mut document] = <[Node; 1]>::try_from(open).ok()?;
    (document.children.len() == 1).then(|| document.children.remove(0))
}

fn named(reference: &str) -> Option<&'static str> {
    match reference {
        "amp" => Some("&"),
        "lt" => Some("<"),
        "gt" => Some(">"),
        "quot" => Some("\""),
        "apos" => Some("'"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let odd = "a&b<c>\"d'\r\u{1}é";
        let mut root = Element::result("R");
        root.text("Key", odd).child("In", |inner| {
            inner.text("N", 7).maybe("Not", None::<&str>);
        });
        let read = read(root.document().as_bytes()).unwrap();
        assert_eq!((read.name.as_str(), read.children[0].text.as_str()), ("R", odd));
        assert_eq!(read.children[1].get("N"), Some("7"));
        assert_eq!(read.children[1].children.len(), 1);
    }

    #[test]
    fn prefixes_of_namespaces_comments_and_empty_elements_are_read() {
        let read =
            read(b"<?xml version='1.0'?><x:A xmlns:x='y'><!-- --><x:B>1</x:B><C/></x:A>").unwrap();
        assert_eq!(read.get("B"), Some("1"));
        assert_eq!(read.get("C"), Some(""));
    }

    #[test]
    fn what_is_no_document_is_not_read() {
        for bad in ["", "text", "<A>", "<A></B>", "<A/><B/>", "<A>&unknown;</A>"] {
            assert_eq!(read(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn keys_are_url_encoded_as_aws_does_it() {
        assert_eq!(url_encoded("a/b c+d~e*f-g_h.iä"), "a/b+c%2Bd%7Ee*f-g_h.i%C3%A4");
    }
}
