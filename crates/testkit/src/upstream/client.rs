//! A small client for measurements: HTTP/1.1 over TLS, a thread per connection, the same bytes to every server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use super::processes::Processes;

/// A server, who we are to it, and the processes that make it up.
#[derive(Clone)]
pub struct Target {
    address: String,
    prefix: String,
    token: Option<String>,
    tls: Arc<ClientConfig>,
    processes: Processes,
}

fn bytes(value: &Value) -> Vec<u8> {
    data_encoding::BASE64.decode(value.as_str().unwrap_or_default().as_bytes()).expect("base64")
}

impl Target {
    /// Of a kubeconfig.
    pub fn new(path: &Path, processes: Processes) -> Self {
        let body = std::fs::read_to_string(path).expect("a kubeconfig");
        let file: Value = serde_yaml_ng::from_str(&body).expect("YAML");
        let (cluster, user) = (&file["clusters"][0]["cluster"], &file["users"][0]["user"]);
        let mut roots = RootCertStore::empty();
        for cert in CertificateDer::pem_slice_iter(&bytes(&cluster["certificate-authority-data"])) {
            roots.add(cert.expect("a certificate")).expect("an authority");
        }
        let config = ClientConfig::builder().with_root_certificates(roots);
        let certificate = bytes(&user["client-certificate-data"]);
        let tls = if certificate.is_empty() {
            config.with_no_client_auth()
        } else {
            let chain = CertificateDer::pem_slice_iter(&certificate).map(|c| c.expect("a certificate"));
            let key = PrivateKeyDer::from_pem_slice(&bytes(&user["client-key-data"])).expect("a key");
            config.with_client_auth_cert(chain.collect(), key).expect("a pair")
        };
        let server = cluster["server"].as_str().expect("a URL").trim_start_matches("https://");
        let (address, prefix) =
            server.split_once('/').map_or((server, String::new()), |(a, p)| (a, format!("/{p}")));
        let token = user["token"].as_str().map(str::to_owned);
        Self { address: address.to_owned(), prefix, token, tls: Arc::new(tls), processes }
    }

    /// A connection.
    pub fn connect(&self) -> Connection {
        let socket = TcpStream::connect(&self.address).expect("connect");
        socket.set_nodelay(true).expect("nodelay");
        let host = self.address.rsplit_once(':').expect("a port").0.to_owned();
        let name = ServerName::try_from(host).expect("a name");
        let tls = ClientConnection::new(self.tls.clone(), name).expect("TLS");
        let head = match &self.token {
            Some(token) => format!("Host: {}\r\nAuthorization: Bearer {token}\r\n", self.address),
            None => format!("Host: {}\r\n", self.address),
        };
        Connection {
            stream: BufReader::new(StreamOwned::new(tls, socket)),
            head,
            prefix: self.prefix.clone(),
        }
    }

    /// What makes it up.
    pub fn processes(&self) -> &Processes {
        &self.processes
    }
}

/// One connection that is kept.
pub struct Connection {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
    head: String,
    prefix: String,
}

impl Connection {
    fn send(&mut self, method: &str, path: &str, body: &str) {
        let form = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let request = format!(
            "{method} {}{path} HTTP/1.1\r\n{}Accept: application/json\r\nContent-Type: {form}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.prefix,
            self.head,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).expect("send");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("read");
        assert!(!line.is_empty(), "the server closed the connection");
        line
    }

    /// Code and, unless the body comes in chunks, its length.
    fn headers(&mut self) -> (u16, Option<usize>) {
        let status = self.line();
        let code = status.split(' ').nth(1).and_then(|c| c.parse().ok()).expect("a status line");
        let mut length = None;
        loop {
            let line = self.line().to_ascii_lowercase();
            if line == "\r\n" {
                return (code, length);
            }
            if let Some(text) = line.strip_prefix("content-length:") {
                length = text.trim().parse().ok();
            }
        }
    }

    fn chunk(&mut self) -> Vec<u8> {
        let size = usize::from_str_radix(self.line().trim(), 16).expect("a chunk");
        let mut body = vec![0; size];
        self.stream.read_exact(&mut body).expect("a body");
        self.line();
        body
    }

    /// A request and its answer; a PATCH is a merge patch.
    pub fn request(&mut self, method: &str, path: &str, body: &str) -> (u16, Vec<u8>) {
        self.send(method, path, body);
        let (code, length) = self.headers();
        let mut body = vec![0; length.unwrap_or(0)];
        if length.is_some() {
            self.stream.read_exact(&mut body).expect("a body");
            return (code, body);
        }
        loop {
            match self.chunk() {
                end if end.is_empty() => return (code, body),
                part => body.extend(part),
            }
        }
    }

    /// Begins a watch.
    pub fn watch(&mut self, path: &str) {
        self.send("GET", path, "");
        let (code, _) = self.headers();
        assert_eq!(code, 200, "watch {path}");
    }

    /// The next bytes of the watch, which may hold several events or a part of one; nothing at its end.
    pub fn watched(&mut self) -> Vec<u8> {
        self.chunk()
    }

    /// Waits until an event of the watch holds the text.
    pub fn until_event(&mut self, holds: &str) {
        let mut seen = Vec::new();
        loop {
            seen.extend(self.chunk());
            if String::from_utf8_lossy(&seen).contains(holds) {
                return;
            }
            let tail = seen.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
            seen.drain(..tail);
        }
    }
}
