//! Backends that fail (K13): AS-3, the full disk of AS-56, damaged and newer values.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::super::backend::{Batch, LogRow, Position, Store, StoreFault, StoredHead};
use super::super::memory::MemoryStore;
use super::super::record::Record;
use super::super::redb::{Files, Medium, RedbStore, Refusal, tamper};
use super::super::table::Slot;
use super::*;

/// Fails at the `fail_at`-th commit, before or after it took effect.
struct Faulty {
    inner: Arc<MemoryStore>,
    commits: AtomicUsize,
    fail_at: usize,
    after_effect: bool,
}

impl Store for Faulty {
    fn commit(&self, batch: &Batch) -> Result<(), StoreFault> {
        let commit = self.commits.fetch_add(1, Ordering::SeqCst);
        assert!(commit <= self.fail_at, "nothing is written after a failure");
        if commit < self.fail_at || self.after_effect {
            self.inner.commit(batch)?;
        }
        if commit == self.fail_at { Err(StoreFault::Failed("fsync failed".to_owned())) } else { Ok(()) }
    }
    fn position(&self) -> Result<Position, StoreFault> {
        self.inner.position()
    }
    fn heads(&self) -> Result<Vec<StoredHead>, StoreFault> {
        self.inner.heads()
    }
    fn load(&self, tenant: TenantId) -> Result<Vec<(Key, Slot)>, StoreFault> {
        self.inner.load(tenant)
    }
    fn read(&self, tenant: TenantId, key: &Key) -> Result<Option<Record>, StoreFault> {
        self.inner.read(tenant, key)
    }
    fn log(&self) -> Result<Vec<LogRow>, StoreFault> {
        self.inner.log()
    }
    fn trim(&self, upto: u64) -> Result<(), StoreFault> {
        self.inner.trim(upto)
    }
    fn drop_tenant(&self, tenant: TenantId, max: usize) -> Result<Remaining, StoreFault> {
        self.inner.drop_tenant(tenant, max)
    }
    fn reopen(&self) -> Result<Position, StoreFault> {
        self.inner.reopen()
    }
    fn bytes(&self) -> u64 {
        self.inner.bytes()
    }
}

async fn as_3_with(fail_at: usize, after_effect: bool) {
    let inner = Arc::new(MemoryStore::new());
    let faulty = Faulty { inner: inner.clone(), commits: AtomicUsize::new(0), fail_at, after_effect };
    let config = StoreConfig { max_writes: 16, ..StoreConfig::default() };
    let db = Db::with_stores(vec![Box::new(faulty)], config).unwrap();
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    let mut ended = None;
    if let Ok(tenant) = db.create_tenant(new_tenant(0), Layer::default(), Limits::default()).await {
        let mut cursor = tenant.watch(&pods(), 1).unwrap();
        for round in 0..5 {
            let writes = (0..100).map(|n| {
                let (tenant, name) = (&tenant, format!("p{round}-{n}"));
                async move { tenant.commit(put(&pod(&name), n)).await.map(|done| (done.rv(), name)) }
            });
            for outcome in futures::future::join_all(writes).await {
                match outcome {
                    Ok(done) => acknowledged.push(done),
                    Err(refusal) => {
                        assert_eq!(refusal, CommitError::Failed("fsync failed".to_owned()));
                        refused += 1;
                    }
                }
            }
        }
        ended = cursor.try_next().err();
        // Only what was acknowledged is shown.
        assert_eq!(tenant.snapshot().count(&pods()), acknowledged.len());
        assert_eq!(acknowledged.len() + refused, 500);
    }
    let failed = Health::Failed("fsync failed".to_owned());
    assert_eq!(ended, (refused > 0).then_some(CursorEnd::Failed));
    assert_eq!(
        db.shards()[0].health,
        if refused > 0 || acknowledged.is_empty() { failed } else { Health::Ready }
    );
    let durable: BTreeMap<_, _> = inner
        .load(id(0))
        .unwrap()
        .into_iter()
        .filter_map(|(key, slot)| Some((slot.live()?.rv(), key.name.name().to_owned())))
        .collect();
    let rvs: std::collections::BTreeSet<_> = acknowledged.iter().map(|(rv, _)| *rv).collect();
    assert_eq!(rvs.len(), acknowledged.len(), "an RV was given twice");
    for (rv, name) in acknowledged {
        assert_eq!(durable.get(&rv), Some(&name));
    }
}

#[tokio::test]
async fn as_3_what_is_acknowledged_is_durable_whichever_call_fails() {
    for fail_at in 0..36 {
        for after_effect in [false, true] {
            as_3_with(fail_at, after_effect).await;
        }
    }
}

/// A disk in memory that can be full, with a file of redb and the two of the journal.
#[derive(Clone, Default)]
struct Disk {
    files: [DiskFile; 3],
    room: Arc<AtomicU64>,
}

#[derive(Clone, Default)]
struct DiskFile {
    bytes: Arc<Mutex<Vec<u8>>>,
    used: Arc<AtomicU64>,
    room: Arc<AtomicU64>,
}

impl std::fmt::Debug for DiskFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.bytes.lock().len())
    }
}

