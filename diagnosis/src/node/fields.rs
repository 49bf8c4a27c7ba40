//! The fields of KubeletConfiguration (kubelet.config.k8s.io/v1beta1, up to Kubernetes 1.36) and what JSON they take.
//!
//! The kubelet turns YAML into JSON and decodes that; a field of a wrong type is an error, a field it does not know only a warning (since
//! 1.16 it decodes leniently after a strict attempt). This is no stricter than that.

use serde_json::Value;

/// What a field takes.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Bool,
    /// int32; what is larger does not decode.
    Int,
    /// int64.
    Long,
    Float,
    Text,
    Duration,
    Texts,
    Ints,
    TextMap,
    BoolMap,
    ListMap,
    List,
    /// A quantity (apimachinery pkg/api/resource): text or number.
    QuantityMap,
    Object(&'static [(&'static str, Kind)]),
    /// A list of such.
    Objects(&'static [(&'static str, Kind)]),
    /// A type of another package, not looked into.
    Any,
}

use Kind::{Any, Bool, BoolMap, Duration, Float, Int, Ints, List, ListMap, Long, Object, Objects, QuantityMap, Text, TextMap, Texts};

const AUTHENTICATION: &[(&str, Kind)] = &[
    ("x509", Object(&[("clientCAFile", Text)])),
    ("webhook", Object(&[("enabled", Bool), ("cacheTTL", Duration)])),
    ("anonymous", Object(&[("enabled", Bool)])),
];
const AUTHORIZATION: &[(&str, Kind)] =
    &[("mode", Text), ("webhook", Object(&[("cacheAuthorizedTTL", Duration), ("cacheUnauthorizedTTL", Duration)]))];

/// component-base logs/api/v1 and tracing/api/v1: what changed its type over the versions is not looked into.
const LOGGING: &[(&str, Kind)] =
    &[("flushFrequency", Any), ("format", Text), ("options", Any), ("sanitization", Bool), ("verbosity", Long), ("vmodule", List)];
const TRACING: &[(&str, Kind)] = &[("endpoint", Text), ("samplingRatePerMillion", Int)];
const TAINT: &[(&str, Kind)] = &[("effect", Text), ("key", Text), ("timeAdded", Any), ("value", Text)];

