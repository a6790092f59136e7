//! Hello, the peer of rt0's example of that name: what Rust's std alone takes.

fn main() {
    println!("Hello Go");
}
