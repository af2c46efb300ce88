//! Merging a list of named items: which items result and in which order.

use std::collections::HashMap;

use serde_json::Value;

use super::typed::{At, Types};
use crate::model::schema::ListTy;

/// Merges `config` into `live` by the steps of their items. Items of both take the order of `config`; items
/// that only `live` has stay where they stood, relative to the shared ones. Repeated live items whose step
/// `config` names become one, made of `config` alone; other repeated ones stay.
pub(super) fn merge_items<'s>(
    types: Types<'s>,
    list: &'s ListTy,
    live: Vec<Value>,
    config: &[Value],
) -> Vec<Value> {
    let mut place: HashMap<String, usize> = HashMap::with_capacity(config.len());
    let config: Vec<&Value> = config
        .iter()
        .filter(|item| match types.step(list, item) {
            Ok(step) => {
                let next = place.len();
                let fresh = !place.contains_key(&step);
                place.entry(step).or_insert(next);
                fresh
            }
            Err(_) => false,
        })
        .collect();
    // Where each live item stands in the configuration, and the other way round.
    let target: Vec<Option<usize>> =
        live.iter().map(|item| place.get(&types.step(list, item).ok()?).copied()).collect();
    let mut source = vec![Source::None; config.len()];
    for (at, target) in target.iter().enumerate() {
        if let Some(t) = target {
            source[*t] = match source[*t] {
                Source::None => Source::One(at),
                _ => Source::Many,
            };
        }
    }
    let mut live: Vec<Option<Value>> = live.into_iter().map(Some).collect();
    let mut out = Vec::with_capacity(live.len().max(config.len()));
    let mut shared = (0..config.len()).filter(|r| source[*r] != Source::None);
    let mut wanted = shared.next();
    let mut done = vec![false; config.len()];
    let (mut l, mut r) = (0, 0);
    while l < live.len() || r < config.len() {
        if l < live.len() {
            match target[l] {
                None => {
                    out.extend(live[l].take());
                    l += 1;
                    continue;
                }
                Some(t) if t == r => l += 1,
                // A shared item whose turn is later or was before: its place is where the configuration has it.
                Some(t) if r < config.len() && wanted.is_some_and(|w| w != t) => {
                    l += 1;
                    continue;
                }
                Some(t) if done[t] => l += 1,
                Some(_) => {}
            }
        }
        if r < config.len() {
            let known = match source[r] {
                Source::One(at) => live[at].take(),
                Source::Many => Some(Value::Null),
                Source::None => None,
            };
            out.push(match known {
                Some(known) => types.merge(At::Ty(&list.item), known, config[r]),
                None => config[r].clone(),
            });
            done[r] = true;
            if wanted == Some(r) {
                wanted = shared.next();
            }
            r += 1;
        }
    }
    out
}

#[derive(Clone, Copy, PartialEq)]
enum Source {
    None,
    One(usize),
    Many,
}