#[rustfmt::skip]
const FIELDS: &[(&str, Kind)] = &[
    ("address", Text), ("allowedUnsafeSysctls", Texts), ("apiVersion", Text), ("authentication", Object(AUTHENTICATION)),
    ("authorization", Object(AUTHORIZATION)), ("cgroupDriver", Text), ("cgroupRoot", Text), ("cgroupsPerQOS", Bool), ("clusterDNS", Texts),
    ("clusterDomain", Text), ("configMapAndSecretChangeDetectionStrategy", Text), ("containerLogMaxFiles", Int), ("containerLogMaxSize", Text),
    ("containerLogMaxWorkers", Int), ("containerLogMonitorInterval", Duration), ("containerRuntimeEndpoint", Text), ("contentType", Text),
    ("cpuCFSQuota", Bool), ("cpuCFSQuotaPeriod", Duration), ("cpuManagerPolicy", Text), ("cpuManagerPolicyOptions", TextMap),
    ("cpuManagerReconcilePeriod", Duration), ("crashLoopBackOff", Object(&[("maxContainerRestartPeriod", Duration)])),
    ("draManagerReconcilePeriod", Duration), ("enableContentionProfiling", Bool), ("enableControllerAttachDetach", Bool),
    ("enableDebugFlagsHandler", Bool), ("enableDebuggingHandlers", Bool), ("enableProfilingHandler", Bool), ("enableServer", Bool),
    ("enableSystemLogHandler", Bool), ("enableSystemLogQuery", Bool), ("enforceNodeAllocatable", Texts), ("eventBurst", Int),
    ("eventRecordQPS", Int), ("evictionHard", TextMap), ("evictionMaxPodGracePeriod", Int), ("evictionMinimumReclaim", TextMap),
    ("evictionPressureTransitionPeriod", Duration), ("evictionSoft", TextMap), ("evictionSoftGracePeriod", TextMap), ("failCgroupV1", Bool),
    ("failSwapOn", Bool), ("featureGates", BoolMap), ("fileCheckFrequency", Duration), ("hairpinMode", Text), ("healthzBindAddress", Text),
    ("healthzPort", Int), ("httpCheckFrequency", Duration), ("imageGCHighThresholdPercent", Int), ("imageGCLowThresholdPercent", Int),
    ("imageMaximumGCAge", Duration), ("imageMinimumGCAge", Duration), ("imagePullCredentialsVerificationPolicy", Text),
    ("imageServiceEndpoint", Text), ("iptablesDropBit", Int), ("iptablesMasqueradeBit", Int), ("kernelMemcgNotification", Bool),
    ("kind", Text), ("kubeAPIBurst", Int), ("kubeAPIQPS", Int), ("kubeReserved", TextMap), ("kubeReservedCgroup", Text),
    ("kubeletCgroups", Text), ("localStorageCapacityIsolation", Bool), ("logging", Object(LOGGING)), ("makeIPTablesUtilChains", Bool), ("maxOpenFiles", Long),
    ("maxParallelImagePulls", Int), ("maxPods", Int), ("memoryManagerPolicy", Text), ("memoryReservationPolicy", Text),
    ("memorySwap", Object(&[("swapBehavior", Text)])), ("memoryThrottlingFactor", Float), ("mergeDefaultEvictionSettings", Bool),
    ("nodeLeaseDurationSeconds", Int), ("nodeStatusMaxImages", Int), ("nodeStatusReportFrequency", Duration),
    ("nodeStatusUpdateFrequency", Duration), ("oomScoreAdj", Int), ("podCIDR", Text), ("podLogsDir", Text), ("podPidsLimit", Long),
    ("podsPerCore", Int), ("port", Int), ("preloadedImagesVerificationAllowlist", Texts), ("protectKernelDefaults", Bool), ("providerID", Text),
    ("qosReserved", TextMap), ("readOnlyPort", Int), ("registerNode", Bool), ("registerWithTaints", Objects(TAINT)), ("registryBurst", Int),
    ("registryPullQPS", Int), ("reservedMemory", Objects(&[("limits", QuantityMap), ("numaNode", Int)])), ("reservedSystemCPUs", Text), ("resolvConf", Text), ("rotateCertificates", Bool),
    ("runOnce", Bool), ("runtimeRequestTimeout", Duration), ("seccompDefault", Bool), ("serializeImagePulls", Bool),
    ("serverTLSBootstrap", Bool), ("showHiddenMetricsForVersion", Text), ("shutdownGracePeriod", Duration),
    ("shutdownGracePeriodByPodPriority", List), ("shutdownGracePeriodCriticalPods", Duration), ("singleProcessOOMKill", Bool),
    ("staticPodPath", Text), ("staticPodURL", Text), ("staticPodURLHeader", ListMap), ("streamingConnectionIdleTimeout", Duration),
    ("syncFrequency", Duration), ("systemCgroups", Text), ("systemReserved", TextMap), ("systemReservedCgroup", Text),
    ("tlsCertFile", Text), ("tlsCipherSuites", Texts), ("tlsCurvePreferences", Ints), ("tlsMinVersion", Text), ("tlsPrivateKeyFile", Text),
    ("topologyManagerPolicy", Text), ("topologyManagerPolicyOptions", TextMap), ("topologyManagerScope", Text), ("tracing", Object(TRACING)),
    ("userNamespaces", Object(&[("idsPerPod", Long)])), ("volumePluginDir", Text), ("volumeStatsAggPeriod", Duration),
];

/// What is wrong with a decoded configuration.
#[derive(Debug, Default, PartialEq)]
pub struct Findings {
    /// The first field of a wrong type: its path and the complaint.
    pub error: Option<(Vec<String>, String)>,
    /// Fields that do not exist.
    pub unknown: Vec<Vec<String>>,
}

