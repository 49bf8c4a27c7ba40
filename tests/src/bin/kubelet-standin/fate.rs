//! What becomes of this kubelet: looked at in the order in which the real one stumbles (cmd/kubelet/app/server.go, pkg/kubelet/kubelet.go).

use std::net::TcpListener;
use std::path::Path;

use jiff::Timestamp;
use x509_parser::pem::Pem;

use crate::cri;
use crate::flags::Flags;
use crate::script::{self, Script};
use crate::settings::{self, Config, ConfigError, Kubeconfig, Settings};
use crate::voice::Voice;

/// The node of the recorded kubelets.
const RECORDED_NODE: &str = "bench-node";

/// What becomes of it.
pub(crate) enum Fate {
    /// Says this and ends with status 1.
    Dies { script: Script, voice: Voice },
    /// Runs on, with its port taken.
    Lives { settings: Box<Settings>, voice: Voice, port: TcpListener },
}

/// Looks at everything that a kubelet may die of when it starts.
pub(crate) async fn decide(arguments: &[String]) -> Fate {
    let flags = match Flags::parse(arguments) {
        Ok(flags) => flags,
        Err(unknown) => return dies(script::UNKNOWN_FLAG, Voice::default().with("unknown flag: --network-plugin", unknown.0)),
    };
    let path = flags.get("config").unwrap_or_default().to_owned();
    let config = match settings::read_config(&flags) {
        Ok(config) => config,
        Err(ConfigError::Missing) => return dies(script::CONFIG_MISSING, Voice::default().with("/var/lib/kubelet/config.yaml", path)),
        Err(ConfigError::Invalid(line)) => {
            let voice =
                Voice::default().with("/etc/kubernetes/cfg/badyaml.yaml", path).with("yaml: line 4:", format!("yaml: line {line}:"));
            return dies(script::CONFIG_BAD_YAML, voice);
        }
    };
    let node = flags.get("hostname-override").filter(|name| !name.is_empty()).map_or_else(host_name, str::to_owned);
    let voice = Voice::default().with_flags(flags.0.clone()).with(RECORDED_NODE, node.clone());
    let api = match settings::read_kubeconfig(&flags) {
        Ok(api) => api,
        Err(line) => {
            let path = flags.get("kubeconfig").unwrap_or_default();
            let voice = voice.with("/etc/kubernetes/kubelet-malformed.conf", path).with("yaml: line 6:", format!("yaml: line {line}:"));
            return dies(script::KUBECONFIG_MALFORMED, voice);
        }
    };
    let bootstrap = flags.get("bootstrap-kubeconfig").filter(|path| !path.is_empty()).map(str::to_owned);
    let root_dir = flags.get("root-dir").unwrap_or("/var/lib/kubelet").to_owned();
    settle(Settings { node, config, root_dir, api, bootstrap }, voice).await
}

async fn settle(settings: Settings, voice: Voice) -> Fate {
    let Settings { config, .. } = &settings;
    if let Some((kubeconfig, bootstrap, ended)) = ended_for_good(&settings) {
        let voice = voice
            .with("/etc/kubernetes/kubelet-expired.conf", &kubeconfig.path)
            .with("/etc/kubernetes/bootstrap-kubelet.conf", bootstrap)
            .with("2026-11-21 00:48:19 +0000 UTC", format!("{} +0000 UTC", ended.strftime("%Y-%m-%d %H:%M:%S")));
        return dies(script::CLIENT_CERTIFICATE_EXPIRED, voice);
    }
    // One that hangs keeps a kubelet waiting for minutes before it ends.
    if let Err(cri::NoRuntime::Unreachable(words)) = cri::version(config.socket()).await {
        let voice =
            voice.with("/run/crio/crio.sock", config.socket()).with("connect: no such file or directory", format!("connect: {words}"));
        return dies(script::CRI_SOCKET_MISSING, voice);
    }
    if let Some(table) = swap_on(config) {
        let voice = voice
            .with("\tFilename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority", format!("\t{}", table.0))
            .with("\t/opt/node/swapfile                    file\t\t65532\t\t0\t\t-2", format!("\t{}", table.1));
        return dies(script::SWAP_ON, voice);
    }
    let address = format!("{}:{}", config.address, config.port);
    match TcpListener::bind(&address) {
        Ok(port) => Fate::Lives { settings: Box::new(settings), voice, port },
        Err(_) => {
            // Go words the wildcard address as nothing.
            let told = address.strip_prefix("0.0.0.0").unwrap_or(&address).to_owned();
            dies(
                script::PORT_IN_USE,
                voice.with("listen tcp 127.0.0.1:10250", format!("listen tcp {told}")).with("127.0.0.1", config.address.clone()),
            )
        }
    }
}

fn dies(log: &str, voice: Voice) -> Fate {
    Fate::Dies { script: Script::of(log), voice }
}

/// The client certificate has ended and there is no bootstrap kubeconfig to get a new one with: which kubeconfig, which bootstrap file, when.
fn ended_for_good(settings: &Settings) -> Option<(&Kubeconfig, &str, Timestamp)> {
    let (api, bootstrap) = (settings.api.as_ref()?, settings.bootstrap.as_deref()?);
    if Path::new(bootstrap).exists() {
        return None;
    }
    let pem = std::fs::read(&api.client).ok()?;
    let certificate = Pem::iter_from_buffer(&pem).filter_map(Result::ok).find(|block| block.label == "CERTIFICATE")?;
    let ends = certificate.parse_x509().ok()?.validity().not_after.timestamp();
    let ends = Timestamp::from_second(ends).ok()?;
    (ends < Timestamp::now()).then_some((api, bootstrap, ends))
}

/// Head line and lines of /proc/swaps, if swap is on and not allowed.
fn swap_on(config: &Config) -> Option<(String, String)> {
    let table = std::fs::read_to_string("/proc/swaps").ok().filter(|_| config.fail_swap_on)?;
    let (head, devices) = table.trim_end().split_once('\n')?;
    Some((head.to_owned(), devices.replace('\n', "\n\t")))
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_ascii_lowercase()
}
