//! What became of each spec, from the runner's report, kept over runs that cover a part of them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a spec ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Well.
    Passed,
    /// Badly; what it said.
    Failed(String),
    /// It would not run here, and why.
    Skipped(String),
}

/// Outcomes by the specs' full names.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Results {
    outcomes: BTreeMap<String, Outcome>,
}

impl Results {
    /// What is kept; nothing where nothing is.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(e).with_context(|| path.display().to_string()),
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| path.display().to_string()),
        }
    }

    /// Keeps it.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        std::fs::write(path, serde_json::to_vec_pretty(self)?).with_context(|| path.display().to_string())
    }

    /// Takes over what a run's report says.
    pub fn merge(&mut self, report: &Value) {
        let suites = report.as_array().into_iter().flatten();
        let specs = suites.filter_map(|suite| suite["SpecReports"].as_array()).flatten();
        for spec in specs.filter(|spec| spec["LeafNodeType"] == "It") {
            if let Some(outcome) = outcome(spec) {
                self.outcomes.insert(name(spec), outcome);
            }
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Outcome)> {
        self.outcomes.iter().map(|(name, outcome)| (name.as_str(), outcome))
    }

    /// One of them.
    pub fn of(&self, spec: &str) -> Option<&Outcome> {
        self.outcomes.get(spec)
    }
}

/// The texts of what it is in, then its own.
fn name(spec: &Value) -> String {
    let above = spec["ContainerHierarchyTexts"].as_array().into_iter().flatten();
    let texts = above.chain([&spec["LeafNodeText"]]).filter_map(Value::as_str);
    texts.collect::<Vec<_>>().join(" ")
}

/// Nothing for a spec that the run left out.
fn outcome(spec: &Value) -> Option<Outcome> {
    let said = spec["Failure"]["Message"].as_str().unwrap_or_default().trim().to_owned();
    match spec["State"].as_str()? {
        "passed" => Some(Outcome::Passed),
        "skipped" if said.is_empty() => None,
        "skipped" => Some(Outcome::Skipped(said)),
        "pending" => None,
        _ => Some(Outcome::Failed(said)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_is_read_and_kept_by_name() {
        let spec = |text: &str, state: &str, said: &str| {
            serde_json::json!({
                "ContainerHierarchyTexts": ["[sig-node] Pods"], "LeafNodeText": text, "LeafNodeType": "It",
                "State": state, "Failure": {"Message": said},
            })
        };
        let mut results = Results::default();
        let setup = serde_json::json!({"LeafNodeType": "BeforeSuite", "State": "passed"});
        results.merge(&serde_json::json!([{"SpecReports": [
            setup, spec("runs", "timedout", "too slow"), spec("is left out", "skipped", ""),
            spec("needs more", "skipped", "two nodes"),
        ]}]));
        results.merge(&serde_json::json!([{"SpecReports": [spec("runs", "passed", "")]}]));
        let all: Vec<_> = results.all().collect();
        let skipped = Outcome::Skipped("two nodes".to_owned());
        assert_eq!(
            all,
            [("[sig-node] Pods needs more", &skipped), ("[sig-node] Pods runs", &Outcome::Passed)]
        );
    }
}
