//! Taints and tolerations (M5), with the meaning core/v1 gives them.

use crate::types::{Member, Taint, TaintEffect, Toleration, TolerationOperator};

/// Whether one toleration covers one taint.
pub(crate) fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let key = if toleration.key.is_empty() {
        toleration.operator == TolerationOperator::Exists
    } else {
        toleration.key == taint.key
    };
    let value = toleration.operator == TolerationOperator::Exists || toleration.value == taint.value;
    key && value && toleration.effect.is_none_or(|e| e == taint.effect)
}

/// The taint that keeps new picks away: the first by key that is not tolerated.
pub(crate) fn blocking<'m>(member: &'m Member, tolerations: &[Toleration]) -> Option<&'m Taint> {
    untolerated(member, tolerations, |effect| effect != TaintEffect::PreferNoSchedule)
}

/// The taint that lowers the rank.
pub(crate) fn disliked<'m>(member: &'m Member, tolerations: &[Toleration]) -> Option<&'m Taint> {
    untolerated(member, tolerations, |effect| effect == TaintEffect::PreferNoSchedule)
}

fn untolerated<'m>(
    member: &'m Member,
    tolerations: &[Toleration],
    counts: impl Fn(TaintEffect) -> bool,
) -> Option<&'m Taint> {
    (member.taints.iter())
        .filter(|t| counts(t.effect) && !tolerations.iter().any(|toleration| tolerates(toleration, t)))
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerations_match_as_in_core_v1() {
        let taint =
            Taint { key: "k".into(), value: "v".into(), effect: TaintEffect::NoSchedule, time_added: 0 };
        let toleration = |key: &str, exists: bool, value: &str, effect| Toleration {
            key: key.into(),
            operator: if exists { TolerationOperator::Exists } else { TolerationOperator::Equal },
            value: value.into(),
            effect,
            toleration_seconds: None,
        };
        for (t, want) in [
            (toleration("k", false, "v", None), true),
            (toleration("k", false, "other", None), false),
            (toleration("k", true, "", None), true),
            (toleration("", true, "", None), true),
            (toleration("", false, "", None), false),
            (toleration("other", true, "", None), false),
            (toleration("k", true, "", Some(TaintEffect::NoSchedule)), true),
            (toleration("k", true, "", Some(TaintEffect::NoExecute)), false),
        ] {
            assert_eq!(tolerates(&t, &taint), want, "{t:?}");
        }
    }
}
