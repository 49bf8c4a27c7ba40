use super::*;
use crate::checks::kubelet::config;
use crate::checks::kubelet::flags::Flags;
use crate::checks::testing::Node;

const HEAD: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";

fn fault_of(flags: &[(&str, &str)], yaml: &str, version: Option<u32>) -> Option<Fault> {
    let node = Node::new().file("/c.yaml", format!("{HEAD}{yaml}"));
    let config = config::load(&node.host(), Some("/c.yaml"), None).unwrap();
    let flags: Flags = flags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    examine(&Settings { flags: &flags, config: &config, version })
}

fn words(yaml: &str) -> String {
    fault_of(&[], yaml, None).map(|fault| fault.words).unwrap_or_default()
}

/// What kubeadm, EKS, AKS, GKE and OpenShift write, in substance.
#[test]
fn configurations_as_they_are_met_are_accepted() {
    for yaml in [
        "",
        "cpuManagerReconcilePeriod: 0s\nsyncFrequency: 0s\nnodeStatusReportFrequency: 0s\nimageMinimumGCAge: 0s\nshutdownGracePeriod: 0s\nshutdownGracePeriodCriticalPods: 0s\nmemorySwap: {}\nlogging: {flushFrequency: 0, options: {json: {infoBufferSize: '0'}}, verbosity: 0}\n",
        "evictionHard: {memory.available: 100Mi, nodefs.available: 10%, nodefs.inodesFree: 5%}\nkubeReserved: {cpu: 70m, ephemeral-storage: 1Gi, memory: 574Mi}\nkubeReservedCgroup: /runtime\nsystemReservedCgroup: /system\n",
        "evictionHard: {imagefs.available: 0%, nodefs.available: 0%, pid.available: '2000'}\nimageGCHighThresholdPercent: 100\nimageGCLowThresholdPercent: 80\n",
        "evictionSoft: {memory.available: 1.5Gi}\nevictionSoftGracePeriod: {memory.available: 1m30s}\nevictionMinimumReclaim: {memory.available: 0Mi, imagefs.available: 2Gi}\n",
        "cpuManagerPolicy: static\ncpuManagerPolicyOptions: {full-pcpus-only: 'true'}\nreservedSystemCPUs: 0-1,4\ntopologyManagerPolicy: single-numa-node\n",
        "cpuManagerPolicy: static\nsystemReserved: {cpu: 500m, memory: 1Gi}\n",
        "memoryManagerPolicy: Static\nkubeReserved: {memory: 500Mi}\nsystemReserved: {memory: 524Mi}\nevictionHard: {memory.available: 100Mi}\nreservedMemory: [{numaNode: 0, limits: {memory: 1124Mi}}]\n",
        "cgroupsPerQOS: false\nenforceNodeAllocatable: []\n",
        "cgroupsPerQOS: true\nenforceNodeAllocatable: [pods, kube-reserved]\nkubeReservedCgroup: /kube.slice\n",
        "tlsCipherSuites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]\ntlsMinVersion: VersionTLS12\n",
        "allowedUnsafeSysctls: [kernel.msg*, net.core.somaxconn, net.ipv4.*, fs/mqueue/msg_max]\ncontainerLogMaxSize: 50Mi\ncontainerLogMaxFiles: 2\n",
        "shutdownGracePeriod: 60s\nshutdownGracePeriodCriticalPods: 10s\nmaxParallelImagePulls: 0\nport: 0\nhealthzPort: 0\nreadOnlyPort: 0\n",
        "featureGates: {NodeSwap: false, SidecarContainers: false, NoSuchGate: true}\ncpuCFSQuotaPeriod: 50ms\n",
    ] {
        assert_eq!(words(yaml), "", "{yaml}");
    }
}

