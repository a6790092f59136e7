//! What a client keeps, and for how long. Alone in its process: it counts what is in it.

#[path = "http/support.rs"]
mod support;

use rt0::net::{SocketAddr, TcpListener};
use rt0::time::Duration;
use rt0_http::Client;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::read_until;

#[test]
fn on_other_numbers_of_ps() {
    support::on_ps(&[1, 2, 8]);
}

/// A server that answers so many requests of each connection, one connection after the other. The
/// number of connections is counted.
fn scripted(requests: &'static [usize]) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    let count = Arc::new(AtomicUsize::new(0));
    let accepted = Arc::clone(&count);
    rt0::go(move || {
        for requests in requests {
            let (mut stream, _) = listener.accept().expect("the test connects");
            accepted.fetch_add(1, Ordering::Relaxed);
            for _ in 0..*requests {
                read_until(&mut stream, "\r\n\r\n");
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                stream.write_all(answer).expect("the client reads");
            }
            let mut end = [0];
            let _ = std::io::Read::read(&mut stream, &mut end); // the client closes
        }
    });
    (addr, count)
}

/// How many descriptors of this process are connections to `addr`.
fn connections_to(addr: SocketAddr) -> usize {
    let hex = format!(":{:04X} ", addr.port());
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux");
    let inodes: Vec<_> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.get(2).is_some_and(|to| format!("{to} ").ends_with(&hex)))
        .filter_map(|fields| fields.get(9).map(|inode| format!("socket:[{inode}]")))
        .collect();
    let fds = std::fs::read_dir("/proc/self/fd").expect("Linux");
    let links = fds.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
    links.filter(|link| inodes.iter().any(|inode| link.as_os_str() == inode.as_str())).count()
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..5_000 {
        if is_so() {
            return;
        }
        rt0::time::sleep(Duration::from_millis(4));
    }
    panic!("{what}: not in 20 s");
}

#[rt0::test]
fn idle_connections_end_by_themselves() {
    let (addr, count) = scripted(&[1, 2, 1]);
    let url = format!("http://{addr}");
    let client = Client::new();
    let get = || {
        let response = client.get(&url).expect("answered");
        assert_eq!(response.into_body().text().expect("text"), "ok");
    };
    get();
    assert_eq!(connections_to(addr), 1, "it is kept");
    let goroutines = rt0::num_goroutine();
    // Those that are kept already count.
    drop(client.clone().idle_timeout(Duration::from_millis(20)));
    wait_until("the connection is closed", || connections_to(addr) == 0);
    wait_until("no goroutine is left", || rt0::num_goroutine() <= goroutines);

    let clone = client.clone().idle_timeout(Duration::from_secs(3600));
    get();
    get();
    assert_eq!((connections_to(addr), count.load(Ordering::Relaxed)), (1, 2));
    client.close_idle_connections();
    assert_eq!(connections_to(addr), 0);
    get();
    assert_eq!((connections_to(addr), count.load(Ordering::Relaxed)), (1, 3));
    drop(client);
    assert_eq!(connections_to(addr), 1);
    drop(clone);
    assert_eq!(connections_to(addr), 0, "the last clone closes them");
    // Nothing waits for a client that is gone.
    wait_until("the server ends", || rt0::num_goroutine() < goroutines);
}
