//! kubectl's streams from a tenant to a kubelet and back.

use skerry_testkit::upstream::node::BUSYBOX;

use super::on_node;
use crate::Outcome;
use crate::tunnel;
use crate::world::World;

/// AS-68, SY-100: logs, exec, attach, cp and port-forward of two minors, by WebSockets and by SPDY.
pub fn reached(_: &mut World) -> Outcome {
    on_node(|stage| {
        stage.namespace("streams", &tunnel::pod("streams", BUSYBOX));
        stage.ready("streams", "pod/streams");
        for program in ["kubectl", "kubectl-1.33"] {
            tunnel::of_a_running_pod(program, stage.tenant.config(), "streams", "streams");
        }
        stage.tenant.ok(&["delete", "namespace", "streams"]);
    })
}
