//! `select!` and `select_biased!`.
//!
//! `@parse` takes the cases apart into a list of `{kind (arguments) (pattern) (body)}` and a
//! default; `@bind` evaluates the handles once and in order, each under a name of its own (names of
//! different expansions differ); `@done` compares the index that was chosen. Neither a closure nor
//! unsafe code is involved, so bodies may `return`, `break` and `?`, and crates may forbid unsafe.

/// Waits until one of several channel operations is ready, and does it.
///
/// Cases: `recv(receiver) -> result => body`, `send(sender, message) -> result => body`, and at
/// most one `default => body`, which happens if none is ready now, or `default(timeout) => body`,
/// if none becomes ready in time. Of those that are ready each is as likely. A message is made only
/// when its send is chosen. On a closed channel an operation is ready, and its result is the error.
/// crossbeam-channel: `select!`; Go: `select`.
///
/// ```
/// use rt0::chan::bounded;
/// use rt0::{select, time::Duration};
///
/// let ((tx, rx), (out, _keep)) = (bounded(1), bounded(0));
/// tx.send(1).unwrap();
/// let got = select! {
///     recv(rx) -> msg => msg.unwrap(),
///     send(out, 2) -> _ => unreachable!("nobody receives"),
///     default(Duration::from_secs(1)) => 0,
/// };
/// assert_eq!(got, 1);
/// ```
#[macro_export]
macro_rules! select {
    ($($tokens:tt)*) => { $crate::__rt0_select!(@parse (false) [] [] $($tokens)*) };
}

/// As [`select!`], but of the operations that are ready the first in the list is chosen.
#[macro_export]
macro_rules! select_biased {
    ($($tokens:tt)*) => { $crate::__rt0_select!(@parse (true) [] [] $($tokens)*) };
}

