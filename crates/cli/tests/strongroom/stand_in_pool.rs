//! A compass and the scheduler that it names, for tests: one task goes on by a step with each question about it, on the chain too.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use alloy_primitives::B256;
use serde_json::{Value, json};

use crate::stand_in_chain::World;
use crate::stand_in_server::{Reply, Request, Server};

/// What the pool says from one question to the next, and the status of the task on chain then.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) word: Value,
    pub(crate) on_chain: u8,
}

pub(crate) struct StandInPool {
    server: Server,
    state: Arc<Mutex<State>>,
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
        let steps = steps.into_iter().collect();
        let state = Arc::new(Mutex::new(State { steps, logs: None, task, world, asked: Vec::new() }));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| {
            let answer = shared.lock().unwrap().answer(request);
            let nothing = || Reply { status: 404, headers: "content-type: application/json\r\n", body: String::new() };
            Some(answer.map_or_else(nothing, |body| Reply::json(200, &body)))
        });
        Self { server, state }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
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

impl State {
    fn answer(&mut self, request: Request) -> Option<Value> {
        let path = request.target.split('?').next().unwrap_or_default().to_owned();
        let host = request.headers.get("host").cloned().unwrap_or_default();
        self.asked.push(request);
        if path == format!("/tasks/{}", self.task) {
            return self.step();
        }
        match path.as_str() {
            path if path.contains("/workerpools/") => Some(json!({ "apiUrl": format!("http://{host}") })),
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
