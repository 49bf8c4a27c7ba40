//! A diagnosis as text for a terminal: the one rendering that `check`, `why` and `analyze` share. What decides comes first: the verdict,
//! the root cause, since when; then the proof, the fix with commands alone on their lines, and what follows from it.

mod words;

use jiff::Timestamp;

use crate::diagnose::NO_KUBELET;
use crate::model::{Diagnosis, Evidence, PresentCause, Remedy, Severity, Verdict};

pub(crate) use words::wrap;
pub use words::{escape, moment, span};

/// How to render.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// ANSI colours.
    pub colour: bool,
    /// Columns to wrap to; 0 does not wrap. Commands are never wrapped.
    pub width: usize,
    /// The input carried no times: `since` means nothing and is not shown.
    pub undated: bool,
    /// The input was a saved log: that it names no cause does not make the node healthy.
    pub saved_log: bool,
    /// The reader's time, for how long ago things were; that of the diagnosis if it is read as it is made.
    pub now: Option<Timestamp>,
    /// So many causes that would be critical could not be looked for; `None` if nobody counted.
    pub critical_unknown: Option<usize>,
    /// Since when nothing was heard of the node: the rest is what was known then.
    pub silent_since: Option<Timestamp>,
}

/// The diagnosis as text, ending in a newline.
pub fn text(diagnosis: &Diagnosis, style: Style) -> String {
    let mut page = Page { out: String::new(), diagnosis, style };
    page.verdict();
    let roots: Vec<_> = diagnosis.causes.iter().filter(|cause| cause.root).collect();
    let latent = roots.iter().filter(|root| root.latent).count();
    let (mut now, mut later) = (0, 0);
    for root in &roots {
        // What is wrong now and what will be are counted apart: the latter is not the reason for anything above it.
        let (count, of) = if root.latent { (&mut later, latent) } else { (&mut now, roots.len() - latent) };
        *count += 1;
        page.root(root, *count, of);
    }
    page.orphans(&roots);
    page.unknown();
    page.out
}

/// One root cause by itself, as the page of its node shows it: words, since when, proof and fix. Begins with an empty line.
pub fn root_text(cause: &PresentCause, style: Style) -> String {
    let at = style.now.unwrap_or(cause.since);
    let diagnosis = Diagnosis { node: String::new(), at, verdict: Verdict::Unknown, causes: Vec::new(), unknown: Vec::new() };
    let mut page = Page { out: String::new(), diagnosis: &diagnosis, style };
    page.root(cause, 1, 1);
    page.out
}

/// The word for a severity.
fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

/// The severity in its colour, if colours are wanted.
pub fn painted_severity(severity: Severity, colour: bool) -> String {
    let paint = match severity {
        Severity::Critical => Paint::Red,
        Severity::Warning => Paint::Yellow,
        Severity::Info => Paint::Bold,
    };
    paint.on(severity_word(severity), colour)
}

/// The word for a verdict as the first line says it.
pub fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Healthy => "healthy",
        Verdict::Degraded => "degraded",
        Verdict::NotReady => "not-ready",
        Verdict::Unknown => "unknown",
    }
}

/// The verdict in its colour, if colours are wanted.
pub fn painted_verdict(verdict: Verdict, colour: bool) -> String {
    let paint = match verdict {
        Verdict::Healthy => Paint::Green,
        Verdict::Degraded => Paint::Yellow,
        Verdict::NotReady => Paint::Red,
        Verdict::Unknown => Paint::Magenta,
    };
    paint.on(verdict_word(verdict), colour)
}

#[derive(Clone, Copy)]
enum Paint {
    Red,
    Yellow,
    Green,
    Magenta,
    Bold,
    Dim,
}

