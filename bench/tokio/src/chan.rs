//! Messages through channels: tokio's own, and those of other crates that tasks can wait for.

use bench_common::{Args, Span, Took, each_of, exit_unsupported, sieve_work};
use tokio::{select, spawn};

const SIDES: u64 = 4;

/// A crate's channels. Those with many consumers have receivers that can be cloned.
trait Channel: 'static {
    type Sender: Clone + Send + Sync + 'static;
    type Receiver: Send + 'static;
    /// The least capacity.
    const LEAST: usize;
    fn bounded(cap: usize) -> (Self::Sender, Self::Receiver);
    /// False if nobody receives any more.
    fn send(to: &Self::Sender, value: u64) -> impl Future<Output = bool> + Send;
    /// `None` if nobody sends any more.
    fn receive(from: &mut Self::Receiver) -> impl Future<Output = Option<u64>> + Send;
}

macro_rules! channel {
    ($name:ident, $make:path, $sender:ty, $receiver:ty, $least:literal,
     $send:ident, $receive:ident, $some:expr) => {
        struct $name;

        impl Channel for $name {
            type Sender = $sender;
            type Receiver = $receiver;
            const LEAST: usize = $least;

            fn bounded(cap: usize) -> (Self::Sender, Self::Receiver) {
                $make(cap.max(Self::LEAST))
            }

            async fn send(to: &Self::Sender, value: u64) -> bool {
                to.$send(value).await.is_ok()
            }

            async fn receive(from: &mut Self::Receiver) -> Option<u64> {
                $some(from.$receive().await)
            }
        }
    };
}

use async_channel as ac;
use tokio::sync::mpsc;
channel!(Mpsc, mpsc::channel, mpsc::Sender<u64>, mpsc::Receiver<u64>, 1, send, recv, |v| v);
channel!(AsyncChannel, ac::bounded, ac::Sender<u64>, ac::Receiver<u64>, 1, send, recv, Result::ok);
channel!(
    Flume,
    flume::bounded,
    flume::Sender<u64>,
    flume::Receiver<u64>,
    0,
    send_async,
    recv_async,
    Result::ok
);
channel!(
    Kanal,
    kanal::bounded_async,
    kanal::AsyncSender<u64>,
    kanal::AsyncReceiver<u64>,
    0,
    send,
    recv,
    Result::ok
);

/// `chan=` says whose channels.
pub(crate) async fn bench(args: &Args) -> Took {
    match (args.bench.as_str(), args.text("chan").unwrap_or("tokio")) {
        ("chan_pingpong", "tokio") => pingpong::<Mpsc>(args).await,
        ("chan_pingpong", "flume") => pingpong::<Flume>(args).await,
        ("chan_pingpong", "kanal") => pingpong::<Kanal>(args).await,
        // tokio has none with many consumers.
        ("chan_mpmc", "tokio") => mpmc::<AsyncChannel>(args).await,
        ("chan_mpmc", "flume") => mpmc::<Flume>(args).await,
        ("chan_mpmc", "kanal") => mpmc::<Kanal>(args).await,
        ("chan_prime", "tokio") => prime::<Mpsc>(args).await,
        ("chan_prime", "flume") => prime::<Flume>(args).await,
        ("chan_prime", "kanal") => prime::<Kanal>(args).await,
        ("select", "tokio") => select_of_four(args).await,
        _ => exit_unsupported(),
    }
}

/// A message there and one back, over two channels.
async fn pingpong<C: Channel>(args: &Args) -> Took {
    let cap = args.cap(0);
    let ((ping, mut pinged), (pong, mut ponged)) = (C::bounded(cap), C::bounded(cap));
    let span = Span::start();
    let echo = spawn(async move {
        while let Some(v) = C::receive(&mut pinged).await {
            assert!(C::send(&pong, v).await, "it is open");
        }
    });
    for n in 0..args.n {
        assert!(C::send(&ping, n).await, "it is open");
        C::receive(&mut ponged).await.expect("it is open");
    }
    let took = span.stop(args.n);
    drop(ping);
    echo.await.expect("it does not panic");
    took
}

/// Four producers, four consumers, one channel.
async fn mpmc<C: Channel<Receiver: Clone>>(args: &Args) -> Took {
    let (tx, rx) = C::bounded(args.cap(128));
    let (each, all) = each_of(args.n, SIDES);
    let span = Span::start();
    let mut producers = Vec::new();
    let mut consumers = Vec::new();
    for _ in 0..SIDES {
        let (tx, mut rx) = (tx.clone(), rx.clone());
        producers.push(spawn(async move {
            for n in 0..each {
                assert!(C::send(&tx, n).await, "it is open");
            }
        }));
        consumers.push(spawn(async move {
            let mut sum = 0;
            while let Some(v) = C::receive(&mut rx).await {
                sum += v;
            }
            sum
        }));
    }
    drop((tx, rx));
    for producer in producers {
        producer.await.expect("it does not panic");
    }
    let mut sum = 0;
    for consumer in consumers {
        sum += consumer.await.expect("it does not panic");
    }
    assert_eq!(sum, SIDES * (each * (each - 1) / 2));
    span.stop(all)
}

/// The first `n` primes by a chain of filters.
async fn prime<C: Channel>(args: &Args) -> Took {
    let cap = args.cap(0);
    let (hops, last) = sieve_work(args.n);
    let span = Span::start();
    let (tx, mut rx) = C::bounded(cap);
    spawn(async move {
        let mut i = 2;
        while i <= last && C::send(&tx, i).await {
            i += 1;
        }
    });
    let mut prime = 0;
    for _ in 0..args.n {
        prime = C::receive(&mut rx).await.expect("there are more");
        let (out, next) = C::bounded(cap);
        spawn(filter::<C>(std::mem::replace(&mut rx, next), out, prime));
    }
    assert_eq!(prime, last);
    span.stop(hops)
}

/// Ends with its input, or when nobody wants more.
async fn filter<C: Channel>(mut input: C::Receiver, out: C::Sender, prime: u64) {
    while let Some(v) = C::receive(&mut input).await {
        if v % prime != 0 && !C::send(&out, v).await {
            return;
        }
    }
}

/// A receive from one of four channels, each with a sender of its own.
async fn select_of_four(args: &Args) -> Took {
    let (each, all) = each_of(args.n, SIDES);
    let span = Span::start();
    let mut senders = Vec::new();
    let [mut a, mut b, mut c, mut d] = [(); SIDES as usize].map(|()| {
        let (tx, rx) = Mpsc::bounded(args.cap(0));
        senders.push(spawn(async move {
            for n in 0..each {
                tx.send(n).await.expect("it is open");
            }
            tx // open until the end: a closed channel would be ready all the time
        }));
        rx
    });
    let mut sum = 0;
    for _ in 0..all {
        let got = select! {
            v = a.recv() => v,
            v = b.recv() => v,
            v = c.recv() => v,
            v = d.recv() => v,
        };
        sum += got.expect("it is open");
    }
    let took = span.stop(all);
    assert_eq!(sum, SIDES * (each * (each - 1) / 2));
    for sender in senders {
        drop(sender.await.expect("it does not panic"));
    }
    took
}
