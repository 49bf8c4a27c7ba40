//! Static pods on the real runtime: a sandbox, an image, a container each, by CRI as the kubelet does; what goes wrong is real and is told in the
//! words of kubelet v1.36 (pkg/kubelet/kuberuntime, pkg/kubelet/images, k8s.io/cri-client).

mod api;
mod manifest;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::time::Instant;

use crate::settings::Settings;
use crate::voice::say;
use api::{
    ContainerConfig, ContainerMetadata, CreateContainerRequest, Cri, Empty, ImageSpec, PodSandboxConfig, PodSandboxMetadata, Refused,
};
use manifest::Pod;

/// pkg/kubelet syncs a pod that needs it about so often.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// pkg/kubelet/config file_linux.go retryPeriod.
const WATCH_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// pkg/kubelet initial back-off of images and containers: 10 s; a tenth here, so that tests see several rounds.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
const MAX_BACK_OFF: Duration = Duration::from_secs(8);

/// Keeps the static pods going for as long as this kubelet lives.
pub(crate) async fn run(settings: Arc<Settings>) {
    let Some(directory) = settings.config.static_pod_path.clone().map(PathBuf::from) else { return };
    tokio::spawn(watch(directory.clone()));
    let mut pods: BTreeMap<String, Running> = BTreeMap::new();
    let mut every = tokio::time::interval(SYNC_EVERY);
    loop {
        every.tick().await;
        let wanted = manifest::read(&directory, &settings.node);
        if wanted.is_empty() && pods.is_empty() {
            continue;
        }
        let Some(mut cri) = Cri::open(settings.config.socket()).await else { continue };
        let gone: Vec<String> = pods.keys().filter(|uid| wanted.iter().all(|pod| pod.uid != **uid)).cloned().collect();
        for uid in gone {
            let Some(ended) = pods.remove(&uid) else { continue };
            ended.remove_logs();
            if let Some(sandbox) = ended.sandbox {
                // A runtime that is away keeps it: a restart of the kubelet would find it, this one forgets it.
                let _ = cri.end_pod_sandbox(&sandbox).await;
            }
        }
        for pod in wanted {
            let running = pods.entry(pod.uid.clone()).or_default();
            running.sync(&mut cri, &pod).await;
        }
    }
}

/// The file source's own watch on the directory: all that matters here is what the kernel says to it.
async fn watch(directory: PathBuf) {
    let mut every = tokio::time::interval(WATCH_AGAIN_AFTER);
    loop {
        every.tick().await;
        if let Err(words) = try_watch(&directory) {
            say('E', &format!("file_linux.go:61] \"Unable to read config path\" err={words:?} path={:?}", directory.display().to_string()));
        }
    }
}

fn try_watch(directory: &Path) -> Result<(), String> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC).map_err(|errno| format!("unable to create inotify: {}", go_errno(errno)))?;
    let added = inotify.add_watch(directory, AddWatchFlags::IN_CREATE);
    added.map(drop).map_err(|errno| format!("unable to create inotify for path {:?}: {}", directory.display().to_string(), go_errno(errno)))
}

/// Go's syscall package has the words of the C library, in small letters.
fn go_errno(errno: nix::errno::Errno) -> String {
    errno.desc().to_lowercase()
}

/// A pod as far as it got.
#[derive(Debug, Default)]
struct Running {
    /// Directory and links of its logs.
    logs: Vec<PathBuf>,
    sandbox: Option<String>,
    container: Option<String>,
    attempt: u32,
    not_before: Option<Instant>,
    back_off: Duration,
}

impl Running {
    async fn sync(&mut self, cri: &mut Cri, pod: &Pod) {
        if let Some(container) = self.container.clone() {
            match cri.container_status(&container).await {
                Ok(status) if status.exited() => self.exited(pod, status.exit_code),
                _ => return,
            }
        }
        if self.not_before.is_some_and(|at| Instant::now() < at) {
            return;
        }
        let Some(sandbox) = self.sandbox(cri, pod).await else { return };
        if !has_image(cri, pod).await {
            self.wait();
            return;
        }
        match start(cri, pod, &sandbox, self.attempt).await {
            Ok(id) => {
                self.link_logs(pod, &id);
                self.container = Some(id);
            }
            Err(error) => {
                self.attempt += 1;
                self.wait();
                not_started(pod, "RunContainerError", &error.to_string());
            }
        }
    }

    fn exited(&mut self, pod: &Pod, code: i32) {
        self.container = None;
        self.attempt += 1;
        self.wait();
        say(
            'I',
            &format!(
                "kubelet.go:2752] \"SyncLoop (PLEG): event for pod\" pod={:?} event={{\"ID\":\"{}\",\"Type\":\"ContainerDied\",\"Data\":\"\"}}",
                pod.object(),
                pod.uid
            ),
        );
        if code != 0 {
            let words =
                format!("back-off {}s restarting failed container={} pod={}", self.back_off.as_secs() * 10, pod.container, pod.described());
            not_started(pod, "CrashLoopBackOff", &words);
        }
    }

    /// pkg/kubelet/kuberuntime/legacy.go logSymlink.
    fn link_logs(&mut self, pod: &Pod, id: &str) {
        let link = PathBuf::from(format!("/var/log/containers/{}_{}_{}-{id}.log", pod.name, pod.namespace, pod.container));
        let _ = std::fs::create_dir_all("/var/log/containers");
        let _ = std::os::unix::fs::symlink(format!("{}/{}/{}.log", log_directory(pod), pod.container, self.attempt), &link);
        self.logs.extend([link, PathBuf::from(log_directory(pod))]);
    }

