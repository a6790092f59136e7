//! Labels of goroutines: who has which, and what dumps show of them.

use rt0::debug::{Dump, labels, remove_label, set_label, stack, with_labels};
use rt0::sync::Barrier;
use std::sync::Arc;

fn own() -> String {
    let pairs: Vec<_> = labels().into_iter().map(|(k, v)| format!("{k}={v}")).collect();
    pairs.join(" ")
}

fn in_another() -> String {
    rt0::go(own).join().expect("no panic")
}

#[rt0::test]
fn they_are_added_and_taken_away_again() {
    assert_eq!(own(), "");
    with_labels(&[("b", "1"), ("a", "2")], || {
        assert_eq!(own(), "a=2 b=1");
        with_labels(&[("b", "3")], || assert_eq!(own(), "a=2 b=3"));
        set_label("c", "4");
        remove_label("a");
        assert_eq!(own(), "b=1 c=4");
    });
    assert_eq!(own(), "");
    remove_label("none");
    assert_eq!(own(), "");
}

#[rt0::test]
fn also_after_a_panic() {
    set_label("stays", "so");
    let result = std::panic::catch_unwind(|| {
        with_labels(&[("goes", "now")], || {
            set_label("stays", "otherwise");
            panic!("expected");
        })
    });
    assert!(result.is_err());
    assert_eq!(own(), "stays=so");
    remove_label("stays");
}

#[rt0::test]
fn who_is_started_inherits_them() {
    assert_eq!(in_another(), "");
    let h = with_labels(&[("k", "v")], || {
        assert_eq!(in_another(), "k=v");
        let grandchild = rt0::go(in_another).join().expect("no panic");
        assert_eq!(grandchild, "k=v");
        rt0::scope(|s| assert_eq!(s.go(own).join().expect("no panic"), "k=v"));
        let named = rt0::Builder::new().name("named".into()).go(|| {
            set_label("own", "x");
            (own(), rt0::current().and_then(|g| g.name().map(String::from)))
        });
        named.expect("a goroutine")
    });
    assert_eq!(h.join().expect("no panic"), ("k=v own=x".into(), Some("named".into())));
    assert_eq!(in_another(), "");
}

#[rt0::test]
fn dumps_show_them() {
    let both = Arc::new(Barrier::new(2));
    let h = with_labels(&[("user", "ann"), ("path", "GET /")], || {
        let both = Arc::clone(&both);
        rt0::go(move || {
            both.wait();
            both.wait();
            assert!(stack().contains(" [running] {path: \"GET /\", user: ann}:\n"));
        })
    });
    both.wait();
    let text = |dump: Dump| {
        let mut bytes = Vec::new();
        dump.write_to(&mut bytes).expect("a Vec takes all");
        String::from_utf8(bytes).expect("dumps are UTF-8")
    };
    assert!(text(Dump::new()).contains("] {path: \"GET /\", user: ann}:\n"));
    let json = text(Dump::new().json(true));
    assert!(json.contains(",\"labels\":{\"path\":\"GET /\",\"user\":\"ann\"},"), "{json}");
    // Others with the same stack are another group.
    assert!(text(Dump::new().grouped(true)).contains("] {path: \"GET /\", user: ann}:\n"));
    both.wait();
    h.join().expect("no panic");
}

/// They change under dumps that read them.
#[rt0::test]
fn they_change_while_others_look() {
    let changing: Vec<_> = (0..4)
        .map(|i| {
            rt0::go(move || {
                for n in 0..2_000 {
                    let (key, value) = (format!("k{}", n % 3), format!("{i}-{n}"));
                    with_labels(&[(&key, &value)], || assert_eq!(own(), format!("{key}={value}")));
                    if n % 100 == 0 {
                        rt0::gosched();
                    }
                }
            })
        })
        .collect();
    while !changing.iter().all(rt0::JoinHandle::is_finished) {
        Dump::new().write_to(&mut std::io::sink()).expect("a sink takes all");
        rt0::gosched();
    }
    for h in changing {
        h.join().expect("no panic");
    }
}

#[test]
fn threads_have_none() {
    set_label("k", "v");
    assert_eq!(with_labels(&[("a", "b")], own), "");
    assert_eq!(own(), "");
}