/// Compares a configuration with the fields that there are.
pub fn examine(value: &Value) -> Findings {
    let mut findings = Findings::default();
    object(value, FIELDS, &mut Vec::new(), &mut findings);
    findings
}

fn object(value: &Value, fields: &[(&str, Kind)], path: &mut Vec<String>, findings: &mut Findings) {
    let Value::Object(entries) = value else {
        wrong(value, "a mapping", path, findings);
        return;
    };
    for (name, value) in entries {
        path.push(name.clone());
        match fields.iter().find(|(field, _)| field == name) {
            Some((_, kind)) => field(value, *kind, path, findings),
            None => findings.unknown.push(path.clone()),
        }
        path.pop();
    }
}

fn field(value: &Value, kind: Kind, path: &mut Vec<String>, findings: &mut Findings) {
    if value.is_null() {
        return;
    }
    match kind {
        Any => {}
        Bool if is_bool(value) => {}
        Bool => wrong(value, "true or false", path, findings),
        Int if is_int(value) && is_within(value, 31) => {}
        Long if is_int(value) && is_within(value, 63) => {}
        Int | Long if is_int(value) => wrong(value, "a smaller number", path, findings),
        Int | Long => wrong(value, "a whole number", path, findings),
        Float if value.is_number() => {}
        Float => wrong(value, "a number", path, findings),
        Text if value.is_string() => {}
        Text => wrong(value, "a string (quote it)", path, findings),
        Duration if value.as_str().and_then(go_nanoseconds).is_some() => {}
        Duration => wrong(value, "a duration such as \"10s\" or \"1m30s\"", path, findings),
        List if value.is_array() => {}
        List => wrong(value, "a list", path, findings),
        Texts => each_item(value, Text, path, findings),
        Ints => each_item(value, Int, path, findings),
        TextMap => each_entry(value, Text, path, findings),
        BoolMap => each_entry(value, Bool, path, findings),
        ListMap => each_entry(value, Texts, path, findings),
        QuantityMap => each_entry(value, Any, path, findings),
        Objects(fields) => each_item(value, Object(fields), path, findings),
        Object(fields) => object(value, fields, path, findings),
    }
}

fn each_item(value: &Value, kind: Kind, path: &mut Vec<String>, findings: &mut Findings) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| field(item, kind, path, findings)),
        _ => wrong(value, "a list", path, findings),
    }
}

fn each_entry(value: &Value, kind: Kind, path: &mut Vec<String>, findings: &mut Findings) {
    let Value::Object(entries) = value else {
        wrong(value, "a mapping", path, findings);
        return;
    };
    for (name, value) in entries {
        path.push(name.clone());
        field(value, kind, path, findings);
        path.pop();
    }
}

fn wrong(value: &Value, wanted: &str, path: &[String], findings: &mut Findings) {
    let found = match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("the string {:?}", text.chars().take(60).collect::<String>()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    };
    findings.error.get_or_insert_with(|| (path.to_vec(), format!("has to be {wanted}, not {found}")));
}

/// YAML 1.1, which the kubelet's parser speaks, has more words for booleans than the parser used here.
pub fn as_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(word) => match word.as_str() {
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => Some(true),
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn is_bool(value: &Value) -> bool {
    as_bool(value).is_some()
}

fn is_int(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn is_within(value: &Value, bits: u32) -> bool {
    let limit = 2_f64.powi(i32::try_from(bits).unwrap_or(i32::MAX));
    value.as_f64().is_some_and(|number| number < limit && number >= -limit)
}

/// time.ParseDuration: an optional sign and numbers with units, or a bare 0; as nanoseconds.
pub fn go_nanoseconds(text: &str) -> Option<i128> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut sum = 0_i128;
    while !rest.is_empty() {
        let end = rest.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let (name, unit) = UNITS.iter().find(|(name, _)| after.starts_with(name))?;
        sum = sum.checked_add(parts(number, *unit)?)?;
        rest = &after[name.len()..];
    }
    // Beyond 292 years Go calls it invalid.
    (sum <= i128::from(i64::MAX)).then_some(if negative { -sum } else { sum })
}

/// Longer units first: `m` begins `ms` too.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
];

