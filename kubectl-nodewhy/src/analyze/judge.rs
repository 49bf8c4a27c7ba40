//! What the lines of one node mean: one chunk of sightings and the state of the judgement, both bounded.

use jiff::Timestamp;
use nodewhy_diagnosis::catalogue::{OVER, Sighting};
use nodewhy_diagnosis::facts::Facts;
use nodewhy_diagnosis::model::Unknown;
use nodewhy_diagnosis::record::{LogRecord, Spoken, clip};
use nodewhy_diagnosis::{Catalogue, Diagnosis, Mode, State, View, diagnose};

use super::dying::{Kubelet, Life};
use super::reading::InputStats;
use super::unheard::Unheard;
use super::wrapped::Wrapped;

/// So many sightings wait for the first time in the log.
const MAX_EARLY: usize = 2048;
/// Bytes kept of a file's name.
const MAX_NAME: usize = 256;

/// What was seen of one node, and what it means.
pub(super) struct Judge<'a> {
    catalogue: &'a Catalogue,
    pub(super) stats: InputStats,
    kubelet: Kubelet,
    wrapped: Wrapped,
    /// Errors that no sign knows.
    unheard: Unheard,
    node: String,
    /// What is being read: it speaks where a line does not say who did.
    file: String,
    /// The time of the last record that had one.
    clock: Option<Timestamp>,
    /// Sightings from before the first time in the log; true: in the last words of a kubelet.
    early: Vec<(Sighting, bool)>,
    /// What was seen.
    all: State,
    /// The same without the kubelet's last words: what remains when a later kubelet ran well.
    without_last_words: State,
}

impl<'a> Judge<'a> {
    pub(super) fn new(catalogue: &'a Catalogue) -> Self {
        Self {
            catalogue,
            stats: InputStats::default(),
            kubelet: Kubelet::default(),
            wrapped: Wrapped::default(),
            unheard: Unheard::default(),
            node: String::new(),
            file: String::new(),
            clock: None,
            early: Vec::new(),
            all: State::default(),
            without_last_words: State::default(),
        }
    }

    /// A file of this node begins.
    pub(super) fn begin_file(&mut self, name: &str) {
        clip(name, MAX_NAME).clone_into(&mut self.file);
        self.stats.files += 1;
    }

    /// The node's name, as far as its lines told it.
    pub(super) fn node(&self) -> &str {
        &self.node
    }

    /// The node's name, as its lines tell it.
    pub(super) fn call(&mut self, name: &str) {
        if self.node != name {
            name.clone_into(&mut self.node);
        }
    }

    /// A file of this node ends: nothing of the next continues its last line.
    pub(super) fn end_file(&mut self) {
        self.wrapped.forget();
    }

    /// Takes a record of this node.
    pub(super) fn take(&mut self, spoken: &Spoken<'_>) {
        self.stats.records += 1;
        if let Some(at) = spoken.record.at {
            self.tick(at);
        }
        let life = self.clock.map_or(Life::Goes, |at| self.kubelet.observe(spoken, at));
        match life {
            Life::Settled => {
                self.all = self.without_last_words.clone();
                self.unheard = Unheard::default();
            }
            Life::Over => return,
            Life::Goes | Life::Ends => {}
        }
        let before = self.stats.sightings;
        self.recognise(spoken, life == Life::Ends);
        self.unheard.hear(spoken, self.stats.sightings > before);
    }

    fn tick(&mut self, at: Timestamp) {
        if self.clock.is_none() {
            self.date_early(at);
        }
        self.clock = Some(at);
        self.stats.first_at = Some(self.stats.first_at.map_or(at, |first| first.min(at)));
        self.stats.last_at = Some(self.stats.last_at.map_or(at, |last| last.max(at)));
    }

    fn recognise(&mut self, spoken: &Spoken<'_>, last_words: bool) {
        let record = &spoken.record;
        let begins = spoken.headed && !self.wrapped.is_continued_by(spoken);
        if begins {
            self.wrapped.begin(spoken);
        }
        self.see(record, last_words);
        if let Some(squeezed) = squeezed(record) {
            self.see(&LogRecord { message: &squeezed, klog: None, ..*record }, last_words);
        }
        if begins {
            return;
        }
        let mut wrapped = std::mem::take(&mut self.wrapped);
        if let Some(joined) = wrapped.join(record) {
            let found: Vec<_> = joined.iter().flat_map(|record| self.sightings(record)).collect();
            found.into_iter().filter(|found| wrapped.is_new(&found.code, found.sign)).for_each(|found| self.keep(found, last_words));
        }
        self.wrapped = wrapped;
    }

