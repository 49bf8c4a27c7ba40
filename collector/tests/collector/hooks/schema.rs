//! A checker of JSON Schema (draft 2020-12), as far as the formats here use it. A keyword that it does not know is an error, so that nothing
//! in a schema goes unchecked.

use regex::Regex;
use serde_json::{Map, Value};

/// A schema file.
pub(crate) struct Schema {
    root: Value,
    /// What no schema speaks of is wrong too.
    strict: bool,
}

impl Schema {
    /// From a file, relative to the crate.
    pub(crate) fn read(path: &str) -> Self {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { root: serde_json::from_str(&text).expect("JSON"), strict: false }
    }

    /// A recorded format.
    pub(crate) fn format(name: &str) -> Self {
        Self::read(&format!("tests/fixtures/formats/{name}.schema.json"))
    }

    /// Members that an object's schema does not name are mistakes.
    pub(crate) fn strict(self) -> Self {
        Self { strict: true, ..self }
    }

    /// Checks a body as it was sent.
    #[track_caller]
    pub(crate) fn check(&self, what: &str, body: &[u8]) -> Value {
        let value: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{what}: no JSON: {error}"));
        let mut wrong = self.errors(&self.root, &value, "");
        if let Some(most) = self.root["x-max-bytes"].as_u64()
            && body.len() as u64 > most
        {
            wrong.push(format!("{} bytes; {most} are the most", body.len()));
        }
        assert!(wrong.is_empty(), "{what}: {wrong:#?}\n{value:#}");
        value
    }

    fn errors(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let rules = match schema {
            Value::Bool(true) => return Vec::new(),
            Value::Object(rules) => rules,
            other => return vec![format!("{at}: {other} is no schema")],
        };
        let mut wrong = Vec::new();
        for (keyword, rule) in rules {
            wrong.extend(self.rule(rules, keyword, rule, value, at));
        }
        if let Value::Object(members) = value {
            wrong.extend(self.members(rules, members, at));
        }
        wrong
    }

    fn rule(&self, rules: &Map<String, Value>, keyword: &str, rule: &Value, value: &Value, at: &str) -> Vec<String> {
        let no = |good: bool| if good { Vec::new() } else { vec![format!("{at}: not {keyword} {rule}: {value:.300}")] };
        let fits = |schema: &Value| self.errors(schema, value, at).is_empty();
        let number = rule.as_f64().unwrap_or_default();
        let list = rule.as_array().map(Vec::as_slice).unwrap_or_default();
        match keyword {
            "$ref" => {
                let name = rule.as_str().and_then(|path| path.strip_prefix("#/$defs/")).expect("a reference within the file");
                self.errors(&self.root["$defs"][name], value, at)
            }
            "type" => no(match rule {
                Value::Array(kinds) => kinds.iter().any(|kind| is(kind, value)),
                kind => is(kind, value),
            }),
            "const" => no(rule == value),
            "enum" => no(list.contains(value)),
            "oneOf" => {
                let fitting = list.iter().filter(|schema| fits(schema)).count();
                if fitting == 1 {
                    return Vec::new();
                }
                let all: Vec<_> = list.iter().map(|schema| self.errors(schema, value, at)).collect();
                vec![format!("{at}: {fitting} of oneOf fit: {all:#?}")]
            }
            "anyOf" => no(list.iter().any(fits)),
            "allOf" => list.iter().flat_map(|schema| self.errors(schema, value, at)).collect(),
            "not" => no(!fits(rule)),
            "required" => no(value.as_object().is_none_or(|all| list.iter().all(|name| all.contains_key(name.as_str().expect("a name"))))),
            "items" => {
                let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
                items.iter().enumerate().flat_map(|(n, item)| self.errors(rule, item, &format!("{at}/{n}"))).collect()
            }
            "minItems" => no(value.as_array().is_none_or(|all| all.len() as f64 >= number)),
            "maxItems" => no(value.as_array().is_none_or(|all| all.len() as f64 <= number)),
            "minProperties" => no(value.as_object().is_none_or(|all| all.len() as f64 >= number)),
            "minLength" => no(value.as_str().is_none_or(|text| text.chars().count() as f64 >= number)),
            "maxLength" => no(value.as_str().is_none_or(|text| text.chars().count() as f64 <= number)),
            "minimum" => no(value.as_f64().is_none_or(|n| n >= number)),
            "maximum" => no(value.as_f64().is_none_or(|n| n <= number)),
            "pattern" => {
                let pattern = Regex::new(rule.as_str().expect("a pattern")).expect("a pattern");
                no(value.as_str().is_none_or(|text| pattern.is_match(text)))
            }
            "x-max-total-chars" => {
                let sum = |all: &Map<String, Value>| all.iter().map(|(name, value)| name.chars().count() + length(value)).sum::<usize>();
                no(value.as_object().is_none_or(|all| sum(all) as f64 <= number))
            }
            // Of the object's members: together, below.
            "properties" | "additionalProperties" | "propertyNames" => Vec::new(),
            "$schema" | "$id" | "$comment" | "$defs" | "title" | "description" | "examples" | "x-max-bytes" => Vec::new(),
            other => panic!("{at}: the checker does not know {other} ({rules:?})"),
        }
    }

    fn members(&self, rules: &Map<String, Value>, members: &Map<String, Value>, at: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, value) in members {
            let place = format!("{at}/{name}");
            if let Some(names) = rules.get("propertyNames") {
                wrong.extend(self.errors(names, &Value::from(name.as_str()), &place));
            }
            match (rules.get("properties").and_then(|all| all.get(name)), rules.get("additionalProperties")) {
                (Some(schema), _) => wrong.extend(self.errors(schema, value, &place)),
                (None, Some(Value::Bool(false))) => wrong.push(format!("{place}: nobody knows it")),
                (None, Some(schema)) => wrong.extend(self.errors(schema, value, &place)),
                (None, None) if self.strict && rules.contains_key("properties") => {
                    wrong.push(format!("{place}: the schema does not say it"))
                }
                (None, None) => {}
            }
        }
        wrong
    }
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("no type: {other}"),
    }
}

fn length(value: &Value) -> usize {
    value.as_str().map_or_else(|| value.to_string().chars().count(), |text| text.chars().count())
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let schema = Schema::format("opsgenie-close");
    assert!(schema.errors(&schema.root, &serde_json::json!({"note": "x"}), "").is_empty());
    for wrong in [
        serde_json::json!({"note": 1}),
        serde_json::json!({"nota": "x"}),
        serde_json::json!([]),
        serde_json::json!({"user": "x".repeat(101)}),
    ] {
        assert!(!schema.errors(&schema.root, &wrong, "").is_empty(), "{wrong}");
    }
    let schema = Schema::format("slack-incoming-webhook");
    let text = |text: &str| serde_json::json!({"text": "x", "blocks": [{"type": "section", "text": {"type": "plain_text", "text": text}}]});
    assert!(schema.errors(&schema.root, &text("a &amp; b"), "").is_empty());
    assert!(!schema.errors(&schema.root, &text("a & b"), "").is_empty());
}
