//! Limits of one tenant (section 7 of the design): the fields a `TenantSpec` may raise, up to ten times.

use std::time::Duration;

use super::reader::Reader;

/// What one tenant may use. The default is the table's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Q8: bytes of one stored object.
    pub object_bytes: u64,
    /// Q9: objects.
    pub objects: u64,
    /// Q9: bytes of all objects.
    pub bytes: u64,
    /// Q10: namespaces.
    pub namespaces: u64,
    /// Q10: CustomResourceDefinitions.
    pub crds: u64,
    /// Q10: schema nodes of one CustomResourceDefinition.
    pub crd_nodes: u64,
    /// Q11: events.
    pub events: u64,
    /// Q12: watches.
    pub watches: u64,
    /// Q12: watches of one identity.
    pub watches_per_identity: u64,
    /// Q13: reading requests at once, waiting ones included.
    pub in_flight_reading: u64,
    /// Q13: mutating requests at once, waiting ones included.
    pub in_flight_mutating: u64,
    /// Q15: bytes of history kept for watches.
    pub history_bytes: u64,
    /// Q16: tunnels at once.
    pub tunnels: u64,
    /// Q20: webhooks.
    pub webhooks: u64,
    /// Q24: longest lifetime of a token; it can only be shortened.
    pub token_ttl: Duration,
}

const MI: u64 = 1 << 20;
const DAY: Duration = Duration::from_secs(86_400);

impl Default for Limits {
    fn default() -> Self {
        Self {
            object_bytes: 3 * MI / 2,
            objects: 50_000,
            bytes: 256 * MI,
            namespaces: 1_000,
            crds: 300,
            crd_nodes: 20_000,
            events: 10_000,
            watches: 5_000,
            watches_per_identity: 1_000,
            in_flight_reading: 100,
            in_flight_mutating: 50,
            history_bytes: 4 * MI,
            tunnels: 200,
            webhooks: 50,
            token_ttl: DAY,
        }
    }
}

impl Limits {
    /// Reads limits over `base`. Each may be anything from 1 to ten times the table's default, so that classes can offer
    /// small sizes; an object at most 3 MiB; tokens
    /// from ten minutes to a day.
    pub fn read(mut from: Reader<'_>, base: &Self) -> Self {
        let table = Self::default();
        let ten = |n: u64| 1..=n.saturating_mul(10);
        let out = Self {
            object_bytes: from.bytes("objectBytes", base.object_bytes, table.object_bytes..=3 * MI),
            objects: from.number("objects", base.objects, ten(table.objects)),
            bytes: from.bytes("bytes", base.bytes, ten(table.bytes)),
            namespaces: from.number("namespaces", base.namespaces, ten(table.namespaces)),
            crds: from.number("crds", base.crds, ten(table.crds)),
            crd_nodes: from.number("crdNodes", base.crd_nodes, ten(table.crd_nodes)),
            events: from.number("events", base.events, ten(table.events)),
            watches: from.number("watches", base.watches, ten(table.watches)),
            watches_per_identity: from.number(
                "watchesPerIdentity",
                base.watches_per_identity,
                ten(table.watches_per_identity),
            ),
            in_flight_reading: from.number(
                "inFlightReading",
                base.in_flight_reading,
                ten(table.in_flight_reading),
            ),
            in_flight_mutating: from.number(
                "inFlightMutating",
                base.in_flight_mutating,
                ten(table.in_flight_mutating),
            ),
            history_bytes: from.bytes("historyBytes", base.history_bytes, ten(table.history_bytes)),
            tunnels: from.number("tunnels", base.tunnels, ten(table.tunnels)),
            webhooks: from.number("webhooks", base.webhooks, ten(table.webhooks)),
            token_ttl: from.duration("tokenTTL", base.token_ttl, Duration::from_secs(600)..=DAY),
        };
        from.finish();
        out
    }

    /// What differs from the table, as a `TenantSpec` writes it.
    pub fn to_value(&self) -> serde_json::Value {
        let Self {
            object_bytes,
            objects,
            bytes,
            namespaces,
            crds,
            crd_nodes,
            events,
            watches,
            watches_per_identity,
            in_flight_reading,
            in_flight_mutating,
            history_bytes,
            tunnels,
            webhooks,
            token_ttl,
        } = self;
        let table = Self::default();
        let rows = [
            ("objectBytes", *object_bytes, table.object_bytes),
            ("objects", *objects, table.objects),
            ("bytes", *bytes, table.bytes),
            ("namespaces", *namespaces, table.namespaces),
            ("crds", *crds, table.crds),
            ("crdNodes", *crd_nodes, table.crd_nodes),
            ("events", *events, table.events),
            ("watches", *watches, table.watches),
            ("watchesPerIdentity", *watches_per_identity, table.watches_per_identity),
            ("inFlightReading", *in_flight_reading, table.in_flight_reading),
            ("inFlightMutating", *in_flight_mutating, table.in_flight_mutating),
            ("historyBytes", *history_bytes, table.history_bytes),
            ("tunnels", *tunnels, table.tunnels),
            ("webhooks", *webhooks, table.webhooks),
        ];
        let mut out: serde_json::Map<_, _> = rows
            .into_iter()
            .filter(|(_, is, default)| is != default)
            .map(|(name, is, _)| (name.into(), is.into()))
            .collect();
        if *token_ttl != table.token_ttl {
            out.insert("tokenTTL".into(), format!("{}s", token_ttl.as_secs()).into());
        }
        out.into()
    }
}
