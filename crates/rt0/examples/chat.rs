//! A chat server with rooms, for `nc` and its like.
//!
//!     chat [ADDRESS]        127.0.0.1:7008 without one
//!
//! The first line is your name. `/join ROOM` changes the room, `/who` lists who is in it, `/quit`
//! ends; everything else is said to the room. Who does not read what is said is put out.

#![allow(clippy::disallowed_macros, reason = "only the runtime itself may not print")]

use rt0::chan::{Receiver, Sender, bounded};
use rt0::net::{TcpListener, TcpStream};
use rt0::sync::{Mutex, MutexGuard, PoisonError};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;

/// Lines that may wait for a member to read them.
const BACKLOG: usize = 64;
/// The longest line.
const LINE: u64 = 1024;

type Line = Arc<str>;

struct Member {
    name: String,
    lines: Sender<Line>,
    stream: Arc<TcpStream>,
}

/// The members of each room, by the number of their connection.
#[derive(Default)]
struct Rooms(Mutex<BTreeMap<String, BTreeMap<u64, Member>>>);

impl Rooms {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<u64, Member>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, room: &str, id: u64, member: Member) {
        let text = format!("* {} is here", member.name);
        self.lock().entry(room.to_owned()).or_default().insert(id, member);
        self.say(room, &text);
    }

    fn leave(&self, room: &str, id: u64) -> Option<Member> {
        let member = {
            let mut rooms = self.lock();
            let members = rooms.get_mut(room)?;
            let member = members.remove(&id);
            if members.is_empty() {
                rooms.remove(room);
            }
            member?
        };
        self.say(room, &format!("* {} has left", member.name));
        Some(member)
    }

    fn say(&self, room: &str, text: &str) {
        let line: Line = format!("{text}\n").into();
        if let Some(members) = self.lock().get_mut(room) {
            members.retain(|_, member| {
                let keeps_up = member.lines.try_send(Arc::clone(&line)).is_ok();
                if !keeps_up {
                    member.stream.close();
                }
                keeps_up
            });
        }
    }

    fn who(&self, room: &str) -> String {
        let rooms = self.lock();
        let names = rooms.get(room).into_iter().flatten().map(|(_, member)| &*member.name);
        names.collect::<Vec<_>>().join(" ")
    }
}

#[rt0::main]
fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:7008".into());
    if args.next().is_some() {
        eprintln!("usage: chat [ADDRESS]");
        return ExitCode::from(2);
    }
    match serve(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("chat: {address}: {e}");
            ExitCode::from(1)
        }
    }
}

fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let rooms = Arc::new(Rooms::default());
    for id in 0.. {
        let (stream, _) = listener.accept()?;
        let (stream, rooms) = (Arc::new(stream), Arc::clone(&rooms));
        let (lines, to_write) = bounded(BACKLOG);
        let out = Arc::clone(&stream);
        rt0::go(move || {
            let _ = write_lines(&out, &to_write); // the reader sees the end
            out.close();
        });
        rt0::go(move || {
            let _ = talk(&stream, id, lines, &rooms); // a line that is too long, or a reset
            stream.close();
        });
    }
    Ok(())
}

fn write_lines(mut stream: &TcpStream, lines: &Receiver<Line>) -> io::Result<()> {
    lines.iter().try_for_each(|line| stream.write_all(line.as_bytes()))
}

fn talk(stream: &Arc<TcpStream>, id: u64, lines: Sender<Line>, rooms: &Rooms) -> io::Result<()> {
    let mut input = BufReader::new(&**stream);
    let Some(name) = next_line(&mut input)?.filter(|name| !name.is_empty()) else { return Ok(()) };
    let mut room = String::from("lobby");
    let stream = Arc::clone(stream);
    rooms.enter(&room, id, Member { name: name.clone(), lines: lines.clone(), stream });
    let result = loop {
        let line = match next_line(&mut input) {
            Ok(Some(line)) => line,
            Ok(None) => break Ok(()),
            Err(e) => break Err(e),
        };
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("/quit", _) => break Ok(()),
            ("/who", _) => {
                let _ = lines.try_send(format!("* {}\n", rooms.who(&room)).into());
            }
            ("/join", to) if !to.is_empty() => {
                let Some(member) = rooms.leave(&room, id) else { break Ok(()) };
                to.clone_into(&mut room);
                rooms.enter(&room, id, member);
            }
            _ => rooms.say(&room, &format!("{name}: {line}")),
        }
    };
    rooms.leave(&room, id);
    result
}

/// A line without its end; nothing at the end of input.
fn next_line(input: &mut BufReader<&TcpStream>) -> io::Result<Option<String>> {
    let mut line = String::new();
    if input.take(LINE).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    if line.len() as u64 == LINE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"));
    }
    Ok(Some(line.trim_end().to_owned()))
}
