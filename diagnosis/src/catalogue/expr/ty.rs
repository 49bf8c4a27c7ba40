//! Types, as far as they can be told before anything is evaluated.

use crate::facts::FactType;

/// Fields of a record.
pub(crate) type Fields = &'static [(&'static str, FactType)];

/// The type of an expression.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Ty {
    Bool,
    Int,
    Float,
    Text,
    Time,
    Duration,
    Texts,
    TextMap,
    Records(Fields),
    Record(Fields),
    /// Cannot be told.
    Any,
}

impl Ty {
    pub(crate) fn of_fact(kind: FactType) -> Self {
        match kind {
            FactType::Bool => Self::Bool,
            FactType::Int => Self::Int,
            FactType::Float => Self::Float,
            FactType::Time => Self::Time,
            FactType::Duration => Self::Duration,
            FactType::Text => Self::Text,
            FactType::TextList => Self::Texts,
            FactType::TextMap => Self::TextMap,
            FactType::Records(fields) => Self::Records(fields),
        }
    }

    /// For people who write causes.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Float => "a number",
            Self::Text => "a text",
            Self::Time => "a time",
            Self::Duration => "a duration",
            Self::Texts => "a list of texts",
            Self::TextMap => "a map of texts",
            Self::Records(_) => "a list of records",
            Self::Record(_) => "a record",
            Self::Any => "a value",
        }
    }

    fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Float)
    }

    /// Whether two values of these types could ever be equal or be ordered.
    pub(crate) fn comparable(self, other: Self) -> bool {
        let plain = |one: Self| !matches!(one, Self::Texts | Self::TextMap | Self::Records(_) | Self::Record(_));
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            _ if plain(self) != plain(other) => false,
            _ => self == other || (self.is_number() && other.is_number()) || !plain(self),
        }
    }

    /// What a list of this type holds, what indexing it gives.
    pub(crate) fn element(self) -> Self {
        match self {
            Self::Texts | Self::TextMap => Self::Text,
            Self::Records(fields) => Self::Record(fields),
            _ => Self::Any,
        }
    }

    /// What iterating over it gives: a map gives its keys.
    pub(crate) fn iterated(self) -> Option<Self> {
        match self {
            Self::Texts | Self::TextMap | Self::Records(_) | Self::Any => Some(self.element()),
            _ => None,
        }
    }

    /// A list of such elements.
    pub(crate) fn list_of(self) -> Self {
        match self {
            Self::Text => Self::Texts,
            Self::Record(fields) => Self::Records(fields),
            _ => Self::Any,
        }
    }
}
