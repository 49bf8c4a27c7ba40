//! The one table of facts: every path that exists, its type and its meaning.
//!
//! Adding a fact is one line here and one write in a check. The catalogue's expressions are checked against this table at load; the
//! page docs/facts.md is generated from it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Key;
use super::value::{FactType, Record};

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The dotted path, as CEL spells it.
    pub path: &'static str,
    /// Its type.
    pub kind: FactType,
    /// What it means, its unit and where it is read.
    pub doc: &'static str,
    /// Computed from other facts and the time by [`super::with_derived`]; no check writes it.
    pub derived: bool,
}

type Texts = Vec<String>;
type TextMap = BTreeMap<String, String>;

macro_rules! facts {
    (@kind Bool) => { FactType::Bool };
    (@kind Int) => { FactType::Int };
    (@kind Float) => { FactType::Float };
    (@kind Time) => { FactType::Time };
    (@kind Duration) => { FactType::Duration };
    (@kind Text) => { FactType::Text };
    (@kind Texts) => { FactType::TextList };
    (@kind TextMap) => { FactType::TextMap };
    (@kind Records { $($field:ident: $fk:ident),* $(,)? }) => { FactType::Records(&[$((stringify!($field), facts!(@kind $fk))),*]) };
    (@rust Bool) => { bool };
    (@rust Int) => { i64 };
    (@rust Float) => { f64 };
    (@rust Time) => { Timestamp };
    (@rust Duration) => { SignedDuration };
    (@rust Text) => { String };
    (@rust Texts) => { Texts };
    (@rust TextMap) => { TextMap };
    (@rust Records) => { Vec<Record> };
    (@derived) => { false };
    (@derived derived) => { true };
    ($($name:ident $path:literal $kind:ident $({ $($body:tt)* })? $(($derived:ident))? $doc:literal;)*) => {
        $(
            #[doc = $doc]
            pub const $name: Key<facts!(@rust $kind)> = Key::new($path);
        )*
        /// Every fact there is, in the order of this file.
        pub const ALL: &[Entry] = &[
            $(Entry { path: $path, kind: facts!(@kind $kind $({ $($body)* })?), doc: $doc, derived: facts!(@derived $($derived)?) }),*
        ];
    };
}

