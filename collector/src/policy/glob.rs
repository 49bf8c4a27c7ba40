//! Words with `*` in them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A word in which `*` stands for any text, also none. Nothing else has a meaning of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Glob(String);

/// Longest word: node names have 253 characters at most.
const MAX_LENGTH: usize = 512;

impl Glob {
    /// Looks at a word.
    ///
    /// # Errors
    /// What is wrong with it and what would be right.
    pub fn new(word: &str) -> Result<Self, String> {
        if word.is_empty() {
            return Err("an empty word matches nothing; `*` matches everything".to_owned());
        }
        if word.len() > MAX_LENGTH {
            return Err(format!("has {} characters; {MAX_LENGTH} are the most", word.len()));
        }
        match word.chars().find(|c| "?[]{}()|^$\\".contains(*c) || c.is_control()) {
            Some(odd) => Err(format!("`{word}`: `{odd}` has no meaning here: only `*` stands for any text; write alternatives as a list")),
            None => Ok(Self(word.to_owned())),
        }
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it may stand for more than one word.
    pub fn is_open(&self) -> bool {
        self.0.contains('*')
    }

    /// Whether the word is one of those it stands for.
    pub fn fits(&self, word: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(first) = parts.next() else { return false };
        let Some(mut rest) = word.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }

    /// Whether every word that fits `other` fits this one too. May say no where the answer is yes.
    pub fn covers(&self, other: &Self) -> bool {
        // A `*` in `other` as a letter of its own: only another `*` takes it.
        self == other || self.fits(&other.0)
    }
}

impl TryFrom<String> for Glob {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        Self::new(&word)
    }
}

impl From<Glob> for String {
    fn from(glob: Glob) -> Self {
        glob.0
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(word: &str) -> Glob {
        Glob::new(word).expect(word)
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (word, fits, fits_not) in [
            ("a", &["a"][..], &["", "aa", "A"][..]),
            ("*", &["", "a", "ä*"], &[]),
            ("edge-*", &["edge-", "edge-1"], &["edge", "xedge-1"]),
            ("*-1", &["a-1", "-1", "-1-1"], &["1", "a-12"]),
            ("a*b*c", &["abc", "aXbYc", "abbcc"], &["ab", "acb", "abcX"]),
            ("ab*ba", &["abba", "abXba"], &["aba", "ab"]),
            ("**", &["", "x"], &[]),
            ("a*a", &["aa", "aaa"], &["a"]),
        ] {
            fits.iter().for_each(|text| assert!(glob(word).fits(text), "{word} {text}"));
            fits_not.iter().for_each(|text| assert!(!glob(word).fits(text), "{word} {text}"));
        }
    }

    #[test]
    fn what_covers_another_word_fits_all_that_it_fits() {
        for (wide, narrow, covers) in
            [("*", "a*", true), ("a*", "ab*", true), ("a*", "*", false), ("a", "a", true), ("a*", "b", false), ("*a*", "a", true)]
        {
            assert_eq!(glob(wide).covers(&glob(narrow)), covers, "{wide} {narrow}");
        }
    }

    #[test]
    fn words_of_other_languages_are_refused() {
        for word in ["", "edge-?", "edge-[12]", "(a|b)", "^edge", "a\nb", &"x".repeat(600)] {
            Glob::new(word).expect_err(word);
        }
    }
}
