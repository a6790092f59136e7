//! The example, run as the program it is. `cargo test` builds it next to this test.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

#[test]
fn axum_routes_both_protocols() {
    let this = std::env::current_exe().expect("this test");
    let example = this.ancestors().nth(2).expect("the profile's directory").join("examples/axum");
    let mut server = Command::new(example)
        .arg("127.0.0.1:0")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the example is built");
    let mut line = String::new();
    let stdout = server.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("listening on ").expect("its address").to_owned();
    let curl = |path: &str, args: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "60"]).args(args);
        let out = curl.arg(format!("http://{address}{path}")).output().expect("curl is installed");
        String::from_utf8(out.stdout).expect("UTF-8") + &String::from_utf8_lossy(&out.stderr)
    };
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        assert_eq!(curl("/", &[version]), "Hello, World!");
        assert_eq!(curl("/hello/you", &[version]), "Hello, you!");
        assert_eq!(curl("/reverse", &[version, "--data", "stressed"]), "desserts");
        assert_eq!(curl("/nowhere", &[version, "-o", "/dev/null", "-w", "%{http_code}"]), "404");
    }
    server.kill().expect("it runs");
    server.wait().expect("it ends");
}
