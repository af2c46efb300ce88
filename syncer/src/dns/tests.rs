//! SY-110: what a tenant's zone answers; SY-142: packets.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::message::{self, Incoming, Way};
use super::zone::{Data, Found, Kind, Settings, Whose, Zone};
use crate::kind;
use crate::object::TenantObj;

fn service(name: &str, namespace: &str, spec: Value) -> TenantObj {
    TenantObj(json!({"metadata": {"name": name, "namespace": namespace}, "spec": spec}))
}

fn slice(name: &str, service: &str, ports: Value, endpoints: Value) -> TenantObj {
    TenantObj(
        json!({"metadata": {"name": name, "namespace": "shop", "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "ports": ports, "endpoints": endpoints}),
    )
}

fn pod(name: &str, namespace: &str, ip: &str, phase: &str) -> TenantObj {
    TenantObj(json!({"metadata": {"name": name, "namespace": namespace},
        "status": {"phase": phase, "podIPs": [{"ip": ip}], "hostIPs": [{"ip": "192.0.2.1"}]}}))
}

fn zone() -> Zone {
    let settings = Settings {
        domain: "cluster.local".into(),
        host_domain: "cluster.local".into(),
        pod_records: true,
        ttl: 5,
        host_services: ["registry.infra".to_owned()].into(),
        records: BTreeMap::from([
            ("db.corp.example".to_owned(), vec![Data::Address([192, 0, 2, 7].into())]),
            ("web.corp.example".to_owned(), vec![Data::Alias("web.shop.svc.cluster.local".into())]),
        ]),
        upstream: Vec::new(),
    };
    let mut zone = Zone::new(settings);
    for name in ["shop", "empty"] {
        zone.seen(kind::Kind::Namespace, &TenantObj(json!({"metadata": {"name": name}})));
    }
    zone.alias(&crate::mapping::HostName::known("sk-t1-shop-abc"), "shop");
    let ports = json!([{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}]);
    for service in [
        service(
            "web",
            "shop",
            json!({"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7", "fd00::7"], "ports": ports}),
        ),
        service("peers", "shop", json!({"clusterIP": "None", "clusterIPs": ["None"], "ports": ports})),
        service("all", "shop", json!({"clusterIP": "None", "publishNotReadyAddresses": true})),
        service("bare", "shop", json!({"clusterIP": "None"})),
        service("away", "shop", json!({"type": "ExternalName", "externalName": "Db.Example.com."})),
        service(
            "near",
            "shop",
            json!({"type": "ExternalName", "externalName": "web.shop.svc.cluster.local"}),
        ),
        service(
            "loop",
            "shop",
            json!({"type": "ExternalName", "externalName": "loop.shop.svc.cluster.local"}),
        ),
    ] {
        zone.seen(kind::Kind::Service, &service);
    }
    let endpoints = json!([
        {"addresses": ["10.2.0.1"], "hostname": "peers-0", "conditions": {"ready": true}},
        {"addresses": ["10.2.0.2"], "hostname": "Peers-1"},
        {"addresses": ["10.2.0.3"], "conditions": {"ready": false}},
        {"addresses": ["10.2.0.4"], "conditions": {"ready": true}},
    ]);
    zone.seen(kind::Kind::EndpointSlice, &slice("peers-a", "peers", ports, endpoints.clone()));
    zone.seen(kind::Kind::EndpointSlice, &slice("all-a", "all", json!([]), endpoints));
    zone.seen(kind::Kind::Pod, &pod("p", "shop", "10.2.0.1", "Running"));
    zone.seen(kind::Kind::Pod, &pod("done", "shop", "10.2.0.9", "Succeeded"));
    zone
}

const KINDS: [(Kind, &str); 8] = [
    (Kind::A, "A"),
    (Kind::Aaaa, "AAAA"),
    (Kind::Srv, "SRV"),
    (Kind::Ptr, "PTR"),
    (Kind::Cname, "CNAME"),
    (Kind::Txt, "TXT"),
    (Kind::Soa, "SOA"),
    (Kind::Ns, "NS"),
];

const NAMES: [&str; 40] = [
    "cluster.local",
    "svc.cluster.local",
    "shop.svc.cluster.local",
    "nowhere.svc.cluster.local",
    "empty.svc.cluster.local",
    "dns-version.cluster.local",
    "other.cluster.local",
    "web.shop.svc.cluster.local",
    "web.empty.svc.cluster.local",
    "web.nowhere.svc.cluster.local",
    "_http._tcp.web.shop.svc.cluster.local",
    "_dns._udp.web.shop.svc.cluster.local",
    "_dns._tcp.web.shop.svc.cluster.local",
    "_tcp.web.shop.svc.cluster.local",
    "x.web.shop.svc.cluster.local",
    "peers.shop.svc.cluster.local",
    "peers-0.peers.shop.svc.cluster.local",
    "peers-1.peers.shop.svc.cluster.local",
    "10-2-0-4.peers.shop.svc.cluster.local",
    "10-2-0-3.peers.shop.svc.cluster.local",
    "_http._tcp.peers.shop.svc.cluster.local",
    "all.shop.svc.cluster.local",
    "10-2-0-3.all.shop.svc.cluster.local",
    "bare.shop.svc.cluster.local",
    "away.shop.svc.cluster.local",
    "near.shop.svc.cluster.local",
    "loop.shop.svc.cluster.local",
    "pod.cluster.local",
    "shop.pod.cluster.local",
    "10-2-0-1.shop.pod.cluster.local",
    "10-2-0-1.empty.pod.cluster.local",
    "10-2-0-9.shop.pod.cluster.local",
    "peers-0.peers.sk-t1-shop-abc.svc.cluster.local",
    "web.sk-t2-shop-xyz.svc.cluster.local",
    "registry.infra.svc.cluster.local",
    "7.0.96.10.in-addr.arpa",
    "1.0.2.10.in-addr.arpa",
    "9.9.2.10.in-addr.arpa",
    "1.1.1.1.in-addr.arpa",
    "web.corp.example",
];

fn shown(found: &Found) -> String {
    let list = |records: &[(String, Data)]| {
        let each = records.iter().map(|(name, data)| match data {
            Data::Address(ip) => format!("{name} {ip}"),
            Data::Alias(target) => format!("{name} = {target}"),
            Data::Port(port, target) => format!("{port} {target}"),
            Data::Name(target) | Data::Server(target) => target.clone(),
            Data::Text(text) => format!("{text:?}"),
            Data::Authority => "authority".to_owned(),
        });
        each.collect::<Vec<_>>().join(", ")
    };
    match found {
        Found::Records(none) if none.is_empty() => "nothing of it".to_owned(),
        Found::Records(records) => list(records),
        Found::NoName => "no such name".to_owned(),
        Found::Refused => "refused".to_owned(),
        Found::Elsewhere { before, name, of } => {
            let known = if *of == Whose::Host {
                format!("at the host: {name}")
            } else {
                format!("elsewhere: {name}")
            };
            if before.is_empty() { known } else { format!("{}, {known}", list(before)) }
        }
    }
}

/// SY-110: 320 questions; `UPDATE_EXPECT=1` writes the file anew.
#[test]
fn dns_sy110_answers() {
    let zone = zone();
    let mut text = String::new();
    for name in NAMES {
        for (kind, word) in KINDS {
            writeln!(text, "{name} {word}: {}", shown(&zone.lookup(name, kind))).expect("text");
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/dns.txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, &text).expect("golden file");
    }
    let want = std::fs::read_to_string(path).expect("golden file");
    for (is, want) in text.lines().zip(want.lines()) {
        assert_eq!(is, want);
    }
    assert_eq!(text.lines().count(), want.lines().count());
}

/// SY-111 in part: another host zone is refused unless named, the tenant's own is never asked elsewhere.
#[test]
fn dns_host_zones() {
    let mut zone = zone();
    zone.settings.host_domain = "host.zone".into();
    let ask = |name: &str| shown(&zone.lookup(name, Kind::A));
    assert_eq!(ask("kubernetes.default.svc.host.zone"), "refused");
    assert_eq!(ask("registry.infra.svc.host.zone"), "at the host: registry.infra.svc.host.zone");
    assert_eq!(ask("registry.infra.svc.cluster.local"), "no such name");
    let alias = "peers-0.peers.sk-t1-shop-abc.svc.host.zone";
    assert_eq!(ask(alias), format!("{alias} 10.2.0.1"));
    assert_eq!(ask("peers-0.peers.sk-t2-shop-abc.svc.host.zone"), "refused");
    assert_eq!(ask("example.com"), "elsewhere: example.com");
}

/// SV1, Mirrored: the host's address is answered, forward and back, as long as the host has it.
#[test]
fn dns_mirrored_services() {
    let mut zone = zone();
    let key = ("shop".to_owned(), "web".to_owned());
    let ask = |zone: &Zone, name: &str, kind: Kind| shown(&zone.lookup(name, kind));
    zone.mirror(key.clone(), vec![[10, 97, 0, 1].into()]);
    let name = "web.shop.svc.cluster.local";
    assert_eq!(ask(&zone, name, Kind::A), format!("{name} 10.97.0.1"));
    assert_eq!(ask(&zone, "1.0.97.10.in-addr.arpa", Kind::Ptr), name);
    zone.mirror(key, Vec::new());
    assert_eq!(ask(&zone, name, Kind::A), format!("{name} 10.96.0.7"));
    assert_eq!(ask(&zone, "1.0.97.10.in-addr.arpa", Kind::Ptr), "no such name");
}

/// PO30: a pod's own full name answers without a Service of its subdomain, in the tenant's zone and in the host's; once
/// there is such a Service its endpoints come first.
#[test]
fn dns_a_pod_by_its_own_name() {
    let mut zone = zone();
    let mut lone = pod("lone", "shop", "10.2.0.9", "Running");
    lone.0["spec"] = json!({"hostname": "one", "subdomain": "nobody"});
    zone.seen(kind::Kind::Pod, &lone);
    let mut plain = pod("plain", "shop", "10.2.0.8", "Running");
    plain.0["spec"] = json!({"subdomain": "peers"});
    zone.seen(kind::Kind::Pod, &plain);
    let ask = |zone: &Zone, name: &str| shown(&zone.lookup(name, Kind::A));
    for name in ["one.nobody.shop.svc.cluster.local", "one.nobody.sk-t1-shop-abc.svc.cluster.local"] {
        assert_eq!(ask(&zone, name), format!("{name} 10.2.0.9"));
        assert_eq!(
            zone.lookup(name, Kind::Aaaa),
            Found::Records(Vec::new()),
            "it is there, without such an address"
        );
    }
    assert_eq!(
        ask(&zone, "plain.peers.shop.svc.cluster.local"),
        "plain.peers.shop.svc.cluster.local 10.2.0.8"
    );
    for name in ["lone.nobody.shop", "one.nobody.default", "two.nobody.shop", "nobody.shop"] {
        assert_eq!(ask(&zone, &format!("{name}.svc.cluster.local")), "no such name", "{name}");
    }
    zone.gone(kind::Kind::Pod, &("shop".into(), "lone".into()));
    assert_eq!(ask(&zone, "one.nobody.shop.svc.cluster.local"), "no such name");
}

/// What is gone is not answered; an address that two had stays with the one that is left.
#[test]
fn dns_what_is_gone() {
    let mut zone = zone();
    zone.seen(kind::Kind::Pod, &pod("q", "shop", "10.2.0.1", "Running"));
    let name = "10-2-0-1.shop.pod.cluster.local";
    zone.gone(kind::Kind::Pod, &("shop".into(), "p".into()));
    assert_ne!(zone.lookup(name, Kind::A), Found::NoName);
    assert!(zone.is_source([10, 2, 0, 1].into()) && zone.is_source([192, 0, 2, 1].into()));
    zone.gone(kind::Kind::Pod, &("shop".into(), "q".into()));
    assert_eq!(zone.lookup(name, Kind::A), Found::NoName);
    assert!(!zone.is_source([10, 2, 0, 1].into()) && !zone.is_source([192, 0, 2, 1].into()));
    zone.gone(kind::Kind::EndpointSlice, &("shop".into(), "peers-a".into()));
    assert_eq!(zone.lookup("peers.shop.svc.cluster.local", Kind::A), Found::Records(Vec::new()));
    zone.gone(kind::Kind::Service, &("shop".into(), "web".into()));
    assert_eq!(zone.lookup("web.shop.svc.cluster.local", Kind::A), Found::NoName);
    assert_eq!(zone.lookup("7.0.96.10.in-addr.arpa", Kind::Ptr), Found::NoName);
    zone.gone(kind::Kind::Namespace, &(String::new(), "shop".into()));
    assert_eq!(zone.lookup("near.shop.svc.cluster.local", Kind::A), Found::NoName);
}

mod packets {
    use hickory_proto::op::{Edns, Message, OpCode, Query, ResponseCode};
    use hickory_proto::rr::{Name, RecordType};
    use proptest::prelude::*;

    use super::*;

    fn query(name: &str, kind: RecordType) -> Message {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
        message
    }

    fn answered(message: &Message, way: Way) -> Message {
        let packet = match message::read(&message.to_vec().expect("a packet")) {
            Incoming::Nothing => panic!("it is not answered"),
            Incoming::Answer(packet) => packet,
            Incoming::Query(asked) => {
                let zone = zone();
                match zone.lookup(&asked.name, asked.kind) {
                    Found::Records(records) => asked.found(way, &records, true, &zone.settings),
                    _ => asked.found(way, &[], false, &zone.settings),
                }
            }
        };
        assert!(packet.len() <= 1232 || way == Way::Tcp);
        Message::from_vec(&packet).expect("an answer")
    }

    /// The name comes back as it was spelled, denials carry the zone, and transfers are refused (DN5).
    #[test]
    fn dns_packets() {
        let found = answered(&query("Web.Shop.svc.cluster.local.", RecordType::A), Way::Udp);
        assert_eq!(found.answers[0].name.to_ascii(), "Web.Shop.svc.cluster.local.");
        assert_eq!((found.answers[0].ttl, found.metadata.authoritative), (5, true));
        let none = answered(&query("nobody.shop.svc.cluster.local.", RecordType::A), Way::Udp);
        assert_eq!(none.metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(none.authorities[0].name.to_ascii(), "cluster.local.");
        for kind in [RecordType::AXFR, RecordType::IXFR, RecordType::ANY] {
            let refused = answered(&query("cluster.local.", kind), Way::Tcp);
            assert_eq!(refused.metadata.response_code, ResponseCode::Refused, "{kind}");
        }
        let mut update = query("cluster.local.", RecordType::SOA);
        update.metadata.op_code = OpCode::Update;
        let Incoming::Answer(packet) = message::read(&update.to_vec().expect("a packet")) else {
            panic!("not implemented")
        };
        let code = Message::from_vec(&packet).expect("an answer").metadata.response_code;
        assert_eq!(code, ResponseCode::NotImp);
        let mut two = query("a.cluster.local.", RecordType::A);
        two.add_query(Query::query(Name::root(), RecordType::A));
        assert_eq!(answered(&two, Way::Udp).metadata.response_code, ResponseCode::FormErr);
        assert!(matches!(message::read(&found.to_vec().expect("a packet")), Incoming::Nothing), "an answer");
    }

    /// What does not fit says so; by TCP all of it comes.
    #[test]
    fn dns_truncation() {
        let mut zone = zone();
        let many: Vec<Value> = (0..200).map(|i| json!({"addresses": [format!("10.3.0.{i}")]})).collect();
        zone.seen(kind::Kind::EndpointSlice, &slice("many", "bare", json!([]), json!(many)));
        let mut message = query("bare.shop.svc.cluster.local.", RecordType::A);
        message.set_edns(Edns::new());
        let Incoming::Query(asked) = message::read(&message.to_vec().expect("a packet")) else {
            panic!("a query")
        };
        let Found::Records(records) = zone.lookup(&asked.name, asked.kind) else { panic!("records") };
        assert_eq!(records.len(), 200);
        for (way, count, cut) in [(Way::Udp, 0, true), (Way::Tcp, 200, false)] {
            let packet = asked.found(way, &records, true, &zone.settings);
            let answer = Message::from_vec(&packet).expect("an answer");
            assert_eq!((answer.answers.len(), answer.metadata.truncation), (count, cut));
        }
    }

    proptest! {
        /// SY-142: no packet makes it panic, none is answered with more than a datagram takes.
        #[test]
        fn dns_sy142_any_packet(packet in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Incoming::Answer(answer) = message::read(&packet) {
                prop_assert!(answer.len() <= 1232);
            }
        }

        #[test]
        fn dns_sy142_any_name(name in "[a-z0-9_.-]{0,80}", i in 0..KINDS.len()) {
            let _found = zone().lookup(&name, KINDS[i].0);
        }
    }
}
