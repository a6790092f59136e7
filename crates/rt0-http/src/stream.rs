//! The two directions of a connection as values of their own.

use crate::control::Control;
use rt0::net::TcpStream;
use rt0::sync::{Mutex, MutexGuard, PoisonError};
use std::io::{self, Read, Write};
use std::sync::Arc;

/// A TCP connection: reads and writes do not wait for each other.
#[derive(Clone)]
pub(crate) struct Tcp(pub(crate) Arc<TcpStream>);

impl Read for Tcp {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buf)
    }
}

impl Write for Tcp {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self.0).write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same, of a server's.
#[derive(Clone)]
pub(crate) struct Served(pub(crate) Arc<Control>);

impl Served {
    fn socket(&self) -> io::Result<&TcpStream> {
        self.0.socket().ok_or(io::ErrorKind::NotConnected.into())
    }
}

impl Read for Served {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket()?.read(buf)
    }
}

impl Write for Served {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.socket()?.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Any other stream: one at a time.
pub(crate) struct Other<S>(Arc<Mutex<S>>);

impl<S> Other<S> {
    pub(crate) fn new(stream: S) -> Other<S> {
        Other(Arc::new(Mutex::new(stream)))
    }

    fn lock(&self) -> MutexGuard<'_, S> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Clone for Other<S> {
    fn clone(&self) -> Other<S> {
        Other(Arc::clone(&self.0))
    }
}

impl<S: Read> Read for Other<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.lock().read(buf)
    }
}

impl<S: Write> Write for Other<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.lock().write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().flush()
    }
}
