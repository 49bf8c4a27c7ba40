//! How the kubelet of this node is started and configured: found, not assumed.

mod command;
pub(crate) mod config;
mod effective;
pub(super) mod environment;
pub(super) mod flags;
mod k0s;
pub(crate) mod layout;
mod name;
mod next_start;
mod presence;
mod rancher;
mod rules;

use std::time::Duration;

pub(super) use presence::DISCOVER;

use nodewhy_diagnosis::facts::{FactValue, Key, schema as fact};
use nodewhy_diagnosis::{Facts, Missing};

use self::command::Command;
use self::config::ConfigError;
use self::effective::{Effective, Said};
use self::flags::Flags;
use self::layout::Layout;
use super::apiserver::proxy::without_user;
use super::support::{all_missing, failed, miss_all, not_applicable};
use super::{Check, Look, Looking, Stage};
use crate::host::bus::{FoundUnits, UnitDefinition};

const REPORTS: &[&str] = &[
    "node.name",
    "node.name_from",
    "node.renamed",
    "kubelet.flags",
    "kubelet.flags_from",
    "kubelet.environment",
    "kubelet.config",
    "kubelet.resolv_conf",
    "kubelet.kubeconfig.path",
    "kubelet.bootstrap",
];

/// What is missing where there is no kubelet.
const OF_KUBELET: &[&str] = &[
    "kubelet.flags",
    "kubelet.flags_from",
    "kubelet.environment",
    "kubelet.config",
    "kubelet.resolv_conf",
    "kubelet.kubeconfig.path",
    "kubelet.bootstrap",
];

/// The check.
pub(super) const CHECK: Check = Check {
    name: "kubelet-config",
    about: "the kubelet's command line, configuration files and where its kubeconfig is",
    stage: Stage::Configuration,
    period: Duration::from_secs(15),
    deadline: Duration::from_secs(5),
    reports: REPORTS,
    look,
};

/// What was found before any file is read.
struct Found {
    units: Result<FoundUnits, Missing>,
    definition: Option<Result<UnitDefinition, Missing>>,
}

fn look(look: Look) -> Looking {
    Box::pin(async move {
        let units = look.host.find_units().await;
        let definition = match units.as_ref().ok().and_then(|units| units.kubelet.as_deref()) {
            Some(unit) => Some(look.host.unit_definition(unit).await),
            None => None,
        };
        let began_at = look.began_at;
        let found = Found { units, definition };
        match tokio::task::spawn_blocking(move || report(&look, found)).await {
            Ok(facts) => facts,
            Err(panic) => all_missing(REPORTS, began_at, &failed(format!("the look itself broke: {panic}"))),
        }
    })
}

fn report(look: &Look, found: Found) -> Facts {
    let mut facts = Facts::new();
    let at = look.began_at;
    match presence::find(&look.host, &found.units) {
        Ok(Some(layout)) => report_kubelet(look, &found, layout, &mut facts),
        Ok(None) => {
            name::report(look, None, false, &mut facts);
            miss_all(&mut facts, OF_KUBELET, at, &not_applicable("no kubelet was found on this host"));
        }
        Err(why) => {
            name::report(look, None, true, &mut facts);
            miss_all(&mut facts, OF_KUBELET, at, &why);
        }
    }
    facts
}

fn report_kubelet(look: &Look, found: &Found, layout: Layout, facts: &mut Facts) {
    let at = look.began_at;
    let definition = found.definition.as_ref().and_then(|definition| definition.as_ref().ok());
    let layout = definition.map_or(layout, |unit| layout.or_of_program(&unit.exec_start));
    let main_pid = look.known.known(fact::KUBELET_UNIT_MAIN_PID);
    let command = command::find(&look.host, layout, definition, main_pid);
    let known = match &command.flags {
        Some(flags) => {
            facts.set(fact::KUBELET_FLAGS, at, flags.clone());
            facts.set(fact::KUBELET_FLAGS_FROM, at, command.from.join(", "));
            Ok(flags.clone())
        }
        None => {
            let why = why_no_flags(found, &command);
            facts.miss(fact::KUBELET_FLAGS, at, why.clone());
            facts.miss(fact::KUBELET_FLAGS_FROM, at, why.clone());
            layout::conventional_flags(&look.host).ok_or(why)
        }
    };
    report_environment(look, &command, facts);
    // Files that are there by convention say nothing about the name.
    name::report(look, command.flags.as_ref().or(known.as_ref().ok()), true, facts);
    if command.flags.is_none() {
        facts.miss(fact::NODE_RENAMED, at, failed("nothing says under which name the kubelet registers"));
    }
    match known {
        Ok(flags) => {
            report_config(look, &flags, layout, &command, facts);
            report_kubeconfig(look, &flags, facts);
        }
        Err(why) => miss_all(facts, &["kubelet.config", "kubelet.resolv_conf", "kubelet.kubeconfig.path", "kubelet.bootstrap"], at, &why),
    }
}