/// Not for use by hand.
#[doc(hidden)]
#[macro_export]
macro_rules! __rt0_select {
    (@parse $b:tt [] []) => { ::core::compile_error!("empty `select!` block") };
    (@parse $b:tt $ops:tt $def:tt) => { $crate::__rt0_select!(@bind $b $def [] $ops) };

    (@parse $b:tt $ops:tt [] default => $($t:tt)*) => {
        $crate::__rt0_select!(@body $b $ops [] {default () ()} $($t)*)
    };
    (@parse $b:tt $ops:tt [] default() => $($t:tt)*) => {
        $crate::__rt0_select!(@body $b $ops [] {default () ()} $($t)*)
    };
    (@parse $b:tt $ops:tt [] default($timeout:expr $(,)?) => $($t:tt)*) => {
        $crate::__rt0_select!(@body $b $ops [] {default ($timeout) ()} $($t)*)
    };
    (@parse $b:tt $ops:tt $def:tt default $(($($a:tt)*))? => $($t:tt)*) => {
        ::core::compile_error!("there can be only one `default` case in a `select!` block")
    };
    (@parse $b:tt $ops:tt $def:tt default $(($($a:tt)*))? -> $($t:tt)*) => {
        ::core::compile_error!("expected `=>` after `default` case, found `->`")
    };
    (@parse $b:tt $ops:tt $def:tt recv($r:expr $(,)?) -> $res:pat => $($t:tt)*) => {
        $crate::__rt0_select!(@body $b $ops $def {recv ($r) ($res)} $($t)*)
    };
    (@parse $b:tt $ops:tt $def:tt send($s:expr, $m:expr $(,)?) -> $res:pat => $($t:tt)*) => {
        $crate::__rt0_select!(@body $b $ops $def {send ($s, $m) ($res)} $($t)*)
    };
    (@parse $b:tt $ops:tt $def:tt recv($($a:tt)*) => $($t:tt)*) => {
        ::core::compile_error!("expected `->` after `recv` case, found `=>`")
    };
    (@parse $b:tt $ops:tt $def:tt send($($a:tt)*) => $($t:tt)*) => {
        ::core::compile_error!("expected `->` after `send` case, found `=>`")
    };
    (@parse $b:tt $ops:tt $def:tt $case:ident $($t:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected one of `recv(receiver) -> result`, `send(sender, message) -> result`, ",
            "`default`, found `", ::core::stringify!($case), "`"
        ))
    };
    (@parse $b:tt $ops:tt $def:tt $($t:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected a case of `select!`, found `", ::core::stringify!($($t)*), "`"
        ))
    };

    (@body $b:tt $ops:tt $def:tt $case:tt {$($body:tt)*}, $($t:tt)*) => {
        $crate::__rt0_select!(@add $b $ops $def $case ({$($body)*}) $($t)*)
    };
    (@body $b:tt $ops:tt $def:tt $case:tt $body:expr, $($t:tt)*) => {
        $crate::__rt0_select!(@add $b $ops $def $case ($body) $($t)*)
    };
    (@body $b:tt $ops:tt $def:tt $case:tt {$($body:tt)*}; $($t:tt)*) => {
        ::core::compile_error!("did you mean to put a comma instead of the semicolon after `}`?")
    };
    (@body $b:tt $ops:tt $def:tt $case:tt {$($body:tt)*} $($t:tt)*) => {
        $crate::__rt0_select!(@add $b $ops $def $case ({$($body)*}) $($t)*)
    };
    (@body $b:tt $ops:tt $def:tt $case:tt $body:expr) => {
        $crate::__rt0_select!(@add $b $ops $def $case ($body))
    };

    (@add $b:tt $ops:tt [] {default $a:tt $p:tt} $body:tt $($t:tt)*) => {
        $crate::__rt0_select!(@parse $b $ops [$a $body] $($t)*)
    };
    (@add $b:tt [$($ops:tt)*] $def:tt {$kind:ident $a:tt $p:tt} $body:tt $($t:tt)*) => {
        $crate::__rt0_select!(@parse $b [$($ops)* {$kind $a $p $body}] $def $($t)*)
    };

    // The handles, each in a `match` that keeps temporaries alive until the body is done.
    (@bind $b:tt $def:tt [$($bound:tt)*] [{recv ($r:expr) $p:tt $body:tt} $($ops:tt)*]) => {
        match $r {
            ref handle => {
                let handle: &$crate::chan::Receiver<_> = handle;
                $crate::__rt0_select!(
                    @bind $b $def [$($bound)* {recv_op handle () $p $body}] [$($ops)*]
                )
            }
        }
    };
    (@bind $b:tt $def:tt [$($bound:tt)*]
        [{send ($s:expr, $m:expr) $p:tt $body:tt} $($ops:tt)*]) => {
        match $s {
            ref handle => {
                let handle: &$crate::chan::Sender<_> = handle;
                $crate::__rt0_select!(
                    @bind $b $def [$($bound)* {send_op handle ($m) $p $body}] [$($ops)*]
                )
            }
        }
    };
    (@bind ($b:expr) [] [$({$op:ident $h:ident $m:tt $p:tt $body:tt})*] []) => {{
        let oper = $crate::__private::select(&mut [$($crate::__private::$op($h)),*], $b);
        $crate::__rt0_select!(@done oper (0usize) [$({$op $h $m $p $body})*] (
            ::core::unreachable!("`select!` chose an operation that it does not have")
        ))
    }};
    (@bind ($b:expr) [() $def:tt] [$({$op:ident $h:ident $m:tt $p:tt $body:tt})*] []) => {{
        let oper = $crate::__private::try_select(&mut [$($crate::__private::$op($h)),*], $b);
        $crate::__rt0_select!(@done oper (0usize) [$({$op $h $m $p $body})*] $def)
    }};
    (@bind ($b:expr) [($timeout:expr) $def:tt]
        [$({$op:ident $h:ident $m:tt $p:tt $body:tt})*] []) => {{
        let oper = $crate::__private::select_timeout(
            &mut [$($crate::__private::$op($h)),*], $timeout, $b
        );
        $crate::__rt0_select!(@done oper (0usize) [$({$op $h $m $p $body})*] $def)
    }};

    // Each branch moves `oper`: nothing is borrowed any more when a body runs, so that it may move
    // the handles. (An enum around `oper` would be borrowed until its scope ends.)
    (@done $oper:ident ($i:expr)
        [{recv_op $h:ident () ($p:pat) ($body:expr)} $($ops:tt)*] $def:tt) => {
        if $oper.index() == $i {
            let result = $oper.recv($h);
            let $p = result;
            $body
        } else {
            $crate::__rt0_select!(@done $oper ($i + 1) [$($ops)*] $def)
        }
    };
    (@done $oper:ident ($i:expr)
        [{send_op $h:ident ($m:expr) ($p:pat) ($body:expr)} $($ops:tt)*] $def:tt) => {
        if $oper.index() == $i {
            let result = $oper.send($h, $m);
            let $p = result;
            $body
        } else {
            $crate::__rt0_select!(@done $oper ($i + 1) [$($ops)*] $def)
        }
    };
    (@done $oper:ident $i:tt [] ($def:expr)) => {{
        ::core::mem::drop($oper);
        $def
    }};
}

/// In crossbeam-channel they are where the channels are.
pub use {select, select_biased};
