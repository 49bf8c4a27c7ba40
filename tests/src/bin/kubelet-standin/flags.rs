//! The command line as the kubelet takes it (spf13/pflag). Which flags there are is read off a real kubelet's own list.

use crate::script::SWAP_ON;

/// Flags given, in order, without dashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Flags(pub(crate) Vec<(String, String)>);

/// The kubelet ends with these words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unknown(pub(crate) String);

impl Flags {
    /// # Errors
    /// A flag that this kubelet does not have.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, Unknown> {
        let known = known();
        let mut given = Vec::new();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix("--") else {
                return Err(match word.strip_prefix('-').and_then(|short| short.chars().next()) {
                    Some(letter) => Unknown(format!("unknown shorthand flag: '{letter}' in {word}")),
                    None => Unknown(format!("unknown command {word:?}")),
                });
            };
            let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
            let Some((_, default)) = known.iter().find(|(known, _)| *known == name) else {
                return Err(Unknown(format!("unknown flag: --{name}")));
            };
            let value = match value {
                Some(value) => value.to_owned(),
                None if matches!(*default, "true" | "false") => "true".to_owned(),
                None => words.next().cloned().unwrap_or_default(),
            };
            given.push((name.to_owned(), value));
        }
        Ok(Self(given))
    }

    /// The last value given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

/// Names and defaults.
fn known() -> Vec<(&'static str, &'static str)> {
    let listed = SWAP_ON.lines().filter_map(|line| line.split_once("FLAG: --")?.1.split_once('='));
    listed.map(|(name, default)| (name, default.trim_matches('"'))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Flags, Unknown> {
        Flags::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn flags_are_taken_with_and_without_equals_sign() {
        let flags = parse(&["--config=/a", "--kubeconfig", "/b", "--fail-swap-on", "--v=3"]).unwrap();
        assert_eq!(
            (flags.get("config"), flags.get("kubeconfig"), flags.get("fail-swap-on"), flags.get("v")),
            (Some("/a"), Some("/b"), Some("true"), Some("3"))
        );
    }

    #[test]
    fn a_flag_that_was_removed_is_unknown() {
        assert_eq!(parse(&["--network-plugin=cni"]), Err(Unknown("unknown flag: --network-plugin".to_owned())));
    }
}