/// The proxy that the kubelet is told of. Its password is nobody's business but the kubelet's.
fn report_environment(look: &Look, command: &Command, facts: &mut Facts) {
    let at = look.began_at;
    let Some(environment) = &command.environment else {
        let why =
            command.failed.first().cloned().unwrap_or_else(|| "no unit and no running process shows the kubelet's environment".to_owned());
        return facts.miss_under("kubelet.environment", at, &failed(why));
    };
    // getEnvAny of golang.org/x/net/http/httpproxy: an empty one counts as none.
    let any = |names: [&str; 2]| names.into_iter().find_map(|name| environment.get(name).filter(|value| !value.is_empty()));
    let https = any(["HTTPS_PROXY", "https_proxy"]).map(|url| without_user(url)).ok_or_else(|| not_applicable("no proxy is set"));
    let except = any(["NO_PROXY", "no_proxy"]).cloned().ok_or_else(|| not_applicable("no exceptions are set"));
    facts.put(fact::KUBELET_ENVIRONMENT_HTTPS_PROXY, at, https);
    facts.put(fact::KUBELET_ENVIRONMENT_NO_PROXY, at, except);
}

fn why_no_flags(found: &Found, command: &Command) -> Missing {
    let mut reasons = command.failed.clone();
    reasons.extend(found.units.as_ref().err().map(|why| why.why.clone()));
    if let Some(Err(why)) = &found.definition {
        reasons.push(why.why.clone());
    }
    if reasons.is_empty() {
        reasons.push("no unit and no running process shows how the kubelet is started".to_owned());
    }
    failed(reasons.join("; "))
}

fn report_config(look: &Look, flags: &Flags, layout: Layout, command: &Command, facts: &mut Facts) {
    let at = look.began_at;
    let told = |name: &str| flags.get(name).map(String::as_str).filter(|path| !path.is_empty());
    let (main, drop_ins) = (told("config"), told("config-dir"));
    let loaded = config::load(&look.host, main, drop_ins);
    let none = || not_applicable("the kubelet is not told to read a configuration file");
    facts.put(fact::KUBELET_CONFIG_PATH, at, main.map(str::to_owned).ok_or_else(none));
    next_start::report(look, flags, command, &loaded, facts);
    facts.put(fact::KUBELET_CONFIG_MODIFIED_AT, at, config::modified_at(&look.host, main, drop_ins).ok_or_else(none));
    let digest =
        if main.or(drop_ins).is_some() { config::digest(&look.host, main, drop_ins).map_err(|error| error.missing()) } else { Err(none()) };
    facts.put(fact::KUBELET_CONFIG_DIGEST, at, digest);
    let config = loaded.map_err(|error| error.missing());
    let unknown = config.as_ref().map(|config| config.unknown_fields.clone()).map_err(Clone::clone);
    facts.put(fact::KUBELET_CONFIG_UNKNOWN_FIELDS, at, unknown);
    let effective = Effective { flags, config: config.as_ref().map_err(Clone::clone), defaults: layout.defaults() };
    report_effective(look, &effective, facts);
}

