//! TN-73: from an empty directory to a running Deployment, over kill -9, to the deletion.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::Outcome;
use crate::kubectl::tool;
use crate::world::{World, eventually, text};

/// A small Deployment.
pub const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "nginx:1.27", resources: {requests: {cpu: 10m, memory: 16Mi}}}
"#;

/// Ready line, create, apply, pods on the simulated host, `connect --`.
pub fn rolls_out(world: &mut World) -> Outcome {
    let log = world.log();
    assert!(log.contains(&format!("hub {}", world.url())), "{log}");
    assert!(log.contains("host sim-0 (simulated, 4 nodes)"), "{log}");

    let dev = world.cluster("kubectl", "dev");
    dev.apply(WEB, &[]);
    dev.rolled_out("deployment/web");
    let pods = dev.json(&["get", "pods", "-l", "app=web"]);
    let pods = pods["items"].as_array().expect("a list");
    assert_eq!(pods.len(), 2);
    for pod in pods {
        assert_eq!(pod["status"]["phase"], "Running", "{pod}");
        let node = pod["spec"]["nodeName"].as_str().expect("a node");
        let node = dev.json(&["get", "node", node]);
        assert_eq!(node["metadata"]["labels"]["skerry.dev/simulated"], "true", "{node}");
    }
    let kubectl = tool("kubectl");
    let kubectl = kubectl.to_str().expect("an ordinary path");
    let out = world.ok(&["connect", "dev", "-n", "dev", "--", kubectl, "get", "deployments", "-o", "name"]);
    assert_eq!(out.trim(), "deployment.apps/web");
    let context = world.skerry(&["connect", "dev", "-n", "dev", "--", kubectl, "get", "pods", "no-such-pod"]);
    assert_eq!(context.status.code(), Some(1), "{}", text(&context.stderr));
    Outcome::Passed
}

/// A second process on the same directory is refused, and says whose it is.
pub fn second_start(world: &mut World) -> Outcome {
    let out = world.second_start();
    assert_eq!(out.status.code(), Some(5), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("is in use by process"), "{}", text(&out.stderr));
    Outcome::Passed
}

/// What was answered before kill -9 is there after the next start, and all goes on.
pub fn killed(world: &mut World) -> Outcome {
    let dev = world.cluster("kubectl", "kept");
    dev.apply(WEB, &[]);
    dev.rolled_out("deployment/web");
    let stop = AtomicBool::new(false);
    let answered = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut answered = Vec::new();
            for n in 0.. {
                let name = format!("w-{n}");
                if !dev.run(&["create", "configmap", &name]).status.success() || stop.load(Ordering::Relaxed)
                {
                    break;
                }
                answered.push(name);
            }
            answered
        });
        std::thread::sleep(Duration::from_secs(5));
        world.kill();
        stop.store(true, Ordering::Relaxed);
        writer.join().expect("the writer")
    });
    assert!(!answered.is_empty(), "nothing was answered in five seconds");
    world.restart();
    let there = dev.ok(&["get", "configmaps", "-o", "name"]);
    for name in &answered {
        assert!(there.lines().any(|l| l == format!("configmap/{name}")), "{name} is lost");
    }
    dev.ok(&["scale", "deployment/web", "--replicas=4"]);
    eventually("four pods after the restart", Duration::from_secs(120), || {
        (dev.json(&["get", "deployment", "web"])["status"]["readyReplicas"] == 4).then_some(())
    });
    Outcome::Passed
}

/// Delete follows its steps to the end.
pub fn deleted(world: &mut World) -> Outcome {
    world.cluster("kubectl", "gone").apply(WEB, &[]);
    world.ok(&["delete", "gone", "-n", "gone", "--yes", "-q"]);
    let left = world.hub().run(&["get", "virtualcluster", "gone", "-n", "gone"]);
    assert!(text(&left.stderr).contains("NotFound"), "{}", text(&left.stderr));
    let profile = world.hub().run(&["get", "clusterprofile", "skerry.gone.gone", "-n", "skerry-inventory"]);
    assert!(text(&profile.stderr).contains("NotFound"), "{}", text(&profile.stderr));
    let again = world.skerry(&["delete", "gone", "-n", "gone", "--yes"]);
    assert_eq!(again.status.code(), Some(3), "{}", text(&again.stderr));
    Outcome::Passed
}
