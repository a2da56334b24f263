//! Three servers of NATS on loopback, with a store of their own.

use std::env;
use std::fs;
use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::Child;
use std::process::Stdio;
use std::time::Duration;

use async_nats::Client;
use async_nats::ConnectOptions;
use async_nats::jetstream::stream::Stream;
use nats_worker::queue;
use tempfile::TempDir;
use tokio::time::sleep;

use super::bound;

pub(crate) const NODES: usize = 3;

pub(crate) struct Cluster {
    directory: TempDir,
    nodes: Vec<Node>,
}

struct Node {
    client_port: u16,
    route_port: u16,
    server: Option<Child>,
}

impl Cluster {
    /// Starts the servers, and waits until they store a stream.
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ports = free_ports(2 * NODES);
        let node = |ports: &[u16]| Node {
            client_port: ports[0],
            route_port: ports[1],
            server: None,
        };
        let nodes = ports.chunks(2).map(node).collect();
        let mut cluster = Self { directory, nodes };
        for number in 0..NODES {
            cluster.start_node(number);
        }
        let client = cluster.connect().await;
        cluster.stream(&client).await;
        cluster
    }

    pub(crate) fn start_node(&mut self, number: usize) {
        let routes: Vec<_> = self.nodes.iter().map(Node::route).collect();
        let log = self.directory.path().join(format!("{number}.log"));
        let store = self.directory.path().join(number.to_string());
        let node = &mut self.nodes[number];
        assert!(node.server.is_none(), "node {number} runs");
        let mut server = bound("nats-server");
        server
            // Debian has it in a directory that is not in everybody's path.
            .env("PATH", env::var("PATH").unwrap_or_default() + ":/usr/sbin")
            .args(["--addr", "127.0.0.1", "--cluster_name", "test"])
            .args(["--server_name", &format!("node-{number}")])
            .args(["--port", &node.client_port.to_string()])
            .args(["--cluster", &node.route()])
            .args(["--routes", &routes.join(",")])
            .arg("--jetstream")
            .args([Path::new("--store_dir"), &store])
            .args([Path::new("--log"), &log])
            .stdin(Stdio::null())
            .stderr(
                File::options()
                    .create(true)
                    .append(true)
                    .open(&log)
                    .unwrap(),
            );
        node.server = Some(server.spawn().expect("util-linux has `setpriv`"));
    }

    /// As a loss of power: nothing is flushed or handed over.
    pub(crate) fn kill_node(&mut self, number: usize) {
        let mut server = self.nodes[number].server.take().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }

    /// The addresses of all servers.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let address = |node: &Node| format!("127.0.0.1:{}", node.client_port);
        self.nodes.iter().map(address).collect()
    }

    pub(crate) async fn connect(&self) -> Client {
        let options = ConnectOptions::new().retry_on_initial_connect();
        options.connect(self.addresses()).await.unwrap()
    }

    /// The stream, which every server stores. It waits for an election.
    pub(crate) async fn stream(&mut self, client: &Client) -> Stream {
        loop {
            if let Ok(stream) = queue::stream(client, NODES).await {
                return stream;
            }
            self.assert_running();
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn assert_running(&mut self) {
        for (number, node) in self.nodes.iter_mut().enumerate() {
            let ended = node.server.as_mut().and_then(|it| it.try_wait().unwrap());
            if let Some(status) = ended {
                let log = self.directory.path().join(format!("{number}.log"));
                let log = fs::read_to_string(log).unwrap();
                panic!("node {number} ended, {status}. Is nats-server installed?\n{log}");
            }
        }
    }
}

impl Node {
    fn route(&self) -> String {
        format!("nats://127.0.0.1:{}", self.route_port)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let servers = self.nodes.iter_mut().filter_map(|node| node.server.take());
        for mut server in servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// Ports that no process uses. They are not of the range that the system gives to clients: one of these
/// could take the port of a server that is to be started again.
fn free_ports(count: usize) -> Vec<u16> {
    let mut held = Vec::new();
    while held.len() < count {
        let port = fastrand::u16(10_000..32_000);
        held.extend(TcpListener::bind(("127.0.0.1", port)));
    }
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    held.iter().map(port).collect()
}
