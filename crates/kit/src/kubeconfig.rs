//! Kubeconfigs: made, and read with care (inventory J2, tenancy P20).

use k8s_openapi::ByteString;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

/// How the user of a kubeconfig authenticates.
#[derive(Clone)]
pub enum User {
    /// Client certificate and key, PEM.
    Certificate {
        /// Chain.
        certificate: String,
        /// Key.
        key: String,
    },
    /// Bearer token.
    Token(String),
    /// A command that prints a credential; provides cluster info to it.
    Exec {
        /// Command.
        command: String,
        /// Arguments.
        args: Vec<String>,
        /// What the command is told about the cluster, as the exec extension.
        config: Option<Value>,
    },
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Certificate { .. } => "Certificate",
            Self::Token(_) => "Token",
            Self::Exec { .. } => "Exec",
        })
    }
}

/// One cluster and one user under one name.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Name of context, cluster and user.
    pub name: &'a str,
    /// URL.
    pub server: &'a str,
    /// Server name, if it is not the URL's host.
    pub server_name: &'a str,
    /// PEM bundle.
    pub ca: &'a str,
    /// Credential.
    pub user: User,
    /// Namespace of the context.
    pub namespace: Option<&'a str>,
}

fn base64(bytes: &[u8]) -> Value {
    serde_json::to_value(ByteString(bytes.to_vec())).unwrap_or_default()
}

impl Entry<'_> {
    /// The cluster entry's content.
    pub fn cluster(&self) -> Value {
        let mut cluster = json!({"server": self.server});
        if !self.ca.is_empty() {
            cluster["certificate-authority-data"] = base64(self.ca.as_bytes());
        }
        if !self.server_name.is_empty() {
            cluster["tls-server-name"] = self.server_name.into();
        }
        if let User::Exec { config: Some(config), .. } = &self.user {
            cluster["extensions"] =
                json!([{"name": skerry_api::cluster_profile::EXEC_EXTENSION, "extension": config}]);
        }
        cluster
    }

    /// The user entry's content.
    pub fn user(&self) -> Value {
        match &self.user {
            User::Certificate { certificate, key } => json!({
                "client-certificate-data": base64(certificate.as_bytes()),
                "client-key-data": base64(key.as_bytes()),
            }),
            User::Token(token) => json!({"token": token}),
            User::Exec { command, args, .. } => json!({"exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": command,
                "args": args,
                "interactiveMode": "Never",
                "provideClusterInfo": true,
            }}),
        }
    }

    /// The context entry's content.
    pub fn context(&self) -> Value {
        let mut context = json!({"cluster": self.name, "user": self.name});
        if let Some(namespace) = self.namespace {
            context["namespace"] = namespace.into();
        }
        context
    }

    /// A whole file with this entry alone, selected. It is JSON, which every reader of YAML reads.
    pub fn file(&self) -> Value {
        let mut file = json!({"apiVersion": "v1", "kind": "Config"});
        self.merge_into(&mut file);
        file
    }

    /// Puts this entry into a file, replacing those of its name, and selects it.
    pub fn merge_into(&self, file: &mut Value) {
        let parts = [
            ("clusters", "cluster", self.cluster()),
            ("users", "user", self.user()),
            ("contexts", "context", self.context()),
        ];
        for (list, field, content) in parts {
            put(file, list, self.name, json!({"name": self.name, field: content}));
        }
        file["current-context"] = self.name.into();
    }
}

fn put(file: &mut Value, list: &str, name: &str, entry: Value) {
    if !file[list].is_array() {
        file[list] = json!([]);
    }
    if let Some(items) = file[list].as_array_mut() {
        items.retain(|item| item["name"] != name);
        items.push(entry);
    }
}

/// Takes the entries called `name` out of a file; tells whether any were there.
pub fn remove(file: &mut Value, name: &str) -> bool {
    let mut found = false;
    for list in ["clusters", "users", "contexts"] {
        if let Some(items) = file[list].as_array_mut() {
            let before = items.len();
            items.retain(|item| item["name"] != name);
            found |= items.len() != before;
        }
    }
    if file["current-context"] == name {
        file["current-context"] = "".into();
    }
    found
}

/// Why a kubeconfig is not taken.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// It does not parse, or names nothing usable.
    #[error("kubeconfig: {0}")]
    Unreadable(String),
    /// It skips the check of the server's certificate.
    #[error(
        "clusters[{cluster}].cluster.insecure-skip-tls-verify: the server's certificate would go unchecked"
    )]
    Insecure {
        /// Cluster entry.
        cluster: String,
    },
    /// It refers to a file, a command or a plugin.
    #[error("{field}: {why}")]
    Unsupported {
        /// Path of the field.
        field: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl KubeconfigError {
    /// The reason for conditions and messages.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "KubeconfigInvalid",
            Self::Insecure { .. } => "InsecureKubeconfig",
            Self::Unsupported { .. } => "UnsupportedKubeconfig",
        }
    }
}

/// What a reader puts up with beyond the safe form.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allow {
    /// Skipped certificate checks.
    pub insecure: bool,
    /// Commands that print credentials.
    pub exec: bool,
}

