//! What kubeadm leaves on a node (kubeadm 1.31 to 1.36, its Debian packages): the kubelet's unit and drop-in, configuration, kubeconfig and
//! certificates; and containerd configured for it.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::pki::NodeCredentials;

/// The kubelet's configuration file.
pub const KUBELET_CONFIG: &str = "/var/lib/kubelet/config.yaml";

/// The files of a Kubernetes node.
#[derive(Debug)]
pub struct Files<'a> {
    /// The API server as the kubeconfig has it.
    pub server: &'a str,
    /// What it shows to be let in.
    pub credentials: &'a NodeCredentials,
    /// The node's address.
    pub address: Ipv4Addr,
    /// Seconds that systemd waits before it starts a kubelet again that has ended. kubeadm's unit says 10.
    pub restart_sec: u32,
}

impl Files<'_> {
    /// Path and content of each.
    pub fn all(&self) -> Vec<(PathBuf, String)> {
        let credentials = self.credentials;
        let files = [
            ("/usr/lib/systemd/system/kubelet.service", kubelet_unit(self.restart_sec)),
            ("/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf", KUBEADM_DROP_IN.to_owned()),
            // kubeadm leaves this to luck: a kubelet that comes before its runtime ends, and is started again.
            ("/etc/systemd/system/kubelet.service.d/20-runtime-first.conf", "[Unit]\nAfter=containerd.service\n".to_owned()),
            ("/var/lib/kubelet/kubeadm-flags.env", self.flags()),
            (KUBELET_CONFIG, kubelet_config()),
            ("/etc/kubernetes/kubelet.conf", self.kubeconfig()),
            ("/etc/kubernetes/pki/ca.crt", credentials.ca.clone()),
            ("/var/lib/kubelet/pki/kubelet-client-current.pem", credentials.client.clone()),
            ("/etc/containerd/config.toml", CONTAINERD.to_owned()),
            ("/etc/cni/net.d/10-bridge.conflist", CNI.to_owned()),
            ("/etc/kubernetes/manifests/.keep", String::new()),
        ];
        files.into_iter().map(|(path, text)| (PathBuf::from(path), text)).collect()
    }

    fn flags(&self) -> String {
        format!("KUBELET_KUBEADM_ARGS=\"--node-ip={}\"\n", self.address)
    }

    fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1
clusters:
- cluster:
    certificate-authority: /etc/kubernetes/pki/ca.crt
    server: {}
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    namespace: default
    user: default-auth
  name: default-auth
current-context: default-auth
kind: Config
preferences: {{}}
users:
- name: default-auth
  user:
    client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem
    client-key: /var/lib/kubelet/pki/kubelet-client-current.pem
",
            self.server
        )
    }
}

fn kubelet_unit(restart_sec: u32) -> String {
    format!(
        "[Unit]
Description=kubelet: The Kubernetes Node Agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec={restart_sec}

[Install]
WantedBy=multi-user.target
"
    )
}

const KUBEADM_DROP_IN: &str = r#"# Note: This dropin only works with kubeadm and kubelet v1.11+
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
"#;

/// The kubelet's configuration as kubeadm writes it. nodeStatusUpdateFrequency is shorter than the default 10s, so that a kubelet soon
/// says what it cannot do.
pub fn kubelet_config() -> String {
    "apiVersion: kubelet.config.k8s.io/v1beta1
authentication:
  anonymous:
    enabled: false
  webhook:
    cacheTTL: 0s
    enabled: true
  x509:
    clientCAFile: /etc/kubernetes/pki/ca.crt
authorization:
  mode: Webhook
  webhook:
    cacheAuthorizedTTL: 0s
    cacheUnauthorizedTTL: 0s
cgroupDriver: systemd
clusterDNS:
- 10.96.0.10
clusterDomain: cluster.local
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cpuManagerReconcilePeriod: 0s
failSwapOn: true
fileCheckFrequency: 0s
healthzBindAddress: 127.0.0.1
healthzPort: 10248
kind: KubeletConfiguration
nodeStatusUpdateFrequency: 2s
rotateCertificates: true
staticPodPath: /etc/kubernetes/manifests
"
    .to_owned()
}

/// Debian's containerd 1.6: its CNI plugins lie in /usr/lib/cni, and the kubelet's cgroup driver is its own too.
const CONTAINERD: &str = r#"version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "nodewhy.test/tools:1"
  # What a container in a container may not: controllers of cgroup2 that the machine has in v1, a better OOM score than its own.
  disable_cgroup = true
  restrict_oom_score_adj = true
  # The node's root is an overlay itself, and overlays are not stacked upon it.
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
"#;

const CNI: &str = r#"{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
"#;
