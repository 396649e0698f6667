//! A fault at every write: the caller hears of trouble, nothing is half written, the next write works.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

use rusqlite::Connection;
use strongroom_protocol::{Address, SecretKind};

use super::*;
use crate::RecordError;

#[path = "../../tests/fixture/grants.rs"]
mod grants;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Store {
        let config = StoreConfig { path: self.0.path().join("secrets.sqlite3"), chain_id: 134 };
        Store::open(&config, RootKeySource::File(self.0.path().join("root.key"))).unwrap()
    }

    fn raw(&self) -> Connection {
        Connection::open(self.0.path().join("secrets.sqlite3")).unwrap()
    }

    /// Every row of every table that a write touches.
    fn rows(&self) -> Vec<String> {
        let connection = self.raw();
        let mut rows = Vec::new();
        let tables = [
            "epochs",
            "secret_versions",
            "data_keys",
            "spent_signatures",
            "secret_counts",
            "sessions",
            "spent_nonces",
            "journal",
        ];
        for table in tables {
            let mut statement = connection.prepare(&format!("SELECT * FROM {table} ORDER BY 1")).unwrap();
            let columns = statement.column_count();
            let mut found = statement.query([]).unwrap();
            while let Some(row) = found.next().unwrap() {
                let cells: Vec<_> = (0..columns).map(|column| row.get_ref(column).unwrap()).collect();
                rows.push(format!("{table} {cells:?}"));
            }
        }
        rows
    }
}

fn account(name: &str) -> SecretId {
    SecretId::Account { owner: Address::repeat_byte(7), name: name.parse().unwrap() }
}

fn value(bytes: &[u8]) -> SecretValue {
    SecretValue::new(bytes.to_vec()).unwrap()
}

fn signature(number: u8) -> Signature {
    let mut bytes = [1; 65];
    bytes[31] = number;
    bytes[64] = 27;
    Signature::from_bytes(&bytes).unwrap()
}

/// The statements of each write, where SQLite can be made to fail: (event, table).
const STATEMENTS: [(&str, &str); 10] = [
    ("INSERT", "secret_versions"),
    ("INSERT", "data_keys"),
    ("INSERT", "spent_signatures"),
    ("UPDATE", "secret_counts"),
    ("INSERT", "epochs"),
    ("UPDATE", "data_keys"),
    ("DELETE", "epochs"),
    ("INSERT", "spent_nonces"),
    ("INSERT", "journal"),
    ("UPDATE", "sessions"),
];

/// Makes one statement fail in the worst way, leaving what it wrote so far (FAIL) or ending the transaction under the
/// program's feet (ROLLBACK).
async fn break_statement(store: &Store, when: &str, event: &str, table: &str, how: &str) {
    let trigger = format!(
        "CREATE TEMP TRIGGER fault {when} {event} ON main.{table} BEGIN SELECT RAISE({how}, 'injected fault'); END"
    );
    store.inner.writer.configure(move |connection| connection.execute_batch(&trigger).unwrap()).await;
}

async fn repair_statement(store: &Store) {
    let repair = |connection: &mut Connection| connection.execute_batch("DROP TRIGGER temp.fault").unwrap();
    store.inner.writer.configure(repair).await;
}

/// The writes of the store; each must change something when nothing is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    Insert,
    RememberSignature,
    Replace,
    Rotate,
    Record,
}

impl Write {
    const ALL: [Self; 5] = [Self::Insert, Self::RememberSignature, Self::Replace, Self::Rotate, Self::Record];

