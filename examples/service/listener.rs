//! The listener, which says once when it can accept no more connections.

use std::io;
use std::io::ErrorKind;
use std::net::SocketAddr;

use axum::serve::Listener;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::common::descriptors;
use crate::log::Log;

pub(crate) struct Listening {
    listener: TcpListener,
    log: Log,
    has_warned: bool,
}

impl Listening {
    pub(crate) fn new(listener: TcpListener, log: Log) -> Self {
        Self {
            listener,
            log,
            has_warned: false,
        }
    }
}

impl Listener for Listening {
    type Io = TcpStream;
    type Addr = SocketAddr;

    /// Accepts a connection. If too many files are open, the client waits until others leave.
    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let error = match self.listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => error,
            };
            if is_of_client(&error) {
                continue;
            }
            if !self.has_warned {
                self.has_warned = true;
                self.log.line(format_args!("clients must wait: {error}"));
            }
            sleep(descriptors::PAUSE).await;
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Whether the client has left before its connection was accepted.
fn is_of_client(error: &io::Error) -> bool {
    let kinds = [
        ErrorKind::ConnectionRefused,
        ErrorKind::ConnectionAborted,
        ErrorKind::ConnectionReset,
    ];
    kinds.contains(&error.kind())
}
