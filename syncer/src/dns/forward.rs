//! Names of others: asked of the servers that a tenant names, or of the resolver of this process (DN3).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

/// How long one server is waited for.
const LIMIT: Duration = Duration::from_secs(2);
/// Largest datagram that is read.
const DATAGRAM: usize = 4096;

/// Why no server answered.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// There is none to ask.
    #[error("no resolver is configured")]
    Nobody,
    /// None answered in time, or what they sent was no answer.
    #[error("no resolver answered")]
    Silent,
    /// The question cannot be written.
    #[error("the question cannot be written")]
    Question,
}

/// The resolvers of this process, as its `resolv.conf` has them.
pub fn own_resolvers() -> Vec<SocketAddr> {
    let text = std::fs::read("/etc/resolv.conf").unwrap_or_default();
    let config = resolv_conf::Config::parse(text).unwrap_or_default();
    let of = |ip: &resolv_conf::ScopedIp| SocketAddr::new(IpAddr::from(ip), 53);
    config.nameservers.iter().map(of).collect()
}

/// Asks one server after the other.
pub async fn ask(question: &Message, servers: &[SocketAddr]) -> Result<Message, ForwardError> {
    if servers.is_empty() {
        return Err(ForwardError::Nobody);
    }
    let packet = question.to_vec().map_err(|_| ForwardError::Question)?;
    for server in servers {
        match tokio::time::timeout(LIMIT, one(question, &packet, *server)).await {
            Ok(Ok(Some(answer))) => return Ok(answer),
            Ok(Ok(None)) | Err(_) => {}
            Ok(Err(error)) => tracing::debug!(%server, %error, "a resolver cannot be asked"),
        }
    }
    Err(ForwardError::Silent)
}

async fn one(question: &Message, packet: &[u8], server: SocketAddr) -> std::io::Result<Option<Message>> {
    let any: IpAddr = if server.is_ipv4() { [0, 0, 0, 0].into() } else { [0_u16; 8].into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(packet).await?;
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let Some(answer) = fitting(question, &buffer[..length]) else { continue };
        if answer.metadata.truncation {
            return by_stream(question, packet, server).await;
        }
        return Ok(Some(answer));
    }
}

async fn by_stream(
    question: &Message,
    packet: &[u8],
    server: SocketAddr,
) -> std::io::Result<Option<Message>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    stream.write_u16(length).await?;
    stream.write_all(packet).await?;
    let mut buffer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut buffer).await?;
    Ok(fitting(question, &buffer))
}

/// An answer to this very question; anything else may be forged.
fn fitting(question: &Message, packet: &[u8]) -> Option<Message> {
    let answer = Message::from_vec(packet).ok()?;
    let same = |a: &Message, b: &Message| match (a.queries.first(), b.queries.first()) {
        (Some(a), Some(b)) => {
            a.query_type() == b.query_type() && a.name().to_lowercase() == b.name().to_lowercase()
        }
        _ => false,
    };
    (answer.metadata.id == question.metadata.id && same(&answer, question)).then_some(answer)
}
