//! Properties of apply and of sets (AS-13).

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::sample::sample;
use super::*;

const NOW: &str = "2026-01-01T00:00:00Z";
const BASE: &str = "base";

/// A configuration of annotations and finalizers: each leaf is one path.
type Leaves = BTreeMap<String, String>;

fn leaves() -> impl Strategy<Value = Leaves> {
    let leaf = prop_oneof![
        ("k[0-3]", "[12]").prop_map(|(k, v)| (format!("a/{k}"), v)),
        "f[0-3]".prop_map(|f| (format!("f/{f}"), String::new())),
    ];
    prop::collection::vec(leaf, 0..5).prop_map(|pairs| pairs.into_iter().collect())
}

/// Every body also has one leaf of each kind that never changes: a composite that comes and goes is a field of
/// its own, which the model does not know.
fn body(leaves: &Leaves) -> Value {
    let mut annotations = Map::from_iter([(BASE.to_owned(), Value::from("1"))]);
    let mut finalizers = vec![Value::from(BASE)];
    for (path, value) in leaves {
        match path.split_once('/') {
            Some(("a", key)) => _ = annotations.insert(key.to_owned(), value.as_str().into()),
            Some((_, item)) => finalizers.push(Value::from(item)),
            None => {}
        }
    }
    json!({"apiVersion": "apps/v1", "kind": "App",
        "metadata": {"name": "x", "annotations": annotations, "finalizers": finalizers}})
}

fn leaves_of(object: &Value) -> Leaves {
    let metadata = &object["metadata"];
    let annotations = metadata["annotations"].as_object().into_iter().flatten();
    let finalizers = metadata["finalizers"].as_array().into_iter().flatten();
    annotations
        .map(|(k, v)| (format!("a/{k}"), v.as_str().unwrap_or_default().to_owned()))
        .chain(finalizers.map(|f| (format!("f/{}", f.as_str().unwrap_or_default()), String::new())))
        .filter(|(path, _)| !path.ends_with(BASE))
        .collect()
}

/// Owned leaves by manager and operation.
type Owners = BTreeMap<String, BTreeSet<String>>;

fn owners_of(object: &Value) -> Owners {
    let list = managers::peek(object).cloned().unwrap_or_default();
    let mut out = Owners::new();
    for entry in managers::trusted(list) {
        let who = format!("{} {:?}", entry.manager.name, entry.manager.operation);
        let paths = entry.fields.paths().into_iter().filter_map(|path| {
            let key = path.strip_prefix(".metadata.annotations.").map(|k| format!("a/{k}"));
            let item = path.strip_prefix(".metadata.finalizers[=\"").and_then(|f| f.strip_suffix("\"]"));
            key.or_else(|| item.map(|f| format!("f/{f}")))
        });
        let paths: BTreeSet<String> = paths.filter(|path| !path.ends_with(BASE)).collect();
        if !paths.is_empty() {
            out.insert(who, paths);
        }
    }
    out
}

#[derive(Clone, Debug)]
enum Op {
    Apply { who: String, leaves: Leaves, force: bool },
    Update { who: String, set: Leaves, gone: BTreeSet<String> },
}

fn op() -> impl Strategy<Value = Op> {
    let who = || "[abc]";
    prop_oneof![
        3 => (who(), leaves(), any::<bool>()).prop_map(|(who, leaves, force)| Op::Apply { who, leaves, force }),
        2 => (who(), leaves(), leaves()).prop_map(|(who, set, gone)| Op::Update { who, set, gone: gone.into_keys().collect() }),
    ]
}

/// The rules in their plainest form: a map of values and a set of paths per manager.
#[derive(Default)]
struct Model {
    values: Leaves,
    owners: Owners,
}

impl Model {
    /// False when refused.
    fn apply(&mut self, who: &str, leaves: &Leaves, force: bool) -> bool {
        let me = format!("{who} Apply");
        let changed: BTreeSet<String> =
            leaves.iter().filter(|(k, v)| self.values.get(*k) != Some(v)).map(|(k, _)| k.clone()).collect();
        let conflict = self.owners.iter().any(|(o, paths)| *o != me && !paths.is_disjoint(&changed));
        if conflict && !force {
            return false;
        }
        for (_, paths) in self.owners.iter_mut().filter(|(o, _)| **o != me) {
            paths.retain(|p| !changed.contains(p));
        }
        let last = self.owners.insert(me, leaves.keys().cloned().collect()).unwrap_or_default();
        for gone in last.into_iter().filter(|p| !leaves.contains_key(p)) {
            if !self.owners.values().any(|paths| paths.contains(&gone)) {
                self.values.remove(&gone);
            }
        }
        self.values.extend(leaves.clone());
        self.owners.retain(|_, paths| !paths.is_empty());
        true
    }

    fn update(&mut self, who: &str, new: Leaves) {
        let differs = |k: &String| self.values.get(k) != new.get(k);
        let changed: BTreeSet<String> =
            self.values.keys().chain(new.keys()).filter(|k| differs(k)).cloned().collect();
        for paths in self.owners.values_mut() {
            paths.retain(|p| !changed.contains(p));
        }
        let taken = changed.into_iter().filter(|p| new.contains_key(p));
        self.owners.entry(format!("{who} Update")).or_default().extend(taken);
        self.owners.retain(|_, paths| !paths.is_empty());
        self.values = new;
    }
}

struct World {
    sample: sample::Sample,
    live: Option<Value>,
}

impl World {
    fn new() -> World {
        World { sample: sample(), live: None }
    }

