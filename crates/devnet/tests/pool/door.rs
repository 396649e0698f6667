//! A door between the pool and one of its services. Shut, nobody gets in, and who is inside is thrown out. Deaf, everybody waits before it. Mute,
//! what visitors say gets in and nothing comes out.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    Shut,
    Deaf,
    Mute,
}

pub(crate) struct Door {
    url: String,
    state: watch::Sender<State>,
    turned_away: watch::Receiver<u32>,
    serving: AbortHandle,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Door {
    /// An open door to the service at `url`.
    pub(crate) async fn to(url: &str) -> Self {
        let inside = url.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (state, seen) = watch::channel(State::Open);
        let (count, turned_away) = watch::channel(0);
        let serving = tokio::spawn(keep(listener, inside, seen, count)).abort_handle();
        Self { url, state, turned_away, serving }
    }

    /// Where the door is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn shut(&self) {
        self.state.send_replace(State::Shut);
    }

    pub(crate) fn open(&self) {
        self.state.send_replace(State::Open);
    }

    /// Lets everybody wait, for ever.
    pub(crate) fn play_deaf(&self) {
        self.state.send_replace(State::Deaf);
    }

    /// Takes everything and gives no answer.
    pub(crate) fn play_mute(&self) {
        self.state.send_replace(State::Mute);
    }

    /// Waits until the shut door has turned away `visitors` more than now.
    pub(crate) async fn turn_away(&self, visitors: u32) {
        let mut turned_away = self.turned_away.clone();
        let wanted = *turned_away.borrow_and_update() + visitors;
        let waiting = turned_away.wait_for(|count| *count >= wanted);
        tokio::time::timeout(Duration::from_mins(3), waiting).await.unwrap().unwrap();
    }
}

async fn keep(listener: TcpListener, inside: String, state: watch::Receiver<State>, turned_away: watch::Sender<u32>) {
    let mut waiting = Vec::new();
    while let Ok((mut visitor, _)) = listener.accept().await {
        let at_entry = *state.borrow();
        match at_entry {
            State::Open | State::Mute => {}
            State::Shut => {
                turned_away.send_modify(|count| *count += 1);
                continue;
            }
            State::Deaf => {
                waiting.push(visitor);
                continue;
            }
        }
        let (inside, mut state) = (inside.clone(), state.clone());
        tokio::spawn(async move {
            // Nobody is at home.
            let Ok(mut host) = TcpStream::connect(inside).await else { return };
            let passing = async {
                if at_entry == State::Open {
                    let _ = tokio::io::copy_bidirectional(&mut visitor, &mut host).await;
                } else {
                    let _ = tokio::io::copy(&mut visitor, &mut host).await;
                }
            };
            tokio::select! {
                () = passing => {}
                _ = state.wait_for(|state| *state != at_entry) => {}
            }
        });
    }
}
