//! Keeps the policy that is in force in step with its file. A file that turns bad changes nothing, and that is told.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::read::error;
use super::yaml::Place;
use super::{MAX_FILE, Policy, PolicyError};
use crate::own_file;

/// How often the file is looked at. What changed is read once it stood still for one look: an editor may be in the middle of it.
const PERIOD: Duration = Duration::from_secs(2);
/// How long reading it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The policy in force.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The policy.
    pub policy: Arc<Policy>,
    /// What is wrong with the file as it is now, if that is not what is in force.
    pub problem: Option<Arc<[PolicyError]>>,
    /// Since when this policy is in force.
    pub since: Timestamp,
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A file as one look finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    There(Stamp),
    Gone,
    /// It is there, or may be, and cannot be looked at.
    Hidden(String),
}

/// Looks after the policy's file.
#[derive(Debug)]
pub struct Watcher {
    path: PathBuf,
    /// That it is not there is a mistake: somebody named it, or it was there before.
    needed: bool,
    /// What is in force, or was refused, is of this state of the file.
    read: Seen,
    /// What the last look found, if that is another state: it is read when it stands still.
    moving: Option<Seen>,
    tell: watch::Sender<Loaded>,
}

impl Watcher {
    /// Reads the file. One that cannot be used leaves nobody told anything, loudly; the collector goes on.
    pub fn start(path: &Path, named: bool, now: Timestamp) -> Self {
        let (policy, since) = (Arc::new(Policy::default()), now);
        let (tell, _) = watch::channel(Loaded { policy, problem: None, since });
        let mut watcher = Self { path: path.to_owned(), needed: named, read: Seen::Gone, moving: None, tell };
        let seen = watcher.seen();
        watcher.take(seen, now);
        watcher.needed = true;
        watcher
    }

    /// What is in force, and when that changes.
    pub fn subscribe(&self) -> watch::Receiver<Loaded> {
        self.tell.subscribe()
    }