    fn apply(&mut self, who: &str, leaves: &Leaves, force: bool) -> Result<bool, ApplyError> {
        let applied = body(leaves);
        let done = super::apply(Apply {
            schema: &self.sample.schema,
            root: self.sample.root,
            live: self.live.as_ref(),
            applied: &applied,
            manager: who,
            api_version: "apps/v1",
            subresource: "",
            force,
            now: NOW,
            reset_fields: &[],
        })?;
        self.live = Some(done.object);
        Ok(done.changed)
    }

    fn update(&mut self, who: &str, new: &Leaves) {
        let mut new = body(new);
        if let Some(list) = self.live.as_ref().and_then(managers::peek) {
            new["metadata"]["managedFields"] = list.clone();
        }
        update(Update {
            schema: &self.sample.schema,
            root: self.sample.root,
            live: self.live.as_ref(),
            new: &mut new,
            manager: who,
            api_version: "apps/v1",
            subresource: "",
            now: NOW,
            reset_fields: &[],
        });
        self.live = Some(new);
    }

    fn leaves(&self) -> Leaves {
        self.live.as_ref().map(leaves_of).unwrap_or_default()
    }

    fn owners(&self) -> Owners {
        self.live.as_ref().map(owners_of).unwrap_or_default()
    }

    fn run(&mut self, ops: &[Op]) {
        for op in ops {
            match op {
                Op::Apply { who, leaves, force } => _ = self.apply(who, leaves, *force),
                Op::Update { who, set, gone } => {
                    let mut new = self.leaves();
                    new.extend(set.clone());
                    new.retain(|k, _| !gone.contains(k));
                    self.update(who, &new);
                }
            }
        }
    }
}

/// A tree of paths `a.b.c`, and its members.
fn paths() -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set(prop::collection::vec("[ab]", 1..4).prop_map(|p| p.join(".")), 0..6)
}

fn set(paths: &BTreeSet<String>) -> FieldSet {
    FieldSet::of_paths(paths.iter().map(String::as_str))
}

fn members(set: &FieldSet) -> BTreeSet<String> {
    set.paths().into_iter().map(|p| p.trim_start_matches('.').to_owned()).collect()
}

proptest! {
    /// Values, owners and refusals are those of the plain model.
    #[test]
    fn as13_ownership_equals_the_model(ops in prop::collection::vec(op(), 1..9)) {
        let (mut world, mut model) = (World::new(), Model::default());
        for op in &ops {
            match op {
                Op::Apply { who, leaves, force } => {
                    let accepted = model.apply(who, leaves, *force);
                    prop_assert_eq!(world.apply(who, leaves, *force).is_ok(), accepted);
                }
                Op::Update { who, set, gone } => {
                    let mut new = model.values.clone();
                    new.extend(set.clone());
                    new.retain(|k, _| !gone.contains(k));
                    model.update(who, new.clone());
                    world.update(who, &new);
                }
            }
            prop_assert_eq!(&world.leaves(), &model.values, "values after {:?}", op);
            prop_assert_eq!(&world.owners(), &model.owners, "owners after {:?}", op);
        }
    }

    /// Applying twice writes nothing the second time.
    #[test]
    fn as13_apply_twice_is_a_no_op(ops in prop::collection::vec(op(), 0..6), leaves in leaves()) {
        let mut world = World::new();
        world.run(&ops);
        world.apply("z", &leaves, true).unwrap();
        let before = world.live.clone();
        prop_assert!(!world.apply("z", &leaves, false).unwrap());
        prop_assert_eq!(world.live, before);
    }

    /// Managers of different fields commute.
    #[test]
    fn as13_disjoint_managers_commute(ops in prop::collection::vec(op(), 0..6), all in leaves()) {
        let half = |n: usize| -> Leaves {
            all.iter().enumerate().filter(|(i, _)| i % 2 == n).map(|(_, (k, v))| (k.clone(), v.clone())).collect()
        };
        let both = |first: usize| {
            let mut world = World::new();
            world.run(&ops);
            for n in [first, 1 - first] {
                world.apply(["x", "y"][n], &half(n), true).unwrap();
            }
            (world.leaves(), world.owners())
        };
        prop_assert_eq!(both(0), both(1));
    }

    /// What another still owns stays when its fellow owner leaves.
    #[test]
    fn as13_shared_fields_stay(ops in prop::collection::vec(op(), 0..6), mine in leaves()) {
        let mut world = World::new();
        world.run(&ops);
        world.apply("x", &mine, true).unwrap();
        world.apply("y", &mine, false).unwrap();
        world.apply("x", &Leaves::new(), false).unwrap();
        let left = world.leaves();
        for (k, v) in &mine {
            prop_assert_eq!(left.get(k), Some(v));
        }
    }

    /// Sets behave as sets of paths.
    #[test]
    fn as13_set_algebra(a in paths(), b in paths()) {
        let (x, y) = (set(&a), set(&b));
        prop_assert_eq!(members(&x), a.clone());
        prop_assert_eq!(FieldSet::parse(&x.clone().into_json()), Some(x.clone()));
        let mut union = x.clone();
        union.unite(y.clone());
        prop_assert_eq!(members(&union), a.union(&b).cloned().collect());
        prop_assert_eq!(members(&x.intersection(&y)), a.intersection(&b).cloned().collect());
        let mut difference = x.clone();
        difference.subtract(&y);
        prop_assert_eq!(members(&difference), a.difference(&b).cloned().collect());
        let below = |p: &String| b.iter().any(|q| p == q || p.starts_with(&format!("{q}.")));
        let mut trees = x.clone();
        trees.subtract_trees(&y);
        prop_assert_eq!(members(&trees), a.iter().filter(|p| !below(p)).cloned().collect());
        prop_assert_eq!(x.is_subset(&y), a.is_subset(&b));
    }
}
