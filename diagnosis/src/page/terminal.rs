//! A page for a terminal: headings stand out, links are their words, what is quoted or run stands alone on its line and is never wrapped.

use crate::render::{Style, escape, wrap};

/// The Markdown of a cause's page as text. Knows what pages use: headings, paragraphs, lists, code blocks, links, `code` and **bold**.
pub fn terminal(markdown: &str, style: Style) -> String {
    let mut page = Page { out: String::new(), style, paragraph: String::new(), hang: String::new() };
    let mut fenced = false;
    for line in markdown.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") {
            page.end_paragraph();
            fenced = !fenced;
        } else if fenced {
            page.verbatim(trimmed);
        } else {
            page.line(trimmed);
        }
    }
    page.end_paragraph();
    page.out
}

struct Page {
    out: String,
    style: Style,
    /// Lines of one paragraph or list item, joined.
    paragraph: String,
    /// What its first line begins with.
    hang: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        let heading = line.trim_start_matches('#');
        if line.is_empty() {
            self.end_paragraph();
        } else if heading.len() < line.len() && heading.starts_with(' ') {
            self.end_paragraph();
            let blank = if self.out.is_empty() { "" } else { "\n" };
            let heading = self.bold(&escape(&plain(heading.trim())));
            self.out.push_str(&format!("{blank}{heading}\n"));
        } else if let Some((mark, item)) = list_item(line) {
            self.end_paragraph();
            self.hang = mark;
            self.paragraph = item.to_owned();
        } else {
            if !self.paragraph.is_empty() {
                self.paragraph.push(' ');
            }
            self.paragraph.push_str(line);
        }
    }

    fn end_paragraph(&mut self) {
        let hang = std::mem::take(&mut self.hang);
        let paragraph = std::mem::take(&mut self.paragraph);
        if paragraph.is_empty() {
            return;
        }
        let mut wrapped = String::new();
        let indent = format!("  {}", " ".repeat(hang.chars().count()));
        wrap(&mut wrapped, &escape(&plain(&paragraph)), &indent, self.style.width);
        // The mark of a list stands where the first line is indented.
        self.out.push_str(&format!("  {hang}{}", wrapped.strip_prefix(indent.as_str()).unwrap_or(&wrapped)));
    }

    fn verbatim(&mut self, line: &str) {
        let line = escape(line);
        self.out.push_str(&match self.style.colour {
            true => format!("      \x1b[36m{line}\x1b[0m\n"),
            false => format!("      {line}\n"),
        });
    }

    fn bold(&self, text: &str) -> String {
        if self.style.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// `* item` or `1. item`: the mark as shown, and the rest.
fn list_item(line: &str) -> Option<(String, &str)> {
    if let Some(item) = line.strip_prefix("* ").or_else(|| line.strip_prefix("- ")) {
        return Some(("- ".to_owned(), item));
    }
    let (number, item) = line.split_once(". ")?;
    (number.len() <= 2 && number.bytes().all(|byte| byte.is_ascii_digit())).then(|| (format!("{number}. "), item))
}

/// Without the marks of links, bold and code.
fn plain(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once('[') {
        let Some((words, target)) = after.split_once("](") else { break };
        let Some((_, after)) = target.split_once(')') else { break };
        out.push_str(before);
        out.push_str(words);
        rest = after;
    }
    out.push_str(rest);
    out.replace("**", "").replace("`` ", "").replace(" ``", "").replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# a-cause\n\nIt is wrong.\n\n* Explains: [other](other.md), [more](more.md)\n\n## What to do\n\n1. Mend `it`\n   now:\n\n   ```sh\n   mend --it   now\n   ```\n";

    #[test]
    fn a_page_reads_well_without_markdown() {
        let wanted = "a-cause\n  It is wrong.\n  - Explains: other, more\n\nWhat to do\n  1. Mend it now:\n      mend --it   now\n";
        assert_eq!(terminal(PAGE, Style::default()), wanted);
    }

    #[test]
    fn long_paragraphs_are_wrapped_beneath_their_mark_and_commands_never() {
        let text = format!("* {}\n\n```\n{}\n```\n", "word ".repeat(20), "x".repeat(100));
        let shown = terminal(&text, Style { width: 40, ..Style::default() });
        assert!(shown.lines().next().is_some_and(|line| line.starts_with("  - word") && line.len() <= 40), "{shown}");
        assert!(shown.lines().nth(1).is_some_and(|line| line.starts_with("    word")), "{shown}");
        assert!(shown.contains(&"x".repeat(100)), "{shown}");
    }

    #[test]
    fn what_a_file_says_cannot_steer_the_terminal() {
        assert!(!terminal("a \x1b[2J b\n", Style::default()).contains('\x1b'));
    }
}
