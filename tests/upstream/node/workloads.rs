//! Pods and what makes them, as containers (SY-40), and Services between them (SV1).

use skerry_testkit::upstream::node::{BUSYBOX, NAME};

use super::on_node;
use crate::Outcome;
use crate::world::{World, eventually};

const MANY: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: plain}
spec:
  schedulerName: default-scheduler
  terminationGracePeriodSeconds: 20
  containers:
  - name: main
    image: IMAGE
    command: [sh, -c, "trap 'echo ended; exit 0' TERM; echo started; touch /tmp/ready; while :; do sleep 1; done"]
    readinessProbe: {exec: {command: [test, -f, /tmp/ready]}, periodSeconds: 1}
    resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 64Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: again}
spec:
  restartPolicy: OnFailure
  volumes: [{name: kept, emptyDir: {}}]
  initContainers:
  - {name: first, image: IMAGE, command: [sh, -c, "echo prepared > /kept/note"], volumeMounts: [{name: kept, mountPath: /kept}]}
  containers:
  - name: main
    image: IMAGE
    volumeMounts: [{name: kept, mountPath: /kept}]
    command: [sh, -c, "test -f /kept/seen && { cat /kept/note > /dev/termination-log; exit 0; }; touch /kept/seen; exit 3"]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: IMAGE, command: [sleep, 1d]}], terminationGracePeriodSeconds: 0}
"#;

const SETS: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 5432}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: main, image: IMAGE, command: [sh, -c, "hostname; sleep 1d"]}], terminationGracePeriodSeconds: 0}
---
apiVersion: batch/v1
kind: Job
metadata: {name: sum}
spec:
  completions: 2
  parallelism: 2
  template: {spec: {restartPolicy: Never, containers: [{name: main, image: IMAGE, command: [sh, -c, "echo $((40 + 2))"]}]}}
"#;

/// Containers run, their state and their node come back, and they end as they are told (SY-40).
pub fn run(_: &mut World) -> Outcome {
    on_node(|stage| {
        let tenant = &stage.tenant;
        stage.namespace("work", &MANY.replace("IMAGE", BUSYBOX));
        let inside = |args: &[&str]| {
            let mut all = args.to_vec();
            all.extend(["-n", "work"]);
            tenant.ok(&all)
        };
        stage.ready("work", "pod/plain");
        inside(&["rollout", "status", "deployment/web", "--timeout=60s"]);
        stage.succeeded("work", "pod/again");

        let plain = tenant.json(&["get", "pod", "plain", "-n", "work"]);
        assert_eq!(plain["spec"]["nodeName"], NAME);
        let status = &plain["status"];
        assert!(status["podIP"].as_str().is_some_and(|ip| ip.starts_with("10.244.")), "{status}");
        assert_eq!(status["containerStatuses"][0]["image"], BUSYBOX);
        assert!(
            status["containerStatuses"][0]["containerID"]
                .as_str()
                .is_some_and(|id| id.starts_with("containerd://"))
        );
        assert_eq!(status["qosClass"], "Burstable");
        let node = tenant.json(&["get", "node", NAME]);
        assert_eq!(node["status"]["nodeInfo"]["kubeletVersion"], "v1.36.3");

        let again = &tenant.json(&["get", "pod", "again", "-n", "work"])["status"];
        let main = &again["containerStatuses"][0];
        assert_eq!(main["restartCount"], 1);
        assert_eq!(main["state"]["terminated"]["message"], "prepared\n");
        assert_eq!(main["lastState"]["terminated"]["exitCode"], 3);
        assert_eq!(again["initContainerStatuses"][0]["state"]["terminated"]["reason"], "Completed");
        // It is told to end, and has its time; on both sides it is gone well before that is over.
        inside(&["delete", "pod", "plain", "--timeout=15s"]);
        let space = stage.space("work");
        eventually("the pod gone from the host", super::LIMIT, || {
            (!stage.host.run(&["get", "pod", "plain", "-n", &space]).status.success()).then_some(())
        });
        inside(&["scale", "deployment/web", "--replicas=1"]);
        eventually("one pod less on the host", super::LIMIT, || {
            let left = stage.host.ok(&["get", "pods", "-n", &space, "-l", "app=web", "-o", "name"]);
            (left.lines().count() == 1).then_some(())
        });
    })
}

/// StatefulSet and Job (SY-40).
pub fn sets(_: &mut World) -> Outcome {
    on_node(|stage| {
        let tenant = &stage.tenant;
        stage.namespace("sets", &SETS.replace("IMAGE", BUSYBOX));
        tenant.ok(&["rollout", "status", "statefulset/db", "-n", "sets", "--timeout=60s"]);
        tenant.ok(&["wait", "--for=condition=Complete", "job/sum", "-n", "sets", "--timeout=60s"]);
        let of = |label: &str| {
            let names = "jsonpath={.items[*].metadata.name}";
            tenant.ok(&["get", "pods", "-n", "sets", "-l", label, "-o", names])
        };
        assert_eq!(of("app=db"), "db-0 db-1");
        assert_eq!(stage.logs("sets", "db-1").trim(), "db-1", "a pod is called as in its tenant");
        let sums = of("job-name=sum");
        assert_eq!(sums.split(' ').count(), 2, "{sums}");
        for pod in sums.split(' ') {
            assert_eq!(stage.logs("sets", pod).trim(), "42");
        }
    })
}

const SERVED: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: page}
spec: {selector: {app: page}, ports: [{name: http, port: 80, targetPort: web}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: page}
spec:
  selector: {matchLabels: {app: page}}
  template:
    metadata: {labels: {app: page}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: main
        image: IMAGE
        command: [sh, -c, "mkdir /www; echo fresh fish > /www/index.html; exec httpd -f -p 8080 -h /www"]
        ports: [{name: web, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: web}, periodSeconds: 1}
"#;

/// A Service leads to a container, by the address that the tenant sees and by its variables (SV1, SY-80).
pub fn services(_: &mut World) -> Outcome {
    on_node(|stage| {
        let tenant = &stage.tenant;
        stage.namespace("served", &SERVED.replace("IMAGE", BUSYBOX));
        tenant.ok(&["rollout", "status", "deployment/page", "-n", "served", "--timeout=60s"]);
        let address =
            tenant.ok(&["get", "service", "page", "-n", "served", "-o", "jsonpath={.spec.clusterIP}"]);
        let asks = format!(
            "wget -qO- http://{address}; wget -qO- http://$PAGE_SERVICE_HOST:$PAGE_SERVICE_PORT_HTTP"
        );
        tenant.ok(&[
            "run",
            "guest",
            "-n",
            "served",
            "--restart=OnFailure",
            &format!("--image={BUSYBOX}"),
            "--",
            "sh",
            "-c",
            &asks,
        ]);
        stage.succeeded("served", "pod/guest");
        assert_eq!(stage.logs("served", "guest"), "fresh fish\nfresh fish\n");
        let slices =
            tenant.json(&["get", "endpointslices", "-n", "served", "-l", "kubernetes.io/service-name=page"]);
        assert_eq!(slices["items"][0]["ports"][0]["port"], 8080, "{slices}");
    })
}
