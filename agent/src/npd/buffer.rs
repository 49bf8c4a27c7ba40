//! The last lines of a log, and what matches at their end.

use jiff::Timestamp;

use super::pattern::Pattern;

/// A ring of the newest lines. Slots not filled yet are empty lines, as in node-problem-detector.
#[derive(Debug)]
pub(super) struct Buffer {
    lines: Vec<Option<(Timestamp, String)>>,
    next: usize,
    joined: Option<String>,
}

impl Buffer {
    pub(super) fn new(lines: usize) -> Self {
        Self { lines: vec![None; lines.max(1)], next: 0, joined: None }
    }

    pub(super) fn push(&mut self, at: Timestamp, line: String) {
        let slot = self.next % self.lines.len();
        self.lines[slot] = Some((at, line));
        self.next += 1;
        self.joined = None;
    }

    /// The lines that a pattern matches, the oldest first, joined; and the time of the first.
    pub(super) fn matched(&mut self, pattern: &Pattern) -> Option<(Timestamp, String)> {
        let newest = (self.next.checked_sub(1)?) % self.lines.len();
        if pattern.last_line_only {
            let (at, line) = self.lines[newest].as_ref()?;
            return pattern.regex.is_match(line.as_bytes()).then(|| (*at, line.clone()));
        }
        let text = self
            .joined
            .take()
            .unwrap_or_else(|| self.in_order().map(|line| line.map_or("", |(_, text)| text)).collect::<Vec<_>>().join("\n"));
        let begins = pattern.regex.find(text.as_bytes()).map(|found| found.start());
        let reach = begins.map(|begins| text.len() - begins);
        self.joined = Some(text);
        // From the newest line back to the one in which the match begins.
        let (reach, mut taken, mut lines) = (reach?, 0, Vec::new());
        for (at, line) in self.in_order().collect::<Vec<_>>().into_iter().rev().flatten() {
            lines.push((*at, line.as_str()));
            taken += line.len() + 1;
            if taken >= reach {
                break;
            }
        }
        let (first, _) = *lines.last()?;
        Some((first, lines.iter().rev().map(|(_, line)| *line).collect::<Vec<_>>().join("\n")))
    }

    fn in_order(&self) -> impl Iterator<Item = Option<(&Timestamp, &String)>> {
        let head = self.next % self.lines.len();
        self.lines[head..].iter().chain(&self.lines[..head]).map(|slot| slot.as_ref().map(|(at, line)| (at, line)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(size: usize, lines: &[&str], pattern: &str) -> Option<String> {
        let mut buffer = Buffer::new(size);
        for (second, line) in (0..).zip(lines) {
            buffer.push(Timestamp::from_second(second).expect("a time"), (*line).to_owned());
        }
        buffer.matched(&Pattern::compile(pattern).expect("good")).map(|(_, text)| text)
    }

    #[test]
    fn a_pattern_matches_over_several_lines_up_to_the_newest() {
        assert_eq!(matched(10, &["x", "a 1", "b 2"], "a \\d\nb \\d").as_deref(), Some("a 1\nb 2"));
        assert_eq!(matched(10, &["a 1", "b 2", "c"], "a \\d\nb \\d"), None, "it has to end with the newest line");
        assert_eq!(matched(1, &["a 1", "b 2"], "a \\d\nb \\d"), None, "older lines than the buffer holds are gone");
        assert_eq!(matched(2, &["a 1", "x", "a 1", "b 2"], "a \\d\nb \\d").as_deref(), Some("a 1\nb 2"));
    }

    #[test]
    fn what_is_matched_is_told_with_whole_lines_and_the_time_of_the_first() {
        let mut buffer = Buffer::new(3);
        for (second, line) in [(1, "x"), (2, "say: a"), (3, "b")] {
            buffer.push(Timestamp::from_second(second).expect("a time"), line.to_owned());
        }
        let found = buffer.matched(&Pattern::compile("a\nb").expect("good")).expect("a match");
        assert_eq!(found, (Timestamp::from_second(2).expect("a time"), "say: a\nb".to_owned()));
    }

    #[test]
    fn a_start_anchor_means_the_start_of_the_buffer() {
        assert_eq!(matched(1, &["ab"], "^a.*").as_deref(), Some("ab"));
        assert_eq!(matched(2, &["ab"], "^a.*"), None, "the empty slot stands before it");
        assert_eq!(matched(10, &[], "a"), None);
    }
}