#[test]
fn what_every_kubelet_refuses_is_refused_with_its_place() {
    for (yaml, said) in [
        ("port: 70000\n", "/c.yaml:3: port has to be between 0 and 65535, not 70000"),
        ("maxPods: -1\n", "/c.yaml:3: maxPods has to be at least 0, not -1"),
        ("oomScoreAdj: 1001\n", "/c.yaml:3: oomScoreAdj has to be between -1000 and 1000, not 1001"),
        (
            "imageGCHighThresholdPercent: 70\n",
            "/c.yaml:3: imageGCHighThresholdPercent (70) has to be more than imageGCLowThresholdPercent (80, the default)",
        ),
        (
            "imageGCHighThresholdPercent: 80\nimageGCLowThresholdPercent: 80\n",
            "/c.yaml:4: imageGCLowThresholdPercent (80) has to be less than imageGCHighThresholdPercent (80)",
        ),
        ("memoryThrottlingFactor: 1.5\n", "/c.yaml:3: memoryThrottlingFactor has to be more than 0 and at most 1, not 1.5"),
        (
            "topologyManagerPolicy: strict\n",
            "/c.yaml:3: topologyManagerPolicy has to be none, best-effort, restricted or single-numa-node, not \"strict\"",
        ),
        ("logging:\n  format: yaml\n", "/c.yaml:4: logging.format has to be text or json, not \"yaml\""),
        (
            "shutdownGracePeriodCriticalPods: 10s\n",
            "/c.yaml:3: shutdownGracePeriodCriticalPods has to be at most shutdownGracePeriod, of which it is a part",
        ),
        ("shutdownGracePeriod: 100ms\n", "/c.yaml:3: shutdownGracePeriod has to be 0 or at least 1s"),
        ("cpuCFSQuotaPeriod: 2s\n", "/c.yaml:3: cpuCFSQuotaPeriod has to be between 1ms and 1s"),
        (
            "kubeReserved:\n  cpu: 100m\n  disk: 1Gi\n",
            "/c.yaml:5: kubeReserved.disk cannot be reserved: \"disk\" is not cpu, memory, ephemeral-storage or pid",
        ),
        ("systemReserved:\n  memory: 500mb\n", "/c.yaml:4: systemReserved.memory is no quantity such as 500m or 1Gi for memory: \"500mb\""),
        (
            "enforceNodeAllocatable: [pods, system-reserved]\n",
            "/c.yaml:3: enforceNodeAllocatable has system-reserved, which needs systemReservedCgroup",
        ),
        (
            "enforceNodeAllocatable: [pod]\n",
            "/c.yaml:3: enforceNodeAllocatable can hold pods, system-reserved, kube-reserved or none, not \"pod\"",
        ),
        ("cgroupsPerQOS: false\n", "/c.yaml:3: cgroupsPerQOS is false, which only goes with an empty enforceNodeAllocatable"),
        ("reservedSystemCPUs: 3-1\n", "/c.yaml:3: reservedSystemCPUs is no list of CPUs such as 0-1,4: \"3-1\""),
        ("reservedMemory: [{numaNode: 0, limits: {memory: 0}}]\n", "/c.yaml:3: reservedMemory has 0 for memory of NUMA node 0"),
        ("evictionHard:\n  memory.free: 100Mi\n", "/c.yaml:4: evictionHard.memory.free names no eviction signal: \"memory.free\""),
        (
            "evictionHard:\n  memory.available: 100mb\n",
            "/c.yaml:4: evictionHard.memory.available is no quantity such as 500Mi, and no percentage, for memory.available: \"100mb\"",
        ),
        (
            "evictionHard:\n  nodefs.available: 110%\n",
            "/c.yaml:4: evictionHard.nodefs.available has to be between 0% and 100% for nodefs.available, not 110%",
        ),
        (
            "evictionHard:\n  nodefs.available: '0'\n",
            "/c.yaml:4: evictionHard.nodefs.available has to be more than 0 for nodefs.available, not 0",
        ),
        (
            "evictionSoft:\n  memory.available: 1Gi\n",
            "/c.yaml:4: evictionSoft.memory.available needs a time in evictionSoftGracePeriod for memory.available",
        ),
        (
            "cpuManagerPolicy: static\n",
            "/c.yaml:3: cpuManagerPolicy is static, which needs CPUs kept back: kubeReserved.cpu, systemReserved.cpu or reservedSystemCPUs",
        ),
        (
            "cpuManagerPolicyOptions:\n  full-pcpus-only: 'true'\n",
            "/c.yaml:4: cpuManagerPolicyOptions.full-pcpus-only (full-pcpus-only) goes only with cpuManagerPolicy static",
        ),
        (
            "memoryManagerPolicy: Static\nevictionHard: {memory.available: 100Mi}\nreservedMemory: [{numaNode: 0, limits: {memory: 1Gi}}]\n",
            "/c.yaml:3: memoryManagerPolicy is Static, which needs reservedMemory (1073741824 bytes of memory on all NUMA nodes) to be kubeReserved, systemReserved and evictionHard together (104857600 bytes)",
        ),
        (
            "tlsCipherSuites: [ECDHE-RSA-AES128-GCM-SHA256]\n",
            "/c.yaml:3: tlsCipherSuites names a cipher suite that Go does not have: \"ECDHE-RSA-AES128-GCM-SHA256\"",
        ),
        ("containerLogMaxSize: 10MB\n", "/c.yaml:3: containerLogMaxSize is no quantity such as 10Mi: \"10MB\""),
        ("systemCgroups: /system\n", "/c.yaml:3: systemCgroups needs cgroupRoot"),
    ] {
        assert_eq!(words(yaml), said, "{yaml}");
    }
    assert!(words("allowedUnsafeSysctls: [vm.swappiness]\n").starts_with("/c.yaml:3: allowedUnsafeSysctls has \"vm.swappiness\""));
}

