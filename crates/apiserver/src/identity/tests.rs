//! AS-44, AS-46, AS-47: tokens and what they are bound to.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::authn::{AuthError, Authenticator};
use super::chain::Chain;
use super::credential::{Credential, CredentialRequest};
use super::issuer::TokenError;
use super::keys::TenantKeys;
use super::review::{token_request, token_review};
use super::service_account::{self, Binding, Lookup, Reference};
use super::*;
use crate::tenant::TenantId;

const DAY: Duration = Duration::from_secs(86_400);

fn keys(uid: &str) -> TenantKeys {
    let id = TenantId::of_uid(uid);
    TenantKeys::generate(
        id,
        format!("https://host/clusters/{id}"),
        vec!["https://kubernetes.default.svc".into()],
    )
    .unwrap()
}

/// Objects of a tenant, changed by tests.
#[derive(Clone)]
struct Objects(Vec<(&'static str, &'static str, Value)>);

impl Lookup for Objects {
    fn object(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let found = self
            .0
            .iter()
            .find(|(r, ns, o)| *r == resource && *ns == namespace && o["metadata"]["name"] == name);
        found.map(|(_, _, o)| o.clone())
    }
}

fn objects() -> Objects {
    let named = |name: &str, uid: &str| json!({ "metadata": { "name": name, "uid": uid } });
    let mut pod = named("web", "pod-1");
    pod["spec"] = json!({ "serviceAccountName": "robot", "nodeName": "n1" });
    Objects(vec![
        ("/serviceaccounts", "a", named("robot", "sa-1")),
        ("/pods", "a", pod),
        ("/secrets", "a", named("box", "sec-1")),
        ("/nodes", "", named("n1", "node-1")),
    ])
}

fn judge(
    keys: &TenantKeys,
    objects: Objects,
    min: Option<Timestamp>,
    token: &str,
) -> Result<Identity, AuthError> {
    let by = Authenticator {
        client_authority: keys.client.der(),
        system_authorities: &[],
        issuer: &keys.issuer,
        min_issued_at: min,
        objects,
    };
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    by.authenticate(&Chain::default(), &headers)
}

