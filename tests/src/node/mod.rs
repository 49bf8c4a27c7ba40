//! A real systemd node: Debian's systemd, journald, D-Bus and containerd in a container of their own, with a network of its own.

mod boot;
mod files;
mod image;
mod kernel;
mod memory;
mod network;
mod nodefs;

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub use files::{Files, KUBELET_CONFIG, kubelet_config};
pub use image::IMAGE;
pub use memory::Container;
pub use nodefs::NodeFs;

use crate::command::run;
use crate::slot::{Slot, SlotNumber};

/// What a node is made with.
#[derive(Debug, Default)]
pub struct Plan {
    /// Programs put into the node: where they are on this machine, and where in the node.
    pub programs: Vec<(PathBuf, PathBuf)>,
    /// Files written before it boots, by their paths in the node.
    pub files: Vec<(PathBuf, String)>,
    /// Units enabled before it boots.
    pub enabled: Vec<String>,
    /// A small file system of its own beneath /var/lib/kubelet.
    pub nodefs: Option<NodeFs>,
    /// It hears this machine's kernel.
    pub hears_kernel: bool,
    /// Its containerd has an image ([`IMAGE`]).
    pub has_image: bool,
}

/// A node that runs. Dropping it ends it and leaves nothing behind.
#[derive(Debug)]
pub struct Node {
    init: u32,
    _kernel: Option<kernel::Kernel>,
    slot: Slot,
}

impl Node {
    /// Makes the network of a node to come, so that something may listen at this machine's end before it boots.
    ///
    /// # Errors
    /// `ip` says no.
    pub fn connect(slot: SlotNumber) -> Result<()> {
        network::plug(slot).context("cannot make the node's network")
    }

    /// Boots a connected node in a slot, from the base tree, and waits until its systemd has started everything.
    ///
    /// # Errors
    /// Any step of it, with what the tool said.
    pub fn boot(slot: Slot, plan: &Plan) -> Result<Self> {
        let (init, kernel) = boot::boot(slot.number, plan).with_context(|| format!("cannot boot the node of slot {}", slot.number.0))?;
        let node = Self { init, _kernel: kernel, slot };
        if plan.has_image {
            node.sh(image::IMPORT).context("cannot import the image")?;
        }
        Ok(node)
    }

    /// Its slot's number.
    pub fn slot(&self) -> SlotNumber {
        self.slot.number
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.slot.number.node_name()
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.slot.number.node_address()
    }

    /// The process that is its PID 1, as this machine counts.
    pub fn init(&self) -> u32 {
        self.init
    }

    /// A path in the node as this machine reaches it.
    pub fn path(&self, path: &str) -> PathBuf {
        Path::new("/proc").join(self.init.to_string()).join("root").join(path.trim_start_matches('/'))
    }

    /// Runs a command in the node, in all of its namespaces.
    ///
    /// # Errors
    /// It fails; the message holds what it said.
    pub fn run(&self, argv: &[&str]) -> Result<String> {
        run(&boot::inside(self.init, argv))
    }

    /// Runs a shell script in the node.
    ///
    /// # Errors
    /// It fails; the message holds what it said.
    pub fn sh(&self, script: &str) -> Result<String> {
        self.run(&["sh", "-euc", script])
    }

    /// Runs one of this machine's tools in the node's network.
    ///
    /// # Errors
    /// It fails; the message holds what it said.
    pub fn on_network(&self, argv: &[&str]) -> Result<String> {
        let name = self.name();
        run(&[&["ip", "netns", "exec", name.as_str()], argv].concat())
    }

    /// Writes a file in the node, with the directories it needs.
    ///
    /// # Errors
    /// The file system says no.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let at = self.path(path);
        if let Some(dir) = at.parent() {
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        fs::write(&at, text).with_context(|| format!("cannot write {path} in the node"))
    }

    /// Reads a file in the node.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, path: &str) -> Result<String> {
        fs::read_to_string(self.path(path)).with_context(|| format!("cannot read {path} in the node"))
    }

    /// Properties of a unit as systemd has them, in the order asked for.
    ///
    /// # Errors
    /// systemctl fails.
    pub fn unit_properties(&self, unit: &str, properties: &[&str]) -> Result<Vec<String>> {
        let said = self.run(&["systemctl", "show", unit, "--timestamp=us+utc", "-p", &properties.join(",")])?;
        properties
            .iter()
            .map(|name| {
                let found = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
                found.map(str::to_owned).with_context(|| format!("{unit} has no property {name}"))
            })
            .collect()
    }
}
