//! The syncer's own figures, read off its metrics page.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Samples of one look: name with labels, and value.
#[derive(Clone, Default)]
pub struct Page(BTreeMap<String, f64>);

impl Page {
    /// Reads it now; empty where nothing answers.
    pub fn read(address: &str) -> Self {
        let mut text = String::new();
        let asked = TcpStream::connect(address).and_then(|mut stream| {
            write!(stream, "GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
            stream.read_to_string(&mut text)
        });
        if asked.is_err() {
            return Self::default();
        }
        let samples = text.lines().filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(samples.collect())
    }

    /// The sum of all samples whose name begins so and whose labels hold all of these.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let wanted = |sample: &str| {
            let (of, rest) = sample.split_once('{').unwrap_or((sample, ""));
            of == name && labels.iter().all(|label| rest.contains(label))
        };
        self.0.iter().filter(|(sample, _)| wanted(sample)).map(|(_, value)| value).sum()
    }

    /// What was written since another look: `side verb kind` and how often.
    pub fn writes_since(&self, before: &Self) -> BTreeMap<String, f64> {
        let writes = self.0.iter().filter(|(sample, _)| sample.starts_with("skerry_syncer_writes_total{"));
        let mut out = BTreeMap::new();
        for (sample, now) in writes {
            let more = now - before.0.get(sample).copied().unwrap_or(0.0);
            if more > 0.0 {
                let label = |name: &str| {
                    let rest = sample.split_once(&format!("{name}=\"")).map_or("", |(_, rest)| rest);
                    rest.split('"').next().unwrap_or_default().to_owned()
                };
                *out.entry(["side", "verb", "kind"].map(label).join(" ")).or_insert(0.0) += more;
            }
        }
        out
    }
}
