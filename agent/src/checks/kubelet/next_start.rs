//! Whether the kubelet would take its configuration, read now, if it were started now. Nothing is started for it.

use jiff::Timestamp;
use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};

use super::command::Command;
use super::config::{self, Config, ConfigError};
use super::flags::Flags;
use super::rules::{self, Settings};
use crate::checks::Look;
use crate::checks::support::not_applicable;

/// What is wrong, and whether a flag is.
struct Wrong {
    words: String,
    of_flag: bool,
}

/// Whether the file is there, whether the next start would take it, and since when it is as it is: facts that go together.
pub(super) fn report(look: &Look, in_force: &Flags, command: &Command, loaded: &Result<Config, ConfigError>, facts: &mut Facts) {
    let at = look.began_at;
    let none = || not_applicable("the kubelet is not told to read a configuration file");
    let absent = report_existence(look, in_force, facts);
    let flags = command.next.as_ref().unwrap_or(in_force);
    let (main, drop_ins) = (told(flags, "config"), told(flags, "config-dir"));
    let same_files = main == told(in_force, "config") && drop_ins == told(in_force, "config-dir");
    let other = if same_files { None } else { Some(config::load(&look.host, main, drop_ins)) };
    let wrong = if main.is_none() && drop_ins.is_none() {
        Err(none())
    } else if absent && same_files {
        Err(not_applicable("there is no file that could be valid"))
    } else {
        wrong_with(look, flags, other.as_ref().unwrap_or(loaded))
    };
    let of_flag = wrong.as_ref().is_ok_and(|wrong| wrong.as_ref().is_some_and(|wrong| wrong.of_flag));
    let edited_at = if of_flag { config::latest(&look.host, &command.from) } else { config::modified_at(&look.host, main, drop_ins) };
    put(facts, at, wrong, edited_at.ok_or_else(none));
}

/// Whether the file and the drop-in directory are there: the kubelet refuses to start without either that it is told of. True if one is not.
fn report_existence(look: &Look, in_force: &Flags, facts: &mut Facts) -> bool {
    let at = look.began_at;
    let named = ["config", "config-dir"].into_iter().filter_map(|name| told(in_force, name));
    let seen: Vec<(&str, Result<bool, Missing>)> = named.map(|path| (path, look.host.exists(path).map_err(Missing::from))).collect();
    let gone = seen.iter().find(|(_, exists)| *exists == Ok(false)).map(|(path, _)| (*path).to_owned());
    let refused = seen.iter().find_map(|(_, exists)| exists.clone().err());
    let exists = match (&gone, refused) {
        (Some(_), _) => Ok(false),
        (None, Some(why)) => Err(why),
        (None, None) if seen.is_empty() => Err(not_applicable("the kubelet is not told to read a configuration file")),
        (None, None) => Ok(true),
    };
    let absent = gone.is_some();
    facts.put(fact::KUBELET_CONFIG_EXISTS, at, exists.clone());
    facts.put(fact::KUBELET_CONFIG_ABSENT, at, gone.ok_or_else(|| exists.err().unwrap_or_else(|| not_applicable("nothing is"))));
    absent
}

fn put(facts: &mut Facts, at: Timestamp, wrong: Result<Option<Wrong>, Missing>, edited_at: Result<Timestamp, Missing>) {
    let (valid, error) = match wrong {
        Ok(None) => (Ok(true), Err(not_applicable("it is valid"))),
        Ok(Some(wrong)) => (Ok(false), Ok(wrong.words)),
        Err(why) => (Err(why.clone()), Err(why)),
    };
    facts.put(fact::KUBELET_CONFIG_VALID, at, valid);
    facts.put(fact::KUBELET_CONFIG_ERROR, at, error);
    facts.put(fact::KUBELET_CONFIG_EDITED_AT, at, edited_at);
}

fn told<'a>(flags: &'a Flags, name: &str) -> Option<&'a str> {
    flags.get(name).map(String::as_str).filter(|path| !path.is_empty())
}

fn wrong_with(look: &Look, flags: &Flags, loaded: &Result<Config, ConfigError>) -> Result<Option<Wrong>, Missing> {
    match loaded {
        Ok(config) => {
            let fault = rules::examine(&Settings { flags, config, version: version(look) });
            Ok(fault.map(|fault| Wrong { words: fault.words, of_flag: fault.of_flag }))
        }
        Err(ConfigError::Invalid(words)) => Ok(Some(Wrong { words: words.clone(), of_flag: false })),
        // The kubelet refuses to start without the file or the drop-in directory that it is told of.
        Err(ConfigError::Absent(error)) => Ok(Some(Wrong { words: error.sentence(), of_flag: false })),
        Err(error @ ConfigError::Unreadable(_)) => Err(error.missing()),
    }
}

/// Minor version of the kubelet that registered last. The next one to start may be newer, hardly older.
fn version(look: &Look) -> Option<u32> {
    let version = look.known.known(fact::CLUSTER_NODE_KUBELET_VERSION)?;
    version.strip_prefix("v1.")?.split(['.', '-', '+']).next()?.parse().ok()
}
