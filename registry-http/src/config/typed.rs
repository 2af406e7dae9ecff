//! A [`Node`] to a typed value, by serde; an error says which key is wrong, and where that stands.

use serde::de::value::StrDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IntoDeserializer as _, MapAccess,
    SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::node::{Entry, Node, Value};
use super::problem::Problem;
use super::scalar;

/// Reads a value. Keys that it does not know are passed over: the table of [`keys`](super::keys) has them.
///
/// A section that holds nothing is one without keys, as in Distribution.
pub(super) fn typed<'n, T: Deserialize<'n>>(node: &'n Node) -> Result<T, Problem> {
    T::deserialize(At { node, key: String::new() })
}

/// A node, and the key it is the value of.
struct At<'n> {
    node: &'n Node,
    key: String,
}

impl At<'_> {
    fn expected(&self, what: &str) -> Problem {
        self.problem(format!("expected {what}, found {}", self.node.shown()))
    }

    /// What stands where a section belongs is not shown: it may be anything.
    fn expected_section(&self) -> Problem {
        self.problem(format!("expected a section, found {}", self.node.kind()))
    }

    fn problem(&self, what: String) -> Problem {
        Problem::new(&self.node.origin, self.key.as_str(), what)
    }

    /// The text of a single value, whatever it stands for; none of nothing.
    fn text(&self) -> Result<&str, Problem> {
        match self.node.scalar() {
            Some(_) if self.node.is_null() => Ok(""),
            Some(it) => Ok(&it.text),
            None => {
                Err(self.problem(format!("expected a single value, found {}", self.node.kind())))
            }
        }
    }

    fn integer(&self) -> Result<i64, Problem> {
        let number = self.node.scalar().filter(|it| it.plain);
        number
            .and_then(|it| scalar::integer(&it.text))
            .ok_or_else(|| self.expected("a whole number"))
    }
}

impl<'de> Deserializer<'de> for At<'de> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match &self.node.value {
            Value::Scalar(_) if self.node.is_null() => visitor.visit_unit(),
            Value::Scalar(_) => self.deserialize_str(visitor),
            Value::Sequence(_) => self.deserialize_seq(visitor),
            Value::Mapping(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let word = self.node.scalar().filter(|it| it.plain);
        let Some(value) = word.and_then(|it| scalar::boolean(&it.text)) else {
            return Err(self.expected("true or false, without quotes"));
        };
        visitor.visit_bool(value)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let number = self.integer()?;
        visitor.visit_i64(number)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let text = self.text()?;
        visitor
            .visit_str(text)
            .map_err(|problem: Problem| problem.located(&self.node.origin, &self.key))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.node.is_null() {
            return visitor.visit_none();
        }
        let (origin, key) = (&self.node.origin, self.key.clone());
        // A type made of text fails when all of the text was read: it is this key's all the same.
        visitor.visit_some(self).map_err(|problem: Problem| problem.located(origin, &key))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match &self.node.value {
            Value::Sequence(items) => {
                visitor.visit_seq(Items { items: items.iter(), at: 0, key: self.key })
            }
            _ => Err(self.problem(format!("expected a list, found {}", self.node.kind()))),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if !self.node.is_null() && !matches!(self.node.value, Value::Mapping(_)) {
            return Err(self.expected_section());
        }
        let entries = self.node.entries().iter();
        visitor.visit_map(Entries { entries, value: None, key: self.key })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_map(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple
        tuple_struct enum identifier
    }
}

struct Entries<'n> {
    entries: std::slice::Iter<'n, Entry>,
    value: Option<&'n Entry>,
    key: String,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Problem> {
        let Some(entry) = self.entries.next() else { return Ok(None) };
        self.value = Some(entry);
        let name: StrDeserializer<'_, Problem> = entry.key.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let Some(entry) = self.value.take() else {
            return Err(Problem::custom("a value was asked for before its key"));
        };
        let key = match self.key.as_str() {
            "" => entry.key.clone(),
            section => format!("{section}.{}", entry.key),
        };
        let located = |problem: Problem| problem.located(&entry.node.origin, &key);
        seed.deserialize(At { node: &entry.node, key: key.clone() }).map_err(located)
    }
}

struct Items<'n> {
    items: std::slice::Iter<'n, Node>,
    at: usize,
    key: String,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Problem> {
        let Some(node) = self.items.next() else { return Ok(None) };
        let key = format!("{}[{}]", self.key, self.at);
        self.at += 1;
        seed.deserialize(At { node, key }).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::config::go_duration::GoDuration;
    use crate::config::origin::Origin;
    use crate::config::yaml::{Quote, parse};

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Section {
        flag: Option<bool>,
        number: Option<i64>,
        text: Option<String>,
        list: Vec<String>,
        span: Option<GoDuration>,
        inner: Option<Box<Self>>,
    }

    fn read(text: &str) -> Result<Section, String> {
        let source = Origin::File { file: "c.yml".into(), line: 1 };
        let node = parse(text, &source, Quote::Yes).unwrap();
        typed(&node).map_err(|problem| problem.to_string())
    }

    #[test]
    fn values_are_read_by_what_is_asked_for() {
        let section =
            read("flag: yes\nnumber: 0x10\ntext: 0.10\nlist: [a, 7]\nspan: 2s\n").unwrap();
        assert_eq!((section.flag, section.number), (Some(true), Some(16)));
        assert_eq!(section.text.as_deref(), Some("0.10"), "text keeps its spelling");
        assert_eq!(section.list, ["a", "7"]);
        assert_eq!(section.span.unwrap().0.as_secs(), 2);
    }

    #[test]
    fn nothing_is_no_value_and_a_section_without_keys() {
        assert_eq!(read(""), Ok(Section::default()));
        assert_eq!(read("flag:\nnumber: ~\ntext: null\nspan:\ninner:\n"), Ok(Section::default()));
        assert_eq!(
            read("inner: {}"),
            Ok(Section { inner: Some(Box::default()), ..Section::default() })
        );
    }

    #[test]
    fn what_does_not_fit_is_one_line_with_place_key_expected_and_found() {
        for (text, line) in [
            ("flag: 1", "c.yml:1: flag: expected true or false, without quotes, found `1`"),
            (
                "flag: 'true'",
                "c.yml:1: flag: expected true or false, without quotes, found the string \"true\"",
            ),
            (
                "inner:\n  number: ten",
                "c.yml:2: inner.number: expected a whole number, found `ten`",
            ),
            (
                "inner:\n  number: [1]",
                "c.yml:2: inner.number: expected a whole number, found a list",
            ),
            ("text: {a: b}", "c.yml:1: text: expected a single value, found a section"),
            ("inner: hush", "c.yml:1: inner: expected a section, found a single value"),
            ("list: hush", "c.yml:1: list: expected a list, found a single value"),
            ("list: [{a: b}]", "c.yml:1: list[0]: expected a single value, found a section"),
            ("[1]", "c.yml:1: expected a section, found a list"),
            (
                "inner:\n  span: 7d",
                "c.yml:2: inner.span: expected a duration such as 168h, 10s or 1h30m, found `7d`",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), line);
        }
    }
}
