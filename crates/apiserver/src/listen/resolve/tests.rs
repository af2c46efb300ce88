//! AS-18, AS-20: tables of G1, G2, G4.

use http::HeaderValue;

use super::*;
use crate::identity::keys::TenantKeys;
use crate::identity::pki::Subject as Who;

fn id(uid: &str) -> TenantId {
    TenantId::of_uid(uid)
}

fn names() -> Names<'static> {
    let of_host: &'static (dyn Fn(&str) -> Option<TenantId> + Sync) =
        &|host| (host == "team-a.example.org").then(|| TenantId::of_uid("a"));
    Names { base_domain: "k.example.com", of_host }
}

fn ask(
    sni: Option<&str>,
    host: &str,
    path: &str,
    headers: HeaderMap,
    chain: Vec<Vec<u8>>,
) -> Result<Route, u16> {
    let conn = Conn { peer: None, sni: sni.map(str::to_owned), chain: chain.into() };
    let uri: Uri = format!("https://{host}{path}").parse().unwrap();
    resolve(&conn, &uri, &headers, &names()).map_err(|s| s.code)
}

fn plain(sni: Option<&str>, host: &str, path: &str) -> Result<Route, u16> {
    ask(sni, host, path, HeaderMap::new(), Vec::new())
}

fn to(uid: &str, path: &str) -> Result<Route, u16> {
    Ok(Route::Tenant(id(uid), path.into()))
}

fn hub(path: &str) -> Result<Route, u16> {
    Ok(Route::Hub(path.into()))
}

/// AS-18, G1 (a), (b), (d), G2: path, server name and authority; disagreement is 421.
#[test]
fn path_and_names_find_the_tenant() {
    let (a, b) = (id("a"), id("b"));
    let on = |id: TenantId| format!("{id}.k.example.com");
    let in_a = format!("/clusters/{a}/api/v1/pods");
    let rows = [
        (plain(None, "10.0.0.1:6443", &in_a), to("a", "/api/v1/pods")),
        (plain(Some("k.example.com"), "k.example.com", &in_a), to("a", "/api/v1/pods")),
        (plain(Some(&on(a)), &on(a), "/api"), to("a", "/api")),
        (plain(None, &on(a), "/api"), to("a", "/api")),
        (plain(Some(&on(a)), "10.0.0.1", "/api"), to("a", "/api")),
        (plain(Some("team-a.example.org"), "team-a.example.org", "/api"), to("a", "/api")),
        (plain(Some(&on(a)), &on(a), &in_a), to("a", "/api/v1/pods")),
        (plain(Some("kubernetes.default.svc"), "kubernetes.default.svc", &in_a), to("a", "/api/v1/pods")),
        (plain(Some(&on(b)), &on(b), &in_a), Err(421)),
        (plain(Some(&on(b)), "10.0.0.1", &in_a), Err(421)),
        (plain(None, &on(b), &in_a), Err(421)),
        (plain(Some(&on(a)), &on(b), "/api"), Err(421)),
        (plain(Some("nobody.k.example.com"), "x", "/api"), Err(404)),
        (plain(Some("k.example.com"), "k.example.com", "/api"), hub("/api")),
        (plain(None, "10.0.0.1", "/api"), hub("/api")),
        (plain(Some("localhost"), "localhost:6443", "/version"), hub("/version")),
        (plain(None, "10.0.0.1", "/skerry/v1/tenants"), Ok(Route::Process)),
        (plain(Some(&on(a)), &on(a), "/shards"), Ok(Route::Process)),
        (plain(None, "10.0.0.1", "/skerryx"), hub("/skerryx")),
        (plain(None, "10.0.0.1", &format!("/clusters/{a}")), to("a", "/")),
    ];
    for (i, (got, want)) in rows.into_iter().enumerate() {
        assert_eq!(got, want, "row {i}");
    }
}

/// AS-18, G4: nothing is decoded or normalised into a tenant.
#[test]
fn odd_paths_are_not_normalised_into_a_tenant() {
    let (a, b) = (id("a"), id("b"));
    let upper = a.as_str().to_ascii_uppercase();
    for path in [
        format!("//clusters/{a}/api"),
        format!("/./clusters/{a}/api"),
        format!("/../clusters/{a}/api"),
        format!("/clusters//{a}/api"),
        format!("/clusters/{a}//api"),
        format!("/clusters/{a}/../{b}/api"),
        format!("/clusters/{a}/./api"),
        format!("/clusters/{a}/api/../../{b}/api"),
        format!("/clusters%2f{a}/api"),
        format!("/%63lusters/{a}/api"),
        format!("/Clusters/{a}/api"),
        format!("/clusters/{a}%2fapi"),
        format!("/clusters/{a}%2e/api"),
        format!("/clusters/{upper}/api"),
        "/clusters/".into(),
        "/clusters/x/api".into(),
        "/clusters".into(),
    ] {
        assert_eq!(plain(None, "10.0.0.1", &path), Err(404), "{path}");
    }
}

/// AS-20, G1 (c): a credential's own word routes where nothing else does.
#[test]
fn a_credential_hints_at_its_tenant() {
    let keys = TenantKeys::generate(id("a"), format!("https://h/clusters/{}", id("a")), vec![]).unwrap();
    let claims = serde_json::json!({ "sub": "x" });
    let token = keys.issuer.sign(claims, jiff::Timestamp::now(), None).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    let (leaf, _) = keys.client.client(&Who::default(), std::time::Duration::from_secs(600)).unwrap();
    let inside = Some("kubernetes.default.svc");
    for name in
        ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.other.domain"]
    {
        assert_eq!(ask(Some(name), name, "/api", headers.clone(), vec![]), to("a", "/api"), "{name}");
        assert_eq!(ask(Some(name), name, "/api", HeaderMap::new(), vec![leaf.der.clone()]), to("a", "/api"));
        assert_eq!(plain(Some(name), name, "/api"), Err(401), "{name} without a credential");
    }
    assert_eq!(ask(None, "10.0.0.1", "/api", headers.clone(), vec![]), to("a", "/api"), "by address");
    assert_eq!(ask(None, "10.0.0.1", "/api", HeaderMap::new(), vec![leaf.der]), to("a", "/api"));
    assert_eq!(
        ask(Some("localhost"), "localhost", "/api", headers.clone(), vec![]),
        hub("/api"),
        "a name, no hint"
    );
    let mut garbage = HeaderMap::new();
    garbage.insert("authorization", HeaderValue::from_static("Bearer a.b.c"));
    assert_eq!(ask(inside, "kubernetes.default.svc", "/api", garbage.clone(), vec![vec![1, 2]]), Err(401));
    assert_eq!(ask(None, "10.0.0.1", "/api", garbage, vec![]), hub("/api"));
    let other = format!("/clusters/{}/api", id("b"));
    assert_eq!(
        ask(inside, "kubernetes.default.svc", &other, headers, vec![]),
        to("b", "/api"),
        "the path wins"
    );
}
