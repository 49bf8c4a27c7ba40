//! For the fuzzer: what kubelets are started with, what is between them and their API server, what they are to run, and what runs.

use std::net::IpAddr;

use prost::Message as _;

use super::apiserver::proxy::{is_excepted, parse as proxy, without_user};
use super::kubelet::config::parse_yaml;
use super::kubelet::{environment, flags};
use super::runtime::driver;
use super::{cni, kubeconfig, sandboxes, static_pods};
use crate::host::cri::{ContainerList, SandboxList};

/// A kubelet's command line, from an environment file's first part and a unit's line after it.
pub fn command(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (file, line) = text.split_once('\0').unwrap_or(("", &text));
    let mut variables = environment::Environment::new();
    environment::read_file(file, &mut variables);
    let words = environment::split_words(line);
    environment::read_assignments(&words, &mut variables);
    let argv = environment::expand(&words, &variables);
    if let Some(arguments) = flags::kubelet_arguments(&argv) {
        let parsed = flags::parse(&arguments);
        assert!(parsed.len() <= arguments.len());
    }
}

/// A kubeconfig.
pub fn kubeconfig(bytes: &[u8]) {
    if let Err(complaint) = kubeconfig::parse("/k.conf", &String::from_utf8_lossy(bytes)) {
        assert!(!complaint.is_empty());
    }
}

/// A host, NO_PROXY, and more of it, a line each; and all of it as a proxy's address.
pub fn no_proxy(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (host, except, more) = (line(), line(), line());
    let excepted = |except: &str| is_excepted(except, host, 6443);
    assert_eq!(excepted(&format!("{except},{more}")), excepted(except) || excepted(more), "one entry has no say in another");
    assert_eq!(excepted(&except.to_ascii_uppercase()), excepted(except), "letters are the same in any case");
    assert!(excepted("*") && excepted(&format!("{except} , *")));
    if !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) {
        assert!(excepted(host) && excepted(&format!("{host}:6443")), "a name is itself");
        assert!(excepted("") || !excepted(&format!("{host}:443")), "another port is not this one");
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        networks(address, excepted);
    }
    proxy_address(&text);
}

/// Go takes an address for in all networks that it begins, and in none that begin otherwise.
fn networks(address: IpAddr, excepted: impl Fn(&str) -> bool) {
    // An IPv4 address in IPv6's clothes is IPv4: in no network that is wider than all of them.
    let (most, least) = match address {
        IpAddr::V4(_) => (32, 0),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => (128, 96),
        IpAddr::V6(_) => (128, 0),
    };
    for bits in least..=most {
        assert!(excepted(&format!("{address}/{bits}")), "{address}/{bits}");
    }
    let other = match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::from((v4.to_bits() ^ 1 << 31).to_be_bytes()),
        IpAddr::V6(v6) => IpAddr::from((v6.to_bits() ^ 1 << 127).to_be_bytes()),
    };
    assert!(excepted("") || !excepted(&format!("{other}/1")), "{other}/1");
}

fn proxy_address(text: &str) {
    match proxy(text) {
        Ok(found) => assert_eq!(proxy(&found.to_string()), Ok(found)),
        Err(why) => assert!(!why.is_empty()),
    }
    const SECRET: &str = "hunter2-5a";
    if !text.contains(SECRET) {
        for url in [format!("http://{text}:{SECRET}@proxy:3128"), format!("u:{SECRET}@{text}"), format!("{text}@{SECRET}@proxy")] {
            assert!(!without_user(&url).contains(SECRET), "{url:?}");
        }
    }
}

/// A manifest of a static pod: the name is one that a pod can have, or the words say where and what; the same as JSON, which the kubelet takes too.
pub fn static_pod(bytes: &[u8]) {
    const PATH: &str = "/etc/kubernetes/manifests/fuzz.yaml";
    let text = String::from_utf8_lossy(bytes);
    let told = static_pods::name_of(PATH, &text);
    match &told {
        Ok(name) => assert!((1..=253).contains(&name.len()) && name.is_ascii(), "{name:?}"),
        Err(words) => {
            let rest = words.strip_prefix(PATH).unwrap_or_default();
            assert!(rest.starts_with(':') && rest.len() <= 1000 && !rest.contains(char::is_control), "{words:?}");
        }
    }
    if let Ok(value) = parse_yaml(&text) {
        let json = crate::yaml::of_json(&value);
        // YAML has no longer keys.
        if json.len() <= 1024 {
            assert_eq!(static_pods::name_of(PATH, &json), told, "as JSON: {json}");
        }
    }
}

/// The runtime's lists: that of sandboxes so long as the first two bytes say, and that of containers.
pub fn cri_lists(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return };
    let (sandboxes, containers) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
    let (Ok(sandboxes), Ok(containers)) = (SandboxList::decode(sandboxes), ContainerList::decode(containers)) else { return };
    assert_eq!(SandboxList::decode(sandboxes.encode_to_vec().as_slice()), Ok(sandboxes.clone()));
    let named = |id: &str| containers.containers.iter().any(|container| container.sandbox == id);
    let pod = |of: &crate::host::cri::SandboxMetadata| format!("{}/{}", of.namespace, of.name);
    match sandboxes::told(sandboxes.clone(), &containers) {
        Err(why) => assert!(sandboxes.items.len() > 1000 && !why.why.is_empty()),
        Ok(pods) => {
            let pairs = || sandboxes.items.iter().filter_map(|sandbox| Some((sandbox, pod(sandbox.metadata.as_ref()?))));
            assert!(pairs().all(|(sandbox, pod)| pods.get(&pod).is_some_and(|has| *has || !named(&sandbox.id))));
            for (pod, has) in &pods {
                assert_eq!(*has, pairs().any(|(sandbox, of)| of == *pod && named(&sandbox.id)), "{pod}");
            }
        }
    }
}

/// Configurations of runtimes and of the network: what cannot be read is refused with its place.
pub fn runtime_files(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines = 1 + text.matches('\n').count();
    match driver::toml("/c.toml", &text) {
        Err(why) => {
            let place = why.why.strip_prefix("/c.toml:").and_then(|rest| rest.split_once(": "));
            let line = place.map(|(line, _)| line.parse().unwrap_or(1));
            assert!(line.is_some_and(|line: usize| (1..=lines).contains(&line)), "{}", why.why);
        }
        Ok(table) => {
            let _ = driver::systemd_cgroup(&table);
            // A byte order mark is one at the begin alone.
            if !text.starts_with('\u{feff}') {
                assert_eq!(driver::toml("/c.toml", &format!("# more\n{text}")), Ok(table), "a comment says nothing");
            }
        }
    }
    for path in ["/etc/cni/net.d/a.conflist", "/etc/cni/net.d/a.conf"] {
        match cni::name_of(path, &text) {
            Ok(name) => assert!(name.len() <= text.len()),
            Err(words) => assert!(words.starts_with(&format!("{path}:")) && words.len() <= 1000, "{words}"),
        }
    }
}
