//! Values in force: flag before file before default, each with where it was said.

use std::collections::BTreeMap;

use nodewhy_diagnosis::Missing;
use nodewhy_diagnosis::node::fields;
use serde_json::Value;

use super::config::Config;
use super::flags::Flags;
use super::layout::Defaults;

/// A value and where it was said.
pub(crate) type Said<T> = Result<(T, String), Missing>;

/// The three sources. Where the configuration could not be had, what no flag says is missing for that reason.
pub(crate) struct Effective<'a> {
    pub(crate) flags: &'a Flags,
    pub(crate) config: Result<&'a Config, Missing>,
    pub(crate) defaults: Defaults,
}

impl Effective<'_> {
    /// `read` turns a flag's text, `take` a file's value; what either cannot make sense of is passed over, as the kubelet refuses it loudly.
    fn say<T>(
        &self,
        flag: &str,
        field: &[&str],
        read: fn(&str) -> Option<T>,
        take: fn(&Value) -> Option<T>,
    ) -> Result<Option<(T, String)>, Missing> {
        if let Some(value) = self.flags.get(flag).and_then(|text| read(text)) {
            return Ok(Some((value, format!("flag --{flag}"))));
        }
        let config = self.config.as_ref().map_err(Clone::clone)?;
        Ok(config.get(field).and_then(|(value, place)| Some((take(value)?, place))))
    }

    fn or_default<T>(&self, said: Result<Option<(T, String)>, Missing>, default: T) -> Said<T> {
        said.map(|said| said.unwrap_or_else(|| (default, self.defaults.from.to_owned())))
    }

    pub(crate) fn fail_swap_on(&self) -> Said<bool> {
        self.or_default(self.say("fail-swap-on", &["failSwapOn"], go_bool, fields::as_bool), self.defaults.fail_swap_on)
    }

    pub(crate) fn rotate_certificates(&self) -> Said<bool> {
        self.or_default(
            self.say("rotate-certificates", &["rotateCertificates"], go_bool, fields::as_bool),
            self.defaults.rotate_certificates,
        )
    }

    /// `None`: the distribution decides at run time.
    pub(crate) fn cgroup_driver(&self) -> Result<Option<(String, String)>, Missing> {
        let said = self.say("cgroup-driver", &["cgroupDriver"], text, words)?;
        Ok(said.or_else(|| self.defaults.cgroup_driver.map(|driver| (driver.to_owned(), self.defaults.from.to_owned()))))
    }

    pub(crate) fn port(&self) -> Said<i64> {
        self.or_default(self.say("port", &["port"], number, whole), 10250)
    }

    pub(crate) fn healthz_port(&self) -> Said<i64> {
        self.or_default(self.say("healthz-port", &["healthzPort"], number, whole), 10248)
    }

    pub(crate) fn healthz_address(&self) -> Said<String> {
        let (address, from) =
            self.or_default(self.say("healthz-bind-address", &["healthzBindAddress"], text, words), "127.0.0.1".to_owned())?;
        let reachable = match address.as_str() {
            "0.0.0.0" => "127.0.0.1".to_owned(),
            "::" => "::1".to_owned(),
            _ => address,
        };
        Ok((reachable, from))
    }

    pub(crate) fn runtime_endpoint(&self) -> Said<String> {
        let said = self.say("container-runtime-endpoint", &["containerRuntimeEndpoint"], text, words);
        self.or_default(said, self.defaults.runtime_endpoint.to_owned())
    }

    pub(crate) fn static_pod_path(&self) -> Result<Option<(String, String)>, Missing> {
        self.say("pod-manifest-path", &["staticPodPath"], text, words)
    }

    pub(crate) fn protect_kernel_defaults(&self) -> Said<bool> {
        self.or_default(self.say("protect-kernel-defaults", &["protectKernelDefaults"], go_bool, fields::as_bool), false)
    }

    pub(crate) fn cpu_manager_policy(&self) -> Said<String> {
        self.or_default(self.say("cpu-manager-policy", &["cpuManagerPolicy"], text, words), "none".to_owned())
    }

    pub(crate) fn memory_manager_policy(&self) -> Said<String> {
        self.or_default(self.say("memory-manager-policy", &["memoryManagerPolicy"], text, words), "None".to_owned())
    }

    /// `None`: the distribution chooses one when it starts. An empty text is a choice too: pods get nothing of the host's.
    pub(crate) fn resolv_conf(&self) -> Result<Option<String>, Missing> {
        let whole = |text: &str| Some(text.to_owned());
        let said = self.say("resolv-conf", &["resolvConf"], whole, |value| value.as_str().map(str::to_owned))?;
        let default = (self.defaults.from == "default").then(|| "/etc/resolv.conf".to_owned());
        Ok(said.map(|(path, _)| path).or(default))
    }

    pub(crate) fn serving_cert(&self) -> Result<Option<(String, String)>, Missing> {
        self.say("tls-cert-file", &["tlsCertFile"], text, words)
    }

    pub(crate) fn client_ca(&self) -> Result<Option<(String, String)>, Missing> {
        self.say("client-ca-file", &["authentication", "x509", "clientCAFile"], text, words)
    }

    /// A map given in full replaces the default one: signals it does not name have no threshold (unless mergeDefaultEvictionSettings, 1.33).
    pub(crate) fn eviction_hard(&self) -> Result<BTreeMap<String, String>, Missing> {
        let defaults = || self.defaults.eviction_hard.iter().map(|(signal, value)| ((*signal).to_owned(), (*value).to_owned())).collect();
        let Some((mut thresholds, _)) = self.say("eviction-hard", &["evictionHard"], thresholds_of_flag, thresholds_of_map)? else {
            return Ok(defaults());
        };
        let config = self.config.as_ref().map_err(Clone::clone)?;
        if config.get(&["mergeDefaultEvictionSettings"]).is_some_and(|(value, _)| fields::as_bool(value) == Some(true)) {
            let unsaid: BTreeMap<String, String> = defaults();
            for (signal, value) in unsaid {
                thresholds.entry(signal).or_insert(value);
            }
        }
        Ok(thresholds)
    }
}