    fn see(&mut self, record: &LogRecord<'_>, last_words: bool) {
        for sighting in self.sightings(record) {
            if self.wrapped.is_new(&sighting.code, sighting.sign) {
                self.keep(sighting, last_words);
            }
        }
    }

    fn sightings(&self, record: &LogRecord<'_>) -> Vec<Sighting> {
        self.catalogue.matcher().recognise(record, self.clock.unwrap_or(Timestamp::UNIX_EPOCH))
    }

    fn keep(&mut self, mut sighting: Sighting, last_words: bool) {
        if sighting.unit.is_empty() {
            self.file.clone_into(&mut sighting.unit);
        }
        self.stats.sightings += u64::from(sighting.sign != OVER);
        if self.clock.is_some() {
            self.remember(&sighting, last_words);
        } else if self.early.len() < MAX_EARLY {
            self.early.push((sighting, last_words));
        } else {
            self.stats.early_sightings_dropped += 1;
        }
    }

    fn remember(&mut self, sighting: &Sighting, last_words: bool) {
        let sighting = std::slice::from_ref(sighting);
        self.all.see(self.catalogue, sighting);
        if !last_words {
            self.without_last_words.see(self.catalogue, sighting);
        }
    }

    /// Gives what came before the first time in the log that time.
    fn date_early(&mut self, at: Timestamp) {
        for (sighting, last_words) in std::mem::take(&mut self.early) {
            self.remember(&Sighting { at, ..sighting }, last_words);
        }
    }

    /// When the log ends.
    pub(super) fn last_at(&self) -> Option<Timestamp> {
        self.stats.last_at
    }

    /// The end of the log: what is so then. Facts given weigh more than those the log proves.
    pub(super) fn end(mut self, given: Option<Facts>, node: Option<&str>, now: Timestamp) -> (Diagnosis, Option<Unknown>, InputStats) {
        if let Some(node) = node {
            node.clone_into(&mut self.node);
        }
        let at = self.stats.last_at.unwrap_or(now);
        self.date_early(at);
        let mut facts = self.kubelet.facts(at);
        if let Some(given) = given {
            facts.absorb(given);
        }
        let view = View { now: at, node: &self.node, facts: &facts, sightings: &[], mode: Mode::Saved };
        let outcome = diagnose(self.catalogue, &view, &self.all);
        (outcome.diagnosis, self.unheard.told(), self.stats)
    }
}

/// A message in which whoever saved it left runs of spaces (a terminal's wrapping, a table's cell) with single ones; `None` if there are
/// no runs but klog's own before the process number.
fn squeezed(record: &LogRecord<'_>) -> Option<String> {
    const RUN: &str = "   ";
    let body = record.klog.map_or(record.message, |klog| klog.body);
    if !body.trim_end().contains(RUN) {
        return None;
    }
    let head = &record.message[..record.message.len() - body.len()];
    Some(head.to_owned() + &body.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use nodewhy_diagnosis::Source;
    use nodewhy_diagnosis::record::{Klog, LogRecord};

    fn squeezed(message: &str) -> Option<String> {
        let record =
            LogRecord { at: None, source: Source::Kubelet, unit: "", priority: None, klog: Klog::parse(message), message, cursor: "" };
        super::squeezed(&record)
    }

    #[test]
    fn only_runs_of_spaces_in_what_was_said_are_squeezed() {
        let line = "E0913 09:21:47.158910   14097 server.go:292] \"Failed to run kubelet\" err=\"unable            to load\"";
        assert_eq!(
            squeezed(line).as_deref(),
            Some("E0913 09:21:47.158910   14097 server.go:292] \"Failed to run kubelet\" err=\"unable to load\"")
        );
        for plain in ["E0913 09:21:47.158910   14097 server.go:292] x  y", "", "x y", "é   "] {
            assert_eq!(squeezed(plain), None, "{plain}");
        }
    }
}
