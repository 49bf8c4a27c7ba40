//! serde over a [`Node`]: types that know their own form are read from a part of the file, and their complaints get its places.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::yaml::{Key, Kind, Node, Place};

/// Reads a type.
///
/// # Errors
/// Where and what is wrong; the first mistake.
pub(super) fn decode<T: DeserializeOwned>(node: &Node) -> Result<T, (Place, String)> {
    T::deserialize(At(node)).map_err(|Misfit { at, problem }| (at.unwrap_or(node.at), problem))
}

/// A complaint; the innermost value it is about gives it its place.
#[derive(Debug)]
struct Misfit {
    at: Option<Place>,
    problem: String,
}

impl Misfit {
    fn within(self, at: Place) -> Self {
        Self { at: self.at.or(Some(at)), problem: self.problem }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.problem)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self { at: None, problem: problem.to_string() }
    }

    /// What stands where it should not may be a secret: a URL instead of the file that holds it.
    fn invalid_type(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        match unexpected {
            de::Unexpected::Str(_) => Self::custom(format_args!("invalid type: a text, expected {expected}")),
            other => Self::custom(format_args!("invalid type: {other}, expected {expected}")),
        }
    }
}

#[derive(Clone, Copy)]
struct At<'a>(&'a Node);

impl<'a> At<'a> {
    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.0.kind {
            Kind::Nothing => visitor.visit_unit(),
            Kind::Text(text) => visitor.visit_str(text),
            Kind::Plain(text) => match (text.parse::<bool>(), text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(truth), ..) => visitor.visit_bool(truth),
                (_, Ok(number), _) => visitor.visit_i64(number),
                (.., Ok(number)) => visitor.visit_f64(number),
                _ => visitor.visit_str(text),
            },
            Kind::List(items) => visitor.visit_seq(Items(items.iter())),
            Kind::Map(entries) => visitor.visit_map(Entries { left: entries.iter(), value: None }),
        }
    }

    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0.scalar() {
            Some(text) => visitor.visit_str(text),
            None => self.visit(visitor),
        }
    }
}

impl<'de> de::Deserializer<'de> for At<'_> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.visit(visitor).map_err(|misfit| misfit.within(self.0.at))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.text(visitor).map_err(|misfit| misfit.within(self.0.at))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0.kind {
            Kind::Nothing => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Misfit> {
        let found = match &self.0.kind {
            Kind::Map(entries) => match &entries[..] {
                [(key, value)] => visitor.visit_enum(Choice(key, value)),
                _ => Err(de::Error::custom("has to have exactly one key here")),
            },
            _ => match self.0.scalar() {
                Some(word) => visitor.visit_enum(word.into_deserializer()),
                None => self.visit(visitor),
            },
        };
        found.map_err(|misfit| misfit.within(self.0.at))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

struct Items<'a>(std::slice::Iter<'a, Node>);

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        self.0.next().map(|item| seed.deserialize(At(item)).map_err(|misfit| misfit.within(item.at))).transpose()
    }
}

struct Entries<'a> {
    left: std::slice::Iter<'a, (Key, Node)>,
    value: Option<&'a Node>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        let Some((key, value)) = self.left.next() else { return Ok(None) };
        self.value = Some(value);
        let name: StrDeserializer<'_, Misfit> = key.name.as_str().into_deserializer();
        seed.deserialize(name).map(Some).map_err(|misfit| misfit.within(key.at))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let value = self.value.take().ok_or_else(|| <Misfit as de::Error>::custom("a value without a key"))?;
        seed.deserialize(At(value)).map_err(|misfit| misfit.within(value.at))
    }
}

struct Choice<'a>(&'a Key, &'a Node);

impl<'a, 'de> EnumAccess<'de> for Choice<'a> {
    type Error = Misfit;
    type Variant = At<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, At<'a>), Misfit> {
        let name: StrDeserializer<'_, Misfit> = self.0.name.as_str().into_deserializer();
        let variant = seed.deserialize(name).map_err(|misfit| misfit.within(self.0.at))?;
        Ok((variant, At(self.1)))
    }
}

impl<'de> VariantAccess<'de> for At<'_> {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        de::Deserialize::deserialize(self)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Misfit> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Misfit> {
        de::Deserializer::deserialize_any(self, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Misfit> {
        de::Deserializer::deserialize_any(self, visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Thing {
        name: String,
        path: Option<PathBuf>,
        #[serde(default)]
        who: Vec<Who>,
        many: Option<u32>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Who {
        Team(String),
        Nobody,
    }

    fn read(text: &str) -> Result<Thing, (u64, u64, String)> {
        let node = Node::parse(text).expect("YAML").expect("something");
        decode(&node).map_err(|(at, problem)| (at.line, at.column, problem))
    }

    #[test]
    fn a_type_is_read_and_texts_may_look_like_numbers() {
        let thing = read("name: 007\npath:\nwho: [{team: 1.10}, nobody]\nmany: 3\n").expect("good");
        assert_eq!(thing, Thing { name: "007".into(), path: None, who: vec![Who::Team("1.10".into()), Who::Nobody], many: Some(3) });
    }

    #[test]
    fn complaints_have_the_place_of_the_innermost_value() {
        for (text, line, column, says) in [
            ("name: a\nnam: b\n", 2, 1, "nam"),
            ("name: a\nwho:\n  - {group: x}\n", 3, 6, "group"),
            ("name: a\nmany: -1\n", 2, 7, "-1"),
            ("name: [a]\n", 1, 7, "string"),
            ("name: a\nwho: [{team: a, nobody: b}]\n", 2, 7, "exactly one"),
            ("# c\npath: /x\n", 2, 1, "missing field `name`"),
        ] {
            let (l, c, problem) = read(text).expect_err(text);
            assert_eq!((l, c), (line, column), "{text}: {problem}");
            assert!(problem.contains(says), "{text}: {problem}");
        }
    }
}
