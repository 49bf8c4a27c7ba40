use nodewhy_diagnosis::MissingKind;

use super::*;
use crate::checks::testing::Node;

const CONFIG: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nfailSwapOn: true\ncgroupDriver: systemd\n";

fn kubeadm() -> UnitDefinition {
    UnitDefinition {
        name: "kubelet.service".into(),
        load_state: "loaded".into(),
        fragment_path: "/lib/systemd/system/kubelet.service".into(),
        exec_start: [
            "/usr/bin/kubelet",
            "--config=/var/lib/kubelet/config.yaml",
            "--kubeconfig=/etc/kubernetes/kubelet.conf",
            "$KUBELET_EXTRA_ARGS",
        ]
        .map(str::to_owned)
        .to_vec(),
        environment_files: vec![("/etc/default/kubelet".into(), true)],
        ..UnitDefinition::default()
    }
}

fn facts_of(node: &Node, definition: Option<UnitDefinition>) -> Facts {
    let kubelet = definition.as_ref().map(|unit| unit.name.clone());
    let units = FoundUnits { kubelet, looked_in: vec!["kubelet.service".into()], ..FoundUnits::default() };
    let mut facts = presence::report(&node.look_for(&DISCOVER), &Ok(units.clone()));
    node.assert_reports_its_own(&DISCOVER, &facts);
    let found = report(&node.look_for(&CHECK), Found { units: Ok(units), definition: definition.map(Ok) });
    node.assert_reports_its_own(&CHECK, &found);
    facts.absorb(found);
    facts
}

fn proc() -> Node {
    Node::new().file("/proc/1/comm", "systemd\n").known(fact::KUBELET_UNIT_MAIN_PID, 0)
}

#[test]
fn a_kubeadm_node_is_read_from_unit_and_file() {
    let node = proc()
        .file("/var/lib/kubelet/config.yaml", CONFIG)
        .file("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--hostname-override=Worker-1\n");
    let facts = facts_of(&node, Some(kubeadm()));
    assert_eq!(facts.known(fact::NODE_IS_KUBERNETES), Some(true));
    assert_eq!(facts.known(fact::NODE_NAME).unwrap(), "worker-1");
    assert_eq!(facts.known(fact::KUBELET_CONFIG_PATH).unwrap(), "/var/lib/kubelet/config.yaml");
    assert_eq!(facts.known(fact::KUBELET_CONFIG_VALID), Some(true));
    assert_eq!(facts.value("kubelet.config.error").unwrap_err().kind, MissingKind::NotApplicable);
    assert_eq!(facts.known(fact::KUBELET_CONFIG_FAIL_SWAP_ON), Some(true));
    assert_eq!(facts.known(fact::KUBELET_CONFIG_FAIL_SWAP_ON_FROM).unwrap(), "/var/lib/kubelet/config.yaml:3");
    assert_eq!(facts.known(fact::KUBELET_CONFIG_CGROUP_DRIVER).unwrap(), "systemd");
    assert_eq!(facts.known(fact::KUBELET_CONFIG_HEALTHZ_PORT), Some(10248));
    assert_eq!(facts.known(fact::KUBELET_KUBECONFIG_PATH).unwrap(), "/etc/kubernetes/kubelet.conf");
    assert_eq!(facts.known(fact::KUBELET_CONFIG_CERT_DIR).unwrap(), "/var/lib/kubelet/pki");
    assert_eq!(facts.known(fact::KUBELET_FLAGS_FROM).unwrap(), "/lib/systemd/system/kubelet.service, /etc/default/kubelet");
    assert_eq!(facts.value("kubelet.bootstrap.path").unwrap_err().kind, MissingKind::NotApplicable);
}

#[test]
fn a_missing_configuration_file_leaves_its_values_unknown() {
    let facts = facts_of(&proc(), Some(kubeadm()));
    assert_eq!(facts.known(fact::KUBELET_CONFIG_EXISTS), Some(false));
    assert_eq!(facts.value("kubelet.config.valid").unwrap_err().kind, MissingKind::NotApplicable);
    let swap = facts.value("kubelet.config.fail_swap_on").unwrap_err();
    assert_eq!((swap.kind, swap.why.as_str()), (MissingKind::Failed, "open /var/lib/kubelet/config.yaml: No such file or directory"));
}

#[test]
fn an_invalid_configuration_file_is_invalid_with_its_place() {
    let node = proc().file("/var/lib/kubelet/config.yaml", format!("{CONFIG}port: ten\n"));
    let facts = facts_of(&node, Some(kubeadm()));
    assert_eq!(facts.known(fact::KUBELET_CONFIG_EXISTS), Some(true));
    assert_eq!(facts.known(fact::KUBELET_CONFIG_VALID), Some(false));
    assert_eq!(
        facts.known(fact::KUBELET_CONFIG_ERROR).unwrap(),
        "/var/lib/kubelet/config.yaml:5: port has to be a whole number, not the string \"ten\""
    );
    assert!(facts.value("kubelet.config.port").is_err());
}

#[test]
fn a_kubelet_without_kubeconfig_or_config_runs_standalone_on_defaults() {
    let unit = UnitDefinition { exec_start: vec!["/usr/bin/kubelet".into()], ..kubeadm() };
    let facts = facts_of(&proc(), Some(unit));
    for path in ["kubelet.kubeconfig.path", "kubelet.config.path", "kubelet.config.exists", "kubelet.config.valid"] {
        assert_eq!(facts.value(path).unwrap_err().kind, MissingKind::NotApplicable, "{path}");
    }
    assert_eq!(facts.known(fact::KUBELET_CONFIG_FAIL_SWAP_ON_FROM).unwrap(), "default");
}

