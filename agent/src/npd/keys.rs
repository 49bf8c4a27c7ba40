//! Names in node-problem-detector's files that it does not know itself: it passes them over, and a misspelt one does nothing.

use serde_json::{Map, Value as Json};

/// What v1.37 reads (pkg/systemlogmonitor/config.go, pkg/custompluginmonitor/types/config.go, pkg/types/types.go), in lower case: Go's
/// encoding/json takes names in any.
const FILE: [&str; 11] = [
    "plugin",
    "pluginconfig",
    "logpath",
    "lookback",
    "delay",
    "buffersize",
    "source",
    "skiplist",
    "metricsreporting",
    "conditions",
    "rules",
];
const CONDITION: [&str; 3] = ["type", "reason", "message"];
const RULE: [&str; 9] =
    ["type", "condition", "reason", "pattern", "patterngeneratedmessagesuffix", "path", "args", "timeout", "invoke_interval"];
const PLUGIN_CONFIG: [&str; 6] = [
    "invoke_interval",
    "timeout",
    "max_output_length",
    "concurrency",
    "enable_message_change_based_condition_update",
    "skip_initial_status",
];
/// More than anybody mends at once.
const MAX_TOLD: usize = 32;

/// The places of names that are not known, such as `rules[0].patern`. None of a file that is not read as a monitor's.
pub(super) fn unknown(text: &str) -> Vec<String> {
    let Ok(Json::Object(file)) = serde_json::from_str(text) else { return Vec::new() };
    let get = |name: &str| file.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let Some(plugin) = get("plugin").and_then(Json::as_str) else { return Vec::new() };
    let mut told = foreign("", &file, &FILE);
    if let (Some(Json::Object(config)), "custom") = (get("pluginconfig"), plugin) {
        told.extend(foreign("pluginConfig.", config, &PLUGIN_CONFIG));
    }
    for (list, name, known) in [(get("conditions"), "conditions", &CONDITION[..]), (get("rules"), "rules", &RULE[..])] {
        for (index, item) in list.and_then(Json::as_array).into_iter().flatten().enumerate() {
            if let Json::Object(fields) = item {
                told.extend(foreign(&format!("{name}[{index}]."), fields, known));
            }
        }
    }
    told.truncate(MAX_TOLD);
    told
}

fn foreign(place: &str, fields: &Map<String, Json>, known: &[&str]) -> Vec<String> {
    let is_foreign = |name: &&String| !known.contains(&name.to_lowercase().as_str());
    fields.keys().filter(is_foreign).map(|name| format!("{place}{name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_known_are_told_with_their_places() {
        let text = r#"{"Plugin": "custom", "pluginConfig": {"timeout": "1s", "intervall": "2s"}, "rulez": [],
            "conditions": [{"type": "C", "reason": "R", "message": "m"}], "rules": [{"type": "temporary", "reason": "R", "path": "/p", "patern": "x"}]}"#;
        assert_eq!(unknown(text), ["rulez", "pluginConfig.intervall", "rules[0].patern"]);
    }

    #[test]
    fn what_is_right_or_no_monitor_has_none() {
        for text in [
            r#"{"plugin": "filelog", "pluginConfig": {"timestamp": "x", "message": "x", "timestampFormat": "x"}, "skipList": [], "metricsReporting": true}"#,
            r#"{"cpu": {}, "invokeInterval": "60s"}"#,
            "[]",
            "{",
            "",
        ] {
            assert_eq!(unknown(text), [""; 0], "{text}");
        }
    }
}