fn request(spec: Value) -> Value {
    json!({ "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "spec": spec })
}

/// I2: a pod's token carries what upstream's does.
#[test]
fn a_bound_token_names_its_pod_and_node() {
    let keys = keys("u");
    let asked = request(
        json!({ "boundObjectRef": { "kind": "Pod", "apiVersion": "v1", "name": "web", "uid": "pod-1" } }),
    );
    let issued = token_request(&keys.issuer, &objects(), ("a", "robot"), asked, DAY).unwrap();
    let token = issued.object["status"]["token"].as_str().unwrap();
    let who = judge(&keys, objects(), None, token).unwrap();
    assert_eq!((who.user.as_str(), who.uid.as_str()), ("system:serviceaccount:a:robot", "sa-1"));
    assert_eq!(who.groups, ["system:serviceaccounts", "system:serviceaccounts:a", AUTHENTICATED]);
    assert_eq!(who.extra["authentication.kubernetes.io/pod-uid"], ["pod-1"]);
    assert_eq!(who.extra["authentication.kubernetes.io/node-name"], ["n1"]);
    assert!(who.extra["authentication.kubernetes.io/credential-id"][0].starts_with("JTI="));
    assert_eq!(jwt::unverified_issuer(token).as_deref(), Some(keys.issuer.url()));
}

/// AS-44: a token of a deleted pod or ServiceAccount, wrong audience, expired, before `minIssuedAt`.
#[test]
fn tokens_die_with_what_they_are_bound_to() {
    let keys = keys("u");
    let bound = |kind: &str, name: &str| {
        let spec = json!({ "boundObjectRef": { "kind": kind, "apiVersion": "v1", "name": name } });
        let issued = token_request(&keys.issuer, &objects(), ("a", "robot"), request(spec), DAY).unwrap();
        issued.object["status"]["token"].as_str().unwrap().to_owned()
    };
    let without =
        |resource: &str| Objects(objects().0.into_iter().filter(|(r, _, _)| *r != resource).collect());
    let gone = |what| Err(AuthError::Token(TokenError::Gone(what)));
    let pod = bound("Pod", "web");
    assert!(judge(&keys, objects(), None, &pod).is_ok());
    assert_eq!(judge(&keys, without("/pods"), None, &pod), gone("pod"));
    assert_eq!(judge(&keys, without("/serviceaccounts"), None, &pod), gone("service account"));
    assert!(judge(&keys, without("/nodes"), None, &pod).is_ok(), "the pod's node is told, not required");
    assert_eq!(judge(&keys, without("/secrets"), None, &bound("Secret", "box")), gone("secret"));
    assert_eq!(judge(&keys, without("/nodes"), None, &bound("Node", "n1")), gone("node"));
    let mut recreated = objects();
    recreated.0[1].2["metadata"]["uid"] = "pod-2".into();
    assert_eq!(judge(&keys, recreated, None, &pod), gone("pod"));
    let mut deleting = objects();
    deleting.0[1].2["metadata"]["deletionTimestamp"] = "2020-01-01T00:00:00Z".into();
    assert_eq!(judge(&keys, deleting, None, &pod), gone("pod"));

    let later = Timestamp::from_second(Timestamp::now().as_second() + 5).unwrap();
    assert_eq!(judge(&keys, objects(), Some(later), &pod), Err(AuthError::Token(TokenError::TooOld)));
    let binding = Binding {
        namespace: "a".into(),
        account: Reference { name: "robot".into(), uid: "sa-1".into() },
        ..Binding::default()
    };
    let issue = |audience: &str, at: i64| {
        let now = Timestamp::from_second(at).unwrap();
        service_account::issue(
            &keys.issuer,
            &binding,
            &[audience.into()],
            now,
            Some(Duration::from_secs(600)),
            None,
        )
        .unwrap()
    };
    let now = Timestamp::now().as_second();
    let own = keys.issuer.url();
    let expect =
        |token: String, why| assert_eq!(judge(&keys, objects(), None, &token), Err(AuthError::Token(why)));
    expect(issue("vault", now), TokenError::Audience);
    expect(issue(own, now - 700), TokenError::Expired);
    expect(issue(own, now + 120), TokenError::Expired);
    let other = super::tests::keys("v");
    assert!(matches!(judge(&other, objects(), None, &pod), Err(AuthError::Token(TokenError::Jwt(_)))));
    let mut forged: Vec<&str> = pod.split('.').collect();
    forged[2] = "AAAA";
    assert!(judge(&keys, objects(), None, &forged.join(".")).is_err());
}

/// AS-44: ten years asked gives a day, and the answer says so; less than ten minutes is refused.
#[test]
fn lives_are_cut_and_said() {
    let keys = keys("u");
    let ask = |seconds: i64| {
        let asked = request(json!({ "expirationSeconds": seconds }));
        token_request(&keys.issuer, &objects(), ("a", "robot"), asked, DAY)
    };
    let long = ask(315_360_000).unwrap();
    assert_eq!(long.object["spec"]["expirationSeconds"], 86_400);
    assert_eq!(long.warnings, ["requested expiration of 315360000 seconds shortened to 86400 seconds"]);
    let short = ask(599).unwrap_err();
    assert_eq!((short.code, short.details.causes[0].field.as_str()), (422, "spec.expirationSeconds"));
    assert_eq!(ask(1 << 33).unwrap_err().code, 422);
}

#[test]
fn a_token_request_is_refused_for_what_is_not_there() {
    let keys = keys("u");
    let ask = |name: &str, spec: Value| {
        token_request(&keys.issuer, &objects(), ("a", name), request(spec), DAY).unwrap_err()
    };
    assert_eq!(ask("nobody", json!({})).message, r#"serviceaccounts "nobody" not found"#);
    let to = |kind: &str, name: &str, uid: &str| json!({ "boundObjectRef": { "kind": kind, "apiVersion": "v1", "name": name, "uid": uid } });
    assert_eq!(ask("robot", to("Pod", "none", "")).code, 404);
    assert_eq!(ask("robot", to("Pod", "web", "pod-9")).code, 409);
    assert_eq!(
        ask("robot", to("ConfigMap", "x", "")).message,
        "cannot bind token to object of type v1, Kind=ConfigMap"
    );
    let mut misnamed = request(json!({}));
    misnamed["metadata"]["name"] = "other".into();
    assert_eq!(token_request(&keys.issuer, &objects(), ("a", "robot"), misnamed, DAY).unwrap_err().code, 422);
}

/// AS-47: TokenReview tells user and audiences, or that there is none.
#[test]
fn a_review_tells_who_and_for_whom() {
    let keys = keys("u");
    let asked = request(json!({ "audiences": ["vault", "x"] }));
    let issued = token_request(&keys.issuer, &objects(), ("a", "robot"), asked, DAY).unwrap();
    let by = Authenticator {
        client_authority: keys.client.der(),
        system_authorities: &[],
        issuer: &keys.issuer,
        min_issued_at: None,
        objects: objects(),
    };
    let review = |audiences: Value| {
        let spec = json!({ "token": issued.object["status"]["token"], "audiences": audiences });
        token_review(&by, json!({ "kind": "TokenReview", "spec": spec })).unwrap()["status"].clone()
    };
    let yes = review(json!(["vault"]));
    assert_eq!((&yes["authenticated"], &yes["audiences"]), (&json!(true), &json!(["vault"])));
    assert_eq!(yes["user"]["username"], "system:serviceaccount:a:robot");
    let no = review(Value::Null);
    assert!(no["authenticated"].is_null() && no["error"].is_string());
    assert_eq!(token_review(&by, json!({ "spec": {} })).unwrap_err().code, 400);
}

/// G9, AS-46: credentials carry user and groups; `skerry:` is refused, `hub:` is the manager's to give.
#[test]
fn credentials_are_certificates_or_tokens() {
    let keys = keys("u");
    let ask = |body: Value| {
        CredentialRequest::from_value(&body).unwrap().issue(&keys.client, &keys.issuer, DAY).unwrap()
    };
    let body =
        json!({ "user": "hub:credential:owner", "groups": ["hub:role:admins"], "ttlSeconds": 999_999_999 });
    let Credential::Certificate { certificate, expires, .. } = ask(body.clone()) else {
        panic!("no certificate")
    };
    assert!(expires.as_second() <= Timestamp::now().as_second() + 90 * 86_400);
    let chain = Chain::from(pki::certificates_of_pem(certificate.as_bytes()).unwrap());
    let by = Authenticator {
        client_authority: keys.client.der(),
        system_authorities: &[],
        issuer: &keys.issuer,
        min_issued_at: None,
        objects: objects(),
    };
    assert!(by.authenticate(&chain, &HeaderMap::new()).unwrap().in_group("hub:role:admins"));
    let mut token_body = body;
    token_body["kind"] = "token".into();
    let Credential::Token { token, expires } = ask(token_body) else { panic!("no token") };
    assert!(expires.as_second() <= Timestamp::now().as_second() + 86_400);
    let who = judge(&keys, objects(), None, &token).unwrap();
    assert_eq!((who.user.as_str(), who.groups[0].as_str()), ("hub:credential:owner", "hub:role:admins"));
    for wrong in [
        json!({}),
        json!({ "user": "skerry:syncer" }),
        json!({ "user": "a", "groups": ["skerry:system"] }),
        json!({ "user": "a", "ttlSeconds": 1 }),
        json!({ "user": "a", "kind": "magic" }),
        json!({ "user": "a", "other": 1 }),
    ] {
        assert_eq!(CredentialRequest::from_value(&wrong).unwrap_err().len(), 1, "{wrong}");
    }
    assert_eq!(by.authenticate(&Chain::default(), &HeaderMap::new()), Ok(Identity::anonymous()));
}

/// AS-46: a CSR cannot name what is reserved, nor carry an OU.
#[test]
fn a_csr_names_nobody_reserved() {
    let keys = keys("u");
    let csr = |user: &str, group: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, user);
        params.distinguished_name.push(rcgen::DnType::OrganizationName, group);
        params.distinguished_name.push(rcgen::DnType::OrganizationalUnitName, x509::CREDENTIAL_UNIT);
        csr::Request::from_pem(params.serialize_request(&key).unwrap().pem().unwrap().as_bytes())
    };
    for (user, group) in [("skerry:x", "a"), ("hub:x", "a"), ("a", "skerry:system"), ("a", "hub:y")] {
        assert!(matches!(csr(user, group), Err(csr::CsrError::Name(_))), "{user} {group}");
    }
    let leaf = csr("jane", "team").unwrap().sign(&keys.client, DAY).unwrap();
    let who = x509::verify(&[&leaf.der], &[keys.client.der()]).unwrap();
    assert_eq!((who.subject.user.as_str(), who.subject.unit.as_str()), ("jane", ""));
    assert!(csr::Request::from_pem(b"nothing").is_err());
}

#[test]
fn keys_read_back_and_never_print() {
    let keys = keys("u");
    let stored = keys.to_value();
    let url = keys.issuer.url().to_owned();
    let back = TenantKeys::from_value(&stored, url.clone(), vec![]).unwrap();
    assert_eq!((back.client.der(), back.issuer.key_set()), (keys.client.der(), keys.issuer.key_set()));
    assert!(!format!("{keys:?}").contains("pkcs8"));
    let mut broken = stored;
    broken.as_object_mut().unwrap().remove("issuerKey");
    assert_eq!(TenantKeys::from_value(&broken, url, vec![]).unwrap_err().to_string(), "issuerKey is missing");
}
