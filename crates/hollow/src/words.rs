//! What a simulated pod has to say.

/// The whole log of a simulated pod, and why nobody gets into it.
pub const NOTHING_RUNS: &str = "this pod is simulated: nothing runs in it";
