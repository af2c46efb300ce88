//! Names as containers look them up: of the tenant's Services, of its pods, of nobody else's (SY-48, SY-111, DN1–DN3).

use skerry_testkit::upstream::node::BUSYBOX;

use super::{LIMIT, Stage, on_node};
use crate::Outcome;
use crate::world::{World, eventually};

const OBJECTS: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: peers}
spec: {clusterIP: None, selector: {app: peers}, ports: [{name: http, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: near}
spec: {type: ExternalName, externalName: web.names.svc.cluster.local}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: IMAGE, command: [sh, -c, "mkdir /www; echo from web > /www/index.html; exec httpd -f -p 8080 -h /www"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: IMAGE, command: [sleep, "3600"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: peers-0, labels: {app: peers}}
spec:
  hostname: peers-0
  subdomain: peers
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: IMAGE, command: [sh, -c, "mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: peers-1, labels: {app: peers}}
spec:
  hostname: peers-1
  subdomain: peers
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: IMAGE, command: [sh, -c, "mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"]}]
"#;

/// A Service that only another tenant has, and one that both have.
const OF_ANOTHER: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: lonely}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
"#;

fn fetched(stage: &Stage, pod: &str, url: &str) -> String {
    eventually(&format!("{url} from {pod}"), LIMIT, || {
        stage.exec("names", pod, &["wget", "-q", "-O", "-", url])
    })
}

/// What nslookup says of a name, an error or not.
fn looked_up(stage: &Stage, name: &str, kind: &str) -> String {
    let line = format!("nslookup -type={kind} {name} 2>&1; true");
    stage.exec("names", "client", &["sh", "-c", &line]).expect("the client runs")
}

/// Services by short name and alias, pods by their own, a pod's own full name, ports, and what is not there.
pub fn resolved(_: &mut World) -> Outcome {
    on_node(|stage| {
        stage.namespace("names", &OBJECTS.replace("IMAGE", BUSYBOX));
        for pod in ["pod/web", "pod/client", "pod/peers-0", "pod/peers-1"] {
            stage.ready("names", pod);
        }
        let ip = |name: &str| {
            stage.tenant.ok(&["get", "service", name, "-n", "names", "-o", "jsonpath={.spec.clusterIP}"])
        };
        for url in ["http://web/", "http://web.names/", "http://web.names.svc.cluster.local/"] {
            assert_eq!(fetched(stage, "client", url), "from web\n", "{url}");
        }
        assert_eq!(fetched(stage, "client", "http://near/"), "from web\n", "an ExternalName is followed");
        assert_eq!(fetched(stage, "client", "http://peers-1.peers:8080/"), "peers-1\n");

        // The name that a pod has for itself is known to the others too (PO30, Alias).
        let full = stage.exec("names", "peers-0", &["hostname", "-f"]).expect("a name");
        let full = full.trim();
        assert!(full.starts_with("peers-0.peers.") && full.ends_with(".svc.cluster.local"), "{full}");
        assert_eq!(fetched(stage, "peers-1", &format!("http://{full}:8080/")), "peers-0\n");

        let web = looked_up(stage, "web.names.svc.cluster.local", "a");
        assert!(web.contains(&ip("web")), "{web}");
        let port = looked_up(stage, "_http._tcp.web.names.svc.cluster.local", "srv");
        assert!(port.contains("80 web.names.svc.cluster.local"), "{port}");
        let reversed: Vec<String> = ip("web").split('.').rev().map(str::to_owned).collect();
        let back = looked_up(stage, &format!("{}.in-addr.arpa", reversed.join(".")), "ptr");
        assert!(back.contains("web.names.svc.cluster.local"), "{back}");
        let none = looked_up(stage, "nobody.names.svc.cluster.local", "a");
        assert!(none.contains("NXDOMAIN"), "{none}");

        // Of another tenant on the same host nothing is seen, and neither is the host's own.
        let other = stage.world.cluster_with("kubectl", "abaft", &["--host", "skerry.quay"]);
        other.ok(&["create", "namespace", "names"]);
        other.apply(OF_ANOTHER, &["-n", "names"]);
        let lonely = looked_up(stage, "lonely.names.svc.cluster.local", "a");
        assert!(lonely.contains("NXDOMAIN"), "{lonely}");
        assert_eq!(looked_up(stage, "web.names.svc.cluster.local", "a"), web, "the tenant's own");
        let front = looked_up(stage, "skerry-front-door.skerry-system.svc.cluster.local", "a");
        assert!(front.contains("NXDOMAIN"), "{front}");
        stage.world.ok(&["delete", "abaft", "-n", "abaft", "--yes", "-q"]);
    })
}
