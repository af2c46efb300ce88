//! The plain data that goes into the engine and comes out of it. Nothing here decides anything: the planner,
//! the checker, the driver and the tests all speak in these types, and the checker knows nothing else.

mod change;
mod input;
mod label;
mod plan;
mod request;
pub(crate) mod resources;
mod select;
mod snapshot;

pub use change::{Change, PlanDiff, Shift};
pub use input::{Claim, Config, Eviction, Held, Input, Share, State, TieBreak};
pub use label::binding_label;
pub use plan::{
    Decision, Digest, Drop, InCause, LedgerDelta, LedgerRow, Note, NoteReason, OutCause, Outcome, Pick, Plan,
    Reason, Rejected, Score, Step, Tally, Tight, Unfit, Verdict,
};
pub use request::{
    ApiNeed, DivideBy, Group, Mode, Needs, NeedsMode, Objective, OnChange, PodNeed, Prefer, Preferred,
    PreferredBy, Replicas, ReplicasMode, Request, RequestId, Restrict, Scope, Select, SelectCount, Spread,
    UnknownCapacity, Unmatched, Unsatisfiable, WeightRule, WhenShort,
};
pub use resources::{QuantityError, Resources};
pub use select::{
    Expression, LabelSelector, Operator, Order, PropertySelector, Sort, Term, Toleration, TolerationOperator,
};
pub use snapshot::{
    Api, Capacity, Figures, Health, Member, MemberId, MemberName, NodeShape, Price, Report, Seen, Snapshot,
    Taint, TaintEffect,
};

/// Milliseconds since the Unix epoch. The engine has no clock; the present is a field of its input.
pub type Millis = i64;
