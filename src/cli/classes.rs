//! VirtualClusterClasses that come with the program or with a file.

use std::path::Path;

use kube::Client;
use kube::api::{Api, ListParams};
use serde_json::Value;
use skerry_api::VirtualClusterClass;
use skerry_api::standard_class;
use skerry_api::virtual_cluster::reasons::managers;
use skerry_kit::apply;

use super::exit::Failure;

/// The shipped class, or those of a file; what is there already stays as it is.
pub async fn ensure(hub: &Client, file: Option<&Path>) -> Result<(), Failure> {
    let api: Api<VirtualClusterClass> = Api::all(hub.clone());
    let wanted: Vec<Value> = match file {
        None => vec![standard_class::standard()],
        Some(path) => {
            let body = std::fs::read_to_string(path)
                .map_err(|e| Failure::Usage(format!("--classes {}: {e}", path.display())))?;
            serde_yaml_ng::Deserializer::from_str(&body)
                .map(serde::Deserialize::deserialize)
                .collect::<Result<Vec<Value>, _>>()
                .map_err(|e| Failure::Usage(format!("--classes {}: {e}", path.display())))?
        }
    };
    let known = api.list_metadata(&ListParams::default()).await.map_err(Failure::during("classes"))?;
    for class in wanted.into_iter().filter(|c| !c.is_null()) {
        let name = class["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if file.is_none() && known.items.iter().any(|c| c.metadata.name.as_deref() == Some(name.as_str())) {
            continue;
        }
        let typed: VirtualClusterClass =
            serde_json::from_value(class).map_err(|e| Failure::Usage(format!("class {name:?}: {e}")))?;
        apply::apply(&api, managers::CLI, &typed).await.map_err(Failure::during(&format!("class {name}")))?;
    }
    Ok(())
}
