//! The example `crawler` over a site of this process.

#[path = "http/support.rs"]
mod http;
#[path = "../../rt0/tests/examples/support.rs"]
#[allow(dead_code, reason = "shared with the tests of rt0, which use all of it")]
mod support;

use rt0_http::http::StatusCode;
use rt0_http::http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use rt0_http::{Request, Response};
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{example, run};

/// Pages `/p/1` to `/p/PAGES`, each of which links to the two below it and to the one above.
const PAGES: usize = 300;

#[derive(Default)]
struct Site {
    asked: Mutex<BTreeMap<String, usize>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Site {
    fn answer(&self, request: &Request) -> Response {
        let path = request.uri().to_string();
        *self.asked.lock().expect("no panic").entry(path.clone()).or_default() += 1;
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        rt0::time::sleep(Duration::from_millis(1));
        self.now.fetch_sub(1, Ordering::SeqCst);
        let mut kind = "text/html; charset=utf-8";
        let (status, text) = match path.as_str() {
            "/" => (200, "<a href=\"/p/1\">in</a> <a href='old?a=1&amp;b=2#x'>old</a>".to_owned()),
            "/old?a=1&b=2" => (301, "moved".to_owned()),
            "/data" => {
                kind = "text/plain";
                (200, "<a href=\"/never\">no page</a>".to_owned())
            }
            path => match path.strip_prefix("/p/").and_then(|n| n.parse::<usize>().ok()) {
                Some(n) if (1..=PAGES).contains(&n) => (200, page(n)),
                _ => (404, "<a href='/p/2'>back</a>".to_owned()),
            },
        };
        let mut response = Response::new(text.into());
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if status == 301 {
            response.headers_mut().insert(LOCATION, HeaderValue::from_static("/data"));
        }
        response
    }
}

fn page(n: usize) -> String {
    let link = |n: usize| if n <= PAGES { format!("<a href=\"{n}\">{n}</a>") } else { "".into() };
    let odd = "<a href='mailto:a@b'> <a href='#top'> <a href='https://127.0.0.1/x'> <a href=>
               <a href='//example.org/'> <a href='../p/./2'> <a href=\"\"> <a href='/../../p//3'>";
    format!("{}{}{}{odd}", link(n / 2 + usize::from(n == 1)), link(2 * n), link(2 * n + 1))
}

#[rt0::test]
fn each_page_is_visited_once_and_few_at_a_time() {
    let site = Arc::new(Site::default());
    let server = {
        let site = Arc::clone(&site);
        http::serve(move |request| site.answer(&request))
    };
    let out = run(Command::new(example("crawler")).args([&server.url("/"), "5"]));
    assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""));
    let mut lines: Vec<_> = out.stdout.lines().map(str::to_owned).collect();
    assert_eq!(lines.pop().as_deref(), Some(&*format!("{} pages", PAGES + 3)));
    let mut paths: Vec<_> = (1..=PAGES).map(|n| format!("/p/{n}")).collect();
    paths.extend(["/", "/old?a=1&b=2", "/data"].map(str::to_owned));
    paths.sort();
    let status = |path: &str| if path.starts_with("/old") { 301 } else { 200 };
    let want: Vec<_> = paths.iter().map(|path| format!("{}\t{path}", status(path))).collect();
    assert_eq!(lines, want);
    let asked = site.asked.lock().expect("no panic").clone();
    assert_eq!(asked, paths.into_iter().map(|path| (path, 1)).collect());
    let most = site.most.load(Ordering::SeqCst);
    assert!((1..=5).contains(&most), "{most} at a time");
    server.stop().expect("no connection is busy");
}

#[test]
fn what_is_wrong_with_pages_and_arguments_is_told() {
    // The port of a listener that is gone, on an address where nobody else listens.
    let [_, a, b, c] = std::process::id().to_be_bytes();
    let own = std::net::SocketAddr::from(([127, a, b, c], 0));
    let gone = std::net::TcpListener::bind(own).expect("a free port");
    let url = format!("http://{}/", gone.local_addr().expect("it is bound"));
    drop(gone);
    let out = run(Command::new(example("crawler")).arg(url));
    assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""));
    assert_eq!(out.stdout, "Connection refused (os error 111)\t/\n1 pages\n");
    for args in [&[][..], &["a", "b"], &["a", "0"], &["http://a/", "1", "2"], &["https://a/"]] {
        let out = run(Command::new(example("crawler")).args(args));
        assert_eq!((out.code, out.stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(!out.stderr.is_empty());
    }
}