fn parts(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction = &fraction[..fraction.len().min(15)];
    let finer: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    whole.checked_mul(unit)?.checked_add(finer * unit / scale)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_sorted_and_named_once() {
        assert!(FIELDS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn a_kubeadm_configuration_is_flawless() {
        let config = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": false}, "webhook": {"cacheTTL": "0s", "enabled": true}, "x509": {"clientCAFile": "/ca.crt"}},
            "clusterDNS": ["10.96.0.10"], "failSwapOn": null, "evictionHard": {"memory.available": "100Mi"}, "featureGates": {"NodeSwap": true},
            "nodeStatusUpdateFrequency": "1m30s", "cpuManagerReconcilePeriod": "0", "maxPods": 110, "memoryThrottlingFactor": 0.9,
        });
        assert_eq!(examine(&config), Findings::default());
    }

    #[test]
    fn wrong_types_are_errors_with_the_path() {
        for (config, path, complaint) in [
            (json!({"port": "10250"}), "port", "has to be a whole number, not the string \"10250\""),
            (json!({"failSwapOn": "maybe"}), "failSwapOn", "has to be true or false, not the string \"maybe\""),
            (json!({"syncFrequency": 10}), "syncFrequency", "has to be a duration such as \"10s\" or \"1m30s\", not 10"),
            (json!({"syncFrequency": "10"}), "syncFrequency", "has to be a duration such as \"10s\" or \"1m30s\", not the string \"10\""),
            (json!({"evictionHard": {"memory.available": 100}}), "evictionHard/memory.available", "has to be a string (quote it), not 100"),
            (json!({"clusterDNS": "10.96.0.10"}), "clusterDNS", "has to be a list, not the string \"10.96.0.10\""),
            (json!({"authentication": {"webhook": {"enabled": 3}}}), "authentication/webhook/enabled", "has to be true or false, not 3"),
            (json!(["port"]), "", "has to be a mapping, not a list"),
        ] {
            let (at, words) = examine(&config).error.unwrap();
            assert_eq!((at.join("/").as_str(), words.as_str()), (path, complaint));
        }
    }

    #[test]
    fn durations_are_counted_as_go_counts_them() {
        for (text, nanoseconds) in
            [("0", 0), ("1m30s", 90_000_000_000), ("-1.5s", -1_500_000_000), (".5h", 1_800_000_000_000), ("10ms", 10_000_000)]
        {
            assert_eq!(go_nanoseconds(text), Some(nanoseconds), "{text}");
        }
        for text in ["", "1", "s", "1d", "1m30", "1..5s", "999999999h", "- 1s"] {
            assert_eq!(go_nanoseconds(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_that_do_not_fit_are_errors() {
        assert_eq!(examine(&json!({"maxPods": 2_147_483_648_i64})).error.unwrap().1, "has to be a smaller number, not 2147483648");
        assert_eq!(
            examine(&json!({"maxOpenFiles": 2_147_483_648_i64, "reservedMemory": [{"numaNode": 0, "limits": {"memory": "1Gi"}}]})).error,
            None
        );
    }

    #[test]
    fn unknown_fields_are_no_error() {
        let findings = examine(&json!({"failSwapon": false, "authentication": {"x510": {}}}));
        assert_eq!(findings.error, None);
        assert_eq!(findings.unknown, [vec!["authentication".to_owned(), "x510".to_owned()], vec!["failSwapon".to_owned()]]);
    }

    #[test]
    fn old_yaml_booleans_count() {
        assert_eq!(examine(&json!({"failSwapOn": "no"})).error, None);
        assert_eq!(as_bool(&json!("no")), Some(false));
    }
}
