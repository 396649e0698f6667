//! A compass and the scheduler that it names, for tests: one task goes on by a step with each question about it, on the chain too.

use std::collections::VecDeque;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use alloy_primitives::B256;
use serde_json::{Value, json};

use crate::stand_in_chain::World;
use crate::stand_in_sms::{Request, read};

/// What the pool says from one question to the next, and the status of the task on chain then.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) word: Value,
    pub(crate) on_chain: u8,
}

pub(crate) struct StandInPool {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    /// The last is said for ever.
    steps: VecDeque<Step>,
    /// What the app printed; `None` while there is nothing.
    logs: Option<Value>,
    task: B256,
    world: Arc<Mutex<World>>,
    asked: Vec<Request>,
}

impl StandInPool {
    pub(crate) fn start(task: B256, world: Arc<Mutex<World>>, steps: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let steps = steps.into_iter().collect();
        let state = Arc::new(Mutex::new(State { steps, logs: None, task, world, asked: Vec::new() }));
        let stopping = Arc::new(AtomicBool::new(false));
        let (shared, stop) = (Arc::clone(&state), Arc::clone(&stopping));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                // A client that goes away is its own business.
                let _ = serve(stream.unwrap(), &shared, address);
            }
        });
        Self { address, state, stopping, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn printed(&self, logs: Value) {
        self.state().logs = Some(logs);
    }

    /// What arrived so far.
    pub(crate) fn asked(&self) -> Vec<Request> {
        self.state().asked.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for StandInPool {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>, address: SocketAddr) -> std::io::Result<()> {
    let request = read(&stream)?;
    let answer = state.lock().unwrap().answer(request, address);
    let (status, body) = answer.map_or((404, String::new()), |body| (200, body.to_string()));
    let head = format!("HTTP/1.1 {status} -\r\nconnection: close\r\ncontent-type: application/json\r\n");
    write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len())
}

impl State {
    fn answer(&mut self, request: Request, address: SocketAddr) -> Option<Value> {
        let path = request.target.split('?').next().unwrap_or_default().to_owned();
        self.asked.push(request);
        if path == format!("/tasks/{}", self.task) {
            return self.step();
        }
        match path.as_str() {
            path if path.contains("/workerpools/") => Some(json!({ "apiUrl": format!("http://{address}") })),
            "/tasks/logs/challenge" => Some(json!({ "message": { "challenge": "Sign this" } })),
            path if path == format!("/tasks/{}/logs", self.task) => {
                Some(json!({ "computeLogsList": [self.logs.clone()?] }))
            }
            _ => None,
        }
    }

    fn step(&mut self) -> Option<Value> {
        let step = if self.steps.len() > 1 { self.steps.pop_front()? } else { self.steps.front()?.clone() };
        let mut world = self.world.lock().unwrap();
        world.tasks.get_mut(&self.task)?.status = step.on_chain;
        Some(step.word)
    }
}
