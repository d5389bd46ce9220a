//! Files as they were before they were compressed.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::Path,
};

use super::kind::Packing;
use crate::{
    error::{CorpusError, read_error},
    listener::Listener,
};

/// The largest window of zstd, as `zstd --long=31` takes it: 2 GiB, of which as much is used as
/// there is text.
const WINDOW_LOG: u32 = 31;
const BUFFER: usize = 256 << 10;

/// A file, unpacked while it is read. `listener` is told of the bytes of the file itself.
///
/// # Errors
/// If it can't be opened. A file that was cut off gives an error when its end is reached.
pub(crate) fn unpacked<'a>(
    path: &Path,
    packing: Packing,
    listener: &'a dyn Listener,
) -> Result<Box<dyn BufRead + 'a>, CorpusError> {
    let file = File::open(path).map_err(read_error(path))?;
    let size = file.metadata().map_or(BUFFER as u64, |file| file.len());
    // Many files are small, and none needs more than it has.
    let capacity = BUFFER.min(size as usize + 1);
    let file = BufReader::with_capacity(capacity, Heard { file, listener });
    Ok(match packing {
        Packing::Plain => Box::new(file),
        Packing::Gzip => Box::new(BufReader::with_capacity(BUFFER, Members::new(file))),
        Packing::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(file).map_err(read_error(path))?;
            decoder.window_log_max(WINDOW_LOG).map_err(read_error(path))?;
            Box::new(BufReader::with_capacity(BUFFER, decoder))
        }
    })
}

struct Heard<'a> {
    file: File,
    listener: &'a dyn Listener,
}

impl Read for Heard<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.listener.read(n as u64);
        Ok(n)
    }
}

/// The members of a gzip file as one text. Zeros behind the last one, with which some fill up a
/// block, are none, as gzip itself has it.
struct Members<R: BufRead> {
    member: Option<flate2::bufread::GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    fn new(reader: R) -> Self {
        Self { member: Some(flate2::bufread::GzDecoder::new(reader)) }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let n = member.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            let mut reader = self.member.take().expect("it was there").into_inner();
            if !only_zeros_are_left(&mut reader)? {
                if reader.fill_buf()?.first() != Some(&GZIP) {
                    let why = "behind its gzip stands something else; unpack it with `gzip -d`, \
                               which leaves that out, or \
                               make it anew";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
                self.member = Some(flate2::bufread::GzDecoder::new(reader));
            }
        }
        Ok(0)
    }
}

/// What each member begins with.
const GZIP: u8 = 0x1f;

/// Whether a reader is at its end, or has nothing but zeros.
fn only_zeros_are_left(reader: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let bytes = reader.fill_buf()?;
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        let (is_end, is_other) = (bytes.is_empty(), zeros < bytes.len());
        reader.consume(zeros);
        if is_end || is_other {
            return Ok(is_end);
        }
    }
}

/// The mark of UTF-8, which is no part of a text.
pub(crate) const MARK: &[u8] = b"\xef\xbb\xbf";

/// A reader whose mark of UTF-8 is gone.
pub(crate) fn without_mark<'a>(
    mut reader: Box<dyn BufRead + 'a>,
) -> io::Result<Box<dyn BufRead + 'a>> {
    let mut head = vec![];
    (&mut reader).take(MARK.len() as u64).read_to_end(&mut head)?;
    let head = if head == MARK { vec![] } else { head };
    Ok(Box::new(Cursor::new(head).chain(reader)))
}
