//! `/healthz`, `/livez`, `/readyz` of a tenant and of the process, with upstream's verbose form.

use http::Response;

use crate::listen::{Body, body};
use crate::store::{Db, Health};
use crate::tenant::{State, Tenant, Tenants};

/// A named check: `Err` says what is wrong, to operators only.
type Check = (String, Result<(), String>);

fn store_check(health: Health) -> Result<(), String> {
    match health {
        Health::Ready => Ok(()),
        Health::Full => Err("storage is full".into()),
        Health::Failed(reason) => Err(reason),
    }
}

/// Answers for one tenant. Reasons are withheld from it.
pub fn tenant_health(tenant: &Tenant, path: &str, verbose: bool) -> Response<Body> {
    let mut checks: Vec<Check> = vec![("ping".into(), Ok(()))];
    // A full disk is no reason to send clients away: reads go on.
    let store = match tenant.store.health() {
        Health::Failed(reason) => Err(reason),
        Health::Ready | Health::Full => Ok(()),
    };
    if !path.starts_with("/livez") {
        checks.push(("store".into(), store));
    }
    answer(path, &checks, verbose, None)
}

/// Answers for the process: every shard, every tenant that failed.
pub fn process_health(db: &Db, tenants: &Tenants, path: &str, verbose: bool) -> Response<Body> {
    let mut checks: Vec<Check> = vec![("ping".into(), Ok(()))];
    if !path.starts_with("/livez") {
        for shard in db.shards() {
            checks.push((format!("store-{}", shard.number), store_check(shard.health)));
        }
    }
    let mut note = String::new();
    let failed: Vec<String> = tenants
        .states()
        .into_iter()
        .filter(|(_, s)| *s == State::Failed)
        .map(|(id, _)| id.to_string())
        .collect();
    if !failed.is_empty() {
        // A tenant's failure is not the process's: it is told, and counts for nothing.
        note = format!("[!]tenants failed: {}\n", failed.join(", "));
    }
    answer(path, &checks, verbose, Some(&note))
}

/// `told` is for operators: reasons are shown, and a note before them.
fn text(path: &str, checks: &[Check], told: Option<&str>) -> String {
    let name = path.trim_matches('/');
    let mut out = told.unwrap_or_default().to_owned();
    for (check, result) in checks {
        match result {
            Ok(()) => out.push_str(&format!("[+]{check} ok\n")),
            Err(reason) if told.is_some() => out.push_str(&format!("[-]{check} failed: {reason}\n")),
            Err(_) => out.push_str(&format!("[-]{check} failed: reason withheld\n")),
        }
    }
    let verdict = if checks.iter().all(|(_, r)| r.is_ok()) { "passed" } else { "failed" };
    out.push_str(&format!("{name} check {verdict}\n"));
    out
}

fn answer(path: &str, checks: &[Check], verbose: bool, told: Option<&str>) -> Response<Body> {
    let is_well = checks.iter().all(|(_, result)| result.is_ok());
    let body_text = if is_well && !verbose { "ok".to_owned() } else { text(path, checks, told) };
    body::answer(if is_well { 200 } else { 500 }, "text/plain; charset=utf-8", body_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbose_health_names_checks_and_withholds_reasons() {
        let checks: Vec<Check> = vec![("ping".into(), Ok(())), ("store".into(), Err("disk on fire".into()))];
        let shown = text("/readyz", &checks, None);
        assert_eq!(shown, "[+]ping ok\n[-]store failed: reason withheld\nreadyz check failed\n");
        assert!(text("/readyz", &checks, Some("")).contains("disk on fire"));
        assert_eq!(answer("/readyz", &checks, false, None).status(), 500);
        assert_eq!(answer("/readyz", &checks[..1], false, None).status(), 200);
    }
}
