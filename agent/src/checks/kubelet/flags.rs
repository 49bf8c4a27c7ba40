//! The kubelet's command line: found in an argv, read as pflag reads it.

use std::collections::BTreeMap;

use super::environment::split_words;

/// Flags by name, without dashes, `_` as `-`.
pub(crate) type Flags = BTreeMap<String, String>;

/// Flags that take no value of their own: `--fail-swap-on false` sets it to true and leaves a stray `false` (pflag's NoOptDefVal).
const BOOLEANS: &[&str] = &[
    "allow-privileged",
    "alsologtostderr",
    "anonymous-auth",
    "authentication-token-webhook",
    "cgroups-per-qos",
    "contention-profiling",
    "cpu-cfs-quota",
    "enable-cadvisor-json-endpoints",
    "enable-controller-attach-detach",
    "enable-debugging-handlers",
    "enable-server",
    "exit-on-lock-contention",
    "fail-cgroupv1",
    "fail-swap-on",
    "help",
    "kernel-memcg-notification",
    "keep-terminated-pod-volumes",
    "local-storage-capacity-isolation",
    "log-json-split-stream",
    "log-text-split-stream",
    "logtostderr",
    "make-iptables-util-chains",
    "one-output",
    "protect-kernel-defaults",
    "register-node",
    "register-schedulable",
    "rotate-certificates",
    "rotate-server-certificates",
    "runonce",
    "seccomp-default",
    "serialize-image-pulls",
    "skip-headers",
    "skip-log-headers",
    "version",
];

/// The arguments after the kubelet's own name, wherever in the argv that stands (`hyperkube kubelet`, a wrapper, an interpreter, `sh -c`).
pub(crate) fn kubelet_arguments(argv: &[String]) -> Option<Vec<String>> {
    if let Some(at) = argv.iter().position(|word| is_kubelet(word)) {
        return Some(argv[at + 1..].to_vec());
    }
    let script = shell_script(argv)?;
    let words = split_words(script);
    let at = words.iter().position(|word| is_kubelet(word))?;
    let ends = |word: &&String| !matches!(word.as_str(), ";" | "&" | "&&" | "|" | "||" | ">" | ">>" | "2>&1" | "<");
    Some(words[at + 1..].iter().take_while(ends).cloned().collect())
}

fn is_kubelet(word: &str) -> bool {
    !word.starts_with('-') && word.rsplit('/').next() == Some("kubelet")
}

fn shell_script(argv: &[String]) -> Option<&str> {
    let shell = argv.first()?.rsplit('/').next()?;
    let takes_script = |word: &String| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c');
    let at = argv.iter().position(takes_script)?;
    matches!(shell, "sh" | "bash" | "dash" | "ash").then(|| argv.get(at + 1).map(String::as_str)).flatten()
}

/// Reads arguments; what is no flag is passed over, as the kubelet's own error about it is in its log.
pub(crate) fn parse(arguments: &[String]) -> Flags {
    let mut flags = Flags::new();
    let mut words = arguments.iter().peekable();
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        }
        let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')).filter(|flag| !flag.is_empty()) else { continue };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None if BOOLEANS.contains(&normal(flag).as_str()) => (flag, "true".to_owned()),
            None => {
                let value = words.next_if(|next| !next.starts_with('-')).cloned();
                (flag, value.unwrap_or_else(|| "true".to_owned()))
            }
        };
        flags.insert(normal(name), value);
    }
    flags
}

/// The kubelet takes `_` for `-` in flag names (WordSepNormalizeFunc).
fn normal(name: &str) -> String {
    name.replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        split_words(line)
    }

    #[test]
    fn flags_come_with_equals_sign_or_blank_or_alone() {
        let flags = parse(&words(
            "--config=/var/lib/kubelet/config.yaml --v 2 --fail-swap-on false --fail_swap_on=false --cgroup-driver --port 1 -- --x=1",
        ));
        assert_eq!(flags["config"], "/var/lib/kubelet/config.yaml");
        assert_eq!(flags["v"], "2");
        assert_eq!(flags["fail-swap-on"], "false");
        assert_eq!(flags["cgroup-driver"], "true", "a flag that lacks its value swallows no other flag");
        assert_eq!(flags.get("x"), None);
    }

    #[test]
    fn a_boolean_takes_no_word_of_its_own() {
        assert_eq!(parse(&words("--fail-swap-on false"))["fail-swap-on"], "true");
    }

    #[test]
    fn the_kubelet_is_found_behind_wrappers() {
        let found = |argv: &[&str]| kubelet_arguments(&argv.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(found(&["/usr/bin/kubelet", "--v=2"]).unwrap(), ["--v=2"]);
        assert_eq!(found(&["/hyperkube", "kubelet", "--v=2"]).unwrap(), ["--v=2"]);
        assert_eq!(found(&["/usr/bin/python3", "/usr/bin/kubelet", "--v=2"]).unwrap(), ["--v=2"]);
        assert_eq!(found(&["/bin/sh", "-ec", "exec /usr/bin/kubelet --v=2 '--x=a b' && true"]).unwrap(), ["--v=2", "--x=a b"]);
        assert_eq!(found(&["/usr/local/bin/k3s", "server"]), None);
        assert_eq!(found(&["/usr/local/bin/start.sh", "--root-dir=/var/lib/kubelet"]), None);
        assert_eq!(found(&[]), None);
    }
}
