//! `#[rt0::main]` and `#[rt0::test]`.
//!
//! Neither needs to understand Rust: both split the item at its last brace group and put the body
//! into an inner function that the runtime runs as a goroutine. So this crate has no dependencies.

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// Starts the runtime and runs the body of `fn main` as goroutine 1.
///
/// `fn main` takes no arguments and may return anything that implements
/// [`Termination`](std::process::Termination), as without the attribute. When it returns, the exit
/// hooks run and the process exits; goroutines that still run vanish, as in Go.
#[proc_macro_attribute]
pub fn main(attr: TokenStream, item: TokenStream) -> TokenStream {
    let call = "::rt0::__private::rt0_main(__rt0_body)";
    rewrite("main", attr, item, "", call)
}

/// A `#[test]` whose body runs as a goroutine.
///
/// The runtime starts with the first such test of the process; the others share it, as the threads
/// of the test harness run beside each other.
#[proc_macro_attribute]
pub fn test(attr: TokenStream, item: TokenStream) -> TokenStream {
    rewrite("test", attr, item, "#[::core::prelude::v1::test]", "::rt0::run(__rt0_body)")
}

fn rewrite(
    which: &str,
    attr: TokenStream,
    item: TokenStream,
    prefix: &str,
    call: &str,
) -> TokenStream {
    if !attr.is_empty() {
        return error(&format!("#[rt0::{which}] takes no arguments"));
    }
    let mut head: Vec<TokenTree> = item.into_iter().collect();
    let body = match head.pop() {
        Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Brace => g,
        _ => return error(&format!("#[rt0::{which}] goes on a function with a body")),
    };
    let Some(at_fn) = head.iter().position(|t| is_ident(t, "fn")) else {
        return error(&format!("#[rt0::{which}] goes on a function"));
    };
    if head[..at_fn].iter().any(|t| is_ident(t, "async")) {
        return error(&format!(
            "#[rt0::{which}]: a goroutine blocks instead of awaiting; remove `async`"
        ));
    }
    let is_main = head.get(at_fn + 1).is_some_and(|t| is_ident(t, "main"));
    if which == "main" && !is_main {
        return error("#[rt0::main] goes on `fn main`");
    }
    // The signature after the name: arguments, return type, where clause.
    let signature: Vec<TokenTree> = head[at_fn + 2..].to_vec();
    match signature.first() {
        Some(TokenTree::Group(g))
            if g.delimiter() == Delimiter::Parenthesis && g.stream().is_empty() => {}
        _ => return error(&format!("#[rt0::{which}] goes on a function without arguments")),
    }

    let mut inner = parse("fn __rt0_body");
    inner.extend(signature.iter().cloned());
    inner.extend([TokenTree::Group(body)]);
    inner.extend(parse(call));

    let mut out = parse(prefix);
    if which == "main" {
        // rt0_main never returns: it exits with the code that the body's value reports.
        out.extend(head[..at_fn + 2].iter().cloned());
        out.extend(parse("()"));
    } else {
        out.extend(head);
    }
    out.extend([TokenTree::Group(Group::new(Delimiter::Brace, inner))]);
    out
}

fn is_ident(t: &TokenTree, name: &str) -> bool {
    matches!(t, TokenTree::Ident(i) if i.to_string() == name)
}

fn parse(s: &str) -> TokenStream {
    s.parse().unwrap_or_default()
}

fn error(msg: &str) -> TokenStream {
    parse(&format!("::core::compile_error!({msg:?});"))
}
