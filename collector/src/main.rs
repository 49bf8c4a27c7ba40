//! nodewhy-collector.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use nodewhy_collector::config::Config;
use nodewhy_collector::{connection, server};
use tokio::signal::unix::{SignalKind, signal};
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tracing_subscriber::EnvFilter;

const EXIT_FAILED: u8 = 3;
const EXIT_USAGE: u8 = 64;

/// Takes in what nodewhy agents report, keeps state and history of every node, calls alert hooks, answers kubectl-nodewhy.
#[derive(Debug, Parser)]
#[command(
    name = "nodewhy-collector",
    version,
    after_help = "Examples:
  nodewhy-collector run                                  with /etc/nodewhy/collector.yaml, or the defaults
  nodewhy-collector --config collector.yaml run
  nodewhy-collector --listen 127.0.0.1:0 --data-dir /tmp/c run
  nodewhy-collector health                               exit 0 if the one configured here answers

Exit codes: 0 done, 3 could not run or is not healthy, 64 wrong call. NODEWHY_LOG sets what is logged (info, debug, ...)."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// The configuration [default: /etc/nodewhy/collector.yaml, if it is there].
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Listen here and not where the configuration says.
    #[arg(long, value_name = "ADDRESS:PORT", global = true)]
    listen: Option<SocketAddr>,
    /// Keep data here and not where the configuration says.
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Run (also without a command).
    Run,
    /// Ask the collector that is configured here whether it serves.
    Health,
    /// A completion script for your shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            drop(error.print());
            return if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match start(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "nodewhy-collector: {error:#}"));
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn start(cli: &Cli) -> anyhow::Result<()> {
    if let Some(Command::Completions { shell }) = &cli.command {
        clap_complete::generate(*shell, &mut Cli::command(), "nodewhy-collector", &mut io::stdout());
        return Ok(());
    }
    rustls::crypto::ring::default_provider().install_default().map_err(|_| anyhow::anyhow!("TLS was set up twice"))?;
    let mut config = Config::read(cli.config.as_deref())?;
    config.listen = cli.listen.unwrap_or(config.listen);
    config.data_dir = cli.data_dir.clone().unwrap_or(config.data_dir);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    match &cli.command {
        Some(Command::Health) => runtime.block_on(health(&config)),
        _ => runtime.block_on(run(&config)),
    }
}

async fn run(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_env("NODEWHY_LOG").unwrap_or_else(|_| EnvFilter::new("info,h2=warn"));
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colour).init();
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        drop(sd_notify::notify(&[sd_notify::NotifyState::Stopping]));
    };
    let ready = |address: SocketAddr| {
        tracing::info!(%address, data = %config.data_dir.display(), tls = config.tls.is_some(), "listening");
        // Without systemd there is nobody to tell.
        drop(sd_notify::notify(&[sd_notify::NotifyState::Ready]));
    };
    server::serve(config, ready, stop).await?;
    Ok(())
}

async fn health(config: &Config) -> anyhow::Result<()> {
    let mut address = config.listen;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let patience = Duration::from_secs(3);
    if let Some(tls) = &config.tls {
        return connection::answers(address, tls, patience)
            .await
            .with_context(|| format!("nobody answers with the configured certificate at {address}"));
    }
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.connect_timeout(patience).timeout(patience);
    let channel = endpoint.connect().await.with_context(|| format!("nobody answers at {address}"))?;
    let answer = HealthClient::new(channel).check(HealthCheckRequest { service: String::new() }).await;
    let answer = answer.with_context(|| format!("the one at {address} does not say how it is"))?.into_inner();
    anyhow::ensure!(
        answer.status() == tonic_health::ServingStatus::Serving.into(),
        "the collector at {address} does not serve: {:?}",
        answer.status()
    );
    Ok(())
}
