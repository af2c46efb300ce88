//! Packets: a query in, an answer out (DN5). What is no query of ours to answer is dropped or refused here, before
//! anybody looks anything up.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::zone::{self, Data, Kind};

/// Largest answer by UDP that is sent, whatever a client says it takes.
const MOST_UDP: u16 = 1232;
/// Largest by UDP without EDNS.
const PLAIN_UDP: u16 = 512;
/// Seconds that a denial may be kept.
const NEGATIVE: u32 = 5;

/// A query that is to be answered.
#[derive(Clone, Debug)]
pub struct Asked {
    message: Message,
    /// Name in lower case, without its last dot.
    pub name: String,
    /// What is asked for.
    pub kind: Kind,
    record: RecordType,
}

/// What came in.
pub enum Incoming {
    /// No DNS query: not answered.
    Nothing,
    /// Answered at once.
    Answer(Vec<u8>),
    /// To be looked up.
    Query(Box<Asked>),
}

/// Reads a packet.
pub fn read(packet: &[u8]) -> Incoming {
    let Ok(message) = Message::from_vec(packet) else { return Incoming::Nothing };
    if message.metadata.message_type != MessageType::Query {
        return Incoming::Nothing;
    }
    let refuse = |code| Incoming::Answer(bytes(&answer(&message, code), MOST_UDP));
    if message.metadata.op_code != OpCode::Query {
        return refuse(ResponseCode::NotImp);
    }
    if message.edns.as_ref().is_some_and(|e| e.version() > 0) {
        return refuse(ResponseCode::BADVERS);
    }
    let [query] = message.queries.as_slice() else { return refuse(ResponseCode::FormErr) };
    if query.query_class() != DNSClass::IN {
        return refuse(ResponseCode::Refused);
    }
    let record = query.query_type();
    if matches!(record, RecordType::AXFR | RecordType::IXFR | RecordType::ANY) {
        return refuse(ResponseCode::Refused);
    }
    let name = query.name().to_lowercase().to_ascii();
    let asked = Asked { name: name.trim_end_matches('.').to_owned(), kind: kind_of(record), record, message };
    Incoming::Query(Box::new(asked))
}

fn kind_of(record: RecordType) -> Kind {
    match record {
        RecordType::A => Kind::A,
        RecordType::AAAA => Kind::Aaaa,
        RecordType::SRV => Kind::Srv,
        RecordType::PTR => Kind::Ptr,
        RecordType::CNAME => Kind::Cname,
        RecordType::TXT => Kind::Txt,
        RecordType::SOA => Kind::Soa,
        RecordType::NS => Kind::Ns,
        _ => Kind::Other,
    }
}

/// How an answer travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In one datagram.
    Udp,
    /// In a stream.
    Tcp,
}

impl Asked {
    /// Most bytes of an answer.
    fn limit(&self, way: Way) -> u16 {
        match (way, &self.message.edns) {
            (Way::Tcp, _) => u16::MAX,
            (Way::Udp, Some(edns)) => edns.max_payload().clamp(PLAIN_UDP, MOST_UDP),
            (Way::Udp, None) => PLAIN_UDP,
        }
    }

    /// Whether the client wants other servers to be asked.
    pub fn wants_recursion(&self) -> bool {
        self.message.metadata.recursion_desired
    }

    /// An answer without records.
    pub fn refused(&self, way: Way) -> Vec<u8> {
        bytes(&answer(&self.message, ResponseCode::Refused), self.limit(way))
    }

    /// No server that was asked had an answer.
    pub fn failed(&self, way: Way) -> Vec<u8> {
        bytes(&answer(&self.message, ResponseCode::ServFail), self.limit(way))
    }

