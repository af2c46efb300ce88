//! Tokens in pods: the tenant's own, in files alone, and good for what their ServiceAccount may do (SY-44, PO20–PO24).

use skerry_testkit::upstream::node::KUBECTL;

use super::on_node;
use crate::Outcome;
use crate::world::{World, eventually, text};

const PODS: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: keeper}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: keeper}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list, create]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: keeper}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: keeper}
subjects: [{kind: ServiceAccount, name: keeper, namespace: tokens}]
---
apiVersion: v1
kind: Pod
metadata: {name: keeper}
spec:
  serviceAccountName: keeper
  terminationGracePeriodSeconds: 0
  volumes:
  - name: vault
    projected: {sources: [{serviceAccountToken: {audience: vault, expirationSeconds: 600, path: token}}]}
  containers:
  - {name: main, image: IMAGE, command: [sleep, 1d], volumeMounts: [{name: vault, mountPath: /vault}]}
---
apiVersion: v1
kind: Pod
metadata: {name: plain}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: IMAGE, command: [sleep, 1d]}]
---
apiVersion: v1
kind: Pod
metadata: {name: without}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: IMAGE, command: [sleep, 1d]}]
"#;

const FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The claims of a token.
fn claims(token: &str) -> serde_json::Value {
    let body = token.split('.').nth(1).expect("a token");
    let bytes = data_encoding::BASE64URL_NOPAD.decode(body.as_bytes()).expect("base64");
    serde_json::from_slice(&bytes).expect("claims")
}

/// A client inside speaks to the tenant with the file that is mounted; a ServiceAccount made anew renews the file.
pub fn used(_: &mut World) -> Outcome {
    on_node(|stage| {
        let tenant = &stage.tenant;
        stage.namespace("tokens", &PODS.replace("IMAGE", KUBECTL));
        for pod in ["pod/keeper", "pod/plain", "pod/without"] {
            stage.ready("tokens", pod);
        }
        let asks = |pod: &str, args: &[&str]| {
            let mut command = vec!["kubectl"];
            command.extend(args);
            stage.exec("tokens", pod, &command)
        };
        let who = |pod: &str| asks(pod, &["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
        assert_eq!(who("plain").as_deref(), Some("system:serviceaccount:tokens:default"));
        assert_eq!(who("keeper").as_deref(), Some("system:serviceaccount:tokens:keeper"));
        assert!(asks("plain", &["get", "configmaps"]).is_none(), "default may nothing");
        assert!(asks("keeper", &["create", "configmap", "mine", "--from-literal=a=b"]).is_some());
        assert_eq!(tenant.ok(&["get", "configmap", "mine", "-n", "tokens", "-o", "jsonpath={.data.a}"]), "b");
        assert!(asks("keeper", &["get", "secrets"]).is_none());

        let token = stage.file("tokens", "keeper", "/vault/token", |t| !t.is_empty());
        let found = claims(&token);
        assert_eq!(found["aud"], serde_json::json!(["vault"]));
        assert_eq!(found["exp"].as_i64().unwrap() - found["iat"].as_i64().unwrap(), 600);
        let uid = tenant.ok(&["get", "pod", "keeper", "-n", "tokens", "-o", "jsonpath={.metadata.uid}"]);
        assert_eq!(found["kubernetes.io"]["pod"]["uid"], uid, "bound to the tenant's pod");
        assert_eq!(
            stage.file("tokens", "plain", &format!("{FOLDER}/namespace"), |n| !n.is_empty()),
            "tokens"
        );
        assert!(stage.exec("tokens", "without", &["ls", FOLDER]).is_none(), "none was asked for");

        // Nothing but the Secrets has it: no annotation, no variable, no Event, no log.
        let space = stage.space("tokens");
        let seen = stage.host.ok(&["get", "pods,events,configmaps", "-n", &space, "-o", "json"]);
        assert!(!seen.contains("eyJ"), "a token lies open on the host");
        assert!(!stage.exec("tokens", "keeper", &["env"]).expect("env").contains("eyJ"));
        assert!(!stage.world.log().contains("eyJ"));

        // The host is closed to it.
        let path = format!("{FOLDER}/token");
        let token = stage.file("tokens", "keeper", &path, |t| !t.is_empty());
        let host = stage.host.ok(&["config", "view", "-o", "jsonpath={.clusters[0].cluster.server}"]);
        let direct = [
            "kubectl",
            "--server",
            &host,
            "--insecure-skip-tls-verify",
            "--token",
            &token,
            "get",
            "--raw",
            "/api",
        ];
        assert!(stage.exec("tokens", "keeper", &direct).is_none(), "the host takes no token of a tenant");

        tenant.ok(&["delete", "serviceaccount", "keeper", "-n", "tokens"]);
        tenant.ok(&["create", "serviceaccount", "keeper", "-n", "tokens"]);
        let uid =
            tenant.ok(&["get", "serviceaccount", "keeper", "-n", "tokens", "-o", "jsonpath={.metadata.uid}"]);
        stage.file("tokens", "keeper", &path, |t| {
            claims(t)["kubernetes.io"]["serviceaccount"]["uid"] == uid.as_str()
        });
        eventually("the new token to be taken", super::LIMIT, || who("keeper"));
        let events = tenant.run(&["get", "events", "-n", "tokens", "-o", "json"]);
        assert!(!text(&events.stdout).contains("eyJ"));
    })
}
