//! Every example is recognised by its own sign and claimed by no other cause.

use std::collections::BTreeSet;

use nodewhy_causes::catalogue;
use nodewhy_diagnosis::catalogue::{Cause, LogSign, Sign};
use nodewhy_diagnosis::record::Source;
use nodewhy_diagnosis::story::{self, examples};

fn log_signs(cause: &Cause) -> impl Iterator<Item = (usize, &LogSign)> {
    cause.signs.iter().enumerate().filter_map(|(index, sign)| match sign {
        Sign::Log(log) => Some((index, log)),
        Sign::Fact(_) => None,
    })
}

fn claimed_by(source: Source, line: &str) -> BTreeSet<(String, usize)> {
    story::claimed_by(catalogue(), source, line)
}

#[test]
fn every_example_is_recognised_by_its_own_sign_and_claimed_by_no_other_cause() {
    let wrong: Vec<String> = catalogue().causes().iter().flat_map(|cause| examples(catalogue(), cause).wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_line_from_another_program_is_not_taken_for_the_kubelets() {
    for cause in catalogue().causes() {
        for (index, sign) in log_signs(cause).filter(|(_, sign)| sign.from == [Source::Kubelet]) {
            for example in &sign.examples {
                let claims = claimed_by(Source::Other, example);
                assert!(!claims.contains(&(cause.code.clone(), index)), "{} listens to others than the kubelet: {example}", cause.code);
            }
        }
    }
}

/// Lines that a healthy node prints; each looks like a cause and is none.
const HARMLESS: &[(Source, &str)] = &[
    // An aggregated API without its server, a webhook with another certificate: not the API server.
    (
        Source::ControlPlane,
        r#"E0412 08:01:17.300121       1 available_controller.go:527] v1beta1.metrics.k8s.io failed with: failing or missing response from https://10.43.12.3:443/apis/metrics.k8s.io/v1beta1: Get "https://10.43.12.3:443/apis/metrics.k8s.io/v1beta1": tls: failed to verify certificate: x509: certificate signed by unknown authority"#,
    ),
    (
        Source::ControlPlane,
        r#"W0412 08:01:19.104431       1 dispatcher.go:225] rejected by webhook "pods.example.org": failed calling webhook "pods.example.org": Post "https://hook.tools.svc:443/api/v1/check?timeout=10s": x509: certificate signed by unknown authority"#,
    ),
    (
        Source::Kubelet,
        r#"E1122 00:51:54.600210    7147 kubelet.go:2661] "Skipping pod synchronization" err="[container runtime status check may not have completed yet, PLEG is not healthy: pleg has yet to be successful]""#,
    ),
    (
        Source::Kubelet,
        r#"I1122 00:51:54.508713    7147 factory.go:220] Registration of the crio container factory failed: Get "http://%2Fvar%2Frun%2Fcrio%2Fcrio.sock/info": dial unix /var/run/crio/crio.sock: connect: no such file or directory"#,
    ),
    (
        Source::Kubelet,
        r#"E1122 00:51:54.700110    7147 kubelet.go:1743] "Image garbage collection failed once. Stats initialization may not have completed yet" err="invalid capacity 0 on image filesystem""#,
    ),
    (
        Source::Kubelet,
        r#"I0721 03:20:18.104471    1322 kubelet_node_status.go:696] "Recording event message for node" node="w1" event="NodeHasSufficientMemory""#,
    ),
    (
        Source::Kubelet,
        r#"I0721 03:20:18.104502    1322 kubelet_node_status.go:696] "Recording event message for node" node="w1" event="NodeHasNoDiskPressure""#,
    ),
    (
        Source::Kubelet,
        r#"I0721 03:20:18.104533    1322 kubelet_node_status.go:696] "Recording event message for node" node="w1" event="NodeHasSufficientPID""#,
    ),
    (Source::Kubelet, r#"W0418 10:00:00.000000    1500 feature_gate.go:352] unrecognized feature gate: SomethingNew"#),
    (
        Source::Kubelet,
        r#"Flag --fail-swap-on has been deprecated, This parameter should be set via the config file specified by the Kubelet's --config flag."#,
    ),
    (
        Source::Kubelet,
        r#"W0418 10:00:00.000000    1500 server.go:100] "Using lenient decoding as strict decoding failed" err="strict decoding error: unknown field \"dynamicKubeletConfig\"""#,
    ),
    (
        Source::Kubelet,
        r#"W0418 10:00:01.000000    1500 logging.go:55] [core] [Channel #1 SubChannel #2] grpc: addrConn.createTransport failed to connect to {Addr: "/run/containerd/containerd.sock", ServerName: "localhost", }. Err: connection error: desc = "transport: Error while dialing: dial unix /run/containerd/containerd.sock: connect: no such file or directory""#,
    ),
    (
        Source::Kubelet,
        r#"E0418 10:00:02.000000    1500 csi_plugin.go:300] "Failed to dial plugin" err="rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial unix /var/lib/kubelet/plugins/csi-nfs/csi.sock: connect: connection refused\"""#,
    ),
    (
        Source::Kubelet,
        r#"I0418 10:00:03.000000    1500 prober.go:107] "Probe failed" probeType="Readiness" pod="kube-system/kube-apiserver-cp1" containerName="kube-apiserver" probeResult="failure" output="Get \"https://10.0.0.5:6443/readyz\": dial tcp 10.0.0.5:6443: connect: connection refused""#,
    ),
    (
        Source::Kubelet,
        r#"E0418 10:00:05.000000    1500 reflector.go:158] "Unhandled Error" err="object-\"default\"/\"app-config\": Failed to watch *v1.ConfigMap: failed to list *v1.ConfigMap: configmaps \"app-config\" is forbidden: User \"system:node:w1\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\": no relationship found between node 'w1' and this object""#,
    ),
    (
        Source::Kubelet,
        r#"E0418 10:00:06.000000    1500 log.go:32] "RuntimeConfig from runtime service failed" err="rpc error: code = Unimplemented desc = unknown method RuntimeConfig for service runtime.v1.RuntimeService""#,
    ),
    (
        Source::Kubelet,
        r#"I0418 10:00:07.000000    1500 log.go:245] http: TLS handshake error from 10.0.0.9:40122: remote error: tls: bad certificate"#,
    ),
    (
        Source::Runtime,
        r#"time="2025-01-01T00:00:00.000000000Z" level=error msg="failed to load cni during init, please check CRI plugin status before setting up network for pods" error="cni config load failed: no network config found in /etc/cni/net.d: cni plugin not initialized: failed to load cni config""#,
    ),
    (
        Source::Runtime,
        r#"time="2025-01-01T00:00:00.000000000Z" level=info msg="skip loading plugin" error="path /var/lib/containerd/io.containerd.snapshotter.v1.btrfs (ext4) must be a btrfs filesystem to be used with the btrfs snapshotter: skip plugin""#,
    ),
    // A control plane in which a member is started again, and a disk that is busy for a moment.
    (
        Source::Etcd,
        r#"{"level":"warn","ts":"2024-03-04T05:06:07.800Z","caller":"txn/util.go:93","msg":"apply request took too long","took":"151.114012ms","expected-duration":"100ms","prefix":"read-only range ","request":"key:\"/registry/health\" ","response":"range_response_count:0 size:6"}"#,
    ),
    (
        Source::Etcd,
        r#"{"level":"warn","ts":"2024-03-04T05:06:08.100Z","caller":"rafthttp/probing_status.go:68","msg":"prober detected unhealthy status","round-tripper-name":"ROUND_TRIPPER_RAFT_MESSAGE","remote-peer-id":"8211f1d0f64f3269","rtt":"0s","error":"dial tcp 10.1.0.5:2380: connect: connection refused"}"#,
    ),
    (
        Source::Etcd,
        r#"{"level":"info","ts":"2024-03-04T05:06:08.300Z","logger":"raft","caller":"etcdserver/zap_raft.go:77","msg":"raft.node: 8211f1d0f64f3269 changed leader from 8211f1d0f64f3269 to 91bc3c398fb3c146 at term 7"}"#,
    ),
    (
        Source::ControlPlane,
        r#"E0512 10:11:12.130045       1 status.go:71] apiserver received an error that is not an metav1.Status: rpctypes.EtcdError{code:0xe, desc:"etcdserver: leader changed"}"#,
    ),
    (Source::Systemd, "kubelet.service: Deactivated successfully."),
    (Source::Systemd, "Stopped kubelet: The Kubernetes Node Agent."),
    (Source::Systemd, "kubelet.service: Scheduled restart job, restart counter is at 1."),
    (Source::Systemd, "cron.service: Failed with result 'exit-code'."),
    (Source::Kernel, "EXT4-fs (sda1): mounted filesystem with ordered data mode. Opts: (null). Quota mode: none."),
    (Source::Kernel, "EXT4-fs (sda1): re-mounted. Opts: errors=remount-ro"),
    (Source::Kernel, "blk_update_request: I/O error, dev fd0, sector 0 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 0"),
    (Source::Kernel, "I/O error, dev sr0, sector 0 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2"),
    (Source::Kernel, "critical target error, dev sda, sector 8 op 0x3:(DISCARD) flags 0x800 phys_seg 1 prio class 2"),
    (Source::Kernel, "mce: CPU0: Thermal monitoring enabled (TM1)"),
    (Source::Kernel, "mce: [Hardware Error]: Machine check events logged"),
    (Source::Kernel, "EDAC MC0: Giving out device to module i10nm_edac controller Intel_10nm Socket#0 IMC#0"),
    (
        Source::Kernel,
        "EDAC MC0: 1 CE memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0 (channel:1 slot:0 page:0x12fe4 offset:0x380 grain:32 syndrome:0x0)",
    ),
    (Source::Kernel, "WARNING: CPU: 3 PID: 912 at net/core/dev.c:3012 skb_warn_bad_offload+0x100/0x110"),
    (
        Source::Kernel,
        "traps: java[22109] general protection fault ip:7f3c1a000000 sp:7ffd12345678 error:0 in libc.so.6[7f3c19e00000+195000]",
    ),
    (Source::Kernel, "java[22109]: segfault at 0 ip 00007f3c1a000000 sp 00007ffd12345678 error 4 in libjvm.so[7f3c19e00000+195000]"),
    // Names of processes (15 bytes) that look like the kernel's own words.
    (
        Source::Kernel,
        "Oops: 0002 [#1][4711]: segfault at 0 ip 00007f3c1a000000 sp 00007ffd12345678 error 4 in libjvm.so[7f3c19e00000+195000]",
    ),
    (Source::Kernel, "traps: Oops: 0000 [#1][4711] general protection fault ip:7f3c1a000000 sp:7ffd12345678 error:0 in x[400000+1000]"),
    (Source::Kernel, "[   4711]  1000  4711     2560        1    53248        0             0 Oops: 0000 [#1]"),
    (
        Source::Kernel,
        r#"audit: type=1701 audit(1714471810.118:88): auid=1000 uid=1000 gid=1000 ses=2 pid=4711 comm="Oops: 0000 [#1]" exe="/tmp/x" sig=11 res=1"#,
    ),
    (Source::Other, "etcdserver: mvcc: database space exceeded"),
    (Source::Other, "unable to select an IP from default routes"),
    (
        Source::Runtime,
        r#"time="2026-01-08T10:00:01Z" level=error msg="Handler for GET /v1.52/info returned error: client version 1.52 is too new. Maximum supported API version is 1.47""#,
    ),
    (Source::Kernel, "NMI watchdog: Enabled. Permanently consumes one hw-PMU counter."),
    (Source::Kernel, "INFO: NMI handler (perf_event_nmi_handler) took too long to run: 2.012 msecs"),
    (Source::Kernel, "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024"),
    (Source::Kernel, "ata2: SATA link down (SStatus 0 SControl 300)"),
    (Source::Kernel, "nvme nvme0: 4/0/0 default/read/poll queues"),
    (Source::Kernel, "md/raid1:md0: active with 2 out of 2 mirrors"),
    (Source::Kernel, "device-mapper: multipath service-time: version 0.3.0 loaded"),
    (Source::Kernel, "EXT4-fs (sdb1): recovery complete"),
    (Source::Kernel, "XFS (dm-0): Ending clean mount"),
    (Source::Kernel, "BTRFS info (device sda3): using crc32c (crc32c-intel) checksum algorithm"),
    (Source::Kernel, "hrtimer: interrupt took 3201142 ns"),
    (Source::Kernel, "rcu: Hierarchical SRCU implementation."),
    (
        Source::Kubelet,
        r#"W0418 10:00:08.000000    1500 manager.go:279] "Continue after failing to read checkpoint file. Device allocation info may NOT be up-to-date" err="checkpoint is not found""#,
    ),
    (Source::Other, "The connection to the server localhost:8080 was refused - did you specify the right host or port?"),
    (Source::Other, "Get \"https://10.96.0.1:443/api/v1/namespaces\": dial tcp 10.96.0.1:443: i/o timeout"),
    // A kubelet that may not raise its own limits goes on without.
    (
        Source::Kubelet,
        r#"I1122 00:55:40.171368   15911 server.go:938] "Failed to ApplyOOMScoreAdj" err="write /proc/self/oom_score_adj: permission denied""#,
    ),
    // Limits, modules and interfaces: what looks like trouble and is every node's daily life.
    (
        Source::Kubelet,
        "W0305 12:55:01.004438    4417 container_manager_linux.go:440] Invalid kernel flag: vm/overcommit_memory, expected value: 1, actual value: 0",
    ),
    (
        Source::Kubelet,
        r#"I0305 12:55:01.004438    4417 container_manager_linux.go:514] "Updating kernel flag" flag="vm/overcommit_memory" expectedValue=1 actualValue=0"#,
    ),
    (
        Source::Kubelet,
        r#"E0305 12:55:01.004438    4417 file.go:104] "Unable to read config path" err="path does not exist, ignoring" path="/etc/kubernetes/manifests""#,
    ),
    (
        Source::Kubelet,
        r#"E0305 12:55:02.004438    4417 iptables.go:575] "Could not set up iptables canary" err="error creating chain \"KUBE-KUBELET-CANARY\": exit status 3: ip6tables v1.8.4 (legacy): can't initialize ip6tables table `nat': Table does not exist (do you need to insmod?)" table="nat" chain="KUBE-KUBELET-CANARY""#,
    ),
    (
        Source::Kubelet,
        r#"I0305 12:55:02.004438    4417 flags.go:64] FLAG: --register-with-taints="node.cloudprovider.kubernetes.io/uninitialized=true:NoSchedule""#,
    ),
    (
        Source::Kubelet,
        r#"W0305 12:55:02.004438    4417 info.go:53] Couldn't collect info from any of the files in "/etc/machine-id,/var/lib/dbus/machine-id""#,
    ),
    (
        Source::Kubelet,
        r#"I0305 12:55:02.004438    4417 nodeshutdown_manager_linux.go:137] "Creating node shutdown manager" shutdownGracePeriodRequested="30s" shutdownGracePeriodCriticalPods="10s" shutdownGracePeriodByPodPriority=[]"#,
    ),
    (
        Source::Kubelet,
        r#"E0305 12:55:03.004438    4417 dns.go:153] "Nameserver limits exceeded" err="Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 10.0.0.2 10.0.0.3 10.0.0.4""#,
    ),
    (Source::Bundle, r#"time="2024-02-11T09:10:11Z" level=warning msg="Failed to load kernel module br_netfilter with modprobe""#),
    (Source::Other, "Couldn't write '1' to 'net/bridge/bridge-nf-call-iptables', ignoring: No such file or directory"),
    (Source::Other, "cali12d4a061371: Lost carrier"),
    (Source::Other, "veth71f7a31c: Lost carrier"),
    (Source::Kernel, "r8169 0000:03:00.0 enp3s0: Link is Down"),
    (Source::Kernel, "e1000e 0000:00:1f.6 eno1: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: Rx/Tx"),
    (Source::Kernel, "cni0: port 2(veth71f7a31c) entered disabled state"),
    (
        Source::Kernel,
        r#"audit: type=1400 audit(1714471810.118:412): avc:  denied  { read } for  pid=4700 comm="kubelet" name="x" dev="dm-0" ino=68157 scontext=system_u:system_r:kubelet_t:s0 tcontext=system_u:object_r:var_t:s0 tclass=file permissive=1"#,
    ),
    (
        Source::Kernel,
        r#"audit: type=1400 audit(1714471810.118:88): apparmor="DENIED" operation="ptrace" profile="cri-containerd.apparmor.d" pid=4711 comm="containerd" requested_mask="read" denied_mask="read" peer="unconfined""#,
    ),
    (
        Source::Kernel,
        "nf_conntrack: default automatic helper assignment has been turned off for security reasons and CT-based firewall rule not found.",
    ),
    (Source::Systemd, "Reached target Multi-User System."),
    // A user's own systemd at a logout.
    (Source::Systemd, "Reached target Shutdown."),
    (Source::Systemd, "Reached target shutdown.target - Shutdown."),
    (Source::Other, "Shutting down."),
    (Source::Systemd, "Stopped target Timers."),
    // crictl without a configuration tries one socket after the other; cAdvisor looks for every runtime.
    (
        Source::Unknown,
        r#"ERRO[0000] validate service connection: validate CRI v1 runtime API for endpoint "unix:///var/run/dockershim.sock": rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial unix /var/run/dockershim.sock: connect: no such file or directory""#,
    ),
    (
        Source::Unknown,
        r#"time="2024-05-06T07:08:09Z" level=error msg="validate service connection: validate CRI v1 runtime API for endpoint \"unix:///run/crio/crio.sock\": rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial unix /run/crio/crio.sock: connect: no such file or directory\"""#,
    ),
    (
        Source::Kubelet,
        r#"I1122 00:51:54.508713    7147 factory.go:219] Registration of the docker container factory failed: failed to validate Docker info: failed to detect Docker info: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"#,
    ),
    // A kubelet until 1.13 before it has asked its runtime for the first time; conditions of a node that is well, or has just started.
    (
        Source::Kubelet,
        "I0429 04:15:01.160048   32157 kubelet.go:1794] skipping pod synchronization - [container runtime is down PLEG is not healthy: pleg was last seen active 2562047h47m16.854775807s ago; threshold is 3m0s]",
    ),
    (Source::Kubelet, "I0429 04:15:01.260129   32157 kubelet.go:1794] skipping pod synchronization - [container runtime is down]"),
    (
        Source::Kubelet,
        "I0429 04:15:01.260129   32157 kubelet_node_status.go:796] Node became not ready: {Type:Ready Status:False LastHeartbeatTime:2018-04-29 04:15:01 +0000 UTC LastTransitionTime:2018-04-29 04:15:01 +0000 UTC Reason:KubeletNotReady Message:container runtime is down}",
    ),
    (
        Source::Unknown,
        "  Ready            True    Tue, 04 Mar 2025 10:11:12 +0000   Tue, 04 Mar 2025 10:01:02 +0000   KubeletReady                 kubelet is posting ready status. AppArmor enabled",
    ),
    (
        Source::Unknown,
        "  Ready            False   Tue, 04 Mar 2025 10:11:12 +0000   Tue, 04 Mar 2025 10:11:12 +0000   KubeletNotReady              [container runtime status check may not have completed yet, PLEG is not healthy: pleg has yet to be successful]",
    ),
    (
        Source::Unknown,
        "  MemoryPressure   Unknown   Tue, 04 Mar 2025 10:11:12 +0000   Tue, 04 Mar 2025 10:12:02 +0000   NodeStatusUnknown   Kubelet stopped posting node status.",
    ),
    // Programs of pods, and of the user's own, crash and misread their flags as well.
    (Source::Unknown, "panic: runtime error: invalid memory address or nil pointer dereference"),
    (Source::Kubelet, "http: panic serving 10.0.0.9:40122: runtime error: index out of range"),
    (Source::Unknown, "Error: unknown flag: --short"),
    (Source::Unknown, "modprobe: FATAL: Module aufs not found."),
    // kubeadm's preflight warns of what it can do without.
    (Source::Unknown, "	[WARNING SystemVerification]: missing optional cgroups: hugetlb blkio"),
    (Source::Unknown, "CGROUPS_HUGETLB: missing"),
    (
        Source::Unknown,
        "	[WARNING SystemVerification]: cgroups v1 support is deprecated and will be removed in a future release. Please migrate to cgroups v2.",
    ),
    (Source::Systemd, "Dependency failed for Network Manager Wait Online."),
    (Source::Systemd, "Failed to start Daily apt download activities."),
    (Source::Unknown, "standard_init_linux.go:228: exec user process caused: exec format error"),
    (Source::Other, "	[WARNING Swap]: running with swap on is not supported. Please disable swap"),
];

#[test]
fn what_healthy_nodes_print_is_no_sign_of_anything_critical() {
    let mut wrong = Vec::new();
    for (source, line) in HARMLESS {
        for (code, index) in claimed_by(*source, line) {
            let alone = log_signs(catalogue().cause(&code).unwrap()).any(|(at, sign)| at == index && sign.count == 1);
            if alone {
                wrong.push(format!("{code} sign {index}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
