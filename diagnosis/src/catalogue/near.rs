//! What was meant by a word that is not there.

use std::cmp::Reverse;

use strsim::levenshtein;

use super::Catalogue;

impl Catalogue {
    /// Codes that may have been meant, the likeliest first and at most three: those a few letters away, then those with a word of it.
    pub fn codes_near(&self, code: &str) -> Vec<&str> {
        near(code, self.causes.iter().map(|cause| cause.code.as_str()))
    }
}

fn near<'a>(code: &str, all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    const SHOWN: usize = 3;
    // Of a pasted page nothing was meant.
    const LONGEST: usize = 128;
    if code.len() > LONGEST {
        return Vec::new();
    }
    let words: Vec<&str> = code.split('-').filter(|word| word.len() > 2).collect();
    let shared = |other: &str| other.split('-').filter(|part| words.contains(part)).count();
    let misspelt = |other: &str| levenshtein(code, other) <= 1.max(code.len() / 4);
    let mut near: Vec<&str> = all.filter(|other| misspelt(other) || shared(other) > 0).collect();
    near.sort_by_key(|other| (!misspelt(other), Reverse(shared(other)), levenshtein(code, other)));
    near.truncate(SHOWN);
    near
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_by_letters_and_by_words() {
        let all =
            ["swap-enabled", "swap-at-boot", "kubelet-down", "kubelet-hung", "kubelet-port-in-use", "kubelet-config-missing", "oom-kill"];
        let near = |code| near(code, all.into_iter());
        assert_eq!(near("swap-enabeld")[0], "swap-enabled");
        assert!(near("swap-on").len() == 2 && near("swap-on").contains(&"swap-enabled"));
        assert_eq!(near("oomkill"), ["oom-kill"]);
        assert_eq!(near("kubelet").len(), 3);
        for nothing in ["", "xyzzy", "-", "a-b-c"] {
            assert_eq!(near(nothing), [""; 0], "{nothing}");
        }
        assert_eq!(near(&"swap-".repeat(1000)), [""; 0]);
    }
}