/// strconv.ParseBool.
fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn number(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

/// An empty flag or field is as good as none.
fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn words(value: &Value) -> Option<String> {
    value.as_str().and_then(text)
}

fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64))
}

/// `memory.available<100Mi,nodefs.available<10%`
fn thresholds_of_flag(text: &str) -> Option<BTreeMap<String, String>> {
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    pairs.map(|pair| pair.split_once('<').map(|(signal, value)| (signal.trim().to_owned(), value.trim().to_owned()))).collect()
}

fn thresholds_of_map(value: &Value) -> Option<BTreeMap<String, String>> {
    value.as_object()?.iter().map(|(signal, value)| Some((signal.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::config;
    use super::super::layout::Layout;
    use super::*;
    use crate::checks::testing::Node;

    const HEAD: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";

    fn with<R>(flags: &[(&str, &str)], yaml: &str, layout: Layout, see: impl FnOnce(&Effective<'_>) -> R) -> R {
        let node = Node::new().file("/c.yaml", format!("{HEAD}{yaml}"));
        let config = config::load(&node.host(), Some("/c.yaml"), None).unwrap();
        let flags: Flags = flags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        see(&Effective { flags: &flags, config: Ok(&config), defaults: layout.defaults() })
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let swap = |flags: &[(&str, &str)], yaml: &str, layout| with(flags, yaml, layout, |effective| effective.fail_swap_on().unwrap());
        assert_eq!(swap(&[], "", Layout::Plain), (true, "default".into()));
        assert_eq!(swap(&[], "failSwapOn: false\n", Layout::Plain), (false, "/c.yaml:3".into()));
        assert_eq!(swap(&[("fail-swap-on", "true")], "failSwapOn: false\n", Layout::Plain), (true, "flag --fail-swap-on".into()));
        assert_eq!(swap(&[], "", Layout::K3s), (false, "k3s".into()));
    }

    #[test]
    fn eviction_thresholds_replace_the_defaults_as_a_whole() {
        let hard = |flags: &[(&str, &str)], yaml: &str| with(flags, yaml, Layout::Plain, |effective| effective.eviction_hard().unwrap());
        assert_eq!(hard(&[], "")["nodefs.available"], "10%");
        assert_eq!(hard(&[], "evictionHard: {memory.available: 200Mi}\n").len(), 1);
        let merged = hard(&[], "evictionHard: {memory.available: 200Mi}\nmergeDefaultEvictionSettings: true\n");
        assert_eq!((merged["memory.available"].as_str(), merged["nodefs.available"].as_str()), ("200Mi", "10%"));
        assert_eq!(hard(&[("eviction-hard", "nodefs.available<3%")], "")["nodefs.available"], "3%");
    }

    #[test]
    fn healthz_is_asked_where_it_listens() {
        let address = |yaml: &str| with(&[], yaml, Layout::Plain, |effective| effective.healthz_address().unwrap().0);
        assert_eq!(address(""), "127.0.0.1");
        assert_eq!(address("healthzBindAddress: 0.0.0.0\n"), "127.0.0.1");
        assert_eq!(address("healthzBindAddress: 192.0.2.7\n"), "192.0.2.7");
    }

    #[test]
    fn without_a_readable_file_only_flags_are_known() {
        let flags = Flags::from([("port".to_owned(), "10251".to_owned())]);
        let why = Missing::new(nodewhy_diagnosis::MissingKind::Failed, "gone");
        let effective = Effective { flags: &flags, config: Err(why.clone()), defaults: Layout::Plain.defaults() };
        assert_eq!(effective.port().unwrap().0, 10251);
        assert_eq!(effective.fail_swap_on(), Err(why));
    }
}
