//! Visits every page of a web site that links lead to, each once, a few at a time.
//!
//!     crawler URL [AT_ONCE]      crawler http://127.0.0.1:8080/ 8
//!
//! A goroutine for each page, of which only AT_ONCE (8 without one) ask the server at a time.
//! Prints the pages with what was wrong with them, sorted, and how many there were.

use rt0::Scope;
use rt0::context::{background, with_timeout};
use rt0::sync::{Mutex, PoisonError, Semaphore};
use rt0_http::http::Uri;
use rt0_http::http::header::{CONTENT_TYPE, LOCATION};
use rt0_http::{Client, Response};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::process::ExitCode;
use std::time::Duration;

/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of a page is looked at.
const PAGE_BYTES: u64 = 4 << 20;

struct Crawler {
    client: Client,
    /// `host:port` of the site; links to others are not followed.
    site: String,
    turns: Semaphore,
    /// What was found at each path that was seen; nothing until it is known.
    seen: Mutex<BTreeMap<String, String>>,
}

#[rt0::main]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (url, at_once) = match &args[..] {
        [url] => (url, Some(8)),
        [url, n] => (url, n.parse().ok().filter(|n| *n > 0)),
        _ => (&String::new(), None),
    };
    let (Some(at_once), Ok(url)) = (at_once, url.parse::<Uri>()) else {
        eprintln!("usage: crawler URL [AT_ONCE]");
        return ExitCode::from(2);
    };
    let Some(site) = url.authority().filter(|_| url.scheme_str() == Some("http")) else {
        eprintln!("crawler: {url}: not the address of a site");
        return ExitCode::from(2);
    };
    let crawler = Crawler {
        client: Client::new(),
        site: site.to_string(),
        turns: Semaphore::new(at_once),
        seen: Mutex::default(),
    };
    // It returns when all pages have been visited: each is visited by a goroutine of the scope.
    rt0::scope(|s| crawler.found(s, url.path_and_query().map_or("/", |path| path.as_str())));
    let seen = crawler.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    seen.iter().for_each(|(path, what)| println!("{what}\t{path}"));
    println!("{} pages", seen.len());
    ExitCode::SUCCESS
}

impl Crawler {
    /// A link leads to `path`.
    fn found<'s>(&'s self, s: &'s Scope<'s, '_>, path: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains_key(path) {
            return;
        }
        seen.insert(path.to_owned(), String::new());
        let path = path.to_owned();
        s.go(move || {
            let what = match self.visit(&path) {
                Ok((what, links)) => {
                    links.iter().for_each(|link| self.found(s, link));
                    what
                }
                Err(e) => e.to_string(),
            };
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(path, what);
        });
    }

    /// The status of the page, and where it links to on this site.
    fn visit(&self, path: &str) -> io::Result<(String, Vec<String>)> {
        let _turn = self.turns.acquire(); // nobody closes it
        let (ctx, _cancel) = with_timeout(&background(), PATIENCE);
        ctx.io(|| {
            let page = self.client.get(&format!("http://{}{path}", self.site))?;
            let status = page.status().as_str().to_owned();
            let mut links = Vec::new();
            if page.status().is_redirection() {
                links.extend(text_of(&page, LOCATION).map(str::to_owned));
            } else if text_of(&page, CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"))
            {
                let mut text = Vec::new();
                page.into_body().take(PAGE_BYTES).read_to_end(&mut text)?;
                links = hrefs(&String::from_utf8_lossy(&text));
            }
            Ok((status, links.iter().filter_map(|link| self.resolve(path, link)).collect()))
        })
    }

    /// Where `link` on the page at `base` leads to, if that is on this site.
    fn resolve(&self, base: &str, link: &str) -> Option<String> {
        let link = link.split('#').next().unwrap_or_default();
        let absolute = link.strip_prefix("http:").unwrap_or(link);
        let path = match absolute.strip_prefix("//") {
            Some(rest) => match rest.strip_prefix(&self.site)? {
                "" => "/",
                path if path.starts_with(['/', '?']) => path,
                _ => return None, // a host whose name begins as ours does
            },
            None if absolute.len() < link.len() => return None,
            None => link,
        };
        let (path, query) = path.find('?').map_or((path, ""), |at| path.split_at(at));
        let base = base.split('?').next().unwrap_or_default();
        let folder = &base[..base.rfind('/').map_or(0, |at| at + 1)];
        let whole = match path {
            "" => base.to_owned(),
            path if path.starts_with('/') => path.to_owned(),
            path if path.split('/').next()?.contains(':') => return None, // mailto: and others
            path => format!("{folder}{path}"),
        };
        Some(without_dots(&whole) + query)
    }
}

fn text_of(page: &Response, name: rt0_http::http::HeaderName) -> Option<&str> {
    page.headers().get(name)?.to_str().ok()
}

/// The values of the attributes `href`, in quotes of either kind.
fn hrefs(page: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once("href=") {
        rest = after;
        let Some(quote) = after.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            continue;
        };
        let Some((link, after)) = after[1..].split_once(quote) else { break };
        links.push(link.trim().replace("&amp;", "&"));
        rest = after;
    }
    links
}

/// A path without `.` and `..` (RFC 3986, 5.2.4).
fn without_dots(path: &str) -> String {
    let mut parts = Vec::new();
    let mut is_folder = false;
    for part in path.split('/').skip(1) {
        is_folder = matches!(part, "" | "." | "..");
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let end = if is_folder && !parts.is_empty() { "/" } else { "" };
    format!("/{}{end}", parts.join("/"))
}
