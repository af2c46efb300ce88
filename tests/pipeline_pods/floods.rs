//! What comes to a tenant's DNS port besides its pods' questions: SY-112, DN5.

use std::time::{Duration, Instant};

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use skerry_telemetry::Metrics;
use tokio::net::UdpSocket;

use crate::dns::{ask, server, server_of};
use crate::failing::{of, service};
use crate::world::World;

fn question(name: &str, id: u16) -> Vec<u8> {
    let mut question = Message::query();
    question.metadata.id = id;
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(Name::from_ascii(name).expect("a name"), RecordType::A));
    question.to_vec().expect("a packet")
}

/// Malformed packets are dropped; a flood is refused beyond the rate and counted; the other tenant's port answers
/// meanwhile, and answers nothing of this one's; afterwards so does this one's.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy112_floods_and_nonsense() {
    let mut w = World::new("dnsflood", false).await;
    let other = w.join("dnsbeside").await;
    w.tenant.post(&of(&w, "services"), service("web", "web")).await;
    w.tenant.post(&of(&w, "pods"), w.pod("web")).await;
    let path = format!("/api/v1/namespaces/{}/pods", other.namespace);
    other.tenant.post(&path, w.pod_in(&other.namespace, "web")).await;
    let (own, beside) = (server(&w).await, server_of(&w, &other.entry).await);
    assert_ne!(own, beside);
    let name = format!("nobody.{}.svc.cluster.local.", w.namespace);

    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    socket.connect(own).await.expect("connected");
    let mut buffer = [0; 4096];
    let good = question(&name, 7);
    for packet in [&b""[..], b"\0", &[0xff; 12], &[0; 11], &good[..good.len() - 3], &[0xc0; 600]] {
        socket.send(packet).await.expect("sent");
    }
    // None of them is worth more than a refusal; the question after them is answered.
    socket.send(&good).await.expect("sent");
    let answered = async {
        loop {
            let length = socket.recv(&mut buffer).await.expect("an answer");
            let message = Message::from_vec(&buffer[..length]).expect("DNS");
            if message.metadata.id == 7 && message.metadata.response_code == ResponseCode::NXDomain {
                return;
            }
            assert_ne!(message.metadata.response_code, ResponseCode::NoError, "{message:?}");
        }
    };
    tokio::time::timeout(Duration::from_secs(5), answered).await.expect("in time");

    // A name of this tenant is none of the other's.
    let denied = ask(beside, &format!("web.{}.svc.cluster.local.", w.namespace), RecordType::A).await;
    assert_eq!(denied.metadata.response_code, ResponseCode::NXDomain);

    let (mut refused, mut fine, mut slowest) = (0, 0, Duration::ZERO);
    let end = Instant::now() + Duration::from_secs(8);
    while refused < 100 && Instant::now() < end {
        for _ in 0..100 {
            socket.send(&good).await.expect("sent");
        }
        while let Ok(Ok(length)) =
            tokio::time::timeout(Duration::from_millis(2), socket.recv(&mut buffer)).await
        {
            match Message::from_vec(&buffer[..length]).expect("DNS").metadata.response_code {
                ResponseCode::Refused => refused += 1,
                _ => fine += 1,
            }
        }
        if fine % 500 < 100 {
            let since = Instant::now();
            let nobody = format!("nobody.{}.svc.cluster.local.", other.namespace);
            let there = ask(beside, &nobody, RecordType::A).await;
            assert_eq!(there.metadata.response_code, ResponseCode::NXDomain);
            slowest = slowest.max(since.elapsed());
        }
    }
    assert!(refused >= 100, "{refused} refused, {fine} answered");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    assert!(w.count("dns_refused_total", "rate") >= refused, "{:?}", w.handle().counts());
    let metrics = Metrics::default();
    w.handle().register(&metrics);
    let page = metrics.encode().expect("a page");
    assert!(page.contains("skerry_syncer_dns_refused_total{why=\"rate\"} "), "{page}");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(ask(own, &name, RecordType::A).await.metadata.response_code, ResponseCode::NXDomain);
    w.end().await;
}
