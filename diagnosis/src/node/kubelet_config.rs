//! KubeletConfiguration as its files say it: decoded as leniently as the kubelet does, merged, each value with its place.

use serde_json::Value;

use super::fields;

/// The files of a configuration, merged.
#[derive(Debug)]
pub struct KubeletConfig {
    /// In the order in which they are merged, with their text and what they say.
    files: Vec<File>,
    merged: Value,
    unknown_fields: Vec<String>,
}

#[derive(Debug)]
struct File {
    path: String,
    text: String,
    value: Value,
}

impl Default for KubeletConfig {
    fn default() -> Self {
        Self { files: Vec::new(), merged: Value::Object(serde_json::Map::new()), unknown_fields: Vec::new() }
    }
}

impl KubeletConfig {
    /// Merges a further file over what there is.
    ///
    /// # Errors
    /// The file is not a KubeletConfiguration: `file:line:column: words`.
    pub fn add(&mut self, path: &str, text: &str) -> Result<(), String> {
        let value = decode(path, text, &mut self.unknown_fields)?;
        merge(&mut self.merged, &value);
        self.files.push(File { path: path.to_owned(), text: text.to_owned(), value });
        Ok(())
    }

    /// A field in force, by its path, and where it was said; `None` if no file sets it.
    pub fn get(&self, field: &[&str]) -> Option<(&Value, String)> {
        let value = dig(&self.merged, field)?;
        let file = self.files.iter().rev().find(|file| dig(&file.value, field).is_some())?;
        Some((value, place(&file.path, &file.text, field)))
    }

    /// Fields that do not exist, as `file:line: name`.
    pub fn unknown_fields(&self) -> &[String] {
        &self.unknown_fields
    }
}

fn dig<'a>(value: &'a Value, field: &[&str]) -> Option<&'a Value> {
    field.iter().try_fold(value, |value, name| value.get(name)).filter(|value| !value.is_null())
}

/// Drop-ins are merged over the main file field by field; lists and scalars are replaced (KEP-3983).
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn decode(path: &str, text: &str, unknown: &mut Vec<String>) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Err(format!("{path}: the file is empty"));
    }
    let value = parse_yaml(text).map_err(|error| yaml_complaint(path, &error))?;
    let findings = fields::examine(&value);
    if let Some((field, complaint)) = findings.error {
        let field: Vec<&str> = field.iter().map(String::as_str).collect();
        let place = place(path, text, &field);
        return Err(if field.is_empty() {
            format!("{path}: the file {complaint}")
        } else {
            format!("{place}: {} {complaint}", field.join("."))
        });
    }
    is_kubelet_configuration(path, &value)?;
    unknown.extend(findings.unknown.iter().map(|field| {
        let field: Vec<&str> = field.iter().map(String::as_str).collect();
        format!("{}: {}", place(path, text, &field), field.join("."))
    }));
    Ok(value)
}

/// YAML as the kubelet takes it: only the first document counts, and the last of two equal keys.
///
/// # Errors
/// The parser's.
pub fn parse_yaml(text: &str) -> Result<Value, serde_saphyr::Error> {
    let options = serde_saphyr::options! { duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins };
    serde_saphyr::from_str_with_options(first_document(text), options)
}

fn first_document(text: &str) -> &str {
    let mut at = 0;
    let mut begun = false;
    for line in text.split_inclusive('\n') {
        let marker = line.trim_end() == "---" || line.starts_with("--- ");
        if marker && begun {
            return &text[..at];
        }
        begun |= !marker && !line.trim().is_empty() && !line.starts_with(['#', '%']);
        at += line.len();
    }
    text
}

/// `file:line:column: words`, without the excerpt of the file that the parser would add.
pub fn yaml_complaint(path: &str, error: &serde_saphyr::Error) -> String {
    let plain = error.without_snippet();
    let words = plain.to_string();
    let words = words.lines().next().unwrap_or_default();
    match plain.location() {
        Some(at) => format!("{path}:{}:{}: {}", at.line(), at.column(), strip_location(words)),
        None => format!("{path}: {words}"),
    }
}

/// The parser names the place in its own words too; once is enough.
fn strip_location(words: &str) -> &str {
    let end = words.find(" at line ").or_else(|| words.find(" (line ")).unwrap_or(words.len());
    words[..end].trim_end_matches([':', ' '])
}

fn is_kubelet_configuration(path: &str, value: &Value) -> Result<(), String> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    match (text("apiVersion"), text("kind")) {
        ("", _) => Err(format!("{path}: apiVersion is not set (kubelet.config.k8s.io/v1beta1)")),
        (_, "") => Err(format!("{path}: kind is not set (KubeletConfiguration)")),
        ("kubelet.config.k8s.io/v1beta1" | "kubelet.config.k8s.io/v1", "KubeletConfiguration") => Ok(()),
        (version, kind) => Err(format!("{path}: is a {kind} of {version} and not a KubeletConfiguration of kubelet.config.k8s.io/v1beta1")),
    }
}

fn place(path: &str, text: &str, field: &[&str]) -> String {
    match line_of(text, field) {
        Some(line) => format!("{path}:{line}"),
        None => path.to_owned(),
    }
}

/// The line on which a field is set, by its path from the top. Block YAML and JSON alike; `None` where it cannot be told.
fn line_of(text: &str, field: &[&str]) -> Option<usize> {
    let mut lines = (1_usize..).zip(text.lines());
    let mut found = None;
    for (depth, name) in field.iter().enumerate() {
        let json = text.trim_start().starts_with('{');
        found = lines.by_ref().find(|(_, line)| is_key(line, name, depth == 0 && !json)).map(|(number, _)| number);
        found?;
    }
    found
}

fn is_key(line: &str, name: &str, outermost: bool) -> bool {
    let line = if outermost { line } else { line.trim_start_matches([' ', '\t', '{', ',', '-']) };
    let unquoted = line.strip_prefix(['"', '\'']).unwrap_or(line);
    unquoted.strip_prefix(name).is_some_and(|rest| rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";

    #[test]
    fn later_files_win_field_by_field_and_say_where() {
        let mut config = KubeletConfig::default();
        config.add("/c.yaml", &format!("{HEAD}failSwapOn: true\nevictionHard:\n  memory.available: 100Mi\n")).unwrap();
        config.add("/d/10.conf", &format!("{HEAD}failSwapOn: false\nfailSwapon: 1\n")).unwrap();
        assert_eq!(config.get(&["failSwapOn"]), Some((&Value::Bool(false), "/d/10.conf:3".into())));
        assert_eq!(config.get(&["evictionHard", "memory.available"]).map(|(_, place)| place).as_deref(), Some("/c.yaml:5"));
        assert_eq!(config.unknown_fields(), ["/d/10.conf:4: failSwapon"]);
    }

    #[test]
    fn hostile_and_cut_files_are_refused_with_their_place_and_never_a_panic() {
        let text = format!("{HEAD}authentication:\n  x509: {{clientCAFile: \"/é.crt\"}}\nclusterDNS: [10.96.0.10]\n");
        for end in (0..=text.len()).filter(|&end| text.is_char_boundary(end)) {
            let _ = KubeletConfig::default().add("/c.yaml", &text[..end]);
        }
        for hostile in ["\u{0}\u{1}", "&a [*a, *a]", "[[[[[[[[", "%YAML 9.9\n---\n", "\t\tkind: x", "a: &a [*a]"] {
            assert!(KubeletConfig::default().add("/c.yaml", hostile).unwrap_err().starts_with("/c.yaml"), "{hostile:?}");
        }
    }
}
