//! From a base tree to a running systemd.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};

use super::kernel::Kernel;
use super::{Plan, network, nodefs};
use crate::cgroup;
use crate::command::run;
use crate::slot::SlotNumber;
use crate::wait::until_blocking;

/// Room for all that a node writes. In memory: the machine's own disk, however full, is not the node's.
const NODE_TMPFS: &str = "size=1g,mode=755";
/// Directory of the node that its swap file lies in; on a real disk of the machine, as swap needs.
const SWAP_DIR: &str = "/swap";
/// The kubelet's directory in the node.
const NODEFS_AT: &str = "/var/lib/kubelet";
/// With all units started. A machine under load takes its time.
const BOOTED_WITHIN: Duration = Duration::from_secs(60);

/// Boots, and gives the node's PID 1.
pub(super) fn boot(slot: SlotNumber, plan: &Plan) -> Result<(u32, Option<Kernel>)> {
    let base =
        PathBuf::from(run(&[Path::new(env!("CARGO_MANIFEST_DIR")).join("make-base.sh")]).context("cannot make the base tree")?.trim());
    let root = lay_root(slot, &base)?;
    let nodefs = plan.nodefs.as_ref().map(|nodefs| nodefs::make(slot, nodefs)).transpose()?;
    write_files(slot, plan, &root, nodefs.as_deref())?;
    let mut binds = vec![format!("--bind={}:{SWAP_DIR}", slot.dir().join("swap").display())];
    binds.extend(nodefs.map(|mounted| format!("--bind={}:{NODEFS_AT}", mounted.display())));
    binds.extend(plan.programs.iter().map(|(from, to)| format!("--bind-ro={}:{}", from.display(), to.display())));
    let kernel = plan.hears_kernel.then(|| Kernel::listen(slot)).transpose()?;
    binds.extend(kernel.as_ref().map(|kernel| format!("--bind={}:/dev/kmsg", kernel.pipe.display())));
    let mut nspawn = start(slot, &root, &binds)?;
    let init = until_blocking("the node's systemd is there", BOOTED_WITHIN, || find_init(&mut nspawn, slot))?;
    network::bring_up(slot)?;
    until_blocking("the node has booted", BOOTED_WITHIN, || {
        // Blocks until boot is over; "degraded" ends with 1. Before D-Bus is there it says so and ends.
        let output = crate::command::output(&inside(init, &["systemctl", "is-system-running", "--wait"]))?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match said.as_str() {
            "running" | "degraded" => Ok(Some(())),
            other => bail!("systemd says {other:?} {}", String::from_utf8_lossy(&output.stderr).trim()),
        }
    })?;
    Ok((init, kernel))
}

/// The command line that runs another one in all namespaces of the node.
pub(super) fn inside(init: u32, argv: &[&str]) -> Vec<String> {
    let target = init.to_string();
    let enter = ["nsenter", "-t", &target, "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--"];
    enter.iter().chain(argv).map(|word| (*word).to_owned()).collect()
}

/// An overlay on the base tree.
fn lay_root(slot: SlotNumber, base: &Path) -> Result<PathBuf> {
    let tmpfs = slot.dir().join("tree");
    let [upper, work, root] = ["upper", "work", "root"].map(|name| tmpfs.join(name));
    fs::create_dir_all(&tmpfs)?;
    fs::create_dir_all(slot.dir().join("swap"))?;
    mount(Some("nodewhy"), &tmpfs, Some("tmpfs"), MsFlags::empty(), Some(NODE_TMPFS)).context("cannot mount the node's tmpfs")?;
    for dir in [&upper, &work, &root] {
        fs::create_dir(dir)?;
    }
    let layers = format!("lowerdir={},upperdir={},workdir={}", base.display(), upper.display(), work.display());
    mount(Some("nodewhy"), &root, Some("overlay"), MsFlags::empty(), Some(layers.as_str())).context("cannot mount the node's overlay")?;
    Ok(root)
}

fn write_files(slot: SlotNumber, plan: &Plan, root: &Path, nodefs: Option<&Path>) -> Result<()> {
    let machine_id = run(&["systemd-id128", "new"])?;
    let own = [
        ("/etc/machine-id", machine_id),
        ("/etc/hostname", format!("{}\n", slot.node_name())),
        ("/etc/hosts", format!("127.0.0.1 localhost\n{} {}\n", slot.node_address(), slot.node_name())),
        ("/etc/resolv.conf", format!("nameserver {}\n", slot.host_address())),
        // What the distribution does only in real machines' /var: an own directory makes the journal persistent.
        ("/var/log/journal/.keep", String::new()),
    ];
    let own = own.into_iter().map(|(path, text)| (PathBuf::from(path), text));
    for (path, text) in own.chain(plan.files.iter().cloned()) {
        let at = match (nodefs, path.strip_prefix(NODEFS_AT)) {
            (Some(nodefs), Ok(beneath)) => nodefs.join(beneath),
            _ => root.join(path.strip_prefix("/").unwrap_or(&path)),
        };
        fs::create_dir_all(at.parent().context("a file has a directory")?)?;
        fs::write(&at, text).with_context(|| format!("cannot write {}", at.display()))?;
    }
    for unit in &plan.enabled {
        let wants = root.join("etc/systemd/system/multi-user.target.wants");
        fs::create_dir_all(&wants)?;
        symlink(Path::new("/usr/lib/systemd/system").join(unit), wants.join(unit)).with_context(|| format!("cannot enable {unit}"))?;
    }
    Ok(())
}

/// systemd-nspawn in the node's own control group and network. It ends with the slot, not with this process.
fn start(slot: SlotNumber, root: &Path, binds: &[String]) -> Result<Child> {
    let groups = cgroup::make(&slot.node_group())?;
    let enter: Vec<String> = groups.iter().map(|procs| format!("echo $$ >{} && ", procs.display())).collect();
    let log = fs::File::create(slot.dir().join("console.log"))?;
    Command::new("sh")
        .arg("-c")
        .arg(format!("{}exec setsid systemd-nspawn \"$@\"", enter.concat()))
        .arg("node")
        .args([
            "-q",
            "--boot",
            "--register=no",
            "--keep-unit",
            "--console=passive",
            "--link-journal=no",
            "--resolv-conf=off",
            "--timezone=off",
        ])
        .arg("-D")
        .arg(root)
        .args(["-M", &slot.node_name()])
        .arg(format!("--network-namespace-path=/run/netns/{}", slot.node_name()))
        // What kubelet and containerd need of a machine: overlay mounts, their own cgroups, /dev/fuse and loop devices are not among it.
        .args(["--capability=all", "--system-call-filter=@keyring bpf"])
        .args(binds)
        .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
        // CNI plugins turn forwarding on, and set up the interfaces they make.
        .env("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "network")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start systemd-nspawn")
}

fn find_init(nspawn: &mut Child, slot: SlotNumber) -> Result<Option<u32>> {
    if let Some(status) = nspawn.try_wait()? {
        let said = fs::read_to_string(slot.dir().join("console.log")).unwrap_or_default();
        bail!("systemd-nspawn ended with {status}: {}", said.trim());
    }
    let parent = nspawn.id();
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
    for child in children.split_whitespace() {
        if fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name.trim() == "systemd") {
            return Ok(Some(child.parse()?));
        }
    }
    Ok(None)
}