#[test]
fn a_flag_hides_the_field_and_is_refused_by_its_own_name() {
    let fault = fault_of(&[("eviction-hard", "memory.available<100mb")], "", None).unwrap();
    assert!(fault.of_flag && fault.words.starts_with("flag --eviction-hard is no quantity"), "{fault:?}");
    assert_eq!(fault_of(&[("max-pods", "110")], "maxPods: -1\n", None), None);
    assert_eq!(fault_of(&[("kube-reserved", "cpu=100m")], "cpuManagerPolicy: static\n", None), None);
    assert!(!fault_of(&[], "maxPods: -1\n", None).unwrap().of_flag);
}

#[test]
fn what_differs_between_versions_is_told_only_of_a_known_one() {
    let refused = |yaml: &str, version| fault_of(&[], yaml, version).map(|fault| fault.words);
    assert_eq!(refused("containerLogMaxWorkers: 0\n", None), None);
    assert_eq!(refused("containerLogMaxWorkers: 0\n", Some(29)), None);
    assert_eq!(refused("containerLogMaxWorkers: 0\n", Some(31)).unwrap(), "/c.yaml:3: containerLogMaxWorkers has to be at least 1, not 0");
    let gates = "featureGates:\n  NodeSwap: false\n";
    assert_eq!(refused(gates, Some(33)), None);
    assert_eq!(
        refused(gates, Some(35)).unwrap(),
        "/c.yaml:4: featureGates.NodeSwap cannot be false (NodeSwap): Kubernetes 1.34 and later lock it to true"
    );
    assert_eq!(refused("evictionHard: {some.thing: 1Gi}\n", Some(40)), None, "a later kubelet may know more signals");
}

#[test]
fn hostile_values_are_refused_or_passed_over_and_never_counted() {
    for yaml in [
        "kubeReserved: {cpu: '99999999999999999999999999999999999999999999E'}\n",
        "evictionHard: {memory.available: '%'}\n",
        "reservedMemory: [1, {limits: []}]\n",
        "reservedSystemCPUs: '-,,9999999999999'\n",
        "featureGates: {'': true}\n",
    ] {
        let node = Node::new().file("/c.yaml", format!("{HEAD}{yaml}"));
        if let Ok(config) = config::load(&node.host(), Some("/c.yaml"), None) {
            let _ = examine(&Settings { flags: &Flags::new(), config: &config, version: Some(36) });
        }
    }
}