fn report_effective(look: &Look, effective: &Effective<'_>, facts: &mut Facts) {
    let at = look.began_at;
    let from = |said: Said<bool>| said.map(|(_, from)| from);
    facts.put(fact::KUBELET_CONFIG_FAIL_SWAP_ON, at, value(effective.fail_swap_on()));
    facts.put(fact::KUBELET_CONFIG_FAIL_SWAP_ON_FROM, at, from(effective.fail_swap_on()));
    facts.put(fact::KUBELET_CONFIG_ROTATE_CERTIFICATES, at, value(effective.rotate_certificates()));
    facts.put(fact::KUBELET_CONFIG_PROTECT_KERNEL_DEFAULTS, at, value(effective.protect_kernel_defaults()));
    facts.put(fact::KUBELET_CONFIG_CPU_MANAGER_POLICY, at, value(effective.cpu_manager_policy()));
    facts.put(fact::KUBELET_CONFIG_MEMORY_MANAGER_POLICY, at, value(effective.memory_manager_policy()));
    report_resolv_conf(look, effective, facts);
    facts.put(fact::KUBELET_CONFIG_PORT, at, value(effective.port()));
    facts.put(fact::KUBELET_CONFIG_HEALTHZ_PORT, at, value(effective.healthz_port()));
    facts.put(fact::KUBELET_CONFIG_HEALTHZ_ADDRESS, at, value(effective.healthz_address()));
    facts.put(fact::KUBELET_CONFIG_RUNTIME_ENDPOINT, at, value(effective.runtime_endpoint()));
    facts.put(fact::KUBELET_CONFIG_EVICTION_HARD, at, effective.eviction_hard());
    optional(facts, look, fact::KUBELET_CONFIG_STATIC_POD_PATH, effective.static_pod_path(), "no static pod path is set");
    optional(
        facts,
        look,
        fact::KUBELET_CONFIG_SERVING_CERT,
        effective.serving_cert(),
        "the kubelet makes or requests its own serving certificate",
    );
    optional(facts, look, fact::KUBELET_CONFIG_CLIENT_CA, effective.client_ca(), "no client CA is set");
    let run_time = "the distribution sets the cgroup driver itself when it starts";
    let driver = effective.cgroup_driver();
    let driver_from = driver.clone().map(|said| said.map(|(_, from)| (from, String::new())));
    optional(facts, look, fact::KUBELET_CONFIG_CGROUP_DRIVER, driver, run_time);
    optional(facts, look, fact::KUBELET_CONFIG_CGROUP_DRIVER_FROM, driver_from, run_time);
    let root_dir = effective.flags.get("root-dir").cloned().unwrap_or_else(|| "/var/lib/kubelet".to_owned());
    let cert_dir = effective.flags.get("cert-dir").cloned().unwrap_or_else(|| format!("{root_dir}/pki"));
    facts.set(fact::KUBELET_CONFIG_ROOT_DIR, at, root_dir);
    facts.set(fact::KUBELET_CONFIG_CERT_DIR, at, cert_dir);
}

fn report_resolv_conf(look: &Look, effective: &Effective<'_>, facts: &mut Facts) {
    let at = look.began_at;
    let run_time = || not_applicable("the distribution chooses a resolver configuration itself when it starts");
    let path = effective.resolv_conf().and_then(|path| path.ok_or_else(run_time));
    let exists = match &path {
        Ok(path) if path.is_empty() => Err(not_applicable("the kubelet is told to give pods none")),
        Ok(path) => look.host.exists(path).map_err(Missing::from),
        Err(why) => Err(why.clone()),
    };
    facts.put(fact::KUBELET_RESOLV_CONF_EXISTS, at, exists);
    facts.put(fact::KUBELET_RESOLV_CONF_PATH, at, path);
}

fn value<T>(said: Said<T>) -> Result<T, Missing> {
    said.map(|(value, _)| value)
}

fn optional<T: FactValue>(facts: &mut Facts, look: &Look, key: Key<T>, said: Result<Option<(T, String)>, Missing>, unset: &str) {
    let value = said.and_then(|said| said.map(|(value, _)| value).ok_or_else(|| not_applicable(unset)));
    facts.put(key, look.began_at, value);
}

fn report_kubeconfig(look: &Look, flags: &Flags, facts: &mut Facts) {
    let at = look.began_at;
    let told = |name: &str| flags.get(name).cloned().filter(|path| !path.is_empty());
    let standalone = || not_applicable("the kubelet runs standalone: it is given no kubeconfig");
    facts.put(fact::KUBELET_KUBECONFIG_PATH, at, told("kubeconfig").ok_or_else(standalone));
    match told("bootstrap-kubeconfig") {
        Some(path) => {
            facts.put(fact::KUBELET_BOOTSTRAP_EXISTS, at, look.host.exists(&path).map_err(Missing::from));
            facts.set(fact::KUBELET_BOOTSTRAP_PATH, at, path);
        }
        None => miss_all(facts, &["kubelet.bootstrap"], at, &not_applicable("the kubelet is given no bootstrap kubeconfig")),
    }
}

impl ConfigError {
    fn missing(&self) -> Missing {
        match self {
            Self::Absent(error) => failed(error.sentence()),
            Self::Unreadable(error) => error.into(),
            Self::Invalid(words) => failed(format!("the configuration is not valid: {words}")),
        }
    }
}

#[cfg(test)]
mod tests;