impl Paint {
    fn on(self, text: &str, colour: bool) -> String {
        let code = match self {
            Self::Red => "1;31",
            Self::Yellow => "1;33",
            Self::Green => "1;32",
            Self::Magenta => "1;35",
            Self::Bold => "1",
            Self::Dim => "2",
        };
        if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

struct Page<'a> {
    out: String,
    diagnosis: &'a Diagnosis,
    style: Style,
}

impl Page<'_> {
    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn paint(&self, paint: Paint, text: &str) -> String {
        paint.on(text, self.style.colour)
    }

    fn verdict(&mut self) {
        let Diagnosis { node, verdict, .. } = self.diagnosis;
        let word = match verdict {
            Verdict::Healthy if self.style.saved_log => self.paint(Paint::Bold, "nothing found"),
            verdict => painted_verdict(*verdict, self.style.colour),
        };
        let who = if node.is_empty() { "this log".to_owned() } else { format!("node {}", escape(node)) };
        self.line(&format!("{who}: {word}{}", self.paint(Paint::Dim, &self.as_of())));
        if let Some(more) = self.in_words() {
            let first =
                if self.no_kubelet() { "No kubelet was found here: as far as can be seen this is no Kubernetes node. " } else { "" };
            self.line(&format!("{first}{more}"));
        }
    }

    fn no_kubelet(&self) -> bool {
        self.diagnosis.unknown.iter().any(|unknown| unknown.what == "kubelet" && unknown.why.starts_with(NO_KUBELET))
    }

    fn as_of(&self) -> String {
        if self.style.undated {
            return String::new();
        }
        match self.style.silent_since {
            Some(since) => {
                format!("  (silent since {}, {} ago; below is what was known then)", moment(since), span(self.now().duration_since(since)))
            }
            None => format!("  (as of {})", moment(self.diagnosis.at)),
        }
    }

    /// What a verdict that names no cause means here.
    fn in_words(&self) -> Option<String> {
        let unknown = &self.diagnosis.unknown;
        match self.diagnosis.verdict {
            _ if self.style.silent_since.is_some() => None,
            Verdict::Unknown if self.style.saved_log => Some(
                "No critical cause was found, and not all that was saved could be read or is understood: see UNKNOWN below.".to_owned(),
            ),
            Verdict::Unknown => {
                let what = self.style.critical_unknown.map_or_else(
                    || "something that could be critical could not be looked at".to_owned(),
                    |count| format!("{} that would be critical could not be looked for", causes(count)),
                );
                Some(format!("Nothing critical was found, and {what}."))
            }
            Verdict::Healthy if self.style.saved_log => {
                Some("No known cause in this log. That is all a log can say: it does not show what was not logged.".to_owned())
            }
            Verdict::Healthy if unknown.is_empty() => Some("No cause found.".to_owned()),
            Verdict::Healthy => Some("No cause found in what could be looked at.".to_owned()),
            Verdict::Degraded | Verdict::NotReady => None,
        }
    }

    fn now(&self) -> Timestamp {
        self.style.now.unwrap_or(self.diagnosis.at)
    }

    fn root(&mut self, root: &PresentCause, number: usize, of: usize) {
        let count = if of > 1 { format!(" {number} of {of}") } else { String::new() };
        let (paint, kind) = match root.severity {
            _ if root.latent => (Paint::Yellow, "WILL BREAK"),
            Severity::Critical => (Paint::Red, "ROOT CAUSE"),
            Severity::Warning => (Paint::Yellow, "WARNING"),
            Severity::Info => (Paint::Bold, "NOTE"),
        };
        let head = self.paint(paint, &format!("{kind}{count}"));
        let code = self.paint(Paint::Bold, &escape(&root.code));
        self.line(&format!("\n{head}  {code}"));
        self.wrapped(&root.title, "  ");
        if !root.message.is_empty() && root.message != root.title {
            self.wrapped(&root.message, "  ");
        }
        if !self.style.undated {
            let ago = span(self.now().duration_since(root.since));
            self.line(&format!("  since {} ({ago})", moment(root.since)));
        }
        self.evidence(&root.evidence);
        self.remedy(&root.remedy);
        let first = |cause: &&PresentCause| !cause.root && self.first_root(cause) == Some(&*root.code);
        let symptoms: Vec<_> = self.diagnosis.causes.iter().filter(first).collect();
        self.symptoms("Follows from it", &symptoms, "  ");
    }

