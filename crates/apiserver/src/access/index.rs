//! Who has which rules where: one shared layer of bootstrap policy, and the tenant's own objects over it (Z1).

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::policy;
use super::rule::Rule;
use crate::identity::Identity;

/// The four kinds of RBAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `clusterroles`.
    ClusterRole,
    /// `roles`.
    Role,
    /// `clusterrolebindings`.
    ClusterRoleBinding,
    /// `rolebindings`.
    RoleBinding,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::ClusterRole, Self::Role, Self::ClusterRoleBinding, Self::RoleBinding];

    /// Plural resource name.
    pub fn plural(self) -> &'static str {
        match self {
            Self::ClusterRole => "clusterroles",
            Self::Role => "roles",
            Self::ClusterRoleBinding => "clusterrolebindings",
            Self::RoleBinding => "rolebindings",
        }
    }

    fn of(object: &Value) -> Option<Self> {
        match object["kind"].as_str()? {
            "ClusterRole" => Some(Self::ClusterRole),
            "Role" => Some(Self::Role),
            "ClusterRoleBinding" => Some(Self::ClusterRoleBinding),
            "RoleBinding" => Some(Self::RoleBinding),
            _ => None,
        }
    }
}

/// Kind and `namespace/name`.
pub type ObjectKey = (Kind, Box<str>);

/// Key of an object by its namespace (empty for cluster scope) and name.
pub fn key(kind: Kind, namespace: &str, name: &str) -> ObjectKey {
    (kind, format!("{namespace}/{name}").into())
}

/// A role that a binding names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleRef {
    /// `Role` or `ClusterRole`, or something else that resolves to nothing.
    pub kind: Box<str>,
    /// Name.
    pub name: Box<str>,
}

/// A subject of a binding.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Subject {
    kind: Box<str>,
    name: Box<str>,
    namespace: Box<str>,
}

/// A binding.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Binding {
    name: Box<str>,
    /// Empty for a ClusterRoleBinding.
    namespace: Box<str>,
    role: RoleRef,
    subjects: Vec<Subject>,
}

/// Through which binding and subject a rule reaches somebody; prints as upstream tells it.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    binding: &'a Binding,
    subject: &'a Subject,
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Binding { name, namespace, role, .. } = self.binding;
        match &**namespace {
            "" => write!(f, "ClusterRoleBinding {name:?}")?,
            ns => write!(f, "RoleBinding {:?}", format!("{name}/{ns}"))?,
        }
        write!(f, " of {} {:?} to ", role.kind, role.name)?;
        let Subject { kind, name, namespace: own } = self.subject;
        if &**kind == "ServiceAccount" {
            let ns = if own.is_empty() { namespace } else { own };
            write!(f, "{kind} {:?}", format!("{name}/{ns}"))
        } else {
            write!(f, "{kind} {name:?}")
        }
    }
}

/// A binding names a role that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}.rbac.authorization.k8s.io {name:?} not found")]
pub struct NoSuchRole {
    /// `clusterrole` or `role`.
    pub kind: &'static str,
    /// Name.
    pub name: Box<str>,
}

/// A rule that reaches somebody, or the role that should hold some.
pub type Reached<'a> = Result<(Source<'a>, &'a Rule), NoSuchRole>;

impl Binding {
    fn from_value(object: &Value) -> Self {
        let text = |value: &Value| Box::from(value.as_str().unwrap_or_default());
        let subjects = object["subjects"].as_array().into_iter().flatten().map(|s| Subject {
            kind: text(&s["kind"]),
            name: text(&s["name"]),
            namespace: text(&s["namespace"]),
        });
        Self {
            name: text(&object["metadata"]["name"]),
            namespace: text(&object["metadata"]["namespace"]),
            role: RoleRef { kind: text(&object["roleRef"]["kind"]), name: text(&object["roleRef"]["name"]) },
            subjects: subjects.collect(),
        }
    }

    /// The first subject that is `who`.
    fn subject_of(&self, who: &Identity) -> Option<&Subject> {
        self.subjects.iter().find(|s| match &*s.kind {
            "User" => *s.name == *who.user,
            "Group" => who.in_group(&s.name),
            "ServiceAccount" => self.account(s).is_some_and(|user| user == who.user),
            _ => false,
        })
    }

    /// User name of a ServiceAccount subject.
    fn account(&self, s: &Subject) -> Option<String> {
        let namespace = if s.namespace.is_empty() { &self.namespace } else { &s.namespace };
        (!namespace.is_empty()).then(|| format!("system:serviceaccount:{namespace}:{}", s.name))
    }
}

/// One object, compiled.
#[derive(Clone, Debug)]
pub enum Compiled {
    /// A role of either kind.
    Role(Arc<[Rule]>),
    /// A binding of either kind.
    Binding(Arc<BindingBox>),
}

/// A compiled binding; opaque outside.
#[derive(Debug)]
pub struct BindingBox(Binding);

impl Compiled {
    /// Compiles an object.
    pub fn of(kind: Kind, object: &Value) -> Self {
        match kind {
            Kind::ClusterRole | Kind::Role => Self::Role(Rule::list_of(object).into()),
            Kind::ClusterRoleBinding | Kind::RoleBinding => {
                Self::Binding(Arc::new(BindingBox(Binding::from_value(object))))
            }
        }
    }
}