    /// Looks at the file for ever. A disk that hangs holds up this alone.
    pub async fn run(mut self) {
        let mut look = tokio::time::interval(PERIOD);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            let looked = tokio::task::spawn_blocking(move || {
                // What a file makes the reading do costs that file alone: ending here would be met again at the next start.
                let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.look(Timestamp::now())));
                if looked.is_err() {
                    tracing::error!("reading the alert policy broke off, what is in force stays; this is a defect, please report it");
                }
                self
            });
            match looked.await {
                Ok(watcher) => self = watcher,
                Err(error) => {
                    return tracing::error!(
                        "the policy's file is not looked at any more, what is in force stays: {error}; restart the collector"
                    );
                }
            }
        }
    }

    /// One look.
    fn look(&mut self, now: Timestamp) {
        let seen = self.seen();
        if seen == self.read {
            self.moving = None;
        } else if self.moving.as_ref() == Some(&seen) {
            self.moving = None;
            self.take(seen, now);
        } else {
            self.moving = Some(seen);
        }
    }

    fn seen(&self) -> Seen {
        match fs::metadata(&self.path) {
            Ok(data) => Seen::There(Stamp {
                device: data.dev(),
                inode: data.ino(),
                size: data.size(),
                modified: (data.mtime(), data.mtime_nsec()),
                changed: (data.ctime(), data.ctime_nsec()),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Seen::Gone,
            Err(error) => Seen::Hidden(error.to_string()),
        }
    }

    fn take(&mut self, seen: Seen, now: Timestamp) {
        let whole = |problem: String| vec![error(&self.path, Place::default(), problem)];
        // Before it is read: it is not read a second time, whatever comes of it.
        self.read = seen.clone();
        let found = match &seen {
            Seen::There(stamp) if stamp.size > MAX_FILE as u64 => {
                Err(whole(format!("the file has {} bytes; {MAX_FILE} are the most: is it the right one?", stamp.size)))
            }
            Seen::There(_) => match own_file::read_within(&self.path, PATIENCE) {
                Ok(bytes) => Policy::from_bytes(&self.path, &bytes).map(Some),
                Err(problem) => Err(whole(format!("cannot read the alert policy: {problem}"))),
            },
            Seen::Gone if self.needed => Err(whole("the file is not there: put it back, or an empty one to tell nobody".to_owned())),
            Seen::Gone => Ok(None),
            Seen::Hidden(problem) => Err(whole(format!("cannot look at the alert policy: {problem}"))),
        };
        match found {
            Ok(found) => self.enforce(found, now),
            Err(problems) => self.refuse(problems),
        }
    }

    fn enforce(&mut self, found: Option<Policy>, now: Timestamp) {
        if let Some(policy) = &found {
            policy.notes.iter().for_each(|note| tracing::warn!("alert policy: {note}"));
            tracing::info!(file = %self.path.display(), hooks = policy.hooks.len(), routes = policy.routes.len(), "the alert policy is in force");
        }
        let policy = Arc::new(found.unwrap_or_default());
        self.tell.send_replace(Loaded { policy, problem: None, since: now });
    }

    fn refuse(&mut self, problems: Vec<PolicyError>) {
        let since = self.tell.borrow().since;
        let told = if self.tell.borrow().policy.hooks.is_empty() {
            "NOBODY IS TOLD ANYTHING until it is mended".to_owned()
        } else {
            format!("the policy of {since:.0} stays in force")
        };
        problems.iter().for_each(|problem| tracing::error!("alert policy: {problem}"));
        tracing::error!("the alert policy {} cannot be used ({} mistakes, above); {told}", self.path.display(), problems.len());
        self.tell.send_modify(|loaded| loaded.problem = Some(problems.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "hooks: [{name: ops, webhook: {url: 'https://h/x'}}]\n";

    struct Room {
        directory: tempfile::TempDir,
        second: i64,
    }

    impl Room {
        fn new() -> Self {
            Self { directory: tempfile::tempdir().expect("a directory"), second: 1_800_000_000 }
        }

        fn path(&self) -> PathBuf {
            self.directory.path().join("alerts.yaml")
        }

        /// As editors do it: another file takes the name, so that the times need not differ.
        fn write(&self, text: &str) {
            let beside = self.directory.path().join(".new");
            fs::write(&beside, text).expect("written");
            fs::rename(beside, self.path()).expect("renamed");
        }

        fn now(&mut self) -> Timestamp {
            self.second += 2;
            Timestamp::from_second(self.second).expect("a time")
        }

        fn start(&mut self, named: bool) -> Watcher {
            let now = self.now();
            Watcher::start(&self.path(), named, now)
        }

        fn look(&mut self, watcher: &mut Watcher) -> (usize, bool) {
            let now = self.now();
            watcher.look(now);
            state(watcher)
        }
    }

    /// Hooks in force, and whether the file is as it should be.
    fn state(watcher: &Watcher) -> (usize, bool) {
        let loaded = watcher.tell.borrow();
        (loaded.policy.hooks.len(), loaded.problem.is_none())
    }

    #[test]
    fn a_file_that_changed_is_read_when_it_stands_still() {
        let mut room = Room::new();
        room.write("");
        let mut watcher = room.start(true);
        assert_eq!(state(&watcher), (0, true));
        room.write(GOOD);
        assert_eq!(room.look(&mut watcher), (0, true), "it may be in the middle of being written");
        assert_eq!(room.look(&mut watcher), (1, true));
        let since = watcher.tell.borrow().since;
        assert_eq!(room.look(&mut watcher), (1, true));
        assert_eq!(watcher.tell.borrow().since, since, "nothing changed");
    }

    #[test]
    fn a_file_that_turns_bad_leaves_the_old_policy_in_force_and_is_told() {
        let mut room = Room::new();
        room.write(GOOD);
        let mut watcher = room.start(true);
        let listener = watcher.subscribe();
        room.write("hoks: []\nroutes: []\n");
        room.look(&mut watcher);
        assert_eq!(room.look(&mut watcher), (1, false));
        let problems = listener.borrow().problem.clone().expect("told");
        assert_eq!(problems.len(), 2, "all of it: {problems:?}");
        assert_eq!(room.look(&mut watcher), (1, false), "still");
        room.write(&format!("{GOOD}rateCap: {{messages: 3}}\n"));
        room.look(&mut watcher);
        assert_eq!(room.look(&mut watcher), (1, true));
        assert_eq!(listener.borrow().policy.rate_cap.messages, 3);
    }

    #[test]
    fn a_file_that_goes_leaves_the_old_policy_in_force_and_may_come_back() {
        let mut room = Room::new();
        room.write(GOOD);
        let mut watcher = room.start(false);
        fs::remove_file(room.path()).expect("removed");
        room.look(&mut watcher);
        assert_eq!(room.look(&mut watcher), (1, false));
        room.write("");
        room.look(&mut watcher);
        assert_eq!(room.look(&mut watcher), (0, true));
    }

    #[test]
    fn a_clock_that_is_set_back_takes_no_policy_out_of_force() {
        let mut room = Room::new();
        room.write(GOOD);
        let mut watcher = room.start(false);
        room.second -= 3600;
        fs::remove_file(room.path()).expect("removed");
        room.look(&mut watcher);
        assert_eq!(room.look(&mut watcher), (1, false));
    }

    #[test]
    fn without_a_file_nobody_is_told_and_only_a_named_one_has_to_be_there() {
        for (named, good) in [(false, true), (true, false)] {
            let mut room = Room::new();
            let mut watcher = room.start(named);
            assert_eq!(state(&watcher), (0, good));
            room.write(GOOD);
            room.look(&mut watcher);
            assert_eq!(room.look(&mut watcher), (1, true), "it came later");
        }
    }

    #[test]
    fn a_bad_file_at_the_start_does_not_keep_the_collector_from_starting() {
        let mut room = Room::new();
        room.write("hooks: 7\n");
        assert_eq!(state(&room.start(false)), (0, false));
        fs::remove_file(room.path()).expect("removed");
        fs::create_dir(room.path()).expect("a directory");
        assert_eq!(state(&room.start(false)), (0, false), "no file at all");
    }
}