/// Reads a kubeconfig that came from elsewhere: inline data only, checked certificates, no commands, unless allowed.
pub fn read(text: &str, context: Option<&str>, allow: Allow) -> Result<Kubeconfig, KubeconfigError> {
    let mut file = Kubeconfig::from_yaml(text).map_err(|e| KubeconfigError::Unreadable(e.to_string()))?;
    if let Some(context) = context {
        file.current_context = Some(context.to_owned());
    }
    let current = file.current_context.clone().filter(|c| !c.is_empty());
    let name = current.ok_or_else(|| KubeconfigError::Unreadable("no current-context".to_owned()))?;
    let context = file.contexts.iter().find(|c| c.name == name).and_then(|c| c.context.as_ref());
    let context = context.ok_or_else(|| KubeconfigError::Unreadable(format!("no context {name:?}")))?;
    let cluster = file.clusters.iter().find(|c| c.name == context.cluster).and_then(|c| c.cluster.as_ref());
    let cluster =
        cluster.ok_or_else(|| KubeconfigError::Unreadable(format!("no cluster {:?}", context.cluster)))?;
    check_cluster(&context.cluster, cluster, allow)?;
    let user_name = context.user.clone().unwrap_or_default();
    if let Some(user) =
        file.auth_infos.iter().find(|u| u.name == user_name).and_then(|u| u.auth_info.as_ref())
    {
        check_user(&user_name, user, allow)?;
    }
    Ok(file)
}

fn check_cluster(name: &str, cluster: &kube::config::Cluster, allow: Allow) -> Result<(), KubeconfigError> {
    if cluster.insecure_skip_tls_verify == Some(true) && !allow.insecure {
        return Err(KubeconfigError::Insecure { cluster: name.to_owned() });
    }
    if cluster.certificate_authority.is_some() {
        let field = format!("clusters[{name}].cluster.certificate-authority");
        return Err(KubeconfigError::Unsupported { field, why: "a file reference; inline the data" });
    }
    if cluster.server.as_deref().unwrap_or_default().is_empty() {
        return Err(KubeconfigError::Unreadable(format!("clusters[{name}].cluster.server is empty")));
    }
    Ok(())
}

fn check_user(name: &str, user: &kube::config::AuthInfo, allow: Allow) -> Result<(), KubeconfigError> {
    let refused = |field: &str, why: &'static str| {
        Err(KubeconfigError::Unsupported { field: format!("users[{name}].user.{field}"), why })
    };
    if user.client_certificate.is_some() {
        return refused("client-certificate", "a file reference; inline the data");
    }
    if user.client_key.is_some() {
        return refused("client-key", "a file reference; inline the data");
    }
    if user.token_file.is_some() {
        return refused("tokenFile", "a file reference; inline the token");
    }
    if user.exec.is_some() && !allow.exec {
        return refused("exec", "a command; use a token or a certificate");
    }
    if user.auth_provider.is_some() {
        return refused("auth-provider", "a plugin; use a token or a certificate");
    }
    Ok(())
}

/// A client configuration from a kubeconfig that [`read`] has accepted.
pub async fn config(file: Kubeconfig) -> Result<Config, KubeconfigError> {
    Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .map_err(|e| KubeconfigError::Unreadable(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry<'static> {
        Entry {
            name: "skerry_team-a_dev",
            server: "https://127.0.0.1:8443/clusters/tk3v2q5x2m7a",
            server_name: "",
            ca: "pem",
            user: User::Token("secret".to_owned()),
            namespace: None,
        }
    }

    #[test]
    fn a_written_file_is_read_again() {
        let text = entry().file().to_string();
        let file = read(&text, None, Allow::default()).unwrap();
        assert_eq!(file.current_context.as_deref(), Some("skerry_team-a_dev"));
        assert!(!format!("{:?}", entry()).contains("secret"));
    }

    #[test]
    fn merging_replaces_and_removing_takes_out() {
        let mut file = json!({"clusters": [{"name": "other"}], "current-context": "other"});
        entry().merge_into(&mut file);
        entry().merge_into(&mut file);
        assert_eq!(file["clusters"].as_array().unwrap().len(), 2);
        assert!(remove(&mut file, "skerry_team-a_dev") && !remove(&mut file, "skerry_team-a_dev"));
        assert_eq!(file["clusters"], json!([{"name": "other"}]));
    }

    /// I15, J2: what is refused names its field.
    #[test]
    fn unsafe_files_are_refused_by_field() {
        let mut insecure = entry().file();
        insecure["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = true.into();
        let refusal = read(&insecure.to_string(), None, Allow::default()).unwrap_err();
        assert_eq!(refusal.reason(), "InsecureKubeconfig");
        assert!(read(&insecure.to_string(), None, Allow { insecure: true, exec: false }).is_ok());

        let mut exec = entry().file();
        exec["users"][0]["user"] =
            json!({"exec": {"command": "x", "apiVersion": "client.authentication.k8s.io/v1"}});
        let refusal = read(&exec.to_string(), None, Allow::default()).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "users[skerry_team-a_dev].user.exec: a command; use a token or a certificate"
        );
        assert!(read("{", None, Allow::default()).is_err());
        assert!(read(&entry().file().to_string(), Some("none"), Allow::default()).is_err());
    }
}
