use super::*;
use crate::cause::Cause;
use crate::test_support::{found, open_store, running_task};

const CURSOR: Cursor = Cursor { block: 7, hash: B256::repeat_byte(7) };
const NOW: UnixSeconds = UnixSeconds(1_000_100);

fn id(byte: u8) -> TaskId {
    B256::repeat_byte(byte).into()
}

#[tokio::test]
async fn tasks_and_cursor_survive_and_no_task_is_taken_in_twice() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_store(folder.path());
    assert_eq!(store.cursor().await.unwrap(), None);
    assert_eq!(store.take_in(vec![found(id(1)), found(id(2))], CURSOR, NOW).await.unwrap(), 2);
    drop(store);
    let store = open_store(folder.path());
    assert_eq!(store.cursor().await.unwrap(), Some(CURSOR));
    assert_eq!(store.take_in(vec![found(id(2)), found(id(3))], CURSOR, NOW).await.unwrap(), 1);
    let to_do = store.to_do(Role::Scheduler, NOW).await.unwrap();
    assert_eq!(to_do, [id(1), id(2), id(3)]);
    assert_eq!(store.task(id(1)).await.unwrap().unwrap().state, State::Received);
}

#[tokio::test]
async fn of_two_who_move_a_task_on_one_is_too_late() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (open_store(folder.path()), open_store(folder.path()));
    one.take_in(vec![found(id(1))], CURSOR, NOW).await.unwrap();
    let advance = |store: Store| async move {
        store.advance(id(1), State::Received, Event::Accepted, Note::default(), NOW).await
    };
    advance(one).await.unwrap();
    assert!(matches!(advance(two).await, Err(StoreError::Moved { found: State::Initializing, .. })));
}

#[tokio::test]
async fn what_was_learned_stays() {
    let (store, id, _folder) = running_task().await;
    let failure = Failure::new(Cause::APP_COMPUTE_FAILED, "exit code 3");
    let facts = FactsLearned { failure: Some(failure.clone()), exit_code: Some(3), ..FactsLearned::default() };
    let task = store.advance(id, State::Running, Event::GivenUp, Note { facts, link: None }, NOW).await.unwrap();
    assert_eq!((task.facts.failure, task.facts.exit_code, task.facts.attempts), (Some(failure), Some(3), 1));
    let Course { changes, link, .. } = store.course(id).await.unwrap().unwrap();
    let states: Vec<_> = changes.iter().map(|change| change.state).collect();
    let all = [State::Received, State::Initializing, State::Authorizing, State::Ready, State::Starting, State::Running];
    assert_eq!(states, [&all[..], &[State::Stuck]].concat());
    assert_eq!(link, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_read_with_its_course_at_one_moment_while_others_move_it_on() {
    let (store, id, folder) = running_task().await;
    let reader = open_store(folder.path());
    let moving = tokio::spawn(async move {
        for _ in 0..50 {
            for (from, event) in
                [(State::Running, Event::Interrupted), (State::Ready, Event::Taken), (State::Starting, Event::Prepared)]
            {
                store.advance(id, from, event, Note::default(), NOW).await.unwrap();
            }
        }
    });
    while !moving.is_finished() {
        let course = reader.course(id).await.unwrap().unwrap();
        assert_eq!(course.changes.last().unwrap().state, course.task.state);
    }
    moving.await.unwrap();
}

#[tokio::test]
async fn a_stuck_task_is_work_for_the_scheduler_from_its_final_deadline_on() {
    let (store, id, _folder) = running_task().await;
    let task = store.advance(id, State::Running, Event::GivenUp, Note::default(), NOW).await.unwrap();
    let just_before = UnixSeconds(task.final_deadline.0 - 1);
    assert_eq!(store.to_do(Role::Scheduler, just_before).await.unwrap(), []);
    assert_eq!(store.to_do(Role::Scheduler, task.final_deadline).await.unwrap(), [id]);
    assert_eq!(store.to_do(Role::Worker, task.final_deadline).await.unwrap(), []);
}

#[tokio::test]
async fn an_interrupted_run_forgets_what_its_enclave_reported_and_not_that_it_was() {
    let (store, id, _folder) = running_task().await;
    let failure = Failure::new(Cause::PRE_COMPUTE_DATASET_DOWNLOAD_FAILED, "");
    assert!(store.report(id, vec![failure]).await.unwrap());
    let task = store.advance(id, State::Running, Event::Interrupted, Note::default(), NOW).await.unwrap();
    assert_eq!((task.state, task.facts.attempts, task.reported.len()), (State::Ready, 1, 0));
}

#[tokio::test]
async fn logs_are_kept_until_they_are_old() {
    let (store, id, _folder) = running_task().await;
    let logs = Logs { stdout: "out".to_owned(), stderr: "err".to_owned() };
    store.keep_logs(id, logs.clone()).await.unwrap();
    let deadline = store.task(id).await.unwrap().unwrap().final_deadline;
    assert_eq!(store.forget_logs(deadline).await.unwrap(), 0);
    assert_eq!(store.logs(id).await.unwrap(), Some(logs));
    assert_eq!(store.forget_logs(UnixSeconds(deadline.0 + 1)).await.unwrap(), 1);
    assert_eq!(store.logs(id).await.unwrap(), None);
}

#[test]
fn a_file_of_another_pool_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open_store(folder.path()));
    let path = folder.path().join("pool.db");
    for (chain, hub, pool) in [(1, 1, 0x33), (31337, 2, 0x33), (31337, 1, 0x34)] {
        let opened = Store::open(&path, chain, Address::repeat_byte(hub), Address::repeat_byte(pool));
        assert!(matches!(opened, Err(StoreError::OtherPool { .. })), "{chain} {hub} {pool}");
    }
}