    /// `Err` is trouble; any other refusal fails the test.
    async fn run(self, store: &Store, name: &str) -> Result<(), StoreError> {
        match self {
            Self::Insert => match store.insert(account(name), value(b"new"), signature(50)).await {
                Ok(()) => Ok(()),
                Err(InsertError::Trouble(trouble)) => Err(trouble),
                Err(InsertError::AlreadyExists) => panic!("the secret was half written"),
            },
            Self::Replace | Self::RememberSignature => {
                let (bytes, number): (&[u8], _) = if self == Self::Replace { (b"other", 51) } else { (b"first", 52) };
                match store.replace(account("existing"), value(bytes), signature(number)).await {
                    Ok(_) => Ok(()),
                    Err(ReplaceError::Trouble(trouble)) => Err(trouble),
                    Err(other) => panic!("{other}"),
                }
            }
            Self::Rotate => store.rotate_epoch(|_| {}).await.map(|_| ()),
            Self::Record => {
                let grant = grants::grant(&grants::session(1), 1, 1, false);
                match store.record(grant, grants::LATER, grants::NOW).await {
                    Ok(_) => Ok(()),
                    Err(RecordError::Trouble(trouble)) => Err(trouble),
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
}

async fn store_with_secrets(folder: &Folder) -> Store {
    let store = folder.open();
    store.insert(account("existing"), value(b"first"), signature(1)).await.unwrap();
    store.insert(SecretId::App(Address::repeat_byte(1)), value(b"app"), signature(2)).await.unwrap();
    store.settle_trust_domain(&strongroom_grant::TrustDomain::Production).await.unwrap();
    store.put_session(grants::session(1)).await.unwrap();
    store
}

#[tokio::test]
async fn a_fault_in_any_statement_of_any_write_is_trouble_and_leaves_nothing_behind() {
    let mut faults_met = 0;
    for write in Write::ALL {
        for (event, table) in STATEMENTS {
            for (when, how) in [("BEFORE", "ABORT"), ("AFTER", "FAIL"), ("AFTER", "ROLLBACK")] {
                let folder = Folder::new();
                let store = store_with_secrets(&folder).await;
                let before = folder.rows();
                break_statement(&store, when, event, table, how).await;
                let outcome = write.run(&store, "new").await;
                let context = format!("{write:?}, {how} {when} {event} {table}");
                if let Err(trouble) = &outcome {
                    faults_met += 1;
                    assert!(matches!(trouble, StoreError::Database(_)), "{context}: {trouble:?}");
                    // Of a rotation the steps before the fault stay, each whole.
                    assert!(write == Write::Rotate || folder.rows() == before, "{context}");
                    assert!(!store.exists(&account("new")).await.unwrap(), "{context}");
                    assert!(store.verify().await.unwrap().is_sound(), "{context}");
                }
                repair_statement(&store).await;
                if outcome.is_err() {
                    write.run(&store, "new").await.unwrap();
                }
                assert!(folder.rows() != before, "{context}");
                assert!(store.verify().await.unwrap().is_sound(), "{context}");
                store.close().await;
            }
        }
    }
    // Insert: 4 statements, replace: 3, signature: 1, rotation: 3, record: 3; three ways to fail each.
    assert_eq!(faults_met, 3 * (4 + 3 + 1 + 3 + 3));
}

#[tokio::test]
async fn a_commit_that_fails_acknowledges_nothing() {
    for write in Write::ALL {
        let folder = Folder::new();
        let store = store_with_secrets(&folder).await;
        let before = folder.rows();
        let fail = |connection: &mut Connection| connection.commit_hook(Some(|| true)).unwrap();
        store.inner.writer.configure(fail).await;
        assert!(matches!(write.run(&store, "new").await, Err(StoreError::Database(_))), "{write:?}");
        assert!(folder.rows() == before, "{write:?}");
        let repair = |connection: &mut Connection| connection.commit_hook(None::<fn() -> bool>).unwrap();
        store.inner.writer.configure(repair).await;
        write.run(&store, "new").await.unwrap();
        assert!(store.verify().await.unwrap().is_sound(), "{write:?}");
        store.close().await;
    }
}

#[tokio::test]
async fn an_interruption_at_any_moment_is_trouble_and_leaves_nothing_behind() {
    let folder = Folder::new();
    let store = store_with_secrets(&folder).await;
    for moment in 1.. {
        let before = folder.rows();
        let name = format!("name {moment}");
        let met = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&met);
        let interrupt = move |connection: &mut Connection| {
            let stop = move || counter.fetch_add(1, Ordering::SeqCst) + 1 == moment;
            connection.progress_handler(1, Some(stop)).unwrap();
        };
        store.inner.writer.configure(interrupt).await;
        // The command above ends with an empty write of its own, which may be the one that is interrupted.
        let outcome = Write::Insert.run(&store, &name).await;
        let repair = |connection: &mut Connection| connection.progress_handler(1, None::<fn() -> bool>).unwrap();
        store.inner.writer.configure(repair).await;
        if outcome.is_err() {
            // The last moments are after the commit: the write is whole, though nobody heard of it.
            let is_there = store.exists(&account(&name)).await.unwrap();
            assert!(is_there || folder.rows() == before, "moment {moment}");
            assert!(store.verify().await.unwrap().is_sound(), "moment {moment}");
            let again = store.insert(account(&name), value(b"new"), signature(50)).await;
            assert!(again.is_ok() != is_there, "moment {moment}: {again:?}");
        }
        assert!(store.exists(&account(&name)).await.unwrap(), "moment {moment}");
        if met.load(Ordering::SeqCst) < moment {
            assert!(moment > 10, "the handler must have been called several times");
            break;
        }
    }
    assert!(store.verify().await.unwrap().is_sound());
    store.close().await;
}

#[tokio::test]
async fn a_full_disk_is_trouble_until_there_is_room() {
    let folder = Folder::new();
    let store = store_with_secrets(&folder).await;
    let before = folder.rows();
    let fill = |connection: &mut Connection| {
        let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    };
    store.inner.writer.configure(fill).await;
    let large = || value(&vec![1; 1024 * 1024]);
    let insert = store.insert(account("new"), large(), signature(50)).await;
    assert!(matches!(insert, Err(InsertError::Trouble(StoreError::Full(_)))), "{insert:?}");
    let replace = store.replace(account("existing"), large(), signature(51)).await;
    assert!(matches!(replace, Err(ReplaceError::Trouble(StoreError::Full(_)))), "{replace:?}");
    assert!(folder.rows() == before);
    let free = |connection: &mut Connection| {
        connection.pragma_update_and_check(None, "max_page_count", 1_000_000, |_| Ok(())).unwrap();
    };
    store.inner.writer.configure(free).await;
    store.insert(account("new"), large(), signature(50)).await.unwrap();
    store.replace(account("existing"), large(), signature(51)).await.unwrap();
    assert!(store.verify().await.unwrap().is_sound());
    store.close().await;
}

#[tokio::test]
async fn a_lock_held_by_another_process_is_trouble_for_writes_and_nothing_for_reads() {
    let folder = Folder::new();
    let store = store_with_secrets(&folder).await;
    let impatient = |connection: &mut Connection| connection.busy_timeout(std::time::Duration::ZERO).unwrap();
    store.inner.writer.configure(impatient).await;
    let other = folder.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for write in Write::ALL {
        assert!(matches!(write.run(&store, "new").await, Err(StoreError::Database(_))), "{write:?}");
    }
    assert!(store.exists(&account("existing")).await.unwrap());
    assert_eq!(store.counts().await.unwrap().of(SecretKind::Account), 1);
    other.execute_batch("ROLLBACK").unwrap();
    for write in Write::ALL {
        write.run(&store, "new").await.unwrap();
    }
    store.close().await;
}

#[tokio::test]
async fn the_trouble_of_one_caller_is_not_that_of_others_in_the_same_transaction() {
    let folder = Folder::new();
    let store = folder.open();
    let fault = "CREATE TEMP TRIGGER fault AFTER INSERT ON main.secret_versions WHEN NEW.name = 'bad'
                 BEGIN SELECT RAISE(ROLLBACK, 'injected fault'); END";
    store.inner.writer.configure(move |connection| connection.execute_batch(fault).unwrap()).await;

    // Holds the writer until all pushes are in its queue. On a runtime of one thread, tasks run in the order in which they
    // were spawned, each up to where it has to wait: first for the writer, then for an answer.
    let (release, held) = mpsc::channel::<()>();
    let blocker = store.clone();
    let blocked = tokio::spawn(async move { blocker.inner.writer.configure(move |_| held.recv().unwrap()).await });
    let names = ["a", "b", "bad", "c", "d"];
    let pushes = names.map(|name| {
        let store = store.clone();
        tokio::spawn(async move { store.insert(account(name), value(b"value"), signature(1)).await })
    });
    tokio::task::yield_now().await;
    release.send(()).unwrap();
    for (push, name) in pushes.into_iter().zip(names) {
        let outcome = push.await.unwrap();
        let trouble = matches!(outcome, Err(InsertError::Trouble(StoreError::Database(_))));
        assert_eq!(trouble, name == "bad", "{name}: {outcome:?}");
        assert_eq!(outcome.is_ok(), name != "bad", "{name}: {outcome:?}");
        assert_eq!(store.exists(&account(name)).await.unwrap(), name != "bad", "{name}");
    }
    blocked.await.unwrap();
    assert_eq!(store.counts().await.unwrap().account, 4);
    assert!(store.verify().await.unwrap().is_sound());
    store.close().await;
}

#[tokio::test]
async fn a_damaged_index_is_trouble_and_never_absence() {
    let folder = Folder::new();
    let store = store_with_secrets(&folder).await;
    store.close().await;
    let path = folder.0.path().join("secrets.sqlite3");
    let root_page: u64 = folder
        .raw()
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name LIKE 'sqlite_autoindex_secret_versions%'",
            [],
            |row| row.get::<_, u32>(0).map(u64::from),
        )
        .unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let start = usize::try_from((root_page - 1) * 4096).unwrap();
    bytes[start..start + 4096].fill(0xee);
    std::fs::write(&path, bytes).unwrap();

    let store = folder.open();
    let damaged = |trouble: &StoreError| matches!(trouble, StoreError::Database(_));
    assert!(damaged(&store.exists(&account("existing")).await.unwrap_err()));
    assert!(damaged(&store.exists(&account("absent")).await.unwrap_err()));
    let insert = store.insert(account("new"), value(b"new"), signature(50)).await;
    assert!(matches!(&insert, Err(InsertError::Trouble(trouble)) if damaged(trouble)), "{insert:?}");
    let replace = store.replace(account("existing"), value(b"new"), signature(51)).await;
    assert!(matches!(&replace, Err(ReplaceError::Trouble(trouble)) if damaged(trouble)), "{replace:?}");
    store.close().await;
}

#[tokio::test]
async fn a_push_sealed_under_an_epoch_that_is_gone_is_sealed_again() {
    let folder = Folder::new();
    let (first, second) = (folder.open(), folder.open());
    first.insert(account("existing"), value(b"first"), signature(1)).await.unwrap();
    // The second handle stands for another process: the first does not hear of the rotation.
    assert_eq!(second.rotate_epoch(|_| {}).await.unwrap().retired, 1);
    let stale = first.inner.keys.current_epoch().epoch;
    assert!(stale < second.inner.keys.current_epoch().epoch);
    first.insert(account("new"), value(b"new"), signature(2)).await.unwrap();
    assert_eq!(first.inner.keys.current_epoch().epoch, second.inner.keys.current_epoch().epoch);

    assert_eq!(second.rotate_epoch(|_| {}).await.unwrap().rewrapped, 2);
    let replaced = first.replace(account("existing"), value(b"second"), signature(3)).await;
    assert_eq!(replaced.unwrap(), Replaced::Updated);
    for store in [first, second] {
        assert!(store.verify().await.unwrap().is_sound());
        store.close().await;
    }
}

#[tokio::test]
async fn a_look_at_an_old_state_does_not_bring_back_an_old_epoch() {
    let folder = Folder::new();
    let store = store_with_secrets(&folder).await;
    let old_state = connection::open_reader(&store.inner.path).unwrap();
    let old_state = old_state.unchecked_transaction().unwrap();
    assert!(secrets::exists(&old_state, &account("existing")).unwrap());
    store.rotate_epoch(|_| {}).await.unwrap();
    let current = store.inner.keys.current_epoch().epoch;
    store.inner.keys.reload_epochs(&old_state).unwrap();
    assert_eq!(store.inner.keys.current_epoch().epoch, current);
    assert!(store.inner.keys.epoch(current, &old_state).unwrap().is_some());
    drop(old_state);
    assert!(store.verify().await.unwrap().is_sound());
    store.close().await;
}
