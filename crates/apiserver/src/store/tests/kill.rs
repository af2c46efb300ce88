//! AS-4: a process that writes to redb is killed at random points; what it leaves is compared with a model.
//!
//! Each tenant's writes are a fixed sequence: the write that makes RV `n` is a function of tenant and `n`. So
//! the RV a tenant is left at says which prefix must be there, with every change of the log window.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const FOLDER: &str = "SKERRY_TEST_STORE_CHILD";
const KILLS: &str = "SKERRY_TEST_KILLS";
const TENANTS: usize = 3;

/// Objects by key, each with its RV and value.
type Model = BTreeMap<Key, (u64, u64)>;

fn config() -> StoreConfig {
    // Small enough that floors rise and the journal turns while the test runs.
    StoreConfig {
        shard_bytes: 200_000,
        sweep: Duration::from_millis(20),
        tables_bytes: 10_000,
        tables_after: Duration::from_millis(5),
        ..StoreConfig::default()
    }
}

/// The write that makes `rv`, given what is there: some key, put or deleted.
fn step(tenant: usize, rv: u64, model: &Model) -> (Key, Option<u64>) {
    let mut random = StdRng::seed_from_u64(rv * TENANTS as u64 + tenant as u64);
    let name = format!("o{}", random.random_range(0..25));
    let key = if random.random_bool(0.7) { pod(&name) } else { map(&name) };
    let delete = model.contains_key(&key) && random.random_bool(0.3);
    (key, (!delete).then(|| random.random_range(0..1_000_000)))
}

fn play(tenant: usize, rv: u64, model: &mut Model) -> (Key, Option<u64>, Option<(u64, u64)>) {
    let (key, value) = step(tenant, rv, model);
    let prev = match value {
        Some(value) => model.insert(key.clone(), (rv, value)),
        None => model.remove(&key),
    };
    (key, value, prev)
}

async fn tenant(db: &Db, n: usize) -> TenantStore {
    match db.open(id(n), Layer::default(), Limits::default()).await {
        Ok(tenant) => tenant,
        Err(TenantError::Unknown(_)) => make(db, n).await,
        Err(other) => panic!("{other}"),
    }
}

/// The process that is killed. Does nothing unless it was started as one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_4_child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let db = Db::redb(Path::new(&folder), 1, config()).unwrap();
    let mut tasks = Vec::new();
    for n in 0..TENANTS {
        let tenant = tenant(&db, n).await;
        tasks.push(tokio::spawn(async move {
            let mut model = Model::new();
            let mut rv = tenant.current_rv();
            (2..=rv).for_each(|rv| drop(play(n, rv, &mut model)));
            loop {
                rv += 1;
                let (key, value, _) = play(n, rv, &mut model);
                let intent = value.map_or_else(|| remove(&key), |value| put(&key, value));
                assert_eq!(tenant.commit(intent).await.unwrap().rv(), rv);
                println!("ack {n} {rv}");
            }
        }));
    }
    futures::future::join_all(tasks).await;
}

/// Runs a child until it has acknowledged some writes, kills it, and gives each tenant's last acknowledged RV.
fn run_and_kill(folder: &Path, acks: usize, delay: Duration) -> BTreeMap<usize, u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::kill::as_4_child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut last = BTreeMap::new();
    let mut take = |line: String| {
        let mut words = line.split(' ').skip_while(|word| !word.ends_with("ack")).skip(1);
        if let (Some(n), Some(rv)) = (words.next(), words.next()) {
            last.insert(n.parse().unwrap(), rv.parse().unwrap());
        }
    };
    (0..acks).for_each(|_| lines.next().into_iter().for_each(|line| take(line.unwrap())));
    std::thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
    // The last line may be cut off.
    let rest: Vec<_> = lines.map_while(Result::ok).collect();
    rest.into_iter().rev().skip(1).rev().for_each(take);
    last
}

/// Objects, history and floors of a tenant against the model.
fn compare(n: usize, tenant: &TenantStore) -> u64 {
    let rv = tenant.current_rv();
    let mut model = Model::new();
    let mut played = Vec::new();
    for rv in 2..=rv {
        played.push((rv, play(n, rv, &mut model)));
    }
    for resource in [pods(), maps()] {
        let expected: Vec<_> = model
            .iter()
            .filter(|(key, _)| key.resource == resource)
            .map(|(key, (rv, value))| (key.name.to_string(), Value::from(*value), *rv))
            .collect();
        assert_eq!(listed(&tenant.snapshot(), &resource), expected, "tenant {n} at {rv}");
        let mine: Vec<_> = played.iter().filter(|(_, (key, ..))| key.resource == resource).collect();
        let floor = tenant.watch(&resource, 0).err().map_or(0, |forgotten| forgotten.floor);
        assert!(floor == 0 || mine.iter().any(|(rv, _)| *rv == floor), "a floor is the RV of a write");
        let mut cursor = tenant.watch(&resource, floor).unwrap();
        for (rv, (key, value, prev)) in mine.into_iter().filter(|(rv, _)| *rv > floor) {
            let change = cursor.try_next().unwrap().expect("a change for every write");
            let kind = match (value, prev) {
                (None, _) => ChangeKind::Deleted,
                (Some(_), None) => ChangeKind::Added,
                (Some(_), Some(_)) => ChangeKind::Modified,
            };
            assert_eq!((change.rv, change.kind, &change.key), (*rv, kind, key));
            let shown = value.or(prev.map(|(_, value)| value));
            assert_eq!((change.new.rv(), shown), (*rv, super::value(&change.new).as_u64()));
            let before = change.prev.as_ref().map(|prev| (prev.rv(), super::value(prev).as_u64().unwrap()));
            assert_eq!(before, *prev);
        }
        assert!(cursor.try_next().unwrap().is_none());
    }
    rv
}

#[tokio::test]
async fn as_4_a_killed_process_leaves_a_prefix_of_its_batches() {
    if std::env::var(FOLDER).is_ok() {
        return;
    }
    let kills = std::env::var(KILLS).ok().and_then(|kills| kills.parse().ok()).unwrap_or(20);
    let folder = tempfile::tempdir().unwrap();
    let mut random = StdRng::seed_from_u64(4);
    let (mut floors, mut acks) = (0, 0);
    for _ in 0..kills {
        let delay = Duration::from_micros(random.random_range(0..20_000));
        let acknowledged = run_and_kill(folder.path(), random.random_range(0..150), delay);
        acks += acknowledged.len();
        let db = Db::redb(folder.path(), 1, config()).unwrap();
        for n in 0..TENANTS {
            let tenant = tenant(&db, n).await;
            let rv = compare(n, &tenant);
            assert!(acknowledged.get(&n).is_none_or(|acknowledged| *acknowledged <= rv));
            floors += u64::from(tenant.watch(&pods(), 0).is_err());
        }
    }
    assert!(acks > 0, "the child wrote nothing");
    assert!(floors > 0 || kills < 20, "the log was never trimmed");
}
