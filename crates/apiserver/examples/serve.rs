//! x
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use skerry_apiserver::bus::Local;
use skerry_apiserver::config::{Role, ServerConfig, TenantSpec};
use skerry_apiserver::identity::Identity;
use skerry_apiserver::listen::Server;
use skerry_apiserver::store::{Db, Layer, StoreConfig};
use skerry_apiserver::tenant::{TenantId, Tenants};
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tokio::task::LocalSet::new().run_until(run()).await
}
async fn run() {
    let db = Arc::new(Db::memory(StoreConfig::default()).unwrap());
    let config = ServerConfig::default();
    let defaults = config.tenant_defaults;
    let tenants = Tenants::new(
        db.clone(),
        "https://127.0.0.1:1".into(),
        Box::new(|_, _, _| Layer::default()),
        defaults,
    );
    let server = Arc::new(Server::new(config, db, tenants, Vec::new()));
    let id = TenantId::of_uid("a-uid");
    let tenant =
        server.tenants().create(TenantSpec::new(id, "a-uid", Role::Tenant, &defaults)).await.unwrap();
    let api = Local::new(server.clone(), tenant.clone(), Identity::system("test"), "test");
    api.create("/api/v1/namespaces", &json!({"metadata": {"name": "default"}})).await.unwrap();
    api.create("/api/v1/namespaces/default/serviceaccounts", &json!({"metadata": {"name": "default"}}))
        .await
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:18080").await.unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (server, tenant) = (server.clone(), tenant.clone());
        tokio::task::spawn_local(async move {
            let service = service_fn(move |req: http::Request<hyper::body::Incoming>| {
                let (server, tenant) = (server.clone(), tenant.clone());
                async move {
                    eprintln!(
                        "{} {} ct={:?} accept={:?}",
                        req.method(),
                        req.uri(),
                        req.headers().get("content-type"),
                        req.headers().get("accept").map(|a| a
                            .to_str()
                            .unwrap_or("")
                            .chars()
                            .take(60)
                            .collect::<String>())
                    );
                    let req = req.map(|b| {
                        b.map_err(|e| -> skerry_apiserver::listen::body::BoxError { Box::new(e) })
                            .boxed_unsync()
                    });
                    let r = skerry_apiserver::request::serve(&server, tenant, Identity::system("test"), req)
                        .await;
                    eprintln!("  -> {}", r.status());
                    Ok::<_, std::convert::Infallible>(r)
                }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