facts! {
    // The node itself.
    NODE_NAME "node.name" Text "Name of this node: --hostname-override, else the one in the kubelet's client certificate (system:node:NAME), else the host name in lower case (pkg/util/node GetHostname).";
    NODE_NAME_FROM "node.name_from" Text "Where that was said: flag, certificate, or host name.";
    NODE_RENAMED "node.renamed" Bool "The kubelet's client certificate is for another node than the one its flags and the host name make it register.";
    NODE_HOSTNAME "node.hostname" Text "Host name as the kernel has it.";
    NODE_MACHINE_ID "node.machine_id" Text "/etc/machine-id.";
    NODE_BOOT_ID "node.boot_id" Text "/proc/sys/kernel/random/boot_id.";
    NODE_BOOTED_AT "node.booted_at" Time "When the kernel booted (/proc/stat btime).";
    NODE_KERNEL "node.kernel" Text "Kernel release.";
    NODE_OS "node.os" Text "PRETTY_NAME of /etc/os-release.";
    NODE_CGROUP_VERSION "node.cgroup_version" Int "1 or 2; a hybrid hierarchy counts as 1, as it does for the kubelet.";
    NODE_IS_KUBERNETES "node.is_kubernetes" Bool "A kubelet unit, a kubelet process or a kubelet's configuration was found.";
    NODE_LOOKED_IN "node.looked_in" Texts "Where a kubelet was looked for.";

    // The kubelet's unit, live over D-Bus (org.freedesktop.systemd1.Unit and .Service).
    KUBELET_UNIT_NAME "kubelet.unit.name" Text "The unit that runs the kubelet: kubelet.service, k3s-agent.service, rke2-agent.service, snap.*kubelite*.service, ...";
    KUBELET_UNIT_LOAD_STATE "kubelet.unit.load_state" Text "LoadState: loaded, masked, not-found, error, bad-setting.";
    KUBELET_UNIT_FILE_STATE "kubelet.unit.file_state" Text "UnitFileState: enabled, disabled, masked, static, ... Empty if there is no unit file.";
    KUBELET_UNIT_PULLED_IN_BY "kubelet.unit.pulled_in_by" Texts "Units that start it when they are started: WantedBy, RequiredBy, RequisiteOf, BoundBy, UpheldBy, TriggeredBy.";
    KUBELET_UNIT_ACTIVE_STATE "kubelet.unit.active_state" Text "ActiveState: active, activating, inactive, failed, ...";
    KUBELET_UNIT_SUB_STATE "kubelet.unit.sub_state" Text "SubState: running, auto-restart, dead, failed, ...";
    KUBELET_UNIT_RUNNING "kubelet.unit.running" Bool "ActiveState is active and SubState is running; of RKE2 and k0s also that the kubelet runs which they run.";
    KUBELET_UNIT_RESULT "kubelet.unit.result" Text "Result of the last run: success, exit-code, signal, oom-kill, start-limit-hit, ...";
    KUBELET_UNIT_EXIT_KIND "kubelet.unit.exit_kind" Text "How the last main process ended (ExecMainCode): exited, killed, dumped; empty while none has ended.";
    KUBELET_UNIT_EXIT_STATUS "kubelet.unit.exit_status" Int "ExecMainStatus: exit code or signal number of the last main process that ended.";
    KUBELET_UNIT_EXITED_AT "kubelet.unit.exited_at" Time "ExecMainExitTimestamp of the last main process that ended.";
    KUBELET_UNIT_RESTARTS "kubelet.unit.restarts" Int "NRestarts: automatic restarts since the unit was last started by hand; of RKE2 and k0s those of their kubelet that the agent saw.";
    KUBELET_UNIT_RAN_FOR "kubelet.unit.ran_for" Duration "How long the last main process that ended had run (ExecMainExitTimestamp minus ExecMainStartTimestamp); missing while none has ended.";
    KUBELET_UNIT_STATE_SINCE "kubelet.unit.state_since" Time "StateChangeTimestamp: since when the unit is in its present state.";
    KUBELET_UNIT_STARTED_AT "kubelet.unit.started_at" Time "ExecMainStartTimestamp of the running main process; missing while none runs. Of RKE2 and k0s that of their kubelet.";
    KUBELET_UNIT_MAIN_PID "kubelet.unit.main_pid" Int "Main process, 0 while none runs; of RKE2 and k0s their kubelet.";
    KUBELET_UNIT_RUNNING_FOR "kubelet.unit.running_for" Duration (derived) "How long the running main process has run; zero while none runs.";
    KUBELET_UNIT_DOWN_FOR "kubelet.unit.down_for" Duration (derived) "How long the unit has not been running (since its last state change); zero while it runs.";
    KUBELET_PROCESS_STATE "kubelet.process.state" Text "State letter of the kubelet's process in /proc/PID/stat (proc(5)): R, S, D, T (stopped), Z; missing while none runs.";

    // How the kubelet is configured: flags, files, and where each value was said.
    KUBELET_FLAGS "kubelet.flags" TextMap "Flags of the kubelet's command line after environment files are expanded, without leading dashes.";
    KUBELET_FLAGS_FROM "kubelet.flags_from" Text "Files the command line was put together from (unit, drop-ins, environment files).";
    KUBELET_ENVIRONMENT_HTTPS_PROXY "kubelet.environment.https_proxy" Text "HTTPS_PROXY (or https_proxy) of the kubelet's process, or as its unit would set it, without user and password; missing if none is set.";
    KUBELET_ENVIRONMENT_NO_PROXY "kubelet.environment.no_proxy" Text "NO_PROXY (or no_proxy) of it; missing if none is set.";
    KUBELET_CONFIG_PATH "kubelet.config.path" Text "The kubelet's configuration file (--config, or the distribution's).";
    KUBELET_CONFIG_EXISTS "kubelet.config.exists" Bool "The configuration file is there, and the drop-in directory (--config-dir) if one is given. Known only if the kubelet is told to read either.";
    KUBELET_CONFIG_ABSENT "kubelet.config.absent" Text "Which of the two is not there. Missing if none is.";
    KUBELET_CONFIG_VALID "kubelet.config.valid" Bool "The file and its drop-ins, with the flags of the next start over them, are a KubeletConfiguration that the kubelet takes: they parse, and no rule that holds for every version refuses them (Kubernetes 1.22 to 1.36).";
    KUBELET_CONFIG_ERROR "kubelet.config.error" Text "Why it is not valid: file:line:column and the parser's words; file:line, field and what it has to be; or the flag. Missing if valid.";
    KUBELET_CONFIG_EDITED_AT "kubelet.config.edited_at" Time "Latest modification of what the error is in: the file and its drop-ins, or, for a flag, the files that the command line comes from; of the file and its drop-ins where it is valid.";
    KUBELET_CONFIG_MODIFIED_AT "kubelet.config.modified_at" Time "Latest modification of the file and its drop-ins.";
    KUBELET_CONFIG_DIGEST "kubelet.config.digest" Text "SHA-256 over the file and its drop-ins, valid or not, first 16 hex digits.";
    KUBELET_CONFIG_FAIL_SWAP_ON "kubelet.config.fail_swap_on" Bool "failSwapOn in force: flag, else file, else the default true.";
    KUBELET_CONFIG_FAIL_SWAP_ON_FROM "kubelet.config.fail_swap_on_from" Text "Where that was said: file:line, the flag, or `default`.";
    KUBELET_CONFIG_CGROUP_DRIVER "kubelet.config.cgroup_driver" Text "cgroupDriver in force: systemd or cgroupfs (default cgroupfs).";
    KUBELET_CONFIG_CGROUP_DRIVER_FROM "kubelet.config.cgroup_driver_from" Text "Where that was said.";
    KUBELET_CONFIG_PORT "kubelet.config.port" Int "Port of the kubelet's API (default 10250).";
    KUBELET_CONFIG_HEALTHZ_PORT "kubelet.config.healthz_port" Int "Port of /healthz (default 10248); 0 means off.";
    KUBELET_CONFIG_HEALTHZ_ADDRESS "kubelet.config.healthz_address" Text "healthzBindAddress (default 127.0.0.1), as an address to connect to: 0.0.0.0 and :: are given as loopback.";
    KUBELET_CONFIG_CERT_DIR "kubelet.config.cert_dir" Text "Directory of the kubelet's own certificates (--cert-dir, default pki beneath the kubelet's directory).";
    KUBELET_CONFIG_SERVING_CERT "kubelet.config.serving_cert" Text "tlsCertFile; missing where the kubelet makes or requests its own.";
    KUBELET_CONFIG_CLIENT_CA "kubelet.config.client_ca" Text "authentication.x509.clientCAFile; missing if none is set.";
    KUBELET_CONFIG_UNKNOWN_FIELDS "kubelet.config.unknown_fields" Texts "Fields that KubeletConfiguration v1beta1 does not have, with file and line: the kubelet warns of them and goes on without.";
    KUBELET_CONFIG_STATIC_POD_PATH "kubelet.config.static_pod_path" Text "Directory of static pods, if any.";
    KUBELET_CONFIG_ROTATE_CERTIFICATES "kubelet.config.rotate_certificates" Bool "rotateCertificates in force.";
    KUBELET_CONFIG_RUNTIME_ENDPOINT "kubelet.config.runtime_endpoint" Text "CRI endpoint the kubelet is told to use (default unix:///run/containerd/containerd.sock).";
    KUBELET_CONFIG_EVICTION_HARD "kubelet.config.eviction_hard" TextMap "evictionHard in force (defaults: memory.available 100Mi, nodefs.available 10%, nodefs.inodesFree 5%, imagefs.available 15%, imagefs.inodesFree 5%).";
    KUBELET_CONFIG_PROTECT_KERNEL_DEFAULTS "kubelet.config.protect_kernel_defaults" Bool "protectKernelDefaults in force: the kubelet refuses to start unless the kernel's settings are those it wants.";
    KUBELET_CONFIG_CPU_MANAGER_POLICY "kubelet.config.cpu_manager_policy" Text "cpuManagerPolicy in force (default none).";
    KUBELET_CONFIG_MEMORY_MANAGER_POLICY "kubelet.config.memory_manager_policy" Text "memoryManagerPolicy in force (default None).";
    KUBELET_CONFIG_ROOT_DIR "kubelet.config.root_dir" Text "The kubelet's directory (--root-dir, default /var/lib/kubelet): nodefs is the file system it lies on.";
    KUBELET_RESOLV_CONF_PATH "kubelet.resolv_conf.path" Text "resolvConf in force, the file that pods' DNS configuration is made from (default /etc/resolv.conf); empty if there is to be none. Missing for k3s and RKE2, which choose one when they start, unless a flag says which.";
    KUBELET_RESOLV_CONF_EXISTS "kubelet.resolv_conf.exists" Bool "That file is there.";
    KUBELET_KUBECONFIG_PATH "kubelet.kubeconfig.path" Text "The kubelet's kubeconfig; missing when it runs standalone.";
    KUBELET_KUBECONFIG_EXISTS "kubelet.kubeconfig.exists" Bool "That file is there.";
    KUBELET_KUBECONFIG_VALID "kubelet.kubeconfig.valid" Bool "It parses and names a server.";
    KUBELET_KUBECONFIG_ERROR "kubelet.kubeconfig.error" Text "Why it is not valid. Missing if valid.";
    KUBELET_BOOTSTRAP_PATH "kubelet.bootstrap.path" Text "--bootstrap-kubeconfig, if given.";
    KUBELET_BOOTSTRAP_EXISTS "kubelet.bootstrap.exists" Bool "That file is there.";

    // What the kubelet keeps on disk from one start to the next, and what it reads there.
    KUBELET_STATE_CPU_POLICY "kubelet.state.cpu_policy" Text "policyName in the CPU manager's checkpoint (cpu_manager_state beneath the kubelet's directory); missing while there is none.";
    KUBELET_STATE_MEMORY_POLICY "kubelet.state.memory_policy" Text "policyName in the memory manager's checkpoint (memory_manager_state).";
    KUBELET_STATE_MISMATCHES "kubelet.state.mismatches" Records { path: Text, kept: Text, configured: Text } "Checkpoints made under another policy than the one configured now: a kubelet that starts refuses them.";
    STATIC_PODS_MANIFESTS "static_pods.manifests" Records { path: Text, name: Text, valid: Bool, error: Text } "Files in the directory of static pods, and whether the kubelet can take each for a pod (at most 64).";
    STATIC_PODS_INVALID "static_pods.invalid" Int "How many of them it cannot.";

    // What the kubelet says of itself.
    KUBELET_HEALTHZ_STATE "kubelet.healthz.state" Text "GET http://127.0.0.1:10248/healthz: ok, unhealthy (another status than 200), timeout (accepted, no answer in time), refused, error.";
    KUBELET_HEALTHZ_BODY "kubelet.healthz.body" Text "What it answered when unhealthy, first line.";
    KUBELET_PORT_HOLDER "kubelet.port.holder" Text "Another process that listens on the kubelet's port: name[pid]; empty if none does, and while the kubelet's own unit runs (the port is its own then).";

    // Swap.
    SWAP_DEVICES "swap.devices" Records { path: Text, kind: Text, size_bytes: Int, used_bytes: Int } "Swap in use now (/proc/swaps).";
    SWAP_FSTAB "swap.fstab" Records { device: Text, line: Int, text: Text } "Active swap lines of /etc/fstab with their line numbers.";
    SWAP_UNITS "swap.units" Texts "Unit files *.swap that are not masked and not made from fstab.";

    // The container runtime.
    RUNTIME_UNIT_NAME "runtime.unit.name" Text "Unit of the runtime: containerd.service, crio.service, docker.service, cri-docker.service; missing where it is part of the kubelet's unit (k3s, rke2).";
    RUNTIME_UNIT_LOAD_STATE "runtime.unit.load_state" Text "LoadState.";
    RUNTIME_UNIT_FILE_STATE "runtime.unit.file_state" Text "UnitFileState: enabled, disabled, masked, static, ... Empty if there is no unit file.";
    RUNTIME_UNIT_PULLED_IN_BY "runtime.unit.pulled_in_by" Texts "Units that start it when they are started: WantedBy, RequiredBy, RequisiteOf, BoundBy, UpheldBy, TriggeredBy.";
    RUNTIME_UNIT_ACTIVE_STATE "runtime.unit.active_state" Text "ActiveState.";
    RUNTIME_UNIT_SUB_STATE "runtime.unit.sub_state" Text "SubState.";
    RUNTIME_UNIT_RUNNING "runtime.unit.running" Bool "ActiveState is active and SubState is running.";
    RUNTIME_UNIT_RESULT "runtime.unit.result" Text "Result of the last run.";
    RUNTIME_UNIT_EXIT_STATUS "runtime.unit.exit_status" Int "ExecMainStatus of the last main process that ended.";
    RUNTIME_UNIT_RESTARTS "runtime.unit.restarts" Int "NRestarts.";
    RUNTIME_UNIT_STATE_SINCE "runtime.unit.state_since" Time "StateChangeTimestamp.";
    RUNTIME_ENDPOINT "runtime.endpoint" Text "The CRI socket looked at.";
    RUNTIME_SOCKET_STATE "runtime.socket.state" Text "What connecting to it and calling Version gave: ok, missing (no such file), refused, timeout, unimplemented (no CRI v1 behind it), error.";
    RUNTIME_SOCKET_ERROR "runtime.socket.error" Text "The error in full when the state is not ok.";
    RUNTIME_UNANSWERED "runtime.unanswered" Text "First CRI call of the look that did not answer in time (the socket, Version, Status); empty if there was none.";
    RUNTIME_NAME "runtime.name" Text "Runtime name from CRI Version.";
    RUNTIME_VERSION "runtime.version" Text "Runtime version from CRI Version.";
    RUNTIME_READY "runtime.ready" Bool "Condition RuntimeReady of CRI Status.";
    RUNTIME_READY_MESSAGE "runtime.ready_message" Text "Its reason and message when false.";
    RUNTIME_NETWORK_READY "runtime.network_ready" Bool "Condition NetworkReady of CRI Status.";
    RUNTIME_NETWORK_MESSAGE "runtime.network_message" Text "Its reason and message when false.";
    RUNTIME_CGROUP_DRIVER "runtime.cgroup_driver" Text "systemd or cgroupfs: CRI RuntimeConfig, else the runtime's own configuration file.";
    RUNTIME_CGROUP_DRIVER_FROM "runtime.cgroup_driver_from" Text "Where that was said: CRI RuntimeConfig, file, or `default`.";
    RUNTIME_IMAGE_FS "runtime.image_fs" Text "A directory on the file system of the runtime's images (CRI ImageFsInfo).";
    CNI_CONFIG_DIR "cni.config_dir" Text "Directory of CNI configurations (/etc/cni/net.d, or k3s' and rke2's own).";
    CNI_CONFIGS "cni.configs" Records { path: Text, name: Text, valid: Bool, error: Text } "Files *.conf, *.conflist, *.json in it.";

    // Pods on this node.
    SANDBOXES_PODS "sandboxes.pods" Texts "Pods (namespace/name) with a sandbox that is ready, of CRI ListPodSandbox.";
    SANDBOXES_EMPTY "sandboxes.empty" Texts "Those of them in which no container was made yet (CRI ListContainers).";
    PODS_NAMES "pods.names" TextMap "Namespace/name of each pod by its UID, from the names of the directories in /var/log/pods.";
    PODS_CONTAINERS "pods.containers" TextMap "Namespace/pod/container of each container by its id, from the names of the links in /var/log/containers.";

    // The control plane, step by step from the kubeconfig's own server.
    APISERVER_SERVER "apiserver.server" Text "server of the kubelet's kubeconfig, as written.";
    APISERVER_ADDRESS "apiserver.address" Text "host:port of it.";
    APISERVER_PROXY "apiserver.proxy" Text "Proxy through which the kubelet goes there (proxy-url of its kubeconfig, or HTTPS_PROXY of its environment unless NO_PROXY excepts the server); missing if it goes directly.";
    APISERVER_REACHABLE "apiserver.reachable" Bool "Every step as far as an HTTP answer below 500 on /readyz or /healthz succeeded (401 and 403 count as reached); or the Node object was had all the same.";
    APISERVER_FAILED_STEP "apiserver.failed_step" Text "First step that failed: proxy, name, tcp, tls, http; empty if none did.";
    APISERVER_FAILURE "apiserver.failure" Text "How: name-not-found, name-timeout, name-failure, refused, timed-out, no-route, reset, proxy-status, unknown-authority, certificate-expired, certificate-not-yet-valid, name-mismatch, tls-error, http-timeout, http-status; empty if none.";
    APISERVER_CERTIFICATE_FAULT "apiserver.certificate_fault" Text "What is wrong with the certificate that the API server showed in this look: unknown-authority, certificate-expired, certificate-not-yet-valid, name-mismatch; empty if it was accepted. Missing while an earlier step fails: no certificate was seen.";
    APISERVER_VERSION "apiserver.version" Text "gitVersion of GET /version, asked once a connection.";
    APISERVER_ERROR "apiserver.error" Text "The failed step in words, with address and error. Missing if none failed.";
    APISERVER_HTTP_STATUS "apiserver.http_status" Int "Status of /readyz (or /livez), when HTTP answered.";
    APISERVER_HTTP_BODY "apiserver.http_body" Text "First failing lines of its body ([-]etcd failed: ...).";
    APISERVER_FAILING_SINCE "apiserver.failing_since" Time "First of the present run of failed attempts; missing while reachable.";
    APISERVER_CLOCK_SKEW_SECONDS "apiserver.clock_skew_seconds" Float "This node's clock minus the API server's Date header; positive: the node is ahead. Date has 1 s resolution.";
    APISERVER_AUTH_STATUS "apiserver.auth_status" Int "HTTP status of GET /api/v1/nodes/NAME as the kubelet (its client certificate): 200, 401, 403, 404, ...";
    APISERVER_AUTH_ERROR "apiserver.auth_error" Text "The answer's message when not 200.";
    CLUSTER_NODE_KUBELET_VERSION "cluster.node.kubelet_version" Text "status.nodeInfo.kubeletVersion of the Node object: the version of the kubelet that registered last.";
    CLUSTER_KUBELET_MINORS_AHEAD "cluster.kubelet_minors_ahead" Int "Minor version of that kubelet less that of the API server: 1 if the kubelet is 1.31 and the API server 1.30.";
    CLUSTER_NODE_READY "cluster.node.ready" Text "Condition Ready of the Node object: True, False, Unknown.";
    CLUSTER_NODE_READY_REASON "cluster.node.ready_reason" Text "Its reason.";
    CLUSTER_NODE_READY_MESSAGE "cluster.node.ready_message" Text "Its message.";
    CLUSTER_NODE_UNSCHEDULABLE "cluster.node.unschedulable" Bool "spec.unschedulable (cordoned).";
    CLUSTER_NODE_TAINTS "cluster.node.taints" Texts "spec.taints, as key=value:effect.";
    CLUSTER_NODE_LABELS "cluster.node.labels" TextMap "metadata.labels of the Node object (at most 64).";
    CLUSTER_LEASE_RENEWED_AT "cluster.lease.renewed_at" Time "spec.renewTime of the node's Lease in kube-node-lease.";
    DNS_SERVERS "dns.servers" Texts "nameserver lines of /etc/resolv.conf.";
    DNS_NAME "dns.name" Text "The API server's host name, where it is a name and not an address.";
    DNS_RESOLVES "dns.resolves" Bool "The API server's name resolves.";
    DNS_ERROR "dns.error" Text "What the resolver said when it does not.";

    // Certificates the kubelet uses.
    CERTIFICATES "certificates" Records { role: Text, path: Text, subject: Text, issuer: Text, not_before: Time, not_after: Time } "Certificates of this node: role kubelet-client, kubelet-serving, cluster-ca, apiserver (as presented by it), ...";
    CERTIFICATES_ENDING "certificates_ending" Records { role: Text, path: Text, subject: Text, issuer: Text, not_before: Time, not_after: Time } "Certificates, the control plane's files on this node (role control-plane) among them, that end within 7 days and are past 92 % of their life: who renews by himself has done so before. The first to end first.";
    CERTIFICATES_ERRORS "certificate_errors" Records { role: Text, path: Text, error: Text } "Certificate files that are there and cannot be used, with the reason.";
    CERTIFICATES_CLIENT_NOT_AFTER "kubelet_client_certificate.not_after" Time "End of the kubelet's client certificate.";
    CERTIFICATES_CLIENT_NOT_BEFORE "kubelet_client_certificate.not_before" Time "Begin of the kubelet's client certificate.";
    CERTIFICATES_CLIENT_PATH "kubelet_client_certificate.path" Text "File it is in.";

    // Memory, as the kubelet computes it (pkg/kubelet/eviction/helpers.go): available = capacity - working set of the root cgroup.
    MEMORY_TOTAL_BYTES "memory.total_bytes" Int "MemTotal.";
    MEMORY_AVAILABLE_BYTES "memory.available_bytes" Int "memory.available as the kubelet computes it.";
    MEMORY_THRESHOLD_BYTES "memory.threshold_bytes" Int "evictionHard memory.available in bytes.";
    MEMORY_UNDER_PRESSURE "memory.under_pressure" Bool "available below the threshold.";
    MEMORY_PSI_FULL_AVG60 "memory.psi_full_avg60" Float "Share of the last minute, in percent, in which all tasks stalled on memory (/proc/pressure/memory).";
    MEMORY_TOP "memory.top" Records { name: Text, pid: Int, rss_bytes: Int } "Largest processes; read only while available is below twice the threshold.";

    // File systems that the node cannot do without.
    DISK_FILESYSTEMS "disk.filesystems" Records { role: Text, path: Text, mount_point: Text, device: Text, fstype: Text, size_bytes: Int, available_bytes: Int, threshold_bytes: Int, inodes: Int, inodes_free: Int, threshold_inodes: Int, read_only: Bool, stopped: Text, below_bytes: Bool, below_inodes: Bool } "root, nodefs, imagefs, logs: bytes and inodes against the kubelet's own thresholds; read_only as mounted, or because the kernel stopped writing to it (stopped says how; empty if it did not). threshold and below_* only where the kubelet has a threshold (nodefs, imagefs).";
    DISK_BELOW_BYTES "disk.below_bytes" Bool "Any of them is below its threshold in bytes.";
    DISK_BELOW_INODES "disk.below_inodes" Bool "Any of them is below its threshold in inodes.";
    DISK_READ_ONLY "disk.read_only" Bool "Any of them that must be writable is mounted read-only, or was stopped by the kernel after an error.";
    DISK_DEVICES "disk.devices" Texts "Block devices they lie on, by the kernel's names: partitions, logical volumes, and the disks beneath (sda1, sda, dm-0), with their controllers (nvme0, ata1).";
    DISK_FAILED_DEVICES "disk.failed_devices" Records { device: Text, state: Text } "Those of disk.devices that the kernel has given up: their state in /sys/block is offline or dead.";
    DISK_DEGRADED_ARRAYS "disk.degraded_arrays" Records { array: Text, missing: Int } "md arrays among disk.devices that miss disks (/sys/block/md*/md/degraded).";
    DISK_RECORDED_ERRORS "disk.recorded_errors" Records { mount_point: Text, device: Text, count: Int, last_at: Time } "ext4 file systems of disk.filesystems whose superblock counts errors, the last of them since the boot (/sys/fs/ext4/*/errors_count).";

    // Hardware and kernel.
    HARDWARE_MEMORY_UNCORRECTED_ERRORS "hardware.memory_uncorrected_errors" Int "Memory errors since the boot that could not be corrected (/sys/devices/system/edac/mc/mc*/ue_count, ue_noinfo_count).";
    HARDWARE_MEMORY_CORRECTED_ERRORS "hardware.memory_corrected_errors" Int "Memory errors since the boot that were corrected (ce_count).";
    KERNEL_TAINTS "kernel.taints" Texts "What the kernel does not recover from before the next boot, of the flags in /proc/sys/kernel/tainted: machine check, bad page, oops.";

    // How long what there is lasts, watched over time by the agent; missing until it has watched for long enough.
    EXHAUSTION_SPACE "exhaustion.space" Records { mount_point: Text, role: Text, available_bytes: Int, threshold_bytes: Int, lost_an_hour_bytes: Int, reaches_at: Time, watched_since: Time } "File systems whose space falls steadily for half an hour and at this slope reaches the kubelet's threshold in less than 4 hours (once told, 6), the first to reach it first.";
    EXHAUSTION_INODES "exhaustion.inodes" Records { mount_point: Text, role: Text, inodes_free: Int, threshold_inodes: Int, lost_an_hour: Int, reaches_at: Time, watched_since: Time } "The same of inodes.";
    EXHAUSTION_MEMORY "exhaustion.memory" Records { available_bytes: Int, threshold_bytes: Int, lost_an_hour_bytes: Int, reaches_at: Time, watched_since: Time } "The same of memory, watched for an hour; one entry or none.";

    // Process ids.
    PIDS_LIMIT "pids.limit" Int "Smaller of kernel.pid_max and kernel.threads-max.";
    PIDS_CURRENT "pids.current" Int "Processes and threads now (/proc/loadavg).";
    PIDS_THRESHOLD "pids.threshold" Int "evictionHard pid.available as a number; where the kubelet has none, 2 % of the limit.";
    PIDS_UNDER_PRESSURE "pids.under_pressure" Bool "limit - current is below the threshold.";

    // Tables and limits of the kernel that a node can run into.
    CONNTRACK_ENTRIES "conntrack.entries" Int "Entries of the connection tracking table (/proc/sys/net/netfilter/nf_conntrack_count).";
    CONNTRACK_LIMIT "conntrack.limit" Int "Its limit (nf_conntrack_max).";
    FILES_OPEN "files.open" Int "Open file handles of the whole machine (/proc/sys/fs/file-nr).";
    FILES_LIMIT "files.limit" Int "fs.file-max.";
    FILES_PROCESSES "files.processes" Records { name: Text, pid: Int, open: Int, limit: Int } "Descriptors that the kubelet and the container runtime have open, and how many each may have (RLIMIT_NOFILE).";
    FILES_AT_LIMIT "files.at_limit" Bool "One of these processes has no more than 1 % of its descriptors left.";
    INOTIFY_MAX_INSTANCES "inotify.max_user_instances" Int "fs.inotify.max_user_instances: inotify instances that all processes of one user may have together.";
    INOTIFY_MAX_WATCHES "inotify.max_user_watches" Int "fs.inotify.max_user_watches: watches that all processes of one user may have together.";
    INOTIFY_PROBE "inotify.probe" Text "What came of asking for one instance and one watch as root, the kubelet's own user: ok, no-instances, no-watches. Missing where the agent is not root: who uses how many cannot be read without walking all descriptors of all processes.";

    // What the kernel has and how it is set.
    KERNEL_MODULES "kernel.modules" TextMap "overlay, br_netfilter, nf_conntrack, ip_vs: loaded, built-in, available (can be loaded), absent (not there for this kernel). Without an entry where that cannot be told.";
    KERNEL_SYSCTLS "kernel.sysctls" TextMap "Settings that Kubernetes relies on, as they are now (/proc/sys); without an entry where there is no such setting.";
    KERNEL_AGAINST_KUBELET "kernel.against_kubelet" Texts "Settings that are not what protectKernelDefaults demands, as name=value (value demanded).";

    // The network, as the host has it.
    NETWORK_INTERFACES "network.interfaces" Records { name: Text, kind: Text, state: Text, up: Bool, carrier: Bool } "Physical interfaces, bonds and those that default routes use: kind physical, bond, other; state as in operstate; up: switched on; carrier: something answers at the other end (missing while switched off).";
    NETWORK_DEFAULT_INTERFACES "network.default_interfaces" Texts "Interfaces of the default routes, IPv4 and IPv6.";
    NETWORK_DOWN "network.down" Texts "Interfaces that carry the node's traffic and cannot: those of default routes without carrier; if there is no default route and no physical interface has carrier, the physical ones.";
    NETWORK_ADDRESSES "network.addresses" Texts "Addresses of this host (at most 256; loopback and link-local ones are left out).";
    NETWORK_NODE_IPS "network.node_ips" Texts "Addresses that --node-ip names.";
    NETWORK_NODE_IPS_ELSEWHERE "network.node_ips_elsewhere" Texts "Those of them that no interface of this host has.";

    // The way down.
    SHUTDOWN_STATE "shutdown.state" Text "SystemState of systemd: starting, running, degraded, maintenance, stopping.";
    SHUTDOWN_SCHEDULED "shutdown.scheduled" Text "What somebody has scheduled (shutdown -r +10): reboot, poweroff, halt, kexec; empty if nothing.";
    SHUTDOWN_SCHEDULED_AT "shutdown.scheduled_at" Time "For when.";

    // The clock.
    CLOCK_SYNCHRONIZED "clock.synchronized" Bool "The kernel's clock is disciplined (adjtimex without STA_UNSYNC).";
    CLOCK_SKEW_SECONDS "clock.skew_seconds" Float "This node's clock minus the API server's; the same as apiserver.clock_skew_seconds.";

    // What the next boot will do: what is kept over it, and what waits for it.
    BOOT_PROVISIONED "boot.provisioned" Bool "A program of the cloud or the operating system sets the node up and starts its units at every boot (GKE, EKS' nodeadm, Bottlerocket, Talos, Flatcar and Fedora CoreOS with Ignition): what units say of themselves does not count.";
    BOOT_SWAP "boot.swap" Records { device: Text, from: Text } "Swap that the next boot turns on: lines of /etc/fstab and .swap units that a target wants, whose device or file is there and whose unit is not masked; where that is said.";
    BOOT_REBOOT_REQUIRED "boot.reboot_required" Bool "/run/reboot-required is there: an installed package takes effect with the next boot.";
    BOOT_REBOOT_REQUIRED_BY "boot.reboot_required_by" Texts "Packages that ask for it (/run/reboot-required.pkgs).";
    BOOT_REBOOT_REQUIRED_SINCE "boot.reboot_required_since" Time "When the first of them asked (the time of that file); missing if none does.";
    BOOT_KERNEL_MODULES_GONE "boot.kernel_modules_gone" Bool "The modules of the running kernel are not on disk any more while those of another kernel are: what is not loaded now cannot be.";
    BOOT_NEWER_KERNEL "boot.newer_kernel" Text "The newest installed kernel of the running one's flavour, if it is newer than that; missing otherwise.";
    BOOT_SYSCTLS_NOT_KEPT "boot.sysctls_not_kept" Records { name: Text, value: Text } "Kernel settings that a kubelet with protectKernelDefaults demands and no kernel has by itself (kernel.panic, vm.overcommit_memory), that are right now and that nothing found on this node sets at a boot.";
    BOOT_MODULES_NOT_KEPT "boot.modules_not_kept" Texts "Kernel modules that the pod network needs, that are loaded now, and that nothing found on this node loads at a boot.";

    // Log sources. A log sign is unknown while its source cannot be read.
    LOGS_JOURNAL_READABLE "logs.journal.readable" Bool "The journal can be opened and entries of the system can be read.";
    LOGS_JOURNAL_PATH "logs.journal.path" Text "Directory it is read from.";
    LOGS_JOURNAL_GAP "logs.journal.gap" Text "Why entries of this boot may have been missed: rotated away before they were read, longer than there was time for; empty if none were.";
    LOGS_JOURNAL_DAMAGED_ENTRIES "logs.journal.damaged_entries" Int "Entries that could not be read whole because their file is damaged, since the agent started.";
    LOGS_FILES_READABLE "logs.files.readable" Bool "The files that k3s and RKE2 keep the logs of their kubelet and containerd in can be read.";
    LOGS_READ_UP_TO "logs.read_up_to" Time "Everything the log sources held up to this time has been matched.";

    // node-problem-detector's rules, where the agent's configuration names files of them. Keys are FILE for a log, FILE#N for the plugin of the Nth rule.
    NPD_PROBLEMS "npd.problems" TextMap "Plugins that ended with exit code 1, and what they said.";
    NPD_UNKNOWN "npd.unknown" TextMap "Plugins that did not answer, and files whose log cannot be read, with the reason.";
    NPD_UNANSWERED "npd.unanswered" Bool "False; missing, with the reasons, while there is anything in npd.unknown.";

    // Derived from the clock.
    NOW "now" Time (derived) "The time of the diagnosis.";
}

/// The entry of a path; `None` if there is no such fact.
pub fn entry(path: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.path == path)
}

/// All entries at or beneath a dotted prefix.
pub fn under(prefix: &str) -> impl Iterator<Item = &'static Entry> {
    ALL.iter().filter(move |entry| entry.path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_named_once_and_explained() {
        let mut seen = std::collections::BTreeSet::new();
        for entry in ALL {
            assert!(seen.insert(entry.path), "{} is declared twice", entry.path);
            assert!(entry.doc.ends_with('.'), "{}: the doc is not a sentence: {}", entry.path, entry.doc);
        }
    }

    #[test]
    fn no_path_is_both_a_fact_and_a_branch() {
        for entry in ALL {
            let beneath = under(entry.path).filter(|other| other.path != entry.path).map(|other| other.path).next();
            assert_eq!(beneath, None, "{} has facts beneath it", entry.path);
        }
    }
}