    fn remove_logs(&self) {
        for path in &self.logs {
            // Twice in the list, or gone already.
            let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        }
    }

    fn wait(&mut self) {
        self.back_off = if self.back_off.is_zero() { FIRST_BACK_OFF } else { (self.back_off * 2).min(MAX_BACK_OFF) };
        self.not_before = Some(Instant::now() + self.back_off);
    }

    async fn sandbox(&mut self, cri: &mut Cri, pod: &Pod) -> Option<String> {
        if let Some(sandbox) = &self.sandbox {
            return Some(sandbox.clone());
        }
        match cri.run_pod_sandbox(sandbox_config(pod, self.attempt)).await {
            Ok(id) => self.sandbox = Some(id),
            Err(error) => {
                self.attempt += 1;
                self.wait();
                no_sandbox(pod, &error);
            }
        }
        self.sandbox.clone()
    }
}

fn sandbox_config(pod: &Pod, attempt: u32) -> PodSandboxConfig {
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata { name: pod.name.clone(), uid: pod.uid.clone(), namespace: pod.namespace.clone(), attempt }),
        hostname: pod.name.clone(),
        log_directory: log_directory(pod),
        labels: labels(pod),
        linux: Some(Empty {}),
    }
}

/// pkg/kubelet/types/labels.go.
fn labels(pod: &Pod) -> std::collections::HashMap<String, String> {
    let labels = [("pod.name", &pod.name), ("pod.namespace", &pod.namespace), ("pod.uid", &pod.uid), ("container.name", &pod.container)];
    labels.into_iter().map(|(key, value)| (format!("io.kubernetes.{key}"), value.clone())).collect()
}

/// The kubelet makes the directory that the runtime writes the container's log to.
fn log_directory(pod: &Pod) -> String {
    format!("/var/log/pods/{}_{}_{}", pod.namespace, pod.name, pod.uid)
}

async fn start(cri: &mut Cri, pod: &Pod, sandbox: &str, attempt: u32) -> Result<String, Refused> {
    let asked = CreateContainerRequest {
        pod_sandbox_id: sandbox.to_owned(),
        config: Some(ContainerConfig {
            metadata: Some(ContainerMetadata { name: pod.container.clone(), attempt }),
            image: Some(ImageSpec { image: pod.image.clone() }),
            command: pod.command.clone(),
            labels: labels(pod),
            log_path: format!("{}/{attempt}.log", pod.container),
        }),
        sandbox_config: Some(sandbox_config(pod, 0)),
    };
    // Without it the runtime says what is wrong.
    let _ = std::fs::create_dir_all(format!("{}/{}", log_directory(pod), pod.container));
    let id = cri.create_container(asked).await?;
    if let Err(error) = cri.start_container(&id).await {
        say('E', &format!("log.go:32] \"StartContainer from runtime service failed\" err={:?} containerID={id:?}", error.to_string()));
        return Err(error);
    }
    Ok(id)
}

async fn has_image(cri: &mut Cri, pod: &Pod) -> bool {
    if cri.has_image(&pod.image).await.unwrap_or(false) {
        return true;
    }
    let Err(error) = cri.pull_image(&pod.image).await else { return true };
    let (image, told) = (&pod.image, error.to_string());
    let words = error.0.message();
    say('E', &format!("log.go:32] \"PullImage from image service failed\" err={told:?} image={image:?}"));
    say('E', &format!("kuberuntime_image.go:43] \"Failed to pull image\" err={words:?} image={image:?}"));
    not_started(pod, "ErrImagePull", words);
    false
}

fn no_sandbox(pod: &Pod, error: &Refused) {
    let (told, object) = (error.to_string(), pod.object());
    say('E', &format!("log.go:32] \"RunPodSandbox from runtime service failed\" err={told:?}"));
    say('E', &format!("kuberuntime_sandbox.go:70] \"Failed to create sandbox for pod\" err={told:?} pod={object:?}"));
    say('E', &format!("kuberuntime_manager.go:1614] \"CreatePodSandbox for pod failed\" err={told:?} pod={object:?}"));
    let words = format!("Failed to create sandbox for pod {:?}: {told}", pod.described());
    let why = format!("failed to \"CreatePodSandbox\" for {:?} with CreatePodSandboxError: {words:?}", pod.described());
    say('E', &format!("pod_workers.go:1324] \"Error syncing pod, skipping\" err={why:?} pod={object:?} podUID={:?}", pod.uid));
}

/// pkg/kubelet/container sync_result.go, pkg/kubelet/pod_workers.go.
fn not_started(pod: &Pod, how: &str, words: &str) {
    if how != "CrashLoopBackOff" {
        let why = format!("container {} start failed in pod {}: {how}: {words}", pod.container, pod.described());
        say('E', &format!("kuberuntime_manager.go:1727] \"Unhandled Error\" err={why:?} logger=\"UnhandledError\""));
    }
    let why = format!("failed to \"StartContainer\" for {:?} with {how}: {words:?}", pod.container);
    say('E', &format!("pod_workers.go:1324] \"Error syncing pod, skipping\" err={why:?} pod={:?} podUID={:?}", pod.object(), pod.uid));
}