#[test]
fn a_drop_in_directory_that_is_not_there_is_absent_and_nothing_is_invalid() {
    let unit = || {
        let words = ["/usr/bin/kubelet", "--config=/var/lib/kubelet/config.yaml", "--config-dir=/etc/kubernetes/kubelet.conf.d"];
        UnitDefinition { exec_start: words.map(str::to_owned).to_vec(), ..kubeadm() }
    };
    let node = proc().file("/var/lib/kubelet/config.yaml", CONFIG);
    let facts = facts_of(&node, Some(unit()));
    assert_eq!(facts.known(fact::KUBELET_CONFIG_EXISTS), Some(false));
    assert_eq!(facts.known(fact::KUBELET_CONFIG_ABSENT).unwrap(), "/etc/kubernetes/kubelet.conf.d");
    assert_eq!(facts.value("kubelet.config.valid").unwrap_err().kind, MissingKind::NotApplicable);
    let facts = facts_of(&node.file("/etc/kubernetes/kubelet.conf.d/10.conf", CONFIG), Some(unit()));
    assert_eq!((facts.known(fact::KUBELET_CONFIG_EXISTS), facts.known(fact::KUBELET_CONFIG_VALID)), (Some(true), Some(true)));
    assert_eq!(facts.value("kubelet.config.absent").unwrap_err().kind, MissingKind::NotApplicable);
}

#[test]
fn a_proxy_is_told_without_its_password() {
    let node = proc().file("/etc/default/kubelet", "HTTPS_PROXY=http://me:secret@proxy:3128\nno_proxy=.svc,10.0.0.0/8\n");
    let facts = facts_of(&node, Some(kubeadm()));
    assert_eq!(facts.known(fact::KUBELET_ENVIRONMENT_HTTPS_PROXY).unwrap(), "http://***@proxy:3128");
    assert_eq!(facts.known(fact::KUBELET_ENVIRONMENT_NO_PROXY).unwrap(), ".svc,10.0.0.0/8");
    let none = facts_of(&proc(), Some(kubeadm()));
    assert_eq!(none.value("kubelet.environment.https_proxy").unwrap_err().kind, MissingKind::NotApplicable);
}

#[test]
fn a_masked_kubelet_is_still_configured_by_the_files_that_are_there() {
    let node = proc().file("/var/lib/kubelet/config.yaml", CONFIG).file("/etc/kubernetes/kubelet.conf", "");
    let masked = UnitDefinition { name: "kubelet.service".into(), load_state: "masked".into(), ..UnitDefinition::default() };
    let facts = facts_of(&node, Some(masked));
    assert!(facts.value("kubelet.flags").is_err());
    assert_eq!(facts.known(fact::KUBELET_CONFIG_PATH).unwrap(), "/var/lib/kubelet/config.yaml");
    assert_eq!(facts.known(fact::KUBELET_KUBECONFIG_PATH).unwrap(), "/etc/kubernetes/kubelet.conf");
}

#[test]
fn a_host_without_kubelet_has_nothing_to_look_at_and_says_where_it_looked() {
    let facts = facts_of(&proc(), None);
    assert_eq!(facts.known(fact::NODE_IS_KUBERNETES), Some(false));
    assert!(facts.known(fact::NODE_NAME).is_some());
    assert!(facts.known(fact::NODE_LOOKED_IN).unwrap().contains(&"/etc/kubernetes/kubelet.conf".to_owned()));
    for path in ["kubelet.flags", "kubelet.config.port", "kubelet.kubeconfig.path", "kubelet.bootstrap.exists"] {
        assert_eq!(facts.value(path).unwrap_err().kind, MissingKind::NotApplicable, "{path}");
    }
}

#[test]
fn a_host_whose_only_kubelet_is_a_containers_is_no_node() {
    let kind = proc().file("/proc/7/comm", "kubelet\n").file("/proc/7/status", "NSpid:\t7\t1\n");
    assert_eq!(facts_of(&kind, None).known(fact::NODE_IS_KUBERNETES), Some(false));
}

#[test]
fn without_systemd_to_ask_the_unit_files_and_processes_decide() {
    let silent = || Err(failed("the system bus does not answer"));
    let node = proc();
    assert_eq!(presence::report(&node.look_for(&DISCOVER), &silent()).known(fact::NODE_IS_KUBERNETES), Some(false));
    node.write("/etc/systemd/system/k3s-agent.service", "");
    assert_eq!(presence::report(&node.look_for(&DISCOVER), &silent()).known(fact::NODE_IS_KUBERNETES), Some(true));
    let facts = report(&node.look_for(&CHECK), Found { units: silent(), definition: None });
    assert_eq!(facts.known(fact::KUBELET_CONFIG_FAIL_SWAP_ON_FROM).unwrap(), "k3s");
    assert_eq!(facts.value("kubelet.config.cgroup_driver").unwrap_err().kind, MissingKind::NotApplicable);
}

#[test]
fn a_host_that_cannot_be_searched_is_unknown_and_not_free_of_kubernetes() {
    let facts = facts_of(&Node::new(), None);
    assert!(facts.value("node.is_kubernetes").is_err(), "there is no /proc here");
    assert_eq!(facts.value("kubelet.flags").unwrap_err().kind, MissingKind::Failed);
}