    /// The tenant's own records; without any the zone's, so that the denial can be kept.
    pub fn found(
        &self,
        way: Way,
        records: &[zone::Record],
        is_there: bool,
        settings: &zone::Settings,
    ) -> Vec<u8> {
        let code = if is_there { ResponseCode::NoError } else { ResponseCode::NXDomain };
        let mut message = answer(&self.message, code);
        message.metadata.authoritative = true;
        message.add_answers(self.records(records, settings));
        if message.answers.is_empty()
            && let Some(authority) = record(&settings.domain, &Data::Authority, settings)
        {
            message.add_authority(authority);
        }
        bytes(&message, self.limit(way))
    }

    /// What another server answered for `name`, behind the aliases that led there.
    pub fn relayed(
        &self,
        way: Way,
        before: &[zone::Record],
        other: &Message,
        settings: &zone::Settings,
    ) -> Vec<u8> {
        let mut message = answer(&self.message, other.metadata.response_code);
        message.add_answers(self.records(before, settings));
        message.add_answers(other.answers.iter().cloned());
        message.add_authorities(other.authorities.iter().cloned());
        bytes(&message, self.limit(way))
    }

    /// The question for another server.
    pub fn onward(&self, name: &str) -> Option<Message> {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(Name::from_ascii(format!("{name}.")).ok()?, self.record));
        let mut edns = Edns::new();
        edns.set_max_payload(MOST_UDP);
        message.set_edns(edns);
        Some(message)
    }

    fn records(&self, records: &[zone::Record], settings: &zone::Settings) -> Vec<Record> {
        let asked = self.message.queries.first().map(|q| q.name().clone());
        let mut out: Vec<Record> =
            records.iter().filter_map(|(name, data)| record(name, data, settings)).collect();
        // The owner is spelled as it was asked for: clients compare.
        for record in
            out.iter_mut().filter(|r| r.name.to_lowercase().to_ascii().trim_end_matches('.') == self.name)
        {
            if let Some(asked) = &asked {
                record.name = asked.clone();
            }
        }
        out
    }
}

fn record(name: &str, data: &Data, settings: &zone::Settings) -> Option<Record> {
    let of = |text: &str| Name::from_ascii(format!("{text}.")).ok();
    let rdata = match data {
        Data::Address(IpAddr::V4(ip)) => RData::A(A(*ip)),
        Data::Address(IpAddr::V6(ip)) => RData::AAAA(AAAA(*ip)),
        Data::Alias(target) => RData::CNAME(CNAME(of(target)?)),
        Data::Port(port, target) => RData::SRV(SRV::new(0, 100, *port, of(target)?)),
        Data::Name(target) => RData::PTR(PTR(of(target)?)),
        Data::Text(text) => RData::TXT(TXT::new(vec![text.clone()])),
        Data::Server(server) => RData::NS(NS(of(server)?)),
        Data::Authority => {
            let (server, person) = (
                of(&format!("ns.dns.{}", settings.domain))?,
                of(&format!("hostmaster.{}", settings.domain))?,
            );
            RData::SOA(SOA::new(server, person, 1, 7200, 1800, 86_400, NEGATIVE))
        }
    };
    let ttl = if matches!(data, Data::Authority) { NEGATIVE } else { settings.ttl };
    Some(Record::from_rdata(of(name)?, ttl, rdata))
}

fn answer(to: &Message, code: ResponseCode) -> Message {
    let mut message = Message::response(to.metadata.id, to.metadata.op_code);
    message.metadata.response_code = code;
    message.metadata.recursion_desired = to.metadata.recursion_desired;
    message.metadata.recursion_available = true;
    message.add_queries(to.queries.iter().cloned());
    if to.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(MOST_UDP);
        edns.set_rcode_high(code.high());
        message.set_edns(edns);
    }
    message
}

/// The packet; one that does not fit says so, and the client comes again by TCP.
fn bytes(message: &Message, limit: u16) -> Vec<u8> {
    match message.to_vec() {
        Ok(packet) if packet.len() <= usize::from(limit) => packet,
        _ => message.truncate().to_vec().unwrap_or_default(),
    }
}
