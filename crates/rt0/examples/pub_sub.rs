//! Publishers and subscribers on a broadcast channel; who is too slow is told what it missed.

#![allow(clippy::disallowed_macros, reason = "only the runtime itself may not print")]

use rt0::sync::broadcast::{self, RecvError};

const MESSAGES: u64 = 1000;

/// What a subscriber saw: messages received, and messages lost.
fn subscribe(mut feed: broadcast::Receiver<String>, slow: bool) -> (u64, u64) {
    let (mut received, mut lost) = (0, 0);
    loop {
        match feed.recv() {
            Ok(_) => received += 1,
            Err(RecvError::Lagged(n)) => lost += n,
            Err(RecvError::Closed) => return (received, lost),
        }
        if slow && received % 64 == 0 {
            rt0::time::sleep(rt0::time::Duration::from_micros(100));
        }
    }
}

#[rt0::main]
fn main() {
    let (news, first) = broadcast::channel(128);
    let readers: Vec<_> = [(first, false), (news.subscribe(), false), (news.subscribe(), true)]
        .into_iter()
        .map(|(feed, slow)| rt0::go(move || subscribe(feed, slow)))
        .collect();
    let writers: Vec<_> = (0..2)
        .map(|desk| {
            let news = news.clone();
            rt0::go(move || {
                for n in 0..MESSAGES / 2 {
                    let _ = news.send(format!("desk {desk}, item {n}"));
                }
            })
        })
        .collect();
    drop(news);
    writers.into_iter().for_each(|w| w.join().expect("it does not panic"));
    for reader in readers {
        let (received, lost) = reader.join().expect("it does not panic");
        assert_eq!(received + lost, MESSAGES);
    }
    println!("every subscriber knows of all {MESSAGES} messages");
}