/// Bindings by whom they reach.
#[derive(Default)]
struct Scope {
    users: HashMap<Box<str>, Vec<Arc<BindingBox>>>,
    groups: HashMap<Box<str>, Vec<Arc<BindingBox>>>,
}

/// Objects, found fast.
#[derive(Default)]
pub struct Layer {
    roles: HashMap<ObjectKey, Arc<[Rule]>>,
    /// By namespace; the empty one for ClusterRoleBindings.
    scopes: HashMap<Box<str>, Scope>,
    keys: HashSet<ObjectKey>,
}

impl Layer {
    /// From compiled objects.
    pub fn new<'a>(objects: impl IntoIterator<Item = (&'a ObjectKey, &'a Compiled)>) -> Self {
        let mut out = Self::default();
        for (key, compiled) in objects {
            out.keys.insert(key.clone());
            match compiled {
                Compiled::Role(rules) => {
                    out.roles.insert(key.clone(), rules.clone());
                }
                Compiled::Binding(binding) => out.bind(binding),
            }
        }
        out
    }

    fn bind(&mut self, binding: &Arc<BindingBox>) {
        let Binding { namespace, subjects, .. } = &binding.0;
        let scope = self.scopes.entry(namespace.clone()).or_default();
        for subject in subjects {
            let list = match &*subject.kind {
                "User" => scope.users.entry(subject.name.clone()),
                "Group" => scope.groups.entry(subject.name.clone()),
                "ServiceAccount" => match binding.0.account(subject) {
                    Some(user) => scope.users.entry(user.into()),
                    None => continue,
                },
                _ => continue,
            }
            .or_default();
            // A binding that names somebody twice is asked once.
            if !list.iter().any(|b| Arc::ptr_eq(b, binding)) {
                list.push(binding.clone());
            }
        }
    }

    /// Bootstrap policy, compiled once for all tenants.
    pub fn base() -> Arc<Self> {
        static BASE: OnceLock<Arc<Layer>> = OnceLock::new();
        BASE.get_or_init(|| {
            let objects = policy::objects().unwrap_or_default();
            let compiled: Vec<(ObjectKey, Compiled)> = objects
                .iter()
                .filter_map(|object| {
                    let kind = Kind::of(object)?;
                    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
                    Some((key(kind, text("namespace"), text("name")), Compiled::of(kind, object)))
                })
                .collect();
            Arc::new(Self::new(compiled.iter().map(|(k, c)| (k, c))))
        })
        .clone()
    }

    /// Keys of its objects.
    pub fn keys(&self) -> &HashSet<ObjectKey> {
        &self.keys
    }

    fn bindings<'a>(
        &'a self,
        who: &'a Identity,
        namespace: &str,
    ) -> impl Iterator<Item = &'a Arc<BindingBox>> {
        let scope = self.scopes.get(namespace);
        let of_user = scope.and_then(|s| s.users.get(who.user.as_str())).into_iter().flatten();
        let of_groups = scope
            .into_iter()
            .flat_map(|s| who.groups.iter().filter_map(|g| s.groups.get(g.as_str())).flatten());
        of_user.chain(of_groups)
    }
}

/// Bootstrap policy less what the tenant changed, and the tenant's own.
pub struct Index {
    base: Arc<Layer>,
    own: Layer,
    /// Objects of the base that the tenant changed or deleted.
    hidden: HashSet<ObjectKey>,
}

impl Index {
    /// From the tenant's own objects and the keys of base objects that are no longer as they were.
    pub fn new(base: Arc<Layer>, own: Layer, hidden: HashSet<ObjectKey>) -> Self {
        Self { base, own, hidden }
    }

    /// The rules of a role.
    pub fn rules_of(&self, role: &RoleRef, namespace: &str) -> Result<&[Rule], NoSuchRole> {
        let (kind, namespace, lower) = match &*role.kind {
            "Role" => (Kind::Role, namespace, "role"),
            _ => (Kind::ClusterRole, "", "clusterrole"),
        };
        let key = key(kind, namespace, &role.name);
        let of_base = || self.base.roles.get(&key).filter(|_| !self.hidden.contains(&key));
        let found = self.own.roles.get(&key).or_else(of_base);
        found.map(|rules| &**rules).ok_or_else(|| NoSuchRole { kind: lower, name: role.name.clone() })
    }

    /// Visits every rule that reaches `who` in a namespace (empty: cluster scope only), until `visit` returns `false`.
    pub fn visit(&self, who: &Identity, namespace: &str, visit: &mut dyn FnMut(Reached<'_>) -> bool) {
        let scopes = [Some(""), Some(namespace).filter(|n| !n.is_empty())];
        for scope in scopes.into_iter().flatten() {
            let is_visible = |b: &&Arc<BindingBox>| {
                let kind = if scope.is_empty() { Kind::ClusterRoleBinding } else { Kind::RoleBinding };
                self.hidden.is_empty() || !self.hidden.contains(&key(kind, scope, &b.0.name))
            };
            let base = self.base.bindings(who, scope).filter(is_visible);
            for binding in base.chain(self.own.bindings(who, scope)) {
                let binding = &binding.0;
                let Some(subject) = binding.subject_of(who) else { continue };
                let go_on = match self.rules_of(&binding.role, scope) {
                    Err(missing) => visit(Err(missing)),
                    Ok(rules) => rules.iter().all(|rule| visit(Ok((Source { binding, subject }, rule)))),
                };
                if !go_on {
                    return;
                }
            }
        }
    }
}
