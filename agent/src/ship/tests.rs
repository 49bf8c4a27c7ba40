//! The other side is a stand-in: an in-process server that speaks the real protocol and forgets or refuses at will.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::pin::Pin;

use nodewhy_proto::v1::agent_service_server::{AgentService, AgentServiceServer};
use nodewhy_proto::v1::{Ack, Welcome};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response};

use super::*;
use crate::spool::Entry;

type Answers = Pin<Box<dyn Stream<Item = Result<AttachResponse, Status>> + Send>>;

/// Reports by sequence, how often each came, and what else was heard.
#[derive(Default)]
struct Heard {
    abouts: Vec<About>,
    committed: BTreeMap<u64, Report>,
    times: BTreeMap<u64, usize>,
    hellos: Vec<Hello>,
    beats: usize,
}

#[derive(Clone)]
struct StandIn {
    heard: Arc<Mutex<Heard>>,
    changed: Arc<Notify>,
    /// Ends the stream after so many reports, without acknowledging the last.
    hang_up_after: usize,
    refuse: Option<Code>,
}

#[tonic::async_trait]
impl AgentService for StandIn {
    type AttachStream = Answers;

    async fn attach(&self, request: Request<Streaming<AttachRequest>>) -> Result<Response<Answers>, Status> {
        if let Some(code) = self.refuse {
            return Err(Status::new(code, "on purpose"));
        }
        let (answer, answers) = mpsc::channel(16);
        let (this, mut requests) = (self.clone(), request.into_inner());
        tokio::spawn(async move {
            let mut reports = 0;
            while let Ok(Some(AttachRequest { message: Some(message) })) = requests.message().await {
                let reply = this.hear(message, &mut reports);
                this.changed.notify_waiters();
                match reply {
                    Some(_) if this.hang_up_after == reports => return,
                    Some(reply) => drop(answer.send(Ok(AttachResponse { message: Some(reply) })).await),
                    None => {}
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

impl StandIn {
    fn hear(&self, message: Say, reports: &mut usize) -> Option<Hear> {
        let mut heard = self.heard.lock().unwrap();
        match message {
            Say::Hello(hello) => {
                heard.hellos.push(hello);
                Some(Hear::Welcome(Welcome {
                    committed_sequence: heard.committed.keys().last().copied().unwrap_or(0),
                    ..Welcome::default()
                }))
            }
            Say::Report(report) => {
                *reports += 1;
                let sequence = report.sequence;
                *heard.times.entry(sequence).or_default() += 1;
                heard.committed.insert(sequence, report);
                Some(Hear::Ack(Ack { up_to_sequence: sequence }))
            }
            Say::Heartbeat(_) => {
                heard.beats += 1;
                None
            }
            Say::About(about) => {
                heard.abouts.push(about);
                None
            }
        }
    }

    fn new() -> Self {
        Self { heard: Arc::default(), changed: Arc::default(), hang_up_after: usize::MAX, refuse: None }
    }

    async fn serve(&self, address: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let service = AgentServiceServer::new(self.clone());
        let server = tonic::transport::Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener));
        (address, tokio::spawn(async move { server.await.expect("it serves") }))
    }

    /// Waits until `true_of` what was heard.
    async fn until(&self, true_of: impl Fn(&Heard) -> bool) {
        timeout(Duration::from_secs(20), async {
            loop {
                let changed = self.changed.notified();
                if true_of(&self.heard.lock().unwrap()) {
                    return;
                }
                changed.await;
            }
        })
        .await
        .expect("heard in time");
    }
}

struct Agent {
    about: watch::Sender<About>,
    spool: Arc<Mutex<Spool>>,
    more: Arc<Notify>,
    link: watch::Receiver<Link>,
    hello: watch::Sender<Hello>,
    _dir: tempfile::TempDir,
    task: JoinHandle<()>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn agent(address: &str) -> Agent {
    agent_with(address, 1 << 20)
}

fn agent_with(address: &str, segment_bytes: u64) -> Agent {
    let dir = tempfile::tempdir().unwrap();
    let spool = Arc::new(Mutex::new(Spool::open(dir.path(), segment_bytes, "").expect("its own").0));
    let (hello, hellos) = watch::channel(Hello { node: "n".into(), ..Hello::default() });
    let (about, abouts) = watch::channel(About::default());
    let (link, links) = watch::channel(Link::Connecting);
    let more = Arc::new(Notify::new());
    let shipper = Shipper {
        collector: Collector { address: address.to_owned(), ca_file: None, cert_file: None, key_file: None, server_name: None },
        hello: hellos,
        about: abouts,
        spool: spool.clone(),
        more: more.clone(),
        heartbeat: Duration::from_millis(200),
        link,
    };
    Agent { spool, more, link: links, hello, about, _dir: dir, task: tokio::spawn(shipper.run()) }
}

impl Agent {
    fn report(&self, boot_id: &str) {
        let report = Report { boot_id: boot_id.to_owned(), ..Report::default() }.encode_to_vec();
        self.spool.lock().unwrap().append(&Entry { report: Some(&report), state: b"s", cursor: "c" });
        self.more.notify_one();
    }

    fn report_of(&self, node: &str) {
        let diagnosis = nodewhy_proto::v1::Diagnosis { node: node.to_owned(), ..nodewhy_proto::v1::Diagnosis::default() };
        let report = Report { diagnosis: Some(diagnosis), ..Report::default() }.encode_to_vec();
        self.spool.lock().unwrap().append(&Entry { report: Some(&report), state: b"s", cursor: "c" });
        self.more.notify_one();
    }

    fn pending(&self) -> usize {
        self.spool.lock().unwrap().stats().pending
    }
}

fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[tokio::test]
async fn reports_arrive_in_order_and_are_forgotten_when_acknowledged() {
    let stand_in = StandIn::new();
    let (address, _server) = stand_in.serve(local()).await;
    let agent = agent(&format!("http://{address}"));
    for n in 0..200 {
        agent.report(&n.to_string());
    }
    stand_in.until(|heard| heard.committed.len() == 200 && heard.beats > 0).await;
    {
        let heard = stand_in.heard.lock().unwrap();
        assert!(heard.committed.iter().all(|(sequence, report)| report.boot_id == (sequence - 1).to_string() && report.dropped == 0));
        assert_eq!(heard.hellos[0].spool_id, agent.spool.lock().unwrap().id());
        assert!(heard.times.values().all(|times| *times == 1));
    }
    timeout(Duration::from_secs(5), async {
        while agent.pending() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("all acknowledged");
}

#[tokio::test]
async fn a_collector_that_comes_late_gets_all_of_it() {
    // Taken and freed, so that for a while nobody answers there.
    let (address, server) = StandIn::new().serve(local()).await;
    server.abort();
    drop(server.await);
    let mut agent = agent(&format!("http://{address}"));
    agent.report("before");
    timeout(Duration::from_secs(5), agent.link.wait_for(|link| matches!(link, Link::Away(_)))).await.expect("told").expect("open");
    let stand_in = StandIn::new();
    let _server = stand_in.serve(address).await;
    agent.report("after");
    stand_in.until(|heard| heard.committed.len() == 2).await;
    assert_eq!(
        stand_in.heard.lock().unwrap().committed.values().map(|report| report.boot_id.as_str()).collect::<Vec<_>>(),
        ["before", "after"]
    );
}

#[tokio::test]
async fn a_stream_that_breaks_again_and_again_loses_nothing_and_repeats_nothing_committed() {
    let stand_in = StandIn { hang_up_after: 7, ..StandIn::new() };
    let (address, _server) = stand_in.serve(local()).await;
    let agent = agent(&format!("http://{address}"));
    for n in 0..40 {
        agent.report(&n.to_string());
    }
    stand_in.until(|heard| heard.committed.len() == 40).await;
    let heard = stand_in.heard.lock().unwrap();
    assert!(heard.hellos.len() >= 5, "{} streams", heard.hellos.len());
    assert!(heard.committed.iter().all(|(sequence, report)| report.boot_id == (sequence - 1).to_string()));
    assert!(heard.times.values().all(|times| *times == 1), "{:?}", heard.times);
}

#[tokio::test]
async fn a_refusal_is_told_with_the_collectors_words_and_nothing_is_forgotten() {
    let stand_in = StandIn { refuse: Some(Code::PermissionDenied), ..StandIn::new() };
    let (address, _server) = stand_in.serve(local()).await;
    let mut agent = agent(&format!("http://{address}"));
    agent.report("1");
    let link = timeout(Duration::from_secs(5), agent.link.wait_for(|link| matches!(link, Link::Away(_)))).await;
    let Link::Away(reason) = link.expect("told").expect("open").clone() else { panic!("away") };
    assert!(reason.contains("on purpose") && reason.contains(&address.to_string()), "{reason}");
    assert_eq!(agent.pending(), 1);
}

#[tokio::test]
async fn a_name_that_is_known_better_begins_a_stream_of_its_own_and_no_stream_speaks_for_two() {
    let stand_in = StandIn::new();
    let (address, _server) = stand_in.serve(local()).await;
    let agent = agent(&format!("http://{address}"));
    agent.report_of("n");
    stand_in.until(|heard| heard.committed.len() == 1).await;
    agent.hello.send_modify(|hello| hello.node = "renamed".into());
    agent.report_of("n");
    agent.report_of("renamed");
    stand_in.until(|heard| heard.committed.contains_key(&3)).await;
    let heard = stand_in.heard.lock().unwrap();
    assert_eq!(heard.hellos.iter().map(|hello| hello.node.as_str()).collect::<Vec<_>>(), ["n", "renamed"]);
    // The one in between came in time for the old stream, or it is counted as left out.
    let last = &heard.committed[&3];
    assert!(is_of(last, "renamed"));
    assert_eq!(last.dropped, u64::from(!heard.committed.contains_key(&2)));
}

#[tokio::test]
async fn a_report_that_no_collector_takes_is_left_out_and_does_not_stop_the_others() {
    let stand_in = StandIn::new();
    let (address, _server) = stand_in.serve(local()).await;
    let agent = agent_with(&format!("http://{address}"), 16 << 20);
    agent.report(&"x".repeat(5 << 20));
    agent.report("next");
    stand_in.until(|heard| heard.committed.contains_key(&2)).await;
    assert_eq!(stand_in.heard.lock().unwrap().committed[&2].dropped, 1);
}

#[tokio::test]
async fn a_certificate_file_that_has_no_end_is_not_read_into_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.crt");
    fs::File::create(&path).unwrap().set_len(64 << 20).unwrap();
    let collector =
        Collector { address: "https://127.0.0.1:1".into(), ca_file: Some(path), cert_file: None, key_file: None, server_name: None };
    let error = connect(&collector, &mut Files::default()).await.expect_err("too large").to_string();
    assert!(error.contains("larger than"), "{error}");
}

#[tokio::test]
async fn many_reports_under_an_earlier_name_do_not_stop_the_others() {
    let stand_in = StandIn::new();
    let (address, _server) = stand_in.serve(local()).await;
    let agent = agent(&format!("http://{address}"));
    stand_in.until(|heard| heard.hellos.len() == 1).await;
    for _ in 0..200 {
        agent.report_of("guess");
    }
    agent.report_of("n");
    stand_in.until(|heard| heard.committed.contains_key(&201)).await;
    assert_eq!(stand_in.heard.lock().unwrap().committed[&201].dropped, 200);
}

#[tokio::test]
async fn a_certificate_file_that_is_missing_is_named() {
    let collector = Collector {
        address: "https://127.0.0.1:1".into(),
        ca_file: Some("/nonexistent/ca.crt".into()),
        cert_file: None,
        key_file: None,
        server_name: None,
    };
    let error = connect(&collector, &mut Files::default()).await.expect_err("no such file").to_string();
    assert!(error.contains("/nonexistent/ca.crt") && error.contains("caFile"), "{error}");
}

#[tokio::test]
async fn certificate_files_on_a_hung_disk_hold_up_their_own_thread_alone_and_only_one() {
    let dir = tempfile::tempdir().unwrap();
    // Opening it for reading blocks until somebody writes.
    let path = dir.path().join("ca.crt");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let collector = Collector {
        address: "https://127.0.0.1:1".into(),
        ca_file: Some(path.clone()),
        cert_file: None,
        key_file: None,
        server_name: None,
    };
    let mut files = Files { patience: Duration::from_millis(20), ..Files::default() };
    for _ in 0..2 {
        let error = files.read(&collector).await.map(drop).expect_err("it hangs");
        assert!(matches!(error, ShipError::HungFiles), "{error}");
    }
    assert!(files.reading.is_some(), "the one that hangs is waited for");
    tokio::task::spawn_blocking(move || std::fs::write(path, "not a certificate")).await.unwrap().unwrap();
    files.patience = Duration::from_secs(10);
    assert!(files.read(&collector).await.is_err(), "what it read is from before");
    assert!(files.reading.is_none());
}

#[tokio::test]
async fn what_the_node_is_is_said_with_every_stream_and_when_it_changes() {
    let collector = StandIn::new();
    let (address, _server) = collector.serve(SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let agent = agent(&format!("http://{address}"));
    let kernel = |version: &str| About { traits: [("kernel".to_owned(), version.to_owned())].into(), ..About::default() };
    agent.about.send_replace(kernel("6.1"));
    collector.until(|heard| heard.abouts.last() == Some(&kernel("6.1"))).await;
    agent.about.send_replace(kernel("6.2"));
    collector.until(|heard| heard.abouts.last() == Some(&kernel("6.2"))).await;
    let before = collector.heard.lock().unwrap().abouts.len();
    // Another Hello: another stream.
    agent.hello.send_modify(|hello| hello.kubelet_version = "v1.31.0".into());
    collector.until(|heard| heard.abouts.len() > before && heard.abouts.last() == Some(&kernel("6.2"))).await;
}
