//! What processes cost: time on a core, and memory.

/// Some processes, by id; one that is gone costs nothing.
#[derive(Clone, Default)]
pub struct Processes(Vec<u32>);

impl Processes {
    /// Of ids.
    pub fn of(ids: impl IntoIterator<Item = u32>) -> Self {
        Self(ids.into_iter().collect())
    }

    /// Seconds that they have spent on a core.
    pub fn cpu(&self) -> f64 {
        let ticks = |pid: &u32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let fields: Vec<f64> = stat
                .rsplit_once(')')
                .map(|(_, rest)| rest.split_whitespace().map(|f| f.parse().unwrap_or(0.0)).collect())
                .unwrap_or_default();
            fields.get(11).unwrap_or(&0.0) + fields.get(12).unwrap_or(&0.0)
        };
        self.0.iter().map(ticks).sum::<f64>() / 100.0
    }

    /// Resident memory, in MiB.
    pub fn memory(&self) -> f64 {
        let resident = |pid: &u32| {
            let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            let line = text.lines().find_map(|l| l.strip_prefix("Rss:")).unwrap_or_default();
            line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0)
        };
        self.0.iter().map(resident).sum::<f64>() / 1024.0
    }
}
