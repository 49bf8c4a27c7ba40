//! JSON as YAML takes it.

use std::fmt::Write as _;

use serde_json::Value;

/// A document that is JSON and YAML: characters that YAML wants escaped (YAML 1.2.2, 5.1) and that JSON takes as they are stand as `\u007f`. YAML has no keys of
/// more than 1024 characters.
#[must_use]
pub fn of_json(value: &Value) -> String {
    let json = value.to_string();
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            // The line ends of earlier versions of YAML among them. All of these are within texts.
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_does_not_print_comes_back_all_the_same() {
        let text: String =
            ('\u{1}'..='\u{2fff}').chain(['\u{d7ff}', '\u{e000}', '\u{feff}', '\u{fffd}', '\u{ffff}', '\u{1f600}']).collect();
        let value = serde_json::json!({ "a": text, "\u{7f}\u{2028}b": [1, null] });
        assert_eq!(serde_saphyr::from_str::<Value>(&of_json(&value)).expect("YAML"), value);
    }
}
