//! Each of std's stable methods is there under its name: the list of docs/STD.md, for both. That
//! it compiles is the test.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "it names std's")]

/// Functions of a type of std's and of ours. A turbofish stands where nothing else says the type.
macro_rules! same {
    ($std:ty, $rt0:ty: $($f:ident $(<$($t:ty),*>)?),* $(,)?) => {
        $(
            let _ = <$std>::$f$(::<$($t),*>)?;
            let _ = <$rt0>::$f$(::<$($t),*>)?;
        )*
    };
}

#[test]
fn sockets() {
    use rt0::net as ours;
    use std::net as theirs;
    use std::os::unix::net as unix;
    same!(theirs::TcpStream, ours::TcpStream: connect<&str>, connect_timeout, local_addr, nodelay,
        peek, peer_addr, read_timeout, set_nodelay, set_nonblocking, set_read_timeout, set_ttl,
        set_write_timeout, shutdown, take_error, try_clone, ttl, write_timeout);
    same!(theirs::TcpListener, ours::TcpListener: accept, bind<&str>, incoming, local_addr,
        set_nonblocking, set_ttl, take_error, try_clone, ttl);
    same!(theirs::UdpSocket, ours::UdpSocket: bind<&str>, broadcast, connect<&str>,
        join_multicast_v4, join_multicast_v6, leave_multicast_v4, leave_multicast_v6, local_addr,
        multicast_loop_v4, multicast_loop_v6, multicast_ttl_v4, peek, peek_from, peer_addr,
        read_timeout, recv, recv_from, send, send_to<&str>, set_broadcast, set_multicast_loop_v4,
        set_multicast_loop_v6, set_multicast_ttl_v4, set_nonblocking, set_read_timeout, set_ttl,
        set_write_timeout, take_error, try_clone, ttl, write_timeout);
    same!(unix::UnixDatagram, ours::UnixDatagram: bind<&str>, bind_addr, connect<&str>,
        connect_addr, local_addr, pair, peer_addr, read_timeout, recv, recv_from, send,
        send_to<&str>, send_to_addr, set_nonblocking, set_read_timeout, set_write_timeout, shutdown,
        take_error, try_clone, unbound, write_timeout);
    same!(unix::UnixListener, ours::UnixListener: accept, bind<&str>, bind_addr, incoming,
        local_addr, set_nonblocking, take_error, try_clone);
    same!(unix::UnixStream, ours::UnixStream: connect<&str>, connect_addr, local_addr, pair,
        peer_addr, read_timeout, set_nonblocking, set_read_timeout, set_write_timeout, shutdown,
        take_error, try_clone, write_timeout);
}

#[test]
fn processes() {
    use std::process::Stdio;
    same!(std::process::Command, rt0::process::Command: arg<&str>, args<[&str; 1], &str>,
        current_dir<&str>, env<&str, &str>, env_clear, env_remove<&str>,
        envs<[(&str, &str); 1], &str, &str>, get_args, get_current_dir, get_envs, get_program,
        new<&str>, output, spawn, status, stderr<Stdio>, stdin<Stdio>, stdout<Stdio>);
    same!(std::process::Child, rt0::process::Child: id, kill, try_wait, wait, wait_with_output);
}

#[test]
fn locks() {
    use rt0::sync as ours;
    use std::sync as theirs;
    type Is<T> = fn(&mut T) -> bool;
    same!(theirs::Mutex<u8>, ours::Mutex<u8>: clear_poison, get_mut, into_inner, is_poisoned, lock,
        new, try_lock);
    same!(theirs::RwLock<u8>, ours::RwLock<u8>: clear_poison, get_mut, into_inner, is_poisoned, new,
        read, try_read, try_write, write);
    same!(theirs::RwLockWriteGuard<'_, u8>, ours::RwLockWriteGuard<'_, u8>: downgrade);
    same!(theirs::Condvar, ours::Condvar: new, notify_all, notify_one, wait<u8>, wait_timeout<u8>,
        wait_timeout_while<u8, Is<u8>>, wait_while<u8, Is<u8>>);
    same!(theirs::WaitTimeoutResult, ours::WaitTimeoutResult: timed_out);
    same!(theirs::Barrier, ours::Barrier: new, wait);
    same!(theirs::BarrierWaitResult, ours::BarrierWaitResult: is_leader);
    same!(theirs::Once, ours::Once: call_once<fn()>, is_completed, new, wait, wait_force);
    let _ = theirs::Once::call_once_force::<fn(&theirs::OnceState)>;
    let _ = ours::Once::call_once_force::<fn(&ours::OnceState)>;
    same!(theirs::OnceState, ours::OnceState: is_poisoned);
    same!(theirs::OnceLock<u8>, ours::OnceLock<u8>: get, get_mut, get_or_init<fn() -> u8>,
        into_inner, new, set, take, wait);
    same!(theirs::LazyLock<u8>, ours::LazyLock<u8>: force, force_mut, get, get_mut, new);
    same!(theirs::mpsc::Sender<u8>, ours::mpsc::Sender<u8>: send);
    same!(theirs::mpsc::SyncSender<u8>, ours::mpsc::SyncSender<u8>: send, try_send);
    same!(theirs::mpsc::Receiver<u8>, ours::mpsc::Receiver<u8>: iter, recv, recv_timeout, try_iter,
        try_recv);
    let _ = (theirs::mpsc::channel::<u8>, theirs::mpsc::sync_channel::<u8>);
    let _ = (ours::mpsc::channel::<u8>, ours::mpsc::sync_channel::<u8>);
}

#[test]
fn threads() {
    use rt0::thread as ours;
    use std::thread as theirs;
    same!(theirs::Builder, ours::Builder: name, new, stack_size, spawn<fn(), ()>);
    same!(theirs::Thread, ours::Thread: id, name, unpark);
    same!(theirs::JoinHandle<u8>, ours::JoinHandle<u8>: is_finished, join, thread);
    same!(theirs::ScopedJoinHandle<'_, u8>, ours::ScopedJoinHandle<'_, u8>: is_finished, join,
        thread);
    macro_rules! functions {
        ($module:ident) => {
            let _ = ($module::available_parallelism, $module::current, $module::panicking);
            let _ = ($module::park, $module::park_timeout, $module::sleep, $module::yield_now);
            let _ = $module::spawn::<fn(), ()>;
            $module::scope(|s| {
                s.spawn(|| ());
            });
        };
    }
    functions!(theirs);
    rt0::run(|| {
        functions!(ours);
    });
}