    /// The root a symptom is shown under: the first of those that explain it.
    fn first_root(&self, symptom: &PresentCause) -> Option<&str> {
        let explains = |cause: &&PresentCause| cause.root && symptom.explained_by.contains(&cause.code);
        self.diagnosis.causes.iter().find(explains).map(|cause| &*cause.code)
    }

    fn evidence(&mut self, evidence: &[Evidence]) {
        if evidence.is_empty() {
            return;
        }
        self.section("Evidence");
        for proof in evidence {
            let mut head = match proof.at {
                Some(at) if !self.style.undated => format!("{}  ", moment(at)),
                _ => String::new(),
            };
            head.push_str(&escape(&proof.source));
            if proof.count > 1 {
                head.push_str(&format!("  ({} times, the last is shown)", proof.count));
            }
            let head = self.paint(Paint::Dim, &head);
            self.line(&format!("    {head}"));
            for line in proof.quote.lines() {
                self.wrapped(line, "      ");
            }
        }
    }

    fn remedy(&mut self, remedy: &[Remedy]) {
        if remedy.is_empty() {
            return;
        }
        self.section("Fix");
        for (index, step) in remedy.iter().enumerate() {
            let number = format!("    {}. ", index + 1);
            let mut said = String::new();
            wrap(&mut said, &escape(&step.say), "       ", self.style.width);
            said.replace_range(..number.len().min(7), &number);
            self.out.push_str(&said);
            for command in step.run.iter().flat_map(|run| run.lines()) {
                let command = self.paint(Paint::Bold, &escape(command));
                self.line(&format!("         {command}"));
            }
        }
    }

    fn symptoms(&mut self, title: &str, symptoms: &[&PresentCause], indent: &str) {
        if symptoms.is_empty() {
            return;
        }
        let title = self.paint(Paint::Bold, title);
        self.line(&format!("\n{indent}{title}"));
        for symptom in symptoms {
            let since = if self.style.undated { String::new() } else { format!("  (since {})", moment(symptom.since)) };
            self.line(&format!("{indent}  {}{}", escape(&symptom.code), self.paint(Paint::Dim, &since)));
            let message = if symptom.message.is_empty() { &symptom.title } else { &symptom.message };
            self.wrapped(message, &format!("{indent}    "));
        }
    }

    /// Symptoms whose root has just ended, or is not among the causes.
    fn orphans(&mut self, roots: &[&PresentCause]) {
        let lost = |cause: &&PresentCause| !cause.root && !roots.iter().any(|root| cause.explained_by.contains(&root.code));
        let orphans: Vec<_> = self.diagnosis.causes.iter().filter(lost).collect();
        self.symptoms("Left over from causes that have ended", &orphans, "");
    }

    fn unknown(&mut self) {
        if self.diagnosis.unknown.is_empty() {
            return;
        }
        let head = self.paint(Paint::Magenta, "UNKNOWN");
        let what = if self.style.saved_log { "could not be read, or is not understood" } else { "could not be looked at" };
        self.line(&format!("\n{head}  {what}"));
        for unknown in &self.diagnosis.unknown {
            self.line(&format!("  {}", escape(&unknown.what)));
            self.wrapped(&unknown.why, "    ");
        }
    }

    fn section(&mut self, title: &str) {
        let title = self.paint(Paint::Bold, title);
        self.line(&format!("\n  {title}"));
    }

    fn wrapped(&mut self, text: &str, indent: &str) {
        for line in text.lines() {
            wrap(&mut self.out, &escape(line), indent, self.style.width);
        }
    }
}

fn causes(count: usize) -> String {
    if count == 1 { "one cause".to_owned() } else { format!("{count} causes") }
}

#[cfg(test)]
mod tests;