impl DiskFile {
    fn resize(&self, bytes: &mut Vec<u8>, len: usize) -> io::Result<()> {
        let more = len.saturating_sub(bytes.len()) as u64;
        if more > 0 && self.used.load(Ordering::SeqCst) + more > self.room.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.used.fetch_add(more, Ordering::SeqCst);
        self.used.fetch_sub(bytes.len().saturating_sub(len) as u64, Ordering::SeqCst);
        bytes.resize(len, 0);
        Ok(())
    }
}

impl ::redb::StorageBackend for DiskFile {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.bytes.lock().len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let bytes = self.bytes.lock();
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        out.copy_from_slice(bytes.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.resize(&mut self.bytes.lock(), usize::try_from(len).map_err(io::Error::other)?)
    }
    fn sync_data(&self) -> Result<(), io::Error> {
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        self.bytes.lock()[from..from + data.len()].copy_from_slice(data);
        Ok(())
    }
}

impl Medium for DiskFile {
    fn read(&self) -> io::Result<Vec<u8>> {
        Ok(self.bytes.lock().clone())
    }
    fn write(&self, data: &[u8], at: u64) -> io::Result<()> {
        let from = usize::try_from(at).map_err(io::Error::other)?;
        let mut bytes = self.bytes.lock();
        let len = bytes.len().max(from + data.len());
        self.resize(&mut bytes, len)?;
        bytes[from..from + data.len()].copy_from_slice(data);
        Ok(())
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Disk {
    fn with_room(bytes: u64) -> Self {
        let room = Arc::new(AtomicU64::new(bytes));
        let used = Arc::default();
        let file = || DiskFile { bytes: Arc::default(), used: Arc::clone(&used), room: room.clone() };
        Self { files: [file(), file(), file()], room }
    }
}

fn on_disk(disk: &Disk) -> Result<RedbStore, Refusal> {
    let [tables, first, second] = disk.files.clone();
    let files = Files {
        tables: Box::new(move || ::redb::Database::builder().create_with_backend(tables.clone())),
        journal: [Box::new(first), Box::new(second)],
        path: "nowhere".into(),
    };
    let config = StoreConfig { tables_bytes: 500_000, ..StoreConfig::default() };
    RedbStore::open(files, 1, config)
}

fn db_on(disk: &Disk) -> Db {
    let store = on_disk(disk).unwrap();
    Db::with_stores(vec![Box::new(store)], StoreConfig::default()).unwrap()
}

#[tokio::test]
async fn as_56_a_full_disk_refuses_writes_until_there_is_room() {
    let disk = Disk::with_room(16 << 20);
    let db = db_on(&disk);
    let tenant = make(&db, 0).await;
    let body = "x".repeat(100_000);
    let mut stored = 0_usize;
    let refusal = loop {
        match tenant.commit(put(&pod(&format!("p{stored}")), body.clone())).await {
            Ok(_) => stored += 1,
            Err(refusal) => break refusal,
        }
        assert!(stored < 1000, "the disk is never full");
    };
    assert_eq!(refusal, CommitError::Full);
    assert_eq!(refusal.to_string(), "storage is full");
    assert_eq!((tenant.health(), tenant.snapshot().count(&pods())), (Health::Full, stored));
    let refused = tenant.current_rv() + 1;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(tenant.commit(put(&pod("again"), body.clone())).await, Err(CommitError::Full));
    assert_eq!(tenant.snapshot().count(&pods()), stored);
    disk.room.store(64 << 20, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let committed = tenant.commit(put(&pod("again"), body)).await.unwrap();
    assert!(committed.rv() > refused, "RVs of the refused batches are not given again");
    assert_eq!(tenant.health(), Health::Ready);
    drop(db);
    let db = db_on(&disk);
    let tenant = db.open(id(0), Layer::default(), Limits::default()).await.unwrap();
    assert_eq!((tenant.snapshot().count(&pods()), tenant.current_rv()), (stored + 1, committed.rv()));
}

#[tokio::test]
async fn a_damaged_value_fails_its_tenant_only() {
    let disk = Disk::with_room(u64::MAX);
    {
        let db = db_on(&disk);
        for n in 0..2 {
            make(&db, n).await.commit(put(&pod("a"), n)).await.unwrap();
        }
    }
    on_disk(&disk).unwrap().tamper(|db| tamper::damage(db, id(0), &pod("a")));
    let db = db_on(&disk);
    let failed = db.open(id(0), Layer::default(), Limits::default()).await.err().unwrap();
    assert!(matches!(&failed, TenantError::Damaged(why) if why.contains("checksum")), "{failed}");
    assert!(db.head(id(0)).unwrap().failed.is_some());
    let other = db.open(id(1), Layer::default(), Limits::default()).await.unwrap();
    other.commit(put(&pod("b"), 1)).await.unwrap();
    assert_eq!(other.snapshot().count(&pods()), 2);
    // A wildcard watch does not wait for a tenant that cannot be opened.
    assert!(db.wildcard(0, &pods(), None).is_ok());
}

#[tokio::test]
async fn as_7_a_newer_format_is_refused_naming_both() {
    let disk = Disk::with_room(u64::MAX);
    on_disk(&disk).unwrap().tamper(|db| tamper::set_format(db, 2));
    assert!(matches!(on_disk(&disk), Err(Refusal::Newer(2))));
    let refusal = OpenError::Newer { found: 2, known: 1 };
    assert_eq!(refusal.to_string(), "the store has format 2, this version reads up to 1");
}
