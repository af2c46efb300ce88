//! Terms over the whole fleet at once: each distinct term is evaluated once per planning, over a posting list per
//! label value that is built on the first use of a label.

use super::properties::{property, satisfies};
use crate::bits::Bits;
use crate::intern::Fleet;
use crate::types::{Expression, Operator, Term};
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a term matches.
#[derive(Debug)]
pub(crate) struct Matched {
    /// Members that match.
    pub(crate) yes: Bits,
    /// Members that match all parts but a CEL expression, which is not evaluated.
    pub(crate) cel: Bits,
}

/// Evaluated terms and label indexes of one planning.
#[derive(Default)]
pub(crate) struct Terms<'a> {
    known: BTreeMap<Term, Rc<Matched>>,
    labels: BTreeMap<String, BTreeMap<&'a str, Vec<usize>>>,
    names: Option<BTreeMap<&'a str, Vec<usize>>>,
}

impl<'a> Terms<'a> {
    /// The members that one term matches.
    pub(crate) fn matched(&mut self, fleet: &Fleet<'a>, term: &Term) -> Rc<Matched> {
        if let Some(known) = self.known.get(term) {
            return known.clone();
        }
        let mut yes = fleet.placeable.clone();
        if let Some(selector) = &term.label_selector {
            for (key, value) in &selector.match_labels {
                yes.and(&self.labelled(fleet, key, |v| v == value));
            }
            for expression in &selector.match_expressions {
                let matching = self.label_expression(fleet, expression);
                yes.and(&matching);
            }
        }
        if let Some(selector) = &term.property_selector {
            for (key, value) in &selector.match_properties {
                let equal =
                    Expression { key: key.clone(), operator: Operator::Eq, values: vec![value.clone()] };
                keep_property(fleet, &mut yes, &equal);
            }
            for expression in &selector.match_expressions {
                keep_property(fleet, &mut yes, expression);
            }
        }
        if !term.names.is_empty() {
            yes.and(&self.named(fleet, &term.names));
        }
        let none = Bits::none(fleet.len());
        let matched = Rc::new(if term.cel.is_empty() {
            Matched { yes, cel: none }
        } else {
            Matched { yes: none, cel: yes }
        });
        self.known.insert(term.clone(), matched.clone());
        matched
    }

    /// The members that any of the terms matches; no terms match nobody.
    pub(crate) fn any(&mut self, fleet: &Fleet<'a>, terms: &[Term]) -> Matched {
        let mut out = Matched { yes: Bits::none(fleet.len()), cel: Bits::none(fleet.len()) };
        for term in terms {
            let matched = self.matched(fleet, term);
            out.yes.or(&matched.yes);
            out.cel.or(&matched.cel);
        }
        let yes = out.yes.clone();
        out.cel.minus(&yes);
        out
    }

    /// The members with one of these names, `name` or `namespace/name`.
    pub(crate) fn named(&mut self, fleet: &Fleet<'a>, names: &[String]) -> Bits {
        let mut out = Bits::none(fleet.len());
        for name in names {
            self.find(fleet, name).for_each(|i| out.insert(i));
        }
        out
    }

    /// The members with one name.
    pub(crate) fn find<'t>(
        &'t mut self,
        fleet: &'t Fleet<'a>,
        name: &'t str,
    ) -> impl Iterator<Item = usize> + 't {
        let (namespace, plain) = name.split_once('/').map_or((None, name), |(ns, n)| (Some(ns), n));
        let index = self.names.get_or_insert_with(|| {
            let mut index: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            for i in fleet.placeable.iter() {
                index.entry(&fleet.members[i].name.name).or_default().push(i);
            }
            index
        });
        let found = index.get(plain).into_iter().flatten().copied();
        found.filter(move |i| namespace.is_none_or(|ns| &*fleet.members[*i].name.namespace == ns))
    }

    fn labelled(&mut self, fleet: &Fleet<'a>, key: &str, keep: impl Fn(&str) -> bool) -> Bits {
        let mut out = Bits::none(fleet.len());
        let values = self.values(fleet, key);
        values.iter().filter(|(v, _)| keep(v)).flat_map(|(_, m)| m).for_each(|i| out.insert(*i));
        out
    }

    fn values(&mut self, fleet: &Fleet<'a>, key: &str) -> &BTreeMap<&'a str, Vec<usize>> {
        if !self.labels.contains_key(key) {
            let mut values: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            for i in fleet.placeable.iter() {
                if let Some(value) = fleet.members[i].labels.get(key) {
                    values.entry(value).or_default().push(i);
                }
            }
            self.labels.insert(key.to_owned(), values);
        }
        &self.labels[key]
    }

    /// Label expressions compare as text, as everywhere in Kubernetes; the ordered operators compare as properties do.
    fn label_expression(&mut self, fleet: &Fleet<'a>, expression: &Expression) -> Bits {
        use Operator::{DoesNotExist, Eq, Exists, Ge, Gt, In, Le, Lt, Ne, NotIn};
        let listed = |v: &str| expression.values.iter().any(|x| x == v);
        let not = |bits: Bits| {
            let mut out = fleet.placeable.clone();
            out.minus(&bits);
            out
        };
        match expression.operator {
            Exists => self.labelled(fleet, &expression.key, |_| true),
            In | Eq => self.labelled(fleet, &expression.key, listed),
            DoesNotExist => not(self.labelled(fleet, &expression.key, |_| true)),
            NotIn | Ne => not(self.labelled(fleet, &expression.key, listed)),
            Gt | Ge | Lt | Le => self.labelled(fleet, &expression.key, |v| satisfies(Some(v), expression)),
        }
    }
}

fn keep_property(fleet: &Fleet<'_>, members: &mut Bits, expression: &Expression) {
    let refused: Vec<usize> = (members.iter())
        .filter(|i| !satisfies(property(fleet, *i, &expression.key).as_deref(), expression))
        .collect();
    refused.into_iter().for_each(|i| members.remove(i));
}
